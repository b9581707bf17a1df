"""Which files a proof is made of: its tests, their conftests, what they import or start, and what that imports."""

import re
from collections.abc import Iterable
from pathlib import Path

_IMPORT = re.compile(r"^\s*(?:from|import)\s.*$", re.MULTILINE)
_STARTED = re.compile(r"[\w/]+\.py\b")


def made_of(root: Path, names: Iterable[str]) -> set[str]:
    """Follow files and directories below `root` to every module of tests/ that they name."""
    modules = {file.stem: file for file in (root / "tests").rglob("*.py")}
    found: set[Path] = set()
    waiting = [file for name in names for file in _files(root / name)]
    while waiting:
        file = waiting.pop()
        if file in found:
            continue
        found.add(file)
        waiting += [modules[word] for word in _named(file) & modules.keys()]
        conftests = [folder / "conftest.py" for folder in file.parents if file.name.startswith("test_")]
        waiting += [one for one in conftests if one.exists()]
    return {str(file.relative_to(root)) for file in found}


def _files(path: Path) -> Iterable[Path]:
    return (file for file in path.rglob("*") if "__pycache__" not in file.parts) if path.is_dir() else [path]


def _named(file: Path) -> set[str]:
    """Every word of the imports of a module, and every other module that it names as a file."""
    if file.suffix != ".py":
        return set()
    text = file.read_text()
    imported = {word for line in _IMPORT.findall(text) for word in re.findall(r"\w+", line)}
    return imported | {Path(name).stem for name in _STARTED.findall(text)}
