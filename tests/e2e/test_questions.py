"""Nothing is written over a question that stands on a terminal: an MFA code, or what a program of the owner's asks."""

import fcntl
import os
import pty
import select
import subprocess
import termios
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from e2e.machine import BIN, Machine

pytestmark = pytest.mark.e2e

ROLE = "arn:aws:iam::111122223333:role/mrk"
BASE = "[profile base]\naws_access_key_id = 111122223333\naws_secret_access_key = made-up-one\n"
MFA = f"[default]\nrole_arn = {ROLE}\nsource_profile = base\nmfa_serial = arn:aws:iam::111122223333:mfa/me\n{BASE}"
STILL = 1.0
"""Seconds in which a live line would have been written anew a dozen times."""


class Seat:
    """A person's seat at a terminal on which mrk runs."""

    def __init__(self, process: "subprocess.Popen[bytes]", terminal: int) -> None:
        self._process = process
        self._terminal = terminal
        self.shown = ""

    def until(self, end: str) -> None:
        """Read until something stands at the end of what is shown."""
        while not self.shown.endswith(end):
            self.shown += os.read(self._terminal, 4096).decode()

    def still(self) -> bool:
        """Whether nothing is written for a while."""
        return not select.select([self._terminal], [], [], STILL)[0]

    def answer(self, text: str) -> None:
        os.write(self._terminal, text.encode())

    def end(self) -> int:
        """Read to the end, and return the exit code."""
        with suppress(OSError):  # how a terminal tells that nobody writes to it any more
            while part := os.read(self._terminal, 4096):
                self.shown += part.decode()
        return self._process.wait(60)


@contextmanager
def seat(machine: Machine, *words: str) -> Iterator[Seat]:
    """Start mrk on a terminal of its own."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [str(BIN / "mrk"), *words],
        cwd=machine.directory,
        env=machine.environment | {"TERM": "xterm"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 - one call of the system, and no lock
    )
    os.close(theirs)
    try:
        yield Seat(process, ours)
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def profile(machine: Machine, text: str) -> None:
    (machine.directory / "aws").write_text(text)
    machine.given |= {"AWS_CONFIG_FILE": str(machine.directory / "aws"), "AWS_ENDPOINT_URL_STS": machine.endpoint_url}
    machine.without |= {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}


@pytest.mark.parametrize("words", [("run",), ("status", "--quiet"), ("verify", "--log-level", "debug")])
def test_an_mfa_code_is_asked_for_in_peace_before_anything_is_begun(
    adopted: tuple[Machine, str], words: tuple[str, ...]
) -> None:
    machine, _ = adopted
    profile(machine, MFA)

    with seat(machine, *words) as person:
        person.until("Enter MFA code for arn:aws:iam::111122223333:mfa/me: ")
        assert person.still()
        assert unlocked(machine)
        person.answer("123456\n")
        code = person.end()

    assert code == 0, person.shown
    assert "123456" not in person.shown
    assert [call.operation for call in machine.simulator.calls].count("AssumeRole") == 1


def unlocked(machine: Machine) -> bool:
    """Whether another run may begin: nobody holds the lock of the config while a person thinks."""
    for lock in machine.directory.glob("**/*.lock"):
        with lock.open() as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return True


def test_no_code_is_told_as_that(adopted: tuple[Machine, str]) -> None:
    """Ctrl-D."""
    machine, _ = adopted
    profile(machine, MFA)

    with seat(machine, "run") as person:
        person.until("mfa/me: ")
        person.answer("\x04")
        code = person.end()

    assert code == 3, person.shown
    assert "no MFA code was given" in person.shown
    assert "run again, and type the code" in person.shown


def test_a_program_asks_in_peace_in_mid_run(adopted: tuple[Machine, str]) -> None:
    """Its first sessions are so short that the run needs another one while its live line is shown."""
    machine, _ = adopted
    path = machine.directory / "creds"
    path.write_text(
        f"""#!/bin/sh
echo started >> {path}.starts
minutes=5
if [ "$(wc -l < {path}.starts)" -eq 3 ]; then
    printf 'Corp token: ' > /dev/tty
    read -r code < /dev/tty
    minutes=60
fi
until=$(date -u -d "+$minutes minutes" +%Y-%m-%dT%H:%M:%SZ)
echo '{{"Version": 1, "AccessKeyId": "111122223333", "SecretAccessKey": "made-up-one", "SessionToken": "x",'
echo "\\"Expiration\\": \\"$until\\"}}"
"""
    )
    path.chmod(0o755)
    profile(machine, f"[default]\ncredential_process = {path}\n")

    with seat(machine, "run") as person:
        person.until("Corp token: ")
        before = person.shown
        assert person.still()
        person.answer("000000\n")
        code = person.end()

    assert "looking" in before, "the live line was there before"
    assert code == 0, person.shown
    assert "nothing is due" in person.shown
