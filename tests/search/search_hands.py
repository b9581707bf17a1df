"""How things stand when a search begins, and what somebody else may do meanwhile."""

from search_world import Kept, Truth, import_new, keep, merged, pending_deleted, rotate

# ---- how things stand ---------------------------------------------------------------------------------------------


def begun(truth: Truth, *, regions: frozenset[int] = frozenset({0, 1, 2})) -> Truth:
    """A rotation was begun: `n` is in the store, linked and pending, and in these Regions."""
    truth = keep(truth, 0, Kept("a", "n", linked=True))
    held = tuple(held | {"n"} if region in regions else held for region, held in enumerate(truth.held))
    return truth._replace(held=held, pending="n")


def lacking(truth: Truth, region: int, material: str) -> Truth:
    """A Region has lost the bytes of a material."""
    held = tuple(held - {material} if number == region else held for number, held in enumerate(truth.held))
    return truth._replace(held=held)


def expired(truth: Truth, region: int, material: str) -> Truth:
    """A material has expired in a Region."""
    gone = tuple(gone | {material} if number == region else gone for number, gone in enumerate(truth.expired))
    return truth._replace(expired=gone)


def disabled(truth: Truth, region: int) -> Truth:
    """The owner has disabled the key in a Region."""
    return truth._replace(disabled=tuple(number == region for number in range(len(truth.disabled))))


def ending(truth: Truth, material: str) -> Truth:
    """A material expires soon, in every Region."""
    return truth._replace(ending=(frozenset({material}),) * len(truth.held))


# ---- what somebody else may do ------------------------------------------------------------------------------------


def rotates(truth: Truth) -> Truth | None:
    """Somebody calls RotateKeyOnDemand, where KMS accepts it."""
    after, said = rotate(truth, truth.primary)
    return after if said == "ok" and not truth.rotating else None


def deletes_pending(truth: Truth) -> Truth | None:
    """Somebody deletes the pending material on the primary."""
    return None if truth.pending is None else pending_deleted(truth)


def imports_foreign(truth: Truth) -> Truth | None:
    """Somebody imports new material of their own."""
    after, said = import_new(truth, truth.primary, "f")
    return after if said == "ok" and not truth.rotating else None


def disables(truth: Truth) -> Truth | None:
    """Somebody disables the last member of the key."""
    return None if truth.disabled[-1] else disabled(truth, len(truth.disabled) - 1)


def moves_the_primary(truth: Truth) -> Truth | None:
    """Somebody makes a replica the primary; pending material is carried over (U10)."""
    other = 1 - truth.primary
    if not truth.key_state(truth.primary) == truth.key_state(other) == "Enabled":
        return None
    if truth.answers.promotion_refused and truth.pending is not None:
        return None
    return truth._replace(primary=other)


def adds_a_member(truth: Truth) -> Truth | None:
    """Somebody replicates the key: the new replica has no key material."""
    if truth.key_state(truth.primary) != "Enabled" or len(truth.held) > 1:
        return None
    nothing: frozenset[str] = frozenset()
    return truth._replace(
        held=(*truth.held, nothing), expired=(*truth.expired, nothing), disabled=(*truth.disabled, False)
    )


def loses_a_member(truth: Truth) -> Truth | None:
    """The last replica is gone for good: its deletion was scheduled long ago."""
    if len(truth.held) < 2 or truth.primary == len(truth.held) - 1:
        return None
    return truth._replace(held=truth.held[:-1], expired=truth.expired[:-1], disabled=truth.disabled[:-1])


def replicates(truth: Truth) -> Truth | None:
    """Somebody makes one more replica by hand: it has no key material, and the owner does not list it."""
    if truth.key_state(truth.primary) != "Enabled" or len(truth.held) > 2:
        return None
    nothing: frozenset[str] = frozenset()
    return truth._replace(
        held=(*truth.held, nothing),
        expired=(*truth.expired, nothing),
        disabled=(*truth.disabled, False),
        ending=(*truth.ending, nothing) if truth.ending else (),
    )


def expires(truth: Truth) -> Truth | None:
    """What was soon to expire in the last member does."""
    last = len(truth.held) - 1
    if not truth.ending or not truth.ending[last]:
        return None
    gone = expired(truth, last, next(iter(sorted(truth.ending[last]))))
    return gone._replace(ending=(*truth.ending[:last], frozenset()))


def merges(truth: Truth) -> Truth | None:
    """Somebody completes the second store from a copy of the first one, where files are missing."""
    after = merged(truth, 1, 0)
    return None if after == truth else after


BY_HAND = ("somebody rotates by hand", rotates)
REPLICATED = ("somebody replicates by hand", replicates)
EXPIRES = ("material expires in the last member", expires)
MERGED = ("somebody completes a store from a copy of another", merges)
DELETED = ("somebody deletes the pending material", deletes_pending)
FOREIGN = ("somebody imports other new material", imports_foreign)
MOVED = ("somebody makes the replica the primary", moves_the_primary)
ADDED = ("somebody adds a replica", adds_a_member)
GONE = ("the last replica is deleted", loses_a_member)
DISABLED = ("somebody disables the last member", disables)
