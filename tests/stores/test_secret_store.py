"""The secretsmanager: store and what may befall it: other hands, faults, lag, keys, replica Regions and settings."""

import base64
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from store_kit import (
    FIRST,
    KEY,
    MATERIAL_A,
    NEXT,
    NOW,
    OAEP,
    Bytes,
    FileStand,
    SecretStand,
    WrappingKey,
    any_wrapping_key,
    plain,
    told,
)

from orchestrator.errors import EntryError, KmsError, StoreError, Trouble, UsageError
from orchestrator.model import Entry, EntryName, KeyIdentity, MaterialId, Receipt, Region
from orchestrator.ports import MaterialStore
from orchestrator.stores import Place
from orchestrator.stores.layout import Kind
from orchestrator.stores.secretsmanager.address import Address, token
from orchestrator.stores.secretsmanager.keys import key_in
from orchestrator.stores.shelf import Slot

HOME, REPLICA = Region("us-east-1"), Region("eu-west-1")
KEY_ARN = "arn:aws:kms:us-east-1:111122223333:key/mrk-00ff"


def found(store: MaterialStore, name: EntryName = FIRST) -> Entry:
    entry = store.find(name)
    assert entry is not None
    return entry


# What stands there.


def test_every_entry_and_every_mark_is_one_secret_that_was_created_and_never_changed(secrets: SecretStand) -> None:
    """P1: CreateSecret cannot overwrite; no call that could change or delete a secret is ever made."""
    store = secrets.init()
    store.deposit(FIRST)
    store.link(FIRST, MATERIAL_A)
    store.keep_probe(FIRST, b"ciphertext" * 20)
    store.mark_proven(FIRST, {"regions": [f"eu-west-{number}" for number in range(33)], "proof": "full"})
    store.note_switch(KEY, HOME, NOW, off=True)
    store.discard(FIRST, NOW)
    store.reinstate(FIRST, NOW)
    store.discard(FIRST, NOW)
    store.entries()
    store.look([FIRST, NEXT])
    assert {call.partition(" ")[0] for call in secrets.server.calls()} == {
        "BatchGetSecretValue",
        "CreateSecret",
        "DescribeSecret",
        "GetSecretValue",
        "ListSecrets",
    }
    key = "mrk/aws/111122223333/mrk-1234abcd12ab34cd56ef1234567890ab"
    marks = ("link", "probe", "proven", "discarded", "reinstated", "discarded.2", "switch")
    listed = secrets.client().list_secrets()["SecretList"]
    assert {one["Name"] for one in listed} == {
        "mrk/store",
        f"{key}/first.1",
        *(f"{key}/first.1.{one}" for one in marks),
    }
    for one in listed:
        assert one["SecretVersionsToStages"] == {token(one["Name"]): ["AWSCURRENT"]}


def test_an_entry_is_restored_with_the_stock_client_alone(secrets: SecretStand, wrapping_key: WrappingKey) -> None:
    """docs/store.md: the text of a secret is the JSON that stands in a file: store after `age -d`."""
    store = secrets.init()
    store.deposit(FIRST)
    fields = json.loads(secrets.client().get_secret_value(SecretId=secrets.secret())["SecretString"])
    assert (fields["format"], fields["key_id"], fields["attempt"]) == ("mrk-key-material", KEY.key_id, 1)
    assert wrapping_key.material(store).hex() == base64.b64decode(fields["key_material"]).hex()


@pytest.mark.parametrize("kind", Kind)
def test_names_are_within_the_rules_of_secrets_manager_and_lead_back_to_their_entry(kind: Kind) -> None:
    """CreateSecret: 512 letters, digits and /_+=.@-; and an ending of six letters would be taken for an ARN's."""
    address = Address.parse("us-east-1/" + "p" * 200)
    for name in (FIRST, NEXT, EntryName(KEY, MaterialId("f" * 64), 999_999)):
        for turn in (1,) if kind is Kind.ENTRY else (1, 12):
            secret = address.secret(Slot(name, kind, turn))
            assert len(secret) <= 512
            assert not set(secret) - set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/_+=.@-")
            assert "-" not in secret[-7:]
            assert address.entry_name(secret) == name


