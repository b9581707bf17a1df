"""What happens by itself as time passes; computed when somebody looks, since the simulator has no timers."""

from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256

from orchestrator.simulator.families import generated
from orchestrator.simulator.state import Holding, KeySet, Material, Member
from orchestrator.simulator.switches import Switches

DAY = 86400.0
NEVER = float("inf")


def material_id(key_id: str, content: bytes) -> str:
    """Return the id of these bytes in this key: 64 hex digits, the same in every Region.

    AWS does not publish its algorithm; this one is the simulator's own.
    """
    return sha256(b"simulated-key-material\0" + key_id.encode() + b"\0" + content).hexdigest()


def next_event(keys: KeySet, switches: Switches) -> float:
    """Return when something happens to this key by itself, or infinity."""
    return min(_times(keys, switches), default=NEVER)


def apply_events(keys: KeySet, at: float, switches: Switches) -> KeySet:
    """Return the key after everything that happens to it at that very time."""
    keys = _rotated(keys, at, switches)
    keys = _rotated_automatically(keys, at)
    keys = _swept(keys, at, switches)
    return _deleted(keys, at)


def complete_rotation(keys: KeySet, at: float, kind: str) -> KeySet:
    """Return the key with its pending material made current, in every Region at once."""
    pending = keys.pending
    if pending is None:
        return keys
    old = keys.current
    if old is not None:
        keys = keys.with_material(replace(old, state="NON_CURRENT"))
    promoted = replace(pending, state="CURRENT", permanent_since=at, rotated_at=at, rotation_type=kind)
    return replace(keys.with_material(promoted), rotation=None, rotations_done=keys.rotations_done + 1)


def accepted(keys: KeySet, at: float) -> KeySet:
    """Return the key with its pending material taken in by the open request, which completes no earlier than now."""
    rotation, pending = keys.rotation, keys.pending
    if rotation is None or pending is None:
        return keys
    keys = keys.with_material(replace(pending, accepted=True))
    return replace(keys, rotation=replace(rotation, due=max(rotation.due, at)))


def with_generated(keys: KeySet, at: float) -> KeySet:
    """Return a KMS-generated key with fresh pending material, held by every member."""
    content = generated(keys.spec)
    material = Material(id=material_id(keys.key_id, content), state="PENDING", added_at=at)
    members = {n: m.with_holding(material.id, Holding(content)) for n, m in keys.members.items()}
    return replace(keys.with_material(material), members=members)


def with_first_material(keys: KeySet, at: float) -> KeySet:
    """Return a fresh key with material that KMS generated, in use from the start."""
    made = complete_rotation(with_generated(keys, at), at, "")
    first = replace(made.materials[0], rotated_at=None, rotation_type=None)
    return replace(made.with_material(first), rotations_done=0)


def _times(keys: KeySet, switches: Switches) -> Iterator[float]:
    if keys.rotation is not None:
        yield keys.rotation.due if _accepted(keys) else keys.rotation.ends
    if keys.automatic is not None and _rotates_by_itself(keys):
        yield keys.automatic.next_at
    for member in keys.members.values():
        if member.deletion_at is not None:
            yield member.deletion_at
        yield from (when for _, when in _sweeps(keys, member, switches))


def _accepted(keys: KeySet) -> bool:
    """Tell whether the open request has something to rotate in."""
    return keys.pending is not None and keys.pending.accepted


def _rotates_by_itself(keys: KeySet) -> bool:
    """Tell whether automatic rotation goes on: not while the primary is disabled or being deleted."""
    primary = keys.members.get(keys.primary)
    return primary is not None and not primary.disabled and primary.deletion_window is None


def _sweeps(keys: KeySet, member: Member, switches: Switches) -> Iterator[tuple[str, float]]:
    if not keys.imported:
        return
    for material in keys.permanent:
        holding = member.holdings.get(material.id)
        if holding is not None and holding.valid_to is not None:
            since = max(holding.valid_to, material.permanent_since or 0.0)
            yield material.id, since + switches.expired_row_sweep_seconds


def _rotated(keys: KeySet, at: float, switches: Switches) -> KeySet:
    rotation = keys.rotation
    if rotation is None:
        return keys
    if _accepted(keys):
        return complete_rotation(keys, at, "ON_DEMAND") if rotation.due <= at else keys
    if rotation.ends > at:
        return keys
    refund = 1 if switches.evaporated_rotation == "free" else 0
    return replace(keys, rotation=None, rotations_spent=keys.rotations_spent - refund)


def _rotated_automatically(keys: KeySet, at: float) -> KeySet:
    automatic = keys.automatic
    if automatic is None or automatic.next_at > at or not _rotates_by_itself(keys):
        return keys
    if keys.rotation is None:
        keys = complete_rotation(with_generated(keys, at), at, "AUTOMATIC")
    return replace(keys, automatic=replace(automatic, next_at=at + automatic.period_days * DAY))


def _swept(keys: KeySet, at: float, switches: Switches) -> KeySet:
    for member in tuple(keys.members.values()):
        gone = [name for name, when in _sweeps(keys, member, switches) if when <= at]
        for name in gone:
            keys = keys.with_member(keys.members[member.region].with_holding(name, None))
    return keys


def _deleted(keys: KeySet, at: float) -> KeySet:
    for member in tuple(keys.members.values()):
        if member.deletion_at is not None and member.deletion_at <= at:
            keys = keys.without_member(member.region)
    primary = keys.members.get(keys.primary)
    waiting = primary is not None and primary.deletion_window is not None and primary.deletion_at is None
    if primary is None or not waiting or keys.replicas():
        return keys
    return keys.with_member(replace(primary, deletion_at=at + (primary.deletion_window or 0) * DAY))
