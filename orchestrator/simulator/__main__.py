"""Serve the simulator from a shell: python -m orchestrator.simulator --port 0."""

import argparse
import sys

from orchestrator.simulator.server import run


def main(arguments: list[str] | None = None) -> int:
    """Parse the flags and serve until told to stop; 2 for wrong usage."""
    parser = argparse.ArgumentParser(prog="orchestrator.simulator", description="A local multi-Region KMS over HTTP.")
    parser.add_argument("--host", default="127.0.0.1", help="a loopback address")
    parser.add_argument("--port", type=int, default=0, help="0: any free one")
    parser.add_argument("--lag", choices=("instant", "small", "aws-like"), default="small")
    parser.add_argument("--rotation-seconds", type=float, default=None)
    parser.add_argument("--quotas", type=_quotas, default=None, metavar="off|FACTOR")
    parser.add_argument("--state", default=None, metavar="FILE", help="keep the simulated keys over a restart")
    options = parser.parse_args(arguments)
    try:
        run(**vars(options))
    except (ValueError, OSError) as error:
        parser.exit(2, f"{parser.prog}: {error}\n")
    return 0


def _quotas(text: str) -> float | None:
    return None if text == "off" else float(text)


if __name__ == "__main__":
    sys.exit(main())
