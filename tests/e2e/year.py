"""A year of nightly runs: a calendar that is leafed through, hosts whose clock may be wrong, and a judge with boto3."""

import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import ClientError

from e2e.machine import Machine, Past
from nursery import nursery_of_any_time
from orchestrator.ports import WrappingAlgorithm
from orchestrator.simulator import Simulator, TrueKey
from orchestrator.wrapping import wrap

DAY = 86_400


class Calendar(Past):
    """The time that KMS lives in: the real one, and as many days as were leafed through."""

    def leaf(self, days: float) -> None:
        self.days -= days

    @property
    def today(self) -> int:
        return round(-self.days)


@dataclass(frozen=True)
class Night:
    """How one night's run ended: its exit code, all that it printed, and what the hook was told."""

    day: int
    code: int
    mail: str
    told: Mapping[str, Any]

    def key(self, name: str) -> Mapping[str, Any]:
        return next(key for key in self.told["keys"] if key["name"] == name)

    @property
    def changes(self) -> list[Mapping[str, Any]]:
        """What was changed, as the hook was told."""
        return [change for key in self.told["keys"] for change in key["changed"]]

    def changed(self, name: str, what: str) -> set[str | None]:
        """Name the Regions in which something was done to a key."""
        return {change["region"] for change in self.key(name)["changed"] if change["what"] == what}


@dataclass
class Host(Machine):
    """A machine whose processes live in the calendar's time, or `off` by some days."""

    off: float = 0

    def __post_init__(self) -> None:
        hook = self.directory / "notify"
        hook.write_text(f"#!/bin/sh\ncat > {self.directory / 'told.json'}\n")
        hook.chmod(0o755)
        self.more = deepcopy(self.more)
        self.more["run"]["after"] = str(hook)
        super().__post_init__()

    @property
    def faketime(self) -> str:
        return f"{round((self.off - self.past.days) * DAY):+d}"

    def mrk(self, *words: str, **clock: str) -> tuple[int, str]:
        """Run the command, and return its exit code and all that it printed."""
        seen = self.environment | (clock or {"FAKETIME": self.faketime})
        process = nursery_of_any_time().start(words, self.directory, seen)
        said = "".join(process.communicate(timeout=100))
        return process.returncode, said

    def done(self, *words: str, code: int = 0) -> str:
        """Run a command as a person does, and return what it printed."""
        ended, said = self.mrk(*words)
        assert ended == code, f"{words} ended with {ended}:\n{said}"
        return said

    def night(self, **clock: str) -> Night:
        """Run what cron runs."""
        told = self.directory / "told.json"
        told.unlink(missing_ok=True)
        code, mail = self.mrk("run", "--quiet", "--news", **clock)
        return Night(self.past.today, code, mail, json.loads(told.read_text()))  # type: ignore[attr-defined]

    def patience(self, deadline: str) -> None:
        """Set how long a run may take."""
        self.more["run"]["deadline"] = deadline
        self.write_config()

    def copy(self, directory: Path) -> "Host":
        """Set up a second host with all that this one has: identities, keys, store."""
        directory.mkdir()
        other = Host(directory, self.endpoint_url, self.simulator, self.past, deepcopy(self.keys), self.more)
        for name in ("identity.txt", "recovery.txt"):
            shutil.copy2(self.directory / name, directory / name)
        shutil.copytree(self.directory / "store", directory / "store")
        other.identities = self.identities
        other.write_config()
        return other

    def make(self, name: str, regions: Sequence[str], **settings: Any) -> str:
        """Make a key by hand, as its owner would; its first material expires like all that follow. Adopt it."""
        clients = {region: self.client(region) for region in regions}
        primary = clients[regions[0]]
        arn: str = primary.create_key(Origin="EXTERNAL", MultiRegion=True)["KeyMetadata"]["Arn"]
        material = self.directory / f"{name}.bin"
        material.write_bytes(os.urandom(32))
        for region, client in clients.items():
            if client is not primary:
                primary.replicate_key(KeyId=arn, ReplicaRegion=region)
            self._import(client, arn.replace(regions[0], region), material.read_bytes(), new=client is primary)
        self.write_config(**{name: {"arn": arn, "regions": list(regions), **settings}})
        return arn

    def _import(self, client: Any, arn: str, material: bytes, *, new: bool) -> None:
        algorithm = WrappingAlgorithm.RSAES_OAEP_SHA_256
        asked = {"WrappingAlgorithm": str(algorithm), "WrappingKeySpec": "RSA_4096"}
        parameters = client.get_parameters_for_import(KeyId=arn, **asked)
        client.import_key_material(
            KeyId=arn,
            ImportToken=parameters["ImportToken"],
            EncryptedKeyMaterial=wrap(material, parameters["PublicKey"], algorithm),
            ImportType="NEW_KEY_MATERIAL" if new else "EXISTING_KEY_MATERIAL",
            ValidTo=self.past() + 60 * DAY,
        )


