"""Bad input is half the product: one clear message with a hint, the right exit code, and nothing changed (I9)."""

import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyrage
import pytest
from machine import BIN, REGIONS, Machine, Past

from orchestrator.errors import Exit
from orchestrator.simulator import Simulator, serve
from orchestrator.simulator.timing import Lag

Change = Callable[[Machine, str], object]


def rewrite(old: str, new: str) -> Change:
    """Change one text in the config file."""

    def change(machine: Machine, _arn: str) -> None:
        path = machine.directory / "config.yaml"
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    return change


def config(text: str) -> Change:
    return lambda machine, _: (machine.directory / "config.yaml").write_text(text)


def point_to(arn: str) -> Change:
    return lambda machine, _: machine.write_config(payments={"arn": arn})


def client(operation: str, region: str = REGIONS[1], **more: object) -> Change:
    """Let somebody else do something to the key."""

    def change(machine: Machine, arn: str) -> None:
        getattr(machine.client(region), operation)(KeyId=arn.replace(REGIONS[0], region), **more)

    return change


def foreign_pending(machine: Machine, arn: str) -> None:
    other = machine.directory / "other.bin"
    other.write_bytes(os.urandom(32))
    machine.import_quickly(arn, other, "NEW_KEY_MATERIAL")


def made(**parameters: str) -> Change:
    """Point the config to another kind of key."""

    def change(machine: Machine, _arn: str) -> None:
        arn = machine.client().create_key(**parameters)["KeyMetadata"]["Arn"]
        machine.write_config(payments={"arn": arn})

    return change


def other_identity(machine: Machine, _arn: str) -> None:
    (machine.directory / "identity.txt").write_text(f"{pyrage.x25519.Identity.generate()}\n")


def stamped_for_aws(machine: Machine, _arn: str) -> None:
    stamp = machine.directory / "store" / "store.json"
    stamp.write_text(stamp.read_text().replace('"other"', '"aws"'))


def the_entry(machine: Machine) -> Path:
    (entry,) = (machine.directory / "store").rglob("*.age")
    return entry


CHANGING = ("ImportKeyMaterial", "RotateKeyOnDemand", "DeleteImportedKeyMaterial", "CreateKey", "ReplicateKey")
KEY = "arn:aws:kms:us-east-1:111122223333:key/mrk-00000000000000000000000000000000"
HMAC = {"Origin": "EXTERNAL", "KeySpec": "HMAC_256", "KeyUsage": "GENERATE_VERIFY_MAC"}
ALIAS = "arn:aws:kms:us-east-1:111122223333:alias/nobody"

EXPLAINED = "mrk config schema prints every setting and what it is for"


def only_one_recipient(machine: Machine, _arn: str) -> None:
    machine.identities = machine.identities[:1]
    machine.write_config()


def identity_is(change: Callable[[Path], object]) -> Change:
    return lambda machine, _: change(machine.directory / "identity.txt")


def no_identity(machine: Machine, _arn: str) -> None:
    store = {"uri": f"file:{machine.directory / 'store'}", "recipients": machine.identities}
    machine.more["store"] = store
    machine.write_config()


def a_key_twice(machine: Machine, arn: str) -> None:
    path = machine.directory / "config.yaml"
    path.write_text(path.read_text() + f"keys: {{payments: {{arn: '{arn}'}}}}\n")


def a_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


