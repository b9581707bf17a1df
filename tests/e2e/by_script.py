"""Running what `mrk plan --script` prints: in a real shell, with the stock aws, openssl and age commands."""

import atexit
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pyrage

from e2e.machine import BIN, REGIONS, Machine

TWO = REGIONS[:2]
_READY = Path(__file__).parents[1] / "aws_ready.py"
CHANGING = ("ImportKeyMaterial", "RotateKeyOnDemand", "DeleteImportedKeyMaterial", "ReplicateKey")


@cache
def _aws() -> Path:
    """The socket of a process that the aws command is forked from; one for each process of the tests."""
    folder = Path(tempfile.mkdtemp())
    serving = subprocess.Popen(
        [sys.executable, str(_READY), "serve", str(folder / "aws")], text=True, stdout=subprocess.PIPE
    )
    atexit.register(serving.kill)
    assert serving.stdout is not None
    assert serving.stdout.readline() == "ready\n"
    return folder / "aws"


@dataclass
class ByHand:
    """A machine with one key that is due, and whoever runs a script on it."""

    machine: Machine
    arn: str
    first: bytes

    def __post_init__(self) -> None:
        self.here, self.bin = self.machine.directory / "here", self.machine.directory / "bin"
        self.temporary = self.machine.directory / "tmp"
        for folder in (self.here, self.bin, self.temporary):
            folder.mkdir()
        self.aws = f"{sys.executable} -I -S {_READY} call {_aws()}"
        self.tool("aws", f'exec {self.aws} "$@"')

    def tool(self, name: str, *lines: str) -> None:
        """Put a program before those of the system; `$REAL` in it is the system's own."""
        real = f"REAL=$(PATH={BIN}:/usr/bin:/bin command -v {name})"
        path = self.bin / name
        path.write_text("\n".join(["#!/bin/sh", real, *lines, ""]))
        path.chmod(0o755)

    def want(self, **settings: str) -> None:
        """Set something for the key."""
        self.machine.write_config(payments=self.machine.keys["payments"] | settings)

    def plan(self, *options: str, code: int = 0, **constants: int) -> str:
        """Print the plan as a script, with other patience where a test wants that to end."""
        text = self.machine.run("mrk", "plan", "payments", "--script", *options, code=code)
        for name, value in constants.items():
            (line,) = [line for line in text.splitlines() if line.startswith(f"{name}=")]
            text = text.replace(line, f"{name}={value}")
        return text

    def begin(self, script: str, shell: str = "sh", **more: str) -> "subprocess.Popen[str]":
        path = self.machine.directory / "plan.sh"
        path.write_text(script)
        environment: Mapping[str, str] = {
            **self.machine.environment,
            "PATH": f"{self.bin}:/usr/bin:/bin",
            "TMPDIR": str(self.temporary),
            **more,
        }
        return subprocess.Popen(
            [shell, str(path)],
            cwd=self.here,
            env=environment,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def run(self, script: str, shell: str = "sh", **more: str) -> tuple[int, str, str]:
        """Run a script to its end; what it made for itself is gone then, and it left nothing where it was started."""
        before = sorted(self.here.iterdir())
        process = self.begin(script, shell, **more)
        out, err = process.communicate(timeout=110)
        assert list(self.temporary.iterdir()) == []
        assert sorted(self.here.iterdir()) == before
        return process.returncode, out, err

    def sent(self, *operations: str) -> list[tuple[str, str]]:
        """Every call of these operations that came to KMS, whatever came of it."""
        return [(call.operation, call.region) for call in self.machine.simulator.calls if call.operation in operations]

    def entries(self) -> list[Path]:
        return sorted((self.machine.directory / "store").rglob("*.age"))

    def made(self) -> list[bytes]:
        """The plaintext of what was made for the rotation, as the stock tools would read it."""
        line = (self.machine.directory / "identity.txt").read_text().strip()
        return [
            pyrage.decrypt(entry.read_bytes(), [pyrage.x25519.Identity.from_str(line)])
            for entry in self.entries()
            if not entry.name.startswith("first.")
        ]

    def assert_rotated_once(self) -> None:
        """One new material, which the store holds, one rotation, and every Region whole."""
        for region in TWO:
            true = self.machine.simulator.key(region, self.arn)
            assert true is not None
            assert (true.key_state, true.rotations, true.pending) == ("Enabled", 1, None)
            assert [row.state for row in true.rows] == ["NON_CURRENT", "CURRENT"]
            assert all(row.usable for row in true.rows)
        assert len(self.made()) == 1

    def assert_not_rotated(self) -> None:
        true = self.machine.simulator.key(TWO[0], self.arn)
        assert true is not None
        assert (true.rotations, true.rotations_spent, true.rotating) == (0, 0, False)

    def assert_finished_by_mrk(self) -> None:
        """What a script leaves, mrk links and proves: KMS itself says that the store holds CURRENT."""
        self.machine.run("mrk", "run", "payments")
        assert self.machine.json("mrk", "verify", "--json")["keys"][0]["status"] == "idle"
        entries = self.machine.json("mrk", "store", "list", "--json")["entries"]
        true = self.machine.simulator.key(TWO[0], self.arn)
        assert true is not None
        assert true.current in {entry["material_id"] for entry in entries if entry["proven"]}
        self.assert_rotated_once()
