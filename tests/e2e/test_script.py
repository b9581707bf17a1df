"""`mrk plan --script`, run for real: it keeps the rules of mrk, whatever is lost, planted or changed meanwhile."""

import base64
import json
import signal
import subprocess
from typing import Any

import pytest

from e2e.by_script import CHANGING, TWO, ByHand
from leaks import found_in
from orchestrator.simulator import Call

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]
PRIMARY, REPLICA = TWO


@pytest.mark.parametrize(("shell", "expires"), [("dash", "never"), ("bash", "60d")])
def test_a_script_rotates_as_it_was_planned_and_mrk_finishes_that(due: ByHand, shell: str, expires: str) -> None:
    """New material goes into the store under the name that mrk itself would give it (I1, I7)."""
    due.want(expires=expires)

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
    due.want(expires="60d")
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
