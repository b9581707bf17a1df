"""What KMS must answer where a key is as a plan has it: JMESPath for the aws command, as words of a shell script.

An answer is compared where it is read, by the aws command; the shell sees nothing of it but `true`.
"""

import json
import re
import shlex
from collections.abc import Iterable
from datetime import UTC

from orchestrator.effects import NEW_ID
from orchestrator.model import MaterialRow, MaterialState, Region, RegionView, View

_ID = re.compile("[0-9a-f]{64}")
_REGION = re.compile(r"[a-z]{2,}(-[a-z]+)+-[0-9]+")
_NEW = "{new}"
_PENDING = (MaterialState.PENDING_ROTATION, MaterialState.PENDING_REPLICAS)


def strange(view: View) -> str:
    """Name what KMS told as an id or a Region and is neither: it must not become part of a command."""
    regions = {*view.regions, *view.members}
    ids = {row.material_id for seen in view.regions.values() for row in seen.rows}
    found = [one for one in regions if not _REGION.fullmatch(one)]
    return next(iter([*found, *(one for one in ids if not _ID.fullmatch(one))]), "")


def material(text: str | None) -> str:
    """Write a material's id as one word; that of new material is in the script's variable."""
    return '"$new_id"' if text in {None, NEW_ID} else shlex.quote(str(text))


def looks(view: View, regions: Iterable[Region], *, ready: bool = False) -> list[str]:
    """Write the look at each Region, which is true where the key there is as in `view`; `ready` to be rotated, too."""
    return [_look(view.regions[region], ready=ready) for region in sorted(regions) if region in view.regions]


def _look(seen: RegionView, *, ready: bool) -> str:
    queries = [_described(seen), _listed(seen, ready=ready)]
    if seen.is_primary and seen.rotation_started_at is None:
        queries.append("!OnDemandRotationStartDate")
    words = [shlex.quote(seen.region), shlex.quote(str(seen.arn)), *map(_word, queries)]
    return f"  look {' '.join(words)}"


def _word(query: str) -> str:
    """Quote a query, all of it but the id that only the running script knows."""
    return shlex.quote(query).replace(_NEW, "'\"$new_id\"'")


def _described(seen: RegionView) -> str:
    if not seen.multi_region:
        return f"KeyMetadata.[KeyState, MultiRegion] == {_literal([seen.key_state, False])}"
    config = "MultiRegionConfiguration"
    told = f"KeyState, {config}.PrimaryKey.Region, sort({config}.ReplicaKeys[].Region)"
    return f"KeyMetadata.[{told}] == {_literal([seen.key_state, seen.primary, sorted(seen.members - {seen.primary})])}"


def _listed(seen: RegionView, *, ready: bool) -> str:
    """Require just these materials, each in its state, with its bytes there or not, and with its expiry."""
    count = _literal(len(seen.rows))
    alike = " ||\n    ".join(_row(row, seen, ready=ready) for row in seen.rows) or "`false`"
    return f"length(Rotations) == {count} && length(Rotations[?\n    {alike}]) == {count}"


def _row(row: MaterialRow, seen: RegionView, *, ready: bool) -> str:
    """Compare one row; a replica may tell late, and a primary before it is `ready`, what pending material waits for."""
    exact = row.permanent or (ready and seen.is_primary)
    states = (row.state,) if exact else _PENDING
    name = _NEW if row.material_id == NEW_ID else row.material_id
    imported = "IMPORTED" if row.imported else "PENDING_IMPORT"
    told = [f"[KeyMaterialId, KeyMaterialState, ImportState] == {_literal([name, one, imported])}" for one in states]
    return f"({' || '.join(told)}) && {_expires(row)}"


def _expires(row: MaterialRow) -> str:
    """Compare the expiry, to the second: the aws command tells times in one of two ways, as it is configured."""
    if row.valid_to is None:
        return "!ValidTo"
    at = row.valid_to.astimezone(UTC)
    told = (f"{at:%Y-%m-%dT%H:%M:%S}", str(int(at.timestamp())))
    return f"({' || '.join(f'starts_with(to_string(ValidTo), {_literal(one)})' for one in told)})"


def _literal(value: object) -> str:
    """Write a literal of JMESPath, which a backtick would end."""
    return "`" + json.dumps(value).replace("`", "\\u0060") + "`"
