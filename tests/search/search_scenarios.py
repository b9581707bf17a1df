"""What is searched: the plain rotation with every kind of fault, other workflows, and people that are in the way."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from search_calls import Rules
from search_hands import (
    ADDED,
    BY_HAND,
    DELETED,
    DISABLED,
    EXPIRES,
    FOREIGN,
    GONE,
    MERGED,
    MOVED,
    REPLICATED,
    begun,
    disabled,
    ending,
    expired,
    lacking,
)
from search_moves import Budget, Hand, Kind, Scenario
from search_world import Answers, Kept, Truth, a_key, keep

from orchestrator.model import MissingOld, Policy, Proof, Region, Repair
from orchestrator.spending import LIFETIME_ROTATIONS


def a_policy(looks: int = 1, proof: Proof = Proof.OFF) -> Policy:
    """A policy without a deadline: a crash at any moment stands for it."""
    return Policy(looks=looks, proof=proof, deadline=timedelta(days=3000))


# ---- what is searched ---------------------------------------------------------------------------------------------

NEVER = Rules(may_rotate=False)


def plain(replicas: int, budget: Budget, policy: Policy | None = None, *, every_run: bool = False) -> Scenario:
    """A key in good order, and two runs with one store."""
    faults = [f"{count} {name}" for name, count in budget._asdict().items() if count]
    name = f"1 + {replicas}: {', '.join(faults) or 'no fault'}"
    return Scenario(name, a_key(replicas), budget, policy or a_policy(), every_run=every_run)


def refused(
    name: str, truth: Truth, why: str, budget: Budget, rules: Rules = NEVER, policy: Policy | None = None
) -> Scenario:
    """A key that must not be rotated as it stands."""
    return Scenario(name, truth, budget, policy or a_policy(), rules, blocks=frozenset({why}))


def meddled(name: str, hand: tuple[str, Hand], budget: Budget, *blocks: str) -> Scenario:
    """Somebody else does something by hand, at any moment."""
    rules = Rules(hands_off=hand is BY_HAND, may_misjudge=hand is DELETED)
    reasons = frozenset({"recently-rotated", *blocks})
    return Scenario(name, a_key(1), budget._replace(hands=1), a_policy(), rules, (hand,), blocks=reasons)


def refusals(budget: Budget) -> list[Scenario]:
    """Keys in a state that KMS would rotate all the same, and others."""
    old = a_key(1, past="z")
    not_into_1 = Rules(may_rotate=False, may_import=frozenset({0}))
    half = begun(a_key(1), regions=frozenset({0}))
    last = replace(a_policy(), reserve=LIFETIME_ROTATIONS)
    return [
        refused("only rotations that are a person's are left", a_key(1), "budget-reserved", budget, NEVER, last),
        refused("foreign material is pending", a_key(1, pending="f"), "foreign-pending", budget),
        refused("foreign material is pending everywhere", foreign_everywhere(), "foreign-pending", budget),
        refused("a replica lacks CURRENT", lacking(a_key(1), 1, "a"), "material-missing", budget),
        refused("a replica lacks old material", lacking(old, 1, "z"), "material-missing", budget),
        refused("old material expired in a replica", expired(old, 1, "z"), "material-missing", budget),
        refused("begun, and a replica lacks old material", lacking(begun(old), 1, "z"), "material-missing", budget),
        refused("begun, and old material has expired", expired(begun(old), 1, "z"), "material-missing", budget),
        refused("a replica is Disabled", disabled(a_key(1), 1), "disabled", budget, not_into_1),
        refused("half begun, and a replica is Disabled", disabled(half, 1), "disabled", budget, not_into_1),
        refused("begun, and a replica is Disabled", disabled(begun(a_key(1)), 1), "disabled", budget, not_into_1),
    ]


def meddling(budget: Budget) -> list[Scenario]:
    """People in the way of a rotation, and a run with another store."""
    two_stores = frozenset({"recently-rotated", "foreign-pending", "foreign-current", "store-lacks"})
    return [
        meddled("somebody rotates by hand", BY_HAND, budget),
        meddled(DELETED[0], DELETED, budget, "pending-vanished", "material-missing", "foreign-pending"),
        meddled(FOREIGN[0], FOREIGN, budget, "foreign-pending"),
        meddled(DISABLED[0], DISABLED, budget, "disabled"),
        Scenario("two stores", a_key(1, stores=2), budget, a_policy(), stores=(0, 1), blocks=two_stores),
        Scenario("pending material expired in a replica", expired(begun(a_key(1)), 1, "n"), budget, a_policy()),
    ]


def regrouped(budget: Budget) -> list[Scenario]:
    """The members of the key, or their parts, change at any moment (P13): a run stops, and the next one follows."""
    one = budget._replace(hands=1)
    hands = Rules(hands_off=False)
    return [
        Scenario(MOVED[0], a_key(1), one, a_policy(), hands, (MOVED,)),
        Scenario(f"begun, and {MOVED[0]}", begun(a_key(1)), one, a_policy(), hands, (MOVED,)),
        Scenario(ADDED[0], a_key(0), one, a_policy(), hands, (ADDED,), blocks=LACKING, more=1),
        Scenario(f"begun, and {ADDED[0]}", begun(a_key(0)), one, a_policy(), hands, (ADDED,), blocks=LACKING, more=1),
    ]


def lost(budget: Budget) -> list[Scenario]:
    """A member is lost at any moment: a run that knew it stops, and the next one goes on without it (P13).

    While the primary names it still, a Region that lacks the key is told, and needs a person.
    """
    one, hands, told = (
        budget._replace(hands=1),
        Rules(hands_off=False),
        frozenset({"recently-rotated", "region-lacking"}),
    )
    half = begun(a_key(1), regions=frozenset({0}))
    return [
        Scenario(GONE[0], a_key(1), one, a_policy(), hands, (GONE,), blocks=told),
        Scenario(f"begun, and {GONE[0]}", half, one, a_policy(), hands, (GONE,), blocks=told),
        Scenario(f"one of two: {GONE[0]}", a_key(2), one, a_policy(), hands, (GONE,), blocks=told),
    ]


def answered(budget: Budget) -> list[Scenario]:
    """What nothing public settles, answered the other way."""
    asked = {
        "promotion_refused": regrouped(budget)[:2],
        "replica_rows_stay": [plain(1, budget), aborts(budget)[3]],
        "disabled_stays": [meddling(budget)[3]],
        "rotation_refused": [plain(1, budget), meddling(budget)[0], aborts(budget)[4]],
    }
    found = []
    for answer, scenarios in asked.items():
        for usual in scenarios:
            truth = usual.truth._replace(answers=Answers(**{answer: True}))
            found.append(replace(usual, name=f"{answer}: {usual.name}", truth=truth))
    half = disabled(begun(a_key(1), regions=frozenset({0})), 1)._replace(answers=Answers(disabled_stays=True))
    not_into_1 = Rules(may_rotate=False, may_import=frozenset({0}))
    return [*found, refused("disabled_stays: half begun", half, "disabled", budget, not_into_1)]


LACKING = frozenset({"recently-rotated", "material-missing"})


def foreign_everywhere() -> Truth:
    """Foreign material is pending, and KMS would rotate it in."""
    truth = a_key(1, pending="f")
    return truth._replace(held=tuple(held | {"f"} for held in truth.held))


def aborted(name: str, truth: Truth, budget: Budget, *hands: tuple[str, Hand]) -> Scenario:
    """One run rotates, or goes on, while the other gives up what is begun (P9)."""
    rules = Rules(hands_off=not hands)
    reasons = frozenset({"recently-rotated", "attempt-discarded", "foreign-pending", "pending-vanished", "rotated-in"})
    reasons |= {"material-missing"} if hands else frozenset()  # a deletion may cross a rotation that was begun by hand
    budget = budget._replace(quarters=1, hands=len(hands))
    return Scenario(
        name, truth, budget, a_policy(1 + budget.late), rules, hands, blocks=reasons, kinds=("rotate", "abort")
    )


def withdrawals(budget: Budget) -> list[Scenario]:
    """Material that somebody else imported is given up: what the store knows of it is when it was withdrawn (P6)."""
    name, of_others = "abort of foreign material", frozenset({"foreign-current", "store-lacks", "inconsistent"})
    found = [
        aborted(name, foreign_everywhere(), budget),
        aborted(f"{name} while somebody rotates it by hand", foreign_everywhere(), budget, BY_HAND),
    ]
    return [replace(one, named="f", blocks=one.blocks | of_others) for one in found]


def aborts(budget: Budget) -> list[Scenario]:
    """What may be given up, at any moment of a rotation."""
    return [
        aborted("abort beside a rotation, 1 + 0", a_key(0), budget),
        aborted("abort beside a rotation, 1 + 1", a_key(1), budget),
        aborted("abort of what was deposited", keep(a_key(1), 0, Kept("a", "n")), budget),
        aborted("abort of what is pending", begun(a_key(1)), budget),
        aborted("abort while somebody rotates by hand", begun(a_key(1)), budget, BY_HAND),
    ]


def three(replicas: int, budget: Budget, last: Kind = "rotate") -> Scenario:
    """Three runs at once, of which the last may be another workflow."""
    usual = plain(replicas, budget)
    name = "three rotations" if last == "rotate" else f"two rotations and {last}"
    usual = aborted(usual.name, a_key(replicas), budget) if last == "abort" else usual
    return replace(usual, name=f"{name}, {usual.name}", kinds=("rotate", "rotate", last))


def healed(name: str, truth: Truth, budget: Budget, *kinds: Kind, blocks: frozenset[str] = frozenset()) -> Scenario:
    """A repair, a renewal, or what cron calls, beside a rotation or another of its kind."""
    lasting = replace(a_policy(), repair=Repair.AUTO, expires=timedelta(days=300), renew_before=timedelta(days=30))
    reasons = frozenset({"recently-rotated", *blocks})
    return Scenario(name, truth, budget, lasting, Rules(heals=True), kinds=kinds, blocks=reasons)


def healing(budget: Budget) -> list[Scenario]:
    """What else mrk does to a key, at any moment of a rotation (P10)."""
    old, missing = a_key(1, past="z"), frozenset({"material-missing"})
    return [
        healed("repair beside a rotation", lacking(a_key(1), 1, "a"), budget, "rotate", "repair", blocks=missing),
        healed(
            "repair beside one that was begun", lacking(begun(old), 1, "z"), budget, "rotate", "repair", blocks=missing
        ),
        healed("repair of the primary", lacking(old, 0, "z"), budget, "rotate", "repair", blocks=missing),
        healed("two repairs", lacking(expired(old, 0, "z"), 1, "a"), budget, "repair", "repair"),
        healed("renewal beside a rotation", ending(a_key(1), "a"), budget, "rotate", "renew"),
        healed("two renewals", ending(old, "z"), budget, "renew", "renew"),
        healed("what cron calls, twice", ending(lacking(old, 1, "a"), "z"), budget, "run", "run"),
        healed("what cron calls, beside a repair", lacking(a_key(1), 1, "a"), budget, "repair", "run"),
        healed("what cron calls, beside a rotation", ending(a_key(1), "a"), budget, "rotate", "run"),
    ]


SILENCE = frozenset({"cannot-look"})
LISTED = (Region("us-east-1"), Region("eu-west-1"), Region("eu-west-2"))


def alive(
    name: str, truth: Truth, budget: Budget, *hands: tuple[str, Hand], listed: int = 2, blocks: str = "", **how: Any
) -> Scenario:
    """What cron calls, beside a renewal or a repair: each Region that the owner lists is kept alive by itself (I11)."""
    lasting = replace(
        a_policy(),
        repair=Repair.AUTO,
        expires=timedelta(days=300),
        renew_before=timedelta(days=30),
        regions=frozenset(LISTED[:listed]),
    )
    budget = budget._replace(hands=len(hands))
    rules, reasons = Rules(heals=True, hands_off=not hands), frozenset({"recently-rotated", *blocks.split()})
    kinds: tuple[Kind, ...] = how.pop("kinds", ("run", "renew"))
    return Scenario(name, truth, budget, lasting, rules, hands, kinds=kinds, blocks=reasons, **how)


def odd_elsewhere(budget: Budget) -> list[Scenario]:
    """Something is not as the config says in one place, or does not answer, and material ends or lacks in another."""
    soon, old = ending(a_key(1), "a"), a_key(1, past="z")
    leaving = ending(a_key(2), "a")._replace(deleting=frozenset({2}))
    return [
        alive(REPLICATED[0], soon, budget, REPLICATED, blocks="region-unlisted", more=1),
        alive("a listed Region that KMS lacks", soon, budget, listed=3, blocks="region-lacking", more=1),
        alive("a Region that leaves early", leaving, budget, fails=frozenset({"region-unlisted"})),
        alive("foreign material is pending", ending(foreign_everywhere(), "a"), budget, blocks="foreign-pending"),
        alive("a replica does not answer", soon._replace(silent=frozenset({1})), budget, fails=SILENCE),
        alive("the primary does not answer", soon._replace(silent=frozenset({0})), budget, fails=SILENCE),
        alive(
            "the primary does not answer, and a replica lacks material",
            lacking(old, 1, "z")._replace(silent=frozenset({0})),
            budget,
            kinds=("run", "repair"),
            fails=SILENCE,
        ),
        alive(
            "a replica does not answer, and the primary lacks material",
            lacking(old, 0, "a")._replace(silent=frozenset({1})),
            budget,
            kinds=("run", "repair"),
            fails=SILENCE,
        ),
        alive(
            "the owner disables a member, and its material expires",
            soon,
            budget,
            DISABLED,
            EXPIRES,
            kinds=("run", "run"),
            blocks="disabled material-missing switched-off",
        ),
    ]


def scripted(budget: Budget) -> list[Scenario]:
    """A planned script imported everywhere, was killed, and noted no link; its rotation is sent, or is under way."""
    unlinked = keep(begun(a_key(1)), 0, Kept("a", "n"))
    rules = Rules(hands_off=False)
    return [
        Scenario("a script was killed while its rotation runs", unlinked._replace(rotating=True), budget, a_policy()),
        replace(meddled("what a script imported is rotated by hand", BY_HAND, budget), truth=unlinked, rules=rules),
    ]


def unheld(proof: Proof, repair: Repair, budget: Budget, replicas: int = 1) -> Scenario:
    """The store lacks what the key had before, as its owner allows; the primary may lag behind its replicas (I15)."""
    truth = a_key(replicas)._replace(stores=((),))
    policy = replace(a_policy(1, proof), missing_old=MissingOld.ALLOW, repair=repair)
    faults = ", ".join(f"{count} {name}" for name, count in budget._asdict().items() if count)
    return Scenario(f"unheld, proof {proof}, repair {repair}: {faults}", truth, budget, policy)


def copies(budget: Budget) -> Scenario:
    """Two copies of a store, and somebody merges them: what one says of bytes is not true of the other's (I12)."""
    reasons = "recently-rotated foreign-pending foreign-current store-lacks other-bytes"
    rules = Rules(hands_off=False)
    truth = a_key(1, stores=2)
    budget = budget._replace(hands=1)
    return Scenario(
        MERGED[0], truth, budget, a_policy(), rules, (MERGED,), stores=(0, 1), blocks=frozenset(reasons.split())
    )


