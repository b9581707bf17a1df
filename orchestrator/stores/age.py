"""Sealing to several recipients, and opening with an identity, in the age format."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import pyrage  # type: ignore[import-untyped]

from orchestrator.errors import EntryError, UsageError

from .header import unsealed_for
from .identity import Identity, identities
from .maker import IdentityMaker
from .recipients import NEW_IDENTITY, recipients

_GREETING = b"can this identity open what these recipients get?"


class AgeBox:
    """The recipients that every entry is sealed to, and the identities that this machine opens entries with."""

    def __init__(
        self, keys: Mapping[str, Any], path: Path, found: Sequence[Identity], trial: Path | None = None
    ) -> None:
        self.names = frozenset(keys)
        self.maker = IdentityMaker([identity.secret for identity in found])
        self._keys = keys
        self._path = path
        self._trial = trial
        self._identities = [identity.key for identity in found]

    @classmethod
    def build(cls, names: Sequence[str], identity: Path | None, trial: Path | None = None) -> Self:
        """Read recipients and identity file, and check that they belong together; raises UsageError.

        `trial` is another identity, of which is only seen what it opens: it may belong to none of them.
        """
        keys = recipients(names)
        if trial is not None:
            return cls(keys, identity or trial, identities(trial, "--identity"), trial)
        if identity is None:
            raise UsageError(
                "store.identity is not set: without an identity this machine could never read back what it stores",
                "name the file of one whose recipient is in store.recipients; " + NEW_IDENTITY,
            )
        box = cls(keys, identity, identities(identity))
        if not box.opens_own:
            raise UsageError(
                f"the identity in {identity} opens nothing that is sealed to store.recipients:"
                " it belongs to none of them",
                f"add its recipient (age-keygen -y {identity}) to store.recipients, or name the right file"
                " (store.identity)",
            )
        return box

    @property
    def opens_own(self) -> bool:
        """Whether this machine can open what it seals."""
        return self._try_open(self.seal(_GREETING))[0] == _GREETING

    def seal(self, plaintext: bytes) -> bytes:
        """Encrypt to every recipient."""
        sealed: bytes = pyrage.encrypt(plaintext, list(self._keys.values()))
        return sealed

    def open(self, sealed: bytes, where: str) -> bytes:
        """Decrypt what stands in the file `where`; raises EntryError where that fails."""
        if not sealed:
            raise EntryError(f"{where} is empty", "put the file back from a backup")
        plaintext, problem = self._try_open(sealed)
        if plaintext is None and self._trial and problem == _OF_OTHERS:
            raise EntryError(f"{where} is not sealed to the identity in {self._trial}", self.reseal(where))
        if plaintext is None:
            raise EntryError(
                f"{where} does not open: {problem}",
                "if other entries open, this file is damaged: put it back from a backup;"
                f" if none does, {self._path} is not the identity that this store was written for",
            )
        return plaintext

    def lacks(self, sealed: bytes, noted: frozenset[str] | None) -> str:
        """Say which recipients cannot open a file that this machine opens; nothing where, as it seems, all can.

        `noted` is to whom it was sealed, if that is known: its header tells only to how many.
        """
        missing = sorted(self.names - noted) if noted is not None else []
        missing = missing or unsealed_for(sealed, self._keys)
        return f"it is not sealed to {'; '.join(missing)} (store.recipients)" if missing else ""

    def reseal(self, where: str) -> str:
        """Tell how a file that opens is sealed to every recipient, and exchanged only for one that holds the same."""
        file, new = shlex.quote(where), shlex.quote(f"{where}.new")
        to = " ".join(f"-r {shlex.quote(name)}" for name in self._keys)
        opening = f"age -d -i {shlex.quote(str(self._path))}"
        # A pipe hides that its first command failed: then nothing was sealed, which must not take the file's place.
        sealing = f"{opening} {file} | age {to} -o {new} && {opening} {new} | grep -q key_material && mv {new} {file}"
        return f"seal it again: (umask 077; {sealing})"

    def _try_open(self, sealed: bytes) -> tuple[bytes | None, str]:
        try:
            return pyrage.decrypt(sealed, self._identities), ""
        except pyrage.DecryptError as error:
            return None, _PROBLEMS.get(str(error), str(error))

    def __repr__(self) -> str:
        return f"AgeBox({len(self._keys)} recipients)"


_OF_OTHERS = "it is sealed for other recipients than this identity's, or its header is damaged"
_PROBLEMS = {
    "No matching keys found": _OF_OTHERS,
    "failed to fill whole buffer": "it is cut short",
    "Header is invalid": "it is not an age file, or its header is damaged",
    "Header MAC is invalid": "its header was changed",
    "decryption error": "its content was changed or cut short",
}
