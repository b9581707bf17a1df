"""Search everything that runs can do to one key: `python bench/search.py [quick|deep] [PART OF A NAME]`.

`deep` searches all that `quick` does, and more. Prints one line for each scenario: states, steps, depth, worlds, and
how runs ended; or the counter-example that ended its search, as a story. Exit code 1 where there is any, or where
a search finds fewer states than it should (`tests/search/search_scenarios.py`).
"""

import sys
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "search"))

from search_explorer import Explorer
from search_scenarios import DEEP, QUICK
from search_world import WrongError

AT_ONCE = 2
"""Processes; one scenario can take 4 GB of memory."""


def searched(size: str, number: int) -> tuple[bool, str]:
    """Search one scenario: whether it holds, and what there is to tell."""
    scenario, at_least = list((DEEP if size == "deep" else QUICK).items())[number]
    try:
        found = Explorer(scenario).search()
    except WrongError as wrong:
        return False, f"{scenario.name}: counter-example: {wrong}"
    shrunk = found.states < at_least or not found.alone
    return not shrunk, f"{found}{f'; it has shrunk: {at_least:,} states were there' if shrunk else ''}"


def main() -> None:
    size, part = (*sys.argv[1:], "", "")[:2]
    named = [number for number, one in enumerate(DEEP if size == "deep" else QUICK) if part in one.name]
    held = True
    with ProcessPoolExecutor(AT_ONCE, mp_context=get_context("spawn"), max_tasks_per_child=1) as processes:
        for ended in as_completed([processes.submit(searched, size, number) for number in named]):
            right, line = ended.result()
            held &= right
            print(line, flush=True)
    sys.exit(not held)


if __name__ == "__main__":
    main()