USAGE: dict[str, tuple[Change, int, list[str], str]] = {
    "missing config": (
        lambda m, _: (m.directory / "config.yaml").unlink(),
        2,
        ["there is no config file"],
        "write one: mrk config example > config.yaml; or name another with -c or MRK_CONFIG",
    ),
    "empty config": (config(""), 2, ["config.yaml is empty"], EXPLAINED),
    "a list": (config("[1]"), 2, ["holds a list, not settings"], EXPLAINED),
    "not YAML": (config("store: [\n"), 2, ["config.yaml:2: not YAML"], "indent with spaces"),
    "unknown section": (rewrite("keys:", "keyz:"), 2, ["unknown setting keyz; did you mean keys?"], EXPLAINED),
    "unknown setting": (
        rewrite("rotate_every:", "rotate_evry:"),
        2,
        ["unknown setting keys.payments.rotate_evry; did you mean rotate_every?"],
        EXPLAINED,
    ),
    "a key twice": (
        a_key_twice,
        2,
        ["keys is written twice: here, and in line"],
        "keep one of them",
    ),
    "malformed ARN": (rewrite(":key/", ":kee/"), 2, ["payments.arn", "is not the ARN of a KMS key"], EXPLAINED),
    "a Region that AWS lacks": (
        rewrite("kms:us-east-1", "kms:us-esat-1"),
        2,
        ["us-esat-1 is no Region of the partition aws"],
        "us-east-1",
    ),
    "not a duration": (rewrite("90d", "90 days"), 2, ["'90 days' is not a duration: write 90d"], EXPLAINED),
    "expires too long": (
        rewrite("proof: full", "expires: 400d"),
        2,
        ["defaults.expires", "`never`, or 1d to 364d"],
        EXPLAINED,
    ),
    "expires before it is renewed": (
        rewrite("proof: full", "expires: 30d"),
        2,
        ["payments: expires (30d) must be longer than renew_before (30d)"],
        EXPLAINED,
    ),
    "renewed too late": (
        rewrite("proof: full", "expires: 90d\n  renew_before: 7d"),
        2,
        ["payments: renew_before (7d) must be longer than safety_window (7d)"],
        EXPLAINED,
    ),
    "unknown proof": (
        rewrite("proof: full", "proof: some"),
        2,
        ["defaults.proof", "'full', 'ids-only' or 'off'"],
        EXPLAINED,
    ),
    "http elsewhere": (
        rewrite("http://127.0.0.1", "http://192.0.2.1"),
        2,
        ["http://192.0.2.1", "is not https"],
        "key material goes over https",
    ),
    "unknown store": (
        rewrite("uri: file:", "uri: floppy:"),
        2,
        ["begins with no known scheme", "file:"],
        "write for example file:",
    ),
    "store on another host": (rewrite("uri: file:/", "uri: file://a"), 2, ["names no absolute path"], "write file:/"),
    "one recipient": (
        only_one_recipient,
        2,
        ["store.recipients has 1 different recipient(s); a store needs at least 2"],
        "add the recipient of an identity that is kept offline",
    ),
    "identity gone": (identity_is(Path.unlink), 2, ["there is no identity file"], "age-keygen -o identity.txt"),
    "identity is a directory": (
        identity_is(a_directory),
        2,
        ["store.identity", "is a directory, not a file"],
        "name the identity's own file",
    ),
    "identity readable by all": (
        identity_is(lambda path: path.chmod(0o644)),
        4,
        ["identity.txt", "0644"],
        "chmod 600",
    ),
}


@pytest.mark.e2e
@pytest.mark.parametrize(("change", "code", "said", "hint"), USAGE.values(), ids=USAGE)
def test_a_wrong_setting_is_told_once_and_nothing_is_called(
    unadopted: tuple[Machine, str], change: Change, code: int, said: list[str], hint: str
) -> None:
    machine, arn = unadopted
    change(machine, arn)
    before = len(machine.simulator.calls)

    told(machine, ["rotate", "payments", "--yes"], code, said, hint)

    assert len(machine.simulator.calls) == before


