"""`mrk plan --script`, run for real: it keeps the rules of mrk, whatever is lost, planted or changed meanwhile."""

import base64
import json
import os
import re
import signal
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from e2e.by_script import CHANGING, TWO, ByHand
from e2e.machine import Machine
from leaks import found_in
from orchestrator.ports import WrappingAlgorithm
from orchestrator.simulator import Call
from orchestrator.wrapping import wrap

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]
PRIMARY, REPLICA = TWO


@pytest.fixture
def due(machine: Machine) -> ByHand:
    """A key of two Regions, adopted, whose rotation is due."""
    machine.past.days = 100
    arn, material = machine.make_key_quickly(TWO)
    machine.past.days = 0
    machine.run("mrk", "store", "init")
    machine.run("mrk", "adopt", "payments", str(material))
    by_hand = ByHand(machine, arn, material.read_bytes())
    material.unlink()
    machine.simulator.calls.clear()
    return by_hand


def want(due: ByHand, **settings: str) -> None:
    """Set something for the key."""
    due.machine.write_config(payments=due.machine.keys["payments"] | settings)


@pytest.mark.parametrize(("shell", "expires"), [("dash", "never"), ("bash", "60d")])
def test_a_script_rotates_as_it_was_planned_and_mrk_finishes_that(due: ByHand, shell: str, expires: str) -> None:
    """New material goes into the store under the name that mrk itself would give it (I1, I7)."""
    want(due, expires=expires)

    code, out, err = due.run(due.plan(), shell)

    assert (code, err) == (0, "")
    assert "mrk run payments" in out
    due.assert_rotated_once()
    assert due.sent("RotateKeyOnDemand") == [("RotateKeyOnDemand", PRIMARY)]
    due.assert_finished_by_mrk()


SURROUNDINGS = {
    "AWS_ENDPOINT_URL_KMS": "",
    "http_proxy": "http://127.0.0.1:9",
    "ALL_PROXY": "http://127.0.0.1:9",
    "AWS_DEFAULT_OUTPUT": "table",
    "AWS_USE_FIPS_ENDPOINT": "true",
    "AWS_MAX_ATTEMPTS": "7",
    "CDPATH": "/var",
    "TZ": "Asia/Tokyo",
    "LC_ALL": "C.UTF-8",
}
AWS_CONFIG = """[default]
endpoint_url = http://127.0.0.1:9
cli_timestamp_format = iso8601
output = text
max_attempts = 9
"""


def test_what_surrounds_a_script_neither_leads_it_elsewhere_nor_changes_what_it_reads(due: ByHand) -> None:
    """P12: every call names the endpoint that was planned, whatever a profile says; times are told in two ways."""
    want(due, expires="60d")
    script = due.plan()
    (due.machine.directory / "no-aws-config").write_text(AWS_CONFIG)

    code, _, err = due.run(script, **SURROUNDINGS)

    assert (code, err) == (0, "")
    due.assert_rotated_once()


ELSEWHERE = [
    {"AWS_ENDPOINT_URL_KMS": "http://127.0.0.1:9"},
    {"AWS_ENDPOINT_URL_KMS": "", "AWS_ENDPOINT_URL": "http://127.0.0.1:9"},
    {"AWS_ENDPOINT_URL_KMS": "https://user:secret@kms.us-east-1.amazonaws.com"},
]


@pytest.mark.parametrize("environment", ELSEWHERE)
def test_a_script_is_run_only_where_its_plan_was_made(due: ByHand, environment: dict[str, str]) -> None:
    """P12: whoever means another KMS than was planned must not reach this one either; exit 4 before any call."""
    script = due.plan()
    due.machine.simulator.calls.clear()

    code, _, err = due.run(script, **environment)

    assert code == 4
    assert "names another endpoint than this plan was made for" in err
    assert "secret" not in err
    assert len(due.machine.simulator.calls) == 0


