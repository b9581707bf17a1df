"""A plugin of pytest that tries every mutant: a process is forked for each, and runs what calls the mutated function.

It reads `MRK_MUTANTS`, a JSON file {"mutants": {"module.function": ["module.mutant", ...]}, "results": FILE}, and
appends `[mutant, verdict]` to FILE as it goes, one per line. Tests that need a simulated world are slow: they are
tried in a second turn, on what is still alive.
"""

import gc
import json
import os
import resource
import signal
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

import pytest
from _pytest.runner import runtestprotocol
from hypothesis import settings

from mutation import switch

SLOW = {"world", "make_world"}
NEVER = {"secrets", "server", "secrets_server"}
"""Fixtures of what no mutant is tried with: a server that outlives the test."""

SIGNALS = {signal.SIGXCPU: "timeout", signal.SIGALRM: "timeout", signal.SIGTERM: "untried", signal.SIGINT: "untried"}
"""What it means that a process ended by a signal; by any other, the mutant crashed it."""

AT_ONCE = 2
LONGEST = float(os.environ.get("MRK_MUTATION_SECONDS", "60"))
"""Slow tests of one mutant are run for so many seconds together, the fastest first (as they take without mutants)."""

settings.register_profile("mutation", derandomize=True, database=None)
settings.load_profile("mutation")


def pytest_runtestloop(session: pytest.Session) -> bool:
    """Run the tests once without mutants, to know what each calls; then try every mutant."""
    task = json.loads(Path(os.environ["MRK_MUTANTS"]).read_text())
    alive: dict[str, list[str]] = task["mutants"]
    turns = [slow for slow in (False, True) if LONGEST or not slow]
    with Path(task["results"]).open("a") as results:
        for slow in turns:
            items = [item for item in session.items if kind(item) is slow]
            if not items or not any(alive.values()):
                continue
            callers = watched(items)
            dead = set()
            for mutant, verdict in verdicts(alive, callers, LONGEST if slow else None):
                if verdict != "survived" or slow is turns[-1]:  # what is alive before the last turn is not tried yet
                    results.write(json.dumps([mutant, verdict]) + "\n")
                    results.flush()
                if verdict != "survived":
                    dead.add(mutant)
            alive = {function: [one for one in mutants if one not in dead] for function, mutants in alive.items()}
    return True


def kind(item: Any) -> bool | None:
    """Whether a test is slow; None: it is not run."""
    names = set(item.fixturenames)
    return None if names & NEVER else bool(names & SLOW)


def watched(items: Sequence[Any]) -> dict[str, list[tuple[float, Any]]]:
    """Tell who calls what, the fastest first; a test that fails without a mutant ends it all."""
    callers: dict[str, list[tuple[float, Any]]] = defaultdict(list)
    switch.choose("")
    for place, item in enumerate(items):
        switch.called.clear()
        begun = time.process_time()
        if not run(item, items[place + 1] if place + 1 < len(items) else None):
            pytest.exit(f"{item.nodeid} fails without a mutant", returncode=3)
        for function in switch.called:
            callers[function].append((time.process_time() - begun, item))
    return {function: sorted(tests, key=lambda test: test[0]) for function, tests in callers.items()}


def run(item: Any, following: Any) -> bool:
    """Whether a test passes, or is skipped."""
    return not any(report.failed for report in runtestprotocol(item, log=False, nextitem=following))


def verdicts(
    alive: dict[str, list[str]], callers: dict[str, list[tuple[float, Any]]], seconds: float | None
) -> Iterator[tuple[str, str]]:
    """Try every mutant, two at once."""
    running: dict[int, str] = {}
    gc.freeze()  # so that a process of one mutant need not copy what it only reads
    work = [(mutant, callers.get(function, [])) for function, mutants in alive.items() for mutant in mutants]
    for number, (mutant, tests) in enumerate(work):
        if number % 100 == 0:
            print(f"{number} of {len(work)} mutants", file=sys.__stderr__, flush=True)
        if not tests:
            yield mutant, "survived"
            continue
        while len(running) >= AT_ONCE:
            yield ended(running)
        running[forked(mutant, tests, seconds)] = mutant
    while running:
        yield ended(running)


def forked(mutant: str, tests: Iterable[tuple[float, Any]], seconds: float | None) -> int:
    """Try one mutant in a process of its own, which may use ten times what its tests use."""
    chosen, together = [], 0.0
    for took, item in tests:
        together += took
        if seconds is not None and chosen and together > seconds:
            break
        chosen.append(item)
    pid = os.fork()
    if pid == 0:
        attempt(mutant, chosen, 10 + int(together * 10))
    return pid


def attempt(mutant: str, items: Sequence[Any], limit: int) -> NoReturn:
    """Run the tests until one fails, and end with what that means."""
    code = 1
    try:
        resource.setrlimit(resource.RLIMIT_CPU, (limit, limit + 5))
        signal.alarm(60 + 10 * limit)
        quiet = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(quiet, stream)
        switch.choose(mutant)
        following = [*items[1:], items[-1]]
        code = 0 if all(run(item, after) for item, after in zip(items, following, strict=True)) else 1
    finally:
        os._exit(code)


def ended(running: dict[int, str]) -> tuple[str, str]:
    """Wait for one of them to end."""
    pid, status = os.wait()
    mutant = running.pop(pid)
    if os.WIFSIGNALED(status):
        return mutant, SIGNALS.get(os.WTERMSIG(status), "killed")
    return mutant, "killed" if os.WEXITSTATUS(status) else "survived"