BLOCKED: dict[str, tuple[Change, int, list[str], str]] = {
    "not EXTERNAL": (made(), 4, ["has Origin AWS_KMS"], "aws kms rotate-key-on-demand"),
    "not symmetric": (made(**HMAC), 4, ["is of spec HMAC_256"], "make a new key and move its users"),
    "never imported": (made(Origin="EXTERNAL"), 4, ["has no key material yet"], "mrk adopt payments FILE"),
    "disabled replica": (
        client("disable_key"),
        4,
        [f"{REGIONS[1]} is Disabled", "an import would enable it"],
        f"aws kms enable-key --region {REGIONS[1]} --key-id mrk-",
    ),
    "disabled primary": (
        client("disable_key", REGIONS[0]),
        4,
        [f"the key in {REGIONS[0]} is Disabled"],
        f"aws kms enable-key --region {REGIONS[0]} --key-id mrk-",
    ),
    "replica being deleted": (
        client("schedule_key_deletion"),
        4,
        ["is PendingDeletion"],
        f"aws kms cancel-key-deletion --region {REGIONS[1]}",
    ),
    "material deleted": (
        client("delete_imported_key_material"),
        4,
        ["eu-west-1 cannot be used"],
        "mrk repair payments",
    ),
    "foreign pending": (
        foreign_pending,
        4,
        ["holds pending key material", "not in this store", "mrk adopt payments FILE"],
        "mrk abort payments --material-id",
    ),
    "a Region too many in the config": (
        rewrite("- eu-west-1", "- eu-west-1\n    - sa-east-1"),
        4,
        ["the config lists sa-east-1", "no member there"],
        "take sa-east-1 out of `regions`",
    ),
    "a Region too few in the config": (
        rewrite("    - eu-west-1\n", ""),
        4,
        ["a member in eu-west-1, which the config lacks"],
        "add eu-west-1 to `regions`",
    ),
    "key not found": (point_to(KEY), 4, ["NotFoundException"], "check the ARN, the account and the Region"),
    "alias without target": (
        point_to(ALIAS),
        4,
        [f"payments {ALIAS}", "NotFoundException"],
        "check the ARN, the account and the Region",
    ),
    "unreadable entry": (
        lambda m, _: the_entry(m).write_bytes(b"age-encryption.org/v1\n"),
        4,
        ["the store cannot read it", "does not open"],
        "put it back from a backup",
    ),
    "no identity": (
        no_identity,
        2,
        ["store.identity is not set"],
        "age-keygen -o identity.txt",
    ),
    "lost entry": (
        lambda m, _: the_entry(m).unlink(),
        4,
        ["the store cannot read it: there is no entry", "is missing"],
        "put the file back from a backup",
    ),
    "open store": (lambda m, _: (m.directory / "store").chmod(0o755), 4, ["store", "0755"], "chmod 700"),
    "a directory in the store open to all": (
        lambda m, _: the_entry(m).parent.chmod(0o755),
        4,
        ["0755"],
        "chmod 700",
    ),
    "the identity of somebody else": (
        other_identity,
        2,
        ["opens nothing that is sealed to store.recipients"],
        "age-keygen -y",
    ),
    "a store stamped for AWS": (
        stamped_for_aws,
        4,
        ["is stamped for partition aws and AWS endpoints"],
        "make another store for this",
    ),
    "another store": (rewrite("/store", "/elsewhere"), 4, ["elsewhere"], "mrk store init"),
}


@pytest.mark.e2e
@pytest.mark.parametrize(("change", "code", "said", "hint"), BLOCKED.values(), ids=BLOCKED)
def test_what_must_not_be_rotated_is_refused_with_a_way_out_and_stays_as_it_was(
    adopted: tuple[Machine, str], change: Change, code: int, said: list[str], hint: str
) -> None:
    machine, arn = adopted
    change(machine, arn)
    before = writes(machine.simulator)

    told(machine, ["rotate", "payments", "--yes", "--quiet"], code, said, hint)

    assert writes(machine.simulator) == before


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("error", "hint"),
    [
        ("AccessDeniedException", "grant this action on this key in this Region"),
        ("ExpiredTokenException", "renew them and run again"),
        ("UnrecognizedClientException", "check the credentials"),
        ("OptInRequired", "the Region must be enabled for this account first"),
    ],
)
def test_what_cannot_be_looked_at_is_a_failure_that_names_action_key_and_region(
    adopted: tuple[Machine, str], error: str, hint: str
) -> None:
    machine, arn = adopted
    machine.simulator.faults.add(operation="ListKeyRotations", region=REGIONS[1], error=error)

    said = [f"ListKeyRotations on {arn.replace(REGIONS[0], REGIONS[1])}", error]
    told(machine, ["rotate", "payments", "--yes", "--quiet"], 3, said, hint)


