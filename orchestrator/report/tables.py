"""Tables for people: plain values in, something that rich prints out. They fit 80 columns at 34 Regions."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from orchestrator import checks, goals, kinds, spending
from orchestrator.model import (
    Block,
    Entry,
    MaterialId,
    MaterialState,
    Policy,
    Reason,
    Region,
    RegionView,
    View,
    short,
)
from orchestrator.plan import Plan, Planned
from orchestrator.progress import Report, named
from orchestrator.report import changed, telling
from orchestrator.report.calls import PlannedCall, calls
from orchestrator.written import clean

_WORDS = {
    MaterialState.CURRENT: "CURRENT",
    MaterialState.NON_CURRENT: "older",
    MaterialState.PENDING_ROTATION: "pending",
    MaterialState.PENDING_REPLICAS: "pending, not everywhere",
}


def status(name: str, view: View, policy: Policy) -> RenderableType:
    """Show one key: its Regions, its materials, its budget."""
    head = heading(name, str(view.key))
    if not view.regions:
        return Group(head, *_failures(view))
    kind = [step for step in kinds.right_kind(view) if isinstance(step, Block)]
    if kind:  # it has neither materials nor rotations of mrk's: nothing is counted
        return Group(head, _regions(view), *_failures(view), blocks(named(kind, name)))
    told = Text(telling.why(view, policy))
    failures = _failures(view, frozenset(policy.regions - view.members))
    found = [part for part in (_wrong(view, policy), *failures, noted(view, policy)) if part]
    return Group(head, _regions(view), _materials(view), *found, told)


def heading(name: str, arn: str) -> Text:
    """Name a key, as its part of every result begins."""
    return Text.assemble((name, "bold"), f"  {arn}")


def noted(view: View | None, policy: Policy, told: Sequence[Block] = ()) -> Text:
    """Show what is well, and yet not as the config reads; nothing that is told as a block, too."""
    known = {block.message for block in told}
    soon = frozenset(block.region for block in told if block.reason is Reason.EXPIRES_SOON and block.region)
    lines = [line for line in telling.notes(view, view.key, policy, soon) if line not in known] if view else []
    return Text("\n".join(f"note: {line}" for line in lines), style="yellow")


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _regions(view: View) -> Table:
    table = _table("Region", "role", "key state", "CURRENT", "pending", "imported", "first expiry")
    for region in sorted(
        view.members, key=lambda region: (view.primary is None or region != view.primary.region, region)
    ):
        seen = view.regions.get(region)
        table.add_row(region, *(_region_cells(seen, view.at) if seen else ("?", "not seen", "", "", "", "")))
    return table


def _region_cells(seen: RegionView, at: datetime) -> tuple[str, ...]:
    role = ("primary" if seen.is_primary else "replica") if seen.multi_region else "single"
    usable = sum(row.usable(at) for row in seen.rows)
    expiries = [row.valid_to for row in seen.rows if row.valid_to]
    return (
        role,
        str(seen.key_state),
        short(seen.current.material_id if seen.current else None),
        short(seen.pending.material_id) if seen.pending else "",
        f"{usable} of {len(seen.rows)}",
        telling.left(min(expiries), at) if expiries else "never" if any(row.imported for row in seen.rows) else "",
    )


def _materials(view: View) -> Table:
    table = _table("key material", "state", "since", "imported in", "store")
    others = len(view.members - frozenset(view.regions))
    unseen = f", {others} not seen" if others else ""
    for material in _ids(view):
        rows = [row for seen in view.regions.values() if (row := seen.row(material))]
        usable = sum(row.usable(view.at) for row in rows)
        since = next((f"{row.rotated_at:%Y-%m-%d}" for row in rows if row.rotated_at), "")
        where = f"{usable} of {goals.counted(len(view.regions), 'Region')}{unseen}"
        table.add_row(short(material), _WORDS[rows[0].state], since, where, _held(view, material))
    return table


def _ids(view: View) -> Iterable[MaterialId]:
    order = view.primary or next(iter(view.regions.values()))
    return dict.fromkeys(row.material_id for seen in (order, *view.regions.values()) for row in seen.rows)


def _held(view: View, material: MaterialId) -> str:
    entry = view.store.holding(material) if view.store else None
    if view.store is None:
        return "not looked at"
    if entry is None:
        unclear = any("link" in one.damage for one in view.store.entries if one.linked is None)
        return "not known, see below" if unclear else "LACKING"
    if entry.receipt is None:
        return "UNREADABLE, see below"
    return ", ".join(["held", *(["probe"] if entry.probe else []), *(["proven"] if entry.proven else [])])


def _wrong(view: View, policy: Policy) -> Text:
    """Name what a Region lacks, and where the config and KMS differ; nothing where all is well."""
    lacking = telling.lacking(view)
    unreadable = [
        f"the store cannot read {_named(entry)} back: {entry.told}"
        for entry in (view.store.entries if view.store else ())
        if entry.receipt is None
    ]
    listed = (step for step in checks.listed(view, policy) if isinstance(step, Block))
    drift = [message for message, _ in telling.alike((step.region or "", step.message, "") for step in listed)]
    damaged = [step.message for step in goals.damaged(view) if isinstance(step, Block)]
    return Text("\n".join((*lacking, *unreadable, *damaged, *drift)), style="red")


def _named(entry: Entry) -> str:
    """Name what an entry holds: its key material, where KMS has named that already."""
    return f"key material {short(entry.linked)}" if entry.linked else f"the entry {entry.name}"


def _failures(view: View, told: frozenset[Region] = frozenset()) -> list[Text]:
    """Say what could not be looked at, and what to do; what is the same in many Regions once.

    That the key is not in a Region is said already of those that are `told`.
    """
    found = telling.alike(
        (one.target, clean(f"{one.target}: {one.message}"), clean(one.hint))
        for one in view.failures.values()
        if not (one.not_found and one.target in told)
    )
    shown = [(Text(message, style="red"), *([_advice(hint)] if hint else [])) for message, hint in found]
    return [part for parts in shown for part in parts]


def plan(report: Report, planned: Plan | None, algorithm: str) -> RenderableType:
    """Show what would be done for one key: the calls in order, and the point of no return."""
    head = heading(report.job.name, str(report.job.key))
    if planned is None:
        return Group(head, ending(report))
    table = _table("#", "where", "call")
    stage = ""
    for number, (step, call) in enumerate(_numbered(planned, algorithm), 1):
        if step.stage != stage:
            stage = step.stage
            table.add_row("", Text(stage, style="cyan"), "")
        if step.point_of_no_return:
            table.add_row("", Text("-- point of no return", style="bold yellow"), Text(budget(report), style="yellow"))
        table.add_row(str(number), call.where, call.line)
    view, policy = report.view, report.job.policy
    actions = [step.action for step in planned.steps]
    why = [Text(telling.why(view, policy, actions))] if view and view.regions else []
    notes = [told] if (told := noted(view, policy, planned.end.blocks)) else []
    steps = [table] if planned.steps else []
    return Group(head, *notes, *why, *steps, blocks(planned.end.blocks))


def _numbered(planned: Plan, algorithm: str) -> Iterable[tuple[Planned, PlannedCall]]:
    return ((step, call) for step in planned.steps for call in calls(step.action, algorithm))


def budget(report: Report) -> str:
    """Say what a rotation costs."""
    used = spending.rotations_used(report.view) if report.view else 0
    left = spending.LIFETIME_ROTATIONS - used
    spent = "; this spends the `reserve`, as nothing unattended may" if left <= report.job.policy.reserve else ""
    return f"cannot be undone; {left} of {spending.LIFETIME_ROTATIONS} rotations left, {left - 1} after this one{spent}"


def ended(report: Report) -> RenderableType:
    """Show how the run of one key ended, under the key's name."""
    return Group(heading(report.job.name, str(report.job.key)), ending(report))


