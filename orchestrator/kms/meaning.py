"""What a failed call means: the one place where an error code of AWS is judged."""

from botocore.exceptions import ClientError

from orchestrator.errors import KmsError, Trouble
from orchestrator.model import KeyArn
from orchestrator.replies import refusal
from orchestrator.unreached import unreached

_TRANSIENT = frozenset(
    {
        "IDPCommunicationError",
        "RequestLimitExceeded",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "KMSInternalException",
        "DependencyTimeoutException",
        "KeyUnavailableException",
        "ServiceUnavailable",
        "ServiceUnavailableException",
        "InternalFailure",
        "InternalServerError",
        "RequestTimeout",
        "RequestTimeoutException",
    }
)
_STALE = frozenset({"ExpiredImportTokenException", "InvalidImportTokenException"})
_LOOK_AGAIN = frozenset({"KMSInvalidStateException", "ConflictException", "DisabledException"})
_HINTS = {
    "AccessDeniedException": "grant this action on this key in this Region, then run again",
    "ExpiredToken": "the credentials expired: renew them and run again; the run resumes where it stands",
    "ExpiredTokenException": "the credentials expired: renew them and run again; the run resumes where it stands",
    "InvalidClientTokenId": "check which credentials are used: aws sts get-caller-identity",
    "InvalidSignatureException": "check the secret access key, and the clock of this machine",
    "LimitExceededException": "the 25 on-demand rotations of this key are used up: make a new key and move its users",
    "NotFoundException": "check the ARN, the account and the Region",
    "OptInRequired": "the Region must be enabled for this account first",
    "SignatureDoesNotMatch": "check the secret access key, and the clock of this machine",
    "UnrecognizedClientException": "check the credentials, and that the Region is enabled for this account",
    "UnsupportedOperationException": "this key cannot do that",
}
_ELSEWHERE = "enable the Region for this account, or take it out of `regions`"
_HINTS_OF_REPLICATION = {
    "AccessDeniedException": "allow kms:ReplicateKey on the primary, and kms:CreateKey in the new Region: mrk policy",
    "LimitExceededException": "the account has as many keys there as it may: raise its quota in that Region",
    "MalformedPolicyDocumentException": (
        "the primary's key policy names somebody who does not exist any more, or it does not let this role send the "
        "next policy (kms:PutKeyPolicy), as KMS asks of whoever makes a replica: mend it, or let somebody else make "
        "the replica"
    ),
    "ValidationException": _ELSEWHERE,
}
_SERVER_ERRORS = 500


def meaning(error: ClientError, operation: str, arn: KeyArn | str, *, new: bool) -> KmsError:
    """Judge an error that KMS answered with. `new` tells whether it was an import of NEW material."""
    found = refusal(error.response)
    hints = _HINTS | _HINTS_OF_REPLICATION if operation == "ReplicateKey" else _HINTS
    return KmsError(
        f"{operation} on {arn} failed: {found.code}: {found.message}",
        hints.get(found.code, ""),
        trouble=_trouble(found.code, found.status, new=new),
        operation=operation,
        region=arn.region if isinstance(arn, KeyArn) else "",
        code=found.code,
        request_id=found.request_id,
    )


def _trouble(code: str, status: int, *, new: bool) -> Trouble:
    if code in _TRANSIENT or status >= _SERVER_ERRORS:
        return Trouble.TRANSIENT
    if code in _STALE:
        return Trouble.STALE_PARAMETERS
    # NEW with bytes that KMS has already is refused with this code: a lost reply, or another run (P2).
    if code in _LOOK_AGAIN or (new and code == "IncorrectKeyMaterialException"):
        return Trouble.LOOK_AGAIN
    return Trouble.PERMANENT


def unanswered(error: Exception, operation: str, arn: KeyArn | str) -> KmsError:
    """Judge a call that got no readable answer: it may have had its effect, unless it was not sent."""
    why = unreached(error)
    said = why.said or "the answer is not one of KMS"
    return KmsError(
        f"{operation} on {arn} {'got no answer' if why.sent else 'was not sent'}: {said}",
        why.hint,
        trouble=Trouble.TRANSIENT if why.passing else Trouble.PERMANENT,
        operation=operation,
        region=arn.region if isinstance(arn, KeyArn) else "",
        code=type(error).__name__,
        unanswered=said,
    )
