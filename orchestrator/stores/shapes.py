"""What a file seems to be that was brought as key material and does not hold 32 bytes, and how to turn it right.

Pure, and never quotes what the file holds: it tells lengths and forms alone.
"""

import base64
import binascii
import re
from collections.abc import Callable, Iterable

from .material import LENGTH

ANYTHING = f"name the file with the {LENGTH} raw bytes, without any armour around them"
_AES = {16: "AES-128", 24: "AES-192"}
_RSA = (256, 384, 512)
_WRAPPED_KEY = LENGTH + 8
"""An AES key wrap adds 8 bytes; RSA_AES_KEY_WRAP puts that behind an RSA block."""
_KMS = (bytes.fromhex("0102020078"), bytes.fromhex("0102030078"))
_RAW = f"find the file of {LENGTH} raw bytes that was imported"
_HEX = re.compile(rb"(0x)?([0-9a-f]{2}[\s:]*)+", re.IGNORECASE)
_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]+={0,2}")
_PEM = re.compile(rb"-----BEGIN ([A-Z0-9 ]{1,40})-----(.*?)-----END", re.DOTALL)


def advice(content: bytes, command: Callable[[str], str]) -> str:
    """Say what the bytes seem to be, and the command that turns them right, where one does.

    `command` completes one that reads its input from "{}".
    """
    return next(said for judge in _JUDGES if (said := judge(content, command)))


def _empty(content: bytes, _command: Callable[[str], str]) -> str:
    return "" if content else f"it is empty: {_RAW}"


def _sealed(content: bytes, command: Callable[[str], str]) -> str:
    """Judge what begins as only one kind of file does."""
    for begins, what, turns in _SEALED:
        if content.startswith(begins):
            return f"{what}: {command(turns)}"
    return ""


_SEALED = (
    (b"age-encryption.org/", "it is encrypted with age", "age -d -i identity.txt {}"),
    (b"-----BEGIN AGE ", "it is encrypted with age", "age -d -i identity.txt {}"),
    (b"-----BEGIN PGP MESSAGE", "it is encrypted with GnuPG", "gpg -d {}"),
    (b"Salted__", "it is encrypted with openssl enc", "openssl enc -d -aes-256-cbc -pbkdf2 -in {}"),
    *(
        (
            begins,
            "it is a ciphertext of KMS",
            "aws kms decrypt --ciphertext-blob fileb://{} --query Plaintext --output text | base64 -d",
        )
        for begins in _KMS
    ),
    (b"{", "it is JSON, as an entry of a store is once it is opened", "jq -r .key_material {} | base64 -d"),
)


def _pem(content: bytes, command: Callable[[str], str]) -> str:
    found = _PEM.search(content)
    if found is None:
        return ""
    if len(_base64(found[2]) or b"") == LENGTH:
        return f"it is PEM, an armour around the {LENGTH} bytes: {command('grep -v -e ----- {} | base64 -d')}"
    return f"it is PEM, which holds a certificate or the key of another algorithm: {_RAW}"


def _hexadecimal(content: bytes, command: Callable[[str], str]) -> str:
    text = content.strip()
    if _HEX.fullmatch(text) is None:
        return ""
    digits = re.sub(rb"[\s:]", b"", text)
    plain = digits.removeprefix(b"0x").removeprefix(b"0X")
    turns = "xxd -r -p {}"
    if b":" in text or plain != digits:
        turns = r"tr -d ':[:space:]' < {} | sed 's/^0[xX]//' | xxd -r -p"
    return _text("hexadecimal", binascii.unhexlify(plain), turns, command)


def _in_base64(content: bytes, command: Callable[[str], str]) -> str:
    decoded = _base64(content)
    if decoded is None or not (len(decoded) == LENGTH or _by_length(decoded, command)):
        return ""  # so is many a word
    text = b"".join(content.split())
    turns = "base64 -d {}"
    if len(text) % 4 or re.search(rb"[_-]", text):
        padding = "=" * (-len(text) % 4)
        turns = f"(tr -d '[:space:]' < {{}} | tr -- -_ +/; printf '{padding}') | base64 -d"
    return _text("base64", decoded, turns, command)


def _text(encoding: str, decoded: bytes, turns: str, command: Callable[[str], str]) -> str:
    if len(decoded) == LENGTH:
        return f"it is {encoding} text of {LENGTH} bytes: {command(turns)}"
    inner = _by_length(decoded, command) or _RAW
    return f"it is {encoding} text of {len(decoded)} bytes, and those are not key material, either: {inner}"


def _newline(content: bytes, command: Callable[[str], str]) -> str:
    after = content[LENGTH:]
    if after and not after.strip(b"\r\n"):
        return f"it ends in a newline that does not belong to it: {command(f'head -c {LENGTH} {{}}')}"
    return ""


def _by_length(content: bytes, _command: Callable[[str], str]) -> str:
    length = len(content)
    if length in _AES:
        return f"it has the length of an {_AES[length]} key, and KMS takes {LENGTH} bytes for this kind of key: {_RAW}"
    if length in {*_RSA, *(rsa + _WRAPPED_KEY for rsa in _RSA)}:
        return f"it has the length of key material wrapped for an import, which KMS alone can open: {_RAW}"
    if length == _WRAPPED_KEY:
        return f"it has the length of a key wrapped with AES, which only the wrapping key opens: {_RAW}"
    if content[:1] == b"\x30" and length > 2 * LENGTH:
        return f"it begins as DER, which holds a certificate or the key of another algorithm: {_RAW}"
    return ""


def _anything(_content: bytes, _command: Callable[[str], str]) -> str:
    return ANYTHING


def _base64(text: bytes) -> bytes | None:
    """Decode base64 of either alphabet, padded or not; None where it is none."""
    text = b"".join(text.split())
    if _BASE64.fullmatch(text) is None:
        return None
    padded = text.rstrip(b"=").translate(bytes.maketrans(b"-_", b"+/"))
    try:
        return base64.b64decode(padded + b"=" * (-len(padded) % 4), validate=True)
    except binascii.Error:
        return None


_JUDGES: Iterable[Callable[[bytes, Callable[[str], str]], str]] = (
    _empty,
    _sealed,
    _pem,
    _hexadecimal,
    _newline,
    _in_base64,
    _by_length,
    _anything,
)
