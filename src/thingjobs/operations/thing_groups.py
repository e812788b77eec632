"""Operations on thing groups and on which things are in them."""

from __future__ import annotations

from thingjobs.domain import registry
from thingjobs.domain.arn import thing_group_arn
from thingjobs.domain.effects import WorkDue
from thingjobs.domain.errors import InvalidRequest, ResourceAlreadyExists, ResourceNotFound
from thingjobs.domain.model import Scope, Thing, ThingGroup
from thingjobs.domain.paging import Filters, decode_token, encode_token
from thingjobs.domain.registry import THING, THING_GROUP, name_of
from thingjobs.domain.timestamps import epoch_seconds
from thingjobs.operations import following
from thingjobs.operations.call import Call
from thingjobs.operations.pages_by_name import DEFAULT_PAGE, page_by_name
from thingjobs.operations.tags import MISSING_VALUE_IN_REGISTRY, check_tags
from thingjobs.store.tx import Tx
from thingjobs.wire.shapes import iot

# --- groups -------------------------------------------------------------------------------------


def create_thing_group(
    call: Call, tx: Tx, request: iot.CreateThingGroupRequest
) -> iot.CreateThingGroupResponse:
    tags = check_tags(call, request.tags, missing_value_message=MISSING_VALUE_IN_REGISTRY)
    properties = request.thing_group_properties or iot.ThingGroupProperties()
    payload = properties.attribute_payload or iot.AttributePayload()
    attributes = registry.with_attributes({}, payload.attributes, merge=False)
    registry.check_group_attributes(attributes, call.quotas)
    name = request.thing_group_name
    arn = thing_group_arn(call.scope, name)
    present = tx.groups.find(call.scope.id, name)
    if present is None:
        group_id = call.new_id()
        tx.groups.insert(
            call.scope.id,
            name,
            group_id=group_id,
            parent=_parent(call, tx, request.parent_group_name),
            description=properties.thing_group_description,
            attributes=attributes,
            now=call.now,
        )
        tx.tags.replace(call.scope.id, arn, tags)
    else:
        group_id = present.group_id
        above = tx.groups.ancestors(present.key)
        if (present.description, present.attributes, above[-1] if above else None) != (
            properties.thing_group_description,
            attributes,
            request.parent_group_name,
        ):
            raise ResourceAlreadyExists(
                f"Thing Group {name} already exists in current account with different properties", None, None
            )
        if dict(tx.tags.list(call.scope.id, arn)) != dict(tags):
            raise ResourceAlreadyExists(
                f"Resource {arn} already exists in current account with different properties", None, None
            )
    return iot.CreateThingGroupResponse(thing_group_name=name, thing_group_arn=arn, thing_group_id=group_id)


def describe_thing_group(
    call: Call, tx: Tx, request: iot.DescribeThingGroupRequest
) -> iot.DescribeThingGroupResponse:
    group = tx.groups.find(call.scope.id, request.thing_group_name)
    if group is None:
        raise ResourceNotFound(f"ThingGroup {call.scope.account}:{request.thing_group_name} not found.")
    above = tx.groups.ancestors(group.key)
    return iot.DescribeThingGroupResponse(
        thing_group_name=group.name,
        thing_group_id=group.group_id,
        thing_group_arn=thing_group_arn(call.scope, group.name),
        version=group.version,
        thing_group_properties=iot.ThingGroupProperties(
            thing_group_description=group.description,
            attribute_payload=iot.AttributePayload(attributes=dict(group.attributes)),
        ),
        thing_group_metadata=iot.ThingGroupMetadata(
            parent_group_name=above[-1] if above else None,
            root_to_parent_thing_groups=[_reference(call.scope, name) for name in above],
            creation_date=epoch_seconds(group.created_at),
        ),
    )


def update_thing_group(
    call: Call, tx: Tx, request: iot.UpdateThingGroupRequest
) -> iot.UpdateThingGroupResponse:
    before = tx.groups.find(call.scope.id, request.thing_group_name)
    if before is None:
        raise ResourceNotFound(f"Group {request.thing_group_name} does not exist")
    registry.check_group_version(before, request.expected_version)
    payload = request.thing_group_properties.attribute_payload or iot.AttributePayload()
    after = registry.update_group(
        before,
        description=request.thing_group_properties.thing_group_description,
        attributes=payload.attributes,
        merge=bool(payload.merge),
        quotas=call.quotas,
    )
    tx.groups.save(after, was=before.version)
    return iot.UpdateThingGroupResponse(version=after.version)