def test_what_is_not_of_the_store_is_passed_over(secrets: SecretStand) -> None:
    store = secrets.init()
    store.deposit(FIRST)
    folder = secrets.secret().rpartition("/")[0]
    for name in ("mrk/notes", "mrk/aws/x", f"{folder}/README", f"{folder}/first.0", "mrkother/aws/1/2/first.1"):
        secrets.client().create_secret(Name=name, SecretString="junk")
    assert tuple(map(plain, store.entries())) == (Entry(FIRST, Receipt(FIRST, NOW)),)


@pytest.mark.parametrize(
    "name",
    [
        EntryName(KeyIdentity("aws", "..", "etc"), None),
        EntryName(KeyIdentity("aws", "111122223333", "../x"), None),
        EntryName(KEY, MaterialId("../../x")),
        EntryName(KEY, MaterialId("first")),
        EntryName(KEY, None, 0),
    ],
    ids=str,
)
def test_a_name_that_could_lead_out_of_the_store_is_refused(secrets: SecretStand, name: EntryName) -> None:
    store = secrets.init()
    with pytest.raises(EntryError, match="cannot be the name of a store entry"):
        store.deposit(name)


# Other hands.


def test_an_entry_that_somebody_changed_is_told_and_the_way_out_leads_back(
    secrets: SecretStand, wrapping_key: WrappingKey
) -> None:
    """P1: its bytes never change; a version that mrk did not create gives no receipt and is never sent."""
    store = secrets.init()
    store.deposit(FIRST)
    material = wrapping_key.material(store)
    changed = secrets.client().put_secret_value(SecretId=secrets.secret(), SecretString='{"key_material": "x"}')
    entry = found(store)
    assert entry.receipt is None
    entry = found(secrets.open())
    assert entry.receipt is None
    assert "was changed" in entry.told
    assert f"--move-to-version-id {token(secrets.secret())}" in entry.told
    for ask in (store.deposit, lambda name: store.wrap(name, any_wrapping_key(), OAEP)):
        with pytest.raises(EntryError, match="was changed"):
            ask(FIRST)
    secrets.client().update_secret_version_stage(
        SecretId=secrets.secret(),
        VersionStage="AWSCURRENT",
        MoveToVersionId=token(secrets.secret()),
        RemoveFromVersionId=changed["VersionId"],
    )
    assert found(store).receipt == Receipt(FIRST, NOW)
    assert wrapping_key.material(store) == material


def test_a_mark_that_somebody_changed_is_told(secrets: SecretStand) -> None:
    """P2: a link to other material than KMS said must not be believed."""
    store = secrets.init()
    store.deposit(FIRST)
    store.link(FIRST, MATERIAL_A)
    link = secrets.secret(FIRST, Kind.LINK)
    text = secrets.client().get_secret_value(SecretId=link)["SecretString"]
    secrets.client().put_secret_value(SecretId=link, SecretString=text.replace("a1a1", "b2b2"))
    entry = found(secrets.open())
    assert entry.receipt == Receipt(FIRST, NOW)
    assert (entry.linked, entry.claimed) == (None, None)
    assert "was changed" in entry.damage["link"]


@pytest.mark.parametrize("kind", [Kind.ENTRY, Kind.LINK])
def test_a_secret_that_is_scheduled_for_deletion_is_told_and_restored(secrets: SecretStand, kind: Kind) -> None:
    """Within 7 to 30 days it would be gone: no receipt, nothing is deposited in its place, and the way out."""
    store = secrets.init()
    store.deposit(FIRST)
    store.link(FIRST, MATERIAL_A)
    secret = secrets.secret(FIRST, kind)
    secrets.client().delete_secret(SecretId=secret, RecoveryWindowInDays=7)
    entry = found(secrets.open())
    assert bool(entry.receipt) is (kind is Kind.LINK)
    told_of_it = entry.told or entry.damage["link"]
    assert f"aws secretsmanager restore-secret --region us-east-1 --secret-id {secret}" in told_of_it
    if kind is Kind.ENTRY:
        with pytest.raises(EntryError, match="scheduled for deletion"):
            secrets.open().deposit(FIRST)
    secrets.client().restore_secret(SecretId=secret)
    assert plain(found(secrets.open())) == Entry(FIRST, Receipt(FIRST, NOW), linked=MATERIAL_A)


