"""Thing types: deprecated first, deleted later."""

from __future__ import annotations

import pytest
from registry_calls import ACCOUNT, Registry, arn, tag

from thingjobs.domain.errors import InvalidRequest, ResourceAlreadyExists, ResourceNotFound
from thingjobs.operations import thing_types
from thingjobs.operations.call import Call
from thingjobs.store.tx import Tx
from thingjobs.wire.shapes import iot

MINUTE = 60_000


@pytest.fixture
def registry(call: Call, tx: Tx) -> Registry:
    return Registry(call, tx)


def test_type_is_described_as_created(registry: Registry) -> None:
    created = registry.create_type("lamp", description="shines", searchable=["color", "size"])
    assert (created.thing_type_name, created.thing_type_arn) == ("lamp", arn("thingtype", "lamp"))
    assert registry.describe_type("lamp") == iot.DescribeThingTypeResponse(
        thing_type_name="lamp",
        thing_type_id=created.thing_type_id,
        thing_type_arn=arn("thingtype", "lamp"),
        thing_type_properties=iot.ThingTypeProperties(
            thing_type_description="shines", searchable_attributes=["color", "size"]
        ),
        thing_type_metadata=iot.ThingTypeMetadata(
            deprecated=False, deprecation_date=None, creation_date=1_700_000_000.0
        ),
    )


def test_type_may_be_created_without_properties(registry: Registry) -> None:
    request = iot.CreateThingTypeRequest(thing_type_name="lamp")
    thing_types.create_thing_type(registry.call, registry.tx, request)
    assert registry.describe_type("lamp").thing_type_properties == iot.ThingTypeProperties(
        searchable_attributes=[]
    )


def test_creating_a_type_again_as_it_is_gives_the_same_id(registry: Registry) -> None:
    first = registry.create_type("lamp", description="d", searchable=["a", "b"], with_tags=[tag("k")])
    again = registry.create_type("lamp", description="d", searchable=["b", "a"], with_tags=[tag("k")])
    assert again == first


def test_creating_a_type_again_otherwise_is_refused(registry: Registry) -> None:
    created = registry.create_type("lamp", description="d", searchable=["a"], with_tags=[tag("k")])
    with pytest.raises(ResourceAlreadyExists) as refusal:
        registry.create_type("lamp", description="e", searchable=["a"], with_tags=[tag("k")])
    assert refusal.value.resource_id == created.thing_type_id
    assert refusal.value.resource_arn == arn("thingtype", "lamp")
    with pytest.raises(ResourceAlreadyExists):
        registry.create_type("lamp", description="d", searchable=["b"], with_tags=[tag("k")])
    with pytest.raises(ResourceAlreadyExists):
        registry.create_type("lamp", description="d", searchable=["a"])


def test_type_has_at_most_3_searchable_attributes(registry: Registry) -> None:
    """spec: quotas 3"""
    registry.create_type("lamp", searchable=["a", "b", "c"])
    with pytest.raises(InvalidRequest, match="searchable attributes"):
        registry.create_type("fan", searchable=["a", "b", "c", "d"])
    with pytest.raises(InvalidRequest, match="searchable attributes"):
        registry.update_type("lamp", searchable=["a", "b", "c", "d"])


def test_mqtt5_properties_are_refused_not_ignored(registry: Registry) -> None:
    request = iot.CreateThingTypeRequest(
        thing_type_name="lamp",
        thing_type_properties=iot.ThingTypeProperties(mqtt5_configuration=iot.Mqtt5Configuration()),
    )
    with pytest.raises(InvalidRequest, match="mqtt5Configuration"):
        thing_types.create_thing_type(registry.call, registry.tx, request)


def test_tag_of_a_type_needs_a_value(registry: Registry) -> None:
    """spec: control-plane 4"""
    with pytest.raises(InvalidRequest, match=r"^All tags in request should have keys and values.$"):
        registry.create_type("lamp", with_tags=[tag("k", None)])