def delete_thing_group(call: Call, tx: Tx, request: iot.DeleteThingGroupRequest) -> None:
    """The members leave at once, however many; their rows are freed in the background."""
    group = tx.groups.find(call.scope.id, request.thing_group_name)
    if group is None:
        return
    registry.check_group_version(group, request.expected_version)
    if tx.groups.count_children(group.key):
        raise InvalidRequest(
            f"Cannot delete thing group : {group.name} when there are still child groups attached to it"
        )
    tx.groups.delete(group.key)
    following.group_deleted(tx, group.key, call.now)
    tx.tags.delete_all(call.scope.id, thing_group_arn(call.scope, group.name))
    tx.record(WorkDue())


def list_thing_groups(call: Call, tx: Tx, request: iot.ListThingGroupsRequest) -> iot.ListThingGroupsResponse:
    """All groups; or the children of one, or with ``recursive`` all below it."""
    page = page_by_name(
        "ListThingGroups",
        {
            "parentGroup": request.parent_group,
            "namePrefixFilter": request.name_prefix_filter,
            "recursive": bool(request.recursive),
        },
        request.next_token,
        request.max_results,
    )
    prefix = request.name_prefix_filter or ""
    limit = page.limit + 1
    if request.parent_group is None:
        names = tx.groups.page(call.scope.id, prefix=prefix, after=page.after, limit=limit)
    else:
        parent = _find(call.scope, tx, request.parent_group).key
        below = tx.groups.descendants if request.recursive else tx.groups.children
        names = below(parent, prefix=prefix, after=page.after, limit=limit)
    shown, next_token = page.cut(names, str)
    return iot.ListThingGroupsResponse(
        thing_groups=[_reference(call.scope, name) for name in shown], next_token=next_token
    )


# --- members ------------------------------------------------------------------------------------


def add_thing_to_thing_group(call: Call, tx: Tx, request: iot.AddThingToThingGroupRequest) -> None:
    """``overrideDynamicGroups`` has nothing to act on: no thing is in a dynamic group."""
    account = call.scope.account
    group_name = name_of(THING_GROUP, request.thing_group_name, request.thing_group_arn, account=account)
    thing_name = name_of(THING, request.thing_name, request.thing_arn, account=account)
    group = _find(call.scope, tx, group_name)
    _join(call, tx, group, _thing(call.scope, tx, thing_name))


def remove_thing_from_thing_group(call: Call, tx: Tx, request: iot.RemoveThingFromThingGroupRequest) -> None:
    account = call.scope.account
    group_name = name_of(THING_GROUP, request.thing_group_name, request.thing_group_arn, account=account)
    thing_name = name_of(THING, request.thing_name, request.thing_arn, account=account)
    _leave(call, tx, group_name, _thing(call.scope, tx, thing_name))


def update_thing_groups_for_thing(call: Call, tx: Tx, request: iot.UpdateThingGroupsForThingRequest) -> None:
    """The thing leaves groups first and then joins, so that it can move within a hierarchy."""
    if request.thing_name is None:
        raise InvalidRequest(
            "1 validation error detected: Value null at 'thingName' failed to satisfy constraint: "
            "Member must not be null"
        )
    joined = [_find(call.scope, tx, name) for name in request.thing_groups_to_add or ()]
    thing = _thing(call.scope, tx, request.thing_name)
    for name in request.thing_groups_to_remove or ():
        _leave(call, tx, name, thing)
    for group in joined:
        _join(call, tx, group, thing)


def list_thing_groups_for_thing(
    call: Call, tx: Tx, request: iot.ListThingGroupsForThingRequest
) -> iot.ListThingGroupsForThingResponse:
    page = page_by_name(
        "ListThingGroupsForThing", {"thingName": request.thing_name}, request.next_token, request.max_results
    )
    thing = tx.things.find(call.scope.id, request.thing_name)
    if thing is None:
        raise ResourceNotFound("thing does not exist")
    names = tx.groups.page_of_thing(thing.key, after=page.after, limit=page.limit + 1)
    shown, next_token = page.cut(names, str)
    return iot.ListThingGroupsForThingResponse(
        thing_groups=[_reference(call.scope, name) for name in shown], next_token=next_token
    )


