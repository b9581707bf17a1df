"""Search everything that two runs can do to one key: `python bench/search.py [quick|deep] [PART OF A NAME]`.

Prints one line for each scenario: states, steps, depth, worlds, and how runs ended. A counter-example ends it.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "search"))

from search_explorer import Explorer
from search_scenarios import DEEP, QUICK


def main() -> None:
    size, part = (*sys.argv[1:], "", "")[:2]
    for scenario in DEEP if size == "deep" else QUICK:
        if part in scenario.name:
            print(Explorer(scenario).search(), flush=True)


if __name__ == "__main__":
    main()