NO_FAULT = Budget(0, 0, 0, 0)
EVERYTHING = Budget()
ONE_CRASH, ONE_LOST, ONE_LATE = Budget(1, 0, 0, 0), Budget(0, 1, 0, 0), Budget(0, 0, 1, 0)

_DELETED = meddled(DELETED[0], DELETED, ONE_LOST, "pending-vanished", "material-missing", "foreign-pending")
REFUSED_ONCE = replace(_DELETED, name="KMS refused the bytes once", rules=replace(_DELETED.rules, may_misjudge=False))
"""KMS refuses the bytes of pending material that was deleted; the same bytes are then imported anew."""

SLOW_LOOK = plain(0, Budget(0, 0, 0, 0, slow=1), a_policy(2, Proof.IDS_ONLY))
"""A look at the primary is overtaken by one at the store."""


def by_one(scenarios: list[Scenario]) -> list[Scenario]:
    """The same with one run in place of two."""
    return [replace(one, name=f"one run: {one.name}", kinds=one.kinds[:1]) for one in scenarios]


QUICK: Mapping[Scenario, int] = {
    plain(0, Budget(1, 1, 1, 0), a_policy(2, Proof.IDS_ONLY), every_run=True): 80_000,
    plain(1, ONE_CRASH): 32_000,
    plain(1, ONE_LOST): 34_000,
    three(0, NO_FAULT): 100_000,
    three(0, NO_FAULT, "repair"): 60_000,
    **dict.fromkeys(refusals(EVERYTHING), 10),
    **dict.fromkeys(by_one([plain(2, Budget(1, 1, 1, 1)), *meddling(ONE_LOST), *regrouped(ONE_LOST)]), 75),
    **dict.fromkeys(aborts(NO_FAULT)[:4], 4_000),
    **dict.fromkeys(withdrawals(NO_FAULT), 180),
    **dict.fromkeys(lost(NO_FAULT)[1:2], 5_000),
    **dict.fromkeys(healing(NO_FAULT)[:-1], 380),
    **dict.fromkeys([*odd_elsewhere(NO_FAULT)[:-1], *by_one(odd_elsewhere(NO_FAULT)[-1:])], 90),
    **dict.fromkeys(by_one([unheld(proof, repair, ONE_LATE) for proof in Proof for repair in Repair]), 100),
    copies(NO_FAULT): 500,
    **dict.fromkeys(scripted(NO_FAULT), 2_900),
}
"""What every test run searches, in half a minute on one core, and how many states that are at the least."""

