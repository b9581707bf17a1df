"""The journal: whatever is changed in it is found, and nothing in it, or beside it, disturbs anybody."""

import base64
import io
import json
import re
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from orchestrator.chain import first_link, link
from orchestrator.errors import KmsError, UsageError
from orchestrator.journal import Header, Journal, Kept
from orchestrator.logs import event_logger
from orchestrator.model import EntryName, ImportType, Region
from orchestrator.ports import Event, WrappingAlgorithm
from orchestrator.report import journals
from orchestrator.report.journal import Chain
from orchestrator.report.story import Story
from worlds import World

RUN = "20260302T080000Z-a1b2c3"
AT = datetime(2026, 3, 2, 8, tzinfo=UTC)
ARN = "arn:aws:kms:us-east-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab"


def keep(directory: Path, count: int = 5) -> Kept:
    """Keep a journal of a few events."""
    journal = Journal(directory, Header(RUN, AT, "0.1.0", ("mrk", "run"), "/etc/mrk.yaml", "cron", "host"))
    for number in range(count):
        journal(Event(AT, "look", "payments", "us-east-1", {"key_state": "Enabled", "number": number}))
    return journal.seal(AT)


def verify(text: bytes, **known: str) -> Chain:
    chain = Chain(**known)
    Story().told(chain.read(io.BytesIO(text)))
    return chain


def printed(chain: Chain, story: Story) -> str:
    out = io.StringIO()
    Console(file=out, width=80, force_terminal=False).print(journals.table("a.jsonl", chain, story))
    return out.getvalue()


def test_a_journal_as_its_run_left_it_is_intact_and_has_the_hash_that_was_printed(tmp_path: Path) -> None:
    kept = keep(tmp_path)

    chain = verify(kept.path.read_bytes(), run=RUN, sought=kept.hash)

    assert (chain.intact, chain.matches, chain.ended, chain.torn) == (True, True, True, False)
    assert chain.lines == kept.lines == 7
    assert chain.header["user"] == "cron"
    assert chain.header["command"] == ["mrk", "run"]


def test_the_first_line_hangs_on_the_run_id_and_every_other_on_the_one_before_it(tmp_path: Path) -> None:
    """The format, as docs/journal.md tells it."""
    lines = keep(tmp_path).path.read_bytes().splitlines()

    told = [json.loads(line) for line in lines]
    assert [line["seq"] for line in told] == list(range(1, 8))
    assert told[0]["prev"] == first_link(RUN)
    assert [line["prev"] for line in told[1:]] == [link(line) for line in lines[:-1]]


@dataclass(frozen=True)
class Tampering:
    """What is done to the lines of a journal, and which line then tells of it."""

    change: Callable[[list[bytes]], list[bytes]]
    line: int
    said: str


def edited(lines: list[bytes]) -> list[bytes]:
    return [*lines[:2], lines[2].replace(b"Enabled", b"Disabled"), *lines[3:]]


def edited_and_padded(lines: list[bytes]) -> list[bytes]:
    return [*lines[:2], lines[2].replace(b'", "', b'" , "', 1), *lines[3:]]


def first_edited(lines: list[bytes]) -> list[bytes]:
    return [lines[0].replace(b"cron", b"root"), *lines[1:]]


def renamed(lines: list[bytes]) -> list[bytes]:
    return [lines[0].replace(b"a1b2c3", b"ffffff"), *lines[1:]]


def newer(lines: list[bytes]) -> list[bytes]:
    return [lines[0].replace(b"mrk-journal/1", b"mrk-journal/9"), *lines[1:]]


TAMPERINGS = {
    "a line edited": Tampering(edited, 4, "line 3 or this one was changed"),
    "only white space edited": Tampering(edited_and_padded, 4, "line 3 or this one was changed"),
    "the first line edited": Tampering(first_edited, 2, "line 1 or this one was changed"),
    "a line removed": Tampering(lambda lines: lines[:2] + lines[3:], 3, "number 4 where 3 is due"),
    "the first line removed": Tampering(lambda lines: lines[1:], 1, "does not begin a journal"),
    "a line inserted": Tampering(lambda lines: [*lines[:3], lines[2], *lines[3:]], 4, "number 3 where 4 is due"),
    "two lines exchanged": Tampering(
        lambda lines: [*lines[:2], lines[3], lines[2], *lines[4:]], 3, "number 4 where 3 is due"
    ),
    "junk inserted": Tampering(lambda lines: [*lines[:3], b"\xff junk\n", *lines[3:]], 4, "is not a line of a journal"),
    "a line added after the end": Tampering(lambda lines: [*lines, lines[-1]], 8, "after the end of the run"),
    "half a line added after the end": Tampering(lambda lines: [*lines, b"{"], 8, "after the end of the run"),
    "the journal of another run": Tampering(renamed, 1, "renamed or swapped"),
    "a format of another version": Tampering(newer, 1, "mrk-journal/9"),
    "emptied": Tampering(lambda _: [], 1, "holds no whole line"),
}


