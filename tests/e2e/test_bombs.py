"""Input that is small to write and has no end to read: one message, exit 2, in little time and memory."""

import json
import os
import threading
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from e2e.machine import BIN, Machine
from e2e.test_secrets_in_settings import NOBODYS
from orchestrator.errors import Exit

pytestmark = pytest.mark.e2e

SECONDS = 30
"""Of the processor's time; a machine may be busy."""

MEMORY = 700 << 10
"""KiB of address space: mrk itself takes about a third of it. The file that gave occasion to this took 3 GB."""


def limited(machine: Machine, *words: str) -> tuple[int, str]:
    """Run mrk with little memory and little time of the processor; return its exit code, and what it printed."""
    bounded = f'ulimit -v {MEMORY} -t {SECONDS}; exec "$@"'
    process = machine.start("bash", "-c", bounded, "-", str(BIN / "mrk"), *words)
    out, err = process.communicate(timeout=110)
    return process.returncode, err + out


def refused(machine: Machine, *words: str, code: int = Exit.USAGE, said: str = "") -> None:
    ended, told = limited(machine, *words)
    assert ended == code, told[-2000:]
    assert said in told
    assert "hint: " in told
    assert "a defect" not in told
    assert "Traceback" not in told
    assert len(told) < 20_000, "nobody reads more"


def doubled(first: str, link: str) -> str:
    """Nine names, each of which stands for nine of the one before it."""
    names = "abcdefghi"
    lines = [
        f"a: &a {first}",
        *(f"{b}: &{b} {link % ', '.join([f'*{a}'] * 9)}" for a, b in pairwise(names)),
    ]
    return "\n".join(lines) + "\n"


SOUND = "store: {uri: 'file:/var/lib/mrk'}\n"
CONFIGS: dict[str, tuple[str, str]] = {
    "aliases": (doubled("[x, x, x, x, x, x, x, x, x]", "[%s]"), "its aliases"),
    "aliases of settings": (doubled("{x: 1}", "{x: [%s]}"), "its aliases"),
    "merged settings": (doubled("{x: 1}", "{<<: [%s]}"), "its aliases"),
    "an alias of itself": (f"{SOUND}keys: &k {{a: *k}}\n", "an alias (*name) within what it names"),
    "a list of itself": (f"{SOUND}keys: &k [*k]\n", "an alias (*name) within what it names"),
    "lists, too deep": ("[" * 100_000, "nested too deep"),
    "settings, too deep": ("{a: " * 100_000, "nested too deep"),
    "lines, too deep": ("- " * 100_000, "nested too deep"),
    "names, too deep": ("? " * 100_000, "nested too deep"),
    "many values": ("keys:\n" + "  - a\n" * 250_000, "more than 200000 values"),
    "too long": ("# " + "x" * (3 << 20), "longer than 2097152 bytes"),
    "a long name": (f"{SOUND}? {'x' * 1_000_000}\n: 1\n", "unknown setting xxx"),
    "a long value": (f"store: {{uri: '{'x' * 1_000_000}'}}\n", "config names no keys"),
    "many recipients": (f"store: {{uri: x, recipients: [{'1,' * 40_000}]}}\n", "and 39"),
    "many keys": ("store: {uri: x}\nkeys:\n" + "".join(f"  k{n}: {{arn: x}}\n" for n in range(15_000)), "and 14"),
    "many unknown settings": ("".join(f"x{n}: 1\n" for n in range(20_000)), "and 19"),
    "a huge number": (f"{SOUND}run: {{looks: {'9' * 1_000_000}}}\n", "a number of 1000000 characters"),
    "a huge number, hexadecimal": (f"{SOUND}run: {{looks: 0x{'f' * 1_000_000}}}\n", "a number of 1000002 characters"),
    "a huge number of minutes": (f"{SOUND}run: {{looks: 1{':1' * 500_000}}}\n", "a number of 1000001 characters"),
    "a number that is not one": (f"{SOUND}run: {{looks: !!int ''}}\n", "does not fit its tag"),
    "a time that is none": (f"{SOUND}run: {{looks: !!timestamp x}}\n", "does not fit its tag"),
    "no number": (f"{SOUND}run: {{looks: .nan}}\n", "run.looks"),
    "a number without end": (f"{SOUND}run: {{looks: .inf}}\n", "run.looks"),
    "a long duration": (f"{SOUND}run: {{deadline: 99999999999999d}}\n", "is longer than 36500d"),
    "a longer duration": (f"{SOUND}run: {{deadline: {'9' * 50_000}d}}\n", "is not a duration"),
    "many durations": (f"{SOUND}run: {{deadline: {'1ms' * 50_000}}}\n", "is not a duration"),
    "slashes": (f"{SOUND}a: {'/' * 1_500_000}\n", "unknown setting a"),
    "users of URLs": (f"{SOUND}a: {'//x@' * 400_000}\n", "unknown setting a"),
    "heads of keys": (f"{SOUND}# {'-----BEGIN PRIVATE KEY-----' * 60_000}\na: 1\n", "unknown setting a"),
    "the words of a head": (f"{SOUND}# -----BEGIN {'PRIVATE KEY' * 150_000}\na: 1\n", "unknown setting a"),
    "tokens": (f"{SOUND}# {'eyJ-' * 450_000}\na: 1\n", "unknown setting a"),
    "tokens, too short": (f"{SOUND}# {'eyJabcdefghijk.' * 120_000}\na: 1\n", "unknown setting a"),
    "age keys": (f"{SOUND}# {'AGE-SECRET-KEY-1' * 100_000}\na: 1\n", "unknown setting a"),
    "a path with NUL": ('store: {uri: "file:/a\\0b"}\n', "store.uri holds a character that no file can"),
    "half a letter": (
        'run: {journal: "/a\\ud800b"}\nstore: {uri: x}\n',
        "run.journal holds a character that no file can",
    ),
    "a letter that is none": (f"{SOUND}run: {{deadline: \0}}\n", "not YAML"),
}


