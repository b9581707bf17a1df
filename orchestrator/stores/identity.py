"""Reading the identities that a machine opens entries with."""

import os
import stat
from pathlib import Path
from typing import Any

import pyrage  # type: ignore[import-untyped]
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization

from orchestrator.errors import UsageError

from .guard import os_errors, read_all
from .handed import check_handed, no_right
from .recipients import NEW_IDENTITY, is_secret

_OWN = "store.identity"
_ANOTHER = "name the file that holds the identity to try"
_LOST_IDENTITY = (
    "restore it from its copy, or name the recovery identity: a new one opens nothing that is stored already;"
    " only for a new store, make one with: age-keygen -o identity.txt"
)


class Identity:
    """An identity, and the secret that a key to prove its holder can be derived from."""

    def __init__(self, key: Any, secret: bytes) -> None:
        self.key = key
        self.secret = secret

    def __repr__(self) -> str:
        return "Identity(hidden)"


def identities(path: Path, setting: str = _OWN) -> tuple[Identity, ...]:
    """Read the identities in a file; raises UsageError, and StoreError where others could read the file.

    `setting` names what says which file.
    """
    if is_secret(str(path)):
        raise UsageError(
            f"{setting} holds an identity, which is secret, in the place of the name of a file",
            "put it into a file of mode 0600 and name that; treat it as known to whoever saw the config or environment",
        )
    found, bad_line = _parse(_identity_file(path, setting))
    instead = NEW_IDENTITY if setting == _OWN else _ANOTHER
    if bad_line:
        raise UsageError(
            f"the identity file {path} holds no usable identity in line {bad_line}",
            "it holds AGE-SECRET-KEY-1... lines, or one SSH private key, without a passphrase; " + instead,
        )
    if not found:
        raise UsageError(f"the identity file {path} holds no identity", instead)
    return found


def _parse(content: bytes) -> tuple[tuple[Identity, ...], int]:
    """Read every identity, or tell the first bad line. Never raises: the frames of an error hold what they read."""
    found = []
    lines = [content] if content.startswith(b"-----BEGIN") else content.splitlines()
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.startswith(b"#"):
            continue
        try:
            found.append(_identity(line))
        except (pyrage.IdentityError, ValueError, TypeError, UnsupportedAlgorithm):
            return (), number
    return tuple(found), 0


def _identity(text: bytes) -> Identity:
    if text.startswith(b"-----BEGIN"):
        return Identity(pyrage.ssh.Identity.from_buffer(text), _ssh_secret(text))
    identity = pyrage.x25519.Identity.from_str(text.decode(errors="replace").strip())
    return Identity(identity, str(identity).encode())


def _ssh_secret(text: bytes) -> bytes:
    """Return an SSH private key in the one form that does not depend on how its file was written."""
    if text.startswith(b"-----BEGIN OPENSSH"):
        key = serialization.load_ssh_private_key(text, password=None)
    else:
        key = serialization.load_pem_private_key(text, password=None)  # type: ignore[assignment]
    return key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _identity_file(path: Path, setting: str) -> bytes:
    """Read the identity file. Unlike a store's own files it may be a link, and root's: secrets are often mounted so."""
    with os_errors("read the identity file", path):
        try:
            handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            way = _LOST_IDENTITY if setting == _OWN else _ANOTHER
            raise UsageError(f"there is no identity file {path} ({setting})", way) from None
        except PermissionError:
            raise no_right(path) from None
    try:
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise UsageError(f"{setting} {path} is a directory, not a file", "name the identity's own file")
        check_handed(path, handle)
        return read_all(handle, path)
    finally:
        os.close(handle)
