"""The calls to Secrets Manager in one Region: each sent once, quietly, with what is secret hidden before and after."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from orchestrator.answers import is_region
from orchestrator.errors import EntryError, MrkError
from orchestrator.model import Region

from .address import token
from .hidden import Hidden
from .meaning import NO_ANSWER, meaning, unanswered
from .quiet import quiet

_ABSENT = "ResourceNotFoundException"
_THERE = "ResourceExistsException"
_TEXT = "SecretString"
_VERSION = re.compile(r"[A-Za-z0-9-]{1,64}")
_KEY = re.compile(r"[A-Za-z0-9:/_-]{1,2048}")
_PROOFS = {"ARN", "SecretList"}
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
        found, text = str(answer.get("VersionId")), answer.get(_TEXT)
        if _VERSION.fullmatch(found) is None:
            raise unanswered(ValueError(), "GetSecretValue", secret, self.region)
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
        while True:
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
        if _TEXT in answer:
            answer[_TEXT] = Hidden(answer[_TEXT])
        return answer


def _kept(answer: Mapping[str, Any]) -> Kept:
    """Read DescribeSecret's answer; raises KeyError, TypeError or ValueError where it is not what it should be."""
    primary = answer.get("PrimaryRegion")
    replicas = tuple(
        Replica(_region(one["Region"]), one.get("Status", ""), one.get("StatusMessage", ""), _key(one.get("KmsKeyId")))
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
