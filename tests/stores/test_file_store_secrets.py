"""I2: known key material is looked for in everything that a file: store writes, tells and raises."""

import base64
import itertools
import json
import pickle
from collections.abc import Callable
from pathlib import Path

import pyrage
import pytest
from secret_search import everything
from store_kit import FIRST, KEY, MATERIAL_A, NEXT, NOW, Bytes, FileStand, WrappingKey

from leaks import found_in
from orchestrator.errors import MrkError
from orchestrator.model import Region
from orchestrator.ports import WrappingAlgorithm
from orchestrator.stores.layout import Kind
from orchestrator.stores.material import KeyMaterial

KNOWN = Bytes().nth(0)


def holds_secret(text: bytes, secret: bytes = KNOWN) -> bool:
    return bool(found_in(text, [secret]))


@pytest.mark.parametrize("spelled", [bytes, bytes.hex, base64.b64encode, repr])
def test_the_search_finds_what_it_looks_for(spelled: Callable[[bytes], bytes | str]) -> None:
    text = spelled(b"ab" + KNOWN)
    assert holds_secret(b"..." + (text if isinstance(text, bytes) else text.encode()))


def test_nothing_written_below_the_store_holds_the_material(
    stand: FileStand, wrapping_key: WrappingKey, tmp_path: Path
) -> None:
    """I2: at every step of publishing, temporary files included, and with every mark made."""
    source = tmp_path / "source.bin"
    source.write_bytes(KNOWN)
    stand.init()
    seen: set[bytes] = set()

    def look(_step: str) -> None:
        seen.update(path.read_bytes() for path in stand.files())

    store = stand.stepping(look, random_bytes=lambda length: KNOWN[:length])
    store.deposit(FIRST)
    store.adopt(NEXT, source)
    for algorithm in WrappingAlgorithm:
        seen.add(store.wrap(FIRST, wrapping_key.public, algorithm))
    store.link(FIRST, MATERIAL_A)
    store.keep_probe(FIRST, b"ciphertext")
    store.mark_proven(FIRST, {"regions": ["us-east-1"], "proof": "full"})
    store.note_switch(KEY, Region("us-east-1"), NOW, off=True)
    store.discard(FIRST, NOW)
    look("at the end")
    assert len(seen) > 8
    assert not any(holds_secret(content) for content in seen)


def test_no_representation_of_anything_a_store_is_made_of_holds_the_material(stand: FileStand) -> None:
    """I2: nor the secret of the identity, which the maker of an entry is told by."""
    store = stand.init(random_bytes=lambda length: KNOWN[:length])
    store.deposit(FIRST)
    secret = stand.identity.read_text().splitlines()[-1]
    parts = [store, *vars(store).values()]
    for _ in range(3):
        parts += [value for part in parts if hasattr(part, "__dict__") for value in vars(part).values()]
    for part in parts:
        assert not holds_secret(repr(part).encode())
        assert secret not in repr(part)


def test_key_material_hides_itself_and_is_not_pickled() -> None:
    material = KeyMaterial(KNOWN)
    assert repr(material) == "KeyMaterial(hidden)"
    assert f"{material} {material!s}" == "KeyMaterial(hidden) KeyMaterial(hidden)"
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(material)
    with pytest.raises(ValueError, match="has 32 bytes, not 31") as caught:
        KeyMaterial(KNOWN[:31])
    assert not holds_secret(everything(caught.value), KNOWN[:31])


CHANGES: dict[str, Callable[[dict[str, object]], bytes]] = {
    "of another attempt": lambda fields: json.dumps({**fields, "attempt": 7}).encode(),
    "of another format": lambda fields: json.dumps({**fields, "format": "x"}).encode(),
    "of a later version": lambda fields: json.dumps({**fields, "version": 2}).encode(),
    "with an armour that breaks off": lambda fields: json.dumps({**fields, "key_material": KNOWN.hex()[:-1]}).encode(),
    "no JSON": lambda fields: json.dumps(fields).encode()[:-1],
    "no text": lambda fields: json.dumps(fields).encode() + KNOWN + b"\xff",
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_no_error_over_an_entry_that_opens_holds_the_material(
    stand: FileStand, wrapping_key: WrappingKey, change: Callable[[dict[str, object]], bytes]
) -> None:
    """I2: neither its text, nor its causes, nor the local variables that a verbose log would show."""
    store = stand.init(random_bytes=lambda length: KNOWN[:length])
    store.deposit(FIRST)
    line = stand.identity.read_text().splitlines()[-1]
    fields = json.loads(pyrage.decrypt(stand.path().read_bytes(), [pyrage.x25519.Identity.from_str(line)]))
    recipients = [pyrage.x25519.Recipient.from_str(text) for text in stand.recipients]
    stand.path().write_bytes(pyrage.encrypt(change(fields), recipients))
    for ask in (
        store.deposit,
        lambda name: store.wrap(name, wrapping_key.public, WrappingAlgorithm.RSAES_OAEP_SHA_256),
    ):
        with pytest.raises(MrkError) as caught:
            ask(FIRST)
        assert not holds_secret(everything(caught.value))
    found = store.find(FIRST)
    assert found is not None
    assert not holds_secret(repr(found).encode())


def test_no_error_of_a_failing_disk_holds_the_material(stand: FileStand) -> None:
    """I2: a deposit that fails on its way holds the material; its error does not."""

    def fail(step: str) -> None:
        if step == "written":
            raise OSError(28, "No space left on device")

    stand.init()
    store = stand.stepping(fail, random_bytes=lambda length: KNOWN[:length])
    with pytest.raises(MrkError) as caught:
        store.deposit(FIRST)
    assert not holds_secret(everything(caught.value))


@pytest.mark.parametrize("content", [KNOWN + b"\n", KNOWN.hex().encode(), base64.b64encode(KNOWN), KNOWN * 2])
def test_no_error_over_a_file_to_adopt_holds_what_is_in_it(stand: FileStand, tmp_path: Path, content: bytes) -> None:
    source = tmp_path / "source"
    source.write_bytes(content)
    with pytest.raises(MrkError) as caught:
        stand.init().adopt(FIRST, source)
    assert not holds_secret(everything(caught.value))


def test_no_error_over_an_identity_file_holds_what_is_in_it(stand: FileStand) -> None:
    secret = stand.identity.read_text().splitlines()[-1]
    stand.identity.write_text(secret[:-1] + "\n")
    with pytest.raises(MrkError) as caught:
        stand.init()
    assert secret[20:40] not in everything(caught.value).decode()


def test_nothing_but_marks_and_sealed_entries_is_ever_written(stand: FileStand) -> None:
    """P1: and every file is 0600, every directory 0700, whatever the umask."""
    store = stand.init()
    store.deposit(FIRST)
    store.link(FIRST, MATERIAL_A)
    kinds = (Kind.ENTRY, Kind.SEALED, Kind.LINK)
    assert stand.files() == sorted([stand.root / "store.json", *(stand.path(FIRST, kind) for kind in kinds)])
    assert {path.stat().st_mode & 0o777 for path in stand.files()} == {0o600}
    folders = itertools.chain([stand.root], (path for path in stand.root.rglob("*") if path.is_dir()))
    assert {path.stat().st_mode & 0o777 for path in folders} == {0o700}
