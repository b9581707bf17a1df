"""Identifiers, and predictions about what is not there: small values that everything else stands on."""

from dataclasses import replace

import pytest
from core_building import (
    AP,
    EU,
    KEY,
    NOW,
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
    seen,
)

from orchestrator.effects import after, material_of, outcome
from orchestrator.model import (
    STORE,
    AdoptMaterial,
    DepositMaterial,
    DiscardMaterial,
    ImportMaterial,
    ImportType,
    KeepProbe,
    KeyArn,
    MarkProven,
    ProveRegion,
    ReplicateKey,
    RotateOnDemand,
    name_of,
    short,
    touched,
)
from orchestrator.model.ids import is_alias, region_of

TEXT = "arn:aws:kms:us-east-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab"


def test_a_key_arn_is_parsed_once_and_written_as_it_was() -> None:
    """P3: the identity is what no Region changes."""
    arn = KeyArn.parse(TEXT)

    assert (arn, str(arn)) == (KEY, TEXT)
    assert arn.within(EU).identity == arn.identity
    assert str(arn.identity) == "aws/111122223333/mrk-1234abcd12ab34cd56ef1234567890ab"


@pytest.mark.parametrize(
    "text",
    [
        "alias/payments",
        "mrk-1234abcd12ab34cd56ef1234567890ab",
        "arn:aws:kms:us-east-1:111122223333:alias/payments",
        "arn:aws:kms:us-east-1:1111:key/mrk-1",
        "arn:aws:s3:us-east-1:111122223333:key/mrk-1",
        "arn:aws:kms:us-east-1:111122223333:key/../mrk-1",
        f"{TEXT}\n",
        "",
    ],
)
def test_what_is_no_key_arn_is_refused(text: str) -> None:
    """I9: with the shape that is wanted; a path cannot hide in it."""
    with pytest.raises(ValueError, match="arn:aws:kms:REGION:ACCOUNT:key/KEY-ID"):
        KeyArn.parse(text)


def test_an_alias_is_told_from_a_key_and_both_name_their_region() -> None:
    """I9: imports refuse aliases, so they are resolved first."""
    alias = "arn:aws:kms:eu-west-1:111122223333:alias/payments"

    assert (is_alias(alias), is_alias(TEXT)) == (True, False)
    assert (region_of(alias), region_of(TEXT)) == (EU, US)


def test_material_ids_are_shortened_for_people() -> None:
    """No id is "none", never an empty word."""
    assert (short(B), short(None)) == ("bbbbbbbb", "none")


TARGETS = [
    (DepositMaterial(name()), STORE),
    (AdoptMaterial(name(), "/somewhere"), STORE),
    (DiscardMaterial(name(), NOW), STORE),
    (ImportMaterial(KEY.within(EU), name(), ImportType.EXISTING, B, None), EU),
    (RotateOnDemand(KEY, B), US),
    (KeepProbe(KEY, name(), B), STORE),
    (ProveRegion(KEY.within(EU), B, ()), EU),
    (MarkProven(name(), B, (US, EU)), STORE),
]


@pytest.mark.parametrize(("action", "target"), TARGETS, ids=[action.kind for action, _ in TARGETS])
def test_every_action_names_what_must_be_looked_at_after_it(action: object, target: str) -> None:
    """I4: nothing that was changed is acted upon before it was looked at again."""
    assert action.target == target  # type: ignore[attr-defined]
    assert touched(action) == {target}  # type: ignore[arg-type]


def test_after_a_replica_was_made_the_primary_is_looked_at_as_well() -> None:
    """I4: its list of members has changed."""
    assert touched(ReplicateKey(KEY, EU)) == {EU, US}


def test_what_came_of_a_replica_of_one_primary_is_not_remembered_of_another() -> None:
    """The same Region, after the primary has moved."""
    assert name_of(ReplicateKey(KEY, EU)) == name_of(ReplicateKey(KEY, EU))
    assert name_of(ReplicateKey(KEY, EU)) != name_of(ReplicateKey(KEY.within(AP), EU))


def test_a_row_is_put_in_the_place_of_its_like_or_at_the_end() -> None:
    """A Region lists each material once."""
    view = seen(US, [current("a"), pending("b", imported=False)])

    assert view.with_row(pending("b")).rows == (current("a"), pending("b"))
    assert view.with_row(pending("c")).rows == (*view.rows, pending("c"))


# ---- predictions about what is not there ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "action",
    [
        KeepProbe(KEY, name(), A),
        MarkProven(name(), A, ()),
        DiscardMaterial(name(), NOW),
        ImportMaterial(KEY, name(), ImportType.EXISTING, B, None),
        RotateOnDemand(KEY, B),
        ProveRegion(KEY, A, ()),
    ],
    ids=lambda action: action.kind,
)
def test_an_action_without_its_object_is_predicted_to_change_nothing(action: object) -> None:
    """A prediction never invents an entry, a row or a rotation."""
    view = a_view()

    assert after(view, action) == view  # type: ignore[arg-type]


def test_nothing_is_predicted_of_a_store_that_was_not_seen() -> None:
    """What is not seen stays unseen."""
    view = a_view(failures=[cannot_see(STORE)])

    assert after(view, DepositMaterial(name())).store is None


def test_adopted_and_discarded_entries_are_predicted() -> None:
    """P1, P9: the entry is there with a receipt; then it has the mark, and its bytes all the same."""
    kept = after(a_view(), AdoptMaterial(name(), "/somewhere")).store
    assert kept is not None
    adopted = kept.get(name())
    assert adopted is not None
    assert adopted.receipt is not None

    gone = after(a_view(a_key(), store=kept), DiscardMaterial(name(), NOW)).store
    assert gone is not None
    assert gone.get(name()) == replace(adopted, discarded_at=NOW)
    assert gone.first_attempt(name()) == name(attempt=2)


def test_a_link_once_made_is_predicted_to_stay() -> None:
    """P2: another import of the same bytes changes no link."""
    view = a_view(a_key([*a_key()[US].rows, pending("b")]), first(), entry("a", "b"))
    again = ImportMaterial(KEY, name(), ImportType.EXISTING, B, None)

    assert after(view, again).store == view.store


def test_outcomes_are_predicted_as_done() -> None:
    """The plan supposes success; only KMS can tell the id of new material."""
    assert material_of(DepositMaterial(name())) is None
    assert outcome(ProveRegion(KEY, B, (), (), (A,))).skipped == (A,)
    assert outcome(ImportMaterial(KEY, name(), ImportType.NEW, None, None)).material_id == "new"


def test_a_store_finds_entries_by_name_and_by_what_they_hold() -> None:
    """P2, P3: no material is held by an entry without a link."""
    store = a_store(first(), entry("a"))

    assert store.get(name()) == entry("a")
    assert store.holding(A) == first()
    assert store.holding(B) is None
    assert store.holding(None) is None


def test_a_single_region_key_is_its_own_primary() -> None:
    """The same words for keys without relatives."""
    alone = seen(US, members=frozenset({US}), multi_region=False)

    assert alone.is_primary
    assert a_view({US: alone}).replicas == ()
    assert a_view({}).members == {US}
