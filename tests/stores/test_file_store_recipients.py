"""Who can open an entry: every recipient, or it gives no receipt; and nobody whom the owner never chose."""

import json
import subprocess
from pathlib import Path

import pyrage
import pytest
import yaml
from store_kit import FIRST, MATERIAL_A, NEXT, NOW, FileStand, WrappingKey, make_identity, plain, stock, told

from orchestrator.errors import StoreError, UsageError
from orchestrator.model import Entry, Receipt
from orchestrator.ports import MaterialStore
from orchestrator.stores.header import stanzas, unsealed_for
from orchestrator.stores.layout import Kind
from orchestrator.stores.shelf import Slot

EXAMPLE = Path(__file__).parents[2] / "config.example.yaml"
SHIPPED = (
    "age1lggyhqrw2nlhcxprm67z43rta597azn8gknawjehu9d9dl0jq3yqqvfafg",
    "age1hu7l6lex0tfhpecktux7mhjxuujppg9sm0q9e6dz4um4tpe663usw0umvs",
)


def key_of(recipient: str) -> object:
    kind = pyrage.ssh.Recipient if recipient.startswith("ssh-") else pyrage.x25519.Recipient
    return kind.from_str(recipient)


def sealed_to(stand: FileStand, *recipients: str) -> None:
    """Seal what the first entry says to others, as a person with age could."""
    line = stand.identity.read_text().splitlines()[-1]
    opened = pyrage.decrypt(stand.path().read_bytes(), [pyrage.x25519.Identity.from_str(line)])
    stand.path().write_bytes(pyrage.encrypt(opened, [key_of(one) for one in recipients]))


def refused(store: MaterialStore) -> str:
    """What is said of the first entry, which opens and gives no receipt."""
    found = store.find(FIRST)
    assert found is not None
    assert found.receipt is None
    with pytest.raises(StoreError):
        store.deposit(FIRST)
    return found.told


# What is not sealed to everybody.


def test_an_entry_that_is_sealed_to_one_recipient_alone_gives_no_receipt(stand: FileStand) -> None:
    """One is not a backup: with that identity every key material would be lost."""
    store = stand.init()
    store.deposit(FIRST)
    sealed_to(stand, stand.recipients[0])
    problem = refused(store)
    assert f"{stand.path()} opens, but it is not sealed to 1 of" in problem
    assert all(one in problem for one in stand.recipients)


def test_the_command_that_is_told_seals_an_entry_again_and_changes_nothing_in_it(
    stand: FileStand, wrapping_key: WrappingKey
) -> None:
    """The way out is carried out by a shell, with the stock age command."""
    stock("age")
    store = stand.init()
    store.deposit(FIRST)
    store.link(FIRST, MATERIAL_A)
    before, material = store.find(FIRST), wrapping_key.material(store)
    sealed_to(stand, stand.recipients[0])
    command = refused(store).partition("seal it again: ")[2]
    subprocess.run(["sh", "-eu", "-c", command], check=True)
    assert store.find(FIRST) == before
    assert before is not None
    assert before.ours
    assert wrapping_key.material(stand.open(identity=stand.recovery)) == material
    assert stand.path().stat().st_mode & 0o777 == 0o600
    assert [path.name for path in stand.files() if path.suffix == ".new"] == []


def test_the_command_that_seals_again_leaves_an_entry_that_does_not_open_as_it_is(stand: FileStand) -> None:
    """A pipe goes on when its first command fails: an empty file must not take the place of key material."""
    store = stand.init()
    store.deposit(FIRST)
    sealed_to(stand, stand.recipients[0])
    command = refused(store).partition("seal it again: ")[2]
    before, identity = stand.path().read_bytes(), stand.identity.read_text()
    make_identity(stand.folder / "another.txt")
    stand.identity.write_text((stand.folder / "another.txt").read_text())
    assert subprocess.run(["sh", "-c", command], check=False, capture_output=True).returncode != 0
    assert stand.path().read_bytes() == before
    stand.identity.write_text(identity)
    subprocess.run(["sh", "-eu", "-c", command], check=True)
    assert plain(store.find(FIRST)) == Entry(FIRST, Receipt(FIRST, NOW))


