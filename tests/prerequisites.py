"""Install the stock commands that the tests run beside mrk; what cannot be installed is said, never skipped.

Tools whose pins are not ours get an environment of their own, `tools` within that of the tests, pinned by hash.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
TOOLS = Path(sys.prefix) / "tools"
LOCKS = [ROOT / "requirements-tools.lock", *sorted((ROOT / "tests" / "step_functions" / "npm").glob("package*.json"))]
COMMANDS = {
    "age": "age",
    "age-keygen": "age",
    "faketime": "faketime",
    "openssl": "openssl",
    "node": "nodejs",
    "npm": "npm",
}
WHERE_POSSIBLE = {"systemd-analyze": "systemd"}


def main() -> int:
    """Install what is missing with apt-get where that is possible; return 1 where something is still missing."""
    wanted = COMMANDS | WHERE_POSSIBLE
    packages = sorted({package for command, package in wanted.items() if shutil.which(command) is None})
    if packages and shutil.which("apt-get") and os.geteuid() == 0:
        subprocess.run(["apt-get", "update", "-qq"], check=False)
        subprocess.run(["apt-get", "install", "-y", "-qq", *packages], check=False)
    missing = sorted(command for command in COMMANDS if shutil.which(command) is None)
    if missing:
        sys.stderr.write(f"the tests need {', '.join(missing)}: install the Debian packages {' '.join(packages)}\n")
        return 1
    return _install_tools()


def _install_tools() -> int:
    """Install what the locks name, unless that is there; return 1 where it cannot be installed."""
    stamp, wanted = TOOLS / ".installed", "".join(hashlib.sha256(lock.read_bytes()).hexdigest() for lock in LOCKS)
    if stamp.exists() and stamp.read_text() == wanted:
        return 0
    shutil.rmtree(TOOLS, ignore_errors=True)
    pip = [str(TOOLS / "bin" / "python"), "-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes"]
    commands = (
        [sys.executable, "-m", "venv", str(TOOLS)],
        [*pip, "-r", str(LOCKS[0])],
        ["cp", *(str(lock) for lock in LOCKS[1:]), str(TOOLS)],
        ["npm", "ci", "--prefix", str(TOOLS), "--no-audit", "--no-fund", "--ignore-scripts", "--silent"],
    )
    for command in commands:
        if subprocess.run(command, check=False, cwd=ROOT).returncode:
            sys.stderr.write(f"the tests need what {command[0]} could not install: {' '.join(command)}\n")
            return 1
    stamp.write_text(wanted)
    return 0


if __name__ == "__main__":
    sys.exit(main())
