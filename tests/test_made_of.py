"""What a proof is made of is found, so that a change of any of it stars its row in docs/reliability.md."""

import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TREE = {
    "tests/conftest.py": "from verdict import TALLY\n",
    "tests/verdict.py": "",
    "tests/sizes.py": "",
    "tests/unused.py": "",
    "tests/races/race_kit.py": 'WORKER = "worker.py"\n',
    "tests/races/worker.py": "import helper\n",
    "tests/races/helper.py": "",
    "tests/races/test_races.py": "from race_kit import (\n    at_call,\n)\nfrom sizes import every\n",
    "tests/search/explorer.py": "",
    "bench/search.py": "from search.explorer import Explorer\n",
}


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("tests/races", {*TREE} - {"tests/unused.py", "tests/search/explorer.py", "bench/search.py"}),
        ("tests/races/test_races.py", {*TREE} - {"tests/unused.py", "tests/search/explorer.py", "bench/search.py"}),
        ("bench/search.py", {"bench/search.py", "tests/search/explorer.py"}),
    ],
)
def test_a_proof_is_its_tests_and_all_that_they_import_or_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, found: set[str]
) -> None:
    monkeypatch.syspath_prepend(ROOT / "bench")
    made_of = importlib.import_module("made_of").made_of
    for file, content in TREE.items():
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text(content)

    assert made_of(tmp_path, [name]) == found
