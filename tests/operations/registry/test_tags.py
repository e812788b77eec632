"""Tags, and each refusal in the service's words (spec: control-plane 4)."""

from __future__ import annotations

import re

import pytest
from registry_calls import Registry, arn, tag

from thingjobs.domain.errors import InvalidRequest, ResourceNotFound
from thingjobs.operations.call import Call
from thingjobs.operations.tags import check_tags
from thingjobs.store.tx import Tx
from thingjobs.wire.shapes import iot

JOB = arn("job", "j1")
GROUP = arn("thinggroup", "g")
TYPE = arn("thingtype", "lamp")


@pytest.fixture
def registry(call: Call, tx: Tx) -> Registry:
    registry = Registry(call, tx)
    registry.a_job("j1")
    registry.create_group("g")
    registry.create_type("lamp")
    return registry


def fifty() -> list[iot.Tag]:
    return [tag(f"k{i:02}") for i in range(50)]


@pytest.mark.parametrize("resource", [JOB, GROUP, TYPE])
def test_tags_are_put_listed_and_removed(registry: Registry, resource: str) -> None:
    """case 66"""
    registry.put_tags(resource, tag("b", "1"), tag("a", "2"))
    assert registry.tags_of(resource) == [("b", "1"), ("a", "2")]
    registry.remove_tags(resource, "b", "absent")
    assert registry.tags_of(resource) == [("a", "2")]


def test_key_put_again_gets_the_new_value_and_keeps_its_place(registry: Registry) -> None:
    registry.put_tags(JOB, tag("a", "1"), tag("b", "1"))
    registry.put_tags(JOB, tag("c", "1"), tag("a", "2"))
    assert registry.tags_of(JOB) == [("a", "2"), ("b", "1"), ("c", "1")]


def test_last_of_a_repeated_key_wins(registry: Registry) -> None:
    registry.put_tags(JOB, tag("a", "1"), tag("b", "1"), tag("a", "2"))
    assert registry.tags_of(JOB) == [("a", "2"), ("b", "1")]


def test_value_may_be_empty(registry: Registry) -> None:
    registry.put_tags(JOB, tag("a", ""))
    assert registry.tags_of(JOB) == [("a", "")]


def test_tags_of_one_resource_are_not_those_of_another(registry: Registry) -> None:
    registry.put_tags(JOB, tag("a"))
    assert registry.tags_of(GROUP) == []


def test_resource_has_at_most_50_tags(registry: Registry) -> None:
    """case 207"""
    registry.put_tags(JOB, *fifty())
    registry.put_tags(JOB, tag("k00", "changed"))
    with pytest.raises(
        InvalidRequest, match=r"^Too many tags provided in the request. Please check the input.$"
    ):
        registry.put_tags(JOB, tag("one-more"))
    assert len(registry.tags_of(JOB)) == 50


def test_new_resource_has_at_most_50_tags(registry: Registry) -> None:
    registry.create_group("fifty", with_tags=[*fifty(), tag("k00")])
    with pytest.raises(
        InvalidRequest, match=r"^Too many tags provided in the request. Please check the input.$"
    ):
        registry.create_group("more", with_tags=[*fifty(), tag("one-more")])


@pytest.mark.parametrize("key", ["aws:x", "AWS:x", "aWs:"])
def test_key_must_not_begin_with_aws(registry: Registry, key: str) -> None:
    """case 207"""
    sentence = f'^Tags cannot begin with "aws:", offending tag: {key}$'
    with pytest.raises(InvalidRequest, match=sentence):
        registry.put_tags(JOB, tag(key))
    with pytest.raises(InvalidRequest, match=sentence):
        registry.create_group("other", with_tags=[tag(key)])


