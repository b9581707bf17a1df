"""What is predicted of an action, where no look at a simulated key is needed to know it (the plan shows these)."""

from dataclasses import replace

from core_building import (
    KEY,
    NOW,
    REGIONS,
    US,
    A,
    B,
    a_key,
    a_store,
    a_view,
    cannot_see,
    current,
    entry,
    first,
    name,
    pending,
)

from orchestrator import effects
from orchestrator.model import (
    STORE,
    DeletePendingMaterial,
    DepositMaterial,
    DiscardMaterial,
    MarkProven,
    ReinstateMaterial,
)

BEGUN = [current("a"), pending("b")]


def test_a_deposited_entry_can_be_read_from_now_on() -> None:
    """I1."""
    after = effects.after(a_view(), DepositMaterial(name()))

    assert after == a_view(None, first(), entry())


def test_deleted_pending_material_is_gone_in_every_region_and_nothing_else_is() -> None:
    """I5: KMS drops it in the replicas, too."""
    view = a_view(a_key(BEGUN), first(), entry("a", "b"))

    after = effects.after(view, DeletePendingMaterial(KEY, B, name()))

    assert after == a_view(a_key(), store=replace(a_store(first(), entry("a", "b")), withdrawn_at=NOW))


def test_a_mark_is_made_and_taken_back() -> None:
    """P9."""
    view = a_view(a_key(BEGUN), first(), entry("a", "b"))

    discarded = effects.after(view, DiscardMaterial(name(), NOW))

    assert discarded == a_view(a_key(BEGUN), first(), entry("a", "b", discarded_at=NOW))
    assert effects.after(discarded, ReinstateMaterial(name(), NOW)) == view


def test_what_is_proven_is_proven_in_these_regions_and_in_those_before() -> None:
    """P14: a Region that became a member later is added."""
    once = effects.after(a_view(None, first(proven=False)), MarkProven(name(None), A, (US,)))
    twice = effects.after(once, MarkProven(name(None), A, REGIONS[1:]))

    assert [held.proven_in for held in once.store.entries if once.store] == [frozenset({US})]  # type: ignore[union-attr]
    assert twice.store is not None
    assert [(held.proven, held.proven_in) for held in twice.store.entries] == [(True, frozenset(REGIONS))]


def test_nothing_is_predicted_of_a_store_that_was_not_seen() -> None:
    """What could not be seen cannot be predicted."""
    view = a_view(failures=[cannot_see(STORE)])

    assert effects.after(view, DiscardMaterial(name(), NOW)).store is None
