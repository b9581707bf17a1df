"""Prove it: run every proof in full and write docs/reliability.md from what was measured: `make prove`.

`python bench/prove.py [PART...]` runs some parts only. Each part leaves its numbers in build/prove/PART.json:

    {"part": "crash", "share": "all", "at": "2026-11-24T03:00Z", "commit": "059c887", "seconds": 600, "tests": 49,
     "failed": 0, "xfailed": 0, "numbers": {"points_killed": 880, "lost": 0, "lost_judged": 1760}}

and the document is written from all the files that are there. Exit code 1 where anything failed.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from textwrap import fill
from typing import Any, NamedTuple

from made_of import made_of

SHARE = os.environ.get("MRK_PROVE", "all")
"""`all`, or a number: MRK_PROVE=4 tries one crash point and one fault in four, and the document says so."""

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "build" / "prove"
DOCUMENT = ROOT / "docs" / "reliability.md"

TESTS = {
    "crash": ["tests/crash"],
    "faults": ["tests/faults"],
    "races": [
        "tests/races",
        "tests/stores/test_secret_store_processes.py",
        "tests/stores/test_file_store_processes.py",
    ],
    "lag": ["tests/properties/test_lag.py", "tests/properties/test_lagging_workflows.py"],
    "properties": ["tests/properties/test_any_state.py"],
    "switches": ["tests/properties/test_switches.py"],
    "refusals": ["tests/properties/test_fatal_rotations.py"],
    "secrets": [
        "tests/properties/test_secrets_everywhere.py",
        "tests/properties/test_hardening.py",
        "tests/e2e/test_secrets_manager.py",
    ],
    "fuzz": ["tests/fuzz"],
    "ways": ["tests/ways"],
    "year": ["tests/e2e/test_year.py"],
}
"""Parts that pytest runs, in full where MRK_PROVE=all; tests count with record_property."""

_SEARCHED = re.compile(r"([\d,]+) states, ([\d,]+) steps, depth (\d+)")

SAMPLED = ("crash", "faults", "races", "lag", "secrets", "switches", "ways")

PARTS = ("search", *TESTS, "mutation")

PROMISES = {
    "lost": "Key materials lost",
    "double": "Rotations too many",
    "unusable": "Usable keys made unusable",
    "false_success": "Successes told that were none",
    "false_held": "Bytes said to be held or proven that are others (I12)",
    "let_die": "Regions that were well and not kept alive beside an odd one (I11)",
    "untold": "Repairs that nothing tells of (I13)",
    "switched_on": "Regions enabled that their owner had switched off (P10)",
    "false_block": "Others blamed for what nobody else did (I15)",
    "leaked": "Secrets in anything written (I14)",
}


class Claim(NamedTuple):
    """What a part is called, what it counts, what it runs against, and what it means."""

    title: str
    counted: str
    against: str
    meaning: str


CLAIMS = {
    "search": Claim(
        "Exhaustive search",
        "{scenarios} scenarios, {states:,} states, {steps:,} steps, depth {depth}, {counter_examples} counter-examples",
        "a small world of its own; no HTTP",
        "Every order in which two or three runs of the shipping decision code (rotations, aborts, repairs, renewals, "
        "and what cron calls), KMS, crashes, lost replies, stale looks and other people can act on one key, within "
        "stated bounds (`tests/search/search_scenarios.py`). It has its own rules for what must never happen "
        "(`tests/search/search_calls.py`): what breaks one is a counter-example.",
    ),
    "crash": Claim(
        "Crash matrix",
        "{points_killed:,} points killed ({points_not_reached:,} not reached: polls vary)",
        "HTTP, real processes",
        "`mrk` as a real process over four Regions, killed with -9, in each workflow: at every call of KMS and of the "
        "store; where the call changes anything, before it has its effect and after that; and in the middle of every "
        "line of a rotation's journal; a rotation under lagging reads, too. Then run again (`tests/crash`).",
    ),
    "faults": Claim(
        "Fault matrix",
        "{faults_tried:,} faults tried",
        "HTTP, sockets and file systems",
        "In a rotation every modelled error of every operation, throttling, refused, unknown and expired credentials, "
        "lost requests and replies, 500 and 503; once, three times, for ever; and no host, no connection and no "
        "answer. Each is compared with what a table says it comes to, within the deadline. In the other workflows the "
        "same of what each has of its own, and a few at any one call; a disk that is full or not to be written on; a "
        "store that does not answer any one call. There no promise may be broken, a block has a way out, and within "
        "three more runs one says that it is done, and it is (`tests/faults`).",
    ),
    "races": Claim(
        "Races",
        "{races_run:,} races run",
        "HTTP, some with real processes",
        "Two to eight processes on one store, separate stores, and other people: replicas made and scheduled for "
        "deletion, another primary, imports, rotations and deletions by hand, an abort; at every call of a run, "
        "before the call's effect and after it. A run that begins in another one and is interrupted there: every "
        "ninth call of both. Two real processes begin at every call of each other, four at every third, eight at "
        "every ninth. No Region may be unusable for a while, either, but what a hand itself takes away; and no run "
        "may say that it finished after a look that shows what a hand broke. A race counts where somebody did come "
        "between and had something to do; KMS may have refused it (`tests/races`). A repair, a renewal and what cron "
        "calls race with what the world outside does: a replica made by hand, a member that left the config early, a "
        "Region that is disabled and then expires, another primary, foreign material, a merged store, a dead Region, a "
        "clock that is set; all else is kept alive (`test_hands_beside_upkeep.py`). Not counted: eight processes that "
        "deposit 200 names at once (`tests/stores`).",
    ),
    "lag": Claim(
        "Lag",
        "{lagging_runs:,} runs",
        "HTTP",
        "Every workflow under reads that lag and flap as was measured of AWS, and a start date that vanishes early; "
        "and a primary that lags behind its replicas, whatever `missing_old`, `proof` and `repair` say "
        "(`tests/properties/test_lag.py`, `test_lagging_workflows.py`).",
    ),
    "properties": Claim(
        "Properties",
        "{examples:,} examples",
        "HTTP",
        "From any state that random legal calls and workflows reach, a rotation comes to a proven end or stops with a "
        "reason (`tests/properties/test_any_state.py`).",
    ),
    "switches": Claim(
        "Open questions",
        "{answers:,} runs under another answer",
        "HTTP",
        "What nothing public settles about KMS is a switch of the simulator; each is thrown, one at a time, and a "
        "rotation is begun, finished, given up and repaired (`tests/properties/test_switches.py`).",
    ),
    "refusals": Claim(
        "Fatal rotations refused",
        "{refusals:,} refusals",
        "HTTP, the real command",
        "What the owner would regret, most of which KMS would accept, is refused, with a way out, and shown by a plan "
        "beforehand: `mrk plan`, or, where `mrk run` would mend it, that of the command itself "
        "(`tests/properties/test_fatal_rotations.py`).",
    ),
    "secrets": Claim(
        "Secrets",
        "{texts_searched:,} texts searched",
        "HTTP, real processes",
        "Nothing that a rotation, an abort or an adoption writes, prints or raises at level debug, with faults "
        "everywhere, holds key material in any of the encodings of `tests/leaks.py`; nor where the store is in "
        "Secrets Manager; no core dump is offered "
        "(`tests/properties/test_secrets_everywhere.py`, `tests/e2e/test_secrets_manager.py`).",
    ),
    "fuzz": Claim(
        "Fuzz",
        "{inputs_fuzzed:,} inputs",
        "HTTP for answers of KMS; files without it",
        "Malformed answers of KMS, config files, store entries and journals: read for what they still say, or a clear "
        "error; never a traceback (`tests/fuzz`).",
    ),
    "ways": Claim(
        "Ways out",
        "{ways_taken:,} ways taken",
        "HTTP, the real command",
        "Every block that a command can end with, and every refusal that prints a command: what is advised is done "
        "word by word, and what stood in the way is gone. A block in the code that has no row fails (`tests/ways`).",
    ),
    "year": Claim(
        "A year",
        "{nights_lived:,} nights, {times_opened:,} ciphertexts opened",
        "HTTP, real processes on a moved clock",
        "What cron calls, through a year with a replica made by hand, a Region that leaves the config early, a wrong "
        "clock at boot, a merged store, a primary whose Region is down for a week, and a disabled Region whose "
        "material expires. Whatever a client that knows nothing of mrk encrypted in it opens at its end, in every "
        "Region that the owner did not switch off himself (`tests/e2e/test_year.py`).",
    ),
    "mutation": Claim(
        "Mutation testing",
        "{killed:,} of {mutants:,} mutants killed; {untried:,} not tried",
        "the core's tests, most of them without HTTP",
        "Changes made to the code on purpose, each tried anew; some test must notice nine in ten at least. Those that "
        "live are listed (`docs/mutation.md`).",
    ),
}

_MUTMUT = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["mutmut"]
OTHERS = {
    "search": ["bench/search.py"],
    "mutation": ["bench/mutation", *_MUTMUT["pytest_add_cli_args_test_selection"]],
}
"""What the parts are made of that pytest does not run."""

MEASURED_ON = ("orchestrator", "workflows")
"""What a measurement is about: when this changes, it is about something older."""


def main() -> None:
    """Run the parts that are asked for, or all, and write the document."""
    if unknown := set(sys.argv[1:]) - set(PARTS):
        sys.exit(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    RESULTS.mkdir(parents=True, exist_ok=True)
    wanted, measures = sys.argv[1:] or PARTS, {"search": search, "mutation": mutated}
    for part in wanted:
        print(f"prove: {part} ...", flush=True)
        begun_at = commit()
        result = measures[part]() if part in measures else tested(part)
        result["commit"] = begun_at if commit() == begun_at else f"{begun_at} and changes"
        (RESULTS / f"{part}.json").write_text(json.dumps(result, indent=2) + "\n")
        print(f"prove: {part}: {result['failed']} failed in {result['seconds']} s, {result['numbers']}", flush=True)
    found = results()
    DOCUMENT.write_text(document(found))
    print(f"prove: wrote {DOCUMENT.relative_to(ROOT)}")
    sys.exit(any(result["failed"] for result in found.values()))


def results() -> dict[str, dict[str, Any]]:
    """Read what every part has left."""
    files = {part: RESULTS / f"{part}.json" for part in CLAIMS}
    return {part: json.loads(file.read_text()) for part, file in files.items() if file.exists()}


def tested(part: str) -> dict[str, Any]:
    """Run the tests of one part in full, and sum up what they count."""
    report, begun = RESULTS / f"{part}.xml", time.monotonic()
    report.unlink(missing_ok=True)
    line = [sys.executable, "-m", "pytest", "-q", "-n", "2", f"--junitxml={report}", *TESTS[part]]
    code = subprocess.run(line, cwd=ROOT, env=os.environ | {"MRK_PROVE": SHARE}, check=False).returncode
    suite = ET.parse(report).getroot().find("testsuite")  # noqa: S314 - what pytest wrote a moment ago
    assert suite is not None
    numbers: Counter[str] = Counter()
    for one in suite.iter("property"):
        numbers[one.attrib["name"]] += int(one.attrib["value"])
    failed = int(suite.attrib["failures"]) + int(suite.attrib["errors"])
    xfailed = sum(skipped.attrib.get("type") == "pytest.xfail" for skipped in suite.iter("skipped"))
    return told(part, begun, int(suite.attrib["tests"]), failed or int(code != 0), numbers, xfailed)


def search() -> dict[str, Any]:
    """Search every scenario, to the last one, whatever is found."""
    begun, size = time.monotonic(), "deep" if SHARE == "all" else "quick"
    ended = subprocess.run(
        [sys.executable, "bench/search.py", size], cwd=ROOT, check=False, text=True, stdout=subprocess.PIPE
    )
    numbers: Counter[str] = Counter()
    for states, steps, depth in _SEARCHED.findall(ended.stdout):
        numbers["scenarios"] += 1
        numbers["states"] += int(states.replace(",", ""))
        numbers["steps"] += int(steps.replace(",", ""))
        numbers["depth"] = max(numbers["depth"], int(depth))
    numbers["counter_examples"] = ended.stdout.count("counter-example: ")
    return told("search", begun, numbers["scenarios"], int(ended.returncode != 0), numbers)


def mutated() -> dict[str, Any]:
    """Change the code on purpose; what came of it is left where every part leaves it, or it failed."""
    begun, file = time.monotonic(), RESULTS / "mutation.json"
    file.unlink(missing_ok=True)
    subprocess.run([sys.executable, "bench/mutation", "--fresh"], cwd=ROOT, check=False)
    result: dict[str, Any] = json.loads(file.read_text()) if file.exists() else told("mutation", begun, 0, 1, Counter())
    return result


def told(part: str, begun: float, tests: int, failed: int, numbers: Counter[str], xfailed: int = 0) -> dict[str, Any]:
    """Put one part's result together."""
    at, seconds = datetime.now(UTC).strftime("%Y-%m-%dT%H:%MZ"), round(time.monotonic() - begun)
    about = {
        "part": part,
        "share": SHARE,
        "at": at,
        "seconds": seconds,
        "tests": tests,
        "failed": failed,
        "xfailed": xfailed,
    }
    return about | {"numbers": dict(numbers)}


