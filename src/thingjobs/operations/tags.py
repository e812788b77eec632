"""Operations on tags, and the check of tags that come with a new resource.

Things and certificates cannot be tagged. What has a tag is named by its ARN; a deleted resource loses its
tags, so that a namesake starts without.
"""

from __future__ import annotations

from collections.abc import Sequence

from thingjobs.domain.arn import Arn, parse_arn
from thingjobs.domain.errors import InvalidRequest, JobNotFound, ResourceNotFound
from thingjobs.domain.registry import FOREIGN_ACCOUNT, INVALID_ARN
from thingjobs.operations.call import Call
from thingjobs.store.tx import Tx
from thingjobs.wire.shapes import iot

TAGGABLE = frozenset({"job", "jobtemplate", "thinggroup", "thingtype", "policy"})
NOT_TAGGABLE = frozenset({"thing", "cert"})

INVALID_INPUT = "Invalid request exception. Please check the input."
MISSING_VALUE_IN_REGISTRY = "All tags in request should have keys and values."
_TOO_MANY = "Too many tags provided in the request. Please check the input."
_NONE_GIVEN = "The validated collection is empty"


def check_tags(
    call: Call, tags: Sequence[iot.Tag] | None, *, missing_value_message: str
) -> tuple[tuple[str, str], ...]:
    """The keys and values to store, the last of a repeated key. Errors: InvalidRequest."""
    checked: dict[str, str] = {}
    for tag in tags or ():
        if tag.key.lower().startswith("aws:"):
            raise InvalidRequest(f'Tags cannot begin with "aws:", offending tag: {tag.key}')
        if tag.value is None:
            raise InvalidRequest(missing_value_message)
        checked[tag.key] = tag.value
    if len(checked) > call.quotas.tags_per_resource:
        raise InvalidRequest(_TOO_MANY)
    return tuple(checked.items())


def tag_resource(call: Call, tx: Tx, request: iot.TagResourceRequest) -> None:
    if not request.tags:
        raise InvalidRequest(_NONE_GIVEN)
    tags = check_tags(call, request.tags, missing_value_message=INVALID_INPUT)
    resource = _existing_resource(call, tx, request.resource_arn)
    together = {key for key, _ in (*tx.tags.list(call.scope.id, resource), *tags)}
    if len(together) > call.quotas.tags_per_resource:
        raise InvalidRequest(_TOO_MANY)
    tx.tags.put(call.scope.id, resource, tags)


def untag_resource(call: Call, tx: Tx, request: iot.UntagResourceRequest) -> None:
    if not request.tag_keys:
        raise InvalidRequest(_NONE_GIVEN)
    resource = _existing_resource(call, tx, request.resource_arn)
    tx.tags.delete(call.scope.id, resource, request.tag_keys)


def list_tags_for_resource(
    call: Call, tx: Tx, request: iot.ListTagsForResourceRequest
) -> iot.ListTagsForResourceResponse:
    """All in one page; a resource that is missing, or in another region, has none."""
    resource = str(_taggable(call, request.resource_arn))
    tags = tx.tags.list(call.scope.id, resource)
    return iot.ListTagsForResourceResponse(tags=[iot.Tag(key=key, value=value) for key, value in tags])


def _taggable(call: Call, resource_arn: str) -> Arn:
    arn = parse_arn(resource_arn)
    if arn is None or arn.kind not in TAGGABLE | NOT_TAGGABLE:
        raise InvalidRequest(INVALID_ARN)
    if arn.account != call.scope.account:
        raise InvalidRequest(FOREIGN_ACCOUNT)
    if arn.kind in NOT_TAGGABLE:
        raise InvalidRequest(f"Invalid resource type in ARN: {arn.kind}")
    return arn


def _existing_resource(call: Call, tx: Tx, resource_arn: str) -> str:
    """The ARN, of a resource that can be tagged and exists here. Errors: InvalidRequest, ResourceNotFound."""
    arn = _taggable(call, resource_arn)
    if not arn.is_in(call.scope):
        raise InvalidRequest(INVALID_INPUT)
    match arn.kind:
        case "job":
            if not tx.jobs.exists(call.scope.id, arn.name):
                raise JobNotFound(arn.name)
        case "thinggroup":
            if tx.groups.find(call.scope.id, arn.name) is None:
                raise ResourceNotFound(f"Thing Group {arn.name} does not exist.")
        case "thingtype":
            if tx.thing_types.find(call.scope.id, arn.name) is None:
                raise ResourceNotFound(f"Thing Type {arn.name} does not exist.")
        case "jobtemplate":
            if not tx.job_templates.exists(call.scope.id, arn.name):
                raise ResourceNotFound(f"Job Template {arn.name} cannot be found.")
        case _:
            raise ResourceNotFound("This resource is not found")
    return str(arn)
