"""Plaintext stays in the store (I2), and no secret of ours or of the environment is in anything written (I14).

With faults everywhere and at level debug.
"""

import base64
import hashlib
import importlib
import inspect
import json
import pkgutil
import traceback
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from urllib.parse import quote

import pytest
import yaml
from fault_rules import ENVIRONMENT, RULES, quoting

import orchestrator
from crash.crash_kit import Scene, Workflow, judged, scene
from crash.test_crash_matrix import WORKFLOWS
from leaks import found_in, spellings, told_in
from orchestrator.model import EntryName
from orchestrator.simulator import Simulator
from sizes import some
from verdict import TALLY, Count, held
from worlds import World

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

ROTATE = Workflow("rotate", ("rotate", "payments", "--yes", "--log-level", "debug", "--json"))


def texts_known(made: Scene) -> list[str]:
    """The secret texts of a machine: of its environment, and its identities."""
    identities = [(made.machine.directory / name).read_text().strip() for name in ("identity.txt", "recovery.txt")]
    return [*ENVIRONMENT.values(), *identities]


def written(made: Scene) -> Iterator[tuple[str, bytes]]:
    """Every file below the machine's directory, sealed entries and all; not the file that the owner made by hand."""
    for path in made.machine.directory.rglob("*"):
        if path.is_file() and path.name not in {"payments.bin", "identity.txt", "recovery.txt"}:
            yield str(path), path.read_bytes()


DEBUG = ("--log-level", "debug", "--json")
ABORT = replace(WORKFLOWS["abort"][0], command=("abort", "payments", "--yes", *DEBUG))
ADOPT = replace(WORKFLOWS["adopt"][0], command=("adopt", "payments", "payments.bin", *DEBUG))
TRIED = (
    [(ROTATE, rules, 2) for rules in RULES]
    + [(ABORT, rules, 2) for rules in RULES]
    + [(ADOPT, rules, 1) for rules in RULES]
)
"""Each with how many materials there are in the end: an adoption reads a file that holds one in clear."""


@pytest.mark.parametrize(
    ("workflow", "rules", "number"), some(TRIED, 4), ids=lambda value: getattr(value, "name", value)
)
def test_nothing_that_a_process_writes_or_prints_holds_the_material(
    tmp_path: Path, record_property: Count, workflow: Workflow, rules: str, number: int
) -> None:
    """Journal, logs, JSON, lock and config files, stdout, stderr, and every file of the store as it lies there.

    Nor do they hold an identity, or a secret of the environment, although KMS itself quotes them.
    """
    with scene(tmp_path / "machine", workflow) as made:
        made.machine.given |= ENVIRONMENT
        add(made.simulator, quoting(RULES[rules]))
        texts: list[tuple[str, bytes]] = []
        for _ in range(2):
            process = made.start(workflow)
            out, err = process.communicate(timeout=100)
            texts += [("stdout", out.encode()), ("stderr", err.encode())]
            made.simulator.faults.clear()
            assert not judged(made, workflow, success=False)
        texts += written(made)
        secrets = held(made.store)
        assert len(secrets) == number
        assert any(name.endswith(".jsonl") for name, _ in texts)
        known = texts_known(made)
        wrong = {name: hit for name, text in texts if (hit := [*found_in(text, secrets), *told_in(text, known)])}
    record_property("texts_searched", len(texts))
    TALLY.note(["leaked"] * len(texts), made.arn, [f"leaked: {name}" for name in wrong])
    assert not wrong


def add(simulator: Simulator, rules: list[dict[str, object]]) -> None:
    for rule in rules:
        simulator.faults.add(**rule)  # type: ignore[arg-type]


def laid_out(secret: bytes, columns: int, *, before: int = 50) -> Iterator[str]:
    """Base64 of something that holds a secret, broken over lines as MIME, PEM, YAML and JSON do."""
    for encoded in (base64.b64encode(bytes(before) + secret + bytes(9)), base64.b32encode(bytes(before) + secret)):
        lines = [encoded[at : at + columns].decode() for at in range(0, len(encoded), columns)]
        yield from (between.join(lines) for between in ("\n", "\r\n", "\n    ", "\\\n  "))
        yield json.dumps(lines, indent=4)


def written_by_hand(secret: bytes) -> Iterator[str]:
    """What other tools make of bytes; upper and lower case, spaced and broken over lines."""
    for between in (":", " ", "-", ", ", "\n", ":\n    "):
        yield between.join(f"{byte:02x}" for byte in secret)
        yield between.join(f"{byte:02X}" for byte in secret)
        yield between.join(f"{byte:#04x}" for byte in secret)
    for columns in (76, 64, 40):
        yield from laid_out(secret, columns)
    yield json.dumps({"key": [*secret]}, indent=2)
    yield yaml.safe_dump({"key": [*secret]})
    yield " ".join(map(str, secret))
    yield base64.b32encode(secret).decode().lower()
    yield f"sent {secret.decode('latin-1')!r}"