@pytest.mark.parametrize(("text", "said"), CONFIGS.values(), ids=CONFIGS)
def test_a_config_that_grows_is_refused(machine: Machine, text: str, said: str) -> None:
    (machine.directory / "config.yaml").write_text(text)

    refused(machine, "status", said=said)


VARIABLES: dict[str, tuple[str, str, str]] = {
    "lists": ("MRK_STORE__RECIPIENTS", "[" * 60_000, "nested too deep"),
    "lists that end": ("MRK_STORE__RECIPIENTS", "[" * 30_000 + "]" * 30_000, "nested too deep"),
    "settings": ("MRK_KEYS", '{"a":' * 20_000 + "1" + "}" * 20_000, "nested too deep"),
    "a section": ("MRK_RUN", '{"looks":' * 100 + "1" + "}" * 100, "nested too deep"),
    "a huge number": ("MRK_RUN", '{"looks": ' + "9" * 100_000 + "}", "not JSON"),
    "a huge number, alone": ("MRK_RUN__LOOKS", "9" * 100_000, "run.looks"),
    "no number": ("MRK_RUN", '{"looks": NaN}', "run.looks"),
    "a duration": ("MRK_RUN__DEADLINE", "9" * 100_000 + "d", "run.deadline"),
    "a name": (f"MRK_{'A' * 100_000}", "x", "no setting has that name"),
    "a path": ("MRK_STORE__IDENTITY", "/" + "x" * 100_000, "File name too long"),
}


@pytest.mark.parametrize(("name", "value", "said"), VARIABLES.values(), ids=VARIABLES)
def test_a_variable_that_grows_is_refused(machine: Machine, name: str, value: str, said: str) -> None:
    machine.write_config(payments={"arn": NOBODYS})
    machine.given[name] = value

    code = Exit.BLOCKED if "File name" in said else Exit.USAGE
    refused(machine, "status", code=code, said=said)


def a_pipe(path: Path) -> None:
    os.mkfifo(path)


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/urandom", "/dev/full"])
def test_a_config_that_is_a_device_is_refused(machine: Machine, device: str) -> None:
    refused(machine, "status", "-c", device, said="is a device, not a file")


def test_a_config_that_nobody_writes_is_not_waited_for(machine: Machine) -> None:
    a_pipe(machine.directory / "pipe")

    refused(machine, "status", "-c", "pipe", said="nobody wrote it to its end within 20 s")


def test_a_config_that_is_written_for_ever_is_left(machine: Machine) -> None:
    a_pipe(machine.directory / "pipe")
    writing = threading.Thread(target=for_ever, args=(machine.directory / "pipe",))
    writing.start()

    refused(machine, "status", "-c", "pipe", said="longer than")

    writing.join()