def shell(secrets: SecretStand, command: str) -> None:
    """Run a command that was told, with the stock aws command."""
    aws = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_EC2_METADATA_DISABLED": "true"}
    aws |= {"AWS_ENDPOINT_URL_SECRETS_MANAGER": secrets.server.url, "AWS_PAGER": "", "HOME": "/nonexistent"}
    environment = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", **aws}
    ran = subprocess.run(["sh", "-eu", "-c", command], env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr


@pytest.mark.parametrize("kind", [Kind.LINK, Kind.PROBE, Kind.PROVEN, Kind.DISCARDED, Kind.REINSTATED])
@pytest.mark.parametrize("how", ["changed", "spoilt when it was created", "scheduled for deletion"])
def test_the_way_out_of_a_damaged_mark_is_true(secrets: SecretStand, kind: Kind, how: str) -> None:
    """The command that is told is carried out; then the damage is gone, and nothing was taken from the bytes."""
    store = secrets.init()
    for _ in range(2):
        store.deposit(FIRST)
        store.link(FIRST, MATERIAL_A)
        store.keep_probe(FIRST, b"probe")
        store.mark_proven(FIRST, {"regions": [HOME], "proof": "full"})
    store.discard(FIRST, NOW)
    store.reinstate(FIRST, NOW)
    whole, name = plain(secrets.open().find(FIRST)), secrets.secret(FIRST, kind)
    if how == "changed":
        secrets.client().put_secret_value(SecretId=name, SecretString="{}")
    elif how == "scheduled for deletion":
        secrets.client().delete_secret(SecretId=name, RecoveryWindowInDays=7)
    else:
        secrets.plant(Slot(FIRST, kind), b"{}")

    damaged = found(secrets.open())
    command = re.search(r"(aws secretsmanager .*?)( - | \(|$)", damaged.damage[kind.label])
    assert command
    shell(secrets, command[1])

    mended = secrets.open()
    assert damaged.receipt == Receipt(FIRST, NOW)
    assert found(mended).damage == {}
    if how != "spoilt when it was created":
        assert plain(found(mended)) == whole
    elif kind in {Kind.LINK, Kind.PROBE, Kind.PROVEN}:
        mended.link(FIRST, MATERIAL_A)
        mended.keep_probe(FIRST, b"probe")
        mended.mark_proven(FIRST, {"regions": [HOME], "proof": "full"})
        assert plain(found(mended)) == whole


def test_a_mark_cannot_be_made_where_one_is_scheduled_for_deletion(secrets: SecretStand) -> None:
    store = secrets.init()
    store.deposit(FIRST)
    store.discard(FIRST, NOW)
    secrets.client().delete_secret(SecretId=secrets.secret(FIRST, Kind.DISCARDED))
    with pytest.raises(EntryError, match="scheduled for deletion"):
        secrets.open().discard(FIRST, NOW)


def test_nothing_is_deposited_in_the_place_of_an_entry_that_is_gone(secrets: SecretStand) -> None:
    """P1: fresh bytes beside the link of lost ones would pass for them."""
    store = secrets.init()
    store.deposit(FIRST)
    store.link(FIRST, MATERIAL_A)
    secrets.client().delete_secret(SecretId=secrets.secret(), ForceDeleteWithoutRecovery=True)
    later = secrets.open()
    entry = found(later)
    assert entry.receipt is None
    assert entry.linked == MATERIAL_A
    assert "is missing" in entry.told
    with pytest.raises(EntryError, match="there is no entry"):
        later.deposit(FIRST)


def test_an_entry_copied_to_another_name_is_told_with_both(secrets: SecretStand) -> None:
    store = secrets.init()
    store.deposit(FIRST)
    text = secrets.client().get_secret_value(SecretId=secrets.secret())["SecretString"]
    other = secrets.secret(NEXT)
    secrets.client().create_secret(Name=other, SecretString=text, ClientRequestToken=token(other))
    entry = found(store, NEXT)
    assert entry.receipt is None
    assert f"in the place of {NEXT}, but says that it is {FIRST}" in entry.told


def test_a_secret_without_text_is_told(secrets: SecretStand) -> None:
    store = secrets.init()
    secret = secrets.secret()
    secrets.client().create_secret(Name=secret, SecretBinary=b"bytes", ClientRequestToken=token(secret))
    assert "holds no text" in found(store).told


def test_a_secret_that_secrets_manager_rotates_is_told(secrets: SecretStand) -> None:
    """Rotation of a secret would replace key material by something else."""
    store = secrets.init()
    store.deposit(FIRST)
    client, secret = secrets.client(), secrets.secret()
    rotated = client.rotate_secret(SecretId=secret, RotationRules={"AutomaticallyAfterDays": 30})["VersionId"]
    client.update_secret_version_stage(
        SecretId=secret, VersionStage="AWSCURRENT", MoveToVersionId=token(secret), RemoveFromVersionId=rotated
    )
    assert "aws secretsmanager cancel-rotate-secret" in found(secrets.open()).told


def test_a_prefix_with_entries_and_no_stamp_is_not_taken_for_a_new_store(secrets: SecretStand) -> None:
    store = secrets.init()
    store.deposit(FIRST)
    secrets.client().delete_secret(SecretId="mrk/store", ForceDeleteWithoutRecovery=True)
    with pytest.raises(StoreError, match="has no stamp, but entries") as caught:
        secrets.init()
    assert "another name prefix" in caught.value.hint


# Faults.


@pytest.mark.parametrize("kind", ["lost", "cut", "hang", "throttled", "internal", "garbage"])
def test_a_create_without_an_answer_is_sent_again_and_deposits_once(
    secrets: SecretStand, wrapping_key: WrappingKey, kind: str
) -> None:
    """I7: the request token follows from the name, so what was carried out and not answered is found."""
    source = Bytes()
    store = secrets.init(random_bytes=source)
    secrets.server.faults({"operation": "CreateSecret", "kind": kind, "times": 1})
    assert store.deposit(FIRST) == Receipt(FIRST, NOW)
    assert wrapping_key.material(store) == source.nth(0)
    assert secrets.describe(secrets.secret())["VersionIdsToStages"] == {token(secrets.secret()): ["AWSCURRENT"]}
    assert len(secrets.pauses) == 1


@pytest.mark.parametrize("kind", ["throttled", "internal", "cut"])
@pytest.mark.parametrize("operation", ["CreateSecret", "GetSecretValue", "DescribeSecret"])
def test_what_fails_for_ever_is_tried_four_times_and_told_as_passing(
    secrets: SecretStand, operation: str, kind: str
) -> None:
    """I9: exit 3, not 4: nobody needs to look, a rerun resumes."""
    store = secrets.init()
    secrets.server.faults({"operation": operation, "kind": kind})
    with pytest.raises(KmsError) as caught:
        store.deposit(FIRST)
    assert caught.value.trouble is Trouble.TRANSIENT
    assert f"secretsmanager:{operation} on {secrets.secret()}" in caught.value.message
    assert "us-east-1" in caught.value.message
    assert len(secrets.pauses) == 3
    secrets.server.faults()
    assert store.deposit(FIRST) == Receipt(FIRST, NOW)


@pytest.mark.parametrize("operation", ["CreateSecret", "GetSecretValue", "DescribeSecret", "ListSecrets"])
def test_what_is_denied_is_told_once_with_the_action_and_the_resource(secrets: SecretStand, operation: str) -> None:
    """I9."""
    store = secrets.init()
    secrets.server.faults({"operation": operation, "kind": "denied"})
    with pytest.raises(KmsError) as caught:
        store.entries() if operation == "ListSecrets" else store.deposit(FIRST)
    assert caught.value.trouble is Trouble.PERMANENT
    assert caught.value.code == "AccessDeniedException"
    secret = f"arn:aws:secretsmanager:us-east-1:ACCOUNT:secret:{secrets.secret()}"
    where = {"ListSecrets": "*", "GetSecretValue": secret.removesuffix("first.1")}.get(operation, secret)
    assert f"grant secretsmanager:{operation} on {where}" in told(caught.value)
    assert len([call for call in secrets.server.calls() if call.startswith(operation)]) == 1


def test_what_cannot_be_decrypted_gives_no_receipt_and_names_the_key_as_the_cause(secrets: SecretStand) -> None:
    store = secrets.init()
    store.deposit(FIRST)
    secrets.server.faults({"operation": "BatchGetSecretValue", "kind": "decryption"})
    entry = found(store)
    assert entry.receipt is None
    assert "DecryptionFailure" in entry.told
    assert "KMS key of this secret" in entry.told


def test_a_quota_that_is_used_up_is_told(secrets: SecretStand) -> None:
    store = secrets.init()
    secrets.server.faults({"operation": "CreateSecret", "kind": "exceeded"})
    with pytest.raises(KmsError, match="LimitExceededException") as caught:
        store.deposit(FIRST)
    assert "raise the quota" in caught.value.hint


@pytest.mark.parametrize("operation", ["GetSecretValue", "DescribeSecret"])
def test_a_read_that_lags_behind_the_create_is_repeated(secrets: SecretStand, operation: str) -> None:
    """P1: not seen right after it was created is not gone."""
    store = secrets.init()
    secrets.server.faults()
    store.deposit(FIRST)
    before = secrets.server.calls()
    reads = [call for call in before[: before.index("CreateSecret 200")] if call.startswith(operation)]
    secrets.server.faults({"operation": operation, "kind": "lag", "after": len(reads), "times": 2})
    assert store.deposit(NEXT) == Receipt(NEXT, NOW)
    assert len(secrets.pauses) == 2


def test_a_secret_that_stays_away_after_it_was_seen_is_told_as_passing_and_never_replaced(secrets: SecretStand) -> None:
    store = secrets.init()
    store.deposit(FIRST)
    secrets.server.faults({"operation": "*", "kind": "lag"})
    with pytest.raises(KmsError, match="was there a moment ago") as caught:
        store.deposit(FIRST)
    assert caught.value.trouble is Trouble.TRANSIENT
    assert not [call for call in secrets.server.calls() if call.startswith("CreateSecret")]


def test_a_discard_that_does_not_show_yet_is_taken_back_all_the_same(secrets: SecretStand) -> None:
    """P9: within one process, a mark just made is known to be there."""
    store = secrets.init()
    store.deposit(FIRST)
    store.discard(FIRST, NOW)
    secrets.server.faults({"operation": "GetSecretValue", "kind": "lag", "times": 1})
    store.reinstate(FIRST, NOW)
    assert found(secrets.open()).discarded_at is None


# Keys.


@pytest.mark.parametrize("region", [HOME, REPLICA])
def test_a_key_with_imported_material_is_refused_in_every_region_before_anything_is_made(
    secrets: SecretStand, region: Region
) -> None:
    """A store that can be read only while some other imported material lives is no store."""
    secrets.origins[(region, "alias/mrk-store")] = "EXTERNAL"
    for ask in (secrets.init, secrets.open):
        with pytest.raises(StoreError) as caught:
            ask(kms_key="alias/mrk-store", replica_regions=(REPLICA,))
        if ask == secrets.init:
            assert f"alias/mrk-store in {region}" in caught.value.message
            assert "Origin=EXTERNAL" in caught.value.message
            assert "store.kms_key" in caught.value.hint
    assert not [call for call in secrets.server.calls() if call.startswith("CreateSecret")]


def test_an_alias_that_points_to_imported_material_one_day_is_refused_at_the_next_run(secrets: SecretStand) -> None:
    secrets.init(kms_key="alias/mrk-store").deposit(FIRST)
    secrets.origins[(HOME, "alias/mrk-store")] = "EXTERNAL"
    with pytest.raises(StoreError, match="Origin=EXTERNAL"):
        secrets.open(kms_key="alias/mrk-store")


def test_an_entry_that_somebody_encrypted_with_imported_material_gives_no_receipt(secrets: SecretStand) -> None:
    store = secrets.init()
    store.deposit(FIRST)
    secrets.origins[(HOME, KEY_ARN)] = "EXTERNAL"
    secrets.client().update_secret(SecretId=secrets.secret(), KmsKeyId=KEY_ARN)
    entry = found(secrets.open())
    assert entry.receipt is None
    assert f"is encrypted with {KEY_ARN} in us-east-1" in entry.told


@pytest.mark.parametrize(
    ("wanted", "there"),
    [
        (KEY_ARN, KEY_ARN.replace("us-east-1", "eu-west-1")),
        ("arn:aws:kms:us-east-1:111122223333:alias/a/b", "arn:aws:kms:eu-west-1:111122223333:alias/a/b"),
        ("alias/mrk-store", "alias/mrk-store"),
        ("mrk-00ff", "mrk-00ff"),
        (None, None),
    ],
)
def test_the_key_in_a_replica_region_is_the_related_one(wanted: str | None, there: str | None) -> None:
    assert key_in(wanted, REPLICA) == there
    assert key_in(wanted, HOME) == wanted


def test_every_secret_is_encrypted_with_the_configured_key_in_every_region(secrets: SecretStand) -> None:
    store = secrets.init(kms_key=KEY_ARN, replica_regions=(REPLICA,))
    store.deposit(FIRST)
    store.link(FIRST, MATERIAL_A)
    created = [json.loads(body) for body in secrets.server.bodies() if "SecretString" in body]
    assert len(created) == 3
    for body in created:
        assert body["KmsKeyId"] == KEY_ARN
        assert body["AddReplicaRegions"] == [
            {"Region": "eu-west-1", "KmsKeyId": KEY_ARN.replace("us-east-1", "eu-west-1")}
        ]


# Replica Regions.


def test_every_secret_is_in_every_replica_region_and_the_store_is_read_there(
    secrets: SecretStand, wrapping_key: WrappingKey
) -> None:
    store = secrets.init(replica_regions=(REPLICA,))
    store.deposit(FIRST)
    store.link(FIRST, MATERIAL_A)
    secrets.uri = "secretsmanager:eu-west-1/mrk"
    there = secrets.open()
    assert plain(there.find(FIRST)) == Entry(FIRST, Receipt(FIRST, NOW), linked=MATERIAL_A)
    assert wrapping_key.material(there) == wrapping_key.material(store)


def test_an_entry_from_before_is_replicated_by_whoever_finds_it(secrets: SecretStand) -> None:
    """P1: the finder makes it durable."""
    secrets.init().deposit(FIRST)
    store = secrets.init(replica_regions=(REPLICA,), change=True)
    assert found(store).receipt == Receipt(FIRST, NOW)
    (replica,) = secrets.describe(secrets.secret())["ReplicationStatus"]
    assert (replica["Region"], replica["Status"]) == (REPLICA, "InSync")


PROTECTED: dict[str, Any] = {"kms_key": KEY_ARN, "replica_regions": (REPLICA,)}
OTHERWISE: dict[str, tuple[dict[str, Any], str]] = {
    "no key": ({"kms_key": None}, "kms_key is not set"),
    "another key": ({"kms_key": "alias/other"}, "kms_key is alias/other"),
    "no replica": ({"replica_regions": ()}, "replica_regions lacks eu-west-1"),
    "another replica": ({"replica_regions": (REPLICA, Region("sa-east-1"))}, "replica_regions has sa-east-1"),
}


@pytest.mark.parametrize(("changes", "said"), OTHERWISE.values(), ids=OTHERWISE)
def test_a_store_is_not_opened_with_another_protection_than_it_was_made_with(
    secrets: SecretStand, changes: dict[str, Any], said: str
) -> None:
    """Whoever leaves a setting out would keep new material in one Region, or under AWS's key, and get a receipt."""
    secrets.init(**PROTECTED).deposit(FIRST)
    for ask in (secrets.open, secrets.init):
        with pytest.raises(StoreError, match=said) as caught:
            ask(**{**PROTECTED, **changes})
        assert "mrk store init --change" in caught.value.hint
    assert secrets.open(**PROTECTED).deposit(FIRST) == Receipt(FIRST, NOW)


def test_the_protection_of_a_store_is_changed_on_purpose_and_then_holds_for_all(secrets: SecretStand) -> None:
    """The change is a stamp of its own, which is never changed; in the new Region the store can be read, too."""
    secrets.init().deposit(FIRST)
    for _ in range(2):
        secrets.init(**PROTECTED, change=True)
    with pytest.raises(StoreError, match=r"kms_key is not set.*replica_regions lacks"):
        secrets.open()
    assert secrets.open(**PROTECTED).deposit(FIRST) == Receipt(FIRST, NOW)
    stamps = [one["Name"] for one in secrets.client().list_secrets()["SecretList"] if "/store" in one["Name"]]
    assert sorted(stamps) == ["mrk/store", "mrk/store.2"]
    secrets.uri = "secretsmanager:eu-west-1/mrk"
    assert plain(secrets.open().find(FIRST)) == Entry(FIRST, Receipt(FIRST, NOW))


def test_a_file_store_is_not_changed_that_way(stand: FileStand) -> None:
    with pytest.raises(UsageError, match="--change is for a store secretsmanager:"):
        stand.init(change=True)


def test_there_is_no_receipt_while_a_replica_is_not_in_sync(secrets: SecretStand) -> None:
    """I1: durably kept, as configured; a rerun finds it in sync."""
    store = secrets.init(replica_regions=(REPLICA,))
    secrets.server.faults({"operation": "DescribeSecret", "kind": "replicating"})
    for ask in (store.deposit, store.find):
        with pytest.raises(KmsError, match="is still being replicated to eu-west-1") as caught:
            ask(FIRST)
        assert caught.value.trouble is Trouble.TRANSIENT
    secrets.server.faults({"operation": "DescribeSecret", "kind": "replicating", "times": 2})
    assert store.deposit(FIRST) == Receipt(FIRST, NOW)


def test_a_replica_that_failed_is_told_with_its_reason(secrets: SecretStand) -> None:
    secrets.client("eu-west-1").create_secret(Name=secrets.secret(), SecretString="somebody else's")
    store = secrets.init(replica_regions=(REPLICA,))
    with pytest.raises(EntryError, match="is not replicated to eu-west-1: Replication failed") as caught:
        store.deposit(FIRST)
    assert "remove-regions-from-replication" in caught.value.hint
    assert found(store).receipt is None


# Settings.


@pytest.mark.parametrize(
    "location",
    [
        "",
        "us-east-1",
        "us-east-1/",
        "/mrk",
        "mrk",
        "us-east-1/m rk",
        "us-east-1/mrk/",
        "//us-east-1/mrk",
        "us-east-1/" + "p" * 201,
    ],
)
def test_a_uri_that_is_no_region_and_prefix_is_refused(secrets: SecretStand, location: str) -> None:
    secrets.uri = f"secretsmanager:{location}"
    with pytest.raises(UsageError, match="is not a Region and a name prefix") as caught:
        secrets.open()
    assert "secretsmanager:us-east-1/mrk" in caught.value.hint


@pytest.mark.parametrize("changes", [{"recipients": ("age1x", "age1y")}, {"identity": FIRST}])
def test_settings_of_a_file_store_are_refused(secrets: SecretStand, changes: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="are settings of a store file:") as caught:
        secrets.init(**changes)
    assert "Secrets Manager encrypts what it keeps" in caught.value.hint


@pytest.mark.parametrize("changes", [{"kms_key": "alias/x"}, {"replica_regions": (REPLICA,)}])
def test_a_file_store_refuses_the_settings_of_this_one(stand: FileStand, changes: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="are settings of a store secretsmanager:"):
        stand.init(**changes)


def test_a_replica_region_that_is_the_stores_own_is_refused(secrets: SecretStand) -> None:
    with pytest.raises(UsageError, match="names us-east-1, where the store is itself"):
        secrets.init(replica_regions=(HOME,))


def test_material_of_keys_in_aws_is_kept_in_aws_and_in_their_partition_alone(secrets: SecretStand) -> None:
    """P12: a test service gets no material of real keys."""
    with pytest.raises(UsageError, match=r"would be kept at http://127\.0\.0\.1") as caught:
        secrets.init(Place("aws", "aws"))
    assert "AWS_ENDPOINT_URL_SECRETS_MANAGER" in caught.value.hint
    with pytest.raises(UsageError, match="in partition aws; the keys are in aws-cn"):
        secrets.init(Place("aws-cn", "other"))
    assert not [call for call in secrets.server.calls() if call.startswith("CreateSecret")]


def test_clear_text_leaves_this_machine_for_nobody(secrets: SecretStand, monkeypatch: pytest.MonkeyPatch) -> None:
    """P12."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", "http://secrets.example.com")
    with pytest.raises(UsageError, match="is not https"):
        secrets.fresh_client()


def test_a_proxy_is_not_asked_for_what_goes_in_clear_to_this_machine(
    secrets: SecretStand, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P12: a proxy would take it off this machine."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    assert secrets.fresh_client().list_secrets()["SecretList"] == []
