"""Who made an entry: this process, or who holds the age identity or the KMS key; nothing else passes for it."""

import base64
import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyrage
import pytest
from store_kit import (
    FIRST,
    KEY,
    NEXT,
    NOW,
    Bytes,
    FileStand,
    SecretStand,
    Stand,
    WrappingKey,
    make_identity,
    stock,
)

from orchestrator.errors import KmsError, StoreError, UsageError
from orchestrator.model import EntryName, Receipt, Region
from orchestrator.ports import MaterialStore
from orchestrator.stores.layout import Kind
from orchestrator.stores.maker import IdentityMaker, made_by, signed
from orchestrator.stores.secretsmanager.address import token
from orchestrator.stores.shelf import Slot

HOME, REPLICA = Region("us-east-1"), Region("eu-west-1")


def ours(store: MaterialStore, name: EntryName = FIRST) -> bool:
    found = store.find(name)
    assert found is not None
    assert found.receipt
    return found.ours


def payload(stand: FileStand | SecretStand, name: EntryName = FIRST) -> dict[str, Any]:
    """What an entry says."""
    raw = stand.raw(Slot(name))
    if isinstance(stand, FileStand):
        line = stand.identity.read_text().splitlines()[-1]
        raw = pyrage.decrypt(raw, [pyrage.x25519.Identity.from_str(line)])
    fields: dict[str, Any] = json.loads(raw)
    return fields


def plant(stand: FileStand | SecretStand, fields: dict[str, Any], name: EntryName = FIRST) -> None:
    """Put an entry there, as whoever may write to the store, and knows its recipients, could."""
    content = json.dumps(fields).encode()
    if isinstance(stand, FileStand):
        content = pyrage.encrypt(content, [pyrage.x25519.Recipient.from_str(one) for one in stand.recipients])
    stand.plant(Slot(name), content)


TELLING = {"file": "stand", "secretsmanager with a maker": "owned"}


@pytest.fixture(params=TELLING)
def telling(request: pytest.FixtureRequest) -> FileStand | SecretStand:
    """A store that tells who made an entry."""
    found: FileStand | SecretStand = request.getfixturevalue(TELLING[request.param])
    return found


def test_what_a_store_deposited_or_adopted_itself_is_its_own(any_stand: Stand, tmp_path: Path) -> None:
    """In this process nothing else is needed."""
    file = tmp_path / "material.bin"
    file.write_bytes(Bytes().nth(3))
    store = any_stand.init()
    store.deposit(FIRST)
    store.adopt(NEXT, file)
    assert (ours(store), ours(store, NEXT)) == (True, True)
    assert all(entry.ours for entry in (*store.entries(), *store.look([FIRST, NEXT])))


def test_another_process_knows_what_was_made_with_the_same_identity_or_key(telling: FileStand | SecretStand) -> None:
    telling.init().deposit(FIRST)
    assert ours(telling.open())


def test_without_a_key_for_it_nobody_knows_who_made_a_secret(secrets: SecretStand) -> None:
    """Names of secrets are predictable: one CreateSecret would make anybody's 32 bytes CURRENT."""
    secrets.init().deposit(FIRST)
    found = secrets.open().find(FIRST)
    assert found is not None
    assert (found.ours, found.made_at, found.receipt) == (False, NOW, Receipt(FIRST, NOW))


CHANGES: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "no tag, as of an older format": lambda said: {key: said[key] for key in said if key != "maker"},
    "other bytes under the same tag": lambda said: {**said, "key_material": base64.b64encode(bytes(32)).decode()},
    "another time under the same tag": lambda said: {**said, "created_at": "2026-05-05T00:00:00+00:00"},
    "no time": lambda said: {key: said[key] for key in said if key != "created_at"},
    "a tag of nothing": lambda said: {**said, "maker": ""},
    "a tag of another length": lambda said: {**said, "maker": said["maker"][:20]},
    "a tag that is too long": lambda said: {**said, "maker": base64.b64encode(bytes(9000)).decode()},
    "a time that is too long": lambda said: {**said, "created_at": "2" * 9000},
    "a tag that is no base64": lambda said: {**said, "maker": "!" + said["maker"]},
    "a tag that is no text": lambda said: {**said, "maker": 5},
    "a tag among others": lambda said: {**said, "maker": [said["maker"]]},
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_somebody_else_put_there_is_not_ours_though_it_opens(
    telling: FileStand | SecretStand, change: Callable[[dict[str, Any]], dict[str, Any]]
) -> None:
    telling.init().deposit(FIRST)
    plant(telling, change(payload(telling)))
    assert not ours(telling.open())