def test_update_changes_only_what_is_given(registry: Registry) -> None:
    registry.create_type("lamp", description="d", searchable=["a"])
    registry.update_type("lamp", searchable=["b"])
    registry.update_type("lamp", description="e")
    assert registry.describe_type("lamp").thing_type_properties == iot.ThingTypeProperties(
        thing_type_description="e", searchable_attributes=["b"]
    )


def test_unknown_type_is_not_found(registry: Registry) -> None:
    """spec: control-plane 6.5"""
    sentence = f"^Thing Type {ACCOUNT}:nope not found.$"
    with pytest.raises(ResourceNotFound, match=sentence):
        registry.describe_type("nope")
    with pytest.raises(ResourceNotFound, match=sentence):
        registry.deprecate_type("nope")
    with pytest.raises(ResourceNotFound, match=sentence):
        registry.update_type("nope")


# --- deprecate and delete (spec: control-plane 6.1 "Thing types", 6.5 DeleteThingType) --------------


def test_deprecation_is_dated_and_can_be_undone(registry: Registry) -> None:
    registry.create_type("lamp")
    registry.deprecate_type("lamp")
    metadata = registry.describe_type("lamp").thing_type_metadata
    assert metadata is not None
    assert (metadata.deprecated, metadata.deprecation_date) == (True, 1_700_000_000.0)
    registry.deprecate_type("lamp", undo=True)
    metadata = registry.describe_type("lamp").thing_type_metadata
    assert metadata is not None
    assert (metadata.deprecated, metadata.deprecation_date) == (False, None)
    registry.create_thing("t1", type_name="lamp")


def test_type_that_is_not_deprecated_cannot_be_deleted(registry: Registry) -> None:
    registry.create_type("lamp")
    with pytest.raises(InvalidRequest):
        registry.delete_type("lamp")


def test_type_is_deleted_5_minutes_after_it_was_first_deprecated(registry: Registry) -> None:
    now = registry.call.now
    registry.create_type("lamp")
    registry.deprecate_type("lamp")
    registry.at(now + 4 * MINUTE).deprecate_type("lamp")
    with pytest.raises(InvalidRequest, match="5 minutes"):
        registry.at(now + 5 * MINUTE - 1).delete_type("lamp")
    registry.at(now + 5 * MINUTE).delete_type("lamp")
    with pytest.raises(ResourceNotFound):
        registry.describe_type("lamp")


def test_type_that_a_thing_has_cannot_be_deleted(registry: Registry) -> None:
    registry.create_type("lamp")
    registry.create_thing("t1", type_name="lamp")
    registry.deprecate_type("lamp")
    later = registry.at(registry.call.now + 5 * MINUTE)
    with pytest.raises(
        InvalidRequest, match=r"^Can not delete thing type lamp with things associated with it$"
    ):
        later.delete_type("lamp")
    registry.update_thing("t1", remove_type=True)
    later.delete_type("lamp")


def test_deleting_an_unknown_type_succeeds(registry: Registry) -> None:
    registry.delete_type("nope")


def test_deleted_type_loses_its_tags(registry: Registry) -> None:
    registry.create_type("lamp", with_tags=[tag("k")])
    registry.deprecate_type("lamp")
    registry.at(registry.call.now + 5 * MINUTE).delete_type("lamp")
    registry.create_type("lamp")
    assert registry.tags_of(arn("thingtype", "lamp")) == []


# --- list -----------------------------------------------------------------------------------------


def test_types_are_listed_by_name_in_pages(registry: Registry) -> None:
    for name in ("c", "a", "b"):
        registry.create_type(name)
    first = registry.list_types(limit=2)
    assert [each.thing_type_name for each in first.thing_types or ()] == ["a", "b"]
    second = registry.list_types(limit=2, token=first.next_token)
    assert [each.thing_type_name for each in second.thing_types or ()] == ["c"]
    assert second.next_token is None


def test_list_of_one_name_holds_that_type_or_none(registry: Registry) -> None:
    registry.create_type("lamp")
    registry.create_type("lamp2")
    named = registry.list_types(name="lamp").thing_types or []
    assert [(each.thing_type_name, each.thing_type_arn) for each in named] == [
        ("lamp", arn("thingtype", "lamp"))
    ]
    assert registry.list_types(name="fan").thing_types == []