@pytest.mark.parametrize("tampering", TAMPERINGS.values(), ids=TAMPERINGS)
def test_what_was_changed_is_found_and_said(tmp_path: Path, tampering: Tampering) -> None:
    lines = keep(tmp_path).path.read_bytes().splitlines(keepends=True)

    chain = verify(b"".join(tampering.change(lines)), run=RUN)

    assert not chain.intact
    assert chain.breaks[0].line == tampering.line
    assert tampering.said in chain.breaks[0].message
    assert tampering.said in chain.problem()


def test_lines_cut_off_show_only_against_the_hash_that_was_printed(tmp_path: Path) -> None:
    """A chain claims no more than it can."""
    kept = keep(tmp_path)
    cut = b"".join(kept.path.read_bytes().splitlines(keepends=True)[:-2])

    assert verify(cut).intact
    assert not verify(cut).ended
    told = verify(cut, sought=kept.hash)
    assert not told.intact
    assert "cut off, or written anew" in told.problem()


def test_a_last_line_that_was_edited_shows_only_against_the_hash_that_was_printed(tmp_path: Path) -> None:
    kept = keep(tmp_path)
    changed = kept.path.read_bytes().replace(b'"seq": 7, ', b'"seq": 7,  ')

    assert verify(changed).intact
    assert not verify(changed, sought=kept.hash).intact


def test_lines_that_came_after_the_hash_that_was_printed_are_counted(tmp_path: Path) -> None:
    kept = keep(tmp_path)
    third = link(kept.path.read_bytes().splitlines()[2])

    assert verify(kept.path.read_bytes(), sought=third.upper()).problem() == (
        "the hash given is that of line 3, but 4 follow it"
    )


def test_the_torn_last_line_of_a_killed_run_is_left_out_and_said(tmp_path: Path) -> None:
    whole = keep(tmp_path).path.read_bytes().splitlines(keepends=True)[:4]

    chain = verify(b"".join(whole) + b'{"seq": 5, "pre')

    assert (chain.intact, chain.torn, chain.ended, chain.lines) == (True, True, False, 4)
    assert "CUT SHORT: the last line is torn" in printed(chain, Story())


def test_what_comes_after_the_end_is_not_written(tmp_path: Path) -> None:
    """The hash that was printed stays that of the file, even where a call comes back late."""
    journal = Journal(tmp_path, Header(RUN, AT))
    kept = journal.seal(AT)

    journal(Event(AT, "call"))

    assert journal.seal(AT) == kept
    assert verify(kept.path.read_bytes(), sought=kept.hash).intact


def test_junk_in_the_directory_disturbs_no_run(tmp_path: Path) -> None:
    (tmp_path / "20250101T000000Z-000000.jsonl").mkdir()
    (tmp_path / "20250102T000000Z-000000.jsonl").write_bytes(b"\x00\xff" * 100)
    (tmp_path / "20250103T000000Z-000000.jsonl").symlink_to(tmp_path / "nowhere")
    (tmp_path / "20250104T000000Z-000000.jsonl").touch(mode=0o000)

    assert verify(keep(tmp_path).path.read_bytes(), run=RUN).intact


def test_a_directory_that_cannot_be_written_is_told_before_anything_is_done(tmp_path: Path) -> None:
    (tmp_path / "runs").touch()

    with pytest.raises(UsageError, match=r"runs/.* cannot be written") as told:
        Journal(tmp_path / "runs", Header(RUN, AT))

    assert "run.journal" in told.value.hint


