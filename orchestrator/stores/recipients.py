"""Reading the recipients that entries are sealed to."""

import base64
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import pyrage  # type: ignore[import-untyped]

from orchestrator.errors import UsageError

NEW_IDENTITY = "make one with: age-keygen -o identity.txt"
_FEWEST = 2
_OF_THE_EXAMPLE = (
    "age1lggyhqrw2nlhcxprm67z43rta597azn8gknawjehu9d9dl0jq3yqqvfafg",
    "age1hu7l6lex0tfhpecktux7mhjxuujppg9sm0q9e6dz4um4tpe663usw0umvs",
)
"""What config.example.yaml once had: nobody knows who has their identities."""
_SECRETS = ("AGE-SECRET-KEY", "AGE-PLUGIN-", "-----BEGIN")
_KINDS = (
    "a recipient is the public half of an identity: age1... (printed by age-keygen), or an ssh-ed25519 or ssh-rsa"
    " public key; those of plugins (age1yubikey1...) are not taken"
)


def recipients(texts: Sequence[str]) -> Mapping[str, Any]:
    """Read recipients, each once however it is spelled, by name; raises UsageError."""
    found = {_normal(text, key): key for text, key in ((text, _recipient(text)) for text in texts)}
    if len(found) < _FEWEST:
        raise UsageError(
            f"store.recipients has {len(found)} different recipient(s); a store needs at least {_FEWEST}:"
            " one is not a backup, because with its identity every key material would be lost",
            "add the recipient of an identity that is kept offline to store.recipients; " + NEW_IDENTITY,
        )
    return found


def is_secret(text: str) -> bool:
    """Whether a text that should name something is itself an identity, which is never quoted."""
    return any(secret in text.upper() for secret in _SECRETS)


def _recipient(text: str) -> Any:
    if is_secret(text):
        raise UsageError(
            "store.recipients holds an identity, which is secret, in the place of a recipient",
            "take it out, and treat it as known to others; " + _KINDS,
        )
    kind = pyrage.ssh.Recipient if text.startswith("ssh-") else pyrage.x25519.Recipient
    try:
        key = kind.from_str(text)
    except pyrage.RecipientError as error:
        raise UsageError(f"{text!r} in store.recipients is not a recipient: {error}", _KINDS) from error
    if _normal(text, key) in _OF_THE_EXAMPLE:
        raise UsageError(
            f"{text} in store.recipients is the recipient of the example, whose identity is not yours:"
            " whoever has that opens all that is sealed to it",
            "put your own recipient there (age-keygen -o recovery.txt); where a store was made with this one, follow"
            " docs/store.md, 'Changing recipients', and rotate its keys",
        )
    return key


def _normal(text: str, key: Any) -> str:
    """Name a recipient in one way only: age's own spelling, and SSH keys as `spelled` has them."""
    return spelled(text) if text.startswith("ssh-") else str(key)


def spelled(text: str) -> str:
    """Spell a recipient in one way only: SSH keys without their comment, their base64 filled up; age's in small."""
    kind, *rest = text.split()[:2] or ("",)
    if not (kind.startswith("ssh-") and rest):
        return text.lower() if text.lower().startswith("age1") else text
    blob = rest[0].rstrip("=")
    with suppress(ValueError):
        blob = base64.b64encode(base64.b64decode(blob + "=" * (-len(blob) % 4))).decode()
    return f"{kind} {blob}"
