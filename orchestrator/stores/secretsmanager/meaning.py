"""What a failed call to Secrets Manager means: the one place where its error codes are judged."""

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError, InvalidProxiesConfigError
from botocore.exceptions import ConnectionError as BotoConnectionError
from botocore.parsers import ResponseParserError

from orchestrator.errors import EntryError, KmsError, MrkError, StoreError, Trouble
from orchestrator.replies import refusal
from orchestrator.unreached import NO_CREDENTIALS, unreached

# botocore's parser meets an answer that is none of the service's with the errors of plain Python.
NO_ANSWER = (BotoCoreError, HTTPClientError, ResponseParserError, ValueError, AttributeError, TypeError, KeyError)
_TRANSIENT = frozenset(
    {
        "InternalServiceError",
        "InternalServiceErrorException",
        "InternalFailure",
        "RequestLimitExceeded",
        "RequestTimeout",
        "RequestTimeoutException",
        "ServiceUnavailable",
        "ServiceUnavailableException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
_DENIED = ("AccessDeniedException", "AccessDenied")
_HINTS = {
    "ExpiredTokenException": "the credentials expired: renew them and run again; the run resumes where it stands",
    "InvalidSignatureException": "check the secret access key, and the clock of this machine",
    "LimitExceededException": "raise the quota of Secrets Manager in this Region, then run again",
    "UnrecognizedClientException": "check the credentials, and that the Region is enabled for this account",
}
_SERVER_ERRORS = 500


def meaning(error: ClientError, operation: str, secret: str, region: str, partition: str) -> MrkError:
    """Judge an error that Secrets Manager answered with."""
    code, said, status, request_id = refusal(error.response)
    message = f"secretsmanager:{operation} on {secret} in {region} failed: {code}: {said}"
    if code == "InvalidRequestException" and "delet" in said.lower():
        return deletion(secret, region)
    if code in {"DecryptionFailure", "DecryptionFailureException"}:
        return EntryError(message, _decryption(region))
    if code in {"EncryptionFailure", "EncryptionFailureException"}:
        return StoreError(message, "see that the KMS key in store.kms_key is enabled, and that its policy allows this")
    return KmsError(
        message,
        _denied(operation, secret, f"arn:{partition}:secretsmanager:{region}")
        if code in _DENIED
        else _HINTS.get(code, ""),
        trouble=Trouble.TRANSIENT if code in _TRANSIENT or status >= _SERVER_ERRORS else Trouble.PERMANENT,
        operation=operation,
        region=region,
        code=code,
        request_id=request_id,
    )


def deletion(secret: str, region: str) -> EntryError:
    """Say that a secret is scheduled for deletion, and how to keep it."""
    return EntryError(
        f"the secret {secret} in {region} is scheduled for deletion: within 7 to 30 days its content is gone",
        f"aws secretsmanager restore-secret --region {region} --secret-id {secret} - and find out who wanted that",
    )


def unanswered(error: Exception, operation: str, secret: str, region: str) -> KmsError:
    """Judge a call that got no readable answer: it may have had its effect, unless it was not sent."""
    why = unreached(error)
    # What the SDK says of a parameter, or of a body, quotes it.
    quotes = not isinstance(error, BotoConnectionError | HTTPClientError | InvalidProxiesConfigError | NO_CREDENTIALS)
    said = f"the answer cannot be read ({type(error).__name__})" if quotes else why.said
    hint = "check the network, and endpoints in the environment; then run again" if why.passing else ""
    return KmsError(
        f"secretsmanager:{operation} on {secret} in {region} {'got no answer' if why.sent else 'was not sent'}: {said}",
        why.hint or hint,
        trouble=Trouble.TRANSIENT if why.passing else Trouble.PERMANENT,
        operation=operation,
        region=region,
        code=type(error).__name__,
    )


def unseen(secret: str, region: str) -> KmsError:
    """Say that a secret which is known to be there does not show: reads may lag behind CreateSecret."""
    return KmsError(
        f"the secret {secret} in {region} was there a moment ago, and does not show",
        "run again; if it stays away, ask CloudTrail for DeleteSecret",
        trouble=Trouble.TRANSIENT,
        operation="GetSecretValue",
        region=region,
        code="ResourceNotFoundException",
    )


def _denied(operation: str, secret: str, place: str) -> str:
    arn = "*" if operation in {"ListSecrets", "BatchGetSecretValue"} else f"{place}:ACCOUNT:secret:{secret}-??????"
    return f"grant secretsmanager:{operation} on {arn} (mrk policy prints the statements), then run again"


def _decryption(region: str) -> str:
    return (
        f"see that the KMS key of this secret in {region} is enabled and not being deleted, and that its policy lets"
        " this role decrypt through Secrets Manager"
    )
