"""Credentials: one thing for all Regions and keys, found when they are first needed, and missed once."""

import getpass
from collections.abc import Callable
from contextlib import AbstractContextManager
from threading import Lock
from typing import Any

from botocore.credentials import (
    AssumeRoleProvider,
    CredentialResolver,
    Credentials,
    ProcessProvider,
    ReadOnlyCredentials,
)
from botocore.exceptions import NoCredentialsError

from orchestrator.errors import KmsError, Trouble, UsageError
from orchestrator.kms.credentials import check_sendable
from orchestrator.terminal import watched

Asking = Callable[[], AbstractContextManager[None]]
"""While it is entered, nothing else is written on the terminal."""

_SOON = 10 * 60
"""Seconds before its end in which the SDK uses a session no more unless it was renewed."""


class Given:
    """What botocore's clients take for their credentials. Safe to share between threads, and slow at most once."""

    method = "mrk"

    def __init__(self, load: Callable[[], Credentials | None], judge: Callable[[Exception], KmsError]) -> None:
        self._load = load
        self._judge = judge
        self._lock = Lock()
        self._found: Any = None
        self._tries = 0
        self._failure: KmsError | None = None

    def get_frozen_credentials(self) -> ReadOnlyCredentials:
        """Return credentials to sign one request with; raises KmsError.

        Whoever waited while another found none is told the same, and does not try it for himself.
        """
        asked = self._tries
        if self._found is not None and not _ends(self._found):
            return self._frozen()
        with self._lock:
            if self._tries != asked and self._failure is not None:
                raise self._failure
            self._failure = None
            try:
                return self._frozen()
            except KmsError as error:
                self._failure = error
                raise
            finally:
                self._tries += 1

    def get_deferred_property(self, _name: str) -> Callable[[], None]:
        """Tell nothing more: no endpoint of the services that are called depends on the account."""
        return lambda: None

    def _frozen(self) -> ReadOnlyCredentials:
        try:
            self._found = self._found or self._load()
            found: ReadOnlyCredentials | None = self._found.get_frozen_credentials() if self._found else None
        except KmsError:
            raise
        except UsageError as error:
            raise KmsError(error.message, error.hint, trouble=Trouble.PERMANENT, code="Refused") from None
        except Exception as error:  # noqa: BLE001 - the SDK's ways to credentials end in errors of every kind
            raise self._judge(error) from None
        if found is None:
            raise self._judge(NoCredentialsError())
        check_sendable(found)
        return found


def _ends(found: Any) -> bool:
    needed = getattr(found, "refresh_needed", None)
    return bool(needed and needed(_SOON))


def bounded(resolver: CredentialResolver, run: Callable[..., Any], ask: Callable[[str], str]) -> None:
    """Have the SDK's way to credentials run programs, and ask for codes, as we do; it has no public way for that."""
    for provider in resolver.providers:
        if isinstance(provider, ProcessProvider):
            _bind(provider, run)
        elif isinstance(provider, AssumeRoleProvider):
            _bind_roles(provider, run, ask)


def _bind(provider: Any, run: Callable[..., Any]) -> Any:
    provider._popen = run  # noqa: SLF001
    return provider


def _bind_roles(provider: Any, run: Callable[..., Any], ask: Callable[[str], str]) -> None:
    """Bind a provider whose source profile may name a program, too."""
    provider._prompter = ask  # noqa: SLF001
    builder = provider._profile_provider_builder  # noqa: SLF001
    make = builder._create_process_provider  # noqa: SLF001
    builder._create_process_provider = lambda name: _bind(make(name), run)  # noqa: SLF001


def ask_for_code(asking: Asking, prompt: str) -> str:
    """Ask for an MFA code on the terminal; raises KmsError at once where nobody sits there."""
    if not watched():
        raise _no_code("the profile wants an MFA code, and there is no terminal to ask for it", _UNATTENDED)
    try:
        with asking():
            return getpass.getpass(prompt)
    except (EOFError, OSError):
        raise _no_code("no MFA code was given", "run again, and type the code") from None


_UNATTENDED = (
    "give a session that needs no code (aws sts get-session-token --serial-number ... --token-code ...) in AWS_..."
    " variables, or a role without MFA for what runs unattended"
)


def _no_code(message: str, hint: str) -> KmsError:
    return KmsError(f"there are no credentials: {message}", hint, trouble=Trouble.PERMANENT, code="NoMfaCode")
