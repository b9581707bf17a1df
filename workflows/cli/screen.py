"""A terminal, or what stands in for one: text is only text there, whatever it holds (I14)."""

from collections.abc import Iterable
from typing import Any, TextIO

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from orchestrator.written import harmless


class _Screen(Console):
    """Shows what it is given; only rich itself colours it, or moves the cursor."""

    def print(self, *objects: Any, **more: Any) -> None:
        """Print, and cut nothing off."""
        super().print(*objects, **{"crop": False, **more})

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Make the text of every segment harmless."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=harmless(segment.text))


def screen(file: TextIO, **more: Any) -> Console:
    """Return a console on a stream: ours has a way in for text that is coloured.

    It folds no text, only cells of tables: a command in it is one line to copy, however narrow the terminal is.
    """
    return _Screen(file=getattr(file, "styled", file), highlight=False, markup=False, soft_wrap=True, **more)
