"""Where the code blocks, or refuses with a command to type: every such place is to have a row."""

import ast
from collections.abc import Iterator
from pathlib import Path

from ways.way import printed

ROOT = Path(__file__).parents[2]


def sites() -> dict[str, set[str]]:
    """Name every function that makes a Block, with the reasons that it gives: by module.function, as written."""
    found: dict[str, set[str]] = {}
    for module, function, call in _calls():
        if _name(call) == "Block" and call.args:
            found.setdefault(f"{module}.{function}", set()).add(ast.unparse(call.args[0]).removeprefix("Reason."))
    return found


def functions() -> set[str]:
    """Name every function; what stands in none is of its module."""
    found = set()
    for module, tree in _modules():
        nodes = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
        found |= {f"{module}.", *(f"{module}.{node.name}" for node in nodes)}
    return found


def refusals() -> set[str]:
    """Name every function that raises an error whose own words hold a command to type."""
    found = set()
    for module, function, call in _calls():
        if _name(call).endswith("Error") and any(printed(text) for text in _texts(call)):
            found.add(f"{module}.{function}")
    return found


def _modules() -> Iterator[tuple[str, ast.Module]]:
    for package in ("orchestrator", "workflows"):
        for path in sorted((ROOT / package).rglob("*.py")):
            if "simulator" not in path.parts:
                name = path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".")
                yield name, ast.parse(path.read_text())


def _calls() -> Iterator[tuple[str, str, ast.Call]]:
    for module, tree in _modules():
        yield from ((module, function, call) for function, call in _in(tree, ""))


def _in(node: ast.AST, function: str) -> Iterator[tuple[str, ast.Call]]:
    for child in ast.iter_child_nodes(node):
        inner = child.name if isinstance(child, ast.FunctionDef) else function
        if isinstance(child, ast.Call):
            yield inner, child
        yield from _in(child, inner)


def _name(call: ast.Call) -> str:
    return call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")


def _texts(call: ast.Call) -> Iterator[str]:
    for node in ast.walk(call):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
