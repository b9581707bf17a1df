"""What kind of key this is: only symmetric keys with imported key material can be rotated with new material. Pure."""

from orchestrator.model import Block, Reason, RegionView, Step, View


def right_kind(view: View) -> list[Step]:
    """Only symmetric keys with imported key material can be rotated with new material."""
    for seen in view.regions.values():
        if seen.origin != "EXTERNAL":
            return [_not_external(seen)]
        if seen.key_spec != "SYMMETRIC_DEFAULT":
            message = (
                f"{seen.arn} is of spec {seen.key_spec}: KMS rotates imported key material of symmetric keys alone"
            )
            way = "take it out of the config; to rotate it, make a new key and move its users"
            return [Block(Reason.NOT_SYMMETRIC, message, way, seen.region)]
    return []


_MADE_BY = {
    "AWS_KMS": "KMS made its key material",
    "AWS_CLOUDHSM": "its key material is in an AWS CloudHSM cluster",
    "EXTERNAL_KEY_STORE": "its key material is in an external key store",
}


def _not_external(seen: RegionView) -> Block:
    """Say where key material is that mrk neither sees nor makes, and how such a key is rotated."""
    where = _MADE_BY.get(seen.origin, "its key material was not imported")
    message = f"{seen.arn} has Origin {seen.origin}: {where}, and mrk rotates imported key material alone"
    call = f"aws kms rotate-key-on-demand --region {seen.region} --key-id {seen.arn.key_id}"
    by_kms = seen.origin == "AWS_KMS" and seen.key_spec == "SYMMETRIC_DEFAULT"
    rotate = call if by_kms else "make a new key and move its users"
    return Block(Reason.NOT_EXTERNAL, message, f"take it out of the config; to rotate it: {rotate}", seen.region)
