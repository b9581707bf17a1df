"""Opening and making a file: store: URI, recipients, identity, stamp."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from store_kit import FIRST, NEXT, OAEP, PLACE, FileStand, WrappingKey, make_identity, now, stock

from orchestrator.errors import StoreError, UsageError
from orchestrator.ports import MaterialStore
from orchestrator.stores import Place, Wanted, init_store, open_store, schemes


@pytest.mark.parametrize("uri", ["redis:somewhere", "/var/lib/mrk/store", "", "FILE:/x"])
@pytest.mark.parametrize("ask", [open_store, init_store])
def test_an_unknown_scheme_is_refused_with_the_known_ones(ask: Callable[..., object], uri: str) -> None:
    with pytest.raises(UsageError, match="known: file:") as caught:
        ask(uri, PLACE, Wanted(now))
    assert "file:/" in caught.value.hint
    assert schemes() == ("file", "secretsmanager")


@pytest.mark.parametrize("uri", ["file:store", "file:", "file://host/store", "file:/var/../etc", "file:~/store"])
def test_a_path_that_depends_on_where_the_program_starts_is_refused(stand: FileStand, uri: str) -> None:
    with pytest.raises(UsageError, match="no absolute path"):
        open_store(uri, PLACE, stand.settings())


def test_a_uri_with_an_empty_authority_names_the_same_store(stand: FileStand) -> None:
    stand.init().deposit(FIRST)
    assert open_store(f"file://{stand.root}", PLACE, stand.settings()).find(FIRST) is not None


def test_one_recipient_is_not_a_backup(stand: FileStand) -> None:
    """The same recipient twice is one."""
    first = stand.recipients[0]
    for recipients in ([], [first], [first, first], [first, first.upper()], [first, first.upper(), first]):
        with pytest.raises(UsageError, match="at least 2") as caught:
            stand.init(recipients=recipients)
        assert "offline" in caught.value.hint
    assert not stand.root.exists()


@pytest.mark.parametrize("wrong", ["age1foo", "", "AGE-SECRET", "ssh-ed25519 foo", "someone@example.com", "åge1"])
def test_a_malformed_recipient_is_named(stand: FileStand, wrong: str) -> None:
    """I9."""
    with pytest.raises(UsageError, match="is not a recipient") as caught:
        stand.init(recipients=[*stand.recipients, wrong])
    assert repr(wrong) in caught.value.message


def test_the_order_of_recipients_does_not_matter(stand: FileStand) -> None:
    stand.init()
    assert stand.open(recipients=stand.recipients[::-1]).find(FIRST) is None


def test_a_recipient_that_was_dropped_or_added_since_the_store_was_made_is_refused(
    stand: FileStand, tmp_path: Path
) -> None:
    """A dropped recovery recipient is a backup lost in silence."""
    stand.init()
    mine, recovery = stand.recipients
    new = make_identity(tmp_path / "new.txt")
    with pytest.raises(StoreError, match=f"{recovery} is missing; {new} is new") as caught:
        stand.open(recipients=[mine, new])
    assert "docs/store.md" in caught.value.hint
    with pytest.raises(StoreError, match=f"{new} is new"):
        stand.init(recipients=[mine, recovery, new])


def test_recipients_are_changed_on_purpose_as_the_documentation_says(
    stand: FileStand, tmp_path: Path, wrapping_key: WrappingKey
) -> None:
    """docs/store.md, Changing recipients: append the new identity, change both lists, seal again."""
    old = stand.init()
    old.deposit(FIRST)
    material = wrapping_key.material(old)
    new_identity = tmp_path / "new.txt"
    recipients = [make_identity(new_identity), stand.recipients[1]]
    stand.identity.write_text(stand.identity.read_text() + new_identity.read_text())
    stamp = stand.root / "store.json"
    stamp.write_text(json.dumps({**json.loads(stamp.read_text()), "recipients": recipients}))
    changed = stand.open(recipients=recipients)
    changed.deposit(NEXT)
    with pytest.raises(StoreError, match=f"not sealed to {recipients[0]}") as caught:
        wrapping_key.material(changed)
    subprocess.run(["sh", "-eu", "-c", caught.value.hint.partition("seal it again: ")[2]], check=True)
    assert wrapping_key.material(changed) == material
    only_new = stand.open(recipients=recipients, identity=new_identity)
    assert [wrapping_key.material(only_new, name) for name in (FIRST, NEXT)] == [
        material,
        wrapping_key.material(changed, NEXT),
    ]
    with pytest.raises(StoreError, match="recipients are not the ones"):
        old.find(FIRST)


def test_every_entry_opens_with_the_recovery_identity_as_well(stand: FileStand, wrapping_key: WrappingKey) -> None:
    store = stand.init()
    store.deposit(FIRST)
    assert wrapping_key.material(stand.open(identity=stand.recovery)) == wrapping_key.material(store)


def test_an_identity_that_is_none_of_the_recipients_is_refused(stand: FileStand, tmp_path: Path) -> None:
    stand.init()
    stranger = tmp_path / "stranger.txt"
    make_identity(stranger)
    with pytest.raises(UsageError, match="belongs to none of them") as caught:
        stand.open(identity=stranger)
    assert f"age-keygen -y {stranger}" in caught.value.hint


def test_one_identity_of_several_in_the_file_is_enough(
    stand: FileStand, tmp_path: Path, wrapping_key: WrappingKey
) -> None:
    stand.init().deposit(FIRST)
    both = tmp_path / "both.txt"
    make_identity(both)
    both.write_text(both.read_text() + "\n" + stand.identity.read_text())
    assert len(wrapping_key.material(stand.open(identity=both))) == 32


@pytest.mark.parametrize("content", ["", "# only a comment\n", "AGE-SECRET-KEY-1FOO\n", "-----BEGIN X", "\x00\xff"])
def test_a_file_that_holds_no_identity_is_refused_and_not_quoted(stand: FileStand, content: str) -> None:
    """I2: what stands in an identity file is never told."""
    stand.identity.write_text(content)
    with pytest.raises(UsageError, match="holds no") as caught:
        stand.init()
    assert str(stand.identity) in caught.value.message
    assert "FOO" not in caught.value.message


def test_an_identity_file_that_is_missing_is_named(stand: FileStand, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no identity file") as caught:
        stand.init(identity=tmp_path / "missing.txt")
    assert "age-keygen" in caught.value.hint


def test_an_identity_file_that_others_may_read_is_refused(stand: FileStand) -> None:
    """I2."""
    stand.identity.chmod(0o644)
    with pytest.raises(StoreError, match="has mode 0644, wanted 0600") as caught:
        stand.init()
    assert f"chmod 600 {stand.identity}" in caught.value.hint


def test_ssh_keys_serve_as_recipient_and_identity(stand: FileStand, tmp_path: Path, wrapping_key: WrappingKey) -> None:
    key = tmp_path / "id_ed25519"
    subprocess.run([stock("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-C", "comment", "-f", key], check=True)
    public = key.with_suffix(".pub").read_text().strip()
    store = stand.init(recipients=[public, stand.recipients[1]], identity=key)
    store.deposit(FIRST)
    without_comment = " ".join(public.split()[:2])
    again = stand.open(recipients=[without_comment, stand.recipients[1]], identity=key)
    assert wrapping_key.material(again) == wrapping_key.material(store)


def test_a_directory_with_other_things_in_it_does_not_become_a_store(stand: FileStand) -> None:
    stand.root.mkdir(mode=0o700)
    (stand.root / "holiday.jpg").write_text("picture")
    with pytest.raises(StoreError, match="is no store: it holds holiday"):
        stand.init()
    assert not (stand.root / "store.json").exists()


def test_directories_above_the_store_are_made_private(stand: FileStand, tmp_path: Path) -> None:
    uri = f"file:{tmp_path}/deep/down/store"
    init_store(uri, PLACE, stand.settings())
    modes = [(tmp_path / path).stat().st_mode & 0o777 for path in ("deep", "deep/down", "deep/down/store")]
    assert modes == [0o700] * 3


@pytest.mark.parametrize("content", ["", "{}", "[]", "not json", '{"format": "mrk-store", "version": 2}', "[" * 99999])
def test_a_stamp_that_cannot_be_read_is_refused(stand: FileStand, content: str) -> None:
    """P12: a store without a readable stamp is for no place."""
    stand.init()
    (stand.root / "store.json").write_text(content)
    with pytest.raises(StoreError, match="is not the stamp of a store") as caught:
        stand.open()
    assert "backup" in caught.value.hint


SPOILED: dict[str, Callable[[Path], object]] = {
    "cut short": lambda path: path.write_bytes(path.read_bytes()[:-20]),
    "empty": lambda path: path.write_bytes(b""),
    "of another kind": lambda path: path.write_text("[]"),
    "gone": lambda path: path.unlink(),
}


@pytest.mark.parametrize("spoil", SPOILED.values(), ids=SPOILED)
def test_the_stamp_of_a_store_is_made_again_by_the_command_that_init_tells(
    stand: FileStand, wrapping_key: WrappingKey, spoil: Callable[[Path], object]
) -> None:
    """A repair must not wait for a backup of what is known; a person says what the store was made for (P12)."""
    store = stand.init()
    store.deposit(FIRST)
    material, path = wrapping_key.material(store), stand.root / "store.json"
    before = json.loads(path.read_text())
    spoil(path)
    with pytest.raises(StoreError) as caught:
        stand.init()
    assert f"only if this store was made for {PLACE}: " in caught.value.hint
    command = caught.value.hint.partition(f"{PLACE}: ")[2].partition(", then mrk store check")[0]
    subprocess.run(["sh", "-eu", "-c", command], check=True)
    assert json.loads(path.read_text()) == before
    assert path.stat().st_mode & 0o777 == 0o600
    assert wrapping_key.material(stand.open()) == material


def test_a_stamp_of_a_newer_release_is_not_made_again(stand: FileStand) -> None:
    stand.init()
    path = stand.root / "store.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "version": 2}))
    with pytest.raises(StoreError) as caught:
        stand.init()
    assert "newer release" in caught.value.hint
    assert "printf" not in caught.value.hint


def test_a_directory_that_is_no_store_is_not_stamped_by_any_command_that_is_told(stand: FileStand) -> None:
    stand.root.mkdir(mode=0o700)
    (stand.root / "holiday.jpg").write_text("picture")
    with pytest.raises(StoreError) as caught:
        stand.init()
    assert "printf" not in caught.value.hint


@pytest.mark.parametrize("spelled", [str.upper, str.capitalize])
def test_a_recipient_of_the_stamp_may_be_spelled_in_other_letters(stand: FileStand, spelled: type[str]) -> None:
    stand.init()
    path = stand.root / "store.json"
    stamp = json.loads(path.read_text())
    path.write_text(json.dumps({**stamp, "recipients": [spelled(one) for one in stamp["recipients"]]}))
    assert stand.open().find(FIRST) is None


def test_every_wrap_looks_at_the_stamp_again(stand: FileStand, wrapping_key: WrappingKey) -> None:
    """P12: checked at every wrap, not only when the store was opened."""
    store = stand.init()
    store.deposit(FIRST)
    path = stand.root / "store.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "endpoint_class": "aws"}))
    with pytest.raises(StoreError, match="stamped for partition aws and AWS endpoints") as caught:
        store.wrap(FIRST, wrapping_key.public, OAEP)
    assert "AWS_ENDPOINT_URL_KMS" in caught.value.hint


def test_a_store_whose_disk_went_away_is_not_taken_for_an_empty_one(stand: FileStand) -> None:
    """P1: an unmounted store answers no probe, or the next run would deposit a second first material."""
    store = stand.init()
    store.deposit(FIRST)
    stand.root.rename(stand.folder / "elsewhere")
    for ask in (store.find, store.deposit):
        with pytest.raises(StoreError, match="there is no store") as caught:
            ask(FIRST)
        assert "mount its disk" in caught.value.hint
    stand.root.mkdir(mode=0o700)
    with pytest.raises(StoreError, match="there is no store"):
        store.find(FIRST)


def test_a_store_below_a_file_is_told_with_the_path_that_was_looked_at(stand: FileStand, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    root = tmp_path / "file" / "store"
    with pytest.raises(StoreError, match=rf"^cannot look at {root}: Not a directory \(ENOTDIR\)") as caught:
        open_store(f"file:{root}", PLACE, stand.settings())
    assert caught.value.hint.startswith("a file stands where a directory of the store should be")


def test_a_store_shows_which_directory_it_is(stand: FileStand) -> None:
    """For whoever reads a trace."""
    assert repr(str(stand.root)) in repr(stand.init())


@pytest.mark.parametrize("ask", [FileStand.init, FileStand.open])
def test_a_store_without_an_identity_is_refused_with_a_way_out(
    stand: FileStand, ask: Callable[..., MaterialStore]
) -> None:
    """I1: what this machine can never read back it must not deposit; a rotation would end half-way."""
    stand.init().deposit(FIRST)
    with pytest.raises(UsageError, match="identity is not set") as caught:
        ask(stand, identity=None)
    assert "age-keygen" in caught.value.hint


def test_places_read_as_people_say_them() -> None:
    assert str(Place("aws-cn", "aws")) == "partition aws-cn and AWS endpoints"
    assert str(Place("aws", "other")) == "partition aws and endpoints other than AWS"