def test_a_recipient_that_is_added_opens_the_old_entries_only_once_they_are_sealed_again(
    stand: FileStand, tmp_path: Path
) -> None:
    """docs/store.md, Changing recipients: a store says which entries its recipients cannot all open."""
    stand.init().deposit(FIRST)
    recipients = [*stand.recipients, make_identity(tmp_path / "third.txt")]
    stamp = stand.root / "store.json"
    stamp.write_text(json.dumps({**json.loads(stamp.read_text()), "recipients": recipients}))
    changed = stand.open(recipients=recipients)
    changed.deposit(NEXT)
    command = refused(changed).partition("seal it again: ")[2]
    assert plain(changed.find(NEXT)) == Entry(NEXT, Receipt(NEXT, NOW))
    subprocess.run(["sh", "-eu", "-c", command], check=True)
    for identity in (stand.identity, stand.recovery, tmp_path / "third.txt"):
        assert plain(stand.open(recipients=recipients, identity=identity).find(FIRST)) == Entry(
            FIRST, Receipt(FIRST, NOW)
        )


def test_a_stanza_of_an_ssh_key_names_it_and_another_one_does_not_count(stand: FileStand, tmp_path: Path) -> None:
    publics = []
    for name in ("mine", "other"):
        key = tmp_path / name
        subprocess.run([stock("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-C", "x y", "-f", key], check=True)
        publics.append(key.with_suffix(".pub").read_text().strip())
    recipients = [stand.recipients[0], publics[0]]
    store = stand.init(recipients=recipients)
    store.deposit(FIRST)
    assert plain(store.find(FIRST)) == Entry(FIRST, Receipt(FIRST, NOW))
    sealed_to(stand, stand.recipients[0], publics[1])
    problem = refused(store)
    assert " ".join(publics[0].split()[:2]) in problem
    assert publics[1].split()[1] not in problem
    subprocess.run(["sh", "-eu", "-c", problem.partition("seal it again: ")[2]], check=True)
    assert plain(stand.open(recipients=recipients, identity=tmp_path / "mine").find(FIRST)) == Entry(
        FIRST, Receipt(FIRST, NOW)
    )


def test_more_recipients_than_the_store_has_take_no_receipt_away(stand: FileStand, tmp_path: Path) -> None:
    """After one was taken out, the old entries still open for all that are left."""
    store = stand.init()
    store.deposit(FIRST)
    sealed_to(stand, *stand.recipients, make_identity(tmp_path / "old.txt"))
    assert plain(store.find(FIRST)) == Entry(FIRST, Receipt(FIRST, NOW))


def test_the_grease_that_age_adds_is_nobodys_stanza() -> None:
    one = pyrage.x25519.Identity.generate().to_public()
    for _ in range(40):
        sealed = pyrage.encrypt(b"x", [one])
        assert unsealed_for(sealed, [str(one)]) == []
        assert unsealed_for(sealed, [str(one), SHIPPED[0]]) != []


@pytest.mark.parametrize(
    "content", [b"", b"age-encryption.org/v2\n-> X25519 a\n", b"hello", b"age-encryption.org/v1\n"]
)
def test_what_is_no_age_file_has_no_stanzas(content: bytes) -> None:
    assert stanzas(content) == []


def ssh_key(path: Path, *kind: str) -> str:
    """Make an SSH key with the stock tool, and return its public half."""
    kind = kind or ("-t", "ed25519")
    subprocess.run([stock("ssh-keygen"), "-q", *kind, "-N", "", "-C", "x y", "-f", path], check=True)
    return path.with_suffix(".pub").read_text().strip()


@pytest.mark.parametrize("kind", [("-t", "ed25519"), ("-t", "rsa", "-b", "3072")], ids=["ed25519", "rsa"])
@pytest.mark.parametrize(
    "second",
    ["{public}", "{bare}", "{bare} another comment", "{public}  ", "{unfilled}", "{unfilled} another comment"],
)
def test_an_ssh_key_that_is_given_twice_in_other_words_is_one_recipient(
    stand: FileStand, tmp_path: Path, second: str, kind: tuple[str, ...]
) -> None:
    """One is not a backup, however it is spelled."""
    key = tmp_path / "mine"
    public = ssh_key(key, *kind)
    bare = " ".join(public.split()[:2])
    again = second.format(public=public, bare=bare, unfilled=bare.rstrip("="))
    with pytest.raises(UsageError, match=r"1 different recipient\(s\); a store needs at least 2"):
        stand.init(recipients=[public, again], identity=key)


# What was sealed to others than are wanted now, and as many.


def restamped(stand: FileStand, *recipients: str) -> tuple[str, ...]:
    """Change the recipients in the stamp, as docs/store.md says."""
    stamp = stand.root / "store.json"
    stamp.write_text(json.dumps({**json.loads(stamp.read_text()), "recipients": recipients}))
    return recipients


OTHERS = {
    "the recovery one is replaced": ("mine old", "mine new", "new"),
    "one of three is replaced": ("mine old ssh", "mine new ssh", "new"),
    "an SSH key takes the place of one": ("mine old", "mine ssh", "ssh"),
    "one takes the place of an SSH key": ("mine ssh", "mine new", "new"),
    "one is added": ("mine old", "mine old new", "new"),
}


@pytest.mark.parametrize(("before", "after", "lacking"), OTHERS.values(), ids=OTHERS)
def test_an_entry_that_was_sealed_to_other_recipients_gives_no_receipt_until_it_is_sealed_again(
    stand: FileStand, tmp_path: Path, before: str, after: str, lacking: str
) -> None:
    """The identity in the safe would open nothing: their number alone tells that of no age recipient."""
    known = dict(zip(("mine", "old"), stand.recipients, strict=True))
    known |= {"new": make_identity(tmp_path / "new"), "ssh": " ".join(ssh_key(tmp_path / "ssh").split()[:2])}
    stand.init(recipients=[known[one] for one in before.split()]).deposit(FIRST)
    recipients = restamped(stand, *(known[one] for one in after.split()))
    store = stand.open(recipients=recipients)
    problem = refused(store)
    assert f"{stand.path()} opens, but it is not sealed to {known[lacking]} (store.recipients)" in problem
    subprocess.run(["sh", "-eu", "-c", problem.partition("seal it again: ")[2]], check=True)
    assert plain(store.find(FIRST)) == Entry(FIRST, Receipt(FIRST, NOW))
    assert plain(stand.open(recipients=recipients, trial=tmp_path / lacking).find(FIRST)) == Entry(
        FIRST, Receipt(FIRST, NOW)
    )


def test_an_entry_from_before_there_were_notes_is_counted_and_only_the_identity_tells(
    stand: FileStand, tmp_path: Path
) -> None:
    """docs/store.md says so: nothing in the file names whom it is sealed to."""
    stand.init().deposit(FIRST)
    stand.remove(Slot(FIRST, Kind.SEALED))
    new = make_identity(tmp_path / "new.txt")
    recipients = restamped(stand, stand.recipients[0], new)
    assert plain(stand.open(recipients=recipients).find(FIRST)) == Entry(FIRST, Receipt(FIRST, NOW))
    tried = stand.open(recipients=recipients, trial=tmp_path / "new.txt")
    problem = refused(tried)
    assert f"{stand.path()} is not sealed to the identity in {tmp_path / 'new.txt'}" in problem
    assert "backup" not in problem
    subprocess.run(["sh", "-eu", "-c", problem.partition("seal it again: ")[2]], check=True)
    assert plain(tried.find(FIRST)) == Entry(FIRST, Receipt(FIRST, NOW))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b'{"mark": "sealed", "version": 1}',
        b'{"mark": "sealed", "version": 1, "entry": "another", "turn": 1}',
    ],
)
def test_a_note_that_cannot_be_read_takes_nothing_from_the_bytes(stand: FileStand, content: bytes) -> None:
    store = stand.init()
    store.deposit(FIRST)
    stand.plant(Slot(FIRST, Kind.SEALED), content)
    assert plain(store.find(FIRST)) == Entry(FIRST, Receipt(FIRST, NOW))
    sealed_to(stand, stand.recipients[0])
    assert "it is not sealed to 1 of" in refused(store)