@dataclass
class Judge:
    """Whoever uses the keys: knows boto3 and nothing of mrk, encrypts everywhere, and opens everything everywhere."""

    endpoint_url: str
    keys: Mapping[str, tuple[str, Sequence[str]]]
    kept: dict[str, list[bytes]] = field(default_factory=dict)
    off: set[tuple[str, str]] = field(default_factory=set)
    """Where the owner has switched a key off himself."""
    opened: int = 0

    def __post_init__(self) -> None:
        regions = {region for _, regions in self.keys.values() for region in regions}
        made_up = {"aws_access_key_id": "111122223333", "aws_secret_access_key": "made-up"}
        self._clients = {
            region: boto3.client("kms", region_name=region, endpoint_url=self.endpoint_url, **made_up)
            for region in regions
        }

    def encrypts(self) -> None:
        """Encrypt with every key in every Region, and keep the ciphertexts."""
        for name, region, arn in self._places():
            answer = self._clients[region].encrypt(KeyId=arn, Plaintext=f"{name} of {region}".encode())
            self.kept.setdefault(name, []).append(answer["CiphertextBlob"])

    def lost(self, *, down: str = "") -> list[str]:
        """Open every ciphertext in every Region, but for one that is `down`; return what could not be opened."""
        places = [place for place in self._places() if place[1] != down]
        return [problem for name, region, arn in places if (problem := self.closed(name, region, arn))]

    def closed(self, name: str, region: str, arn: str) -> str:
        """Open every ciphertext of a key in one Region; return where, and why, that failed."""
        for number, blob in enumerate(self.kept[name]):
            try:
                self._clients[region].decrypt(KeyId=arn, CiphertextBlob=blob)
                self.opened += 1
            except ClientError as error:
                return f"ciphertext {number} of {name} in {region}: {error}"
        return ""

    def _places(self) -> Iterator[tuple[str, str, str]]:
        """Name every key and Region that is in use, with its ARN there."""
        for name, (arn, regions) in self.keys.items():
            for region in (region for region in regions if (name, region) not in self.off):
                yield name, region, arn.replace(regions[0], region)


@dataclass
class Year:
    """All of it: the host that cron runs on, the keys, and what has come of them."""

    calendar: Calendar
    simulator: Simulator
    host: Host
    judge: Judge
    lived: int = 0

    def __post_init__(self) -> None:
        self._current = self._currents()

    def night(self, day: int, host: Host | None = None, **clock: str) -> Night:
        """Let a day come, and its night; whoever uses the keys encrypts under what has become CURRENT."""
        self.calendar.leaf(day - self.calendar.today)
        night = (host or self.host).night(**clock)
        self.lived += 1
        if self._current != (now := self._currents()):
            self._current = now
            self.judge.encrypts()
        return night

    def nights(self, *days: int) -> list[Night]:
        """Let several nights pass."""
        return [self.night(day) for day in days]

    def calm(self, *days: int) -> None:
        """Let nights pass on which nothing is told but what was due: renewals and rotations. Then open everything."""
        for night in self.nights(*days):
            assert night.code == 0, night.mail
            assert {change["what"] for change in night.changes} <= {"renewed", "imported", "rotated"}, night.mail
            assert bool(night.mail) == bool(night.changes), night.mail
        assert self.judge.lost() == []

    def true(self, name: str, region: str) -> TrueKey:
        """The key as it really is in one Region."""
        found = self.simulator.key(region, self.judge.keys[name][0])
        assert found is not None
        return found

    def arn(self, name: str, region: str) -> str:
        arn, regions = self.judge.keys[name]
        return arn.replace(regions[0], region)

    def rotations(self) -> dict[str, int]:
        return {name: self.true(name, regions[0]).rotations for name, (_, regions) in self.judge.keys.items()}

    def _currents(self) -> dict[str, str | None]:
        return {name: self.true(name, regions[0]).current for name, (_, regions) in self.judge.keys.items()}
