"""Settings: a YAML file, then MRK_... environment variables, then flags; the later wins."""

import difflib
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, YamlConfigSettingsSource

from orchestrator.durations import Duration
from orchestrator.errors import UsageError
from orchestrator.model import KeyArn, MissingOld, Policy, Proof, Region

_LONGEST_EXPIRY = timedelta(days=364)
_SHORTEST_EXPIRY = timedelta(days=1)


def _never(value: Any) -> Any:
    return None if value == "never" else value


def _expiry(value: timedelta | None) -> timedelta | None:
    if value is not None and not _SHORTEST_EXPIRY <= value <= _LONGEST_EXPIRY:
        raise ValueError("KMS allows `never`, or 1d to 364d")
    return value


def _key_arn(value: str) -> str:
    KeyArn.parse(value)
    return value


Expiry = Annotated[Duration | None, BeforeValidator(_never), AfterValidator(_expiry)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class StoreSettings(_Strict):
    """Where key material lives. KMS never gives it back."""

    uri: str
    recipients: tuple[str, ...] = ()
    identity: Path | None = None


class KeyPolicySettings(_Strict):
    """What may be set for all keys under `defaults`, and for each key again."""

    rotate_every: Duration = timedelta(days=365)
    expires: Expiry = None
    safety_window: Duration = timedelta(days=7)
    proof: Proof = Proof.IDS_ONLY
    missing_old: MissingOld = MissingOld.BLOCK


class KeySettings(_Strict):
    """One key: its ARN in any of its Regions, all its Regions, and what differs from the defaults."""

    arn: Annotated[str, AfterValidator(_key_arn)]
    regions: tuple[str, ...] = ()
    rotate_every: Duration | None = None
    expires: Expiry = None
    safety_window: Duration | None = None
    proof: Proof | None = None
    missing_old: MissingOld | None = None


class RunSettings(_Strict):
    """How a run behaves: how long it may take, how often it looks, and where its journal goes."""

    deadline: Duration = timedelta(minutes=30)
    poll: Duration = timedelta(seconds=5)
    looks: int = Field(default=3, ge=1, le=20)
    journal: Path = Path("runs")
    workers: int = Field(default=16, ge=1, le=64)


class AwsSettings(_Strict):
    """How AWS is reached; credentials come from where the aws command takes them."""

    endpoint_url: str | None = None
    profile: str | None = None
    wrapping_algorithm: Literal["RSAES_OAEP_SHA_256", "RSAES_OAEP_SHA_1"] = "RSAES_OAEP_SHA_256"


class Settings(BaseSettings):
    """All settings of one invocation."""

    model_config = SettingsConfigDict(
        env_prefix="MRK_",
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        nested_model_default_partial_update=True,
    )
    file: ClassVar[Path | None] = None

    store: StoreSettings
    defaults: KeyPolicySettings = KeyPolicySettings()
    keys: dict[str, KeySettings] = {}
    run: RunSettings = RunSettings()
    aws: AwsSettings = AwsSettings()

    @model_validator(mode="before")
    @classmethod
    def _without_config(cls, values: Any) -> Any:
        """$MRK_CONFIG names the file; it is not a setting in it."""
        return (
            {name: value for name, value in values.items() if name != "config"} if isinstance(values, dict) else values
        )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags win over the environment, and that over the file."""
        sources: tuple[PydanticBaseSettingsSource, ...] = (init_settings, env_settings)
        return sources if cls.file is None else (*sources, YamlConfigSettingsSource(settings_cls, yaml_file=cls.file))

    def policy(self, key: KeySettings) -> Policy:
        """Return what the owner wants for one key: its own settings over the defaults."""
        own = {name: getattr(key, name) for name in KeyPolicySettings.model_fields if name in key.model_fields_set}
        merged = self.defaults.model_copy(update=own)
        return Policy(
            regions=frozenset(Region(region) for region in key.regions),
            rotate_every=merged.rotate_every,
            expires=merged.expires,
            safety_window=merged.safety_window,
            proof=merged.proof,
            missing_old=merged.missing_old,
            looks=self.run.looks,
            poll=self.run.poll,
            deadline=self.run.deadline,
        )


def load(path: Path, flags: Mapping[str, Any]) -> Settings:
    """Load the settings; raises UsageError that names the file, the setting, and what is allowed."""
    _readable(path)
    bound = type("Settings", (Settings,), {"file": path, "__module__": __name__})
    try:
        loaded: Settings = bound(**flags)
    except ValidationError as error:
        raise UsageError(f"{path}: " + "; ".join(_sentences(error)), "see config.example.yaml") from None
    return loaded


def _readable(path: Path) -> None:
    """Tell of a file that is missing, empty or not YAML before anything is validated."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        hint = "copy config.example.yaml there, or name another with -c or MRK_CONFIG"
        raise UsageError(f"there is no config file {path}", hint) from None
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark else ""
        raise UsageError(
            f"{path} is not YAML{where}", "indent with spaces, and quote values that begin with @ or %"
        ) from None
    if not isinstance(content, dict):
        raise UsageError(f"{path} holds no settings", "see config.example.yaml")


def _sentences(error: ValidationError) -> Iterator[str]:
    for problem in error.errors(include_url=False):
        where = ".".join(str(part) for part in problem["loc"]) or "the file"
        if problem["type"] == "extra_forbidden":
            yield f"unknown setting {where}{_suggestion(str(problem['loc'][-1]))}"
        elif problem["type"] == "missing":
            yield f"{where} is missing"
        else:
            yield f"{where}: {problem['msg'].removeprefix('Value error, ')}"


def _suggestion(name: str) -> str:
    models = (Settings, StoreSettings, KeySettings, KeyPolicySettings, RunSettings, AwsSettings)
    known = sorted({field for model in models for field in model.model_fields})
    close = difflib.get_close_matches(name, known, n=1)
    return f" (did you mean {close[0]}?)" if close else ""