def test_a_note_of_a_file_that_is_gone_hides_no_other(stand: FileStand) -> None:
    stand.init().deposit(FIRST)
    note = stand.raw(Slot(FIRST, Kind.SEALED))
    for slot in (Slot(FIRST), Slot(FIRST, Kind.SEALED)):
        stand.remove(slot)
    stand.plant(Slot(FIRST, Kind.SEALED), note)
    store = stand.open()
    store.deposit(FIRST)
    assert plain(store.find(FIRST)) == Entry(FIRST, Receipt(FIRST, NOW))
    third = make_identity(stand.folder / "new.txt")
    assert "is not sealed to" in refused(stand.open(recipients=restamped(stand, stand.recipients[0], third)))


# Whom the owner never chose.


@pytest.mark.parametrize("spelled", [str, str.upper], ids=["as shipped", "in capitals"])
@pytest.mark.parametrize("shipped", SHIPPED, ids=["first", "second"])
def test_a_recipient_that_the_example_once_had_is_refused_by_name(
    stand: FileStand, shipped: str, spelled: type[str]
) -> None:
    """Whoever replaces only the other one seals every material to a stranger."""
    for ask in (stand.init, stand.open):
        with pytest.raises(UsageError, match="recipient of the example, whose identity is not yours") as caught:
            ask(recipients=[stand.recipients[0], spelled(shipped), stand.recipients[1]])
        assert "age-keygen" in caught.value.hint
    assert not stand.root.exists()


