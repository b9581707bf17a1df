"""Who calls: the account behind an access key, and the roles that were assumed."""

import re
import secrets
import string
from dataclasses import dataclass
from math import inf
from threading import Lock

DEFAULT_ACCOUNT = "111122223333"
_ACCOUNT = re.compile(r"[0-9]{12}")
_ROLE = re.compile(r"arn:(?P<partition>[a-z-]+):iam::(?P<account>[0-9]{12}):role/(?P<path>.*/)?(?P<name>[\w+=,.@-]+)")
_LETTERS = string.ascii_uppercase + "234567"


@dataclass(frozen=True, slots=True)
class Identity:
    """A caller, as GetCallerIdentity tells it."""

    account: str
    arn: str
    user_id: str


@dataclass(frozen=True, slots=True)
class AssumedRole:
    """Credentials for a role; good until `expires` (epoch seconds), which is told but not enforced."""

    access_key: str
    secret_key: str
    session_token: str
    expires: float
    identity: Identity


class Accounts:
    """A 12-digit access key is the account of that number, an assumed role's key its role's, any other the default.

    `longest` is how many seconds the credentials of a role are good for at the most, as where a role was chained.
    """

    def __init__(self) -> None:
        self.longest = inf
        self._roles: dict[str, AssumedRole] = {}
        self._lock = Lock()

    def identity(self, access_key: str, partition: str = "aws") -> Identity:
        """Return who calls with that access key in that partition."""
        with self._lock:
            role = self._roles.get(access_key)
        if role is not None:
            return role.identity
        account = access_key if _ACCOUNT.fullmatch(access_key) else DEFAULT_ACCOUNT
        return root(account, partition)

    def assume(self, role_arn: str, session_name: str, now: float, seconds: float) -> AssumedRole | None:
        """Return fresh credentials for a role of any account; None if that is no role's arn."""
        match = _ROLE.fullmatch(role_arn)
        if match is None:
            return None
        account, name = match["account"], match["name"]
        arn = f"arn:{match['partition']}:sts::{account}:assumed-role/{name}/{session_name}"
        identity = Identity(account, arn, f"{_id('AROA')}:{session_name}")
        expires = now + min(seconds, self.longest)
        role = AssumedRole(_id("ASIA"), secrets.token_urlsafe(30), secrets.token_urlsafe(64), expires, identity)
        with self._lock:
            self._roles[role.access_key] = role
        return role


def root(account: str, partition: str) -> Identity:
    """Return the identity of an account itself."""
    return Identity(account, f"arn:{partition}:iam::{account}:root", account)


def _id(prefix: str) -> str:
    return prefix + "".join(secrets.choice(_LETTERS) for _ in range(16))