def test_tag_without_value_is_refused_in_the_words_of_the_operation(registry: Registry, call: Call) -> None:
    """case 207"""
    with pytest.raises(InvalidRequest, match=r"^Invalid request exception. Please check the input.$"):
        registry.put_tags(JOB, tag("a", None))
    with pytest.raises(InvalidRequest, match=r"^All tags in request should have keys and values.$"):
        registry.create_group("other", with_tags=[tag("a", None)])
    with pytest.raises(InvalidRequest, match=r"^as told$"):
        check_tags(call, [tag("a", None)], missing_value_message="as told")


def test_empty_collection_is_refused_but_is_none_for_a_new_resource(registry: Registry, call: Call) -> None:
    with pytest.raises(InvalidRequest, match=r"^The validated collection is empty$"):
        registry.put_tags(JOB)
    with pytest.raises(InvalidRequest, match=r"^The validated collection is empty$"):
        registry.remove_tags(JOB)
    registry.create_group("other", with_tags=[])
    assert check_tags(call, None, missing_value_message="") == ()


BAD_ARNS = [
    ("rubbish", "Invalid arn in request"),
    ("arn:aws:s3:::bucket", "Invalid arn in request"),
    (arn("spaceship", "x"), "Invalid arn in request"),
    (arn("job", "j1", account="210987654321"), "ResourceArn doesn't belong in requester's account"),
    (arn("thing", "t1"), "Invalid resource type in ARN: thing"),
    (arn("cert", "0" * 64), "Invalid resource type in ARN: cert"),
]


@pytest.mark.parametrize(("resource", "sentence"), BAD_ARNS)
def test_what_cannot_have_tags_is_refused(registry: Registry, resource: str, sentence: str) -> None:
    with pytest.raises(InvalidRequest, match=f"^{sentence}$"):
        registry.put_tags(resource, tag("a"))
    with pytest.raises(InvalidRequest, match=f"^{sentence}$"):
        registry.remove_tags(resource, "a")
    with pytest.raises(InvalidRequest, match=f"^{sentence}$"):
        registry.tags_of(resource)


def test_resource_of_another_region_is_refused_but_its_list_is_empty(registry: Registry) -> None:
    elsewhere = arn("job", "j1", region="eu-west-1")
    with pytest.raises(InvalidRequest, match=r"^Invalid request exception. Please check the input.$"):
        registry.put_tags(elsewhere, tag("a"))
    with pytest.raises(InvalidRequest, match=r"^Invalid request exception. Please check the input.$"):
        registry.remove_tags(elsewhere, "a")
    assert registry.tags_of(elsewhere) == []


MISSING = [
    (arn("job", "nope"), "Job nope cannot be found."),
    (arn("jobtemplate", "nope"), "Job Template nope cannot be found."),
    (arn("thinggroup", "nope"), "Thing Group nope does not exist."),
    (arn("thingtype", "nope"), "Thing Type nope does not exist."),
    (arn("policy", "nope"), "This resource is not found"),
]


@pytest.mark.parametrize(("resource", "sentence"), MISSING)
def test_missing_resource_is_not_found_but_its_list_is_empty(
    registry: Registry, resource: str, sentence: str
) -> None:
    """case 208"""
    with pytest.raises(ResourceNotFound, match=f"^{re.escape(sentence)}$"):
        registry.put_tags(resource, tag("a"))
    with pytest.raises(ResourceNotFound, match=f"^{re.escape(sentence)}$"):
        registry.remove_tags(resource, "a")
    assert registry.tags_of(resource) == []


def test_resource_can_be_created_with_tags(registry: Registry) -> None:
    registry.create_group("other", with_tags=[tag("a", "1"), tag("b", "2")])
    assert registry.tags_of(arn("thinggroup", "other")) == [("a", "1"), ("b", "2")]


def test_replacing_tags_leaves_no_other(registry: Registry) -> None:
    registry.put_tags(JOB, tag("a"), tag("b"))
    registry.tx.tags.replace(registry.call.scope.id, JOB, [("c", "1")])
    assert registry.tags_of(JOB) == [("c", "1")]
