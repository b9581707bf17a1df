"""The Regions that AWS has, as botocore knows them."""

import difflib
from collections.abc import Iterable

from botocore.loaders import create_loader

from orchestrator.errors import UsageError


def check_regions(partition: str, regions: Iterable[str]) -> None:
    """Refuse a Region that the partition does not have; raises UsageError, with those that may be meant."""
    known = _known(partition)
    for region in regions:
        if region not in known:
            close = difflib.get_close_matches(region, sorted(known))
            meant = f"did you mean {' or '.join(close)}? " if close else ""
            hint = (
                f"{meant}A Region that is newer than this botocore: take a newer mrk, or in a clone: make lock install"
            )
            raise UsageError(f"{region} is no Region of the partition {partition}", hint)


def _known(partition: str) -> frozenset[str]:
    found = create_loader().load_data("partitions")["partitions"]
    return frozenset(region for one in found if one["id"] == partition for region in one["regions"])
