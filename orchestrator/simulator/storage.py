"""Keeping simulated keys in a file over a restart.

The material in that file is in plain sight: it is for made-up keys only, and the file says so. A file that does not
say so is refused, so that nothing else is ever taken for a simulator's state, or overwritten by one.
"""

import base64
import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from orchestrator.simulator.state import Automatic, Holding, KeySet, Material, Member, Rotation
from orchestrator.simulator.world import Alias, World

NOTICE = "SIMULATED KEYS, material in plain text: never import real key material into a simulator."
_FORMAT = 1


class Storage:
    """One state file; ValueError if there is a file that is not a simulator's state."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)

    def load(self, world: World, now: float) -> float:
        """Put what was kept into a world; return the clock's offset, 0.0 if there is no file yet."""
        try:
            document = json.loads(self._path.read_text())
        except FileNotFoundError:
            return 0.0
        except ValueError as error:
            raise ValueError(f"{self._path} is not a simulator's state") from error
        if not isinstance(document, dict) or document.get("notice") != NOTICE or document.get("format") != _FORMAT:
            raise ValueError(f"{self._path} is not a simulator's state")
        for kept in document["keys"]:
            world.put(_key_set(kept), now)
        for account, region, *alias in document["aliases"]:
            world.aliases.setdefault((account, region), {})[alias[0]] = Alias(*alias)
        return float(document["clock_offset"])

    def save(self, world: World, now: float, clock_offset: float) -> None:
        """Write everything, so that a crash leaves the old file or the new one, readable by its owner only."""
        document = {
            "notice": NOTICE,
            "format": _FORMAT,
            "clock_offset": clock_offset,
            "keys": [_plain(asdict(keys)) for keys in world.all_truths(now)],
            "aliases": [
                [account, region, alias.name, alias.key_id, alias.created, alias.updated]
                for (account, region), aliases in world.aliases.items()
                for alias in aliases.values()
            ],
        }
        beside = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(document, file)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self._path)


def _plain(value: Any) -> Any:
    match value:
        case bytes():
            return base64.b64encode(value).decode()
        case Mapping():
            return {key: _plain(item) for key, item in value.items()}
        case tuple() | list():
            return [_plain(item) for item in value]
    return value


def _key_set(kept: dict[str, Any]) -> KeySet:
    rotation, automatic = kept["rotation"], kept["automatic"]
    return KeySet(
        **{
            **kept,
            "members": {region: _member(member) for region, member in kept["members"].items()},
            "materials": tuple(Material(**material) for material in kept["materials"]),
            "rotation": None if rotation is None else Rotation(**rotation),
            "automatic": None if automatic is None else Automatic(**automatic),
        }
    )


def _member(kept: dict[str, Any]) -> Member:
    holdings = {name: _holding(holding) for name, holding in kept["holdings"].items()}
    return Member(**{**kept, "holdings": holdings})


def _holding(kept: dict[str, Any]) -> Holding:
    return Holding(base64.b64decode(kept["content"]), kept["valid_to"])
