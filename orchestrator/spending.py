"""What is left of the 25 rotations that KMS gives a key for life, and who may spend them. Pure."""

from orchestrator.model import Block, Policy, Reason, Step, View

LIFETIME_ROTATIONS = 25
"""On-demand rotations of one key, for life; not adjustable. AWS KMS resource quotas."""

FEW = 3
"""So many rotations before the `reserve`, or the end, it is told that they are few: years, at one a year."""


def rotations_used(view: View) -> int:
    """Count the on-demand rotations that KMS lists; no API tells what is left."""
    return max((sum(row.on_demand for row in seen.rows) for seen in view.regions.values()), default=0)


def few_left(view: View, policy: Policy) -> str:
    """Say in time that the rotations of a key come to their end: a new key and the move to it want planning."""
    left = LIFETIME_ROTATIONS - rotations_used(view)
    free = max(left - policy.reserve, 0)
    if free > FEW:
        return ""
    person = f", the last {min(left, policy.reserve)} by a person alone (`reserve`)" if policy.reserve and left else ""
    return f"{left} of {LIFETIME_ROTATIONS} rotations are left to this key, for life{person}: plan a new key"


def budget(view: View) -> list[Step]:
    """One of 25 rotations for life must be left."""
    if rotations_used(view) < LIFETIME_ROTATIONS:
        return []
    message = f"all {LIFETIME_ROTATIONS} on-demand rotations of this key are used up, for life"
    return [Block(Reason.BUDGET_SPENT, message, "make a new key and move its users")]


def reserved(view: View, policy: Policy) -> list[Step]:
    """The last rotations are spent by a person only, who was told so."""
    left = LIFETIME_ROTATIONS - rotations_used(view)
    if policy.attended or not 0 < left <= policy.reserve:
        return []
    message = f"{left} of {LIFETIME_ROTATIONS} rotations left: nothing unattended spends the last {policy.reserve}"
    way = "rotate it yourself, on a terminal and without --yes: mrk rotate NAME; or lower `reserve`"
    return [Block(Reason.RESERVED, message, way)]
