"""Mutation testing: change the code in every small way, and see that some test notices: `make mutation`.

`python bench/mutation [--fresh] [MODULE...]` tries the mutants of some modules only, as
`orchestrator/checks.py`; without any, of all that pyproject.toml names ([tool.mutmut]). mutmut makes the mutants; the
tests that call a mutated function are run for each in a process of its own. What came of each is kept by module and by
the hash of its function in build/prove/mutation/, so that a killed mutant is not tried again until its function
changes; `--fresh` forgets that. Survivors are tried each time, as tests may have come that kill them.

build/prove/mutation.json sums up what is known of all modules, and docs/mutation.md holds it as a table; survivors.toml
says of a survivor why none can kill it.
Exit code 1 where fewer than 9 of 10 are killed, or some were not tried.
"""

import json
import os
import shutil
import subprocess
import sys
import time
import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
TREE = ROOT / "build" / "mutation"
RESULTS = ROOT / "build" / "prove"
KEPT = RESULTS / "mutation"
ENVIRONMENT = Path(sys.prefix) / "mutation" / "bin" / "python"
ENOUGH = 0.9
DOCUMENT = ROOT / "docs" / "mutation.md"
MEASURED = "## Measured"
"""What follows this line of the document is written here."""

Functions = dict[str, dict[str, Any]]
"""The functions of a module: of each the hash of its source and its mutants, which are told by what they change."""


