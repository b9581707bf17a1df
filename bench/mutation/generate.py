"""Make the mutants of some modules, with mutmut: `python generate.py TREE MODULE...`, in the environment of mutmut.

Each module in TREE is written anew with every mutant of each of its functions beside the function itself. What was made
is printed as JSON, by module and function: the hash of the function's source, and of each mutant what it changes.
"""

import json
import sys
from difflib import ndiff
from pathlib import Path

from mutmut.mutation.file_mutation import MutatedFile, mutate_file_contents


def main() -> None:
    """Write the modules that are named, and tell what was made of them."""
    tree = Path(sys.argv[1])
    json.dump({module: made(tree, module) for module in sys.argv[2:]}, sys.stdout)


def made(tree: Path, module: str) -> dict[str, dict[str, object]]:
    """Write the mutants of one module over it."""
    path = tree / module
    mutated = mutate_file_contents(module, path.read_text())
    path.write_text(mutated.code.replace("mutmut.mutation.trampoline", "mutation.switch"))
    functions: dict[str, dict[str, object]] = {}
    for name in mutated.mutant_names:
        function = name.partition("__mutmut_")[0]
        entry = functions.setdefault(function, {"hash": mutated.hash_by_function_name[function], "mutants": {}})
        entry["mutants"][name] = change(mutated, function, name)  # type: ignore[index]
    return functions


def change(mutated: MutatedFile, function: str, name: str) -> dict[str, str]:
    """Tell what a mutant changes: the lines that were there, and those that stand there instead."""
    original, mutant = source(mutated, f"{function}__mutmut_orig"), source(mutated, name)
    told = [line for line in ndiff(original[1:], mutant[1:]) if line[:2] in {"- ", "+ "}]
    was, becomes = (" ".join(line[2:].strip() for line in told if line[0] == sign) for sign in "-+")
    return {"was": was, "becomes": becomes}


def source(mutated: MutatedFile, name: str) -> list[str]:
    """Return the lines of one function of the file, from the one that names it."""
    span = mutated.line_span_by_function_name[name]
    lines = [
        line.split("  # type: ignore # mutmut")[0] for line in mutated.code.splitlines()[span.start - 1 : span.end]
    ]
    begin = next(place for place, line in enumerate(lines) if line.lstrip().startswith(("def ", "async def ")))
    return lines[begin:]


if __name__ == "__main__":
    main()
