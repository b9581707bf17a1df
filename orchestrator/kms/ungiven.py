"""What it means that there are no credentials: judged once, and named by the file, variable or profile to look at."""

import re
import shlex
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConfigParseError,
    CredentialRetrievalError,
    HTTPClientError,
    InvalidConfigError,
    LoginError,
    MetadataRetrievalError,
    MissingDependencyException,
    PartialCredentialsError,
    ProfileNotFound,
    RefreshWithMFAUnsupportedError,
    SSOError,
    TokenRetrievalError,
    UnknownCredentialError,
)
from botocore.exceptions import ConnectionError as BotoConnectionError

from orchestrator.errors import KmsError, Trouble
from orchestrator.kms.meaning import meaning
from orchestrator.replies import told
from orchestrator.unreached import GIVE_CREDENTIALS, NO_CREDENTIALS, unreached

_CONTAINER = ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")
_TOKEN_FILES = ("AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE")
_WRONG_SETTING = (
    ConfigParseError | InvalidConfigError | PartialCredentialsError | ProfileNotFound | UnknownCredentialError
)
_PREFIX = re.compile(r"Error when retrieving (credentials|token) from [^:]*: ")


@dataclass(frozen=True, slots=True)
class Sought:
    """Where credentials are sought: the profile, its lines, the files that it stands in, and the environment.

    `unread` says which of the files cannot be read, and why: the SDK takes it for one that is not there.
    """

    profile: str
    lines: Mapping[str, Any]
    files: str
    environment: Mapping[str, str] = field(repr=False)
    unread: str = ""

    @property
    def mend(self) -> str:
        """Say where to mend what the SDK found first: the token that the environment names, or the profile."""
        if self.by_token:
            return "mend AWS_WEB_IDENTITY_TOKEN_FILE, the file that it names, or AWS_ROLE_ARN; or unset both"
        return f"mend the profile {self.profile} in {self.files}, or name another (--profile, AWS_PROFILE)"

    @property
    def by_token(self) -> bool:
        """Whether the environment hands in a web identity, which goes before all but a role of the profile."""
        assumed = "role_arn" in self.lines and not self.lines.get("web_identity_token_file")
        return bool(self.environment.get("AWS_WEB_IDENTITY_TOKEN_FILE")) and not assumed

    @property
    def named(self) -> str:
        """Return the profile's name as a shell takes it."""
        return shlex.quote(self.profile)

    @property
    def container(self) -> str:
        """Name the variable that leads to a container's credentials."""
        return next((name for name in _CONTAINER if self.environment.get(name)), "the container's metadata")

    @property
    def token_file(self) -> str:
        """Name the setting of the file that holds a token."""
        name = next((name for name in _TOKEN_FILES if self.environment.get(name)), "")
        return name or f"web_identity_token_file of the profile {self.profile}"


def ungiven(error: Exception, sought: Sought) -> KmsError:
    """Judge why there are no credentials; waiting mends it only where AWS itself could not be reached."""
    if isinstance(error, ClientError):
        return _answered(error, sought)
    if isinstance(error, BotoConnectionError | HTTPClientError):
        why = unreached(error)
        trouble = Trouble.TRANSIENT if why.passing else Trouble.PERMANENT
        return _none(error, why.said, why.hint, trouble=trouble, unanswered=why.said)
    said, hint = _why(error, sought)
    return _none(error, said, hint)


def _none(
    error: Exception, said: str, hint: str, *, trouble: Trouble = Trouble.PERMANENT, unanswered: str = ""
) -> KmsError:
    message = f"there are no credentials: {said}"
    return KmsError(message, hint, trouble=trouble, code=type(error).__name__, unanswered=unanswered)


def _answered(error: ClientError, sought: Sought) -> KmsError:
    """Judge what STS, or IAM Identity Center, answered to the SDK, which asked it for credentials."""
    who = str(sought.lines.get("role_arn") or sought.environment.get("AWS_ROLE_ARN") or f"profile {sought.profile}")
    found = meaning(error, error.operation_name, who, new=False)
    if found.code.startswith("AccessDenied") and error.operation_name.startswith("AssumeRole"):
        mfa = sought.lines.get("mfa_serial")
        if error.operation_name == "AssumeRoleWithWebIdentity":
            found.hint = _TRUST_IN_ISSUER
            return found
        found.hint = f"see that the MFA code is of {mfa}, and that the role trusts whoever asks" if mfa else _TRUST
    found.hint = found.hint or sought.mend
    return found


