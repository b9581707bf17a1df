"""The calls to Secrets Manager in one Region: each sent once, quietly, with what is secret hidden before and after."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from orchestrator.errors import EntryError, MrkError
from orchestrator.model import Region
from orchestrator.replies import is_region
from orchestrator.stores.fields import shown

from .address import token
from .hidden import Hidden
from .meaning import NO_ANSWER, meaning, unanswered
from .quiet import quiet

BATCH = 20
"""So many secrets BatchGetSecretValue takes at the most."""
_ABSENT = "ResourceNotFoundException"
_THERE = "ResourceExistsException"
_TEXT = "SecretString"
_ONE = "GetSecretValue"
_MOST_PAGES = 10_000
"""Of any answer: an account has 500,000 secrets in a Region at most (AWS quota)."""
_VERSION = re.compile(r"[A-Za-z0-9-]{1,64}")
_KEY = re.compile(r"[A-Za-z0-9:/_-]{1,2048}")
_PROOFS = {"ARN", "SecretList", "SecretValues", "Errors"}
"""Every answer of the service has one of these; botocore takes any 200 for an answer."""


@dataclass(frozen=True, slots=True)
class Replica:
    """A replica of a secret in another Region; `key` is the KMS key that it is encrypted with there."""

    region: Region
    status: str
    message: str
    key: str | None


@dataclass(frozen=True, slots=True)
class Kept:
    """What DescribeSecret tells of a secret. `primary_region` is None for one that was never replicated."""

    deleted: bool
    rotating: bool
    key: str | None
    primary_region: Region | None
    replicas: tuple[Replica, ...]


class SecretsManager:
    """Secrets Manager in one Region. Raises KmsError, or StoreError where the answer tells that of a secret."""

    def __init__(self, client: Any, region: Region) -> None:
        self._client = client
        self.region = region

    def __repr__(self) -> str:
        return f"SecretsManager({self.region!r})"

    @property
    def endpoint_url(self) -> str:
        """Where the calls go, whatever set it."""
        return str(self._client.meta.endpoint_url)

    @property
    def partition(self) -> str:
        """The partition that the Region is in."""
        return str(self._client.meta.partition)

    def create(self, secret: str, text: Hidden, key: str | None, replicas: Mapping[Region, str | None]) -> bool:
        """CreateSecret, which cannot overwrite; returns False where there is one of this name."""
        extra: dict[str, Any] = {"KmsKeyId": key} if key else {}
        if replicas:
            extra["AddReplicaRegions"] = _replica_regions(replicas)
        answer = self._call(
            "create_secret", secret, _THERE, Name=secret, ClientRequestToken=token(secret), SecretString=text, **extra
        )
        return answer is not None

    def read(self, secret: str) -> Hidden | None:
        """GetSecretValue; raises EntryError where another version is current than the one it was created with."""
        answer = self._call("get_secret_value", secret, _ABSENT, SecretId=secret, VersionStage="AWSCURRENT")
        if answer is None:
            return None
        return self._first_version(secret, answer)

    def read_batch(self, secrets: Sequence[str]) -> Mapping[str, Hidden | EntryError | None]:
        """BatchGetSecretValue of 20 secrets at the most, by name; an EntryError stands for one that cannot be read.

        Raises KmsError for what is wrong with the call, or with a secret for a reason that may pass. What the answer
        does not mention is not in the result.
        """
        found: dict[str, Hidden | EntryError | None] = {}
        about = f"{secrets[0]} and {len(secrets) - 1} more"
        more: dict[str, Any] = {}
        for _ in range(_MOST_PAGES):
            answer = self._call("batch_get_secret_value", about, SecretIdList=list(secrets), **more) or {}
            for error in answer.get("Errors", ()):
                found[str(error.get("SecretId"))] = self._bad(error)
            for value in answer.get("SecretValues", ()):
                name = str(value.get("Name"))
                found[name] = self._read_of(name, value)
            if not answer.get("NextToken"):
                return found
            more = {"NextToken": answer["NextToken"]}
        raise unanswered(ValueError(), "BatchGetSecretValue", about, self.region)

    def _bad(self, told: Mapping[str, Any]) -> EntryError | None:
        """Judge what a batch tells of one secret, as if it had been asked for alone."""
        code, secret = str(told.get("ErrorCode")), str(told.get("SecretId"))
        if code == _ABSENT:
            return None
        error = {"Error": {"Code": code, "Message": str(told.get("Message", ""))}}
        meant = meaning(ClientError(error, _ONE), _ONE, secret, self.region, self.partition)  # type: ignore[arg-type]
        if isinstance(meant, EntryError):
            return meant
        raise meant

    def _read_of(self, secret: str, value: Mapping[str, Any]) -> Hidden | EntryError:
        try:
            return self._first_version(secret, value)
        except EntryError as error:
            return error

    def _first_version(self, secret: str, value: Mapping[str, Any]) -> Hidden:
        """Return the text of a secret; raises EntryError where it is not the one that it was created with."""
        found, text = str(value.get("VersionId")), value.get(_TEXT)
        if _VERSION.fullmatch(found) is None:
            raise unanswered(ValueError(), _ONE, secret, self.region)
        if found != token(secret):
            raise EntryError(
                f"the secret {secret} in {self.region} was changed: its version {found} is not the one that it was"
                " created with",
                f"ask CloudTrail who did it, and put the first version back: aws secretsmanager"
                f" update-secret-version-stage --region {self.region} --secret-id {secret} --version-stage AWSCURRENT"
                f" --move-to-version-id {token(secret)} --remove-from-version-id {found}",
            )
        if not isinstance(text, Hidden):
            raise EntryError(f"the secret {secret} in {self.region} holds no text", "mrk writes none such: see who did")
        return text

    def describe(self, secret: str) -> Kept | None:
        """DescribeSecret; None where there is none."""
        answer = self._call("describe_secret", secret, _ABSENT, SecretId=secret)
        if answer is None:
            return None
        try:
            return _kept(answer)
        except (KeyError, TypeError, ValueError) as error:
            raise unanswered(error, "DescribeSecret", secret, self.region) from None

    def replicate(self, secret: str, replicas: Mapping[Region, str | None]) -> None:
        """ReplicateSecretToRegions; a secret of the same name that is there already is never overwritten."""
        self._call(
            "replicate_secret_to_regions",
            secret,
            SecretId=secret,
            AddReplicaRegions=_replica_regions(replicas),
            ForceOverwriteReplicaSecret=False,
        )

    def names(self, beginning: str) -> tuple[str, ...]:
        """ListSecrets, every page, those that are scheduled for deletion included."""
        found: list[str] = []
        more: dict[str, Any] = {}
        for _ in range(_MOST_PAGES):
            answer = self._call(
                "list_secrets",
                f"{beginning}*",
                IncludePlannedDeletion=True,
                MaxResults=100,
                Filters=[{"Key": "name", "Values": [beginning]}],
                **more,
            )
            page = answer or {}
            found += [one["Name"] for one in page.get("SecretList", ()) if one["Name"].startswith(beginning)]
            if not page.get("NextToken"):
                return tuple(found)
            more = {"NextToken": page["NextToken"]}
        raise unanswered(ValueError(), "ListSecrets", f"{beginning}*", self.region)

    def _call(self, operation: str, secret: str, expected: str = "", **parameters: Any) -> dict[str, Any] | None:
        """Send one call; returns None for the error code that is expected."""
        answer = self._attempt(operation, secret, expected, parameters)
        if isinstance(answer, MrkError):
            raise answer
        return answer

    def _attempt(
        self, operation: str, secret: str, expected: str, parameters: Mapping[str, Any]
    ) -> dict[str, Any] | MrkError | None:
        """Return an error, so that neither it nor any frame that it passes ever held what is secret."""
        name = "".join(word.capitalize() for word in operation.split("_"))
        revealed = {key: value.reveal() if isinstance(value, Hidden) else value for key, value in parameters.items()}
        try:
            with quiet():
                answer: dict[str, Any] = getattr(self._client, operation)(**revealed)
        except ClientError as error:
            if expected and error.response.get("Error", {}).get("Code") == expected:
                return None
            return meaning(error, name, secret, self.region, self.partition)
        except MrkError as error:  # of what comes first: AssumeRole, or credentials that cannot be sent
            return error.with_traceback(None)
        except NO_ANSWER as error:
            return unanswered(error, name, secret, self.region)
        if not _PROOFS & answer.keys():
            return unanswered(ValueError(), name, secret, self.region)
        for told in (answer, *answer.get("SecretValues", ())):
            if _TEXT in told:
                told[_TEXT] = Hidden(told[_TEXT])
        return answer


def _kept(answer: Mapping[str, Any]) -> Kept:
    """Read DescribeSecret's answer; raises KeyError, TypeError or ValueError where it is not what it should be."""
    primary = answer.get("PrimaryRegion")
    replicas = tuple(
        Replica(
            _region(one["Region"]),
            one.get("Status", ""),
            shown(one.get("StatusMessage", "")),
            _key(one.get("KmsKeyId")),
        )
        for one in answer.get("ReplicationStatus", ())
    )
    return Kept(
        deleted=answer.get("DeletedDate") is not None,
        rotating=bool(answer.get("RotationEnabled")),
        key=_key(answer.get("KmsKeyId")),
        primary_region=None if primary is None else _region(primary),
        replicas=replicas,
    )


def _region(name: str) -> Region:
    if not is_region(name):
        raise ValueError("not the name of a Region")
    return Region(name)


def _key(name: str | None) -> str | None:
    if name is not None and _KEY.fullmatch(name) is None:
        raise ValueError("not the name of a KMS key")
    return name


def _replica_regions(replicas: Mapping[Region, str | None]) -> Sequence[dict[str, str]]:
    return [{"Region": region, **({"KmsKeyId": key} if key else {})} for region, key in replicas.items()]
