"""The command leaves nothing of its memory behind: no core dump, and no other process of the user reads it (I2)."""

import json
import subprocess
import sys
from pathlib import Path

ASKING = """
import ctypes, json, os, resource, sys
def end(code):
    said = {"core": resource.getrlimit(resource.RLIMIT_CORE), "dumpable": ctypes.CDLL(None).prctl(3, 0, 0, 0, 0)}
    sys.stderr.write(json.dumps(said))
    sys.stderr.flush()
    left(code)
left, os._exit = os._exit, end
from workflows.cli import main
sys.argv = ["mrk", *sys.argv[1:]]
main()
"""


def asked(directory: Path, *command: str) -> dict[str, object]:
    """Run a command of `mrk`, and ask the process at its end what a crash of it would leave."""
    line = [sys.executable, "-c", ASKING, *command]
    ended = subprocess.run(line, cwd=directory, capture_output=True, text=True, check=False, timeout=60)
    return dict(json.loads(ended.stderr.splitlines()[-1]))


def test_the_command_offers_no_core_dump_and_no_memory(tmp_path: Path) -> None:
    """RLIMIT_CORE is 0, beyond recall, and PR_SET_DUMPABLE is 0 where there is such a thing."""
    said = asked(tmp_path, "--version")

    assert said["core"] == [0, 0]
    assert said["dumpable"] == 0 or sys.platform != "linux"


def test_what_is_asked_can_be_otherwise() -> None:
    """The test above can fail: a plain process is dumpable."""
    plain = "import ctypes; print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))"
    ended = subprocess.run([sys.executable, "-c", plain], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "1" or sys.platform != "linux"