@pytest.mark.e2e
def test_an_alias_is_resolved_and_a_replica_leads_to_its_primary(adopted: tuple[Machine, str]) -> None:
    machine, arn = adopted
    machine.client().create_alias(AliasName="alias/payments", TargetKeyId=arn.split("/")[1])
    alias = arn.split(":key/")[0] + ":alias/payments"
    for text in (alias, arn.replace(REGIONS[0], REGIONS[2])):
        machine.write_config(payments={"arn": text, "rotate_every": "90d"})
        replica = ["the primary key is in us-east-1, which mrk follows"] if REGIONS[2] in text else []
        told(machine, ["verify", "payments"], 0, ["healthy in every Region", *replica])


@pytest.mark.e2e
def test_no_credentials_are_told_with_a_hint(adopted: tuple[Machine, str]) -> None:
    machine, _ = adopted
    machine.without |= {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}

    told(machine, ["run", "--quiet"], 3, ["there are no credentials: none in AWS_"], "a profile, AWS_... variables")


@pytest.mark.e2e
def test_credentials_that_expire_in_mid_run_are_told_and_the_next_run_resumes(adopted: tuple[Machine, str]) -> None:
    machine, arn = adopted
    machine.simulator.faults.add(operation="ImportKeyMaterial", region=REGIONS[1], error="ExpiredTokenException")

    told(machine, ["rotate", "payments", "--yes", "--quiet"], 3, ["ExpiredTokenException", "renew them and run again"])
    machine.simulator.faults.clear()
    told(machine, ["run", "--quiet"], 0, ["finished"])

    assert rotations(machine, arn) == 1


@pytest.mark.e2e
def test_a_region_that_is_not_opted_in_is_told_and_the_others_are_no_excuse(adopted: tuple[Machine, str]) -> None:
    machine, _ = adopted
    machine.simulator.faults.add(region=REGIONS[2], error="OptInRequired", status=403)

    told(machine, ["run", "--quiet"], 3, [REGIONS[2], "OptInRequired"])


@pytest.mark.e2e
@pytest.mark.parametrize("damage", ["truncated", "tampered", "swapped"])
def test_an_entry_that_is_not_as_it_was_written_stops_a_rotation_before_anything_is_made(
    adopted: tuple[Machine, str], damage: str
) -> None:
    """Swapped: the whole, sound entry of another key of the same store."""
    machine, _ = adopted
    ours, bytes_ = the_entry(machine), the_entry(machine).read_bytes()
    if damage == "swapped":
        _, material = machine.make_key_quickly(REGIONS[:1], name="orders")
        machine.run("mrk", "adopt", "orders", str(material), "-q")
        (other,) = (path for path in (machine.directory / "store").rglob("*.age") if path != ours)
    ours.chmod(0o600)
    swapped = other.read_bytes() if damage == "swapped" else b""
    ours.write_bytes({"truncated": bytes_[:-20], "tampered": bytes_[:-20] + bytes(20), "swapped": swapped}[damage])
    before = writes(machine.simulator)

    told(machine, ["rotate", "payments", "--yes", "--quiet"], 4, ["the store cannot read it", "or bring the bytes"])

    assert writes(machine.simulator) == before