_TRUST_IN_ISSUER = "the role's trust policy must allow sts:AssumeRoleWithWebIdentity to the token's issuer and subject"
_TRUST = "the role's trust policy must name whoever asks for it, and they need sts:AssumeRole on it"


def _why(error: Exception, sought: Sought) -> tuple[str, str]:
    """Say what is wrong, and where to mend it."""
    login = f"log in, then run again: aws sso login --profile {sought.named}"
    if isinstance(error, SSOError | TokenRetrievalError):
        return (
            f"the profile {sought.profile} has no session of IAM Identity Center (SSO): {_said(error)}",
            login,
        )
    if isinstance(error, LoginError):
        return _said(error), f"log in, then run again: aws login --profile {sought.named}"
    if isinstance(error, RefreshWithMFAUnsupportedError):
        return "the session that an MFA code gave has ended", "run again, and give a new code: the run resumes"
    if isinstance(error, MissingDependencyException):
        return _said(error), f"install that, or name another profile than {sought.profile}"
    if isinstance(error, PartialCredentialsError) and error.kwargs.get("provider") == "env":
        return _said(error), f"set {error.kwargs.get('cred_var')}, too; or unset AWS_ACCESS_KEY_ID"
    if isinstance(error, _WRONG_SETTING):
        return _said(error), sought.mend
    if isinstance(error, CredentialRetrievalError | MetadataRetrievalError):
        return _not_retrieved(error, sought)
    if isinstance(error, NO_CREDENTIALS):
        return _nothing(sought)
    return _of_plain_python(error, sought)


def _nothing(sought: Sought) -> tuple[str, str]:
    said = f"none in AWS_... variables, in the profile {sought.profile}, and of no role"
    if sought.unread:
        return (
            f"{said}; {sought.unread}",
            f"see that the file is there, and that this user may read it; or {GIVE_CREDENTIALS}",
        )
    if sought.environment.get("AWS_SECRET_ACCESS_KEY") and not sought.environment.get("AWS_ACCESS_KEY_ID"):
        return f"{said}; AWS_SECRET_ACCESS_KEY is set, AWS_ACCESS_KEY_ID is not", "set AWS_ACCESS_KEY_ID, too"
    return said, GIVE_CREDENTIALS


def unread(files: Mapping[str, str], environment: Mapping[str, str]) -> str:
    """Say which of the SDK's files, each by the variable that names it, cannot be read: of its default none need be."""
    for variable, path in files.items():
        try:
            found = Path(path).expanduser()
            if not stat.S_ISREG(found.stat().st_mode):
                return f"{path} cannot be read: it is no plain file"
            found.open("rb").close()
        except (FileNotFoundError, RuntimeError):  # RuntimeError: ~ leads nowhere
            if environment.get(variable):
                return f"{path} cannot be read: there is no such file"
        except OSError as error:
            return f"{path} cannot be read: {error.strerror}"
    return ""


def _not_retrieved(error: BotoCoreError, sought: Sought) -> tuple[str, str]:
    provider = str(error.kwargs.get("provider", ""))
    if provider == "container-role" or isinstance(error, MetadataRetrievalError):
        said = f"the endpoint that {sought.container} names gives none: {_said(error)}"
        return said, "see that the task, or pod, has a role, and that its agent runs; then run again"
    return f"{provider} gives none: {_said(error)}", sought.mend


def _of_plain_python(error: Exception, sought: Sought) -> tuple[str, str]:
    """Name what the SDK's way to credentials leaves as an error of plain Python."""
    if isinstance(error, OSError):
        return (
            f"the file {error.filename} ({sought.token_file}) cannot be read: {error.strerror}",
            f"see that it is there, and that this user may read it; else mend {sought.token_file}",
        )
    if isinstance(error, RuntimeError):
        return "those that were given have ended already", f"log in again, or {sought.mend}"
    if isinstance(error, BotoCoreError):
        return _said(error), sought.mend
    if "credential_process" in sought.lines:
        said = f"`credential_process` of the profile {sought.profile} cannot be read as a command line"
        return said, sought.mend
    if any(sought.environment.get(name) for name in _CONTAINER):
        return f"what {sought.container} names is of no use ({type(error).__name__})", f"mend {sought.container}"
    return f"the SDK cannot read what the profile {sought.profile} gives ({type(error).__name__})", sought.mend


def _said(error: Exception) -> str:
    return _PREFIX.sub("", told(error))
