"""What pinning says when there is nothing to pin, to the word: a healthy key, one not due, one begun."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from core_building import (
    EU,
    KEY,
    NOW,
    POLICY,
    US,
    A,
    B,
    C,
    a_goal,
    a_key,
    a_view,
    cannot_see,
    current,
    days,
    entry,
    first,
    marked,
    material,
    name,
    past,
    pending,
)

from orchestrator import goals
from orchestrator.goals import Pinned
from orchestrator.model import STORE, Block, EntryName, Idle, Policy, Reason, View, Wait

PROVEN = (first(), entry("a", "b", **marked()))
ROTATED = [past("a"), current("b", rotated_at=days(-100), on_demand=True)]
LATELY = NOW - timedelta(hours=24) + timedelta(seconds=1)
LEFT = "rotated 2025-11-22, due 2026-11-22; 24 rotations left: until November 2049 at 365 days"


def moved(view: View) -> View:
    """The same key, named in the config by its member in another Region than the primary's."""
    return replace(view, key=KEY.within(EU))


SAID: dict[str, tuple[Callable[[], Pinned], Pinned]] = {
    "a healthy key": (
        lambda: goals.verified(a_view(a_key(ROTATED), *PROVEN), POLICY),
        Idle(f"healthy in every Region; {LEFT}"),
    ),
    "a key that is not due": (
        lambda: goals.whatever_is_due(a_view(a_key(ROTATED), *PROVEN), POLICY),
        Idle(f"nothing is due: {LEFT}"),
    ),
    "a key that was rotated already": (
        lambda: goals.rotate_now(a_view(a_key(ROTATED), *PROVEN), POLICY, A),
        Idle("aaaaaaaa was replaced already; CURRENT is bbbbbbbb"),
    ),
    "a material that the key never had": (
        lambda: goals.rotate_now(a_view(a_key(ROTATED), *PROVEN), POLICY, C),
        [
            Block(
                Reason.INCONSISTENT,
                f"cccccccc is not, and never was, CURRENT material of {KEY}",
                "see the ids with mrk status",
            )
        ],
    ),
    "a key that was rotated less than 24 h ago": (
        lambda: goals.rotate_now(
            a_view(
                a_key([past("a"), current("b", rotated_at=NOW - timedelta(hours=24) + timedelta(seconds=1))]), *PROVEN
            ),
            POLICY,
        ),
        [
            Block(
                Reason.RECENTLY_ROTATED,
                "this key was rotated at 2026-03-01 08:00 UTC, less than 1 day ago (`min_interval`)",
                f"if you want another one: mrk rotate NAME --replaces {B}",
            )
        ],
    ),
    "a key without material": (
        lambda: goals.verified(a_view(a_key([])), POLICY),
        [
            Block(
                Reason.NEVER_IMPORTED,
                f"{KEY} has no key material yet",
                "import its first key material, adopt that (mrk adopt NAME FILE), then run again",
                US,
            )
        ],
    ),
    "a rotation that is begun": (
        lambda: goals.verified(moved(a_view(a_key(ROTATED), first(), entry("a", "b"))), POLICY),
        [
            Block(
                Reason.NOT_PROVEN,
                "a rotation was begun, and is not finished and proven",
                "finish it: mrk run NAME, or mrk rotate NAME",
                EU,
                person=False,
            )
        ],
    ),
    "a key whose primary was not seen": (
        lambda: goals.verified(a_view(a_key(us=None)), POLICY),
        [Wait(Reason.LOOKING, f"looking at {US}", US, look=(US,))],
    ),
    "a key that nobody saw": (
        lambda: goals.verified(moved(a_view({})), POLICY),
        [Wait(Reason.LOOKING, f"looking at {EU}", EU, look=(EU,))],
    ),
    "a store that nobody saw": (
        lambda: goals.verified(a_view(failures=[cannot_see(STORE, transient=False)]), POLICY),
        [Block(Reason.ACCESS, "no answer from store", "mend the cause and run again", person=False)],
    ),
}