def test_the_example_ships_no_text_that_any_parser_takes_for_a_recipient(stand: FileStand) -> None:
    """It says what to put there."""
    recipients = yaml.safe_load(EXAMPLE.read_text())["store"]["recipients"]
    assert len(recipients) == 2
    for text in recipients:
        for kind in (pyrage.x25519.Recipient, pyrage.ssh.Recipient, pyrage.plugin.Recipient):
            with pytest.raises(pyrage.RecipientError):
                kind.from_str(text)
        with pytest.raises(UsageError, match="is not a recipient"):
            stand.init(recipients=[*stand.recipients, text])


SECRETS = {
    "an identity": lambda secret: secret,
    "an identity in small letters": lambda secret: secret.lower(),
    "an identity among spaces": lambda secret: f"  {secret} ",
    "a private key": lambda _: "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAA=\n",
}


@pytest.mark.parametrize("spelled", SECRETS.values(), ids=SECRETS)
def test_an_identity_in_the_place_of_a_recipient_or_of_a_files_name_is_refused_and_never_quoted(
    stand: FileStand, spelled: type[str]
) -> None:
    """I14."""
    secret = str(spelled(stand.identity.read_text().splitlines()[-1]))
    for changes in ({"recipients": [*stand.recipients, secret]}, {"identity": Path(f"/etc/mrk/{secret}")}):
        with pytest.raises(UsageError, match="holds an identity, which is secret") as caught:
            stand.init(**changes)
        assert secret.strip()[12:30] not in told(caught.value)


@pytest.mark.parametrize(
    "recipient",
    ["age1yubikey1q2w7u3vpya839jxxuq8g0sedh3d740d4xvn639sqhr95ejj8vu3hyfumptt", "age1sss1x", "ssh-dss AAAA", "ssh-rsa"],
)
def test_a_recipient_of_a_kind_that_is_not_taken_is_told_with_the_kinds_that_are(
    stand: FileStand, recipient: str
) -> None:
    with pytest.raises(UsageError, match="is not a recipient") as caught:
        stand.init(recipients=[*stand.recipients, recipient])
    assert "those of plugins" in caught.value.hint


def test_on_trial_an_identity_may_be_of_a_recipient_that_was_taken_out(stand: FileStand, tmp_path: Path) -> None:
    """`mrk store check --identity` tries what an old recovery identity still opens."""
    stand.init().deposit(FIRST)
    old = stand.recovery
    recipients = [stand.recipients[0], make_identity(tmp_path / "new.txt")]
    stamp = stand.root / "store.json"
    stamp.write_text(json.dumps({**json.loads(stamp.read_text()), "recipients": recipients}))
    stand.open(recipients=recipients).deposit(NEXT)
    with pytest.raises(UsageError, match="belongs to none of them"):
        stand.open(recipients=recipients, identity=old)
    tried = stand.open(recipients=recipients, trial=old)
    assert {entry.name: "opens, but" in entry.told for entry in tried.entries()} == {FIRST: True, NEXT: False}