def for_ever(path: Path) -> None:
    """Write until nobody reads."""
    with path.open("wb", buffering=0) as pipe:
        try:
            while True:
                pipe.write(b"# nothing\n" * 1000)
        except BrokenPipeError:
            return


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 40)


JOURNALS: dict[str, Callable[[Path], object]] = {
    "nothing but zeros": sparse,
    "one line without end": lambda path: path.write_bytes(b"{" + b'"a' * (100 << 20)),
    "lines that are none": lambda path: path.write_bytes(b"\n" * (100 << 20)),
    "lists, too deep": lambda path: path.write_bytes((b"[" * 500_000 + b"\n") * 50),
    "numbers": lambda path: path.write_bytes(b'{"seq": ' + b"9" * 500_000 + b"}\n"),
}


@pytest.mark.parametrize("write", JOURNALS.values(), ids=JOURNALS)
def test_a_journal_without_end_is_told_as_broken(machine: Machine, write: Callable[[Path], object]) -> None:
    path = machine.directory / "20260302T080000Z-abcdef.jsonl"
    write(path)

    refused(machine, "report", str(path), code=Exit.BLOCKED, said="THE CHAIN IS BROKEN")

    path.unlink()


@pytest.mark.parametrize("device", ["/dev/zero", "pipe.jsonl"])
def test_a_journal_that_is_no_file_is_refused(machine: Machine, device: str) -> None:
    a_pipe(machine.directory / "pipe.jsonl")

    refused(machine, "report", device, said="is not a file")


FILES = ("store.json", "*.age", "*.link.json", "*.proven.json")


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("kind", ["sparse", "pipe", "deep"])
def test_a_file_of_the_store_without_end_is_told(adopted: tuple[Machine, str], file: str, kind: str) -> None:
    machine, _ = adopted
    (path,) = (machine.directory / "store").rglob(file)
    path.unlink()
    if kind == "pipe":
        a_pipe(path)
    elif kind == "sparse":
        sparse(path)
    else:
        path.write_bytes(b"[" * 900_000)
    path.chmod(0o600)

    ended, told = limited(machine, "store", "list")

    assert ended == Exit.BLOCKED, told[-2000:]
    assert "a defect" not in told
    assert len(told) < 20_000


@pytest.mark.parametrize("target", ["/dev/zero", "pipe"])
def test_metrics_that_were_no_file_stop_no_run(adopted: tuple[Machine, str], target: str) -> None:
    """What a run did not see it takes over from the file that is there."""
    machine, _ = adopted
    a_pipe(machine.directory / "pipe")
    prom = machine.directory / "mrk.prom"
    prom.symlink_to(target)
    machine.more["run"] = {"metrics": str(prom)}
    machine.write_config()

    ended, told = limited(machine, "run", "--json")

    assert ended == 0, told
    assert json.loads(told[told.index("\n{\n") :])["metrics"]["problem"] is None
    assert prom.read_text().startswith("# HELP")


def test_a_hook_that_talks_without_end_is_ended_in_time(adopted: tuple[Machine, str]) -> None:
    machine, _ = adopted
    hook = machine.directory / "hook"
    hook.write_text("#!/bin/sh\nexec tr '\\0' x < /dev/zero\n")
    hook.chmod(0o755)
    machine.more["run"] = {"after": str(hook), "after_timeout": "2s"}
    machine.write_config()

    ended, told = limited(machine, "run", "-q")

    assert ended == 3, told[-2000:]
    assert "took longer than 2 s" in told[-400:] + told[:400]


def test_what_many_people_write_is_read(machine: Machine) -> None:
    """Thousands of keys, with settings that they share by an alias, are no bomb."""
    keys = "".join(
        f"  key{n}: {{<<: *often, arn: 'arn:aws:kms:us-east-1:111122223333:key/mrk-{n:032x}', regions: [us-east-1]}}\n"
        for n in range(1, 3_000)
    )
    first = f"  first: &often {{arn: '{NOBODYS}', rotate_every: 90d, expires: never}}\n"
    recipients = f"recipients: [{', '.join(machine.identities)}], identity: identity.txt"
    store = f"store: {{uri: 'file:{machine.directory}/store', {recipients}}}\n"
    (machine.directory / "config.yaml").write_text(f"{store}keys:\n{first}{keys}")

    assert "sound: 3000 keys" in machine.run("mrk", "config", "check")
