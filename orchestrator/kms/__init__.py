"""KMS over boto3, and the clients of other services that are reached alike."""

from orchestrator.kms.credentials import check_environment, watched
from orchestrator.kms.factory import KmsFactory, KmsOptions, check_endpoint, endpoint_class
from orchestrator.kms.regions import check_regions

__all__ = [
    "KmsFactory",
    "KmsOptions",
    "check_endpoint",
    "check_environment",
    "check_regions",
    "endpoint_class",
    "watched",
]
