"""How much is tried: a slice that `make test` has time for, or everything, which `make prove` asks for.

MRK_PROVE=all tries everything, and MRK_PROVE=4 one in four, where a machine is too busy for all of it.
"""

import os
import random
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

_ASKED = os.environ.get("MRK_PROVE", "")
EVERYTHING = bool(_ASKED)
_ONE_IN = int(_ASKED) if _ASKED.isdigit() else 1


def some(everything: Sequence[T], number: int) -> Sequence[T]:
    """Everything (or one in so many), or only so many; drawn, always alike, and left in their order.

    Drawn, not counted off: a stride can keep step with how the list was made, and leave a whole kind out.
    """
    wanted = -(-len(everything) // _ONE_IN) if EVERYTHING else number
    if wanted >= len(everything):
        return everything
    drawn = random.Random(len(everything)).sample(range(len(everything)), wanted)  # noqa: S311 - nothing secret
    return [everything[index] for index in sorted(drawn)]


def every(numbers: Sequence[int], *instead: int) -> Sequence[int]:
    """All of these numbers (or one in so many), or a few others instead."""
    return some(numbers, 0) if EVERYTHING else instead
