"""Where the tools are that `tests/prerequisites.py` installs beside the development environment."""

import sys
from pathlib import Path

TOOLS = Path(sys.prefix) / "tools"
BIN = TOOLS / "bin"
NODE = TOOLS / "node_modules" / ".bin"
