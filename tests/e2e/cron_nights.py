"""Nights as cron gives them: an empty environment, no HOME, no terminal, a user that the machine has no name for.

The shipped crontab line runs in `/`, as user 4242, in the calendar's time, which the file that the line reads tells.
"""

import json
import os
import re
import shlex
import subprocess
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from e2e.machine import BIN
from e2e.year import Host

CRONTAB = Path(__file__).parents[2] / "workflows" / "schedule" / "mrk.cron"
NOBODY = 4242
WELL = {"finished", "idle"}
_SLEEP = """# Wait in another way: libfaketime 0.9.10 refuses what Python's sleep has been since 3.11.
import threading, time
time.sleep = lambda seconds: threading.Event().wait(seconds) and None
"""
_ENDED = re.compile(r"^mrk ended with exit code (\d+)$", re.MULTILINE)
_HASH = re.compile(r"^journal (\S+), \d+ lines, final hash ([0-9a-f]{64})$", re.MULTILINE)


def as_nobody() -> list[str]:
    """The words before a command that make it that user's; nothing where the tests are no root's.

    It may read what is root's, where the interpreter may lie, and write nothing but its own.
    """
    words = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    return [] if os.geteuid() else [*words, "--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]


@dataclass(frozen=True)
class Channels:
    """All that one night told, by every channel."""

    mail: str
    hook: Mapping[str, Any]
    metrics: Mapping[str, float]
    journal: tuple[Mapping[str, Any], ...]
    path: Path

    @property
    def code(self) -> int:
        """The exit code, as cron's mail has it."""
        found = _ENDED.search(self.mail)
        return int(found[1]) if found else 0

    @property
    def statuses(self) -> dict[str, str]:
        return {str(line["key"]): line["data"]["status"] for line in self.journal if line["kind"] == "run.ended"}

    @property
    def changes(self) -> set[str]:
        return {change["what"] for key in self.hook.get("keys", ()) for change in key["changed"]}

    def agree(self) -> None:
        """No channel says well where another says ill, and each tells the same of the same key."""
        (ended,) = (line["data"] for line in self.journal if line["kind"] == "command.ended")
        untold = [line for line in self.journal if line["kind"] == "command.untold"]
        well = {name: status in WELL for name, status in self.statuses.items()}
        assert self.code == ended["exit_code"] == self.metrics["mrk_last_exit_code"], self.mail
        assert {name: self.metrics[f"mrk_key_healthy.{name}"] == 1 for name in well} == well
        assert (self.code == 0) is (all(well.values()) and not untold), self.mail
        if self.hook:
            assert self.hook["exit_code"] == self.code
            assert {key["name"]: key["status"] for key in self.hook["keys"]} == self.statuses
            assert Path(self.hook["journal"]["path"]) == self.path
        self.mailed(well)

    def mailed(self, well: Mapping[str, bool]) -> None:
        """Mail comes exactly where something was changed, or is not well; it names the keys, and the final hash."""
        news = {name for name, is_well in well.items() if not is_well} | {
            key["name"] for key in self.hook.get("keys", ()) if key["changed"]
        }
        named = {name for name in well if re.search(rf"^{name}  arn:", self.mail, re.MULTILINE)}
        assert bool(self.mail) is bool(news or self.code), self.mail
        assert named == news, self.mail
        if news:
            found = _HASH.search(self.mail)
            assert found, self.mail
            assert Path(found[1]).samefile(self.path)
            assert not self.hook or found[2] == self.hook["journal"]["hash"]


@dataclass
class Cron(Host):
    """A host whose only user is one without a name, and whose nights are cron's."""

    more: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.more = deepcopy(self.more)
        self.more["run"] |= {"journal": str(self.directory / "runs"), "metrics": str(self.directory / "mrk.prom")}
        super().__post_init__()
        (self.directory / "python").mkdir()
        (self.directory / "python" / "sitecustomize.py").write_text(_SLEEP)

    def handed_over(self) -> None:
        """Make everything that user's."""
        for path in (self.directory, *self.directory.rglob("*")):
            os.chown(path, NOBODY if not os.geteuid() else -1, -1, follow_symlinks=False)

    def person(self, *words: str) -> str:
        """Run a command by hand, as that user, and return what it printed."""
        self._environment()
        line = f"set -a; . {self.directory}/environment; cd {self.directory} && exec {BIN}/mrk {shlex.join(words)}"
        ran = self._shell(line)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout

    def cron(self) -> Channels:
        """Run the line of mrk.cron as cron does, but with this machine's paths."""
        self._environment()
        told, before = self.directory / "told.json", set(self._journals())
        told.unlink(missing_ok=True)
        line = CRONTAB.read_text().splitlines()[-1].split(maxsplit=6)[6]
        for theirs, ours in (
            ("/opt/mrk/bin/mrk", BIN / "mrk"),
            ("/etc/mrk/config.yaml", self.directory / "config.yaml"),
            ("/etc/mrk/environment", self.directory / "environment"),
            ("/var/lib/mrk", self.directory),
        ):
            line = line.replace(theirs, str(ours))
        ran = self._shell(line)
        (path,) = set(self._journals()) - before
        lines = tuple(json.loads(one) for one in path.read_text().splitlines())
        hook = json.loads(told.read_text()) if told.exists() else {}
        return Channels(ran.stdout + ran.stderr, hook, self._metrics(), lines, path)

    def _shell(self, line: str) -> "subprocess.CompletedProcess[str]":
        """Run a line as cron's shell does: no terminal, nothing in the environment but what the crontab sets."""
        command = [*as_nobody(), "/bin/sh", "-c", line]
        given = {"SHELL": "/bin/sh", "PATH": "/usr/bin:/bin"}
        return subprocess.run(
            command,
            cwd="/",
            env=given,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
            start_new_session=True,
        )

    def _environment(self) -> None:
        """Write the file that the crontab line reads: AWS credentials, and the time that it is."""
        preload = subprocess.run(
            ["faketime", "-m", "-f", "+0d", "printenv", "LD_PRELOAD"], stdout=subprocess.PIPE, text=True, check=True
        )
        time = {"LD_PRELOAD": preload.stdout.strip(), "FAKETIME": self.faketime}
        time["PYTHONPATH"] = str(self.directory / "python")
        time |= dict.fromkeys(("FAKETIME_NO_CACHE", "FAKETIME_DONT_FAKE_MONOTONIC", "NO_FAKE_STAT"), "1")
        ours = {name: value for name, value in self.environment.items() if name.startswith(("AWS_", "COV"))}
        path = self.directory / "environment"
        path.write_text("".join(f"{name}={shlex.quote(value)}\n" for name, value in (time | ours).items()))
        os.chown(path, NOBODY if not os.geteuid() else -1, -1)
        path.chmod(0o600)

    def _journals(self) -> Iterator[Path]:
        return (self.directory / "runs").glob("*.jsonl")

    def _metrics(self) -> dict[str, float]:
        families = text_string_to_metric_families((self.directory / "mrk.prom").read_text(encoding="utf-8"))
        return {
            ".".join([sample.name, *sample.labels.values()]): sample.value for one in families for sample in one.samples
        }