@contextmanager
def files_no_longer_than(size: int) -> Iterator[None]:
    """Have every longer write refused, as a full disk would."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_disk_that_is_full_from_the_start_is_told_before_anything_is_done(tmp_path: Path) -> None:
    with files_no_longer_than(20), pytest.raises(UsageError, match="cannot be written: File too large"):
        Journal(tmp_path, Header(RUN, AT))

    assert not list(tmp_path.iterdir())


def test_a_disk_that_gets_full_never_stops_the_run_and_is_told_at_its_end(tmp_path: Path) -> None:
    """The rotation goes on without evidence rather than half-way, and the end says so."""
    journal = Journal(tmp_path, Header(RUN, AT))
    with files_no_longer_than(journal.path.stat().st_size + 20):
        journal(Event(AT, "look"))
    journal(Event(AT, "look"))

    kept = journal.seal(AT)

    assert "File too large" in kept.problem
    assert kept.lines == 1
    chain = verify(kept.path.read_bytes(), sought=kept.hash)
    assert (chain.intact, chain.torn, chain.ended) == (True, True, False)


def test_a_password_in_the_command_line_is_not_kept(tmp_path: Path) -> None:
    """I14: nor does any event hold one."""
    words = ("mrk", "run", "--endpoint-url=http://me:word@localhost:1", "pkcs11:token=a?pin-value=1234&x=1")
    journal = Journal(tmp_path, Header(RUN, AT, command=words))
    journal(
        Event(AT, "mistake", "https://me:word@x", data={"b": ["//me:word@x"], "//me:word@y": {"c": "pin-value=1234"}})
    )

    first, second = journal.seal(AT).path.read_text().splitlines()[:2]

    kept = ["mrk", "run", "--endpoint-url=http://***@localhost:1", "pkcs11:token=a?pin-value=***&x=1"]
    assert json.loads(first)["data"]["command"] == kept
    assert "word" not in second
    assert "1234" not in second


def test_bytes_never_get_into_a_journal(tmp_path: Path) -> None:
    """I2: even if an event held some by mistake."""
    journal = Journal(tmp_path, Header(RUN, AT))

    journal(Event(AT, "mistake", data={"secret": b"secret", "more": [bytearray(b"secret")]}))

    text = journal.seal(AT).path.read_text()
    assert '{"secret": "<6 bytes>", "more": ["<6 bytes>"]}' in text


def leaves(value: object) -> Iterator[str]:
    """Every text, number and byte string of a request or an answer, as it could be found in a text."""
    if isinstance(value, dict):
        for inner in value.values():
            yield from leaves(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from leaves(inner)
    elif isinstance(value, bytes):
        yield from (value.hex(), base64.b64encode(value).decode(), repr(value)[2:-1])
    else:
        yield str(value)


def test_no_call_is_told_with_its_parameters_or_its_answer(world: World) -> None:
    """I2: not in the debug log and not in the journal; of what was said only the key's ARN and the Region are."""
    arn = world.make_key()
    region, clients, said, log = Region("us-east-1"), world.kms(), [], io.StringIO()
    kms = clients(region)
    events = kms._client.meta.events
    events.register("provide-client-params.kms", lambda params, **_: said.extend(leaves(params)))
    events.register("after-call.kms", lambda parsed, **_: said.extend(leaves({**parsed, "ResponseMetadata": None})))
    world.events.clear()

    parameters = kms.get_parameters_for_import(arn, WrappingAlgorithm.RSAES_OAEP_SHA_256)
    wrapped = world.store.wrap(EntryName(arn.identity, None), parameters.public_key, parameters.algorithm)
    (row,) = kms.list_key_rotations(arn)
    kms.import_key_material(arn, parameters, wrapped, ImportType.EXISTING, row.material_id, None)
    ciphertext = kms.encrypt(arn, b"a text that is to be encrypted", {"context": "a context that is given"})
    kms.decrypt(arn, ciphertext, {"context": "a context that is given"})
    with pytest.raises(KmsError):
        kms.decrypt(arn, b"not a ciphertext at all", {"context": "another context"})

    journal = Journal(world.directory / "runs", Header(RUN, AT))
    for event in world.events:
        event_logger(log, "debug")(event)
        journal(event)
    told = {value for value in said if len(value) > 8 and value not in f"{arn} InvalidCiphertextException"}
    assert {wrapped.hex(), base64.b64encode(ciphertext).decode(), "a context that is given"} <= told
    for text in (log.getvalue(), journal.seal(AT).path.read_text()):
        assert text.count("Decrypt") == 2
        assert not [value for value in told if value in text]


def told(*events: tuple[str, str, dict[str, object]]) -> Story:
    """Tell of events: kind, Region and data, of one key."""
    asked = ("run.asked", "", {"arn": ARN, "stages": ["ready"]})
    lines = [
        {"kind": kind, "key": "payments", "region": region, "data": data} for kind, region, data in (asked, *events)
    ]
    for line in lines:
        line["key"] = ARN if line["kind"] == "call" else "payments"
    return Story().told(Chain().read(io.BytesIO(chained(lines))))


def call(operation: str, region: str = "us-east-1", **more: object) -> tuple[str, str, dict[str, object]]:
    return "call", region, {"operation": operation, "request_id": f"id of {operation}", "status": 200, **more}


