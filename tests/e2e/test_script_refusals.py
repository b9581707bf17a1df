"""`mrk plan --script`, run for real: what it refuses, what it brings back, and what it leaves to mrk."""

import base64
import json
import os
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from e2e.by_script import CHANGING, TWO, ByHand
from leaks import found_in
from orchestrator.ports import WrappingAlgorithm
from orchestrator.simulator import Call
from orchestrator.wrapping import wrap

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]
PRIMARY, REPLICA = TWO


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
    "rubbish in its place": (lambda due: in_place(due, "age").write_bytes(bytes(32)), "cannot give the key material"),
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
    due.want(repair="auto", rotate_every="365d")
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
