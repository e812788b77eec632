"""Things, thing groups, tags and endpoints, as far as jobs rest on them."""

from __future__ import annotations

from fleet import ACCOUNT, Fleet, Refusal, arn, invalid, not_found, refusal

# --- things and groups ----------------------------------------------------------------------------


def test_thing_may_be_called_jobs(fleet: Fleet) -> None:
    """case 172"""
    created = fleet.iot.create_thing(thingName="jobs")
    assert fleet.iot.describe_thing(thingName="jobs")["thingId"] == created["thingId"]
    job = fleet.job("jobs")
    assert fleet.execution("jobs", job)["thingArn"] == arn("thing", "jobs")
    rows = fleet.iot.list_job_executions_for_thing(thingName="jobs")["executionSummaries"]
    assert [row["jobId"] for row in rows] == [job]
    status, _, body = fleet.server.http("GET", "/things/jobs/jobs")
    assert (status, b"executionSummaries" in body) == (200, True)


def test_colon_in_a_name_may_be_written_either_way(fleet: Fleet) -> None:
    """spec: control-plane 6.1, wire 3"""
    name = fleet.unique("a:b")
    assert fleet.server.http("POST", f"/things/{name}", b"{}")[0] == 200
    assert fleet.iot.describe_thing(thingName=name)["thingName"] == name
    job = fleet.job(arn("thing", name))
    assert fleet.pending(name) == ([], [job])


def test_thing_is_created_once_and_changed_under_its_version(fleet: Fleet) -> None:
    """spec: control-plane 6.1"""
    thing = {"thingName": fleet.unique("t"), "attributePayload": {"attributes": {"a": "1"}}}
    first, second = fleet.iot.create_thing(**thing), fleet.iot.create_thing(**thing)
    assert (first["thingId"], first["thingArn"]) == (second["thingId"], second["thingArn"])
    told = refusal(fleet.iot.create_thing, thingName=thing["thingName"])
    assert (told.status, told.code) == (409, "ResourceAlreadyExistsException")
    fleet.iot.update_thing(**thing, expectedVersion=1)
    assert fleet.iot.describe_thing(thingName=thing["thingName"])["version"] == 2
    told = refusal(fleet.iot.update_thing, **thing, expectedVersion=1)
    assert (told.status, told.code) == (409, "VersionConflictException")
    assert refusal(fleet.iot.describe_thing, thingName="nope") == not_found(
        f"Thing {ACCOUNT}:nope not found."
    )


def test_group_is_created_again_only_as_it_is(fleet: Fleet) -> None:
    """case 206"""
    name = fleet.unique("g")
    group = {
        "thingGroupName": name,
        "parentGroupName": fleet.group(),
        "thingGroupProperties": {
            "thingGroupDescription": "d",
            "attributePayload": {"attributes": {"a": "1", "b": "2"}},
        },
        "tags": [{"Key": "k", "Value": "v"}],
    }
    created = fleet.iot.create_thing_group(**group)
    same = {
        "thingGroupDescription": "d",
        "attributePayload": {"attributes": {"b": "2", "a": "1"}, "merge": True},
    }
    again = fleet.iot.create_thing_group(**{**group, "thingGroupProperties": same})
    assert (again["thingGroupId"], again["thingGroupArn"]) == (
        created["thingGroupId"],
        created["thingGroupArn"],
    )
    other = {"thingGroupDescription": "other"}
    exists = "already exists in current account with different properties"
    for members, message in (
        ({"thingGroupProperties": other, "tags": []}, f"Thing Group {name} {exists}"),
        ({"tags": [{"Key": "k", "Value": "w"}]}, f"Resource {arn('thinggroup', name)} {exists}"),
    ):
        told = refusal(fleet.iot.create_thing_group, **{**group, **members})
        assert told == Refusal(409, "ResourceAlreadyExistsException", message)
    status, _, body = fleet.server.http("POST", f"/thing-groups/{name}", b"{}")
    assert status == 409
    assert b'"resourceId":null' in body
    assert b'"resourceArn":null' in body


def test_leaving_a_group_needs_the_thing_but_not_the_group(fleet: Fleet) -> None:
    """case 209"""
    leave = fleet.iot.remove_thing_from_thing_group
    leave(thingGroupName="missing", thingName=fleet.thing())
    told = refusal(leave, thingGroupName=fleet.group(), thingName="nothing")
    assert told == not_found("Thing nothing not found.")


