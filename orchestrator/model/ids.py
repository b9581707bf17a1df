"""Identifiers: parsed once where they enter, compared as values ever after."""

import re
from dataclasses import dataclass
from typing import NewType, Self

Region = NewType("Region", str)
MaterialId = NewType("MaterialId", str)

_ARN = re.compile(
    r"arn:(?P<partition>aws[a-z-]*):kms:(?P<region>[a-z0-9-]+):(?P<account>[0-9]{12}):key/(?P<key_id>[A-Za-z0-9-]+)"
)


_MATERIAL_ID = re.compile(r"[0-9a-f]{64}")
_ALIAS = re.compile(r"arn:aws[a-z-]*:kms:(?P<region>[a-z0-9-]+):[0-9]{12}:alias/[A-Za-z0-9/_-]+")


def is_alias(arn: str) -> bool:
    """Whether a text is the ARN of an alias: imports refuse those, so it must be resolved first."""
    return _ALIAS.fullmatch(arn) is not None


def region_of(arn: str) -> Region:
    """Return the Region of a key's or an alias's ARN, as the config holds it."""
    return Region(arn.split(":")[3])


@dataclass(frozen=True, slots=True, order=True)
class KeyIdentity:
    """One KMS key, or one set of related multi-Region keys: what no change of primary alters (P3)."""

    partition: str
    account: str
    key_id: str

    def __str__(self) -> str:
        return f"{self.partition}/{self.account}/{self.key_id}"


@dataclass(frozen=True, slots=True, order=True)
class KeyArn:
    """The ARN of a KMS key in one Region."""

    partition: str
    region: Region
    account: str
    key_id: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a key ARN; raises ValueError for anything else, an alias ARN included."""
        found = _ARN.fullmatch(text)
        if found is None:
            raise ValueError(f"{text!r} is not the ARN of a KMS key (arn:aws:kms:REGION:ACCOUNT:key/KEY-ID)")
        return cls(found["partition"], Region(found["region"]), found["account"], found["key_id"])

    def within(self, region: Region) -> "KeyArn":
        """Return the ARN of the related key in another Region: only the Region differs."""
        return KeyArn(self.partition, region, self.account, self.key_id)

    @property
    def identity(self) -> KeyIdentity:
        """The key without its Region."""
        return KeyIdentity(self.partition, self.account, self.key_id)

    def __str__(self) -> str:
        return f"arn:{self.partition}:kms:{self.region}:{self.account}:key/{self.key_id}"


def material_id_of(text: str) -> MaterialId:
    """Read the id of key material as KMS gives it, which stands in commands to type; raises ValueError."""
    if _MATERIAL_ID.fullmatch(text) is None:
        raise ValueError(f"{text!r:.80} is not the id of key material: 64 hex digits")
    return MaterialId(text)


ADOPTED = 1001
"""Attempts from here on hold bytes that were made elsewhere: a rotation never takes them for its own new ones."""


@dataclass(frozen=True, slots=True)
class EntryName:
    """The name of one store entry: which key, which CURRENT material it is to replace, and which attempt (P3).

    `replaces` is None for the first material of a key.
    """

    key: KeyIdentity
    replaces: MaterialId | None
    attempt: int = 1

    def __str__(self) -> str:
        return f"{self.key}/{self.replaces or 'first'}.{self.attempt}"


def short(material: MaterialId | None) -> str:
    """Shorten a material id for people: the first 8 of its 64 hex digits."""
    return material[:8] if material else "none"
