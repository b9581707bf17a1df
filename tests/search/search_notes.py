"""What a run of the search remembers: the shipping memory without its times."""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from orchestrator.model import Failed, MaterialId, Memory, Region, Streak

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
LONG_AGO = NOW - timedelta(days=400)


class Notes(NamedTuple):
    """A run's memory without its times: only what can still change a decision."""

    rotation_sent: bool = False
    settled: tuple[tuple[Region, int], ...] = ()
    proofs: tuple[tuple[Region, MaterialId], ...] = ()
    quiet: int = 0
    rotation_seen: bool = False
    deletion_sent: bool = False
    failed: tuple[tuple[str, bool, int], ...] = ()  # name, final, refusals; neither of them: it waits out a doubt
    restored: tuple[Region, ...] = ()
    filled: tuple[Region, ...] = ()
    doubted: tuple[tuple[Region, MaterialId], ...] = ()

    def memory(self) -> Memory:
        """The shipping memory that these notes stand for."""
        later = NOW + timedelta(minutes=1)
        return Memory(
            settled={region: Streak(count, LONG_AGO) for region, count in self.settled},
            proofs=dict(self.proofs),
            failed={
                name: Failed(1, "failed", "", NOW if refusals else later, final, refusals)
                for name, final, refusals in self.failed
            },
            rotation_sent=NOW if self.rotation_sent else None,
            quiet=Streak(self.quiet, LONG_AGO) if self.quiet else None,
            rotation_seen=NOW if self.rotation_seen else None,
            deletion_sent=NOW if self.deletion_sent else None,
            restored=frozenset(self.restored),
            filled=frozenset(self.filled),
            doubted=dict(self.doubted),
        )


def noted(remembered: Memory, looks: int, *, aborts: bool) -> Notes:
    """Take the times out of a memory. What failed and may be tried again at the next look leaves no note.

    Whether it was quiet matters only where attempts are given up.
    """
    quiet = min(remembered.quiet.count, looks) if remembered.quiet and aborts else 0
    return Notes(
        remembered.rotation_sent is not None,
        tuple(sorted((region, min(streak.count, looks)) for region, streak in remembered.settled.items())),
        tuple(sorted(remembered.proofs.items())),
        quiet,
        remembered.rotation_seen is not None and aborts,
        remembered.deletion_sent is not None,
        tuple(sorted((name, f.final, f.refusals) for name, f in remembered.failed.items() if _matters(f))),
        tuple(sorted(remembered.restored)),
        tuple(sorted(remembered.filled)),
        tuple(sorted(remembered.doubted.items())),
    )


def _matters(failure: Failed) -> bool:
    return failure.final or failure.refusals or failure.not_before - NOW > timedelta(seconds=30)