def main() -> None:
    """Make and try the mutants of the modules that are asked for, and sum up."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["mutmut"]
    every = [str(path.relative_to(ROOT)) for name in settings["only_mutate"] for path in sorted(ROOT.glob(name))]
    asked = [word for word in sys.argv[1:] if not word.startswith("-")] or every
    if unknown := set(asked) - set(every):
        sys.exit(f"not among the modules of [tool.mutmut] in pyproject.toml: {', '.join(sorted(unknown))}")
    if "--fresh" in sys.argv:
        shutil.rmtree(KEPT, ignore_errors=True)
    KEPT.mkdir(parents=True, exist_ok=True)
    begun = time.monotonic()
    made = generated(asked)
    results = TREE / "results.jsonl"
    try:
        tried(made, settings["pytest_add_cli_args_test_selection"], results)
    finally:
        verdicts = dict(json.loads(line) for line in results.read_text().splitlines())
        for module, functions in made.items():
            judge(module, functions, verdicts)
            kept(module).write_text(json.dumps(functions, indent=1) + "\n")
    result = summed_up([module for module in every if kept(module).exists()], round(time.monotonic() - begun))
    (RESULTS / "mutation.json").write_text(json.dumps(result, indent=1) + "\n")
    DOCUMENT.write_text(documented(DOCUMENT.read_text(), result))
    tell(result)
    sys.exit(bool(result["failed"]))


def generated(modules: list[str]) -> dict[str, Functions]:
    """Lay out a copy of the sources and tests with the mutants in it; what is known of them already is told, too."""
    shutil.rmtree(TREE, ignore_errors=True)
    TREE.mkdir(parents=True)
    for name in ("orchestrator", "workflows", "tests"):
        shutil.copytree(ROOT / name, TREE / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(HERE, TREE / "mutation", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", TREE)
    line = [ENVIRONMENT, HERE / "generate.py", TREE, *modules]
    made: dict[str, Functions] = json.loads(subprocess.run(line, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout)
    for module, functions in made.items():
        before: Functions = json.loads(kept(module).read_text()) if kept(module).exists() else {}
        for name, function in functions.items():
            if before.get(name, {}).get("hash") == function["hash"]:
                function["mutants"] = before[name]["mutants"]
    return made


def kept(module: str) -> Path:
    """Where the results of one module are."""
    return KEPT / f"{module.removesuffix('.py').replace('/', '.')}.json"


def package(module: str) -> str:
    """Name a module as Python does."""
    return module.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def tried(made: dict[str, Functions], tests: list[str], results: Path) -> None:
    """Try what is not known to be killed."""
    mutants = {
        f"{package(module)}.{name}": [
            f"{package(module)}.{mutant}"
            for mutant, about in function["mutants"].items()
            if about.get("verdict") not in {"killed", "timeout"}
        ]
        for module, functions in made.items()
        for name, function in functions.items()
    }
    task = TREE / "task.json"
    task.write_text(json.dumps({"mutants": mutants, "results": str(results)}))
    results.write_text("")
    print(f"mutation: {sum(map(len, mutants.values()))} mutants to try in {len(made)} modules", flush=True)
    options = ["-q", "-p", "mutation.trial", "-p", "no:cacheprovider", "--assert=plain", "--tb=native"]
    line = [sys.executable, "-m", "pytest", *options, *tests]
    subprocess.run(line, cwd=TREE, env=os.environ | {"MRK_MUTANTS": str(task), "PYTHONPATH": str(TREE)}, check=True)


def judge(module: str, functions: Functions, verdicts: dict[str, str]) -> None:
    """Note what came of the mutants of one module."""
    for function in functions.values():
        for mutant, about in function["mutants"].items():
            verdict = verdicts.get(f"{package(module)}.{mutant}", "untried")
            if verdict != "untried":
                about["verdict"] = verdict


def summed_up(modules: list[str], seconds: int) -> dict[str, Any]:
    """Count, and name the survivors with their reasons."""
    told = tomllib.loads((HERE / "survivors.toml").read_text()).get("survivor", [])
    reasons = {(one["module"], one["function"], one["was"], one["becomes"]): one["reason"] for one in told}
    survivors, scores = [], {}
    for module in modules:
        counts = scores[module] = {"mutants": 0, "killed": 0, "untried": 0}
        for function, about in json.loads(kept(module).read_text()).items():
            name = function.removeprefix("x_").removeprefix("xǁ").replace("ǁ", ".")
            for mutant in about["mutants"].values():
                counts["mutants" if mutant.get("verdict") else "untried"] += 1
                counts["killed"] += mutant.get("verdict") in {"killed", "timeout"}
                if mutant.get("verdict") == "survived":
                    key = (module, name, mutant["was"], mutant["becomes"])
                    about_it = dict(zip(("module", "function", "was", "becomes"), key, strict=True))
                    survivors.append(about_it | {"reason": reasons.get(key, "")})
    sums = {name: sum(counts[name] for counts in scores.values()) for name in ("mutants", "killed", "untried")}
    score = sums["killed"] / max(sums["mutants"], 1)
    commit = [str(shutil.which("git")), "rev-parse", "--short", "HEAD"]
    named = subprocess.run(commit, cwd=ROOT, check=False, text=True, stdout=subprocess.PIPE).stdout.strip()
    about = {
        "part": "mutation",
        "commit": named,
        "at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%MZ"),
        "seconds": seconds,
    }
    about |= {
        "tests": sums["mutants"],
        "failed": int(score < ENOUGH or sums["untried"] > 0),
        "xfailed": 0,
        "numbers": sums,
    }
    return about | sums | {"score": round(score, 4), "modules": scores, "survivors": survivors}


def documented(text: str, result: dict[str, Any]) -> str:
    """Put the table of what was measured into the document."""
    kept, _, _ = text.partition(MEASURED)
    unexplained = sum(not survivor["reason"] for survivor in result["survivors"])
    together = (
        f"| together | {result['mutants']:,} | {result['killed']:,} | {result['score']:.1%} | {result['untried']:,} |"
    )
    lines = [
        f"{MEASURED} ({result['at']}, commit {result['commit']})",
        "",
        f"Written by `make mutation`. Of the {len(result['survivors'])} survivors, {unexplained} have no reason in",
        "`bench/mutation/survivors.toml`. A module's row is about the source as it was when it was last tried.",
        "",
        "| module | mutants tried | killed | | not tried |",
        "|---|---|---|---|---|",
        *(row(module, counts) for module, counts in result["modules"].items() if counts["mutants"] + counts["untried"]),
        together,
    ]
    return kept + "\n".join(lines) + "\n"


def row(module: str, counts: dict[str, int]) -> str:
    """One module of the table."""
    name, share = module.removesuffix(".py"), counts["killed"] / max(counts["mutants"], 1)
    killed = f"{counts['killed']:,} | {share:.0%}" if counts["mutants"] else "– | –"
    return f"| `{name}` | {counts['mutants']:,} | {killed} | {counts['untried']:,} |"


def tell(result: dict[str, Any]) -> None:
    """Print the score of each module."""
    for module, counts in result["modules"].items():
        score = counts["killed"] / max(counts["mutants"], 1)
        untried = f", {counts['untried']} not tried" if counts["untried"] else ""
        print(f"{counts['killed']:5} of {counts['mutants']:5} {score:7.1%}  {module}{untried}")
    print(f"{result['killed']:5} of {result['mutants']:5} {result['score']:7.1%}  in {result['seconds']} s")
    unexplained = sum(not survivor["reason"] for survivor in result["survivors"])
    print(f"{len(result['survivors'])} survivors, {unexplained} without a reason; see build/prove/mutation.json")


if __name__ == "__main__":
    main()
