"""Credentials judged before a request is signed with them, wherever they come from, and kept out of what is written."""

import re
from collections.abc import Mapping
from typing import Any

from orchestrator.errors import KmsError, Trouble, UsageError
from orchestrator.redaction import redacted
from orchestrator.replies import UNSENDABLE, UNSENDABLE_HINT

_SENDABLE = re.compile(r"[!-~]*")
_PARTS = {"access_key": "access key id", "secret_key": "secret access key", "token": "session token"}
_CREDENTIALS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN")
_OTHERS = re.compile(
    r"AWS_(DEFAULT_)?(REGION|PROFILE)|AWS_ROLE_(ARN|SESSION_NAME)|AWS_(ENDPOINT_URL|CONTAINER_).*", re.DOTALL
)


def check_environment(environment: Mapping[str, str], *, profile: str | None) -> None:
    """Refuse variables that no request to AWS can be made with; raises UsageError, which names the variable alone.

    With a profile of the settings' own the SDK passes over the credentials among them.
    """
    for name in sorted(environment):
        value = environment[name]
        if name in _CREDENTIALS and not profile and not _SENDABLE.fullmatch(value):
            raise UsageError(f"{name} holds {UNSENDABLE}", UNSENDABLE_HINT)
        if _OTHERS.fullmatch(name) and not value.isprintable():
            raise UsageError(f"{name} holds a character that cannot be printed (a newline?)", UNSENDABLE_HINT)


def watched(client: Any) -> Any:
    """Have the credentials of every request of a boto3 client judged; returns the client.

    Its calls raise KmsError where they hold what no header may hold: it would be refused for ever, and quoted.
    """
    client.meta.events.register_first("before-sign", _judge, unique_id="mrk-credentials")
    return client


def _judge(request_signer: Any, signing_name: str, region_name: str, operation_name: str, **_: Any) -> None:
    used = request_signer.get_auth_instance(signing_name, region_name).credentials
    if used is not None:
        check_sendable(used, operation_name, region_name)


def check_sendable(used: Any, operation: str = "", region: str = "") -> None:
    """Have credentials left out of all that is written; raises KmsError where no request can be sent with them."""
    redacted.learn(secret for secret in (used.secret_key, used.token) if secret)
    sent = f"{operation} was not sent" if operation else "nothing was sent"
    for part, name in _PARTS.items():
        if not _SENDABLE.fullmatch(getattr(used, part) or ""):
            raise KmsError(
                f"{sent}: the {name} that the environment, the profile or the role gives holds {UNSENDABLE}",
                UNSENDABLE_HINT,
                trouble=Trouble.PERMANENT,
                operation=operation,
                region=region,
                code="UnusableCredentials",
            )
