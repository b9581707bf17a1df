"""The errors that the simulated service answers with; messages are AWS's own wherever they are known."""

from collections.abc import Mapping


class ServiceError(Exception):
    """An answer other than success: an error code as on the wire, its message and its HTTP status."""

    def __init__(self, code: str, message: str = "", *, status: int = 400) -> None:
        super().__init__(f"{code}: {message}" if message else code)
        self.code = code
        self.message = message
        self.status = status


STATUS: Mapping[str, int] = {
    "KMSInternalException": 500,
    "DependencyTimeoutException": 500,
    "KeyUnavailableException": 500,
    "InternalFailure": 500,
    "ServiceUnavailable": 503,
    "ServiceUnavailableException": 503,
}
"""The HTTP status of error codes that are not the caller's fault; all others are 400."""

THROTTLED = "You have exceeded the rate at which you may call KMS. Reduce the frequency of your calls."


class ClockNotOwnedError(RuntimeError):
    """Raised when the simulator is told to change a clock that was handed to it by its user."""


def invalid(message: str) -> ServiceError:
    """Return the error for input that the service's own rules refuse."""
    return ServiceError("ValidationException", message)


def not_found(message: str) -> ServiceError:
    """Return the error for a key, alias or arn that does not exist where it was looked for."""
    return ServiceError("NotFoundException", message)


def invalid_state(message: str) -> ServiceError:
    """Return the error for a key whose state does not allow the request."""
    return ServiceError("KMSInvalidStateException", message)


def unsupported(message: str = "") -> ServiceError:
    """Return the error for a kind of key that does not know the operation (message empty: wrong key family)."""
    return ServiceError("UnsupportedOperationException", message)


def not_simulated(what: str) -> ServiceError:
    """Return the error for what AWS can do and the simulator cannot; 501, which no SDK retries."""
    return ServiceError("NotSimulatedException", f"{what} is not simulated; see docs/simulator.md", status=501)
