"""The text of a secret, hidden until the call that sends it."""

from typing import NoReturn


class Hidden:
    """Text that hides itself; `reveal` is the only accessor."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text, to send it or to take it apart, and for nothing else."""
        return self._text

    def __repr__(self) -> str:
        return "Hidden"

    def __reduce__(self) -> NoReturn:
        raise TypeError("the text of a secret is not pickled")
