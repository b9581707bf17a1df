"""An entry is restored by stock tools and no code of ours, with the very lines that docs/store.md gives."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from store_kit import FIRST, NEXT, NOW, FileStand, SecretStand, WrappingKey, make_identity, stock

DOCS = Path(__file__).parents[2] / "docs" / "store.md"
TOOLS = ("age", "base64", "jq", "sed", "python3", "openssl")


def documented(title: str) -> str:
    """Find the shell lines that the documentation marks as tested under a title."""
    found = re.search(rf"<!-- tested: {re.escape(title)} -->\n```sh\n(.*?)```", DOCS.read_text(), re.DOTALL)
    assert found, f"docs/store.md has no lines marked 'tested: {title}'"
    return found[1]


def run(lines: str, folder: Path, **variables: str) -> None:
    for tool in TOOLS:
        stock(tool)
    # The aws command is the virtual environment's.
    environment = {"PATH": f"/usr/bin:/bin:{Path(sys.executable).parent}", **variables}
    ran = subprocess.run(["sh", "-eu", "-c", lines], cwd=folder, env=environment, capture_output=True, text=True)  # noqa: PLW1510 - judged below, with what it said
    assert ran.returncode == 0, ran.stderr


@pytest.mark.parametrize("who", ["identity", "recovery"])
@pytest.mark.parametrize("tool", ["jq", "sed", "python"])
def test_the_age_command_restores_an_entry_byte_for_byte(
    stand: FileStand, wrapping_key: WrappingKey, tmp_path: Path, tool: str, who: str
) -> None:
    """With this machine's identity and with the recovery one; compared with what wrap yields."""
    store = stand.init()
    store.deposit(NEXT)
    identity: Path = getattr(stand, who)
    run(documented(f"restore with {tool}"), tmp_path, IDENTITY=str(identity), ENTRY=str(stand.path(NEXT)))
    assert (tmp_path / "key-material.bin").read_bytes() == wrapping_key.material(store, NEXT)


def test_the_aws_command_restores_an_entry_from_secrets_manager_in_any_of_its_regions(
    secrets: SecretStand, wrapping_key: WrappingKey, tmp_path: Path
) -> None:
    store = secrets.init(replica_regions=("eu-west-1",))
    store.deposit(NEXT)
    aws = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "HOME": str(tmp_path)}
    aws["AWS_ENDPOINT_URL_SECRETS_MANAGER"] = secrets.server.url
    for region in ("us-east-1", "eu-west-1"):
        run(documented("restore from Secrets Manager"), tmp_path, SECRET=secrets.secret(NEXT), REGION=region, **aws)
        assert (tmp_path / "key-material.bin").read_bytes() == wrapping_key.material(store, NEXT)
        (tmp_path / "key-material.bin").unlink()


def test_a_restored_entry_is_wrapped_by_openssl_as_kms_wants_it(
    stand: FileStand, wrapping_key: WrappingKey, tmp_path: Path
) -> None:
    store = stand.init()
    store.deposit(FIRST)
    (tmp_path / "wrapping-key.der").write_bytes(wrapping_key.public)
    lines = documented("restore with jq") + documented("wrap")
    run(lines, tmp_path, IDENTITY=str(stand.identity), ENTRY=str(stand.path()))
    assert wrapping_key.unwrap((tmp_path / "wrapped.bin").read_bytes()) == wrapping_key.material(store)


def test_what_a_person_finds_in_an_entry_is_what_the_documentation_shows(stand: FileStand) -> None:
    store = stand.init(random_bytes=lambda length: b"A" * length)
    store.deposit(FIRST)
    opened = subprocess.run(
        [stock("age"), "-d", "-i", stand.identity, stand.path()], check=True, capture_output=True, text=True
    )
    tag = json.loads(opened.stdout)["maker"]
    assert len(tag) == 44
    told = opened.stdout.replace(tag, "<44 letters: who made it, see below>")
    shown = "".join(f"    {line}\n" for line in told.splitlines())
    assert NOW.isoformat() in shown
    assert shown in DOCS.read_text()


def test_entries_are_sealed_again_to_the_recipients_there_are_now(
    stand: FileStand, tmp_path: Path, wrapping_key: WrappingKey
) -> None:
    """docs/store.md, Changing recipients, step by step; an entry that does not open stays as it is."""
    store = stand.init()
    for name in (FIRST, NEXT):
        store.deposit(name)
    spoilt = stand.path(NEXT).read_bytes()[:-3]
    whole = stand.path(NEXT).read_bytes()
    stand.path(NEXT).write_bytes(spoilt)
    third = tmp_path / "third.txt"
    recipients = [*stand.recipients, make_identity(third)]
    (tmp_path / "recipients.txt").write_text("\n".join(recipients) + "\n")
    stamp = stand.root / "store.json"
    stamp.write_text(json.dumps({**json.loads(stamp.read_text()), "recipients": recipients}))
    run(documented("seal again"), tmp_path, IDENTITY=str(stand.identity), STORE=str(stand.root))
    assert stand.path(NEXT).read_bytes() == spoilt
    stand.path(NEXT).write_bytes(whole)
    run(documented("seal again"), tmp_path, IDENTITY=str(stand.identity), STORE=str(stand.root))
    changed = stand.open(recipients=recipients)
    found = [changed.find(name) for name in (FIRST, NEXT)]
    assert all(entry and entry.receipt and entry.ours for entry in found)
    later = stand.open(recipients=recipients, identity=third)
    assert wrapping_key.material(later) == wrapping_key.material(changed)
    assert not [path for path in stand.files() if path.suffix == ".new"]


def test_a_restored_entry_is_adopted_by_a_new_store(
    stand: FileStand, wrapping_key: WrappingKey, tmp_path: Path
) -> None:
    """The way from one store to another, for example to new recipients."""
    store = stand.init()
    store.deposit(FIRST)
    run(documented("restore with jq"), tmp_path, IDENTITY=str(stand.identity), ENTRY=str(stand.path()))
    folder = tmp_path / "other"
    folder.mkdir()
    other = FileStand(folder).init()
    other.adopt(FIRST, tmp_path / "key-material.bin")
    assert wrapping_key.material(other) == wrapping_key.material(store)
