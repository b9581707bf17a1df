"""What the tests of the stores share: names, a clock, a wrapping key, and a file: store with its identities."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import boto3
import pytest
from cryptography.hazmat.primitives import hashes, keywrap, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from orchestrator.errors import MrkError
from orchestrator.kms import KmsFactory, KmsOptions, endpoint_class
from orchestrator.model import Entry, EntryName, KeyIdentity, MaterialId, Region
from orchestrator.ports import MaterialStore, WrappingAlgorithm
from orchestrator.retry import Retry
from orchestrator.stores import Cloud, Place, Wanted, init_store, open_store
from orchestrator.stores.layout import Kind, path_of
from orchestrator.stores.opening import open_file_store
from orchestrator.stores.publish import PublishedFiles, no_step
from orchestrator.stores.secretsmanager.address import Address, token
from orchestrator.stores.shelf import Slot
from orchestrator.stores.store import Store
from secrets_server import SecretsServer

NOW = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)
PLACE = Place("aws", "other")
KEY = KeyIdentity("aws", "111122223333", "mrk-1234abcd12ab34cd56ef1234567890ab")
OTHER_KEY = KeyIdentity("aws", "111122223333", "mrk-0000abcd12ab34cd56ef1234567890ab")
MATERIAL_A = MaterialId("a1" * 32)
MATERIAL_B = MaterialId("b2" * 32)
FIRST = EntryName(KEY, None)
NEXT = EntryName(KEY, MATERIAL_A)
OAEP = WrappingAlgorithm.RSAES_OAEP_SHA_256
WORKER = Path(__file__).with_name("store_worker.py")


def now() -> datetime:
    return NOW


@dataclass
class Bytes:
    """A source of known bytes: the n-th call yields its start plus n, again and again."""

    start: int = 0x41
    calls: int = 0

    def __call__(self, length: int) -> bytes:
        self.calls += 1
        return self.nth(self.calls - 1, length)

    def nth(self, call: int, length: int = 32) -> bytes:
        return bytes((self.start + call * 37 + position * 7) % 256 for position in range(length))


class WrappingKey:
    """An RSA key pair as KMS would make one, and the unwrapping that KMS would do."""

    def __init__(self) -> None:
        self.private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.public = self.private.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def unwrap(self, wrapped: bytes, algorithm: WrappingAlgorithm = OAEP) -> bytes:
        digest = hashes.SHA256() if algorithm.name.endswith("SHA_256") else hashes.SHA1()  # noqa: S303 - KMS offers it
        oaep = padding.OAEP(mgf=padding.MGF1(algorithm=digest), algorithm=digest, label=None)
        opened = self.private.decrypt(wrapped[:256], oaep)
        if algorithm.name.startswith("RSA_AES"):
            return keywrap.aes_key_unwrap_with_padding(opened, wrapped[256:])
        return opened

    def material(self, store: MaterialStore, name: EntryName = FIRST) -> bytes:
        """Tell an entry's bytes by the only way out there is: wrapped, and unwrapped here."""
        return self.unwrap(store.wrap(name, self.public, OAEP))


@cache
def any_wrapping_key() -> bytes:
    """A well-formed wrapping key, for what is refused before it is used."""
    return WrappingKey().public


def stock(command: str) -> str:
    """Find a stock command; its absence fails the test, as a skipped proof is none."""
    found = shutil.which(command)
    if found is None:
        pytest.fail(f"the command {command} is missing; on Debian: apt-get install age openssl jq openssh-client")
    return found


def make_identity(path: Path) -> str:
    """Make an identity file with the stock tool, and return its recipient."""
    made = subprocess.run([stock("age-keygen"), "-o", path], check=True, capture_output=True, text=True)
    return made.stderr.rpartition("Public key: ")[2].strip()


class Stand(Protocol):
    """One store, which can be made, opened again as another process would, and be meddled with."""

    def init(self, place: Place = ..., **changes: Any) -> MaterialStore: ...

    def open(self, place: Place = ..., **changes: Any) -> MaterialStore: ...

    def has(self, slot: Slot) -> bool: ...

    def raw(self, slot: Slot) -> bytes: ...

    def plant(self, slot: Slot, content: bytes) -> None: ...

    def remove(self, slot: Slot) -> None: ...

    def other(self) -> "Stand": ...


