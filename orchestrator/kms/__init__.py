"""KMS over boto3, and the clients of other services that are reached alike."""

from orchestrator.kms.credentials import check_environment
from orchestrator.kms.endpoints import endpoint_class
from orchestrator.kms.factory import KmsFactory, check_endpoints
from orchestrator.kms.regions import check_regions
from orchestrator.kms.sessions import KmsOptions
from orchestrator.kms.simulated import simulator_here, time_ahead

__all__ = [
    "KmsFactory",
    "KmsOptions",
    "check_endpoints",
    "check_environment",
    "check_regions",
    "endpoint_class",
    "simulator_here",
    "time_ahead",
]