def test_a_tag_of_another_entry_does_not_pass(telling: FileStand | SecretStand) -> None:
    """Neither of another attempt nor of another key: all that an entry says is under the tag."""
    store = telling.init(random_bytes=lambda length: Bytes().nth(0, length))
    store.deposit(FIRST)
    store.deposit(NEXT)
    plant(telling, {**payload(telling), "maker": payload(telling, NEXT)["maker"]})
    assert not ours(telling.open())
    assert ours(telling.open(), NEXT)


def test_an_exchanged_entry_is_not_taken_for_what_this_process_made(telling: FileStand | SecretStand) -> None:
    """What counts are the bytes, not the name."""
    store = telling.init()
    store.deposit(FIRST)
    assert ours(store)
    plant(telling, {**payload(telling), "key_material": base64.b64encode(bytes(32)).decode(), "maker": None})
    assert not ours(store)


# The age identity.


def test_any_identity_in_the_file_knows_what_it_made_and_the_first_makes(
    stand: FileStand, tmp_path: Path, wrapping_key: WrappingKey
) -> None:
    """A machine that changes its identity appends the new one, and keeps the old."""
    stand.init().deposit(FIRST)
    new = tmp_path / "new.txt"
    make_identity(new)
    old = stand.identity.read_text()
    stand.identity.write_text(new.read_text() + old)
    both = stand.open()
    assert ours(both)
    both.deposit(NEXT)
    stand.identity.write_text(old)
    assert ours(stand.open())
    assert not ours(stand.open(), NEXT)
    assert len(wrapping_key.material(stand.open(), NEXT)) == 32


def test_an_entry_that_was_made_with_another_identity_is_readable_and_not_ours(stand: FileStand) -> None:
    """The recovery identity opens what this machine made, and cannot have made it."""
    stand.init().deposit(FIRST)
    assert not ours(stand.open(identity=stand.recovery))


@pytest.mark.parametrize("kind", ["ed25519", "rsa"])
def test_an_ssh_key_tells_who_made_an_entry_however_its_file_is_written(
    stand: FileStand, tmp_path: Path, kind: str
) -> None:
    key = tmp_path / "id"
    subprocess.run([stock("ssh-keygen"), "-q", "-t", kind, "-N", "", "-f", key], check=True)
    recipients = [key.with_suffix(".pub").read_text().strip(), stand.recipients[1]]
    stand.init(recipients=recipients, identity=key).deposit(FIRST)
    assert ours(stand.open(recipients=recipients, identity=key))
    again = tmp_path / "again"
    shutil.copy2(key, again)
    rewritten = ["-p", "-P", "", "-N", "", "-C", "another comment", "-f", again]
    subprocess.run([stock("ssh-keygen"), "-q", *rewritten], check=True)
    assert again.read_bytes() != key.read_bytes()
    assert ours(stand.open(recipients=recipients, identity=again))


def test_a_resealed_entry_keeps_its_maker(stand: FileStand) -> None:
    """The tag is inside."""
    stand.init().deposit(FIRST)
    plant(stand, payload(stand))
    assert ours(stand.open())


def test_the_tag_depends_on_all_that_is_said_and_on_the_secret() -> None:
    said = {"format": "x", "version": 1, "partition": "aws", "account": "1", "key_id": "k"}
    said |= {"replaces": None, "attempt": 1, "created_at": "t"}  # type: ignore[dict-item]
    one, other = IdentityMaker([b"one"]), IdentityMaker([b"other"])
    tag = signed(said, "c", one)
    assert made_by(said, "c", tag, one)
    assert not made_by(said, "c", tag, other)
    assert made_by(said, "c", tag, IdentityMaker([b"other", b"one"]))
    assert not made_by(said, "d", tag, one)
    for name in said:
        assert not made_by({**said, name: "changed"}, "c", tag, one)


# The KMS key.


def test_kms_is_never_sent_key_material(owned: SecretStand, wrapping_key: WrappingKey) -> None:
    """The message holds a commitment to the bytes, and tells nothing of them."""
    sent: list[bytes] = []
    cloud = owned.cloud()

    class Listening:
        def __init__(self, macs: Any) -> None:
            self._macs = macs

        def mac_algorithms(self, key: str) -> Any:
            return self._macs.mac_algorithms(key)

        def generate_mac(self, key: str, message: bytes) -> bytes:
            sent.append(message)
            return bytes(self._macs.generate_mac(key, message))

        def verify_mac(self, key: str, message: bytes, mac: bytes) -> bool:
            sent.append(message)
            return bool(self._macs.verify_mac(key, message, mac))

    listening = replace(cloud, macs=lambda region: Listening(cloud.macs(region)))
    owned.init(cloud=listening).deposit(FIRST)
    assert ours(owned.open(cloud=listening))
    assert len(sent) == 2
    assert sent[0] == sent[1]
    said = json.loads(sent[0])
    assert set(said) == {
        *("format", "version", "partition", "account", "key_id", "replaces", "attempt", "created_at", "commitment")
    }
    assert base64.b64encode(wrapping_key.material(owned.open())).decode() not in sent[0].decode()


