"""Every channel of one unattended run, read side by side: stdout, stderr, exit code, hook and metrics."""

import json
import time
from dataclasses import dataclass
from typing import Any

from e2e.machine import Machine
from e2e.test_secrets_in_settings import NOBODYS
from nursery import nursery

REGIONS = ("us-east-1", "us-west-2", "eu-west-1", "eu-central-1", "ap-southeast-2", "ap-northeast-1")
DEADLINE = 1800
SHORT = 60
"""Seconds: far less than any deadline here, and enough for a machine that has much else to do."""


def watched_over(machine: Machine, **run: Any) -> Machine:
    """Give a machine a key of six Regions, a store, a hook and metrics; its runs would wait for half an hour."""
    hook = machine.directory / "hook"
    hook.write_text("#!/bin/sh\ncat >> told.jsonl\n")
    hook.chmod(0o755)
    more = {"arn": NOBODYS, "regions": list(REGIONS)}
    machine.write_config(payments=more, invoices=more | {"arn": f"{NOBODYS[:-1]}1"})
    machine.run("mrk", "store", "init")
    about = {"deadline": f"{DEADLINE}s", "after": str(hook), "metrics": str(machine.directory / "mrk.prom")}
    machine.more["run"] = about | run
    machine.write_config()
    return machine


@dataclass
class Channels:
    """What one run said, everywhere."""

    code: int
    document: dict[str, Any]
    err: str
    told: dict[str, Any]
    metrics: str
    seconds: float

    @property
    def error(self) -> str:
        return f"{self.document['error']['message']} | {self.document['error']['hint']}"


def unattended(machine: Machine, *words: str) -> Channels:
    """Run mrk with nobody at a terminal; all channels must tell the same."""
    begun = time.monotonic()
    (machine.directory / "told.jsonl").unlink(missing_ok=True)
    process = nursery().start([*(words or ("run",)), "--json"], machine.directory, machine.environment)
    out, err = process.communicate(timeout=DEADLINE / 2)
    (told,) = (machine.directory / "told.jsonl").read_text().splitlines()
    found = Channels(
        process.returncode,
        json.loads(out),
        err,
        json.loads(told),
        (machine.directory / "mrk.prom").read_text(),
        time.monotonic() - begun,
    )
    assert "Traceback" not in err
    assert {found.code} == {found.document["exit_code"], found.told["exit_code"]}, err
    assert f"mrk_last_exit_code {float(found.code)}" in found.metrics
    assert found.told.get("error") == found.document.get("error")
    return found
