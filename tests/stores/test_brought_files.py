"""What is brought as key material and is not 32 bytes: told for what it is, never quoted, and turned right as told."""

import base64
import os
import re
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pyrage
import pytest

from orchestrator.errors import UsageError
from orchestrator.stores.adoption import check_source, read_source

MATERIAL = bytes(range(180, 212))
IDENTITY = pyrage.x25519.Identity.generate()


def lines(text: bytes, width: int = 16) -> bytes:
    return b"\n".join(text[at : at + width] for at in range(0, len(text), width)) + b"\n"


def pem(content: bytes, label: bytes = b"SECRET") -> bytes:
    return b"-----BEGIN %s-----\n%s-----END %s-----\n" % (label, lines(base64.b64encode(content), 64), label)


def colons(content: bytes) -> bytes:
    return content.hex(":").upper().encode()


def urlsafe(content: bytes) -> bytes:
    return base64.urlsafe_b64encode(content).rstrip(b"=")


TURNED: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "a newline": (lambda content: content + b"\n", "ends in a newline"),
    "a newline of Windows": (lambda content: content + b"\r\n", "ends in a newline"),
    "hexadecimal": (lambda content: content.hex().encode(), "hexadecimal text of 32 bytes"),
    "hexadecimal with a newline": (lambda content: content.hex().encode() + b"\n", "hexadecimal text of 32 bytes"),
    "hexadecimal in lines": (lambda content: lines(content.hex().encode()), "hexadecimal text of 32 bytes"),
    "hexadecimal with colons": (colons, "hexadecimal text of 32 bytes"),
    "hexadecimal with 0x": (lambda content: b"0x" + content.hex().encode() + b"\n", "hexadecimal text of 32 bytes"),
    "base64": (base64.b64encode, "base64 text of 32 bytes"),
    "base64 with a newline": (lambda content: base64.b64encode(content) + b"\n", "base64 text of 32 bytes"),
    "base64 of URLs": (urlsafe, "base64 text of 32 bytes"),
    "base64 without padding": (lambda content: base64.b64encode(content).rstrip(b"="), "base64 text of 32 bytes"),
    "PEM": (pem, "PEM, an armour around the 32 bytes"),
    "age": (lambda content: pyrage.encrypt(content, [IDENTITY.to_public()]), "encrypted with age"),
    "an entry that was opened": (
        lambda content: b'{"key_material": "%s"}' % base64.b64encode(content),
        "JSON, as an entry of a store is",
    ),
}


def refusal(path: Path) -> UsageError:
    with pytest.raises(UsageError) as refused:
        read_source(path)
    return refused.value


@pytest.mark.parametrize("name", ["material.txt", "it's a file.txt"])
@pytest.mark.parametrize(("made", "said"), TURNED.values(), ids=TURNED)
def test_what_can_be_turned_right_is_told_with_the_command_that_does(
    tmp_path: Path, made: Callable[[bytes], bytes], said: str, name: str
) -> None:
    """The command is typed as it stands, and makes a file that nobody else can read."""
    path = tmp_path / name
    path.write_bytes(made(MATERIAL))
    (tmp_path / "identity.txt").write_text(f"{IDENTITY}\n")

    refused = refusal(path)

    assert f"{path} has {path.stat().st_size} bytes; key material has exactly 32" == refused.message
    assert said in refused.hint
    command, then = re.findall(r": (\(umask 077; .*\)), then adopt (\S+)$", refused.hint)[0]
    subprocess.run(["sh", "-c", command], cwd=tmp_path, check=True)
    assert (tmp_path / then).read_bytes() == MATERIAL
    assert (tmp_path / then).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(("made", "said"), TURNED.values(), ids=TURNED)
def test_what_comes_out_of_a_pipe_is_turned_right_on_its_way(
    tmp_path: Path, made: Callable[[bytes], bytes], said: str
) -> None:
    (tmp_path / "identity.txt").write_text(f"{IDENTITY}\n")
    ours, theirs = os.pipe()
    os.write(theirs, made(MATERIAL))
    os.close(theirs)

    refused = refusal(Path(f"/dev/fd/{ours}"))

    os.close(ours)
    assert said in refused.hint
    (command,) = re.findall(r": \.\.\. \| (.*) \| mrk adopt NAME -$", refused.hint)
    turned = subprocess.run(["sh", "-c", command], cwd=tmp_path, input=made(MATERIAL), capture_output=True, check=True)
    assert turned.stdout == MATERIAL