@dataclass
class FileStand:
    """A file: store in a directory of its own: how it is made and opened, and where its files are."""

    folder: Path
    recipients: Sequence[str] = ()
    root: Path = field(init=False)
    identity: Path = field(init=False)
    recovery: Path = field(init=False)

    def __post_init__(self) -> None:
        self.root = self.folder / "store"
        self.identity = self.folder / "identity.txt"
        self.recovery = self.folder / "recovery.txt"
        if not self.recipients:
            self.recipients = (make_identity(self.identity), make_identity(self.recovery))

    @property
    def uri(self) -> str:
        return f"file:{self.root}"

    def settings(self, **changes: Any) -> Wanted:
        usual: dict[str, Any] = {"recipients": self.recipients, "identity": self.identity, "clock_now": now}
        usual["volatile"] = True  # wherever these tests run
        return Wanted(**{**usual, **changes})

    def init(self, place: Place = PLACE, **changes: Any) -> MaterialStore:
        return init_store(self.uri, place, self.settings(**changes))

    def open(self, place: Place = PLACE, **changes: Any) -> MaterialStore:
        return open_store(self.uri, place, self.settings(**changes))

    def stepping(
        self, steps: Callable[[str], None] = no_step, sync: Callable[[int], None] = os.fsync, **changes: Any
    ) -> Store:
        """Open it with a hook that is called at each step of a publication, and one in the place of fsync(2)."""
        return open_file_store(
            str(self.root), PLACE, self.settings(**changes), files=lambda root: PublishedFiles(root, steps, sync)
        )

    def worker(self, **task: Any) -> subprocess.Popen[str]:
        """Start a process of its own on this store, and return once it waits for a line (store_worker.py)."""
        return start_worker(uri=self.uri, recipients=self.recipients, identity=str(self.identity), **task)

    def path(self, name: EntryName = FIRST, kind: Kind = Kind.ENTRY) -> Path:
        return path_of(self.root, name, kind)

    def has(self, slot: Slot) -> bool:
        """Whether anything stands in a slot."""
        return self._place(slot).exists()

    def raw(self, slot: Slot) -> bytes:
        """What stands in a slot."""
        return self._place(slot).read_bytes()

    def plant(self, slot: Slot, content: bytes) -> None:
        """Put something into a slot, as a person could."""
        path = self._place(slot)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.touch(mode=0o600)
        path.write_bytes(content)

    def remove(self, slot: Slot) -> None:
        """Take what stands in a slot away, as a person could."""
        self._place(slot).unlink()

    def other(self) -> "FileStand":
        """The store of another host, with the same identity."""
        folder = self.folder / "other"
        folder.mkdir()
        shutil.copy2(self.identity, folder)
        return FileStand(folder, self.recipients)

    def _place(self, slot: Slot) -> Path:
        return path_of(self.root, slot.name, slot.kind, slot.turn)

    def files(self) -> list[Path]:
        return sorted(path for path in self.root.rglob("*") if path.is_file())


