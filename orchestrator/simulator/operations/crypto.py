"""What every cryptographic operation checks: usage, algorithm, DryRun, and what is not simulated."""

from orchestrator.simulator.errors import ServiceError, not_simulated
from orchestrator.simulator.request import Request
from orchestrator.simulator.rules import require_state
from orchestrator.simulator.view import KeyView

_DRY = "The request would have succeeded, but the DryRun option is set."


def key_for(request: Request, usage: str, algorithm: str, name: str = "KeyId") -> KeyView:
    """Return the key to work with: state before usage before algorithm, as recorded."""
    view = request.usable_key(name)
    require_fit(view, request, usage, algorithm)
    return view


def require_fit(view: KeyView, request: Request, usage: str, algorithm: str) -> None:
    """Refuse a key that is made for something else, or that does not have the algorithm."""
    if view.keys.usage != usage:
        message = f"{view.arn} key usage is {view.keys.usage} which is not valid for {request.operation}."
        raise ServiceError("InvalidKeyUsageException", message)
    if algorithm not in view.algorithms:
        message = f"Algorithm {algorithm} is incompatible with key spec {view.keys.spec}."
        raise ServiceError("InvalidKeyUsageException", message)


def require_usable(view: KeyView, request: Request) -> None:
    """Refuse a key whose state does not allow the operation."""
    require_state(view, request.operation)


def finish_dry_run(request: Request) -> None:
    """End a DryRun request, which is validated in full, without its answer."""
    if request.params.get("DryRun"):
        raise ServiceError("DryRunOperationException", _DRY)


def require_plain(request: Request) -> None:
    """Refuse attested requests of enclaves, which are not simulated."""
    if "Recipient" in request.params:
        raise not_simulated(f"{request.operation} with Recipient")