@pytest.mark.parametrize("case", SAID)
def test_what_is_not_pinned_is_said_with_all_that_follows(case: str) -> None:
    found, expected = SAID[case]
    pinned = found()
    assert (pinned if isinstance(pinned, Idle) else list(pinned)) == expected  # type: ignore[arg-type]


def test_a_goal_holds_what_was_seen_and_what_the_owner_wants() -> None:
    """P13: members and primary as seen; expiry to the second, as KMS keeps it; the deadline counts from now."""
    policy = Policy(expires=timedelta(days=90), deadline=timedelta(hours=1))
    view = a_view(at=NOW + timedelta(microseconds=7))

    expected = a_goal(policy=policy, valid_to=days(90), deadline=view.at + timedelta(hours=1))
    assert goals.rotate_now(view, policy) == expected


@pytest.mark.parametrize(
    ("used", "said"),
    [
        (23, "2 rotations left: until March 2028 at 365 days"),
        (24, "1 rotation left: until March 2027 at 365 days"),
        (25, "no rotations left"),
    ],
)
def test_the_budget_is_told_with_how_long_it_lasts(used: int, said: str) -> None:
    """The plan tells how long the rotations of a key will last."""
    older = [past(chr(ord("a") + number), on_demand=True) for number in range(used - 1)]
    view = a_view(a_key([*older, current("z", rotated_at=NOW, on_demand=True)]))

    assert goals.due_sentence(view, POLICY) == f"rotated 2026-03-02, due 2027-03-02; {said}"


def test_a_key_that_never_was_rotated_counts_from_its_oldest_member() -> None:
    """KMS keeps no RotationDate of the first material."""
    view = a_view(a_key(eu={"created_at": days(-365)}, us={"created_at": days(-10)}, ap={"created_at": days(-5)}))

    assert goals.due_at(view, POLICY) == NOW
    assert goals.due_sentence(view, POLICY) == (
        "never rotated, due today; 25 rotations left: until February 2050 at 365 days"
    )


def test_a_repair_of_current_that_the_store_lacks_names_the_entry_that_would_hold_it() -> None:
    """P3: under the material before it."""
    pinned = goals.as_it_stands(a_view(a_key(ROTATED), first()), POLICY)

    assert pinned == a_goal(entry=EntryName(KEY.identity, A))


@pytest.mark.parametrize(("of", "expected"), [(A, None), (B, A), (C, B), (material("d"), None)])
def test_the_material_before_another_is_the_one_that_kms_lists_before_it(of: str, expected: str | None) -> None:
    """ListKeyRotations: oldest first, pending last."""
    view = a_view(a_key([past("a"), current("b"), pending("c")]))

    assert goals.predecessor(view, material(of[0])) == expected
    assert goals.predecessor(a_view(a_key(us=None)), A) is None


@pytest.mark.parametrize(("written", "whole"), [("b" * 8, B), ("b" * 7, "b" * 7), ("e" * 8, "e" * 8)])
def test_an_id_may_be_shortened_to_8_digits_that_fit_one_alone(written: str, whole: str) -> None:
    """What messages show can be typed."""
    assert goals.full_id(a_view(a_key(ROTATED)), written) == whole  # type: ignore[arg-type]


def test_the_next_rotation_goes_on_with_what_is_pending_of_ours_and_else_with_the_first_attempt_that_is_left() -> None:
    """P2, P3."""
    begun = a_key([current("a"), pending("b")])
    tried = entry(discarded_at=NOW)

    assert goals.next_entry(a_view(begun, first(), tried, entry("a", "b", attempt=7))) == name(attempt=7)
    assert goals.next_entry(a_view(begun, first(), entry("a", "b", discarded_at=NOW))) == name(attempt=2)
    assert goals.next_entry(a_view(None, first(), tried)) == name(attempt=2)
