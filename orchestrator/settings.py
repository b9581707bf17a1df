"""Settings: a YAML file, then MRK_... environment variables, then flags; the later wins."""

import os
import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
    WithJsonSchema,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from orchestrator.config_errors import Given, MisfitError, Where, complaint
from orchestrator.config_paths import FilePath, StorePlace, folder_of, rooted
from orchestrator.config_variables import read_variables, refuse_deep_variables
from orchestrator.durations import PATTERN, Duration, parse, render
from orchestrator.errors import UsageError
from orchestrator.misplaced import refuse_secrets
from orchestrator.model import NEVER, KeyArn, MissingOld, Policy, Proof, Region, Repair, Replicate, is_alias
from orchestrator.spending import LIFETIME_ROTATIONS

_LONGEST_EXPIRY = timedelta(days=364)
_SHORTEST_EXPIRY = timedelta(days=1)
_REGION = re.compile(r"[a-z]{2,}(-[a-z]+)+-\d+")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_KEY_ID = r"mrk-[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_ARN = r"arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:"
_ANY_KEY = re.compile(rf"({_ARN}key/)?({_KEY_ID})|({_ARN})?alias/[\w/-]+", re.ASCII)
_ROLE = re.compile(r"arn:aws[a-z-]*:iam::[0-9]{12}:role/[\w+=,.@/-]+")
_NO_SETTINGS = ("MRK_CONFIG", "MRK_DEPLOYED", "MRK_TASK_TOKEN")
"""$MRK_CONFIG names the file, $MRK_DEPLOYED what a stack is for, and $MRK_TASK_TOKEN who waits for an answer."""


def _never(value: Any) -> Any:
    """Read `never` by itself, so that what is neither that nor a duration gets one complaint."""
    return value if value is None or value == NEVER else parse(value)


def _expiry(value: timedelta | Literal["never"] | None) -> timedelta | Literal["never"] | None:
    if isinstance(value, timedelta) and not _SHORTEST_EXPIRY <= value <= _LONGEST_EXPIRY:
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


def _some_time(value: timedelta) -> timedelta:
    if not value:
        raise ValueError("longer than 0s")
    return value


def _role(value: str | None) -> str | None:
    if value is not None and not _ROLE.fullmatch(value):
        raise ValueError("a role's ARN is like arn:aws:iam::111122223333:role/mrk")
    return value


def _any_key(value: str | None) -> str | None:
    if value is not None and not _ANY_KEY.fullmatch(value):
        raise ValueError("a KMS key is named by its id, its ARN, alias/NAME, or an alias's ARN")
    return value