def test_a_key_that_makes_no_macs_is_refused_before_anything_is_made(secrets: SecretStand) -> None:
    encrypting = secrets.kms().create_key()["KeyMetadata"]["Arn"]
    longer = secrets.kms().create_key(KeyUsage="GENERATE_VERIFY_MAC", KeySpec="HMAC_512")["KeyMetadata"]["Arn"]
    for key, why in ((encrypting, "its key usage is another one"), (longer, "it makes HMAC_SHA_512")):
        with pytest.raises(UsageError, match=why) as caught:
            secrets.init(mac_key=key)
        assert "--key-spec HMAC_256" in caught.value.hint
    assert not [call for call in secrets.server.calls() if call.startswith("CreateSecret")]


def test_a_key_with_imported_material_is_refused(owned: SecretStand) -> None:
    """When its material is lost, nobody knows any more who made what is stored."""
    owned.origins[(HOME, owned.more["mac_key"])] = "EXTERNAL"
    with pytest.raises(StoreError, match=r"store\.mac_key.*Origin=EXTERNAL"):
        owned.init()


@pytest.mark.parametrize("key", ["alias/mrk-maker", "id", "arn"])
def test_the_key_is_named_by_id_arn_or_alias(owned: SecretStand, key: str) -> None:
    arn = owned.more["mac_key"]
    if key.startswith("alias"):
        owned.kms().create_alias(AliasName=key, TargetKeyId=arn)
    named = {"id": arn.rpartition("/")[2], "arn": arn}.get(key, key)
    owned.more["mac_key"] = named
    owned.init().deposit(FIRST)
    assert ours(owned.open())


def test_a_run_with_another_key_or_none_is_refused_until_the_store_is_changed(owned: SecretStand) -> None:
    """Stamped, as the key that encrypts: else one run would not know what another made."""
    owned.init().deposit(FIRST)
    first = owned.more["mac_key"]
    for changes in ({"mac_key": None}, {"mac_key": owned.make_mac_key()}):
        with pytest.raises(StoreError, match=r"store\.mac_key is") as caught:
            owned.open(**changes)
        assert "mrk store init --change" in caught.value.hint
    owned.init(change=True)
    assert not ours(owned.open()), "made under the key before"
    with pytest.raises(StoreError, match=r"store\.mac_key is"):
        owned.open(mac_key=first)


@pytest.mark.parametrize("state", ["disabled", "denied"])
def test_a_key_that_cannot_be_asked_is_told_and_says_of_nobody_that_he_did_not_make_it(
    owned: SecretStand, state: str
) -> None:
    """I12: not asked is not answered."""
    owned.init().deposit(FIRST)
    store = owned.open()
    key = owned.more["mac_key"]
    if state == "disabled":
        owned.kms().disable_key(KeyId=key)
    else:
        owned.kms().schedule_key_deletion(KeyId=key)
    with pytest.raises(KmsError, match="VerifyMac"):
        store.find(FIRST)
    if state == "disabled":
        with pytest.raises(KmsError, match="GenerateMac"):
            store.deposit(NEXT)
        assert not owned.has(Slot(NEXT))


def test_a_replica_region_is_read_without_the_key(owned: SecretStand) -> None:
    """When the store's Region is gone, its entries can still be sent where they belong: KMS compares them."""
    owned.init(replica_regions=(REPLICA,)).deposit(FIRST)
    owned.uri = "secretsmanager:eu-west-1/mrk"
    assert not ours(owned.open(mac_key=None))


def test_whoever_knows_the_request_token_of_a_secret_still_made_it_elsewhere(owned: SecretStand) -> None:
    """The token follows from the name: it keeps a lost answer from doing harm, and proves nothing."""
    owned.init()
    said = {"format": "mrk-key-material", "version": 1, "partition": KEY.partition, "account": KEY.account}
    said |= {"key_id": KEY.key_id, "replaces": None, "attempt": 1, "created_at": NOW.isoformat()}  # type: ignore[dict-item]
    said |= {"key_material": base64.b64encode(bytes(32)).decode()}
    name = owned.secret(FIRST, Kind.ENTRY)
    owned.client().create_secret(Name=name, SecretString=json.dumps(said), ClientRequestToken=token(name))
    store = owned.open()
    assert store.deposit(FIRST) == Receipt(FIRST, NOW)
    assert not ours(store)
