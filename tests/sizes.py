"""How much is tried: a slice that `make test` has time for, or everything, which `make prove` asks for."""

import os
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

EVERYTHING = os.environ.get("MRK_PROVE") == "all"


def some(everything: Sequence[T], number: int) -> Sequence[T]:
    """Everything, or so many evenly spaced."""
    if EVERYTHING or len(everything) <= number:
        return everything
    return [everything[round(i * (len(everything) - 1) / (number - 1))] for i in range(number)]