def start_worker(**task: Any) -> subprocess.Popen[str]:
    """Start a process of its own, and return once it waits for a line (store_worker.py)."""
    worker = subprocess.Popen(
        [sys.executable, WORKER, json.dumps(task)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert worker.stdout
    assert worker.stdout.readline() == "ready\n"
    return worker


@dataclass
class SecretStand:
    """A secretsmanager: store on moto's server: how it is made and opened, and what stands there.

    `origins` tells the Origin of KMS keys, by Region and key; what is not in it KMS made.
    """

    server: SecretsServer
    kms_url: str
    origins: dict[tuple[str, str], str] = field(default_factory=dict)
    pauses: list[float] = field(default_factory=list)
    uri: str = "secretsmanager:us-east-1/mrk"
    more: dict[str, Any] = field(default_factory=dict)

    def cloud(self) -> Cloud:
        """AWS, as this stand has it: retries do not sleep, and the reading of an answer ends after 2 s."""
        return Cloud(
            secrets=self.client,
            key_origin=lambda region, key: self.origins.get((region, key), "AWS_KMS"),
            macs=lambda region: _macs(self.kms_url, region),
            endpoint_class=endpoint_class,
            retry=Retry(self.pauses.append),
        )

    def client(self, region: str = "us-east-1") -> Any:
        """A boto3 client as the product makes it."""
        return _client(self.server.url, region)

    def fresh_client(self) -> Any:
        """A client made now, in the environment that there is now."""
        return _client.__wrapped__("", "us-east-1")

    def settings(self, **changes: Any) -> Wanted:
        usual: dict[str, Any] = {"clock_now": now, "cloud": self.cloud(), **self.more}
        return Wanted(**{**usual, **changes})

    def init(self, place: Place = PLACE, **changes: Any) -> MaterialStore:
        return init_store(self.uri, place, self.settings(**changes))

    def open(self, place: Place = PLACE, **changes: Any) -> MaterialStore:
        return open_store(self.uri, place, self.settings(**changes))

    def worker(self, **task: Any) -> subprocess.Popen[str]:
        """Start a process of its own on this store, and return once it waits for a line (store_worker.py)."""
        return start_worker(uri=self.uri, **task)

    def has(self, slot: Slot) -> bool:
        """Whether anything stands in a slot."""
        listed = self.client().list_secrets(MaxResults=100)["SecretList"]
        return self.secret(slot.name, slot.kind, slot.turn) in {one["Name"] for one in listed}

    def raw(self, slot: Slot) -> bytes:
        """What stands in a slot."""
        found = self.client().get_secret_value(SecretId=self.secret(slot.name, slot.kind, slot.turn))
        return str(found["SecretString"]).encode()

    def plant(self, slot: Slot, content: bytes) -> None:
        """Put something into a slot, as a person could."""
        name = self.secret(slot.name, slot.kind, slot.turn)
        with contextlib.suppress(self.client().exceptions.ResourceNotFoundException):
            self.remove(slot)
        self.client().create_secret(Name=name, SecretString=content.decode(), ClientRequestToken=token(name))

    def remove(self, slot: Slot) -> None:
        """Take what stands in a slot away, as a person could."""
        name = self.secret(slot.name, slot.kind, slot.turn)
        self.client().delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)

    def other(self) -> "SecretStand":
        """The store of another host."""
        return replace(self, uri="secretsmanager:us-east-1/other")

    def make_mac_key(self) -> str:
        """Make the KMS key that tells who made an entry; from now on the store is made and opened with it."""
        made = self.kms().create_key(KeyUsage="GENERATE_VERIFY_MAC", KeySpec="HMAC_256")
        self.more["mac_key"] = str(made["KeyMetadata"]["Arn"])
        return str(self.more["mac_key"])

    def kms(self) -> Any:
        """The stock client of the KMS that has the key which tells who made an entry."""
        return _kms(self.kms_url)

    def secret(self, name: EntryName = FIRST, kind: Kind = Kind.ENTRY, turn: int = 1) -> str:
        return Address.parse(self.uri.partition(":")[2]).secret(Slot(name, kind, turn))

    def describe(self, secret: str, region: str = "us-east-1") -> dict[str, Any]:
        found: dict[str, Any] = self.client(region).describe_secret(SecretId=secret)
        return found


@cache
def _client(_url: str, region: str) -> Any:
    options = KmsOptions(credentials=("AKIA", "secret"), read_timeout=2.0)
    return KmsFactory(options, now, lambda _event: None).client("secretsmanager", Region(region))


@cache
def _kms(url: str) -> Any:
    credentials = {"aws_access_key_id": KEY.account, "aws_secret_access_key": "secret"}
    return boto3.client("kms", region_name="us-east-1", endpoint_url=url, **credentials)


@cache
def _macs(url: str, region: str) -> Any:
    return KmsFactory(KmsOptions(url, credentials=(KEY.account, "secret")), now, lambda _event: None)(Region(region))


def plain(entry: Entry | None) -> Entry | None:
    """An entry without what it tells of its maker and of times, which tests of their own judge."""
    return entry and replace(entry, ours=True, made_at=None, noted_at=None)


def told(error: MrkError) -> str:
    """All that a person is told of an error."""
    return f"{error.message} | {error.hint}"
