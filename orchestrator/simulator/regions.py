"""The AWS Regions and partitions, as botocore's endpoint data lists them."""

from collections.abc import Mapping
from functools import cache

import botocore.session

_PREFIXES = {"cn-": "aws-cn", "us-gov-": "aws-us-gov"}


def partition_of(region: str) -> str:
    """Return the partition that a Region's name belongs to."""
    return next((name for prefix, name in _PREFIXES.items() if region.startswith(prefix)), "aws")


@cache
def known_regions() -> Mapping[str, str]:
    """Return every Region that has KMS, with its partition."""
    session = botocore.session.get_session()
    return {
        region: partition
        for partition in ("aws", "aws-cn", "aws-us-gov")
        for region in session.get_available_regions("kms", partition)
    }
