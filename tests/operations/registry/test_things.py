"""Things: made once, changed under a version, gone without traces but in jobs."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

import pytest
from registry_calls import ACCOUNT, Registry, arn, thing_names

from thingjobs.domain.errors import (
    InvalidRequest,
    ResourceAlreadyExists,
    ResourceNotFound,
    VersionConflict,
)
from thingjobs.domain.model import ExecutionStatus
from thingjobs.operations import things
from thingjobs.operations.call import Call
from thingjobs.store.tx import Tx
from thingjobs.wire.shapes import iot


@pytest.fixture
def registry(call: Call, tx: Tx) -> Registry:
    return Registry(call, tx)


def attributes(count: int) -> dict[str, str]:
    return {f"k{i}": "v" for i in range(count)}


# --- create and describe (spec: control-plane 6.1 CreateThing) ------------------------------------


def test_new_thing_has_a_uuid_an_arn_and_version_1(registry: Registry) -> None:
    created = registry.create_thing("t1", attributes={"color": "red"})
    assert (created.thing_name, created.thing_arn) == ("t1", arn("thing", "t1"))
    assert created.thing_id is not None
    assert str(UUID(created.thing_id)) == created.thing_id
    assert registry.describe_thing("t1") == iot.DescribeThingResponse(
        default_client_id="t1",
        thing_name="t1",
        thing_id=created.thing_id,
        thing_arn=arn("thing", "t1"),
        thing_type_name=None,
        attributes={"color": "red"},
        version=1,
        billing_group_name=None,
    )


def test_thing_without_attributes_shows_an_empty_map(registry: Registry) -> None:
    registry.create_thing("t1")
    assert registry.describe_thing("t1").attributes == {}


def test_creating_a_thing_again_as_it_is_gives_the_same_ids(registry: Registry) -> None:
    registry.create_type("lamp")
    first = registry.create_thing("t1", type_name="lamp", attributes={"a": "1", "b": "2"})
    again = registry.create_thing("t1", type_name="lamp", attributes={"b": "2", "a": "1"})
    assert again == first
    assert registry.describe_thing("t1").version == 1


def test_creating_a_thing_again_is_fine_although_its_type_was_deprecated(registry: Registry) -> None:
    registry.create_type("lamp")
    first = registry.create_thing("t1", type_name="lamp")
    registry.deprecate_type("lamp")
    assert registry.create_thing("t1", type_name="lamp") == first


@pytest.mark.parametrize(("type_name", "given"), [(None, {"a": "1"}), ("lamp", {}), ("lamp", {"a": "2"})])
def test_creating_a_thing_again_otherwise_is_refused(
    registry: Registry, type_name: str | None, given: Mapping[str, str]
) -> None:
    registry.create_type("lamp")
    created = registry.create_thing("t1", type_name="lamp", attributes={"a": "1"})
    with pytest.raises(ResourceAlreadyExists) as refusal:
        registry.create_thing("t1", type_name=type_name, attributes=given)
    assert refusal.value.resource_id == created.thing_id
    assert refusal.value.resource_arn == arn("thing", "t1")


def test_thing_of_an_unknown_type_is_refused(registry: Registry) -> None:
    with pytest.raises(ResourceNotFound, match=f"^Thing Type {ACCOUNT}:lamp not found.$"):
        registry.create_thing("t1", type_name="lamp")


def test_thing_of_a_deprecated_type_is_refused(registry: Registry) -> None:
    registry.create_type("lamp")
    registry.deprecate_type("lamp")
    with pytest.raises(InvalidRequest, match="deprecated thing type lamp"):
        registry.create_thing("t1", type_name="lamp")


def test_thing_without_type_has_at_most_3_attributes(registry: Registry) -> None:
    registry.create_thing("t1", attributes=attributes(3))
    with pytest.raises(InvalidRequest, match="Too many attributes"):
        registry.create_thing("t2", attributes=attributes(4))


def test_thing_with_type_has_at_most_50_attributes(registry: Registry) -> None:
    registry.create_type("lamp")
    registry.create_thing("t1", type_name="lamp", attributes=attributes(50))
    with pytest.raises(InvalidRequest, match="Too many attributes"):
        registry.create_thing("t2", type_name="lamp", attributes=attributes(51))


def test_attribute_without_value_is_not_kept(registry: Registry) -> None:
    registry.create_thing("t1", attributes={"a": "", "b": "1"})
    assert registry.describe_thing("t1").attributes == {"b": "1"}


def test_billing_groups_do_not_exist(registry: Registry) -> None:
    request = iot.CreateThingRequest(thing_name="t1", billing_group_name="payer")
    with pytest.raises(ResourceNotFound, match=f"^Billing Group {ACCOUNT}:payer not found.$"):
        things.create_thing(registry.call, registry.tx, request)


def test_unknown_thing_is_not_described(registry: Registry) -> None:
    """spec: control-plane 6.5"""
    with pytest.raises(ResourceNotFound, match=f"^Thing {ACCOUNT}:nope not found.$"):
        registry.describe_thing("nope")


def test_thing_is_unknown_in_another_region(registry: Registry) -> None:
    registry.create_thing("t1")
    with pytest.raises(ResourceNotFound):
        registry.in_region("eu-west-1").describe_thing("t1")


def test_thing_may_be_called_jobs(registry: Registry) -> None:
    """case 172"""
    registry.create_thing("jobs")
    assert registry.describe_thing("jobs").thing_name == "jobs"


# --- update (spec: control-plane 6.1 UpdateThing) -------------------------------------------------


@pytest.mark.parametrize(
    ("given", "merge", "after"),
    [
        ({"b": "2"}, None, {"b": "2"}),
        ({"b": "2"}, False, {"b": "2"}),
        ({"b": "2"}, True, {"a": "1", "b": "2"}),
        ({"a": "3"}, True, {"a": "3"}),
        ({"a": ""}, True, {}),
        ({"a": "", "b": "2"}, False, {"b": "2"}),
        ({}, False, {}),
        ({}, True, {"a": "1"}),
        (None, False, {"a": "1"}),
        (None, None, {"a": "1"}),
    ],
)
def test_attributes_are_replaced_or_merged_and_an_empty_value_removes(
    registry: Registry, given: Mapping[str, str] | None, merge: bool | None, after: Mapping[str, str]
) -> None:
    registry.create_thing("t1", attributes={"a": "1"})
    registry.update_thing("t1", attributes=given, merge=merge)
    assert registry.describe_thing("t1").attributes == after


def test_each_update_raises_the_version_by_one(registry: Registry) -> None:
    registry.create_thing("t1")
    registry.update_thing("t1", attributes={"a": "1"})
    registry.update_thing("t1", expected_version=2)
    assert registry.describe_thing("t1").version == 3


def test_update_with_a_stale_version_is_refused(registry: Registry) -> None:
    registry.create_thing("t1")
    with pytest.raises(VersionConflict):
        registry.update_thing("t1", attributes={"a": "1"}, expected_version=2)
    assert registry.describe_thing("t1").attributes == {}


def test_thing_gets_another_type_and_loses_it(registry: Registry) -> None:
    registry.create_type("lamp")
    registry.create_thing("t1")
    registry.update_thing("t1", type_name="lamp")
    assert registry.describe_thing("t1").thing_type_name == "lamp"
    registry.update_thing("t1", remove_type=True)
    assert registry.describe_thing("t1").thing_type_name is None


def test_thing_keeps_its_deprecated_type_but_gets_no_other_deprecated_one(registry: Registry) -> None:
    registry.create_type("lamp")
    registry.create_type("fan")
    registry.create_thing("t1", type_name="lamp")
    registry.deprecate_type("lamp")
    registry.deprecate_type("fan")
    registry.update_thing("t1", type_name="lamp")
    with pytest.raises(InvalidRequest, match="deprecated thing type fan"):
        registry.update_thing("t1", type_name="fan")


def test_type_cannot_be_set_and_removed_at_once(registry: Registry) -> None:
    registry.create_type("lamp")
    registry.create_thing("t1", type_name="lamp")
    with pytest.raises(InvalidRequest):
        registry.update_thing("t1", type_name="lamp", remove_type=True)


def test_type_cannot_be_removed_from_a_thing_with_more_than_3_attributes(registry: Registry) -> None:
    registry.create_type("lamp")
    registry.create_thing("t1", type_name="lamp", attributes=attributes(4))
    with pytest.raises(InvalidRequest, match="Too many attributes"):
        registry.update_thing("t1", remove_type=True)


def test_update_of_an_unknown_thing_or_type_is_refused(registry: Registry) -> None:
    """spec: control-plane 6.5"""
    with pytest.raises(ResourceNotFound, match=r"^Thing nope not found.$"):
        registry.update_thing("nope")
    registry.create_thing("t1")
    with pytest.raises(ResourceNotFound, match=f"^Thing Type {ACCOUNT}:nope not found.$"):
        registry.update_thing("t1", type_name="nope")


# --- delete (spec: control-plane 6.1 DeleteThing) -------------------------------------------------


def test_deleted_thing_is_gone_and_deleting_it_again_succeeds(registry: Registry) -> None:
    registry.create_thing("t1")
    registry.delete_thing("t1")
    registry.delete_thing("t1")
    with pytest.raises(ResourceNotFound):
        registry.describe_thing("t1")


def test_delete_with_a_stale_version_is_refused(registry: Registry) -> None:
    registry.create_thing("t1")
    with pytest.raises(
        VersionConflict, match=r"^The version for thing t1 does not match the expected version.$"
    ):
        registry.delete_thing("t1", expected_version=7)
    registry.delete_thing("t1", expected_version=1)


def test_namesake_of_a_deleted_thing_is_another_thing_in_no_group(registry: Registry) -> None:
    registry.create_group("g")
    first = registry.create_thing("t1")
    registry.add("t1", "g")
    registry.delete_thing("t1")
    assert registry.create_thing("t1").thing_id != first.thing_id
    assert registry.groups_of("t1") == []
    assert registry.things_in("g") == []


def test_pending_executions_of_a_deleted_thing_become_removed(registry: Registry) -> None:
    registry.create_thing("t1")
    thing = registry.tx.things.find(registry.call.scope.id, "t1")
    assert thing is not None
    job = registry.a_job()
    registry.tx.executions.queue(job, [(thing.key, "t1")], registry.call.now)
    registry.tx.jobs.add_to_counters({job: {ExecutionStatus.QUEUED: 1}})
    registry.delete_thing("t1")
    counters = registry.tx.jobs.counters(job)
    assert (counters[ExecutionStatus.QUEUED], counters[ExecutionStatus.REMOVED]) == (0, 1)


# --- list (spec: control-plane 6.1 ListThings) ----------------------------------------------------


def test_things_are_listed_by_name_in_pages(registry: Registry) -> None:
    for name in ("c", "a", "e", "b", "d"):
        registry.create_thing(name)
    pages = []
    token = None
    while True:
        page = registry.list_things(limit=2, token=token)
        pages.append(thing_names(page))
        token = page.next_token
        if token is None:
            break
    assert pages == [["a", "b"], ["c", "d"], ["e"]]


def test_last_page_may_be_full(registry: Registry) -> None:
    registry.create_thing("a")
    registry.create_thing("b")
    assert registry.list_things(limit=2).next_token is None


def test_page_has_250_things_unless_told_otherwise(registry: Registry) -> None:
    for i in range(251):
        registry.create_thing(f"t{i:03}")
    page = registry.list_things()
    assert len(page.things or ()) == 250
    assert thing_names(registry.list_things(token=page.next_token)) == ["t250"]


def test_listed_thing_shows_its_type_attributes_and_version(registry: Registry) -> None:
    registry.create_type("lamp")
    registry.create_thing("t1", type_name="lamp", attributes={"a": "1"})
    assert registry.list_things().things == [
        iot.ThingAttribute(
            thing_name="t1",
            thing_type_name="lamp",
            thing_arn=arn("thing", "t1"),
            attributes={"a": "1"},
            version=1,
        )
    ]


def test_things_are_filtered_by_type_attribute_and_prefix(registry: Registry) -> None:
    registry.create_type("lamp")
    registry.create_thing("a", attributes={"color": "red"})
    registry.create_thing("b", type_name="lamp", attributes={"color": "reddish"})
    registry.create_thing("c", type_name="lamp", attributes={"size": "red"})

    def found(**filters: str | bool) -> list[str | None]:
        return thing_names(registry.list_things(**filters))  # type: ignore[arg-type]  # by name

    assert found(type_name="lamp") == ["b", "c"]
    assert found(type_name="fan") == []
    assert found(attribute="color") == ["a", "b"]
    assert found(attribute="color", value="red") == ["a"]
    assert found(attribute="color", value="red", prefix=True) == ["a", "b"]
    assert found(attribute="color", value="red", prefix=True, type_name="lamp") == ["b"]


def test_attribute_value_needs_its_name(registry: Registry) -> None:
    with pytest.raises(InvalidRequest):
        registry.list_things(value="red")


def test_search_of_many_things_goes_on_over_short_pages(registry: Registry) -> None:
    """One request looks at 5,000 things at most."""
    rare = {1, 4_999, 5_000, 10_001}
    for i in range(10_010):
        registry.tx.things.insert(
            registry.call.scope.id,
            f"t{i:05}",
            thing_id=str(i),
            type_name=None,
            attributes={"rare": "yes"} if i in rare else {},
        )
    pages = []
    token = None
    while True:
        page = registry.list_things(attribute="rare", token=token)
        pages.append(thing_names(page))
        token = page.next_token
        if token is None:
            break
    assert pages == [["t00001", "t04999"], ["t05000"], ["t10001"]]


def test_search_stops_at_a_full_page(registry: Registry) -> None:
    for i in range(10):
        registry.create_thing(f"t{i}", attributes={"a": "1"})
    page = registry.list_things(attribute="a", limit=3)
    assert thing_names(page) == ["t0", "t1", "t2"]
    assert thing_names(registry.list_things(attribute="a", limit=3, token=page.next_token))[0] == "t3"


def test_token_of_another_filter_is_refused(registry: Registry) -> None:
    registry.create_thing("a", attributes={"x": "1"})
    registry.create_thing("b", attributes={"x": "1"})
    token = registry.list_things(limit=1).next_token
    with pytest.raises(InvalidRequest, match=r"^Next token is invalid.$"):
        registry.list_things(limit=1, token=token, attribute="x")
    with pytest.raises(InvalidRequest, match=r"^Next token is invalid.$"):
        registry.list_things(token="rubbish")
