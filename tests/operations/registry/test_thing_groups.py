"""Thing groups: a forest of names with fixed parents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import pytest
from registry_calls import ACCOUNT, Registry, arn, group_names, tag

from thingjobs.domain.effects import WorkDue
from thingjobs.domain.errors import (
    InvalidRequest,
    ResourceAlreadyExists,
    ResourceNotFound,
    VersionConflict,
)
from thingjobs.operations import thing_groups
from thingjobs.operations.call import Call
from thingjobs.store.tx import Tx
from thingjobs.wire.shapes import iot


@pytest.fixture
def registry(call: Call, tx: Tx) -> Registry:
    return Registry(call, tx)


def attributes(count: int) -> dict[str, str]:
    return {f"k{i}": "v" for i in range(count)}


# --- create and describe (spec: control-plane 6.1 Groups) -----------------------------------------


def test_root_group_is_described_as_created(registry: Registry) -> None:
    created = registry.create_group("g", description="all", attributes={"a": "1"})
    assert created.thing_group_id is not None
    assert str(UUID(created.thing_group_id)) == created.thing_group_id
    assert registry.describe_group("g") == iot.DescribeThingGroupResponse(
        thing_group_name="g",
        thing_group_id=created.thing_group_id,
        thing_group_arn=arn("thinggroup", "g"),
        version=1,
        thing_group_properties=iot.ThingGroupProperties(
            thing_group_description="all",
            attribute_payload=iot.AttributePayload(attributes={"a": "1"}),
        ),
        thing_group_metadata=iot.ThingGroupMetadata(
            parent_group_name=None, root_to_parent_thing_groups=[], creation_date=1_700_000_000.0
        ),
    )


def test_group_names_its_ancestors_root_first(registry: Registry) -> None:
    registry.create_group("z")
    registry.create_group("m", parent="z")
    registry.create_group("a", parent="m")
    metadata = registry.describe_group("a").thing_group_metadata
    assert metadata is not None
    assert metadata.parent_group_name == "m"
    assert metadata.root_to_parent_thing_groups == [
        iot.GroupNameAndArn(group_name="z", group_arn=arn("thinggroup", "z")),
        iot.GroupNameAndArn(group_name="m", group_arn=arn("thinggroup", "m")),
    ]


def test_group_may_be_created_without_properties(registry: Registry) -> None:
    request = iot.CreateThingGroupRequest(thing_group_name="g")
    thing_groups.create_thing_group(registry.call, registry.tx, request)
    assert registry.describe_group("g").version == 1


@pytest.fixture
def as_created(registry: Registry) -> dict[str, Any]:
    registry.create_group("p")
    members: dict[str, Any] = {
        "parent": "p",
        "description": "d",
        "attributes": {"a": "1", "b": "2"},
        "with_tags": [tag("x", "1"), tag("y", "2")],
    }
    registry.create_group("g", **members)
    return members


def test_creating_a_group_again_as_it_is_gives_the_same_ids(
    registry: Registry, as_created: dict[str, Any]
) -> None:
    """case 206"""
    first = registry.describe_group("g")
    reordered = {"attributes": {"b": "2", "a": "1"}, "with_tags": [tag("y", "2"), tag("x", "1")]}
    again = registry.create_group("g", **as_created | reordered, merge=True)
    assert (again.thing_group_id, again.thing_group_arn) == (first.thing_group_id, first.thing_group_arn)
    assert registry.describe_group("g") == first


def test_empty_attributes_and_tags_are_the_same_as_none(registry: Registry) -> None:
    first = registry.create_group("g")
    assert registry.create_group("g", attributes={}, with_tags=[]) == first


@pytest.mark.parametrize(
    "other", [{"description": "e"}, {"description": None}, {"attributes": {"a": "1"}}, {"parent": None}]
)
def test_creating_a_group_again_with_other_properties_is_refused(
    registry: Registry, as_created: dict[str, Any], other: dict[str, Any]
) -> None:
    """case 206: the difference in properties is told before one in tags."""
    first = registry.describe_group("g")
    with pytest.raises(
        ResourceAlreadyExists,
        match=r"^Thing Group g already exists in current account with different properties$",
    ) as refusal:
        registry.create_group("g", **as_created | other | {"with_tags": None})
    assert (refusal.value.resource_id, refusal.value.resource_arn) == (None, None)
    assert registry.describe_group("g") == first


def test_creating_a_group_again_with_other_tags_is_refused(
    registry: Registry, as_created: dict[str, Any]
) -> None:
    """case 206: the tags it has now count, not those it was created with."""
    sentence = (
        f"^Resource {arn('thinggroup', 'g')} already exists in current account with different properties$"
    )
    with pytest.raises(ResourceAlreadyExists, match=sentence) as refusal:
        registry.create_group("g", **as_created | {"with_tags": None})
    assert (refusal.value.resource_id, refusal.value.resource_arn) == (None, None)
    registry.remove_tags(arn("thinggroup", "g"), "x", "y")
    registry.create_group("g", **as_created | {"with_tags": None})


def test_parent_must_exist(registry: Registry) -> None:
    with pytest.raises(
        InvalidRequest, match=r"^Cannot create group using non-existing group as parent : nope$"
    ):
        registry.create_group("g", parent="nope")


def test_hierarchy_is_at_most_7_deep(registry: Registry) -> None:
    """spec: quotas 3"""
    registry.create_group("g1")
    for depth in range(2, 8):
        registry.create_group(f"g{depth}", parent=f"g{depth - 1}")
    with pytest.raises(InvalidRequest, match="7"):
        registry.create_group("g8", parent="g7")


def test_group_has_at_most_100_children(registry: Registry) -> None:
    """spec: quotas 3: deleted ones do not count, nor do grandchildren."""
    registry.create_group("p")
    for i in range(100):
        registry.create_group(f"c{i}", parent="p")
    registry.create_group("grandchild", parent="c0")
    with pytest.raises(InvalidRequest, match="100"):
        registry.create_group("one-more", parent="p")
    registry.delete_group("c99")
    registry.create_group("one-more", parent="p")


def test_group_has_at_most_50_attributes(registry: Registry) -> None:
    registry.create_group("g", attributes=attributes(50))
    sentence = (
        "^Too many attributes specified. The maximum number of attributes allowed for a thing group is 50$"
    )
    with pytest.raises(InvalidRequest, match=sentence):
        registry.create_group("h", attributes=attributes(51))
    with pytest.raises(InvalidRequest, match=sentence):
        registry.update_group("g", attributes={"one-more": "v"}, merge=True)


def test_unknown_group_is_not_described(registry: Registry) -> None:
    """spec: control-plane 6.5"""
    with pytest.raises(ResourceNotFound, match=f"^ThingGroup {ACCOUNT}:nope not found.$"):
        registry.describe_group("nope")


# --- update ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "merge", "after"),
    [
        ({"b": "2"}, None, {"b": "2"}),
        ({"b": "2"}, True, {"a": "1", "b": "2"}),
        ({"a": ""}, True, {}),
        ({}, False, {}),
        (None, None, {"a": "1"}),
    ],
)
def test_attributes_of_a_group_are_replaced_or_merged(
    registry: Registry, given: Mapping[str, str] | None, merge: bool | None, after: Mapping[str, str]
) -> None:
    registry.create_group("g", description="d", attributes={"a": "1"})
    assert registry.update_group("g", attributes=given, merge=merge).version == 2
    properties = registry.describe_group("g").thing_group_properties
    assert properties is not None
    assert properties.thing_group_description == "d"
    assert properties.attribute_payload == iot.AttributePayload(attributes=dict(after))


def test_update_of_a_group_with_a_stale_version_is_refused(registry: Registry) -> None:
    registry.create_group("g")
    assert registry.update_group("g", description="d", expected_version=1).version == 2
    with pytest.raises(VersionConflict):
        registry.update_group("g", description="e", expected_version=1)
    properties = registry.describe_group("g").thing_group_properties
    assert properties is not None
    assert properties.thing_group_description == "d"


def test_unknown_group_is_not_updated(registry: Registry) -> None:
    """spec: control-plane 6.5"""
    with pytest.raises(ResourceNotFound, match=r"^Group nope does not exist$"):
        registry.update_group("nope")


# --- delete (spec: control-plane 6.1 DeleteThingGroup) ----------------------------------------------


def test_deleted_group_is_gone_and_deleting_it_again_succeeds(registry: Registry) -> None:
    registry.create_group("g")
    registry.delete_group("g")
    registry.delete_group("g")
    with pytest.raises(ResourceNotFound):
        registry.describe_group("g")
    assert group_names(registry.list_groups()) == []


def test_group_with_children_is_not_deleted(registry: Registry) -> None:
    registry.create_group("g")
    registry.create_group("c", parent="g")
    with pytest.raises(
        InvalidRequest,
        match=r"^Cannot delete thing group : g when there are still child groups attached to it$",
    ):
        registry.delete_group("g")
    registry.delete_group("c")
    registry.delete_group("g")


def test_delete_of_a_group_with_a_stale_version_is_refused(registry: Registry) -> None:
    registry.create_group("g")
    with pytest.raises(VersionConflict):
        registry.delete_group("g", expected_version=2)
    registry.delete_group("g", expected_version=1)


def test_name_of_a_deleted_group_is_free_at_once(registry: Registry) -> None:
    first = registry.create_group("g", description="d", with_tags=[tag("k")])
    registry.create_thing("t1")
    registry.add("t1", "g")
    registry.delete_group("g")
    second = registry.create_group("g")
    assert second.thing_group_id != first.thing_group_id
    assert registry.things_in("g") == []
    assert registry.groups_of("t1") == []
    assert registry.tags_of(arn("thinggroup", "g")) == []


def test_deleting_a_group_tells_the_engine_that_there_is_work(registry: Registry) -> None:
    registry.create_group("g")
    registry.tx.take_effects()
    registry.delete_group("g")
    assert registry.tx.take_effects() == [WorkDue()]


def test_group_is_found_by_its_id_until_it_is_deleted(registry: Registry) -> None:
    group_id = registry.create_group("g").thing_group_id
    assert group_id is not None
    found = registry.tx.groups.find_by_id(registry.call.scope.id, group_id)
    assert found is not None
    assert found.name == "g"
    registry.delete_group("g")
    assert registry.tx.groups.find_by_id(registry.call.scope.id, group_id) is None


# --- list -----------------------------------------------------------------------------------------


@pytest.fixture
def forest(registry: Registry) -> Registry:
    """b ─ (b1 ─ a2, c); d"""
    for name, parent in (("b", None), ("d", None), ("c", "b"), ("b1", "b"), ("a2", "b1")):
        registry.create_group(name, parent=parent)
    registry.in_region("eu-west-1").create_group("elsewhere")
    return registry


def test_groups_of_all_levels_are_listed_by_name(forest: Registry) -> None:
    answer = forest.list_groups()
    assert group_names(answer) == ["a2", "b", "b1", "c", "d"]
    assert answer.thing_groups is not None
    assert answer.thing_groups[0].group_arn == arn("thinggroup", "a2")


def test_children_are_listed_or_all_below_a_group(forest: Registry) -> None:
    assert group_names(forest.list_groups(parent="b")) == ["b1", "c"]
    assert group_names(forest.list_groups(parent="b", recursive=True)) == ["a2", "b1", "c"]
    assert group_names(forest.list_groups(parent="d", recursive=True)) == []


def test_groups_are_filtered_by_prefix(forest: Registry) -> None:
    assert group_names(forest.list_groups(prefix="b")) == ["b", "b1"]
    assert group_names(forest.list_groups(prefix="b", parent="b")) == ["b1"]
    assert group_names(forest.list_groups(prefix="a", parent="b", recursive=True)) == ["a2"]


@pytest.mark.parametrize(
    ("filters", "pages"),
    [
        ({}, [["a2", "b"], ["b1", "c"], ["d"]]),
        ({"prefix": "b"}, [["b", "b1"]]),
        ({"parent": "b"}, [["b1", "c"]]),
        ({"parent": "b", "recursive": True}, [["a2", "b1"], ["c"]]),
    ],
)
def test_groups_are_listed_in_pages(
    forest: Registry, filters: dict[str, Any], pages: list[list[str]]
) -> None:
    found = []
    token = None
    while True:
        page = forest.list_groups(**filters, limit=2, token=token)
        found.append(group_names(page))
        token = page.next_token
        if token is None:
            break
    assert found == pages


def test_names_with_every_kind_of_character_are_paged(registry: Registry) -> None:
    names = sorted(["a", "a-", "a-b", "a0", "a:", "aA", "a_", "az", "b"])
    for name in names:
        registry.create_group(name)
    found: list[str | None] = []
    token = None
    for _ in names:
        page = registry.list_groups(prefix="a", limit=1, token=token)
        found += group_names(page)
        token = page.next_token
        if token is None:
            break
    assert found == names[:-1]


def test_token_of_another_list_of_groups_is_refused(forest: Registry) -> None:
    token = forest.list_groups(limit=1).next_token
    with pytest.raises(InvalidRequest, match=r"^Next token is invalid.$"):
        forest.list_groups(limit=1, token=token, prefix="b")


def test_children_of_an_unknown_group_are_not_listed(registry: Registry) -> None:
    with pytest.raises(ResourceNotFound, match="thing group name: nope"):
        registry.list_groups(parent="nope")