def list_things_in_thing_group(
    call: Call, tx: Tx, request: iot.ListThingsInThingGroupRequest
) -> iot.ListThingsInThingGroupResponse:
    """The group's own things by name; with ``recursive`` those of the groups below it behind them."""
    if request.recursive:
        return _list_things_below(call, tx, request)
    page = page_by_name(
        "ListThingsInThingGroup",
        {"thingGroupName": request.thing_group_name},
        request.next_token,
        request.max_results,
    )
    group = _find(call.scope, tx, request.thing_group_name)
    names = tx.groups.members(group.key, after=page.after, limit=page.limit + 1)
    shown, next_token = page.cut(names, str)
    return iot.ListThingsInThingGroupResponse(things=list(shown), next_token=next_token)


def _list_things_below(
    call: Call, tx: Tx, request: iot.ListThingsInThingGroupRequest
) -> iot.ListThingsInThingGroupResponse:
    filters: Filters = {"thingGroupName": request.thing_group_name, "recursive": True}
    depth, group_name, after = 0, "", ""
    if request.next_token is not None:
        depth, group_name, after = decode_token(
            "ListThingsInThingGroup", filters, request.next_token, (int, str, str)
        )
    limit = request.max_results or DEFAULT_PAGE
    root = _find(call.scope, tx, request.thing_group_name)
    members = tx.groups.walk(
        root.key, depth=depth, group_name=group_name, after_thing=after, limit=limit + 1, seq=None
    )
    next_token = None
    if len(members) > limit:
        last = members[limit - 1]
        next_token = encode_token(
            "ListThingsInThingGroup", filters, (last.depth, last.group_name, last.thing_name)
        )
    return iot.ListThingsInThingGroupResponse(
        things=[member.thing_name for member in members[:limit]], next_token=next_token
    )


# --- what they share ----------------------------------------------------------------------------


def _parent(call: Call, tx: Tx, name: str | None) -> ThingGroup | None:
    """The group below which a new one may be made. Errors: InvalidRequest."""
    if name is None:
        return None
    parent = tx.groups.find(call.scope.id, name)
    if parent is None:
        raise InvalidRequest(f"Cannot create group using non-existing group as parent : {name}")
    registry.check_may_have_child(parent, tx.groups.count_children(parent.key), call.quotas)
    return parent


def _find(scope: Scope, tx: Tx, name: str) -> ThingGroup:
    group = tx.groups.find(scope.id, name)
    if group is None:
        raise registry.group_to_use_not_found(scope.account, name)
    return group


def _thing(scope: Scope, tx: Tx, name: str) -> Thing:
    thing = tx.things.find(scope.id, name)
    if thing is None:
        raise ResourceNotFound(f"Thing {name} not found.")
    return thing


def _join(call: Call, tx: Tx, group: ThingGroup, thing: Thing) -> None:
    """Have the thing in the group; it may be in it already."""
    present = tx.groups.memberships(thing.key)
    if any(membership.group_key == group.key for membership in present):
        return
    root = group.key if group.parent_key is None else tx.groups.root(group.key)
    registry.check_may_join(thing.name, group.name, root, present, call.quotas)
    tx.groups.join(group.key, thing.key, thing.name)
    following.joined(tx, group.key, [(thing.key, thing.name)], call.now)


def _leave(call: Call, tx: Tx, group_name: str, thing: Thing) -> None:
    """Have the thing not in the group; it may not have been, and the group may not exist."""
    group = tx.groups.find(call.scope.id, group_name)
    if group is not None and tx.groups.leave(call.scope.id, group.key, thing.key, thing.name):
        following.left(tx, group.key, [(thing.key, thing.name)], call.now)


def _reference(scope: Scope, name: str) -> iot.GroupNameAndArn:
    return iot.GroupNameAndArn(group_name=name, group_arn=thing_group_arn(scope, name))
