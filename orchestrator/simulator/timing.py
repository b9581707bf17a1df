"""Time: the one clock of a simulator, and how long things take until they show."""

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import Self

from orchestrator.simulator.errors import ClockNotOwnedError

CENTURY = 100 * 366 * 86_400
"""How far a clock may be ahead of the real time, in seconds."""


class Clock:
    """The only clock of a simulator: the real time plus an offset that may be advanced, or somebody else's."""

    def __init__(self, now: Callable[[], float] | None = None) -> None:
        self._source = now
        self._offset = 0.0
        self._frozen: float | None = None
        self._lock = Lock()

    def __call__(self) -> float:
        """Return the time in seconds since the epoch."""
        if self._source is not None:
            return self._source()
        with self._lock:
            return self._read()

    @property
    def offset(self) -> float:
        """Return how far this clock is ahead of the real time; 0.0 for somebody else's clock."""
        return 0.0 if self._source is not None else self() - time.time()

    @property
    def frozen_at(self) -> float | None:
        """Return where this clock was stopped, if it was."""
        return self._frozen

    def advance(self, seconds: float) -> None:
        """Move the clock forward; it never goes back."""
        self.move(seconds)

    def freeze(self) -> None:
        """Stop the clock where it stands; advance still moves it."""
        self.move(freeze=True)

    def resume(self) -> None:
        """Let a frozen clock run on from where it stands."""
        self.move(freeze=False)

    def move(self, seconds: float = 0.0, *, freeze: bool | None = None) -> None:
        """Stop the clock or let it run on, then move it forward; all of that, or by ValueError nothing."""
        self._require_owned()
        with self._lock:
            at = self._read() + seconds
            if not (seconds >= 0 and at - time.time() <= CENTURY):
                raise ValueError("the clock only moves forward, and to a century from now at most")
            stopped = self._frozen is not None if freeze is None else freeze
            self._set(at, frozen=stopped)

    def restore(self, offset: float, frozen_at: float | None) -> None:
        """Go on from where a clock that was kept stood; somebody else's clock stays as it is."""
        if self._source is not None:
            return
        with self._lock:
            self._offset, self._frozen = offset, frozen_at

    def _set(self, at: float, *, frozen: bool) -> None:
        self._frozen = at if frozen else None
        self._offset = at - time.time()

    def _read(self) -> float:
        return time.time() + self._offset if self._frozen is None else self._frozen

    def _require_owned(self) -> None:
        if self._source is not None:
            raise ClockNotOwnedError("this simulator was given its clock (now=...): change the time there")


@dataclass(frozen=True, slots=True, kw_only=True)
class Lag:
    """How long the simulated world takes; all figures in seconds.

    The figures of `aws_like` were measured against AWS; docs/simulator.md says where.
    """

    name: str
    propagation: float
    """Until other Regions know of a new or deleted material, a finished import or a rotation."""
    creating: float
    """How long a replica reads Creating."""
    updating: float
    """How long both keys read Updating after UpdatePrimaryRegion."""
    staleness: float
    """Up to how old the world is that a call may know: what a read tells; for other calls, whether there is the key."""
    stale_share: float
    """The share of calls that may be stale; they flap, since each call is drawn anew."""
    rotation: tuple[float, float, float]
    """Shortest, likeliest and longest duration of a rotation."""
    evaporation: float
    """How long a rotation stays accepted after its pending material was deleted."""
    of_operations: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """Staleness and share of single operations, by name, where they differ from those of all."""
    start_date_vanishes: float | None
    """After how long some rotations stop showing their start date although they are still under way."""

    @classmethod
    def instant(cls) -> Self:
        """Return the profile where everything shows at the very next call."""
        return cls(
            name="instant",
            propagation=0,
            creating=0,
            updating=0,
            staleness=0,
            stale_share=0,
            rotation=(0, 0, 0),
            evaporation=0,
            start_date_vanishes=None,
        )

    @classmethod
    def small(cls) -> Self:
        """Return the default: every transition can be seen, none takes long, reads are fresh in their own Region."""
        return cls(
            name="small",
            propagation=0.1,
            creating=0.2,
            updating=0.2,
            staleness=0,
            stale_share=0,
            rotation=(1, 1, 1),
            evaporation=2,
            start_date_vanishes=None,
        )

    @classmethod
    def aws_like(cls) -> Self:
        """Return the profile with the figures measured on AWS: slow rotations, stale and flapping reads."""
        return cls(
            name="aws-like",
            propagation=2,
            creating=15,
            updating=15,
            staleness=10,
            stale_share=0.3,
            rotation=(20, 60, 460),
            evaporation=240,
            start_date_vanishes=5,
        )

    @classmethod
    def named(cls, name: str) -> Self:
        """Return the profile called instant, small or aws-like; ValueError for any other name."""
        match name:
            case "instant":
                return cls.instant()
            case "small":
                return cls.small()
            case "aws-like":
                return cls.aws_like()
        raise ValueError(f"lag is instant, small or aws-like, not {name!r}")

    def with_rotation(self, seconds: float) -> Self:
        """Return this profile with rotations that take exactly so long."""
        return replace(self, rotation=(seconds, seconds, seconds))

    def rotation_seconds(self, rng: random.Random) -> float:
        """Draw how long one rotation takes."""
        shortest, likeliest, longest = self.rotation
        return shortest if shortest == longest else rng.triangular(shortest, longest, likeliest)

    def shown_seconds(self, duration: float, rng: random.Random) -> float:
        """Draw for how long a rotation of that duration shows its start date."""
        if self.start_date_vanishes is None or rng.random() < 0.5:  # noqa: PLR2004 - both were measured, so each half the time
            return duration
        return min(self.start_date_vanishes, duration)

    @property
    def oldest(self) -> float:
        """Return up to how old the world is that any call may know."""
        return max(self.staleness, *(seconds for seconds, _ in self.of_operations.values()), 0.0)

    def age(self, rng: random.Random, operation: str) -> float:
        """Draw how old the world is that one call knows."""
        staleness, share = self.of_operations.get(operation, (self.staleness, self.stale_share))
        if staleness <= 0 or rng.random() >= share:
            return 0.0
        return rng.uniform(0, staleness)