def _key_name(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise ValueError("a key's name has letters, digits and . _ - only, and does not begin with . or -")
    return value


def _off(value: object) -> object:
    """Take what YAML makes of `off` without quotes for what was written."""
    return Proof.OFF if value is False else value


ProofWanted = Annotated[Proof, BeforeValidator(_off)]
Days = Annotated[Duration, AfterValidator(_at_least_a_day)]
Reserve = Annotated[int, Field(ge=0, le=LIFETIME_ROTATIONS)]
SomeTime = Annotated[Duration, AfterValidator(_some_time)]
KeyName = Annotated[str, AfterValidator(_key_name), WithJsonSchema({"type": "string", "pattern": f"^{_NAME.pattern}$"})]
AnyKey = Annotated[str | None, AfterValidator(_any_key)]
RegionName = Annotated[
    str, AfterValidator(_region), WithJsonSchema({"type": "string", "pattern": f"^{_REGION.pattern}$"})
]
Expiry = Annotated[
    Annotated[timedelta, PlainSerializer(render)] | Literal["never"] | None,
    BeforeValidator(_never),
    AfterValidator(_expiry),
    WithJsonSchema({"anyOf": [{"const": "never"}, {"type": "string", "pattern": PATTERN}]}),
]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class StoreSettings(_Strict):
    """Where key material lives. KMS never gives it back."""

    uri: StorePlace = Field(description="file:PATH, or secretsmanager:REGION/PREFIX; made by `mrk store init`")
    recipients: tuple[str, ...] = Field(default=(), description="Who can open an entry of a store file:; two at least")
    identity: FilePath | None = Field(default=None, description="The file of the age identity that opens a store file:")
    volatile: Literal["refuse", "allow"] = Field(
        default="refuse", description="allow: a store file: for a trial, where a restart loses it"
    )
    kms_key: AnyKey = Field(default=None, description="Encrypts a store secretsmanager:; unset: AWS's own key")
    mac_key: AnyKey = Field(
        default=None, description="A KMS key (HMAC_256) that tells who made an entry of a store secretsmanager:"
    )
    replica_regions: tuple[RegionName, ...] = Field(
        default=(), description="Where a store secretsmanager: is kept as well"
    )


class KeyPolicySettings(_Strict):
    """What may be set for all keys under `defaults`, and for each key again."""

    rotate_every: Days = Field(
        default=timedelta(days=365), description="How old CURRENT may get; 25 rotations are for life"
    )
    min_interval: Days = Field(
        default=timedelta(days=1), description="No second rotation sooner, unless a person names what to replace"
    )
    reserve: Reserve = Field(default=2, description="So many of the 25 rotations are left to a person on a terminal")
    expires: Expiry = Field(
        default=None,
        description="How long imports last: never, or 1d to 364d and renewed in time; else as the key's material",
    )
    renew_before: Days = Field(
        default=timedelta(days=30), description="How long before material expires it is imported again"
    )
    safety_window: Days = Field(
        default=timedelta(days=7), description="No rotation while anything expires sooner than this"
    )
    proof: ProofWanted = Field(
        default=Proof.IDS_ONLY, description="full: open what every generation encrypted, in every Region"
    )
    missing_old: MissingOld = Field(
        default=MissingOld.BLOCK, description="allow: rotate though the store lacks old material"
    )
    repair: Repair = Field(default=Repair.ASK, description="auto: `mrk run` imports again what a Region lost")
    replicate: Replicate = Field(
        default=Replicate.ASK, description="auto: make a replica in each of `regions` that KMS lacks"
    )


class KeySettings(_Strict):
    """One key: its ARN in any of its Regions, all its Regions, and what differs from the defaults."""

    arn: Annotated[str, AfterValidator(_key_arn)] = Field(description="The key's ARN in any Region, or an alias's")
    regions: tuple[RegionName, ...] = Field(
        default=(), description="All Regions of the key; left out: whatever KMS names"
    )
    rotate_every: Days | None = None
    min_interval: Days | None = None
    reserve: Reserve | None = None
    expires: Expiry = None
    renew_before: Days | None = None
    safety_window: Days | None = None
    proof: ProofWanted | None = None
    missing_old: MissingOld | None = None
    repair: Repair | None = None
    replicate: Replicate | None = None


class RunSettings(_Strict):
    """How a run behaves: how long it may take, how often it looks, what it leaves behind, and whom it tells."""

    deadline: SomeTime = Field(default=timedelta(minutes=30), description="Then the run stops; the next one resumes")
    poll: SomeTime = Field(default=timedelta(seconds=5), description="How often it looks while it waits")
    looks: int = Field(
        default=3, ge=1, le=20, description="How many looks in a row must confirm success, in every Region"
    )
    journal: FilePath = Field(default=Path("runs"), description="A directory: one JSON Lines file per run")
    start_delay: Duration = Field(
        default=timedelta(), description="`mrk run` first waits up to this long; not on a terminal"
    )
    after: FilePath | None = Field(
        default=None, description="A program that gets the report as JSON on its standard input"
    )
    after_timeout: SomeTime = Field(default=timedelta(minutes=1), description="Then that program is killed")
    metrics: Annotated[FilePath | None, AfterValidator(_textfile)] = Field(
        default=None, description="A .prom file for Prometheus"
    )
    lock: FilePath | None = Field(
        default=None, description="One changing command at a time; default: a file in `journal`"
    )
    workers: int = Field(default=16, ge=1, le=64, description="Calls in flight at once, in each Region")


class AwsSettings(_Strict):
    """How AWS is reached; credentials come from where the aws command takes them."""

    endpoint_url: Annotated[str | None, AfterValidator(_endpoint)] = Field(
        default=None, description="Instead of AWS's own KMS"
    )
    profile: str | None = Field(default=None, description="A profile, as in the aws command")
    role_arn: Annotated[str | None, AfterValidator(_role)] = Field(
        default=None, description="A role that is assumed first"
    )
    fips: bool | None = Field(
        default=None, description="FIPS endpoints; unset: as AWS_USE_FIPS_ENDPOINT or the profile says"
    )
    dual_stack: bool | None = Field(
        default=None,
        description="Endpoints that speak IPv6, too; unset: as AWS_USE_DUALSTACK_ENDPOINT or the profile says",
    )
    clock: Literal["machine", "simulator"] = Field(
        default="machine", description="Whose time it is; `simulator`: for trials against one on this machine only"
    )
    wrapping_algorithm: Literal["RSAES_OAEP_SHA_256", "RSAES_OAEP_SHA_1"] = Field(
        default="RSAES_OAEP_SHA_256", description="How key material is wrapped for its way to KMS"
    )

    @model_validator(mode="after")
    def _one_way(self) -> "AwsSettings":
        if self.endpoint_url is not None and (self.fips or self.dual_stack):
            said = "endpoint_url does not go together with fips or dual_stack: those choose AWS's endpoints"
            raise MisfitError(said, *(("aws", one) for one in ("endpoint_url", "fips", "dual_stack")))
        return self


class Settings(BaseSettings):
    """All settings of one invocation. A relative path belongs to the directory of the file; ~ is a home directory."""

    model_config = SettingsConfigDict(
        extra="forbid",
        frozen=True,
        nested_model_default_partial_update=True,
    )
    file: ClassVar[Path | None] = None
    sources: ClassVar[tuple[Mapping[str, Any], ...]] = ()
    """The file; and what the variables, and then the file, set."""

    store: StoreSettings = Field(description="Where key material lives: KMS never gives it back")
    defaults: KeyPolicySettings = Field(
        default=KeyPolicySettings(), description="For every key; each key may set its own"
    )
    keys: dict[KeyName, KeySettings] = Field(default={}, description="The keys, by the names that you type")
    run: RunSettings = Field(default=RunSettings(), description="How a run behaves")
    aws: AwsSettings = Field(default=AwsSettings(), description="How AWS is reached")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags win over the environment, and that over the file."""
        return (init_settings, *(InitSettingsSource(settings_cls, dict(source)) for source in cls.sources))

    @model_validator(mode="after")
    def _judged(self) -> "Settings":
        """Judge the keys with each other, and each with its defaults."""
        _judge(self)
        return self

    def of(self, keys: Mapping[str, KeySettings]) -> "Settings":
        """Return these settings with other keys, judged as those of a file are; raises UsageError."""
        settings = self.model_copy(update={"keys": dict(keys)})
        try:
            _judge(settings)
        except ValueError as error:
            raise UsageError(str(error), "see mrk config schema") from None
        return settings

    def policy(self, key: KeySettings, *, attended: bool = False) -> Policy:
        """Return what the owner wants for one key: its own settings over the defaults.

        `attended` tells that a person confirms the rotation on a terminal.
        """
        given = {name: getattr(key, name) for name in KeyPolicySettings.model_fields}
        own = {name: value for name, value in given.items() if value is not None}
        merged = self.defaults.model_copy(update=own)
        return Policy(
            regions=frozenset(Region(region) for region in key.regions),
            rotate_every=merged.rotate_every,
            min_interval=merged.min_interval,
            reserve=merged.reserve,
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
            attended=attended,
        )


def _judge(settings: Settings) -> None:
    """Judge the keys of some settings; raises MisfitError."""
    _each_key_once(settings.keys)
    for name, key in settings.keys.items():
        policy = settings.policy(key)
        every, least = policy.rotate_every, policy.min_interval
        if every < least:
            given = f"rotate_every ({render(every)}) is shorter than min_interval ({render(least)})"
            raise MisfitError(f"keys.{name}: {given}", *_places(name, key, "rotate_every", "min_interval"))
        if isinstance(policy.expires, timedelta):
            # Nothing is to expire within the safety window: no rotation would be possible then.
            _longer(name, key, ("expires", policy.expires), ("renew_before", policy.renew_before))
            _longer(name, key, ("renew_before", policy.renew_before), ("safety_window", policy.safety_window))


def _each_key_once(keys: Mapping[str, KeySettings]) -> None:
    """One key under two names would be judged by two policies, whatever its Region in each ARN."""
    names: dict[str, str] = {}
    for name, key in keys.items():
        identity = key.arn if is_alias(key.arn) else str(KeyArn.parse(key.arn).identity)
        if (other := names.setdefault(identity, name)) != name:
            said = f"keys.{name} is the same key as keys.{other}: write it once, with all its Regions"
            raise MisfitError(said, ("keys", name), ("keys", name, "arn"), ("keys", other, "arn"))


def _longer(name: str, key: KeySettings, long: tuple[str, timedelta], short: tuple[str, timedelta]) -> None:
    if long[1] <= short[1]:
        given = f"{long[0]} ({render(long[1])}) must be longer than {short[0]} ({render(short[1])})"
        raise MisfitError(f"keys.{name}: {given}", *_places(name, key, long[0], short[0]))


def _places(name: str, key: KeySettings, *settings: str) -> list[Where]:
    """Tell where settings of a key stand: its own, or among the defaults."""
    own = [one for one in settings if one in key.model_fields_set]
    return [("keys", name), *(("keys", name, one) if one in own else ("defaults", one) for one in settings)]


def _from_file(path: Path, environment: Mapping[str, str], flags: Mapping[str, Any]) -> Given:
    from orchestrator.config_file import read_yaml  # noqa: PLC0415 - only where there is a file

    return read_yaml(path, environment, flags)


def load(path: Path | None, flags: Mapping[str, Any]) -> Settings:
    """Load the settings, without a file from the environment and flags alone; every path in them is absolute.

    Raises UsageError that names the file and line, variable or flag, the setting, and what is allowed.
    """
    environment = dict(os.environ)
    given = _from_file(path, environment, flags) if path else Given(environment=environment, flags=flags)
    refuse_deep_variables(environment)
    refuse_secrets(given)
    keys = given.content.get("keys")
    variables = read_variables(environment, Settings, _NO_SETTINGS, map(str, keys) if isinstance(keys, dict) else ())
    sources = {"file": path, "sources": (variables, given.content), "__module__": __name__}
    try:
        loaded: Settings = type("Settings", (Settings,), sources)(**flags)
    except ValidationError as error:
        raise complaint(given, error, Settings) from None
    return rooted(loaded, folder_of(path), given.by_hand)
