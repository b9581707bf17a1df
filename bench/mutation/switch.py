"""What stands in for every mutated function: it notes that it was called, and calls the mutant if one is chosen."""

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any

MutantDict = dict[str, Callable[..., Any]]
"""The mutants of one function by their names, as mutmut writes them down; `_mutmut_orig` is the function itself."""

called: set[str] = set()
"""Every function that was called: `module.function`, as mutmut names it."""

_chosen: list[str] = [""]


def choose(mutant: str) -> None:
    """Have one mutant called from now on, as `module.name`."""
    _chosen[0] = mutant


def wrap_in_trampoline(mutants: MutantDict, is_classmethod: bool = False) -> Callable[[Any], Any]:
    """Stand in for a function that has mutants."""

    def wrapping(function: Callable[..., Any]) -> Any:
        module = function.__module__

        def found() -> Callable[..., Any]:
            original = mutants["_mutmut_orig"]
            called.add(f"{module}.{original.__name__.partition('__mutmut_')[0]}")
            where, _, name = _chosen[0].rpartition(".")
            return mutants.get(name, original) if where == module else original

        @wraps(function)
        def instead(*given: Any, **named: Any) -> Any:
            if is_classmethod:
                return getattr(given[0], found().__name__)(*given[1:], **named)
            return found()(*given, **named)

        @wraps(function)
        def instead_yielding(*given: Any, **named: Any) -> Any:
            return (yield from found()(*given, **named))

        return instead_yielding if inspect.isgeneratorfunction(function) else instead

    return wrapping