@pytest.mark.e2e
@pytest.mark.parametrize("way", ["adopt", "delete"])
def test_each_way_out_of_foreign_pending_material_leads_to_one_rotation(adopted: tuple[Machine, str], way: str) -> None:
    """Adopt it, and it is rotated in; once it is gone (an abort would wait 15 min), a new one is."""
    machine, arn = adopted
    foreign_pending(machine, arn)
    listed = machine.client().list_key_rotations(KeyId=arn, IncludeKeyMaterial="ALL_KEY_MATERIAL")["Rotations"]
    pending = listed[-1]["KeyMaterialId"]
    told(machine, ["rotate", "payments", "--yes", "-q"], 4, [f"--material-id {pending}", "adopt payments FILE"])

    if way == "adopt":
        machine.run("mrk", "adopt", "payments", str(machine.directory / "other.bin"), "-q")
    else:
        machine.aws("delete-imported-key-material", "--key-id", arn, "--key-material-id", pending)
    told(machine, ["rotate", "payments", "--yes", "-q"], 0, ["finished"])

    current = machine.client().describe_key(KeyId=arn)["KeyMetadata"]["CurrentKeyMaterialId"]
    assert (current == pending) is (way == "adopt")
    assert rotations(machine, arn) == 1


@pytest.mark.e2e
def test_a_disk_that_takes_nothing_is_told_and_nothing_reaches_kms(adopted: tuple[Machine, str]) -> None:
    """No file may grow, neither the journal nor the store's; a later run goes on."""
    machine, arn = adopted
    before = writes(machine.simulator)
    limited = "trap '' XFSZ; ulimit -f 0; exec mrk rotate payments --yes -q --json"
    process = machine.start("bash", "-c", f"export PATH={BIN}:$PATH; set -o pipefail; {limited} | cat")
    out, err = process.communicate(timeout=100)

    assert "Traceback" not in out + err
    assert "File too large" in out + err
    assert process.returncode == Exit.USAGE, out + err
    assert writes(machine.simulator) == before
    told(machine, ["rotate", "payments", "--yes", "-q"], 0, ["finished"])
    assert rotations(machine, arn) == 1


@pytest.mark.e2e
def test_an_old_journal_that_cannot_be_read_stands_in_no_runs_way(adopted: tuple[Machine, str]) -> None:
    """A journal is never an input: the run goes on, and only its report says what is wrong."""
    machine, _ = adopted
    old = machine.directory / "runs" / "20200101T000000Z-aaaaaa.jsonl"
    old.write_bytes(b"\xff\x00 no journal\n")

    told(machine, ["run", "--quiet"], 0, ["nothing is due"])
    told(machine, ["report", old.stem], 4, ["is not as the run left it"])


@pytest.mark.e2e
@pytest.mark.parametrize(("hours", "said"), [(-1, "1 h 0 min behind KMS's"), (1, "1 h 0 min ahead of KMS's")])
def test_by_a_clock_that_is_an_hour_off_nothing_is_done(machine: Machine, hours: float, said: str) -> None:
    """I13: whatever would write says so, whatever only shows goes on; with the clock set right all is as it was."""
    machine.past.days = max(hours, 0) / 24
    arn, material = machine.make_key_quickly()
    machine.past.days = hours / 24
    machine.run("mrk", "store", "init")
    sent, adopting = writes(machine.simulator), ["adopt", "payments", str(material)]
    for words in (adopting, ["rotate", "payments", "--yes"], ["run"], ["repair", "payments"], ["renew", "payments"]):
        told(machine, [*words, "--quiet"], 3, [said, "nothing is done by it"], "set the clock")
    told(machine, ["status", "payments"], 0, ["us-east-1", said])

    assert writes(machine.simulator) == sent
    machine.past.days = 0
    machine.run("mrk", *adopting)
    told(machine, ["rotate", "payments", "--yes", "--quiet"], 0, ["finished"])
    assert rotations(machine, arn) == 1