@pytest.mark.parametrize("seconds", [90_000, -3600])
def test_a_plan_that_is_old_or_of_another_time_is_not_carried_out(due: ByHand, seconds: int) -> None:
    """What it judged, such as what expires, may not hold any more."""
    script = due.plan()
    due.tool("date", 'test "$1" = +%s || exec "$REAL" "$@"', f'echo "$(($($REAL +%s) + {seconds}))"')
    due.machine.simulator.calls.clear()

    code, _, err = due.run(script)

    assert code == 4
    assert "this plan" in err
    assert len(due.machine.simulator.calls) == 0


LOST = {
    "the answer": {"drop": "after"},
    "an error, and yet accepted": {"error": "KMSInternalException", "status": 500, "after_effect": True},
}


@pytest.mark.parametrize("fault", LOST.values(), ids=LOST)
def test_a_rotation_whose_answer_is_lost_is_sent_once_and_looked_for(due: ByHand, fault: dict[str, Any]) -> None:
    """I4: the aws command sends again what was not answered, five times by itself; here, never."""
    due.machine.simulator.faults.add(operation="RotateKeyOnDemand", **fault)

    code, _, err = due.run(due.plan(), AWS_MAX_ATTEMPTS="5", AWS_RETRY_MODE="standard")

    assert code == 0
    assert "not sent again" in err
    assert due.sent("RotateKeyOnDemand") == [("RotateKeyOnDemand", PRIMARY)]
    due.assert_finished_by_mrk()


NEVER = {
    "no connection": {"drop": "before"},
    "throttled": {"error": "ThrottlingException"},
}


@pytest.mark.parametrize("operation", ["RotateKeyOnDemand", "ImportKeyMaterial"])
@pytest.mark.parametrize("fault", NEVER.values(), ids=NEVER)
def test_what_may_not_be_sent_twice_is_not_and_a_new_plan_goes_on(
    due: ByHand, operation: str, fault: dict[str, Any]
) -> None:
    """I4, I6: NEW and the rotation. Once the fault is over, the same bytes are used.

    Bytes that KMS has not got yet could be anybody's, as far as the store tells: a person says that they are his (A10).
    """
    rule = due.machine.simulator.faults.add(operation=operation, region=PRIMARY, **fault)

    code, _, err = due.run(due.plan(ROTATING=3))

    assert code == 3
    assert "mrk plan --script" in err
    assert due.sent(operation).count((operation, PRIMARY)) == 1
    due.assert_not_rotated()
    before = due.made()

    due.machine.simulator.faults.remove(rule)
    unknown = operation == "ImportKeyMaterial"
    if unknown:
        due.plan(code=4)
    assert due.run(due.plan(*["--take"] * unknown))[0] == 0
    assert due.made() == before
    due.assert_finished_by_mrk()


def test_new_material_whose_import_was_not_answered_is_found_again_by_the_next_plan(due: ByHand) -> None:
    """KMS has it, and nobody was told its id: its bytes are in the store, and KMS says that they are these (P2)."""
    due.machine.simulator.faults.add(operation="ImportKeyMaterial", region=PRIMARY, calls=[1], drop="after")

    code, _, err = due.run(due.plan())

    assert code == 3
    assert "its bytes are in the store" in err
    true = due.machine.simulator.key(PRIMARY, due.arn)
    assert true is not None
    assert true.pending
    assert due.run(due.plan())[0] == 0
    kinds = [call.parameters["ImportType"] for call in due.machine.simulator.calls if call.operation == CHANGING[0]]
    assert kinds.count("NEW_KEY_MATERIAL") == 1
    due.assert_finished_by_mrk()


PLANTED = bytes(range(32))
NAMES = (
    "payments-new-material.bin",
    "material.bin",
    "wrapped",
    "token",
    "parameters",
    "wrapping-key.der",
    "-rf",
    "*",
    "aws",
)


