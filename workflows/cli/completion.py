"""What the shell offers when a person presses Tab: names from the config, stages, workflows. It never raises."""

from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

import typer

from orchestrator.errors import MrkError

Completion = Callable[[str], list[str]]


def beginning(words: Iterable[str]) -> Completion:
    """Offer the words that begin as the person did."""

    def complete(incomplete: str) -> list[str]:
        return [word for word in words if word.startswith(incomplete)]

    return complete


def key_names(ctx: typer.Context, incomplete: str) -> list[str]:
    """Offer the names of the configured keys; where the config cannot be read, nothing."""
    from workflows.cli.common import read_settings  # noqa: PLC0415 - it imports the options, which import this

    config = ctx.params.get("config")
    with suppress(MrkError):
        return beginning(read_settings(Path(config) if config else None).keys)(incomplete)
    return []


def stages(incomplete: str) -> list[str]:
    """Offer the stages of a rotation."""
    from orchestrator.decide import name_of_stage  # noqa: PLC0415 - only a completion needs them here
    from workflows.rotate import ROTATE  # noqa: PLC0415 - likewise

    return beginning(map(name_of_stage, ROTATE))(incomplete)


def workflows(incomplete: str) -> list[str]:
    """Offer what can be rendered."""
    from workflows.jobs import WORKFLOWS  # noqa: PLC0415 - likewise

    return beginning([*WORKFLOWS, "fleet"])(incomplete)
