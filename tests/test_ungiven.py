"""Why there are no credentials, in the words of whoever looks for them, and what to mend."""

import os
from pathlib import Path

import pytest
from botocore.exceptions import (
    ClientError,
    ConfigParseError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    InvalidConfigError,
    LoginRefreshRequired,
    MissingDependencyException,
    NoCredentialsError,
    PartialCredentialsError,
    ReadTimeoutError,
    RefreshWithMFAUnsupportedError,
    TokenRetrievalError,
    UnauthorizedSSOTokenError,
)

from orchestrator.errors import Trouble
from orchestrator.kms.ungiven import Sought, ungiven, unread

ROLE = "arn:aws:iam::111122223333:role/mrk"
MFA = "arn:aws:iam::111122223333:mfa/me"
SOUGHT = Sought("corp", {"role_arn": ROLE}, "~/.aws/config", {})
WITH_MFA = Sought("corp", {"role_arn": ROLE, "mfa_serial": MFA}, "~/.aws/config", {})
POD = Sought("default", {}, "~/.aws/config", {"AWS_WEB_IDENTITY_TOKEN_FILE": "/token"})


def answered(code: str, status: int = 403, operation: str = "AssumeRole") -> ClientError:
    error = {"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(error, operation)  # type: ignore[arg-type]


LACKING: dict[str, tuple[Exception, Sought, str, str]] = {
    "nothing": (NoCredentialsError(), SOUGHT, "in the profile corp", "give credentials as for the aws command"),
    "nothing but a secret": (
        NoCredentialsError(),
        Sought("corp", {}, "~/.aws/config", {"AWS_SECRET_ACCESS_KEY": "x"}),
        "AWS_SECRET_ACCESS_KEY is set, AWS_ACCESS_KEY_ID is not",
        "set AWS_ACCESS_KEY_ID, too",
    ),
    "nothing that can be read": (
        NoCredentialsError(),
        Sought("corp", {}, "~/.aws/config", {}, "/etc/mrk/aws cannot be read: Permission denied"),
        "; /etc/mrk/aws cannot be read: Permission denied",
        "that this user may read it",
    ),
    "half in a file": (PartialCredentialsError(provider="x", cred_var="X"), SOUGHT, "missing: X", "mend the profile"),
    "half in the environment": (
        PartialCredentialsError(provider="env", cred_var="AWS_SECRET_ACCESS_KEY"),
        SOUGHT,
        "missing: AWS_SECRET_ACCESS_KEY",
        "set AWS_SECRET_ACCESS_KEY, too; or unset AWS_ACCESS_KEY_ID",
    ),
    "a token without its role": (InvalidConfigError(error_msg="no role"), POD, "no role", "or AWS_ROLE_ARN"),
    "a token that is none": (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "no"), POD, "", "AWS_WEB_IDENTITY_TOKEN_FILE"),
    "a token of another issuer": (
        answered("InvalidIdentityToken", 400, "AssumeRoleWithWebIdentity"),
        POD,
        "InvalidIdentityToken",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
    ),
    "a role that trusts another issuer": (
        answered("AccessDenied", 403, "AssumeRoleWithWebIdentity"),
        POD,
        "AssumeRoleWithWebIdentity",
        "to the token's issuer",
    ),
    "a profile of the shell's own words": (
        UnauthorizedSSOTokenError(),
        Sought("my corp", {}, "~/.aws/config", {}),
        "no session of IAM",
        "aws sso login --profile 'my corp'",
    ),
    "a wrong line": (InvalidConfigError(error_msg="odd"), SOUGHT, "odd", "mend the profile corp in ~/.aws/config"),
    "a wrong file": (ConfigParseError(path="/x"), SOUGHT, "/x", "mend the profile corp"),
    "SSO that has ended": (UnauthorizedSSOTokenError(), SOUGHT, "no session of IAM", "aws sso login --profile corp"),
    "a token of SSO": (TokenRetrievalError(provider="sso", error_msg="expired"), SOUGHT, "expired", "aws sso login"),
    "a login that has ended": (LoginRefreshRequired(), SOUGHT, "", "aws login --profile corp"),
    "a library": (MissingDependencyException(msg="awscrt"), SOUGHT, "awscrt", "install that"),
    "a second code": (RefreshWithMFAUnsupportedError(), WITH_MFA, "an MFA code gave has ended", "give a new code"),
    "a wrong code": (answered("AccessDenied"), WITH_MFA, f"AssumeRole on {ROLE} failed", f"the MFA code is of {MFA}"),
    "a role that trusts others": (answered("AccessDenied"), SOUGHT, "AssumeRole", "trust policy"),
    "a key that is none": (answered("InvalidClientTokenId"), SOUGHT, "InvalidClientTokenId", "aws sts get-caller"),
    "a session that has ended": (answered("ExpiredToken"), SOUGHT, "ExpiredToken", "renew them"),
    "a token that has ended": (
        answered("ExpiredTokenException", 400, "AssumeRoleWithWebIdentity"),
        SOUGHT,
        "AssumeRoleWithWebIdentity",
        "renew them",
    ),
    "a token of others": (answered("InvalidIdentityToken", 400), SOUGHT, "InvalidIdentityToken", "profile corp"),
    "a provider": (CredentialRetrievalError(provider="x", error_msg="y"), SOUGHT, "x gives none: y", "mend the"),
    "what has ended": (RuntimeError("still expired"), SOUGHT, "have ended already", "log in again"),
    "what cannot be read": (AttributeError("get"), SOUGHT, "cannot read what the profile corp gives", "mend"),
}


@pytest.mark.parametrize(("error", "sought", "said", "hint"), LACKING.values(), ids=LACKING)
def test_no_waiting_gives_credentials(error: Exception, sought: Sought, said: str, hint: str) -> None:
    found = ungiven(error, sought)

    assert found.trouble is Trouble.PERMANENT
    assert said in found.message
    assert hint in found.hint


@pytest.mark.parametrize(
    "error",
    [
        ConnectTimeoutError(endpoint_url="https://sts.us-east-1.amazonaws.com"),
        ReadTimeoutError(endpoint_url="https://sts.us-east-1.amazonaws.com"),
        answered("Throttling", 400),
        answered("IDPCommunicationError", 400),
        answered("InternalFailure", 500),
    ],
)
def test_an_sts_that_does_not_answer_now_may_later(error: Exception) -> None:
    assert ungiven(error, SOUGHT).trouble is Trouble.TRANSIENT


def test_a_file_that_the_sdk_passes_over_is_named_unless_none_need_be_there(tmp_path: Path) -> None:
    """The SDK takes a file that it cannot read for one that is not there."""
    named = {"AWS_CONFIG_FILE": str(tmp_path)}
    absent = {"AWS_CONFIG_FILE": str(tmp_path / "none")}

    os.mkfifo(tmp_path / "pipe")

    assert unread({"AWS_CONFIG_FILE": str(tmp_path / "pipe")}, {}).endswith("it is no plain file")
    assert unread(named, {}) == f"{tmp_path} cannot be read: it is no plain file"
    assert unread(absent, absent) == f"{tmp_path}/none cannot be read: there is no such file"
    assert unread(absent, {}) == unread({"AWS_CONFIG_FILE": "~nobody-here/aws"}, {}) == ""
