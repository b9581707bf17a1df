"""How a store's files are named: `<partition>/<account>/<key id>/<replaced material id, or first>.<attempt>.<kind>`."""

import re
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path

from orchestrator.errors import EntryError
from orchestrator.model import EntryName, KeyIdentity, MaterialId

FIRST = "first"
_PARTS = 3

_PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_FILE = re.compile(
    r"(?P<replaces>[A-Za-z0-9][A-Za-z0-9_-]*)\.(?P<attempt>[1-9][0-9]{0,8})"
    r"\.(age|(link|probe|proven|discarded|reinstated|withdrawn|switch|sealed)(\.([2-9]|[1-9][0-9]{1,5}))?\.json)"
)


class Kind(StrEnum):
    """What a file of an entry holds: the sealed key material, or one mark beside it."""

    ENTRY = "age"
    LINK = "link.json"
    PROBE = "probe.json"
    PROVEN = "proven.json"
    DISCARDED = "discarded.json"
    REINSTATED = "reinstated.json"
    WITHDRAWN = "withdrawn.json"
    SWITCH = "switch.json"
    SEALED = "sealed.json"

    @property
    def label(self) -> str:
        """What the file says that it is."""
        return self.removesuffix(".json")

    def ending(self, turn: int) -> str:
        """End a file's name; key material has no second turn."""
        return self if turn == 1 else f"{self.label}.{turn}.json"


def parts_of(key: KeyIdentity) -> tuple[str, str, str]:
    """Return the names of the directories of one key; raises EntryError where one could lead elsewhere."""
    parts = (key.partition, key.account, key.key_id)
    if not all(_PART.fullmatch(part) for part in parts):
        raise _unusable(str(key))
    return parts


def file_of(name: EntryName, kind: Kind, turn: int) -> str:
    """Return the name of one file of an entry; raises EntryError where it could lead elsewhere."""
    file = f"{name.replaces or FIRST}.{name.attempt}.{kind.ending(turn)}"
    if name.replaces == FIRST or _FILE.fullmatch(file) is None:
        raise _unusable(str(name))
    return file


def folder_of(root: Path, key: KeyIdentity) -> Path:
    """Return the directory of one key; raises EntryError where a part of its name could lead elsewhere."""
    return root.joinpath(*parts_of(key))


def path_of(root: Path, name: EntryName, kind: Kind = Kind.ENTRY, turn: int = 1) -> Path:
    """Return the path of one file of an entry; raises EntryError where its name could lead elsewhere."""
    return folder_of(root, name.key) / file_of(name, kind, turn)


def name_of(key: KeyIdentity, file: str) -> EntryName | None:
    """Tell which entry a file in a key's directory belongs to; None for files that are not of a store."""
    found = _FILE.fullmatch(file)
    if found is None:
        return None
    replaces = None if found["replaces"] == FIRST else MaterialId(found["replaces"])
    return EntryName(key, replaces, int(found["attempt"]))


def key_of(parts: Sequence[str]) -> KeyIdentity | None:
    """Tell which key directories of these names belong to; None for those that are not of a store."""
    return KeyIdentity(*parts) if len(parts) == _PARTS and all(_PART.fullmatch(part) for part in parts) else None


def _unusable(name: str) -> EntryError:
    return EntryError(
        f"{name!r} cannot be the name of a store entry: its parts are letters, digits and hyphens",
        "take partition, account, key id and material id as KMS tells them",
    )