def test_a_call_is_told_with_the_action_that_it_was_sent_for_and_else_alone() -> None:
    """A wrapping key that is fetched ahead belongs to nothing yet; the probe that the store keeps is made by KMS."""
    story = told(
        ("action.begun", "us-east-1", {"action": "prove", "material_id": "ab" * 32}),
        call("GetParametersForImport"),
        call("GenerateDataKeyWithoutPlaintext"),
        ("action.ended", "us-east-1", {"action": "prove", "result": "done", "material_id": "ab" * 32}),
        ("action.begun", "store", {"action": "keep-probe"}),
        call("Encrypt"),
        ("action.ended", "store", {"action": "keep-probe", "result": "failed", "message": "no"}),
        ("action.begun", "us-east-1", {"action": "rotate"}),
    )

    steps = story.keys["payments"].steps[1:]
    assert [(step.what, step.detail, [sent.operation for sent in step.calls]) for step in steps] == [
        ("done", "prove key material abababab", ["GenerateDataKeyWithoutPlaintext"]),
        ("called", "", ["GetParametersForImport"]),
        ("failed", "keep-probe: no", ["Encrypt"]),
        ("begun", "rotate", []),
    ]
    assert "no outcome: the run was killed" in printed(Chain(), story)


def test_an_action_without_a_name_takes_no_calls() -> None:
    story = told(("action.begun", "us-east-1", {}), call("Encrypt"))

    assert [step.what for step in story.keys["payments"].steps] == ["asked", "begun", "called"]


def test_looks_that_show_the_same_are_one_step_with_all_their_calls() -> None:
    """K looks in a row are told as K; a call of theirs that failed is shown."""
    row = {"id": "ab" * 32, "state": "PENDING_ROTATION", "imported": True}
    look = ("look", "us-east-1", {"key_state": "Enabled", "current": "cdcdcdcd", "rows": [row]})
    story = told(call("DescribeKey"), look, call("DescribeKey", error="ThrottlingException"), call("DescribeKey"), look)

    (step,) = story.keys["payments"].steps[1:]
    assert (step.times, len(step.calls)) == (2, 3)
    assert step.detail == "Enabled, CURRENT cdcdcdcd, 1 of 1 imported, abababab pending"
    shown = printed(Chain(), story)
    assert " ".join(shown.split()).count("DescribeKey ThrottlingException id of DescribeKey") == 1
    assert shown.count("id of") == 1
    assert "3 calls to AWS, 1 failed" in shown


VALUES = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
WORDS = st.sampled_from(["payments", "us-east-1", "store", "[/bold]", "\x1b[31m", "\ud800", ARN, "keep-probe"])
KINDS = st.sampled_from(
    [
        *("journal.begun", "journal.ended", "run.asked", "call", "look", "run.pinned", "turn"),
        *("action.begun", "action.ended", "run.ended", "command.refused"),
    ]
)
DATA = st.dictionaries(
    st.sampled_from(
        [
            *("arn", "stages", "rows", "entries", "waits", "replaces", "entry", "operation", "error", "failed"),
            *("run", "format", "status", "action", "result", "message", "material_id", "key_state", "current"),
        ]
    ),
    VALUES | WORDS,
    max_size=5,
)
EVENTS = st.fixed_dictionaries(
    {"kind": KINDS | VALUES, "key": WORDS | VALUES, "region": WORDS | VALUES, "data": DATA | VALUES},
    optional={"at": VALUES, "seq": VALUES, "prev": VALUES},
)


def chained(events: list[dict[str, object]]) -> bytes:
    """Write a chain that holds, of lines that no run ever wrote."""
    text, before = b"", first_link("")
    for number, event in enumerate(events, 1):
        line = json.dumps({"seq": number, "prev": before, **event}).encode()
        text, before = text + line + b"\n", link(line)
    return text


@given(
    st.lists(EVENTS, max_size=12).map(chained)
    | st.binary(max_size=200)
    | st.lists(VALUES).map(lambda values: b"\n".join(json.dumps(value).encode() for value in values) + b"\n")
)
def test_no_journal_is_so_malformed_that_a_report_fails(text: bytes) -> None:
    """Nothing raises, nothing controls the terminal, and the document is JSON."""
    chain = Chain()
    story = Story().told(chain.read(io.BytesIO(text)))

    shown = printed(chain, story)
    document = json.dumps(journals.document("a.jsonl", chain, story))

    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f\ud800-\udfff]", shown)
    assert json.loads(document)["journal"]["lines"] == chain.lines


@pytest.mark.parametrize(
    "line",
    [b"[" * 100_000, b'{"seq": 1' + b"0" * 5000 + b"}", b'{"seq": 1, "data": ' + b"[" * 900 + b"]" * 900 + b"}"],
    ids=["nested too deep to read", "a number of 5000 digits", "nested too deep to write"],
)
def test_a_line_that_is_too_much_is_junk_like_any_other(line: bytes) -> None:
    chain = Chain()

    story = Story().told(chain.read(io.BytesIO(line + b"\n")))

    assert not chain.intact
    assert printed(chain, story)
