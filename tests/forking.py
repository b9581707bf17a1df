"""`mrk` in processes that are forked from this one, which has imported everything: a start costs next to nothing.

Reads one JSON object a line: `arguments`, `cwd`, `environment`, the files `out` and `err`, and for a process that is to
die or to tell `mortal` (see crash/dying.py). Prints the number of each process as it begins, and again, with its exit
code, when it has ended.
"""

import json
import os
import selectors
import sys
import time
from threading import Event
from typing import Any, NoReturn

import boto3  # noqa: F401 - not once in each process

from crash.dying import make_mortal
from workflows.cli import app, main  # noqa: F401 - see boto3


def become(asked: dict[str, Any]) -> NoReturn:
    """In the forked process: what a shell does for a command, and then the command."""
    os.chdir(asked["cwd"])
    os.environ.clear()
    os.environ.update(asked["environment"])
    for number, (name, flags) in enumerate([(os.devnull, os.O_RDONLY), *((asked[n], _NEW) for n in ("out", "err"))]):
        opened = os.open(name, flags, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    code = 1
    try:
        if asked.get("mortal"):
            make_mortal(**asked["mortal"])
        sys.argv = ["mrk", *asked["arguments"]]
        main()
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(bool(ended.code))
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def sleep_in_any_time() -> None:
    """Wait in another way: libfaketime 0.9.10 refuses what Python's sleep has been since 3.11, a wait until a time."""

    def sleep(seconds: float) -> None:
        Event().wait(seconds)

    time.sleep = sleep


_NEW = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
_MOMENT = 0.01


def tell(line: str) -> None:
    """Say something to who started this."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def serve() -> None:
    """Fork a process for each line, and tell how each has ended, until there are no more lines."""
    waiting, lines = selectors.DefaultSelector(), os.fdopen(os.dup(0), "rb", buffering=0)
    waiting.register(lines, selectors.EVENT_READ)
    alive: set[int] = set()
    while True:
        for _ in waiting.select(_MOMENT if alive else None):
            line = lines.readline()
            if not line:
                return
            if (child := os.fork()) == 0:
                become(json.loads(line))
            alive.add(child)
            tell(f"{child}")
        for child in list(alive):
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                alive.remove(child)
                tell(f"{child} {os.waitstatus_to_exitcode(status)}")


if __name__ == "__main__":
    if "faketime" in os.environ.get("LD_PRELOAD", ""):
        sleep_in_any_time()
    serve()
