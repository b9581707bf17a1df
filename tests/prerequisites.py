"""Install the stock commands that the tests run beside mrk; what cannot be installed is said, never skipped."""

import os
import shutil
import subprocess
import sys

COMMANDS = {"age": "age", "age-keygen": "age", "openssl": "openssl"}
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
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