SECRETS = (
    bytes(range(100, 132)),
    bytes(range(140, 172)),
    bytes(range(0, 256, 8)),
    bytes(reversed(range(32))),
    *(hashlib.sha256(str(number).encode()).digest() for number in range(12)),
)


@pytest.mark.parametrize("secret", SECRETS, ids=bytes.hex)
def test_the_search_finds_what_it_looks_for(secret: bytes) -> None:
    """The tests here can fail."""
    for form in (*spellings(secret), secret[:16].hex().upper(), f"x{list(secret)}", b"xyz" + secret[:20]):
        assert found_in(form, {secret}), form
    for said in (f"sent {secret!r}", f"sent {secret.decode('latin-1')}", f"sent {secret.hex(':')}", [*secret]):
        assert found_in(json.dumps({"event": said}), {secret}), said
        assert found_in(json.dumps({"event": f"{said!r}"}), {secret}), said
    for text in written_by_hand(secret):
        for shown in (text, text.encode(), json.dumps({"event": text}), json.dumps(repr(text)), repr([text])):
            assert found_in(f"before {shown!s} after" if isinstance(shown, str) else shown, {secret}), shown


@pytest.mark.parametrize("secret", SECRETS, ids=bytes.hex)
def test_the_search_finds_nothing_else(secret: bytes) -> None:
    """However another secret is spelled."""
    for other in {*SECRETS} - {secret}:
        for text in (*spellings(other), *written_by_hand(other)):
            assert not found_in(text, {secret}), (text, other)


@pytest.mark.parametrize(
    "secret", [*ENVIRONMENT.values(), "AGE-SECRET-KEY-1Z5GNK9ZHDH368FENNVWUSV28R7QF7YA3EUYUY26K3GN"]
)
def test_the_search_finds_secret_texts(secret: str) -> None:
    """In parts, quoted, escaped, in URLs, broken over lines, in colour; and no other."""
    for text in (
        secret,
        repr([secret.encode()]),
        secret[2:-2].lower(),
        quote(secret, safe=""),
        f"{secret[:20]}\n   {secret[20:]}",
    ):
        for shown in (
            text,
            json.dumps({"event": text}),
            json.dumps(repr(text)),
            f"\x1b[31m{text[:9]}\x1b[0m{text[9:]}",
        ):
            assert told_in(f"before {shown} after", [secret]), shown
            assert not told_in(shown, [one for one in ENVIRONMENT.values() if one != secret]), shown


def test_no_error_and_no_traceback_holds_the_material(world: World, record_property: Count) -> None:
    """Whatever the store is asked to do and cannot: the message, the causes, and every local variable's repr."""
    arn = world.make_key()
    name, texts = EntryName(arn.identity, None), 0
    secrets = held(world.store)
    wrong_key = b"not a wrapping key"
    attempts = [
        lambda: world.store.wrap(name, wrong_key, world.runner()._parameters.algorithm),
        lambda: world.store.link(name, "0" * 64),
        lambda: world.store.adopt(name, world.identity),
        lambda: world.store.wrap(EntryName(arn.identity, None, 7), wrong_key, world.runner()._parameters.algorithm),
    ]
    for attempt in attempts:
        with pytest.raises(Exception) as caught:  # noqa: PT011 - which one is of no matter here
            attempt()
        within = caught.tb.tb_next  # this test itself knows the secrets
        told = traceback.TracebackException(caught.type, caught.value, within, capture_locals=True)
        for text in ("".join(told.format()), repr(caught.value), str(caught.value)):
            texts += 1
            assert not found_in(text, secrets)
    record_property("texts_searched", texts)


def modules() -> Iterator[str]:
    for found in pkgutil.walk_packages(orchestrator.__path__, "orchestrator."):
        if not found.name.startswith("orchestrator.simulator"):
            yield found.name


def test_no_value_that_holds_bytes_shows_them() -> None:
    """Every dataclass field of bytes, in every module, is left out of its repr."""
    shown, seen = [], 0
    for name in modules():
        for _, kind in inspect.getmembers(importlib.import_module(name), inspect.isclass):
            if kind.__module__ == name and is_dataclass(kind):
                holding = [one for one in fields(kind) if "bytes" in str(one.type) and "Callable" not in str(one.type)]
                seen += len(holding)
                shown += [f"{name}.{kind.__name__}.{one.name}" for one in holding if one.repr and generated(kind)]
    assert seen
    assert not shown


def generated(kind: type) -> bool:
    """Whether a class is shown as dataclasses are, field by field; a repr of its own has a test of its own."""
    return hasattr(kind.__repr__, "__wrapped__")
