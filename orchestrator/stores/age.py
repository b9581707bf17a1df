"""Sealing to several recipients, and opening with an identity, in the age format."""

import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import pyrage  # type: ignore[import-untyped]

from orchestrator.errors import EntryError, UsageError

from .guard import check_file, os_errors, read_all

FEWEST_RECIPIENTS = 2
_NEW_IDENTITY = "make one with: age-keygen -o identity.txt"
_LOST_IDENTITY = (
    "restore it from its copy, or name the recovery identity: a new one opens nothing that is stored already;"
    " only for a new store, make one with: age-keygen -o identity.txt"
)
_GREETING = b"can this identity open what these recipients get?"


class AgeBox:
    """The recipients that every entry is sealed to, and the identities that this machine opens entries with, if any."""

    def __init__(self, names: frozenset[str], keys: Sequence[Any], identities: Sequence[Any]) -> None:
        self.names = names
        self._keys = tuple(keys)
        self._identities = tuple(identities)

    @classmethod
    def build(cls, recipients: Sequence[str], identity: Path | None) -> Self:
        """Read recipients and identity file, and check that they belong together; raises UsageError."""
        keys = {_normal(text, key): key for text, key in ((text, _recipient(text)) for text in recipients)}
        if len(keys) < FEWEST_RECIPIENTS:
            raise UsageError(
                f"store.recipients has {len(keys)} different recipient(s); a store needs at least {FEWEST_RECIPIENTS}:"
                " one is not a backup, because with its identity every key material would be lost",
                "add the recipient of an identity that is kept offline to store.recipients; " + _NEW_IDENTITY,
            )
        box = cls(frozenset(keys), tuple(keys.values()), _identities(identity) if identity else ())
        if identity and not box._opens_own():
            raise UsageError(
                f"the identity in {identity} (store.identity) opens nothing that is sealed to store.recipients:"
                " it belongs to none of them",
                f"add its recipient (age-keygen -y {identity}) to store.recipients, or name the right file",
            )
        return box

    @property
    def can_open(self) -> bool:
        """Whether this machine may read entries; without an identity it only writes them."""
        return bool(self._identities)

    def seal(self, plaintext: bytes) -> bytes:
        """Encrypt to every recipient."""
        sealed: bytes = pyrage.encrypt(plaintext, list(self._keys))
        return sealed

    def open(self, sealed: bytes, where: str) -> bytes:
        """Decrypt what stands in the file `where`; raises EntryError where that fails."""
        if not sealed:
            raise EntryError(f"{where} is empty", "put the file back from a backup")
        plaintext, problem = self._try_open(sealed)
        if plaintext is None:
            raise EntryError(
                f"{where} does not open: {problem}",
                "if other entries open, this file is damaged: put it back from a backup;"
                " if none does, store.identity is not the one that this store was written for",
            )
        return plaintext

    def _try_open(self, sealed: bytes) -> tuple[bytes | None, str]:
        try:
            return pyrage.decrypt(sealed, list(self._identities)), ""
        except pyrage.DecryptError as error:
            return None, _PROBLEMS.get(str(error), str(error))

    def _opens_own(self) -> bool:
        return self._try_open(self.seal(_GREETING))[0] == _GREETING

    def __repr__(self) -> str:
        return f"AgeBox({len(self._keys)} recipients, {'can' if self.can_open else 'cannot'} open)"


_PROBLEMS = {
    "No matching keys found": "it is sealed for other recipients than this identity's, or its header is damaged",
    "failed to fill whole buffer": "it is cut short",
    "Header is invalid": "it is not an age file, or its header is damaged",
    "Header MAC is invalid": "its header was changed",
    "decryption error": "its content was changed or cut short",
}


def _recipient(text: str) -> Any:
    kind = pyrage.ssh.Recipient if text.startswith("ssh-") else pyrage.x25519.Recipient
    try:
        return kind.from_str(text)
    except pyrage.RecipientError as error:
        raise UsageError(
            f"{text!r} in store.recipients is not a recipient: {error}",
            "a recipient is the public half of an identity: age1... (printed by age-keygen), or an ssh-ed25519 or"
            " ssh-rsa public key",
        ) from error


def _normal(text: str, key: Any) -> str:
    """Name a recipient in one way only: age's own spelling, and SSH keys without their comment."""
    return " ".join(text.split()[:2]) if text.startswith("ssh-") else str(key)


def _identities(path: Path) -> tuple[Any, ...]:
    found, bad_line = _parse(_identity_file(path))
    if bad_line:
        raise UsageError(
            f"the identity file {path} holds no usable identity in line {bad_line}",
            "it holds AGE-SECRET-KEY-1... lines, or one SSH private key, without a passphrase; " + _NEW_IDENTITY,
        )
    if not found:
        raise UsageError(f"the identity file {path} holds no identity", _NEW_IDENTITY)
    return found


def _parse(content: bytes) -> tuple[tuple[Any, ...], int]:
    """Read every identity, or tell the first bad line. Never raises: the frames of an error hold what they read."""
    found = []
    lines = [content] if content.startswith(b"-----BEGIN") else content.splitlines()
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.startswith(b"#"):
            continue
        try:
            found.append(_identity(line))
        except pyrage.IdentityError:
            return (), number
    return tuple(found), 0


def _identity(text: bytes) -> Any:
    if text.startswith(b"-----BEGIN"):
        return pyrage.ssh.Identity.from_buffer(text)
    return pyrage.x25519.Identity.from_str(text.decode(errors="replace").strip())


def _identity_file(path: Path) -> bytes:
    """Read the identity file. Unlike a store's own files it may be a link, and root's: secrets are often mounted so."""
    with os_errors("read the identity file", path):
        try:
            handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            raise UsageError(f"there is no identity file {path} (store.identity)", _LOST_IDENTITY) from None
    try:
        found = os.fstat(handle)
        if stat.S_ISDIR(found.st_mode):
            raise UsageError(f"store.identity {path} is a directory, not a file", "name the identity's own file")
        if not handed_over(found):
            check_file(path, found, (os.geteuid(), 0))
        return read_all(handle, path)
    finally:
        os.close(handle)


def handed_over(found: os.stat_result) -> bool:
    """Whether this may be a credential from systemd: root's, with an access list that lets its service read, too.

    The mode shows such a list as a right of the group's, which here is root's.
    """
    return found.st_mode == stat.S_IFREG | 0o440 and found.st_uid == found.st_gid == 0
