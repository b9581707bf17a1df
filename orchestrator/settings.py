"""Settings: a YAML file, then MRK_... environment variables, then flags; the later wins."""

import os
import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    YamlConfigSettingsSource,
)

from orchestrator.config_errors import complaint, read_yaml
from orchestrator.durations import Duration, render
from orchestrator.errors import UsageError
from orchestrator.model import KeyArn, MissingOld, Policy, Proof, Region, Repair, Replicate, is_alias

_LONGEST_EXPIRY = timedelta(days=364)
_SHORTEST_EXPIRY = timedelta(days=1)
_REGION = re.compile(r"[a-z]{2,}(-[a-z]+)+-\d+")


def _never(value: Any) -> Any:
    return None if value == "never" else value


def _expiry(value: timedelta | None) -> timedelta | None:
    if value is not None and not _SHORTEST_EXPIRY <= value <= _LONGEST_EXPIRY:
        raise ValueError("KMS allows `never`, or 1d to 364d")
    return value


def _key_arn(value: str) -> str:
    if not is_alias(value):
        KeyArn.parse(value)
    return value


def _textfile(value: Path | None) -> Path | None:
    if value is not None and value.suffix != ".prom":
        raise ValueError("node_exporter reads only files that end in .prom")
    return value


def _at_least_a_day(value: timedelta | None) -> timedelta | None:
    if value is not None and value < timedelta(days=1):
        raise ValueError("at least 1d (m is for minutes)")
    return value


def _region(value: str) -> str:
    if not _REGION.fullmatch(value):
        raise ValueError(f"{value!r} is not the name of a Region, such as eu-west-1")
    return value


def _endpoint(value: str | None) -> str | None:
    if value is not None and not value.startswith(("https://", "http://")):
        raise ValueError("an endpoint begins with https://, or with http:// on this machine")
    return value


Days = Annotated[Duration, AfterValidator(_at_least_a_day)]
RegionName = Annotated[str, AfterValidator(_region)]
Expiry = Annotated[Duration | None, BeforeValidator(_never), AfterValidator(_expiry)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class StoreSettings(_Strict):
    """Where key material lives. KMS never gives it back."""

    uri: str
    recipients: tuple[str, ...] = ()
    identity: Path | None = None
    kms_key: str | None = None
    replica_regions: tuple[RegionName, ...] = ()


class KeyPolicySettings(_Strict):
    """What may be set for all keys under `defaults`, and for each key again."""

    rotate_every: Days = timedelta(days=365)
    expires: Expiry = None
    renew_before: Days = timedelta(days=30)
    safety_window: Days = timedelta(days=7)
    proof: Proof = Proof.IDS_ONLY
    missing_old: MissingOld = MissingOld.BLOCK
    repair: Repair = Repair.ASK
    replicate: Replicate = Replicate.ASK


class KeySettings(_Strict):
    """One key: its ARN in any of its Regions, all its Regions, and what differs from the defaults."""

    arn: Annotated[str, AfterValidator(_key_arn)]
    regions: tuple[RegionName, ...] = ()
    rotate_every: Days | None = None
    expires: Expiry = None
    renew_before: Days | None = None
    safety_window: Days | None = None
    proof: Proof | None = None
    missing_old: MissingOld | None = None
    repair: Repair | None = None
    replicate: Replicate | None = None


class RunSettings(_Strict):
    """How a run behaves: how long it may take, how often it looks, what it leaves behind, and whom it tells."""

    deadline: Duration = timedelta(minutes=30)
    poll: Duration = timedelta(seconds=5)
    looks: int = Field(default=3, ge=1, le=20)
    journal: Path = Path("runs")
    start_delay: Duration = timedelta()
    after: Path | None = None
    after_timeout: Duration = timedelta(minutes=1)
    metrics: Annotated[Path | None, AfterValidator(_textfile)] = None
    lock: Path | None = None
    workers: int = Field(default=16, ge=1, le=64)


class AwsSettings(_Strict):
    """How AWS is reached; credentials come from where the aws command takes them."""

    endpoint_url: Annotated[str | None, AfterValidator(_endpoint)] = None
    profile: str | None = None
    role_arn: str | None = None
    fips: bool = False
    dual_stack: bool = False
    wrapping_algorithm: Literal["RSAES_OAEP_SHA_256", "RSAES_OAEP_SHA_1"] = "RSAES_OAEP_SHA_256"

    @model_validator(mode="after")
    def _one_way(self) -> "AwsSettings":
        if self.endpoint_url is not None and (self.fips or self.dual_stack):
            raise ValueError("endpoint_url does not go together with fips or dual_stack: those choose AWS's endpoints")
        return self


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
        """$MRK_CONFIG names the file, and $MRK_TASK_TOKEN who waits for an answer; they are no settings."""
        if not isinstance(values, dict):
            return values
        return {name: value for name, value in values.items() if name not in {"config", "task_token"}}

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

    @model_validator(mode="after")
    def _renewed_in_time(self) -> "Settings":
        """Nothing is to expire within the safety window: no rotation would be possible then."""
        for name, key in self.keys.items():
            policy = self.policy(key)
            if policy.expires is not None:
                self._longer(name, "expires", policy.expires, "renew_before", policy.renew_before)
                self._longer(name, "renew_before", policy.renew_before, "safety_window", policy.safety_window)
        return self

    @staticmethod
    def _longer(name: str, long: str, longer: timedelta, short: str, shorter: timedelta) -> None:
        if longer <= shorter:
            raise ValueError(f"keys.{name}: {long} ({render(longer)}) must be longer than {short} ({render(shorter)})")

    def policy(self, key: KeySettings) -> Policy:
        """Return what the owner wants for one key: its own settings over the defaults."""
        given = {name: getattr(key, name) for name in KeyPolicySettings.model_fields if name in key.model_fields_set}
        own = {name: value for name, value in given.items() if value is not None or name == "expires"}
        merged = self.defaults.model_copy(update=own)
        return Policy(
            regions=frozenset(Region(region) for region in key.regions),
            rotate_every=merged.rotate_every,
            expires=merged.expires,
            renew_before=merged.renew_before,
            safety_window=merged.safety_window,
            proof=merged.proof,
            missing_old=merged.missing_old,
            repair=merged.repair,
            replicate=merged.replicate,
            looks=self.run.looks,
            poll=self.run.poll,
            deadline=self.run.deadline,
        )


def load(path: Path | None, flags: Mapping[str, Any]) -> Settings:
    """Load the settings, without a file from the environment and flags alone.

    Raises UsageError that names the file, the line, the setting, and what is allowed.
    """
    text = read_yaml(path) if path else "{}"
    bound = type("Settings", (Settings,), {"file": path, "__module__": __name__})
    try:
        loaded: Settings = bound(**flags)
    except SettingsError as error:
        hint = "settings with several parts are given as JSON: MRK_STORE__RECIPIENTS='[\"age1...\"]'"
        raise UsageError(f"an MRK_... environment variable cannot be read: {error}", hint) from None
    except ValidationError as error:
        raise complaint(path or Path("MRK_..."), text, os.environ, error, Settings) from None
    return loaded


def schema() -> dict[str, Any]:
    """Return the JSON Schema of a config file, for editors."""
    return Settings.model_json_schema(by_alias=True) | {"title": "mrk config"}
