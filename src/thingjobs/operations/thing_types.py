"""Operations on thing types."""

from __future__ import annotations

from dataclasses import replace

from thingjobs.domain import registry
from thingjobs.domain.arn import thing_type_arn
from thingjobs.domain.errors import InvalidRequest, ResourceAlreadyExists
from thingjobs.domain.model import Scope, ThingType
from thingjobs.domain.timestamps import epoch_seconds
from thingjobs.operations.call import Call
from thingjobs.operations.pages_by_name import page_by_name
from thingjobs.operations.tags import MISSING_VALUE_IN_REGISTRY, check_tags
from thingjobs.store.tx import Tx
from thingjobs.wire.shapes import iot


def create_thing_type(call: Call, tx: Tx, request: iot.CreateThingTypeRequest) -> iot.CreateThingTypeResponse:
    tags = check_tags(call, request.tags, missing_value_message=MISSING_VALUE_IN_REGISTRY)
    properties = _given(request.thing_type_properties)
    searchable = tuple(properties.searchable_attributes or ())
    registry.check_searchable_attributes(searchable, call.quotas)
    name = request.thing_type_name
    arn = thing_type_arn(call.scope, name)
    present = tx.thing_types.find(call.scope.id, name)
    if present is None:
        thing_type = ThingType(
            name, call.new_id(), properties.thing_type_description, searchable, call.now, deprecated_at=None
        )
        tx.thing_types.insert(call.scope.id, thing_type)
        tx.tags.replace(call.scope.id, arn, tags)
    else:
        thing_type = present
        same = (
            present.description == properties.thing_type_description
            and set(present.searchable_attributes) == set(searchable)
            and dict(tx.tags.list(call.scope.id, arn)) == dict(tags)
        )
        if not same:
            raise ResourceAlreadyExists(
                f"Thing Type {name} already exists in current account with different properties",
                present.thing_type_id,
                arn,
            )
    return iot.CreateThingTypeResponse(
        thing_type_name=name, thing_type_arn=arn, thing_type_id=thing_type.thing_type_id
    )


def describe_thing_type(
    call: Call, tx: Tx, request: iot.DescribeThingTypeRequest
) -> iot.DescribeThingTypeResponse:
    thing_type = _find(call.scope, tx, request.thing_type_name)
    return iot.DescribeThingTypeResponse(
        thing_type_name=thing_type.name,
        thing_type_id=thing_type.thing_type_id,
        thing_type_arn=thing_type_arn(call.scope, thing_type.name),
        thing_type_properties=_properties(thing_type),
        thing_type_metadata=_metadata(thing_type),
    )


def list_thing_types(call: Call, tx: Tx, request: iot.ListThingTypesRequest) -> iot.ListThingTypesResponse:
    name = request.thing_type_name
    page = page_by_name("ListThingTypes", {"thingTypeName": name}, request.next_token, request.max_results)
    if name is None:
        rows = tx.thing_types.page(call.scope.id, after=page.after, limit=page.limit + 1)
    else:
        named = tx.thing_types.find(call.scope.id, name)
        rows = [named] if named is not None else []
    shown, next_token = page.cut(rows, lambda thing_type: thing_type.name)
    return iot.ListThingTypesResponse(
        thing_types=[
            iot.ThingTypeDefinition(
                thing_type_name=thing_type.name,
                thing_type_arn=thing_type_arn(call.scope, thing_type.name),
                thing_type_properties=_properties(thing_type),
                thing_type_metadata=_metadata(thing_type),
            )
            for thing_type in shown
        ],
        next_token=next_token,
    )


def update_thing_type(call: Call, tx: Tx, request: iot.UpdateThingTypeRequest) -> None:
    """Members that are not given stay as they are (unverified)."""
    before = _find(call.scope, tx, request.thing_type_name)
    properties = _given(request.thing_type_properties)
    after = before
    if properties.thing_type_description is not None:
        after = replace(after, description=properties.thing_type_description)
    if properties.searchable_attributes is not None:
        registry.check_searchable_attributes(properties.searchable_attributes, call.quotas)
        after = replace(after, searchable_attributes=tuple(properties.searchable_attributes))
    tx.thing_types.save(call.scope.id, after)


def deprecate_thing_type(call: Call, tx: Tx, request: iot.DeprecateThingTypeRequest) -> None:
    """Deprecating again does not begin the wait before deletion anew (unverified)."""
    before = _find(call.scope, tx, request.thing_type_name)
    if request.undo_deprecate:
        tx.thing_types.save(call.scope.id, replace(before, deprecated_at=None))
    elif before.deprecated_at is None:
        tx.thing_types.save(call.scope.id, replace(before, deprecated_at=call.now))


def delete_thing_type(call: Call, tx: Tx, request: iot.DeleteThingTypeRequest) -> None:
    thing_type = tx.thing_types.find(call.scope.id, request.thing_type_name)
    if thing_type is None:
        return
    in_use = tx.thing_types.is_in_use(call.scope.id, thing_type.name)
    registry.check_type_deletable(thing_type, in_use=in_use, quotas=call.quotas, now=call.now)
    tx.thing_types.delete(call.scope.id, thing_type.name)
    tx.tags.delete_all(call.scope.id, thing_type_arn(call.scope, thing_type.name))


def _find(scope: Scope, tx: Tx, name: str) -> ThingType:
    thing_type = tx.thing_types.find(scope.id, name)
    if thing_type is None:
        raise registry.thing_type_not_found(scope.account, name)
    return thing_type


def _given(properties: iot.ThingTypeProperties | None) -> iot.ThingTypeProperties:
    if properties is None:
        return iot.ThingTypeProperties()
    if properties.mqtt5_configuration is not None:
        # To accept it and do nothing would lose messages' properties without a word.
        raise InvalidRequest("mqtt5Configuration is not supported")
    return properties


def _properties(thing_type: ThingType) -> iot.ThingTypeProperties:
    return iot.ThingTypeProperties(
        thing_type_description=thing_type.description,
        searchable_attributes=list(thing_type.searchable_attributes),
    )


def _metadata(thing_type: ThingType) -> iot.ThingTypeMetadata:
    return iot.ThingTypeMetadata(
        deprecated=thing_type.deprecated_at is not None,
        deprecation_date=epoch_seconds(thing_type.deprecated_at),
        creation_date=epoch_seconds(thing_type.created_at),
    )
