"""How much is tried: a slice that `make test` has time for, or everything, which `make prove` asks for.

MRK_PROVE=all tries everything, and MRK_PROVE=4 one in four, where a machine is too busy for all of it.
"""

import os
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

_ASKED = os.environ.get("MRK_PROVE", "")
EVERYTHING = bool(_ASKED)
_ONE_IN = int(_ASKED) if _ASKED.isdigit() else 1


def some(everything: Sequence[T], number: int) -> Sequence[T]:
    """Everything (or one in so many), or so many evenly spaced."""
    if EVERYTHING:
        return everything[::_ONE_IN]
    if len(everything) <= number:
        return everything
    return [everything[round(i * (len(everything) - 1) / (number - 1))] for i in range(number)]
