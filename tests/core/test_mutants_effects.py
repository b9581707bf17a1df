"""What is predicted of an action, where no look at a simulated key is needed to know it (the plan shows these)."""

from dataclasses import replace
from datetime import datetime

import pytest
from core_building import (
    AP,
    EU,
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
    days,
    entry,
    first,
    name,
    past,
    pending,
)

from orchestrator import effects
from orchestrator.model import (
    STORE,
    Action,
    DeletePendingMaterial,
    DepositMaterial,
    DiscardMaterial,
    ImportMaterial,
    ImportType,
    KeyState,
    MarkProven,
    MaterialRow,
    MaterialState,
    Outcome,
    Proof,
    ProveRegion,
    Region,
    ReinstateMaterial,
    ReplicateKey,
    Result,
    RotateOnDemand,
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

    assert after == a_view(
        a_key(), store=replace(a_store(first(), entry("a", "b")), withdrawn_at=NOW, withdrawn=frozenset({B}))
    )


def test_a_mark_is_made_and_taken_back() -> None:
    """P9."""
    view = a_view(a_key(BEGUN), first(), entry("a", "b"))

    discarded = effects.after(view, DiscardMaterial(name(), NOW))

    assert discarded == a_view(a_key(BEGUN), first(), entry("a", "b", discarded_at=NOW))
    assert effects.after(discarded, ReinstateMaterial(name(), NOW)) == view


def test_what_is_proven_is_proven_in_these_regions_and_in_those_before() -> None:
    """P14: a Region that became a member later is added."""
    once = effects.after(a_view(None, first(proofs={})), MarkProven(name(None), A, (US,), Proof.FULL))
    twice = effects.after(once, MarkProven(name(None), A, REGIONS, Proof.IDS_ONLY))

    assert [held.proofs for held in once.store.entries if once.store] == [{US: Proof.FULL}]  # type: ignore[union-attr]
    assert twice.store is not None
    others = dict.fromkeys(REGIONS[1:], Proof.IDS_ONLY)
    assert [held.proofs for held in twice.store.entries] == [{US: Proof.FULL, **others}]


@pytest.mark.parametrize(
    "action",
    [
        DiscardMaterial(name(), NOW),
        DeletePendingMaterial(KEY, B, name()),
        MarkProven(name(), B, REGIONS),
        ImportMaterial(KEY, name(), ImportType.EXISTING, B, None),
    ],
)
def test_nothing_is_predicted_of_a_store_that_was_not_seen(action: Action) -> None:
    """What could not be seen cannot be predicted."""
    view = a_view(a_key(BEGUN), failures=[cannot_see(STORE)])

    assert effects.after(view, action).store is None


# ---- key material -------------------------------------------------------------------------------------------------

WAITING, READY = MaterialState.PENDING_REPLICAS, MaterialState.PENDING_ROTATION


def new(state: MaterialState, *, imported: bool, valid_to: datetime | None = None) -> MaterialRow:
    return MaterialRow(effects.NEW_ID, state, imported, valid_to)


def test_new_material_is_pending_has_a_slot_in_every_replica_and_is_linked() -> None:
    view = a_view(None, first(), entry())

    after = effects.after(view, ImportMaterial(KEY, name(), ImportType.NEW, None, days(9)))

    rows = {region: seen.rows for region, seen in after.regions.items()}
    waiting = (current("a"), new(WAITING, imported=False))
    assert rows == {US: (current("a"), new(WAITING, imported=True, valid_to=days(9))), EU: waiting, AP: waiting}
    assert after.store == a_store(first(), replace(entry(), linked=effects.NEW_ID))


def test_new_material_of_a_key_without_replicas_is_ready_at_once() -> None:
    view = a_view(a_key(regions=[US]), first(), entry())

    after = effects.after(view, ImportMaterial(KEY, name(), ImportType.NEW, None, None))

    assert after.regions[US].rows == (current("a"), new(READY, imported=True))


def test_the_first_material_of_a_key_is_current_at_once_and_opens_it() -> None:
    view = a_view(a_key([], regions=[US], us={"key_state": KeyState.PENDING_IMPORT}), entry(None))

    after = effects.after(view, ImportMaterial(KEY, name(None), ImportType.NEW, None, days(9)))

    assert after.regions[US].rows == (new(MaterialState.CURRENT, imported=True, valid_to=days(9)),)
    assert after.regions[US].key_state is KeyState.ENABLED


def test_the_last_region_makes_pending_material_ready_everywhere() -> None:
    slot = pending("b", imported=False, ready=False)
    held = pending("b", ready=False)
    view = a_view(a_key([current("a"), slot], us=[current("a"), held]), first(), entry("a", "b"))
    into_eu, into_ap = (ImportMaterial(KEY.within(r), name(), ImportType.EXISTING, B, days(9)) for r in (EU, AP))

    half = effects.after(view, into_eu)
    whole = effects.after(half, into_ap)

    assert {seen.rows[1].state for seen in half.regions.values()} == {WAITING}
    assert half.regions[EU].rows[1] == pending("b", ready=False, valid_to=days(9))
    assert {seen.rows[1].state for seen in whole.regions.values()} == {READY}
    assert whole.store == view.store


def test_a_region_that_does_not_list_the_material_yet_is_left_as_it_is() -> None:
    """A replica lists it late: until then it is not everywhere."""
    slot = pending("b", imported=False, ready=False)
    view = a_view(a_key([current("a"), slot], ap=[current("a")]), first(), entry("a", "b"))

    after = effects.after(view, ImportMaterial(KEY.within(EU), name(), ImportType.EXISTING, B, None))

    assert after.regions[AP] == view.regions[AP]
    assert after.regions[EU].rows == (current("a"), pending("b", ready=False))


@pytest.mark.parametrize(
    ("rows", "opens"),
    [
        ([past("a"), current("b", imported=False)], True),
        ([past("a", imported=False), current("b", imported=False)], False),
        ([past("a", valid_to=days(-1)), current("b", imported=False)], False),
    ],
)
def test_a_region_opens_when_it_has_all_that_it_needs(rows: list[MaterialRow], *, opens: bool) -> None:
    lacking = {"rows": rows, "key_state": KeyState.PENDING_IMPORT}
    view = a_view(a_key([past("a"), current("b")], eu=lacking), first(), entry("a", "b"))

    after = effects.after(view, ImportMaterial(KEY.within(EU), name(), ImportType.EXISTING, B, days(9)))

    assert after.regions[EU].rows == (rows[0], current("b", valid_to=days(9)))
    assert (after.regions[EU].key_state is KeyState.ENABLED) is opens


def test_the_word_of_kms_links_an_entry_in_whatever_region() -> None:
    """P2: KMS compares the bytes with the id everywhere."""
    view = a_view(a_key(BEGUN), first(), entry())
    on_a_replica = ImportMaterial(KEY.within(EU), name(), ImportType.EXISTING, B, None)

    assert effects.after(view, on_a_replica).store == a_store(first(), entry("a", "b"))
    assert effects.after(view, replace(on_a_replica, arn=KEY)).store == a_store(first(), entry("a", "b"))


def test_a_link_stays_and_what_is_not_there_is_not_linked() -> None:
    proof = ImportMaterial(KEY, name(), ImportType.EXISTING, B, None)
    linked = a_view(a_key(BEGUN), first(), entry("a", "c"))
    empty = a_view(a_key(BEGUN), first())

    assert effects.after(linked, proof).store == linked.store
    assert effects.after(empty, proof).store == empty.store


def test_material_that_a_region_does_not_list_changes_nothing() -> None:
    view = a_view()

    assert effects.after(view, ImportMaterial(KEY, name(), ImportType.EXISTING, B, None)) == view


def test_a_rotation_makes_what_is_pending_current_from_now_on_in_every_region() -> None:
    after = effects.after(a_view(a_key(BEGUN)), RotateOnDemand(KEY, B))

    rotated = (past("a"), current("b", rotated_at=NOW, on_demand=True))
    assert {seen.rows for seen in after.regions.values()} == {rotated}
    assert effects.after(a_view(), RotateOnDemand(KEY, B)) == a_view()


def test_a_new_replica_is_a_member_that_lists_everything_and_holds_nothing() -> None:
    """P11."""
    sa = Region("sa-east-1")
    primary = {"rotation_started_at": NOW, "told_at": NOW, "rows": [past("a", valid_to=days(9)), current("b")]}
    nowhere, elsewhere = cannot_see(sa, not_found=True), cannot_see(STORE)
    view = a_view(a_key([past("a"), current("b")], us=primary), failures=[nowhere, elsewhere])

    after = effects.after(view, ReplicateKey(KEY, sa))

    replica = after.regions[sa]
    assert (replica.arn, replica.key_state, replica.created_at) == (KEY.within(sa), KeyState.PENDING_IMPORT, NOW)
    assert replica.rows == (past("a", imported=False), current("b", imported=False))
    assert (replica.rotation_started_at, replica.told_at) == (None, None)
    assert {seen.members for seen in after.regions.values()} == {frozenset({*REGIONS, sa})}
    assert dict(after.failures) == {STORE: elsewhere}


def test_a_proof_changes_nothing_and_is_told_with_what_it_could_not_try() -> None:
    """P14."""
    proof = ProveRegion(KEY, B, (name(),), (B,), (A,))

    assert effects.after(a_view(), proof) == a_view()
    assert effects.outcome(proof) == Outcome(Result.DONE, material_id=B, skipped=(A,))