OTHERS: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "it is empty"),
    "AES-128": (os.urandom(16), "the length of an AES-128 key"),
    "AES-192": (os.urandom(24), "the length of an AES-192 key"),
    "AES-128 in hexadecimal": (os.urandom(16).hex().encode() + b"\n", "hexadecimal text of 16 bytes"),
    "AES-128 in base64": (base64.b64encode(os.urandom(16)) + b"\n", "base64 text of 16 bytes"),
    "wrapped by RSA 2048": (os.urandom(256), "wrapped for an import, which KMS alone can open"),
    "wrapped by RSA 4096": (os.urandom(512), "wrapped for an import, which KMS alone can open"),
    "wrapped by RSA and AES": (os.urandom(552), "wrapped for an import, which KMS alone can open"),
    "wrapped by RSA 4096, in base64": (base64.b64encode(os.urandom(512)), "base64 text of 512 bytes"),
    "wrapped by AES": (os.urandom(40), "wrapped with AES"),
    "a private key": (pem(os.urandom(500), b"PRIVATE KEY"), "PEM, which holds a certificate or the key"),
    "a certificate in DER": (b"\x30\x82" + os.urandom(700), "begins as DER"),
    "GnuPG": (b"-----BEGIN PGP MESSAGE-----\n", "encrypted with GnuPG"),
    "openssl enc": (b"Salted__" + os.urandom(48), "encrypted with openssl enc"),
    "a ciphertext of KMS": (bytes.fromhex("0102020078") + os.urandom(150), "a ciphertext of KMS"),
    "a word": (b"password\n", "name the file with the 32 raw bytes"),
    "31 bytes": (os.urandom(31), "name the file with the 32 raw bytes"),
    "64 bytes": (b"\x01" * 64, "name the file with the 32 raw bytes"),
    "much": (os.urandom(5000), "name the file with the 32 raw bytes"),
}


@pytest.mark.parametrize(("content", "said"), OTHERS.values(), ids=OTHERS)
def test_what_cannot_be_turned_right_is_told_for_what_it_is(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "brought"
    path.write_bytes(content)

    refused = refusal(path)

    assert refused.message.endswith("; key material has exactly 32")
    assert said in refused.hint


@pytest.mark.parametrize("made", [*(made for made, _ in TURNED.values())], ids=TURNED)
def test_nothing_of_what_a_file_holds_is_told(tmp_path: Path, made: Callable[[bytes], bytes]) -> None:
    """I2, I14."""
    path = tmp_path / "brought"
    path.write_bytes(made(MATERIAL))

    said = str(refusal(path)) + refusal(path).hint

    for text in (
        MATERIAL.decode("latin-1"),
        MATERIAL.hex(),
        colons(MATERIAL).decode(),
        base64.b64encode(MATERIAL).decode(),
    ):
        assert not [at for at in range(len(text) - 5) if text[at : at + 6] in said]


def sock(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


NO_FILES: dict[str, tuple[Callable[[Path], object], str]] = {
    "none": (lambda _: None, "there is no file"),
    "a link to none": (lambda path: path.symlink_to("nowhere"), "there is no file"),
    "a directory": (lambda path: path.mkdir(), "is a directory, not a file or a pipe"),
    "a device": (lambda path: path.symlink_to("/dev/zero"), "is a device, not a file or a pipe"),
    "a socket": (sock, "cannot read the key material in"),
    "a loop": (lambda path: path.symlink_to(path.name), "cannot read the key material in"),
}


@pytest.mark.parametrize(("make", "said"), NO_FILES.values(), ids=NO_FILES)
def test_what_is_no_file_is_told_and_not_waited_for(tmp_path: Path, make: Callable[[Path], object], said: str) -> None:
    path = tmp_path / "brought"
    make(path)

    refused = refusal(path)

    assert said in refused.message
    assert str(path) in refused.message
    assert refused.hint


def test_a_named_pipe_is_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    check_source(path)
    writing = threading.Thread(target=path.write_bytes, args=(MATERIAL,))
    writing.start()

    assert read_source(path).reveal() == MATERIAL

    writing.join()


def test_the_stock_tools_are_there() -> None:
    assert all(shutil.which(tool) for tool in ("xxd", "base64", "head", "age", "jq", "tr", "sed", "grep"))
