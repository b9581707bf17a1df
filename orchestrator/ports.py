"""The seams: KMS in one Region, the store, the clock, and whoever listens."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Protocol

from orchestrator.model import (
    Entry,
    EntryName,
    ImportType,
    KeyArn,
    KeyIdentity,
    MaterialId,
    MaterialRow,
    Receipt,
    Region,
    RegionView,
)


class WrappingAlgorithm(StrEnum):
    """WrappingAlgorithm of GetParametersForImport; KMS takes only the first two for symmetric material."""

    RSAES_OAEP_SHA_256 = "RSAES_OAEP_SHA_256"
    RSAES_OAEP_SHA_1 = "RSAES_OAEP_SHA_1"
    RSA_AES_KEY_WRAP_SHA_256 = "RSA_AES_KEY_WRAP_SHA_256"
    RSA_AES_KEY_WRAP_SHA_1 = "RSA_AES_KEY_WRAP_SHA_1"


@dataclass(frozen=True, slots=True)
class ImportParameters:
    """A wrapping key and its import token, for one key in one Region. `public_key` is DER SubjectPublicKeyInfo."""

    public_key: bytes = field(repr=False)
    token: bytes = field(repr=False)
    algorithm: WrappingAlgorithm
    valid_to: datetime


class KmsPort(Protocol):
    """KMS in one Region. Every call raises KmsError and nothing else, and is never retried below this seam (I4)."""

    def describe_key(self, arn: KeyArn, seen_at: datetime) -> RegionView:
        """DescribeKey: the view without its rows."""

    def list_key_rotations(self, arn: KeyArn) -> tuple[MaterialRow, ...]:
        """ListKeyRotations with ALL_KEY_MATERIAL, every page."""

    def rotation_started_at(self, arn: KeyArn) -> datetime | None:
        """GetKeyRotationStatus: OnDemandRotationStartDate, whose absence proves nothing (P6)."""

    def get_parameters_for_import(self, arn: KeyArn, algorithm: WrappingAlgorithm) -> ImportParameters:
        """GetParametersForImport with an RSA_4096 wrapping key; valid for 24 h and several imports."""

    def import_key_material(
        self,
        arn: KeyArn,
        parameters: ImportParameters,
        wrapped: bytes,
        import_type: ImportType,
        material_id: MaterialId | None,
        valid_to: datetime | None,
    ) -> MaterialId:
        """ImportKeyMaterial; returns the id that KMS says these bytes have."""

    def rotate_key_on_demand(self, arn: KeyArn) -> None:
        """RotateKeyOnDemand: accepted, not done."""

    def delete_pending_material(self, arn: KeyArn, material_id: MaterialId) -> None:
        """DeleteImportedKeyMaterial, always with the id: without it KMS deletes CURRENT material (I5)."""

    def get_key_policy(self, arn: KeyArn) -> str:
        """GetKeyPolicy: the key's own policy in this Region, as it was written."""

    def replicate_key(self, arn: KeyArn, region: Region, policy: str) -> None:
        """ReplicateKey: a replica without key material; always with a policy (P11)."""

    def encrypt(self, arn: KeyArn, plaintext: bytes, context: Mapping[str, str]) -> bytes:
        """Encrypt a probe."""

    def decrypt(self, arn: KeyArn, ciphertext: bytes, context: Mapping[str, str]) -> tuple[bytes, MaterialId]:
        """Decrypt a probe; the id of the material that did it comes with the text."""

    def data_key_material(self, arn: KeyArn, context: Mapping[str, str]) -> MaterialId:
        """GenerateDataKeyWithoutPlaintext: the id of the material that encrypts now."""


KmsClients = Callable[[Region], KmsPort]


class MaterialStore(Protocol):
    """Where key material lives, and the only place that touches plaintext (I2); `str` names it as the config does.

    Raises StoreError, UsageError where a file of the user's is wrong, and KmsError where a call to AWS fails.
    One contract test suite runs over every implementation. What the store says of bytes is bound to the bytes: link,
    probe and proven mark carry a commitment to them, and count only where it fits what is opened.
    """

    def deposit(self, name: EntryName) -> Receipt:
        """Publish 32 fresh random bytes under `name`; where an entry is there, return that one's receipt (P1)."""

    def adopt(self, name: EntryName, source: Path) -> Receipt:
        """Publish the 32 bytes of a file under `name`; EntryError where an entry with other bytes is there."""

    def identify(self, key: KeyIdentity, source: Path) -> EntryName | None:
        """Compare the 32 bytes of a file with every entry of a key that opens; None where none has them."""

    def find(self, name: EntryName) -> Entry | None:
        """Probe one exact name (P3); what is found is made durable, read back and compared with its marks (P1, I12)."""

    def look(self, first: Sequence[EntryName]) -> tuple[Entry, ...]:
        """Find each of these names, and every further attempt that follows it without a gap (P3)."""

    def entries(self, key: KeyIdentity | None = None) -> tuple[Entry, ...]:
        """List what is there, for people; decisions use `look`."""

    def wrap(self, name: EntryName, public_key: bytes, algorithm: WrappingAlgorithm) -> bytes:
        """Wrap an entry's bytes under a wrapping key of KMS: the only way out (I2)."""

    def link(self, name: EntryName, material_id: MaterialId) -> None:
        """Note the id that KMS gave these bytes (P2); EntryError where another id is noted of the same bytes."""

    def keep_probe(self, name: EntryName, ciphertext: bytes) -> None:
        """Keep the probe ciphertext made under this material (P14); the first one stays."""

    def probe(self, name: EntryName) -> bytes | None:
        """Return the probe ciphertext that was made under an entry's bytes."""

    def mark_proven(self, name: EntryName, evidence: Mapping[str, Any]) -> None:
        """Mark the entry as finished, with small evidence: ids, times, `regions`, and `proof`, how thoroughly (P14).

        Further Regions, and more thorough proofs, are added.
        """

    def discard(self, name: EntryName, at: datetime) -> None:
        """Mark the attempt as given up (P9); the bytes stay. One that is given up stays as it is."""

    def reinstate(self, name: EntryName, at: datetime) -> None:
        """Take a discard back, because KMS uses the bytes after all (P9). One that is not discarded stays as it is."""

    def withdraw(self, name: EntryName, material_id: MaterialId) -> None:
        """Note, before that is sent, which pending material is to be deleted from KMS; there may be no entry (P6)."""

    def withdrawn(self, name: EntryName) -> Mapping[MaterialId, datetime]:
        """Tell what was noted so, and when last."""

    def note_switch(self, key: KeyIdentity, region: Region, at: datetime, *, off: bool) -> None:
        """Note that the owner's switch of a Region was seen: Disabled, or Enabled again. What is noted stays."""

    def switched_off(self, key: KeyIdentity) -> Mapping[Region, datetime]:
        """Tell which Regions were last noted as Disabled, and since when."""


class Clock(Protocol):
    """Time. `now` is aware UTC."""

    def now(self) -> datetime:
        """Tell the time."""

    def drift(self) -> timedelta:
        """Tell how far the wall clock has gone ahead of uptime so far: nothing, unless it was set."""

    def receive(self, inbox: "SimpleQueue[Any]", until: datetime, *, busy: bool) -> Any | None:
        """Wait for the next thing in the inbox, or until a time; None where the time came first.

        `busy` tells whether anything is under way that could fill the inbox.
        """


@dataclass(frozen=True, slots=True)
class Event:
    """Something observed or done, for the journal and whoever watches. `data` is JSON-simple and holds no secret."""

    at: datetime
    kind: str
    key: str = ""
    region: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)


Listener = Callable[[Event], None]
