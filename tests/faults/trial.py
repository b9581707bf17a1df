"""One key whose workflow meets a fault, and the runs after it: until one says that all is done, and all is done."""

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from kinds import Kind
from orchestrator.model import KeyArn, Reason
from orchestrator.progress import Report
from verdict import before, broken, false_blocks, let_die, told_of, untold
from worlds import REGIONS, World

DEADLINE = timedelta(minutes=25)
"""An abort needs 15 of them."""
WELL = ("finished", "idle")
ENDS = {*WELL, "failed", "blocked"}


def says_done(report: Report, *, rotated: bool) -> bool:
    """Whether a run says that all is done; after a rotation that has done all, to refuse a second one says so, too."""
    refused = [block.reason for block in report.blocks] == [Reason.RECENTLY_ROTATED]
    return report.status in WELL or (rotated and report.status == "blocked" and refused)


@dataclass
class Trial:
    """A key of its own, every run of its workflow, and what was not as it should be."""

    world: World
    kind: Kind
    reports: list[Report] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    struck: set[str] = field(default_factory=set)
    """The Regions in which a call of the last run went wrong."""

    def __post_init__(self) -> None:
        self.arn: KeyArn = self.kind.make(self.world)
        self.earlier = before(self.world.simulator, self.arn)

    @property
    def done(self) -> bool:
        """Whether all that was to be done is done, as seen from outside."""
        return self.kind.done(self.world, self.arn)

    @property
    def told(self) -> str:
        """How the runs ended."""
        return "; then ".join(f"{one.status}: {one.message}" for one in self.reports)

    def run(self, store: Any = None) -> Report:
        """Run it to its end."""
        policy = replace(self.world.policy, deadline=DEADLINE, poll=timedelta(seconds=30))
        job, begun = self.kind.job(self.world, self.arn, policy), len(self.world.simulator.calls)
        self.reports.append(self.world.runner(store=store).run([job])[0])
        calls = self.world.simulator.calls[begun:]
        self.struck = {call.region for call in calls if call.result != "ok"} if store is None else set(REGIONS)
        return self.reports[-1]

    def judge(self) -> None:
        """Judge what the last run left, how it ended, and whether it shows a way out: once the fault is gone."""
        report = self.reports[-1]
        found = broken(
            self.world.simulator,
            self.arn,
            self.earlier,
            [self.world.store],
            success=report.status == "finished",
            rotations=self.kind.rotations,
            known=self.owned(),
        )
        found += self.judge_upkeep()
        found += false_blocks(self.world.simulator, self.arn, [self.world.store], report.blocks, alone=True)
        found += [] if report.status in ENDS else [f"{report.status}: {report.message}"]
        found += [f"a block without a way out: {block.message}" for block in report.blocks if not block.way_out]
        if report.status in WELL and not self.done:
            found.append(f"it says {report.status}, and is not done: {report.message}")
        self.wrong += [f"run {len(self.reports)}: {one}" for one in found]

    def judge_upkeep(self) -> list[str]:
        """Judge what the last run was to do to each Region in which all its calls went well, and what it told."""
        simulator, stores, kind = self.world.simulator, [self.world.store], self.kind
        found = untold(simulator, self.arn, self.earlier, told_of(*self.reports))
        if kind.restores or kind.renews:
            well = set(REGIONS) - self.struck
            until = (self.world.clock.now() + kind.renews).timestamp() if kind.renews else None
            found += let_die(simulator, self.arn, self.earlier, stores, well, restore=kind.restores, until=until)
        return found

    def owned(self) -> set[bytes]:
        """The bytes that the owner has in a file: they count as kept until an adoption is done, or says that it is."""
        file = self.world.directory / f"{self.arn.key_id}.bin"
        adopted = self.done or any(report.status in WELL for report in self.reports)
        return set() if adopted or not file.exists() else {file.read_bytes()}

    def finish(self, times: int = 3) -> None:
        """Run again, once at least, until a run says that all is done; and all is done."""
        over = False
        for _ in range(times):
            self.world.clock.advance(minutes=20)
            rotated = self.done and self.kind.rotations > 0
            over = says_done(self.run(), rotated=rotated)
            self.judge()
            if over:
                break
        self.wrong += [] if over else [f"no run said that it is done: {self.told}"]
        self.wrong += [] if self.done else [f"not done in the end: {self.told}"]
