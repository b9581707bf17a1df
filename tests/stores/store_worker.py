"""A process of its own on a store, told what to do by one JSON argument.

It says `ready`, waits for a line on standard input, works, and prints one JSON document. The argument's fields:
`names`, how many entries to deposit; `link`, the id to link the first to; `turns`, how often to discard and reinstate
the first; `switches`, how often to note a Region's switch off and on, ending on off, and `region`, which;
`public_key`, base64 DER, to wrap each under;
`die_at`, a step of publishing, and which time that it is reached, to be killed there; `file_size`, a limit in bytes.
"""

import base64
import json
import os
import resource
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from orchestrator.errors import MrkError
from orchestrator.kms import KmsFactory, KmsOptions, endpoint_class
from orchestrator.model import EntryName, KeyIdentity, MaterialId, Region
from orchestrator.ports import MaterialStore, WrappingAlgorithm
from orchestrator.retry import Retry
from orchestrator.stores import Cloud, Place, Wanted, open_store
from orchestrator.stores.opening import open_file_store
from orchestrator.stores.publish import PublishedFiles

PLACE = Place("aws", "other")
KEY = KeyIdentity("aws", "111122223333", "mrk-1234abcd12ab34cd56ef1234567890ab")


def file_store(task: dict[str, Any], steps: Callable[[str], None]) -> MaterialStore:
    wanted = Wanted(
        lambda: datetime.now(UTC), recipients=task["recipients"], identity=Path(task["identity"]), volatile=True
    )
    location = task["uri"].removeprefix("file:")
    return open_file_store(location, PLACE, wanted, files=lambda root: PublishedFiles(root, steps))


def secret_store(task: dict[str, Any]) -> MaterialStore:
    options = KmsOptions(credentials=("AKIA", "secret"))
    cloud = Cloud(
        secrets=lambda region: KmsFactory(options, lambda: datetime.now(UTC), lambda _: None).client(
            "secretsmanager", region
        ),
        key_origin=lambda _region, _key: "AWS_KMS",
        macs=KmsFactory(options, lambda: datetime.now(UTC), lambda _: None),
        endpoint_class=endpoint_class,
        retry=Retry(time.sleep),
    )
    return open_store(task["uri"], PLACE, Wanted(lambda: datetime.now(UTC), cloud=cloud))


def work(task: dict[str, Any]) -> dict[str, Any]:
    reached: Counter[str] = Counter()

    def steps(name: str) -> None:
        reached[name] += 1
        if [name, reached[name]] == task.get("die_at"):
            os.kill(os.getpid(), signal.SIGKILL)

    store = file_store(task, steps) if task["uri"].startswith("file:") else secret_store(task)
    first = EntryName(KEY, None)
    names = [replace(first, attempt=attempt) for attempt in range(1, task["names"] + 1)]
    for name in names:
        store.deposit(name)
    if "link" in task:
        store.link(first, MaterialId(task["link"]))
    for _ in range(task.get("turns", 0)):
        store.discard(first, datetime.now(UTC))
        store.reinstate(first, datetime.now(UTC))
    for turn in range(task.get("switches", 0)):
        store.note_switch(KEY, Region(task["region"]), datetime.now(UTC), off=turn % 2 == 0)
    public_key = base64.b64decode(task.get("public_key", ""))
    algorithm = WrappingAlgorithm.RSAES_OAEP_SHA_256
    wrapped = {str(name): store.wrap(name, public_key, algorithm) for name in names if public_key}
    return {
        "won": reached["linked"],
        "wrapped": {name: base64.b64encode(blob).decode() for name, blob in wrapped.items()},
    }


def main() -> None:
    task = json.loads(sys.argv[1])
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    if "file_size" in task:
        resource.setrlimit(resource.RLIMIT_FSIZE, (task["file_size"], task["file_size"]))
    try:
        result = work(task)
    except MrkError as error:
        result = {"error": type(error).__name__, "message": error.message, "hint": error.hint}
    sys.stdout.write(json.dumps(result))


if __name__ == "__main__":
    main()
