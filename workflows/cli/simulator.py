"""mrk simulator: serve the local multi-Region KMS."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from orchestrator.config_paths import at_home
from orchestrator.errors import Exit, UsageError
from workflows.cli.demo import WITHOUT_SIMULATOR


def command(
    *,
    host: Annotated[str, typer.Option("--host", help="A loopback address.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", help="0: any free one.", min=0, max=65535)] = 0,
    lag: Annotated[
        Literal["instant", "small", "aws-like"], typer.Option("--lag", help="How late reads are.")
    ] = "small",
    rotation_seconds: Annotated[
        float | None, typer.Option("--rotation-seconds", help="How long a rotation takes.", min=0)
    ] = None,
    quotas: Annotated[str, typer.Option("--quotas", metavar="off|FACTOR", help="Request quotas, scaled.")] = "off",
    state: Annotated[Path | None, typer.Option("--state", metavar="FILE", help="Keep the simulated keys here.")] = None,
) -> int:
    """Serve a local multi-Region KMS, and print one JSON line with its endpoint_url when ready."""
    serve = _server()
    try:
        factor = None if quotas == "off" else float(quotas)
        serve(
            host=host,
            port=port,
            lag=lag,
            rotation_seconds=rotation_seconds,
            quotas=factor,
            state=str(at_home(state)) if state else None,
        )
    except (ValueError, OSError) as error:
        raise UsageError(str(error), "mrk simulator --help") from error
    return Exit.OK


def _server() -> "type":
    """Import the simulator only where it is wanted: it is an extra."""
    try:
        from orchestrator.simulator import run  # noqa: PLC0415 - an extra that may not be installed
    except ImportError as error:
        raise UsageError("the simulator is not installed", WITHOUT_SIMULATOR) from error
    return run  # type: ignore[return-value]
