"""What a person reads: one condition has one sentence, bad news comes in time, and nothing is told that is not so."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
import typer.main
from core_building import (
    AP,
    EU,
    KEY,
    NOW,
    POLICY,
    REGIONS,
    US,
    A,
    B,
    a_goal,
    a_key,
    a_run,
    a_store,
    a_view,
    cannot_see,
    current,
    days,
    entry,
    first,
    marked,
    past,
    pending,
)
from rich.console import Console

from orchestrator import checks, goals, kinds, spending
from orchestrator.durations import spoken
from orchestrator.model import (
    Block,
    EntryName,
    ImportMaterial,
    ImportType,
    MissingOld,
    Policy,
    Purpose,
    Reason,
    Region,
    ReplicateKey,
    RotateOnDemand,
    View,
)
from orchestrator.plan import predict
from orchestrator.progress import Job, Report, in_good_order, told
from orchestrator.report import changed, documents, tables, telling
from orchestrator.report.story import Story
from workflows.adopt import pinned as adopted
from workflows.cli.app import app
from workflows.jobs import up_to
from workflows.rotate import ROTATE
from workflows.verify import judged


def shown(part: Any, width: int = 80) -> str:
    console = Console(file=StringIO(), width=width)
    console.print(part)
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    return text


# ---- help ---------------------------------------------------------------------------------------------------------


def commands(found: Any, name: str = "mrk") -> Iterator[tuple[str, Any]]:
    yield name, found
    for inner, command in getattr(found, "commands", {}).items():
        yield from commands(command, f"{name} {inner}")


EVERY = dict(commands(typer.main.get_command(app)))


@pytest.mark.parametrize("command", EVERY.values(), ids=EVERY)
def test_no_summary_in_the_help_is_cut_off_at_80_columns(command: Any) -> None:
    context = command.make_context("mrk", [], resilient_parsing=True, terminal_width=80, max_content_width=80)
    lines = context.get_help().splitlines()

    assert lines
    assert not [line for line in lines if line.endswith(("...", "…")) and not line.startswith("Usage")]


# ---- keys that are none of mrk's ----------------------------------------------------------------------------------

KINDS: Mapping[str, tuple[dict[str, Any], Reason, bool]] = {
    "KMS makes it": ({"origin": "AWS_KMS"}, Reason.NOT_EXTERNAL, True),
    "KMS makes an RSA key": ({"origin": "AWS_KMS", "key_spec": "RSA_2048"}, Reason.NOT_EXTERNAL, False),
    "a CloudHSM cluster": ({"origin": "AWS_CLOUDHSM"}, Reason.NOT_EXTERNAL, False),
    "an external key store": ({"origin": "EXTERNAL_KEY_STORE"}, Reason.NOT_EXTERNAL, False),
    "an origin that is not known yet": ({"origin": "MOON"}, Reason.NOT_EXTERNAL, False),
    "an imported HMAC key": ({"key_spec": "HMAC_256"}, Reason.NOT_SYMMETRIC, False),
    "an imported RSA key": ({"key_spec": "RSA_2048"}, Reason.NOT_SYMMETRIC, False),
}
every_kind = pytest.mark.parametrize(("differs", "reason", "by_kms"), KINDS.values(), ids=KINDS)


def of_kind(differs: Mapping[str, Any], members: tuple[Any, ...]) -> View:
    key = a_key([], regions=members)
    return a_view({region: replace(seen, **differs) for region, seen in key.items()})


@every_kind
@pytest.mark.parametrize("members", [(US,), REGIONS], ids=["single-Region", "multi-Region"])
def test_every_command_says_the_same_of_a_key_that_mrk_cannot_rotate(
    differs: dict[str, Any], reason: Reason, members: tuple[Any, ...], *, by_kms: bool
) -> None:
    """And advises nothing that AWS refuses: KMS itself rotates only what it made, and only symmetric keys."""
    view = of_kind(differs, members)
    pins = [
        adopted(view, POLICY, None),
        judged(view, POLICY),
        goals.whatever_is_due(view, POLICY),
        goals.rotate_now(view, POLICY),
        goals.as_it_stands(view, POLICY),
    ]

    for found in pins:
        assert isinstance(found, list)
        blocks = [step for step in found if isinstance(step, Block) and step.reason is not Reason.MATERIAL_MISSING]
        assert [(block.reason, block.region) for block in blocks] == [(reason, US)]
        assert ("rotate-key-on-demand" in blocks[0].way_out) is by_kms
        assert "take it out of the config" in blocks[0].way_out


@every_kind
def test_status_counts_no_rotations_of_a_key_that_mrk_cannot_rotate(
    differs: dict[str, Any], reason: Reason, *, by_kms: bool
) -> None:
    view = of_kind(differs, (US,))
    report = Report(Job("orders", KEY, POLICY, (), lambda _: []), "finished", "located", "", view=view)

    text = shown(tables.status("orders", view, POLICY))
    (block,) = kinds.right_kind(view)
    assert isinstance(block, Block)
    assert block.reason is reason
    assert "left" not in text
    assert " ".join(block.message.split()[:3]) in " ".join(text.split())
    assert ("rotate-key-on-demand" in text) is by_kms
    document = documents.status(report)
    assert (document["due"], document["rotations_left"], document["notes"]) == (None, None, [])


# ---- what is alike ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ([("eu", "eu is off", "on")] * 4, ["eu is off"]),
        ([("eu", "eu is off", "on"), ("us", "us is off", "on"), ("us", "us is off", "on")], ["eu is off (and in us)"]),
        (
            [("", f"it needs {id_ * 8}", f"bring {id_ * 64}") for id_ in "abc"],
            ["it needs aaaaaaaa (and 2 more key materials)"],
        ),
        (
            [(where, f"{where} lacks {id_ * 8}", "repair") for where in ("eu", "us") for id_ in "ab"],
            ["eu lacks aaaaaaaa (and 1 more key material, and in us)"],
        ),
        ([(f"r{n}", f"r{n} is off", "on") for n in range(9)], ["r0 is off (and in 8 more Regions)"]),
        ([("eu", "eu is off", "on"), ("us", "us is on", "off")], ["eu is off", "us is on"]),
    ],
    ids=["the same", "Regions", "key materials", "both", "many Regions", "nothing"],
)
def test_what_is_alike_is_told_once(found: list[tuple[str, str, str]], said: list[str]) -> None:
    assert [message for message, _ in telling.alike(found)] == said


def test_25_lacking_materials_are_one_line_and_its_command() -> None:
    letters = "abcdefghijklmnopqrstuvwxy"
    hexes = [f"{number:02x}" * 32 for number in range(25)]
    blocks = [
        Block(Reason.STORE_LACKS, f"the key needs {id_[:8]}", f"mrk adopt NAME FILE --material-id {id_}")
        for id_ in hexes
    ]

    assert len(shown(tables.blocks(blocks), 160).splitlines()) == 2
    rows = [past(letter, imported=False) for letter in letters[:-1]] + [current("y", imported=False)]
    dead = "the key encrypts and decrypts nothing there"
    assert telling.lacking(a_view(a_key(rows))) == [f"every Region lacks 25 key materials: {dead}"]
    assert telling.lacking(a_view(a_key(eu=[current("a", imported=False)]))) == [
        f"eu-west-1 lacks key material aaaaaaaa: {dead}"
    ]


# ---- plans --------------------------------------------------------------------------------------------------------

LOST = current("a", imported=False)


def an_import(region: Any, purpose: Purpose) -> ImportMaterial:
    return ImportMaterial(KEY.within(region), EntryName(KEY.identity, None), ImportType.EXISTING, A, None, purpose)


def restoring(*regions: Any) -> list[ImportMaterial]:
    return [an_import(region, Purpose.RESTORE) for region in regions]


@pytest.mark.parametrize(
    ("key", "actions", "said"),
    [
        (a_key(), [an_import(US, Purpose.IDENTIFY)], ""),
        (a_key(eu=[LOST]), [an_import(EU, Purpose.RESTORE)], "eu-west-1 lacks key material; "),
        (
            a_key(eu=[LOST], ap=[LOST]),
            [an_import(region, Purpose.RESTORE) for region in (AP, EU)],
            "ap-southeast-2, eu-west-1 lack key material; ",
        ),
        (
            a_key([LOST]),
            [an_import(region, Purpose.RESTORE) for region in REGIONS],
            "every Region lacks key material; ",
        ),
        (
            a_key(regions=(US, EU)),
            [ReplicateKey(KEY, AP), an_import(AP, Purpose.FILL)],
            "ap-southeast-2 has no replica yet; ",
        ),
        (a_key([current("a", valid_to=days(9))]), [an_import(US, Purpose.RENEW)], "key material expires in 9 days; "),
    ],
    ids=["an adoption", "one Region", "two Regions", "every Region", "a new replica", "a renewal"],
)
def test_a_plan_says_why_there_is_work_and_nothing_that_is_not_so(key: Any, actions: Any, said: str) -> None:
    view = a_view(key)

    assert telling.why(view, POLICY, actions) == said + goals.due_sentence(view, POLICY)


def test_a_stop_before_the_rotation_says_that_the_next_run_rotates() -> None:
    """And where it stops after the rotation, or before anything, it does not."""
    for stage, goes_on in {
        "healthy": False,
        "deposited": True,
        "ready": True,
        "rotated": False,
        "settled": False,
    }.items():
        job = Job("payments", KEY, POLICY, up_to(ROTATE, stage), lambda _: [])
        assert ("rotates" in in_good_order(job, a_run())) is goes_on, stage


def test_status_says_that_the_next_run_rotates_and_whose_the_pending_material_is() -> None:
    key = a_key([current("a"), pending("b")])
    ours, theirs = a_view(key, first(), entry("a", "b")), a_view(key, first())

    assert "the next `mrk run` makes it CURRENT" in telling.why(ours, POLICY)
    assert "not known to be of this store" in telling.why(theirs, POLICY)
    assert "CURRENT" not in telling.why(replace(ours, store=None), POLICY), "nobody has looked there"


# ---- a colleague's rotation ---------------------------------------------------------------------------------------

ROTATED_BY_ANOTHER = a_view(a_key([past("a"), current("b")]), first())


def test_a_colleagues_rotation_has_one_sentence_whoever_asks() -> None:
    """On a quiet night, when it is due, by verify, and by a rotation that is asked for."""
    quiet, due = Policy(rotate_every=timedelta(days=3000)), Policy(rotate_every=timedelta(days=1))
    told_blocks = set()
    for policy in (quiet, due):
        for pin in (goals.whatever_is_due, goals.rotate_now, judged):
            found = pin(ROTATED_BY_ANOTHER, policy)
            if isinstance(found, list | tuple):
                told_blocks |= {step for step in found if isinstance(step, Block)}
            else:
                end = predict(ROTATE, ROTATED_BY_ANOTHER, a_run(found), NOW).end  # type: ignore[arg-type]
                told_blocks |= set(end.blocks)

    assert [(block.reason, block.region) for block in told_blocks] == [(Reason.FOREIGN_CURRENT, US)]


def test_it_is_told_where_missing_material_is_allowed_too() -> None:
    allowed = Policy(missing_old=MissingOld.ALLOW, rotate_every=timedelta(days=3000))

    assert isinstance(goals.whatever_is_due(ROTATED_BY_ANOTHER, allowed), goals.Idle)
    assert any("somebody else rotated" in note for note in telling.notes(ROTATED_BY_ANOTHER, KEY, allowed))
    assert any("stays dead" in note for note in telling.notes(a_view(store=a_store()), KEY, allowed))
    assert not telling.notes(ROTATED_BY_ANOTHER, KEY, Policy()), "there it blocks"


def test_a_first_material_that_was_never_adopted_is_nobodys_rotation() -> None:
    found = goals.whatever_is_due(a_view(store=a_store()), Policy(rotate_every=timedelta(days=3000)))

    assert isinstance(found, list)
    assert [step.reason for step in found if isinstance(step, Block)] == [Reason.STORE_LACKS]


# ---- the budget ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("used", "reserve", "warned"),
    [
        (19, 2, False),
        (20, 2, True),
        (22, 2, True),
        (23, 2, True),
        (25, 2, True),
        (21, 0, False),
        (22, 0, True),
        (16, 5, False),
        (17, 5, True),
    ],
)
def test_the_end_of_the_rotations_is_told_in_time(used: int, reserve: int, *, warned: bool) -> None:
    """In status, run, plan, verify, the hook and every document: they all tell the notes."""
    rows = [past(f"{number:c}", on_demand=True) for number in range(0x100, 0x100 + used)]
    view, policy = a_view(a_key([*rows, current("a")])), Policy(reserve=reserve)
    report = Report(Job("payments", KEY, policy, (), lambda _: []), "idle", "located", "", view=view)

    assert bool(spending.few_left(view, policy)) is warned
    for document in (documents.report(report), documents.status(report), documents.plan(report, None, "")):
        assert bool(document["notes"]) is warned
    assert ("rotations are left" in " ".join(shown(tables.ended(report)).split())) is warned
    assert ("rotations are left" in " ".join(shown(tables.status("payments", view, policy)).split())) is warned


# ---- what was done ------------------------------------------------------------------------------------------------


def renewal(region: Any, valid_to: Any = None) -> ImportMaterial:
    return replace(an_import(region, Purpose.RENEW), valid_to=valid_to)


def test_what_is_told_as_a_block_is_no_note_beside_it() -> None:
    view = a_view(a_key(regions=(US,), us={"skew": timedelta(days=6)}))
    (note,) = telling.notes(view, KEY, POLICY)
    block = Block(Reason.CLOCK, note, "set it", US, person=False)
    report = Report(Job("payments", KEY, POLICY, (), lambda _: []), "failed", "located", note, (block,), view)

    assert " ".join(shown(tables.ended(report), 200).split()).count(note) == 1


def test_an_expiry_that_is_told_as_a_block_is_no_note_beside_it() -> None:
    policy = replace(POLICY, expires=None)
    view = a_view(a_key([current("a", valid_to=days(3))]))
    found = [step for step in checks.materials_usable(view, policy) if isinstance(step, Block)]
    report = Report(Job("payments", KEY, policy, (), lambda _: []), "blocked", "located", "", tuple(found), view)

    assert "note:" in shown(tables.noted(view, policy))
    assert "note:" not in shown(tables.ended(report), 200)


def test_where_nothing_is_left_no_expiry_is_told() -> None:
    lost = shown(tables.status("payments", a_view(a_key([current("a", imported=False)])), POLICY), 200)

    assert "never " not in lost.split("key material")[0]


def test_a_region_that_only_the_config_lists_is_told_once() -> None:
    listed = replace(POLICY, regions=frozenset({*REGIONS, Region("sa-east-1")}))
    told = shown(tables.status("payments", a_view(failures=[cannot_see("sa-east-1", not_found=True)]), listed), 200)

    assert told.count("sa-east-1") == 1


def test_nobody_is_sent_to_a_repair_that_would_refuse() -> None:
    """Key material expired, and `expires` is not set: a look says so as the repair does."""
    policy = replace(POLICY, expires=None)
    gone = entry(None, "a", valid_to=days(-1), **marked(*REGIONS))
    view = a_view(a_key([current("a", imported=False)]), store=a_store(gone))
    looks = [*judged(view, policy), *checks.materials_usable(view, policy)]
    found = [step for step in looks if isinstance(step, Block) and step.reason is Reason.MATERIAL_MISSING]

    assert found
    assert all("expired there" in block.message and "`expires: never`" in block.way_out for block in found)


def test_what_was_renewed_elsewhere_is_told_with_what_was_not() -> None:
    off = Block(Reason.DISABLED, "the key in eu-west-1 is Disabled", "enable it", EU)
    job = Job("payments", KEY, POLICY, (), lambda _: [])

    message = told(job, a_run(), [off, off], [renewal(US), renewal(AP)])

    assert message.endswith("; renewed key material in ap-southeast-2, us-east-1")


def test_what_was_imported_is_told_with_its_end() -> None:
    done = [renewal(US, days(9)), renewal(EU, days(9))]

    assert [one["valid_to"] for one in changed.documents(changed.changes(done))] == [
        f"{days(9):%Y-%m-%dT%H:%M:%SZ}"
    ] * 2
    assert [one["valid_to"] for one in changed.documents(changed.changes([renewal(US)]))] == ["never"]
    assert f"{days(9):%Y-%m-%d}" in changed.sentences(changed.changes(done))[0]


def pinned_to(**data: Any) -> str:
    event = {"seq": 1, "at": "2026-03-02T08:00:00Z", "kind": "run.pinned", "key": "k", "region": US, "data": data}
    return Story().told([event]).keys["k"].steps[0].detail


def test_a_journal_names_a_material_to_replace_only_where_it_may_be_replaced() -> None:
    entry_name = str(EntryName(KEY.identity, A))

    assert pinned_to(replaces=A, entry=entry_name).startswith("to replace aaaaaaaa")
    for data in ({"replaces": None}, {"replaces": None, "renewing": True}, {"replaces": None, "aborting": True}):
        assert "to replace" not in pinned_to(entry=entry_name, **data)


@pytest.mark.parametrize(("replaced", "at"), [("b", "b"), ("a", None)])
def test_a_result_names_a_material_to_replace_only_where_it_was_current(replaced: str, at: str | None) -> None:
    """A repair's goal names what CURRENT replaced long ago."""
    view = a_view(a_key([past("a"), current("b")]), first(), entry("a", "b", **marked()))
    job = Job("payments", KEY, POLICY, (), lambda _: [])
    report = Report(job, "finished", "done", "", view=view, run=a_run(a_goal(replaced)))

    assert documents.report(report)["replaces"] == (B if at else None)
    rotated = replace(report, done=(RotateOnDemand(KEY, B),), run=a_run(a_goal("a"), rotation_sent=NOW))
    assert documents.report(rotated)["replaces"] == A


@pytest.mark.parametrize(
    ("time", "said"),
    [
        (timedelta(seconds=1800), "30 min"),
        (timedelta(seconds=90), "1 min 30 s"),
        (timedelta(seconds=20), "20 s"),
        (timedelta(hours=1, minutes=30), "1 h 30 min"),
        (timedelta(days=1), "1 day"),
        (timedelta(days=90), "90 days"),
        (timedelta(milliseconds=200), "200 ms"),
        (timedelta(), "0 s"),
    ],
)
def test_time_is_told_as_people_say_it(time: timedelta, said: str) -> None:
    assert spoken(time) == said
