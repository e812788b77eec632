"""Operations on things."""

from __future__ import annotations

from thingjobs.domain import registry
from thingjobs.domain.arn import thing_arn
from thingjobs.domain.errors import InvalidRequest, ResourceAlreadyExists, ResourceNotFound
from thingjobs.domain.model import Scope, Thing
from thingjobs.operations.call import Call
from thingjobs.operations.job_executions import remove_executions_of_thing
from thingjobs.operations.pages_by_name import page_by_name
from thingjobs.store.tx import Tx
from thingjobs.wire.shapes import iot

MAX_SCANNED = 5_000
"""Things one ListThings with an attribute filter looks at: its page may be short, yet not the last."""
SCANNED_AT_ONCE = 500


def create_thing(call: Call, tx: Tx, request: iot.CreateThingRequest) -> iot.CreateThingResponse:
    if request.billing_group_name is not None:
        # Billing groups are not served, so none exists.
        raise ResourceNotFound(f"Billing Group {call.scope.account}:{request.billing_group_name} not found.")
    payload = request.attribute_payload or iot.AttributePayload()
    attributes = registry.with_attributes({}, payload.attributes, merge=False)
    present = tx.things.find(call.scope.id, request.thing_name)
    if present is not None:
        if (present.type_name, present.attributes) != (request.thing_type_name, attributes):
            raise ResourceAlreadyExists(
                f"Thing {present.name} already exists in current account with different properties",
                present.thing_id,
                thing_arn(call.scope, present.name),
            )
        return _created(call.scope, present.name, present.thing_id)
    if request.thing_type_name is not None:
        _check_type(call.scope, tx, request.thing_type_name)
    registry.check_thing_attributes(attributes, request.thing_type_name, call.quotas)
    thing_id = call.new_id()
    tx.things.insert(
        call.scope.id,
        request.thing_name,
        thing_id=thing_id,
        type_name=request.thing_type_name,
        attributes=attributes,
    )
    return _created(call.scope, request.thing_name, thing_id)


def describe_thing(call: Call, tx: Tx, request: iot.DescribeThingRequest) -> iot.DescribeThingResponse:
    thing = tx.things.find(call.scope.id, request.thing_name)
    if thing is None:
        raise ResourceNotFound(f"Thing {call.scope.account}:{request.thing_name} not found.")
    return iot.DescribeThingResponse(
        default_client_id=thing.name,
        thing_name=thing.name,
        thing_id=thing.thing_id,
        thing_arn=thing_arn(call.scope, thing.name),
        thing_type_name=thing.type_name,
        attributes=dict(thing.attributes),
        version=thing.version,
    )


def update_thing(call: Call, tx: Tx, request: iot.UpdateThingRequest) -> None:
    before = tx.things.find(call.scope.id, request.thing_name)
    if before is None:
        raise ResourceNotFound(f"Thing {request.thing_name} not found.")
    registry.check_thing_version(before, request.expected_version)
    if request.thing_type_name not in (None, before.type_name):
        _check_type(call.scope, tx, request.thing_type_name)
    payload = request.attribute_payload or iot.AttributePayload()
    after = registry.update_thing(
        before,
        type_name=request.thing_type_name,
        removes_type=bool(request.remove_thing_type),
        attributes=payload.attributes,
        merge=bool(payload.merge),
        quotas=call.quotas,
    )
    tx.things.save(after, was=before.version)


def delete_thing(call: Call, tx: Tx, request: iot.DeleteThingRequest) -> None:
    thing = tx.things.find(call.scope.id, request.thing_name)
    if thing is None:
        return
    registry.check_thing_version(thing, request.expected_version)
    remove_executions_of_thing(tx, thing.key, call.now)
    tx.groups.forget_thing(thing.key)
    tx.things.delete(thing.key)


def list_things(call: Call, tx: Tx, request: iot.ListThingsRequest) -> iot.ListThingsResponse:
    if request.attribute_value is not None and request.attribute_name is None:
        raise InvalidRequest("attributeName must be specified together with attributeValue")
    page = page_by_name(
        "ListThings",
        {
            "attributeName": request.attribute_name,
            "attributeValue": request.attribute_value,
            "thingTypeName": request.thing_type_name,
            "usePrefixAttributeValue": request.use_prefix_attribute_value,
        },
        request.next_token,
        request.max_results,
    )
    chunk = page.limit + 1 if request.attribute_name is None else SCANNED_AT_ONCE
    found: list[Thing] = []
    after = page.after
    for _ in range(MAX_SCANNED // SCANNED_AT_ONCE):
        rows = tx.things.page(call.scope.id, type_name=request.thing_type_name, after=after, limit=chunk)
        found += [thing for thing in rows if _matches(thing, request)]
        if len(rows) < chunk or len(found) > page.limit:
            shown, next_token = page.cut(found, lambda thing: thing.name)
            break
        after = rows[-1].name
    else:
        shown, next_token = found, page.token_behind(after)
    return iot.ListThingsResponse(
        things=[
            iot.ThingAttribute(
                thing_name=thing.name,
                thing_type_name=thing.type_name,
                thing_arn=thing_arn(call.scope, thing.name),
                attributes=dict(thing.attributes),
                version=thing.version,
            )
            for thing in shown
        ],
        next_token=next_token,
    )


def _matches(thing: Thing, request: iot.ListThingsRequest) -> bool:
    if request.attribute_name is None:
        return True
    value = thing.attributes.get(request.attribute_name)
    if value is None or request.attribute_value is None:
        return value is not None
    if request.use_prefix_attribute_value:
        return value.startswith(request.attribute_value)
    return value == request.attribute_value


def _check_type(scope: Scope, tx: Tx, name: str) -> None:
    """Errors: ResourceNotFound, InvalidRequest if the type is deprecated."""
    thing_type = tx.thing_types.find(scope.id, name)
    if thing_type is None:
        raise registry.thing_type_not_found(scope.account, name)
    registry.check_type_assignable(thing_type)


def _created(scope: Scope, name: str, thing_id: str) -> iot.CreateThingResponse:
    return iot.CreateThingResponse(thing_name=name, thing_arn=thing_arn(scope, name), thing_id=thing_id)
