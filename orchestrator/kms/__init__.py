"""KMS over boto3: the only package that knows boto3."""

from orchestrator.kms.factory import KmsFactory, KmsOptions

__all__ = ["KmsFactory", "KmsOptions"]