DEEP: Mapping[Scenario, int] = {
    **QUICK,
    plain(0, EVERYTHING, a_policy(2, Proof.IDS_ONLY), every_run=True): 220_000,
    plain(0, Budget(2, 1, 1, 1), a_policy(3, Proof.FULL), every_run=True): 600_000,
    plain(1, EVERYTHING, a_policy(1, Proof.IDS_ONLY)): 450_000,
    plain(1, ONE_LATE): 85_000,
    plain(1, Budget(1, 1, 0, 1)): 260_000,
    plain(1, Budget(1, 0, 1, 0)): 35_000,
    plain(1, Budget(0, 0, 2, 1), a_policy(2)): 225_000,
    plain(2, ONE_CRASH): 195_000,
    plain(2, ONE_LOST): 65_000,
    plain(2, ONE_LATE): 180_000,
    plain(2, Budget(1, 1, 0, 1)): 675_000,
    plain(2, Budget(1, 0, 1, 0)): 450_000,
    plain(2, Budget(0, 1, 1, 0)): 450_000,
    plain(2, NO_FAULT, a_policy(2, Proof.IDS_ONLY)): 90_000,
    three(0, ONE_CRASH): 135_000,
    three(0, ONE_LOST): 225_000,
    three(0, ONE_LATE): 45_000,
    three(1, NO_FAULT): 450_000,
    three(0, NO_FAULT, "abort"): 1_800_000,
    REFUSED_ONCE: 10_000,
    **dict.fromkeys(meddling(NO_FAULT), 1_000),
    **dict.fromkeys(meddling(Budget(1, 1, 0, 1)), 10_000),
    **dict.fromkeys(meddling(ONE_LATE), 5_000),
    **dict.fromkeys(aborts(NO_FAULT), 4_000),
    **dict.fromkeys(aborts(Budget(1, 1, 0, 0)), 30_000),
    **dict.fromkeys(aborts(ONE_LATE), 25_000),
    **dict.fromkeys(withdrawals(Budget(1, 1, 0, 0)), 300),
    **dict.fromkeys(regrouped(NO_FAULT), 500),
    **dict.fromkeys(regrouped(Budget(1, 1, 0, 1)), 5_000),
    **dict.fromkeys(lost(NO_FAULT), 5_000),
    **dict.fromkeys(lost(ONE_CRASH)[1:2], 5_000),
    **dict.fromkeys(lost(ONE_LOST)[1:2], 5_000),
    **dict.fromkeys(healing(NO_FAULT), 380),
    **dict.fromkeys(healing(Budget(1, 1, 0, 0)), 1_000),
    **dict.fromkeys(healing(ONE_LATE), 1_000),
    **dict.fromkeys(answered(Budget(1, 0, 0, 0)), 10),
    **dict.fromkeys(answered(Budget(0, 1, 0, 0)), 10),
    odd_elsewhere(NO_FAULT)[-1]: 500_000,
    **dict.fromkeys(odd_elsewhere(Budget(1, 0, 0, 0))[:-1], 110),
    **dict.fromkeys(odd_elsewhere(ONE_LATE)[:-1], 145),
    **dict.fromkeys([unheld(proof, repair, ONE_LATE) for proof in Proof for repair in Repair], 1_000),
    **dict.fromkeys([unheld(proof, Repair.AUTO, Budget(1, 0, 1, 1), 0) for proof in Proof], 1_000),
    copies(Budget(1, 0, 0, 0)): 1_000,
    copies(ONE_LATE): 1_000,
    **dict.fromkeys(scripted(ONE_LATE), 9_800),
    **dict.fromkeys(scripted(Budget(1, 1, 0, 0)), 6_700),
}
"""What `bench/search.py` searches, two at once, each with up to 4 GB of memory."""