def ending(report: Report) -> RenderableType:
    """Say how the run of one key ended, and what to do next."""
    colour = {"finished": "green", "idle": "green", "blocked": "yellow"}.get(report.status, "red")
    line = Text.assemble((_word(report), colour), f"  {clean(report.message)}" if not report.blocks else "")
    told = noted(report.view, report.job.policy, report.blocks)
    notes = [told] if told and report.status != "finished" else []
    return Group(*notes, line, blocks(report.blocks), *_changes(report))


def _changes(report: Report) -> list[Text]:
    """Show what was changed, what somebody must look into first."""
    found = changed.sentences(changed.of(report))
    return [Text(line, style="yellow" if line.startswith("brought back") else "") for line in found]


def _word(report: Report) -> str:
    """Say how it ended; what was begun and only waits for the next run has not failed."""
    begun = report.blocks and all(block.reason is Reason.NOT_PROVEN for block in report.blocks)
    return "unfinished" if begun and report.status == "failed" else report.status


def blocks(found: Sequence[Block]) -> RenderableType:
    """Show what stands in the way, and the way out of each; what is the same in many Regions once."""
    told = telling.alike((block.region or "", clean(block.message), clean(block.way_out)) for block in found)
    return Group(*(part for message, way in told for part in (Text(message, style="yellow"), _advice(way))))


def _advice(way: str) -> Text:
    """Show what to do next on one line, however long: what is to be typed is not folded."""
    return Text.assemble(("  -> ", "dim"), way, no_wrap=True, overflow="ignore")