@pytest.mark.e2e
def test_a_single_region_key_is_rotated_as_well(machine: Machine) -> None:
    arn, material = machine.make_key_quickly(REGIONS[:1])
    machine.run("mrk", "store", "init")
    machine.run("mrk", "adopt", "payments", str(material))

    told(machine, ["rotate", "payments", "--yes", "--quiet"], 0, ["finished"])

    assert rotations(machine, arn) == 1


@pytest.mark.e2e
def test_a_replica_that_is_being_created_is_waited_for(adopted: tuple[Machine, str]) -> None:
    machine, arn = adopted
    machine.client().replicate_key(KeyId=arn, ReplicaRegion="sa-east-1")
    machine.write_config(payments={"arn": arn})

    told(machine, ["rotate", "payments", "--yes", "--quiet"], 4, ["sa-east-1 cannot be used", "mrk repair payments"])
    told(machine, ["repair", "payments", "--quiet"], 0, ["sa-east-1", "finished"])
    told(machine, ["rotate", "payments", "--yes", "--quiet"], 0, ["finished"])


@pytest.mark.e2e
def test_a_key_that_is_updating_is_waited_for(tmp_path: Path) -> None:
    """Its primary was moved a moment ago: nothing is imported before both keys are Enabled again."""
    past = Past()
    simulator = Simulator(past, lag=replace(Lag.instant(), updating=8), rotation_seconds=0.5)
    with serve(simulator) as served:
        machine = Machine(tmp_path, served.endpoint_url, simulator, past)
        arn, material = machine.make_key_quickly()
        machine.run("mrk", "store", "init")
        machine.run("mrk", "adopt", "payments", str(material), "-q")
        since, before = past(), len(writes(simulator))
        machine.client().update_primary_region(KeyId=arn, PrimaryRegion=REGIONS[1])

        told(machine, ["rotate", "payments", "--yes"], 0, ["is Updating", "finished"])

        changed = [call.at for call in simulator.calls if call.operation in CHANGING][before:]
        assert min(changed) >= since + 8
        assert rotations(machine, arn) == 1


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("words", "code", "said", "hint"),
    [
        (["rotate", "nobody", "--yes"], 2, "the config has no key 'nobody'", "it has: payments"),
        (["rotate", "payments", "--yes", "--until", "never"], 2, "there is no stage 'never'", "ready"),
        (["rotate", "payments", "--yes", "--log-level", "loud"], 2, "--log-level loud", "debug, info"),
        (["rotate", "payments", "--yes", "--replaces", "nonsense"], 4, "never was, CURRENT", "mrk status"),
        (["rotate", "payments", "--yes", "--region", "sa-east-1"], 2, "has no member there", "us-east-1"),
        (["adopt", "payments", "no-such-file"], 2, "there is no file no-such-file", "32 bytes of key material"),
        (["frobnicate"], 2, "No such command 'frobnicate'", "mrk --help"),
        (["plan", "--frob"], 2, "--frob", "mrk plan --help"),
    ],
)
def test_a_wrong_command_line_says_what_is_wrong(
    unadopted: tuple[Machine, str], words: list[str], code: int, said: str, hint: str
) -> None:
    told(unadopted[0], words, code, [said], hint)


def told(machine: Machine, words: list[str], code: int, said: list[str], hint: str = "") -> None:
    """Run mrk as a process: its exit code, every part of the message, the hint as a hint, and no traceback."""
    process = machine.start("mrk", *words)
    printed = " ".join(" ".join(process.communicate(timeout=100)).split())
    assert "Traceback" not in printed
    assert "a defect in mrk" not in printed
    for part in said:
        assert part in printed, printed
    assert process.returncode == code, printed
    if hint:
        hints = re.split("hint: | -> ", printed)[1:]
        assert any(hint in one for one in hints), printed


def rotations(machine: Machine, arn: str) -> int:
    true = machine.simulator.key(REGIONS[0], arn)
    assert true is not None
    return true.rotations


def writes(simulator: Simulator) -> list[str]:
    """The calls that changed something."""
    return [call.operation for call in simulator.calls if call.operation in CHANGING]
