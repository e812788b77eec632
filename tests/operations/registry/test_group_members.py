"""Which things are in which groups (spec: control-plane 6.1 Membership)."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from registry_calls import ACCOUNT, Registry, arn, group_names

from thingjobs.domain.errors import InvalidRequest, ResourceNotFound
from thingjobs.operations.call import Call
from thingjobs.store.tx import Tx


@pytest.fixture
def registry(call: Call, tx: Tx) -> Registry:
    registry = Registry(call, tx)
    registry.create_thing("t1")
    registry.create_group("g")
    return registry


def test_thing_is_added_and_removed(registry: Registry) -> None:
    registry.add("t1", "g")
    assert (registry.groups_of("t1"), registry.things_in("g")) == (["g"], ["t1"])
    registry.remove("t1", "g")
    assert (registry.groups_of("t1"), registry.things_in("g")) == ([], [])


def test_adding_and_removing_twice_succeeds(registry: Registry) -> None:
    registry.add("t1", "g")
    seq = registry.tx.groups.current_seq()
    registry.add("t1", "g")
    assert registry.tx.groups.current_seq() == seq
    registry.remove("t1", "g")
    registry.remove("t1", "g")
    assert registry.tx.groups.current_seq() == seq + 1


def test_every_coming_and_going_takes_a_number(registry: Registry) -> None:
    start = registry.tx.groups.current_seq()
    registry.create_group("h")
    registry.add("t1", "h")
    registry.remove("t1", "h")
    registry.delete_group("h")
    assert registry.tx.groups.current_seq() == start + 4


def test_thing_and_group_may_be_named_by_arn_alone_or_also(registry: Registry) -> None:
    thing_arn, group_arn = arn("thing", "t1"), arn("thinggroup", "g")
    registry.add(None, None, thing_arn=thing_arn, group_arn=group_arn)
    assert registry.things_in("g") == ["t1"]
    registry.remove("t1", "g", thing_arn=thing_arn, group_arn=group_arn)
    assert registry.things_in("g") == []


def test_arn_of_another_region_means_the_resource_of_that_name_here(registry: Registry) -> None:
    elsewhere = "eu-west-1"
    registry.add(
        None,
        None,
        thing_arn=arn("thing", "t1", region=elsewhere),
        group_arn=arn("thinggroup", "g", region=elsewhere),
    )
    assert registry.things_in("g") == ["t1"]


OTHER = "210987654321"
BAD_NAMING = [
    (
        {"group": None},
        "Both thingGroupArn and thingGroupName are empty. Need to specify at least one of them",
    ),
    ({"thing": None}, "Both thingArn and thingName are empty. Need to specify at least one of them"),
    ({"group_arn": "rubbish"}, "Invalid arn in request"),
    ({"thing_arn": "rubbish"}, "Invalid arn in request"),
    ({"group_arn": arn("thing", "g")}, "Invalid ThingGroupArn"),
    ({"thing_arn": arn("thinggroup", "t1")}, "Invalid ThingArn"),
    (
        {"group_arn": arn("thinggroup", "g", account=OTHER)},
        "ResourceArn doesn't belong in requester's account",
    ),
    ({"thing_arn": arn("thing", "t1", account=OTHER)}, "ResourceArn doesn't belong in requester's account"),
    (
        {"group_arn": arn("thinggroup", "h")},
        "ThingGroupName from thingGroupArn does not match specified thingGroupName in request",
    ),
    (
        {"thing_arn": arn("thing", "t2")},
        "ThingName in thingArn does not match specified thingName in request",
    ),
    (
        {"group": None, "thing": None},
        "Both thingGroupArn and thingGroupName are empty. Need to specify at least one of them",
    ),
]


@pytest.mark.parametrize(("naming", "sentence"), BAD_NAMING)
def test_bad_naming_is_refused_in_the_services_words(
    registry: Registry, naming: dict[str, str | None], sentence: str
) -> None:
    """spec: control-plane 6.5"""
    given: dict[str, str | None] = {"thing": "t1", "group": "g", "thing_arn": None, "group_arn": None}
    calls: list[Callable[..., None]] = [registry.add, registry.remove]
    for call in calls:
        with pytest.raises(InvalidRequest, match=f"^{sentence}$"):
            call(**given | naming)


def test_unknown_group_is_told_before_an_unknown_thing(registry: Registry) -> None:
    """spec: control-plane 6.5"""
    sentence = f"^Cannot find requested thing group for accountId: {ACCOUNT} and thing group name: nope$"
    with pytest.raises(ResourceNotFound, match=sentence):
        registry.add("missing", "nope")
    with pytest.raises(ResourceNotFound, match=r"^Thing missing not found.$"):
        registry.add("missing", "g")


def test_removing_from_an_unknown_group_succeeds_if_the_thing_exists(registry: Registry) -> None:
    """case 209"""
    registry.remove("t1", "nope")
    with pytest.raises(ResourceNotFound, match=r"^Thing missing not found.$"):
        registry.remove("missing", "nope")


def test_thing_is_in_at_most_one_group_of_a_hierarchy(registry: Registry) -> None:
    registry.create_group("left", parent="g")
    registry.create_group("right", parent="g")
    registry.add("t1", "left")
    for group in ("g", "right"):
        with pytest.raises(InvalidRequest, match="hierarchy"):
            registry.add("t1", group)
    registry.create_group("other")
    registry.add("t1", "other")
    assert registry.groups_of("t1") == ["left", "other"]


def test_thing_is_in_at_most_10_groups_deleted_ones_not_counted(registry: Registry) -> None:
    """spec: quotas 3"""
    for i in range(10):
        registry.create_group(f"g{i}")
        registry.add("t1", f"g{i}")
    with pytest.raises(InvalidRequest, match="10"):
        registry.add("t1", "g")
    registry.add("t1", "g9")
    registry.delete_group("g9")
    registry.add("t1", "g")
    assert len(registry.groups_of("t1")) == 10


# --- UpdateThingGroupsForThing ----------------------------------------------------------------------


def test_thing_moves_within_a_hierarchy_in_one_call(registry: Registry) -> None:
    registry.create_group("left", parent="g")
    registry.create_group("right", parent="g")
    registry.add("t1", "left")
    registry.update_groups("t1", add=["right"], remove=["left"])
    assert registry.groups_of("t1") == ["right"]


def test_adding_groups_a_thing_is_in_and_removing_others_changes_nothing(registry: Registry) -> None:
    registry.create_group("h")
    registry.add("t1", "g")
    registry.update_groups("t1", add=["g"], remove=["h", "nope"])
    assert registry.groups_of("t1") == ["g"]
    registry.update_groups("t1")
    assert registry.groups_of("t1") == ["g"]


def test_update_of_groups_names_what_is_unknown(registry: Registry) -> None:
    with pytest.raises(ResourceNotFound, match="thing group name: nope"):
        registry.update_groups("t1", add=["nope"])
    with pytest.raises(ResourceNotFound, match=r"^Thing missing not found.$"):
        registry.update_groups("missing", add=["g"])
    with pytest.raises(InvalidRequest, match="Value null at 'thingName'"):
        registry.update_groups(None, add=["g"])


# --- lists ------------------------------------------------------------------------------------------


def test_groups_of_a_thing_are_listed_by_name_in_pages(registry: Registry) -> None:
    for name in ("c", "a", "b"):
        registry.create_group(name)
        registry.add("t1", name)
    first = registry.list_groups_of("t1", limit=2)
    assert group_names(first) == ["a", "b"]
    assert first.thing_groups is not None
    assert first.thing_groups[0].group_arn == arn("thinggroup", "a")
    second = registry.list_groups_of("t1", limit=2, token=first.next_token)
    assert (group_names(second), second.next_token) == (["c"], None)


def test_groups_of_an_unknown_thing_are_not_listed(registry: Registry) -> None:
    """spec: control-plane 6.5"""
    with pytest.raises(ResourceNotFound, match=r"^thing does not exist$"):
        registry.list_groups_of("missing")


def test_things_of_an_unknown_group_are_not_listed(registry: Registry) -> None:
    """spec: control-plane 6.5"""
    sentence = f"^Cannot find requested thing group for accountId: {ACCOUNT} and thing group name: nope$"
    for recursive in (False, True):
        with pytest.raises(ResourceNotFound, match=sentence):
            registry.list_things_in("nope", recursive=recursive)


@pytest.fixture
def tree(registry: Registry) -> Registry:
    """g ─ (y ─ a, x): a thing or two in each, named for the group."""
    for name, parent in (("y", "g"), ("x", "g"), ("a", "y")):
        registry.create_group(name, parent=parent)
    for name in ("x1", "a1", "g2", "y1", "g1", "x2"):
        registry.create_thing(name)
        registry.add(name, name[0])
    return registry


def test_things_in_a_group_are_its_own_by_name(tree: Registry) -> None:
    assert tree.things_in("g") == ["g1", "g2"]


def test_things_below_a_group_are_listed_breadth_first_by_group_and_name(tree: Registry) -> None:
    assert tree.things_in("g", recursive=True) == ["g1", "g2", "x1", "x2", "y1", "a1"]
    assert tree.things_in("y", recursive=True) == ["y1", "a1"]


@pytest.mark.parametrize("limit", [1, 2, 4, 5, 6, 7])
@pytest.mark.parametrize("recursive", [False, True])
def test_things_in_a_group_are_listed_in_pages(tree: Registry, recursive: bool, limit: int) -> None:
    whole = tree.things_in("g", recursive=recursive)
    found: list[str] = []
    token = None
    while True:
        page = tree.list_things_in("g", recursive=recursive, limit=limit, token=token)
        assert 1 <= len(page.things or ()) <= limit
        found += page.things or ()
        token = page.next_token
        if token is None:
            break
    assert found == whole


def test_page_goes_on_although_the_thing_it_ended_with_left(tree: Registry) -> None:
    token = tree.list_things_in("g", recursive=True, limit=3).next_token
    tree.remove("x1", "x")
    tree.delete_group("x")
    assert tree.list_things_in("g", recursive=True, token=token).things == ["y1", "a1"]


def test_token_of_a_flat_list_is_refused_for_a_recursive_one(tree: Registry) -> None:
    token = tree.list_things_in("g", limit=1).next_token
    with pytest.raises(InvalidRequest, match=r"^Next token is invalid.$"):
        tree.list_things_in("g", recursive=True, token=token)