def commit() -> str:
    """Name what is measured: the commit, and whether the files differ from it."""
    changed = git("status", "--porcelain", "--", *MEASURED_ON, "tests", "bench")
    return git("rev-parse", "--short", "HEAD") + (" and changes" if changed else "")


def git(*words: str) -> str:
    """Ask git; what it cannot tell is empty."""
    return subprocess.run(
        [str(shutil.which("git")), *words], cwd=ROOT, check=False, text=True, capture_output=True
    ).stdout.strip()


def document(found: dict[str, dict[str, Any]]) -> str:
    """Write down what was measured, and nothing else."""
    lines = [
        "# Reliability: what was tried, and what came of it",
        "",
        "Written by `make prove` from what it measured; do not edit. `make test` runs a slice of the same. Nothing was",
        "measured against AWS itself: `against` tells against what, and HTTP is that of the simulator",
        "(`docs/simulator.md`).",
        "",
        "| promise | judged | broken |",
        "|---|---|---|",
        *(promised(name, title, found.values()) for name, title in PROMISES.items()),
        "",
        "| proof | measured | against | promises judged | failed | expected to fail | commit | when |",
        "|---|---|---|---|---|---|---|---|",
        *(row(part, found[part]) if part in found else unmeasured(part) for part in CLAIMS),
        "",
        *(line for claim in CLAIMS.values() for line in (fill(f"**{claim.title}.** {claim.meaning}", 120), "")),
        "A promise is judged from outside: by what the simulated keys really are in every Region, by the bytes that",
        "the stores can give back, and by what runs tell (`tests/verdict.py`, which counts by itself what it finds). A",
        "repair counts as judged where material was missing, and a switch where an owner had used it. A proof that",
        "judges none says so with a dash: there, what failed is what was broken. Tests that are expected to fail are",
        "known defects; each says which. A commit with a star is older than the last change of the product or of the",
        "proof: its row may lack what the text tells.",
    ]
    return "\n".join(lines) + "\n"


