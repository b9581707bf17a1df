"""Rotate: new key material into the primary, the same bytes into every replica, judged once more, made CURRENT."""

from collections.abc import Sequence

from orchestrator.goals import full_id
from orchestrator.model import Block, MaterialId, Reason, Run, Stage, Step, View, short
from orchestrator.settling import proven, settled
from orchestrator.stages import deposited, healthy, primary_imported, ready, replicas_imported, rotated

ROTATE = (healthy, deposited, primary_imported, replicas_imported, ready, rotated, settled, proven)


def replaced_at_the_end(material: MaterialId) -> Stage:
    """Return the stage after all others where a person named what to replace."""

    def replaced(view: View, run: Run) -> Sequence[Step]:  # noqa: ARG001 - a stage
        """Say that what was named is CURRENT still: a run finishes what is unfinished, and does no more."""
        if view.current is None or view.current.material_id != full_id(view, material):
            return []
        named = short(view.current.material_id)
        message = f"an earlier rotation was finished first: {named} is CURRENT by it, and was not replaced yet"
        way = f"run again: mrk rotate NAME --replaces {view.current.material_id}"
        return [Block(Reason.NOT_PROVEN, message, way, person=False)]

    return replaced
