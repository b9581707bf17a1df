"""Keeping simulated keys in a file over a restart.

The material in that file is in plain sight: it is for made-up keys only, and the file says so. A file that does not
say so is refused, so that nothing else is ever taken for a simulator's state, or overwritten by one.
"""

import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from orchestrator.simulator.checked import Checked, one_line
from orchestrator.simulator.regions import known_regions
from orchestrator.simulator.specs import ALGORITHMS
from orchestrator.simulator.state import KeySet, LastUse
from orchestrator.simulator.timing import CENTURY, Clock
from orchestrator.simulator.world import Alias, World

NOTICE = "SIMULATED KEYS, material in plain text: never import real key material into a simulator."


class _Document(Checked):
    """A state file; `clock_offset` in seconds ahead of the real time, `frozen_at` in epoch seconds if the clock stands.

    Aliases have account and Region before them, last uses key id and Region.
    """

    notice: str
    format: Literal[1]
    clock_offset: Annotated[float, Field(ge=-CENTURY, le=CENTURY)]
    frozen_at: Annotated[float, Field(ge=0, le=10 * CENTURY)] | None = None
    keys: list[KeySet]
    aliases: list[tuple[str, str, str, str, float, float]]
    uses: list[tuple[str, str, LastUse]] = Field(default_factory=list)


class Storage:
    """One state file; ValueError for a file that is not a simulator's state, or a place where none can be."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        if self._path.is_dir() or not self._path.absolute().parent.is_dir():
            raise ValueError(f"{self._path} is a directory, or in none: the state is kept in a file")

    def load(self, world: World, clock: Clock) -> None:
        """Put what was kept into a world, and the clock to where it stood; nothing if there is no file yet."""
        if not self._path.exists():
            return
        try:
            document = _Document.model_validate_json(self._path.read_bytes())
        except ValidationError as error:
            raise self._refusal(one_line(error, _Document)) from None
        if document.notice != NOTICE:
            raise self._refusal("it does not say so")
        for keys in document.keys:
            self._require_whole(keys)
            # Kept keys are no news, however late reads may be.
            world.put(keys, 0.0)
        for account, region, name, key_id, created, updated in document.aliases:
            world.aliases.setdefault((account, region), {})[name] = Alias(name, key_id, created, updated)
        world.uses.update({(key_id, region): use for key_id, region, use in document.uses})
        clock.restore(document.clock_offset, document.frozen_at)

    def save(self, world: World, now: float, clock: Clock) -> None:
        """Write everything, so that a crash leaves the old file or the new one, readable by its owner only."""
        document = _Document(
            notice=NOTICE,
            format=1,
            clock_offset=clock.offset,
            frozen_at=clock.frozen_at,
            keys=list(world.all_truths(now)),
            aliases=[
                (account, region, alias.name, alias.key_id, alias.created, alias.updated)
                for (account, region), aliases in world.aliases.items()
                for alias in aliases.values()
            ],
            uses=[(key_id, region, use) for (key_id, region), use in world.uses.items()],
        )
        beside = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(document.model_dump_json())
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self._path)

    def _require_whole(self, keys: KeySet) -> None:
        if keys.primary not in keys.members or not keys.members.keys() <= known_regions().keys():
            raise self._refusal(f"{keys.key_id}: a primary without its member, or a Region that is none")
        if keys.usage not in ALGORITHMS.get(keys.spec, {}):
            raise self._refusal(f"{keys.key_id}: {keys.spec} is not for {keys.usage}")

    def _refusal(self, reason: str) -> ValueError:
        return ValueError(f"{self._path} is not a simulator's state: {reason}")
