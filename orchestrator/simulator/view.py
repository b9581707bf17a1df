"""A key as one Region sees it at one moment: its state, and which material is ready, missing or expired."""

from dataclasses import dataclass

from orchestrator.simulator.errors import invalid_state
from orchestrator.simulator.specs import ALGORITHMS
from orchestrator.simulator.state import Holding, KeySet, Material, Member
from orchestrator.simulator.switches import Switches

PENDING_DELETION = "PendingDeletion"
PENDING_REPLICA_DELETION = "PendingReplicaDeletion"


@dataclass(frozen=True, slots=True)
class KeyView:
    """One Region's part of a key, judged at one time."""

    keys: KeySet
    member: Member
    at: float
    switches: Switches

    @property
    def arn(self) -> str:
        """Return the arn in this Region."""
        return self.keys.arn(self.member.region)

    @property
    def algorithms(self) -> tuple[str, ...]:
        """Return the algorithms that the key's spec and usage allow."""
        return ALGORITHMS[self.keys.spec][self.keys.usage]

    @property
    def is_primary(self) -> bool:
        """Tell whether this Region holds the primary (true for a single-Region key)."""
        return self.member.region == self.keys.primary

    @property
    def is_replica(self) -> bool:
        """Tell whether this is a multi-Region replica."""
        return not self.is_primary

    @property
    def state(self) -> str:
        """Return the KeyState."""
        member = self.member
        if member.deletion_window is not None:
            return PENDING_REPLICA_DELETION if member.deletion_at is None else PENDING_DELETION
        if self.at < member.creating_until:
            return "Creating"
        if self.at < member.updating_until:
            return "Updating"
        return self.standing

    @property
    def standing(self) -> str:
        """Return the KeyState beneath a passing one: Enabled, Disabled or PendingImport."""
        disabled_wins = self.switches.loss_while_disabled == "Disabled" and self.keys.permanent
        if self.member.disabled and (disabled_wins or self.complete):
            return "Disabled"
        return "Enabled" if self.complete else "PendingImport"

    @property
    def complete(self) -> bool:
        """Tell whether every permanent material is here and not expired."""
        return bool(self.keys.permanent) and all(self.usable(m) for m in self.keys.permanent)

    @property
    def in_use(self) -> tuple[str, bytes]:
        """Return the id and the bytes of the current material; KMSInvalidStateException unless it is usable."""
        current = self.keys.current
        holding = None if current is None else self.holding(current)
        if current is None or holding is None or not holding.usable(self.at):
            raise invalid_state(f"{self.arn} is pending import.")
        return current.id, holding.content

    def holding(self, material: Material) -> Holding | None:
        """Return this Region's bytes of the material."""
        return self.member.holdings.get(material.id)

    def usable(self, material: Material) -> bool:
        """Tell whether this Region can use the material now."""
        holding = self.holding(material)
        return holding is not None and holding.usable(self.at)

    @property
    def awaited_members(self) -> tuple[str, ...]:
        """Return the Regions that still lack the pending material and must have it before a rotation.

        The primary is among them where it was promoted from a replica that lacked it.
        """
        pending = self.keys.pending
        if pending is None:
            return ()
        lacking = (member for member in self.keys.members.values() if not member.holds(pending.id))
        return tuple(member.region for member in lacking if self._must_hold(member, pending))

    def _must_hold(self, member: Member, pending: Material) -> bool:
        switches = self.switches
        if member.region == self.keys.primary:
            return True
        if switches.disabled_replica == "ignored" and member.disabled:
            return False
        if switches.replica_deleting_while_pending == "ignored" and member.deletion_window is not None:
            return False
        return not (switches.replica_added_while_pending == "ignored" and member.created > pending.added_at)

    @property
    def ready_to_rotate(self) -> bool:
        """Tell whether every member has the pending material, or its rotation is accepted, as far as is known here."""
        pending = self.keys.pending
        if pending is None:
            return False
        if pending.accepted or (pending.was_ready and self.switches.replica_loses_pending == "stays"):
            return True
        alone = self.keys.multi_region and not self.keys.replicas()
        if alone and self.switches.new_without_replicas == "waits":
            return False
        return not self.awaited_members

    def material_state(self, material: Material) -> str:
        """Return the KeyMaterialState of a row."""
        if material.state != "PENDING":
            return material.state
        if not self.ready_to_rotate:
            return "PENDING_MULTI_REGION_IMPORT_AND_ROTATION"
        return self.switches.replica_row_when_ready if self.is_replica else "PENDING_ROTATION"