def promised(name: str, title: str, found: Iterable[dict[str, Any]]) -> str:
    """One promise: how often it was judged, and what was broken; where nobody judged it, nothing is claimed."""
    numbers = sum((Counter(result["numbers"]) for result in found), Counter[str]())
    if not numbers[f"{name}_judged"]:
        return f"| {title} | not measured | not measured |"
    return f"| {title} | {numbers[f'{name}_judged']:,} times | {numbers[name]} |"


def row(part: str, result: dict[str, Any]) -> str:
    """One line of the table."""
    claim, numbers = CLAIMS[part], Counter(result["numbers"])
    known = all(name in numbers for name in fields(claim.counted))
    measured = claim.counted.format_map(numbers) if known else "not measured"
    sampled = part in SAMPLED and result.get("share", "all") != "all"
    measured += f" (one in {result['share']} of all)" if sampled else ""
    measured += " (the quick scenarios)" if part == "search" and result["share"] != "all" else ""
    judged = f"{numbers['lost_judged']:,} times" if numbers["lost_judged"] else "–"
    ended = (str(result["failed"]), str(result.get("xfailed", 0)), named(part, result), result["at"])
    return f"| {' | '.join((claim.title, measured, claim.against, judged, *ended))} |"


def unmeasured(part: str) -> str:
    """The line of a part that left no result."""
    claim = CLAIMS[part]
    return f"| {claim.title} | not measured | {claim.against} | not measured | – | – | – | – |"


def named(part: str, result: dict[str, Any]) -> str:
    """Name the commit of a measurement, with a star where the product or a file of the proof has changed since."""
    at = str(result.get("commit", "unknown"))
    number, *_ = at.split(" ")
    proof = sorted(made_of(ROOT, TESTS.get(part) or OTHERS[part]))
    since = git("diff", "--name-only", number, "--", *MEASURED_ON, *proof)
    known = git("rev-parse", "--verify", "--quiet", f"{number}^{{commit}}")
    return at if known and not since else f"{at} *"


def fields(counted: str) -> list[str]:
    """Name the numbers that a sentence tells."""
    return [piece.split("}")[0].split(":")[0] for piece in counted.split("{")[1:]]


if __name__ == "__main__":
    main()
