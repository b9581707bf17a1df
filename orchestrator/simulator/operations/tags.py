"""Tags, per Region."""

from dataclasses import replace
from typing import Any

from orchestrator.simulator.errors import ServiceError
from orchestrator.simulator.pages import page
from orchestrator.simulator.request import Request

_MOST = 50


def tags_from(params: dict[str, Any]) -> dict[str, str]:
    """Return the tags of a request; TagException as AWS words it."""
    pairs = [(tag["TagKey"], tag["TagValue"]) for tag in params.get("Tags", [])]
    if len({key for key, _ in pairs}) != len(pairs):
        raise ServiceError("TagException", "Duplicate tag keys")
    if any(key.lower().startswith("aws:") for key, _ in pairs):
        raise ServiceError("TagException", "Tags beginning with aws: are reserved")
    return _limited(dict(pairs))


def tag_resource(request: Request) -> dict[str, Any]:
    """Add tags, or change their values."""
    view = request.usable_key()
    tags = _limited({**view.member.tags, **tags_from(request.params)})
    request.put(request.truth(view).with_member(replace(view.member, tags=tags)))
    return {}


def untag_resource(request: Request) -> dict[str, Any]:
    """Remove tags; ones that are not there do not matter."""
    view = request.usable_key()
    gone = set(request.params["TagKeys"])
    tags = {key: value for key, value in view.member.tags.items() if key not in gone}
    request.put(request.truth(view).with_member(replace(view.member, tags=tags)))
    return {}


def list_resource_tags(request: Request) -> dict[str, Any]:
    """List the tags of a key in this Region."""
    tags = [{"TagKey": key, "TagValue": value} for key, value in request.key().member.tags.items()]
    some, paging = page(request.params, tags, default=50, most=50)
    return {"Tags": list(some), **paging}


def _limited(tags: dict[str, str]) -> dict[str, str]:
    if len(tags) > _MOST:
        raise ServiceError("TagException", "Too many tags")
    return tags


OPERATIONS = {
    "TagResource": tag_resource,
    "UntagResource": untag_resource,
    "ListResourceTags": list_resource_tags,
}
