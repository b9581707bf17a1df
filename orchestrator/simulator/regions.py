"""The AWS Regions and partitions, as botocore's endpoint data lists them."""

from collections.abc import Mapping
from functools import cache

import botocore.session

from orchestrator.simulator.errors import ServiceError


def partition_of(region: str) -> str:
    """Return the partition of a Region that has KMS."""
    return known_regions()[region]


@cache
def known_regions() -> Mapping[str, str]:
    """Return every Region that has KMS, with its partition."""
    session = botocore.session.get_session()
    return {
        region: partition
        for partition in session.get_available_partitions()
        for region in session.get_available_regions("kms", partition)
    }


def require_region(region: str) -> None:
    """Refuse a Region that AWS does not have.

    AWS has no endpoint there; this is its answer to a request signed for another Region than the endpoint's,
    with the Region named.
    """
    if region not in known_regions():
        message = f"Credential should be scoped to a valid region, not '{region}'."
        raise ServiceError("InvalidSignatureException", message)
