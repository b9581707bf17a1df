"""A machine on which a person reads what mrk advises, and does it: real commands, and a clock that is ours."""

import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import Any

from crash.crash_kit import Hurried
from crash.dying import Offset
from e2e.machine import REGIONS, Machine
from nursery import nursery
from orchestrator.clock import SystemClock
from orchestrator.model import EntryName, KeyArn, Region
from orchestrator.ports import WrappingAlgorithm
from orchestrator.simulator import Simulator, serve
from orchestrator.stores import Place, Wanted, init_store
from orchestrator.wrapping import wrap
from verdict import Before, before, broken

PRIMARY, REPLICA, OTHER = REGIONS
DAY = 86_400
_ADVICE = re.compile(r"^(?:hint: | +-> )(.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Told:
    """What a command said in the end."""

    command: str
    code: int
    text: str

    @property
    def advice(self) -> str:
        """All hints, as they are printed."""
        return "\n".join(_ADVICE.findall(self.text))

    @property
    def document(self) -> Any:
        return json.loads(self.text)

    @property
    def reasons(self) -> set[tuple[str, str | None]]:
        """What stands in the way, and in which Region."""
        return {(block["reason"], block["region"]) for key in self.document["keys"] for block in key["blocks"]}

    @property
    def hints(self) -> list[str]:
        return [block["way_out"] for key in self.document["keys"] for block in key["blocks"]]


@dataclass
class Stand:
    """The key `payments` in three Regions, made long ago; its material is in the store, and in its owner's file."""

    machine: Machine
    simulator: Simulator
    offset: Offset
    arn: KeyArn
    file: Path
    notes: dict[str, Any] = field(default_factory=dict)
    kept: list[Path] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.sealed = self.client().encrypt(KeyId=self.arn.key_id, Plaintext=b"kept")["CiphertextBlob"]
        self.earlier: Before = before(self.simulator, self.arn)

    # ---- the world ------------------------------------------------------------------------------------------------

    def client(self, region: str = PRIMARY) -> Any:
        return self.machine.client(region)

    def pass_time(self, *, days: float = 0, minutes: float = 0) -> None:
        self.offset.add(days * DAY + minutes * 60)

    def now(self) -> float:
        return self.simulator.clock()

    def true(self, region: str = PRIMARY) -> Any:
        return self.simulator.key(region, str(self.arn))

    @property
    def current(self) -> str:
        return str(self.true().current)

    def lose(self, region: str = REPLICA, material: str = "") -> None:
        """Somebody deletes imported material."""
        named = {"KeyId": self.arn.key_id, "KeyMaterialId": material or self.current}
        self.client(region).delete_imported_key_material(**named)

    def bring_in(self, name: str = "other") -> str:
        """A colleague imports new key material from a file of his own; return its id."""
        file = self.machine.directory / f"{name}.bin"
        file.write_bytes(os.urandom(32))
        self.kept.append(file)
        return self.machine.import_quickly(str(self.arn), file, "NEW_KEY_MATERIAL", PRIMARY)

    def rotate_by_hand(self, name: str = "other") -> str:
        """A colleague rotates the key to key material from a file of his own."""
        made = self.bring_in(name)
        for region in (REPLICA, OTHER):
            there = str(self.arn.within(Region(region)))
            self.machine.import_quickly(there, self.kept[-1], "EXISTING_KEY_MATERIAL", region)
        self.client().rotate_key_on_demand(KeyId=self.arn.key_id)
        self.pass_time(minutes=20)
        return made

    def begin(self) -> str:
        """Begin a rotation, up to the last stage before it; return the id of what is pending."""
        self.well("rotate", "payments", "--until", "ready")
        return str(self.true().pending)

    def once(self, operation: str, then: Callable[[], None], after: int = 1, moment: str = "after") -> None:
        """Let somebody do something right after, or before, the so-manieth call of a kind from now."""
        seen = count(1)

        def hook(call: Any, when: str) -> None:
            if when == moment and call.operation == operation and next(seen) == after:
                then()

        self.simulator.hooks.append(hook)

    def expire(self, region: str = REPLICA, *, days: float) -> None:
        """Let the key material of a Region end so many days from now, by an import of the owner's file."""
        client, algorithm = self.client(region), WrappingAlgorithm.RSAES_OAEP_SHA_256
        asked = {"WrappingAlgorithm": str(algorithm), "WrappingKeySpec": "RSA_4096"}
        parameters = client.get_parameters_for_import(KeyId=self.arn.key_id, **asked)
        client.import_key_material(
            KeyId=self.arn.key_id,
            ImportToken=parameters["ImportToken"],
            EncryptedKeyMaterial=wrap(self.file.read_bytes(), parameters["PublicKey"], algorithm),
            ImportType="EXISTING_KEY_MATERIAL",
            ExpirationModel="KEY_MATERIAL_EXPIRES",
            ValidTo=datetime.fromtimestamp(int(self.now() + days * DAY), UTC),
        )

    # ---- config and store -----------------------------------------------------------------------------------------

    def set_key(self, name: str = "payments", **settings: Any) -> None:
        """Change what the config says of a key; None takes a setting out."""
        key = {**self.machine.keys.get(name, {}), **settings}
        self.machine.write_config(**{name: {what: value for what, value in key.items() if value is not None}})

    def set_regions(self, *regions: str) -> None:
        self.set_key(regions=list(regions))

    def set_more(self, section: str, **settings: Any) -> None:
        self.machine.more = {**self.machine.more, section: {**self.machine.more.get(section, {}), **settings}}
        self.machine.write_config()

    @cached_property
    def store(self) -> Any:
        return store_of(self.machine)

    def folder(self) -> Path:
        """The directory of the key in the store."""
        identity = self.arn.identity
        root = self.machine.directory / "store"
        return root.joinpath(identity.partition, identity.account, identity.key_id)

    def entry(self, replaces: str = "first", attempt: int = 1, kind: str = "age") -> Path:
        return self.folder() / f"{replaces}.{attempt}.{kind}"

    # ---- commands -------------------------------------------------------------------------------------------------

    def mrk(self, *words: str) -> Told:
        """Run mrk to its end, however that comes; where it only waits, time passes at once."""
        directory = self.machine.directory
        mortal = {"where": "-", "told": str(directory / "calls.txt"), "offset": str(directory / "offset")}
        process = nursery().start(words, directory, self.machine.environment, mortal=mortal)
        out, err = process.communicate(timeout=100)
        assert "Traceback" not in out + err, out + err
        json_only = "--json" in words
        return Told(f"mrk {' '.join(words)}", process.returncode, out if json_only else f"{out}\n{err}")

    def well(self, *words: str) -> Told:
        """Run mrk, which must end well."""
        told = self.mrk(*words)
        assert told.code == 0, f"{told.command} ended with {told.code}:\n{told.text}"
        return told

    def shell(self, line: str) -> str:
        return self.machine.run("bash", "-c", line)

    # ---- the judge ------------------------------------------------------------------------------------------------

    def harm(self, *, success: bool, rotations: int, switched_off: frozenset[str]) -> list[str]:
        """Name what was lost, doubled, taken down or falsely told; boto3 opens what was encrypted in the beginning."""
        earlier = Before(self.earlier.rotations, self.earlier.current, self.earlier.enabled - switched_off)
        known = [self.file.read_bytes(), *(path.read_bytes() for path in self.kept)]
        judged = (self.simulator, self.arn, earlier, [self.store])
        found = broken(*judged, success=success, rotations=rotations, moved=False, known=known)
        for region in sorted(earlier.enabled):
            opened = self.client(region).decrypt(KeyId=self.arn.key_id, CiphertextBlob=self.sealed)["Plaintext"]
            found += [] if opened == b"kept" else [f"{region} opens another text"]
        return found


def store_of(machine: Machine, name: str = "store", identity: str = "identity.txt") -> Any:
    """Make, or open, a store file: on the machine."""
    wanted = Wanted(
        *(SystemClock().now,),
        recipients=tuple(machine.identities),
        identity=machine.directory / identity,
        volatile=True,
    )
    return init_store(f"file:{machine.directory / name}", Place("aws", "other"), wanted)


@contextmanager
def stand_in(directory: Path) -> Iterator[Stand]:
    """Make the stand: the key is two hundred days old, and due in a year."""
    offset = Offset.make(directory / "offset")
    past = Hurried(days=200, offset=offset)
    simulator = Simulator(past, lag="instant", rotation_seconds=8)
    with serve(simulator) as served:
        machine = Machine(directory, served.endpoint_url, simulator, past)
        arn_text, file = machine.make_key_quickly()
        past.days = 0
        run = {"looks": 2, "poll": "5s", "deadline": "40m", "journal": str(directory / "runs")}
        machine.more = {"run": run}
        key = {"arn": arn_text, "regions": list(REGIONS), "rotate_every": "600d"}
        machine.write_config(payments=key)
        stand = Stand(machine, simulator, offset, KeyArn.parse(arn_text), file)
        first = EntryName(stand.arn.identity, None)
        stand.store.adopt(first, file)
        stand.store.link(first, stand.current)
        stand.store.mark_proven(first, {"regions": list(REGIONS), "proof": "full"})
        yield stand