def test_nothing_in_the_directory_where_a_script_is_run_is_taken_for_anything(due: ByHand) -> None:
    """Whoever can write there must not choose the next key material."""
    for name in NAMES:
        (due.here / name).write_bytes(PLANTED)
    (due.here / "policy").symlink_to("/etc/passwd")
    (due.here / "material.bin").chmod(0o777)

    code, _, err = due.run(due.plan())

    assert (code, err) == (0, "")
    (payload,) = due.made()
    assert not found_in(payload, [PLANTED])
    assert all((due.here / name).read_bytes() == PLANTED for name in NAMES)
    due.assert_finished_by_mrk()


def test_run_twice_the_second_is_refused_and_changes_nothing(due: ByHand) -> None:
    script = due.plan()
    assert due.run(script)[0] == 0
    before, entries = due.sent(*CHANGING), due.entries()

    code, out, err = due.run(script)

    assert (code, out) == (4, "")
    assert "payments is not as it was planned, and nothing was done" in err
    assert (due.sent(*CHANGING), due.entries()) == (before, entries)
    due.assert_finished_by_mrk()


def test_two_at_once_share_one_material_and_rotate_once(due: ByHand) -> None:
    """I7: whoever comes second with the entry uses the first one's bytes; whoever comes second to KMS stops."""
    script = due.plan(PATIENCE=20, ROTATING=20)
    both = [due.begin(script), due.begin(script)]

    codes = sorted(process.wait(110) for process in both)
    for process in both:
        process.communicate()

    assert codes[0] == 0 or due.run(due.plan())[0] == 0
    assert due.sent("RotateKeyOnDemand") == [("RotateKeyOnDemand", PRIMARY)]
    due.assert_finished_by_mrk()


MOMENTS = {
    "deposited": ("ImportKeyMaterial", PRIMARY, "before"),
    "new material imported": ("ImportKeyMaterial", PRIMARY, "after"),
    "replica imported": ("ImportKeyMaterial", REPLICA, "after"),
    "rotation not sent": ("RotateKeyOnDemand", PRIMARY, "before"),
    "rotation accepted": ("RotateKeyOnDemand", PRIMARY, "after"),
}


@pytest.mark.parametrize(
    ("moment", "number"),
    [*((moment, signal.SIGKILL) for moment in MOMENTS), ("replica imported", signal.SIGTERM)],
)
def test_killed_in_the_middle_a_new_plan_goes_on_and_no_plaintext_lies_about(
    due: ByHand, moment: str, number: signal.Signals
) -> None:
    """I6, I2: one new material, one rotation; not even kill -9 leaves key material in a file."""
    victims: list[subprocess.Popen[str]] = []

    def kill(call: Call, when: str) -> None:
        if victims and (call.operation, call.region, when) == MOMENTS[moment]:
            victims.pop().send_signal(number)

    due.machine.simulator.hooks.append(kill)
    process = due.begin(due.plan(PATIENCE=10))
    victims.append(process)
    process.communicate(timeout=110)

    assert process.returncode == (-signal.SIGKILL if number is signal.SIGKILL else 5)
    if number is not signal.SIGKILL:
        assert list(due.temporary.iterdir()) == []
    (payload,) = due.made()
    material = base64.b64decode(json.loads(payload)["key_material"])
    files = [path for path in due.machine.directory.rglob("*") if path.is_file()]
    assert not [path for path in files if found_in(path.read_bytes(), [material])]
    for left in due.temporary.iterdir():
        assert left.stat().st_mode & 0o077 == 0
        subprocess.run(["rm", "-rf", str(left)], check=True)

    due.machine.run("mrk", "run", "payments")
    due.assert_finished_by_mrk()
    assert due.sent("RotateKeyOnDemand") == [("RotateKeyOnDemand", PRIMARY)]


def client(operation: str, region: str = REPLICA, **more: Any) -> Callable[[ByHand], object]:
    """Let somebody else do something to the key."""

    def change(due: ByHand) -> None:
        where = due.arn.replace(PRIMARY, region)
        getattr(due.machine.client(region), operation)(KeyId=where, **more)

    return change


def current(due: ByHand) -> str:
    true = due.machine.simulator.key(PRIMARY, due.arn)
    assert true is not None
    return str(true.current)


