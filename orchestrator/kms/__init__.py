"""KMS over boto3, and the clients of other services that are reached alike."""

from orchestrator.kms.factory import KmsFactory, KmsOptions, endpoint_class

__all__ = ["KmsFactory", "KmsOptions", "endpoint_class"]
