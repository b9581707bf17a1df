"""How a store's secrets are named: `<prefix>/<partition>/<account>/<key id>/<replaced id, or first>.<attempt>[.mark]`.

A name has up to 512 letters, digits and /_+=.@- (AWS Secrets Manager, CreateSecret).
"""

import re
import uuid
from dataclasses import dataclass
from typing import Self

from orchestrator.errors import UsageError
from orchestrator.model import EntryName, KeyIdentity, Region
from orchestrator.stores.layout import file_of, key_of, name_of, parts_of
from orchestrator.stores.shelf import Slot

_LOCATION = re.compile(r"(?P<region>[a-z]{2,}(-[a-z]+)+-[0-9]+)/(?P<prefix>[A-Za-z0-9_+=.@-]+(/[A-Za-z0-9_+=.@-]+)*)")
_LONGEST_PREFIX = 200
_ENTRY_ENDING, _MARK_ENDING = ".age", ".json"


@dataclass(frozen=True, slots=True)
class Address:
    """The Region that secrets are written in, and what their names begin with."""

    region: Region
    prefix: str

    @classmethod
    def parse(cls, location: str) -> Self:
        """Read what follows `secretsmanager:`; raises UsageError."""
        found = _LOCATION.fullmatch(location)
        if found is None or len(found["prefix"]) > _LONGEST_PREFIX:
            raise UsageError(
                f"store.uri 'secretsmanager:{location}' is not a Region and a name prefix (letters, digits and /_+=.@-,"
                f" {_LONGEST_PREFIX} at most)",
                "write secretsmanager:us-east-1/mrk",
            )
        return cls(Region(found["region"]), found["prefix"])

    def __str__(self) -> str:
        return f"secretsmanager:{self.region}/{self.prefix}"

    @property
    def stamp(self) -> str:
        """The name of the secret that says what the store was made for."""
        return self.stamp_of(1)

    def stamp_of(self, number: int) -> str:
        """Name the stamp that says it from the first, or a later, time on."""
        return f"{self.prefix}/store" + (f".{number}" if number > 1 else "")

    def secret(self, slot: Slot) -> str:
        """Name the secret of a slot; raises EntryError where a part of the entry's name is not one."""
        file = file_of(slot.name, slot.kind, slot.turn).removesuffix(_ENTRY_ENDING).removesuffix(_MARK_ENDING)
        return "/".join((self.prefix, *parts_of(slot.name.key), file))

    def below(self, key: KeyIdentity | None) -> str:
        """Tell what the names of all secrets, or of one key's, begin with."""
        return "/".join((self.prefix, *(parts_of(key) if key else ()), ""))

    def entry_name(self, secret: str) -> EntryName | None:
        """Tell which entry a secret belongs to; None for secrets that are not of the store."""
        *folders, stem = secret.removeprefix(f"{self.prefix}/").split("/")
        key = key_of(folders)
        if key is None:
            return None
        return name_of(key, stem + _ENTRY_ENDING) or name_of(key, stem + _MARK_ENDING)


def token(secret: str) -> str:
    """Return the ClientRequestToken that a secret is created with, and so the id of its only version.

    It follows from the name: a call whose answer was lost can be sent again, and a reader sees that the version is
    not the one that the secret was created with.
    """
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"mrk:{secret}"))
