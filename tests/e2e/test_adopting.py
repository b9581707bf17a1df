"""`mrk adopt` takes key material from wherever a shell gives it: a file, a pipe, the standard input."""

from pathlib import Path

import pytest

from e2e.machine import BIN, Machine

pytestmark = pytest.mark.e2e

WAYS = {
    "process substitution": "mrk adopt payments <(cat payments.bin)",
    "a pipe": "cat payments.bin | mrk adopt payments -",
    "a pipe by its name": "cat payments.bin | mrk adopt payments /dev/stdin",
    "redirected": "mrk adopt payments - < payments.bin",
    "base64 on its way": "base64 payments.bin | base64 -d | mrk adopt payments -",
}


def shell(machine: Machine, line: str) -> tuple[int, str]:
    process = machine.start("bash", "-c", f"set -o pipefail; export PATH={BIN}:$PATH; {line} --quiet")
    out, err = process.communicate(timeout=100)
    return process.returncode, out + err


@pytest.mark.parametrize("line", WAYS.values(), ids=WAYS)
def test_key_material_is_read_once_and_adopted(unadopted: tuple[Machine, str], line: str) -> None:
    """A pipe gives its bytes once: what KMS confirms, and what the store keeps, is what was read then."""
    machine, _ = unadopted

    code, said = shell(machine, line)

    assert code == 0, said
    assert "adopted" in said
    (machine.directory / "payments.bin").unlink()
    assert "sound: 1 of 1 entries open" in machine.run("mrk", "store", "check")
    assert "held, probe, proven" in machine.run("mrk", "status", "payments")


REFUSED = {
    "nothing": ("mrk adopt payments - < /dev/null", "the standard input is a device, not a file or a pipe"),
    "an empty pipe": ("true | mrk adopt payments -", "the standard input has 0 bytes"),
    "text in a pipe": ("base64 payments.bin | mrk adopt payments -", "... | base64 -d /dev/stdin | mrk adopt NAME -"),
    "text in a substitution": ("mrk adopt payments <(xxd -p -c 64 payments.bin)", "it is hexadecimal text of 32 bytes"),
    "without an end": ("cat /dev/zero | mrk adopt payments -", "has more than 4096 bytes"),
    "a directory": ("mrk adopt payments .", "is a directory, not a file or a pipe"),
}


@pytest.mark.parametrize(("line", "said"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_key_material_is_told_before_any_call(
    unadopted: tuple[Machine, str], line: str, said: str, tmp_path: Path
) -> None:
    machine, _ = unadopted
    before = len(machine.simulator.calls)

    code, told = shell(machine, line)

    assert code != 0
    assert said in told
    assert "Traceback" not in told
    assert len(machine.simulator.calls) == before
    assert not list((tmp_path / "store").rglob("*.age"))