def test_members_are_listed_with_and_without_those_below(fleet: Fleet) -> None:
    """spec: control-plane 6.1"""
    own, below = fleet.things(2)
    group = fleet.group(own)
    child = fleet.group(below, parent=group)
    members = fleet.iot.list_things_in_thing_group
    assert members(thingGroupName=group)["things"] == [own]
    assert members(thingGroupName=group, recursive=True)["things"] == [own, below]
    (row,) = fleet.iot.list_thing_groups_for_thing(thingName=below)["thingGroups"]
    assert row == {"groupName": child, "groupArn": arn("thinggroup", child)}


# --- tags -----------------------------------------------------------------------------------------


def test_jobs_have_tags(fleet: Fleet) -> None:
    """case 66"""
    job = fleet.job(fleet.thing(), tags=[{"Key": "a", "Value": "1"}])
    name = {"resourceArn": arn("job", job)}
    fleet.iot.tag_resource(**name, tags=[{"Key": "b", "Value": "2"}, {"Key": "a", "Value": "3"}])
    tags = fleet.iot.list_tags_for_resource(**name)["tags"]
    assert tags == [{"Key": "a", "Value": "3"}, {"Key": "b", "Value": "2"}]
    fleet.iot.untag_resource(**name, tagKeys=["a", "absent"])
    assert fleet.iot.list_tags_for_resource(**name)["tags"] == [{"Key": "b", "Value": "2"}]


def test_tags_of_a_job_are_limited(fleet: Fleet) -> None:
    """case 207"""
    fifty = [{"Key": f"k{n}", "Value": ""} for n in range(50)]
    job = fleet.job(fleet.thing(), tags=fifty)
    name = {"resourceArn": arn("job", job)}
    fleet.iot.tag_resource(**name, tags=[{"Key": "k7", "Value": "again"}])
    for tag, message in (
        ({"Key": "one-more", "Value": ""}, "Too many tags provided in the request. Please check the input."),
        ({"Key": "aws:x", "Value": ""}, 'Tags cannot begin with "aws:", offending tag: aws:x'),
    ):
        assert refusal(fleet.iot.tag_resource, **name, tags=[tag]) == invalid(message)


def test_missing_job_has_no_tags_and_takes_none(fleet: Fleet) -> None:
    """case 208"""
    name = {"resourceArn": arn("job", "missing")}
    assert fleet.iot.list_tags_for_resource(**name)["tags"] == []
    told = refusal(fleet.iot.tag_resource, **name, tags=[{"Key": "k", "Value": "v"}])
    assert told == not_found("Job missing cannot be found.")


def test_namesake_of_a_deleted_job_has_no_tags(fleet: Fleet) -> None:
    """spec: control-plane 4"""
    thing = fleet.thing()
    job = fleet.job(thing, tags=[{"Key": "a", "Value": "1"}])
    fleet.iot.delete_job(jobId=job, force=True)
    fleet.job(thing, jobId=job)
    assert fleet.iot.list_tags_for_resource(resourceArn=arn("job", job))["tags"] == []


# --- endpoints and scopes -------------------------------------------------------------------------


def test_endpoints_are_hosts_of_this_server(fleet: Fleet) -> None:
    """case 67"""
    for kind in ({}, {"endpointType": "iot:Jobs"}, {"endpointType": "iot:Data-ATS"}):
        address = fleet.iot.describe_endpoint(**kind)["endpointAddress"]
        assert f"http://{address}" == fleet.server.url
    assert refusal(fleet.iot.describe_endpoint, endpointType="iot:Nope").status == 400


def test_regions_do_not_see_each_other(fleet: Fleet) -> None:
    """spec: wire 7"""
    thing = fleet.thing()
    job = fleet.job(thing)
    elsewhere = fleet.server.client("iot", region="eu-west-1")
    assert refusal(elsewhere.describe_job, jobId=job).status == 404
    assert refusal(elsewhere.describe_thing, thingName=thing).status == 404
    made = elsewhere.create_thing(thingName=thing)
    assert made["thingArn"] == arn("thing", thing, region="eu-west-1")
    device = fleet.server.client("iot-jobs-data", region="eu-west-1")
    assert device.get_pending_job_executions(thingName=thing)["queuedJobs"] == []
