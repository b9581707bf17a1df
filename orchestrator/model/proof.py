"""How much is proven after a rotation (P14)."""

from enum import StrEnum


class Proof(StrEnum):
    """How much is proven after a rotation; the first proves most."""

    FULL = "full"
    IDS_ONLY = "ids-only"
    OFF = "off"

    def covers(self, wanted: "Proof") -> bool:
        """Whether what was proven this way is proven as thoroughly as is wanted."""
        order = list(Proof)
        return order.index(self) <= order.index(wanted)