def foreign_pending(due: ByHand) -> None:
    other = due.machine.directory / "other.bin"
    other.write_bytes(os.urandom(32))
    due.machine.import_quickly(due.arn, other, "NEW_KEY_MATERIAL")


def another_expiry(due: ByHand) -> None:
    """Somebody imported the same bytes again, and from now on they expire."""
    kms, algorithm = due.machine.client(REPLICA), WrappingAlgorithm.RSAES_OAEP_SHA_256
    arn = due.arn.replace(PRIMARY, REPLICA)
    given = kms.get_parameters_for_import(KeyId=arn, WrappingAlgorithm=algorithm, WrappingKeySpec="RSA_4096")
    kms.import_key_material(
        KeyId=arn,
        ImportToken=given["ImportToken"],
        EncryptedKeyMaterial=wrap(due.first, given["PublicKey"], algorithm),
        ExpirationModel="KEY_MATERIAL_EXPIRES",
        ValidTo=datetime.now(UTC) + timedelta(days=90),
    )


CHANGES: dict[str, Callable[[ByHand], object]] = {
    "disabled in a replica": client("disable_key"),
    "disabled in the primary": client("disable_key", PRIMARY),
    "being deleted in a replica": client("schedule_key_deletion"),
    "material deleted in a replica": lambda due: client("delete_imported_key_material", KeyMaterialId=current(due))(
        due
    ),
    "somebody's material pending": foreign_pending,
    "a replica more": client("replicate_key", PRIMARY, ReplicaRegion="sa-east-1"),
    "another expiry": another_expiry,
    "another primary": client("update_primary_region", PRIMARY, PrimaryRegion=REPLICA),
    "rotated by mrk": lambda due: due.machine.run("mrk", "run", "payments"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_key_that_is_not_as_it_was_planned_is_left_alone(due: ByHand, change: Callable[[ByHand], object]) -> None:
    """Every Region is looked at before anything is made or sent; exit 4."""
    script = due.plan()
    change(due)
    before, entries = due.sent(*CHANGING), due.entries()

    code, out, err = due.run(script)

    assert (code, out) == (4, "")
    assert "is not as it was planned" in err
    assert any(region in err for region in TWO)
    assert (due.sent(*CHANGING), due.entries()) == (before, entries)


def test_a_key_that_changes_after_the_imports_is_not_rotated(due: ByHand) -> None:
    """Every Region is looked at right before the point of no return (I3, P7)."""

    def disable(call: Call, when: str) -> None:
        if (call.operation, call.region, when) == ("ImportKeyMaterial", REPLICA, "after"):
            due.machine.simulator.hooks.clear()
            due.machine.client(REPLICA).disable_key(KeyId=due.arn.replace(PRIMARY, REPLICA))

    due.machine.simulator.hooks.append(disable)

    code, _, err = due.run(due.plan(PATIENCE=6))

    assert code == 3
    assert f"as planned, in: {REPLICA}" in err
    assert due.sent("RotateKeyOnDemand") == []
    due.assert_not_rotated()


def answering(due: ByHand, words: str, *lines: str) -> None:
    """Let the aws command answer otherwise to calls whose words match; `$REAL` is itself."""
    due.tool("aws", f"REAL='{due.aws}'", f'case "$*" in {words})', *lines, ";; esac", 'exec $REAL "$@"')


OTHER_ID = "0123456789abcdef" * 4
WRONG = {
    "other bytes are in the replica": (
        "*import-key-material*EXISTING*",
        ['$REAL "$@" > /dev/null', f"echo {OTHER_ID}", "exit 0"],
        "says that these bytes are",
    ),
    "no id for new material": (
        "*import-key-material*NEW*",
        ['$REAL "$@" > /dev/null', "echo None", "exit 0"],
        "gave no id to the new key material",
    ),
    "parameters of another key": (
        "*get-parameters-for-import*",
        ['$REAL "$@" | sed "s/arn:aws:kms/arn:aws:kmz/"', "exit 0"],
        "the import parameters of another key",
    ),
    "a smaller wrapping key": (
        "*get-parameters-for-import*",
        [
            "key=$(openssl genrsa 2048 2> /dev/null | openssl rsa -pubout -outform DER 2> /dev/null | base64 -w 0)",
            '$REAL "$@" | awk -F "\t" -v key="$key" \'{print $1 "\t" key "\t" $3}\'',
            "exit 0",
        ],
        "is not the one that was asked for",
    ),
    "an exponent that anybody undoes": (
        "*get-parameters-for-import*",
        [
            "key=$(openssl genrsa -3 4096 2> /dev/null | openssl rsa -pubout -outform DER 2> /dev/null | base64 -w 0)",
            '$REAL "$@" | awk -F "\t" -v key="$key" \'{print $1 "\t" key "\t" $3}\'',
            "exit 0",
        ],
        "is not the one that was asked for",
    ),
}


@pytest.mark.parametrize(("words", "lines", "said"), WRONG.values(), ids=WRONG)
def test_an_answer_that_is_not_what_was_asked_stops_it(due: ByHand, words: str, lines: list[str], said: str) -> None:
    script = due.plan()
    answering(due, words, *lines)

    code, _, err = due.run(script)

    assert code == 4
    assert said in err
    assert due.sent("RotateKeyOnDemand") == []


def in_place(due: ByHand, ending: str) -> Path:
    """The path that the plan has for its new entry, or for a mark beside it."""
    return due.entries()[0].with_name(f"{current(due)}.1.{ending}")


STORES: dict[str, tuple[Callable[[ByHand], object], str]] = {
    "stamped for AWS": (
        lambda due: (stamp := due.machine.directory / "store" / "store.json").write_text(
            stamp.read_text().replace('"other"', '"aws"')
        ),
        "stamped for another place",
    ),
    "not mounted": (
        lambda due: (due.machine.directory / "store").rename(due.machine.directory / "elsewhere"),
        "there is no store",
    ),
    "another entry in the place of the new one": (
        lambda due: in_place(due, "age").write_bytes(due.entries()[0].read_bytes()),
        "does not say that it is the entry",
    ),
    "rubbish in its place": (lambda due: in_place(due, "age").write_bytes(PLANTED), "cannot give the key material"),
    "said to be imported": (lambda due: in_place(due, "link.json").touch(), "knows more than this plan"),
    "said to be given up": (lambda due: in_place(due, "discarded.json").touch(), "knows more than this plan"),
    "no identity": (lambda due: (due.machine.directory / "identity.txt").unlink(), "cannot give the key material"),
}


@pytest.mark.parametrize(("change", "said"), STORES.values(), ids=STORES)
def test_nothing_is_sent_where_the_store_is_not_as_it_was_planned(
    due: ByHand, change: Callable[[ByHand], object], said: str
) -> None:
    """I1: the bytes that KMS gets are read back from the store, from an entry that says that it is this one."""
    script = due.plan()
    change(due)

    code, _, err = due.run(script)

    assert code == 4
    assert said in err
    assert due.sent(*CHANGING) == []


def nth(number: int, *lines: str) -> tuple[str, ...]:
    """Fail at the so-manieth call that is no sealing, and do what the real one does before and after that."""
    count = f'n=$(cat "$0.n" 2> /dev/null || echo 0); echo $((n + 1)) > "$0.n"; test "$n" -ne {number} || {{'
    return ('test "$1" = -d || exec "$REAL" "$@"', count, *lines, "}", 'exec "$REAL" "$@"')


BROKEN: dict[str, tuple[str, tuple[str, ...]]] = {
    "no random bytes": ("openssl", ('test "$1" != rand || exit 1', 'exec "$REAL" "$@"')),
    "too few random bytes": ("openssl", ('test "$2" != -base64 || exec "$REAL" rand -base64 16', 'exec "$REAL" "$@"')),
    "nothing is sealed": ("age", ('test "$1" = -d || exit 1', 'exec "$REAL" "$@"')),
    "the first reading fails": ("age", nth(0, "exit 1")),
    "the reading for the import fails": ("age", nth(4, "exit 1")),
    "the reading for the import ends early": ("age", nth(4, '"$REAL" "$@" | head -c 300; exit 1')),
    "the decoding fails": ("base64", ("exit 1",)),
    "the disk fails": ("sync", ("exit 1",)),
    "no hard links": ("ln", ("exit 1",)),
}


@pytest.mark.parametrize(("tool", "lines"), BROKEN.values(), ids=BROKEN)
def test_a_tool_that_fails_in_a_pipe_or_out_of_one_stops_it_before_anything_is_sent(
    due: ByHand, tool: str, lines: tuple[str, ...]
) -> None:
    """No NEW without bytes that were durably kept and read back whole (I1)."""
    script = due.plan()
    due.tool(tool, *lines)

    code, _, _ = due.run(script)

    assert code in {3, 4}
    assert due.sent(*CHANGING) == []
    assert not list((due.machine.directory / "store").rglob(".*.tmp"))


TOOLS = ("age", "aws", "base64", "cut", "grep", "ln", "mkdir", "mktemp", "openssl", "rm", "sed", "sync", "tr", "wc")


def test_no_argument_and_no_environment_ever_holds_key_material_or_a_token(due: ByHand) -> None:
    """I2: whoever may list processes reads both."""
    seen = due.machine.directory / "seen"
    for tool in TOOLS:
        real = f"REAL='{due.aws}'" if tool == "aws" else ":"
        due.tool(tool, real, f'{{ printf "%s\\n" "$0 $*"; env; }} >> {seen}', 'exec $REAL "$@"')

    assert due.run(due.plan())[0] == 0

    told, (payload,) = seen.read_text(), due.made()
    assert "import-key-material" in told
    assert not found_in(told, [base64.b64decode(json.loads(payload)["key_material"]), due.first])
    assert not re.search(r"[A-Za-z0-9+/=]{200}", told)


def test_what_a_region_lost_is_brought_back_by_its_id_from_the_store(due: ByHand) -> None:
    """A repair, with an aws command that retries what may be sent again."""
    want(due, repair="auto", rotate_every="365d")
    client("delete_imported_key_material", KeyMaterialId=current(due))(due)
    due.machine.simulator.faults.add(operation="ImportKeyMaterial", calls=[1], drop="after")

    code, _, err = due.run(due.plan())

    assert (code, err) == (0, "")
    imports = [call.parameters for call in due.machine.simulator.calls if call.operation == "ImportKeyMaterial"]
    assert {one["KeyMaterialId"] for one in imports} == {current(due)}
    true = due.machine.simulator.key(REPLICA, due.arn)
    assert true is not None
    assert (true.key_state, true.rotations) == ("Enabled", 0)


def given_up(due: ByHand) -> None:
    due.machine.run("mrk", "rotate", "payments", "--until", "deposited")
    due.machine.given = {"MRK_RUN__DEADLINE": "3s"}
    due.machine.run("mrk", "abort", "payments", "--yes", code=3)
    due.machine.given = {}
    due.machine.more["run"] = {"poll": "200ms", "looks": 2, "deadline": "40m"}
    due.machine.write_config()


def no_probe(due: ByHand) -> None:
    for probe in (due.machine.directory / "store").rglob("*.probe.json"):
        probe.unlink()


LEFT_TO_MRK = {
    "an attempt was given up (P6)": (given_up, "an attempt of this rotation was given up"),
    "a proof is not kept yet (P14)": (no_probe, "only mrk keeps the proof of"),
}


@pytest.mark.parametrize(("arrange", "said"), LEFT_TO_MRK.values(), ids=LEFT_TO_MRK)
def test_what_no_script_can_do_by_the_rules_is_left_to_mrk(
    due: ByHand, arrange: Callable[[ByHand], object], said: str
) -> None:
    arrange(due)
    due.machine.simulator.calls.clear()
    script = due.plan()

    code, _, err = due.run(script)

    assert code == 4
    assert said in err
    assert "hint: mrk run payments" in err
    assert due.sent(*CHANGING) == []
