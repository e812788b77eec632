"""Every operation of both services through botocore: what is served does its work, all else says so.

A served operation has an example here: a call with its consequence. An operation that is entered in the
catalog and has none fails the first test.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import boto3
import pytest
from botocore.config import Config

from aws_client import SERVICES, minimal, model
from fleet import DOCUMENT, REGION, Fleet, arn, refusal
from servers import Server
from thingjobs.operations.catalog import CONTROL, DEVICE
from thingjobs.wire.operation import Operation, Plane
from thingjobs.wire.routes import OPERATIONS

SECONDS = 30
DEPRECATED_FOR_SECONDS = 301  # a thing type can be deleted five minutes after it was deprecated

Example = Callable[[Fleet], None]

# --- things and their types -----------------------------------------------------------------------


def create_thing(fleet: Fleet) -> None:
    name = fleet.unique("t")
    created = fleet.iot.create_thing(thingName=name, attributePayload={"attributes": {"a": "1"}})
    assert created["thingArn"] == arn("thing", name)
    assert fleet.iot.describe_thing(thingName=name)["attributes"] == {"a": "1"}


def describe_thing(fleet: Fleet) -> None:
    name = fleet.thing()
    thing = fleet.iot.describe_thing(thingName=name)
    assert (thing["thingName"], thing["version"]) == (name, 1)


def update_thing(fleet: Fleet) -> None:
    name = fleet.thing()
    fleet.iot.update_thing(thingName=name, attributePayload={"attributes": {"a": "2"}})
    thing = fleet.iot.describe_thing(thingName=name)
    assert (thing["attributes"], thing["version"]) == ({"a": "2"}, 2)


def delete_thing(fleet: Fleet) -> None:
    name = fleet.thing()
    fleet.iot.delete_thing(thingName=name)
    assert refusal(fleet.iot.describe_thing, thingName=name).status == 404


def list_things(fleet: Fleet) -> None:
    serial = fleet.unique("serial")
    name = fleet.thing()
    fleet.iot.update_thing(thingName=name, attributePayload={"attributes": {"serial": serial}})
    (found,) = fleet.iot.list_things(attributeName="serial", attributeValue=serial)["things"]
    assert (found["thingName"], found["attributes"]) == (name, {"serial": serial})


def thing_type(fleet: Fleet, **properties: Any) -> str:
    name = fleet.unique("type")
    fleet.iot.create_thing_type(thingTypeName=name, thingTypeProperties=properties)
    return name


def create_thing_type(fleet: Fleet) -> None:
    name = fleet.unique("type")
    created = fleet.iot.create_thing_type(thingTypeName=name)
    assert created["thingTypeArn"] == arn("thingtype", name)
    thing = fleet.unique("t")
    fleet.iot.create_thing(thingName=thing, thingTypeName=name)
    assert fleet.iot.describe_thing(thingName=thing)["thingTypeName"] == name


def describe_thing_type(fleet: Fleet) -> None:
    name = thing_type(fleet, thingTypeDescription="d", searchableAttributes=["serial"])
    described = fleet.iot.describe_thing_type(thingTypeName=name)
    assert described["thingTypeProperties"]["thingTypeDescription"] == "d"
    assert described["thingTypeProperties"]["searchableAttributes"] == ["serial"]
    assert described["thingTypeMetadata"]["deprecated"] is False


def update_thing_type(fleet: Fleet) -> None:
    name = thing_type(fleet, thingTypeDescription="before")
    fleet.iot.update_thing_type(thingTypeName=name, thingTypeProperties={"thingTypeDescription": "after"})
    properties = fleet.iot.describe_thing_type(thingTypeName=name)["thingTypeProperties"]
    assert properties["thingTypeDescription"] == "after"


def deprecate_thing_type(fleet: Fleet) -> None:
    name = thing_type(fleet)
    fleet.iot.deprecate_thing_type(thingTypeName=name)
    assert fleet.iot.describe_thing_type(thingTypeName=name)["thingTypeMetadata"]["deprecated"] is True
    told = refusal(fleet.iot.create_thing, thingName=fleet.unique("t"), thingTypeName=name)
    assert told.status == 400


def delete_thing_type(fleet: Fleet) -> None:
    name = thing_type(fleet)
    fleet.iot.deprecate_thing_type(thingTypeName=name)
    fleet.server.advance(DEPRECATED_FOR_SECONDS)
    fleet.iot.delete_thing_type(thingTypeName=name)
    assert refusal(fleet.iot.describe_thing_type, thingTypeName=name).status == 404


def list_thing_types(fleet: Fleet) -> None:
    name = thing_type(fleet)
    (found,) = fleet.iot.list_thing_types(thingTypeName=name)["thingTypes"]
    assert found["thingTypeArn"] == arn("thingtype", name)


# --- thing groups ---------------------------------------------------------------------------------


def create_thing_group(fleet: Fleet) -> None:
    name, parent = fleet.unique("g"), fleet.group()
    created = fleet.iot.create_thing_group(thingGroupName=name, parentGroupName=parent)
    assert created["thingGroupArn"] == arn("thinggroup", name)
    (child,) = fleet.iot.list_thing_groups(parentGroup=parent)["thingGroups"]
    assert child["groupName"] == name


def describe_thing_group(fleet: Fleet) -> None:
    parent = fleet.group()
    described = fleet.iot.describe_thing_group(thingGroupName=fleet.group(parent=parent))
    assert described["thingGroupMetadata"]["parentGroupName"] == parent


def update_thing_group(fleet: Fleet) -> None:
    name = fleet.group()
    properties = {"thingGroupDescription": "after"}
    assert fleet.iot.update_thing_group(thingGroupName=name, thingGroupProperties=properties)["version"] == 2
    shown = fleet.iot.describe_thing_group(thingGroupName=name)["thingGroupProperties"]
    assert shown["thingGroupDescription"] == "after"


def delete_thing_group(fleet: Fleet) -> None:
    name = fleet.group()
    fleet.iot.delete_thing_group(thingGroupName=name)
    assert refusal(fleet.iot.describe_thing_group, thingGroupName=name).status == 404


def list_thing_groups(fleet: Fleet) -> None:
    name = fleet.group()
    (found,) = fleet.iot.list_thing_groups(namePrefixFilter=name)["thingGroups"]
    assert found == {"groupName": name, "groupArn": arn("thinggroup", name)}


def add_thing_to_thing_group(fleet: Fleet) -> None:
    thing, group = fleet.thing(), fleet.group()
    fleet.iot.add_thing_to_thing_group(thingName=thing, thingGroupName=group)
    assert members(fleet, group) == [thing]


def remove_thing_from_thing_group(fleet: Fleet) -> None:
    stays, leaves = fleet.things(2)
    group = fleet.group(stays, leaves)
    fleet.iot.remove_thing_from_thing_group(thingName=leaves, thingGroupName=group)
    assert members(fleet, group) == [stays]


def update_thing_groups_for_thing(fleet: Fleet) -> None:
    thing = fleet.thing()
    before, after = fleet.group(thing), fleet.group()
    change = {"thingGroupsToAdd": [after], "thingGroupsToRemove": [before]}
    fleet.iot.update_thing_groups_for_thing(thingName=thing, **change)
    assert (members(fleet, before), members(fleet, after)) == ([], [thing])


def list_thing_groups_for_thing(fleet: Fleet) -> None:
    thing = fleet.thing()
    groups = {fleet.group(thing), fleet.group(thing)}
    found = fleet.iot.list_thing_groups_for_thing(thingName=thing)["thingGroups"]
    assert {group["groupName"] for group in found} == groups


def list_things_in_thing_group(fleet: Fleet) -> None:
    thing, parent = fleet.thing(), fleet.group()
    fleet.group(thing, parent=parent)
    assert members(fleet, parent) == []
    assert members(fleet, parent, recursive=True) == [thing]


def members(fleet: Fleet, group: str, **params: Any) -> list[str]:
    things: list[str] = fleet.iot.list_things_in_thing_group(thingGroupName=group, **params)["things"]
    return things


# --- jobs -----------------------------------------------------------------------------------------


def create_job(fleet: Fleet) -> None:
    thing = fleet.thing()
    order = fleet.order(thing)
    created = fleet.iot.create_job(**order)
    assert created["jobArn"] == arn("job", order["jobId"])
    assert fleet.pending(thing) == ([], [order["jobId"]])


def describe_job(fleet: Fleet) -> None:
    thing = fleet.thing()
    job = fleet.iot.describe_job(jobId=fleet.job(thing, description="d"))["job"]
    assert (job["status"], job["description"]) == ("IN_PROGRESS", "d")
    assert job["targets"] == [arn("thing", thing)]


def update_job(fleet: Fleet) -> None:
    job = fleet.job(fleet.thing())
    fleet.iot.update_job(jobId=job, description="after", timeoutConfig={"inProgressTimeoutInMinutes": 5})
    shown = fleet.describe(job)
    assert (shown["description"], shown["timeoutConfig"]) == ("after", {"inProgressTimeoutInMinutes": 5})


def get_job_document(fleet: Fleet) -> None:
    answer = fleet.iot.get_job_document(jobId=fleet.job(fleet.thing(), document=DOCUMENT))
    assert answer["document"] == DOCUMENT


def list_jobs(fleet: Fleet) -> None:
    group = fleet.group(fleet.thing())
    job = fleet.job(arn("thinggroup", group), targetSelection="CONTINUOUS")
    (found,) = fleet.iot.list_jobs(thingGroupName=group, targetSelection="CONTINUOUS")["jobs"]
    assert (found["jobId"], found["status"]) == (job, "IN_PROGRESS")


def associate_targets_with_job(fleet: Fleet) -> None:
    thing = fleet.thing()
    job = fleet.job(arn("thinggroup", fleet.group()), targetSelection="CONTINUOUS")
    group = arn("thinggroup", fleet.group(thing))
    answer = fleet.iot.associate_targets_with_job(jobId=job, targets=[group])
    assert answer["jobId"] == job
    assert fleet.pending(thing) == ([], [job])


def cancel_job(fleet: Fleet) -> None:
    thing = fleet.thing()
    job = fleet.job(thing)
    assert fleet.iot.cancel_job(jobId=job, reasonCode="ENOUGH")["jobId"] == job
    shown = fleet.describe(job)
    assert (shown["status"], shown["reasonCode"]) == ("CANCELED", "ENOUGH")
    assert fleet.pending(thing) == ([], [])


def delete_job(fleet: Fleet) -> None:
    job = fleet.completed_job()
    fleet.iot.delete_job(jobId=job)
    assert refusal(fleet.iot.describe_job, jobId=job).status == 404


# --- job templates --------------------------------------------------------------------------------


def job_template(fleet: Fleet, **members: Any) -> str:
    name = fleet.unique("template")
    content = {"document": DOCUMENT, "description": "d", **members}
    fleet.iot.create_job_template(jobTemplateId=name, **content)
    return name


def create_job_template(fleet: Fleet) -> None:
    name, thing = fleet.unique("template"), fleet.thing()
    created = fleet.iot.create_job_template(jobTemplateId=name, document=DOCUMENT, description="d")
    assert created["jobTemplateArn"] == arn("jobtemplate", name)
    fleet.job(thing, document=None, jobTemplateArn=created["jobTemplateArn"])
    execution = fleet.start_next(thing)
    assert execution is not None
    assert execution["jobDocument"] == DOCUMENT


def describe_job_template(fleet: Fleet) -> None:
    timeout = {"inProgressTimeoutInMinutes": 5}
    name = job_template(fleet, timeoutConfig=timeout)
    described = fleet.iot.describe_job_template(jobTemplateId=name)
    assert (described["jobTemplateId"], described["description"]) == (name, "d")
    assert (described["document"], described["timeoutConfig"]) == (DOCUMENT, timeout)


def list_job_templates(fleet: Fleet) -> None:
    names = {job_template(fleet), job_template(fleet)}
    pages = fleet.iot.get_paginator("list_job_templates").paginate(maxResults=1)
    found = {row["jobTemplateId"]: row["description"] for page in pages for row in page["jobTemplates"]}
    assert found.items() >= dict.fromkeys(names, "d").items()


def delete_job_template(fleet: Fleet) -> None:
    name = job_template(fleet)
    fleet.iot.delete_job_template(jobTemplateId=name)
    assert refusal(fleet.iot.describe_job_template, jobTemplateId=name).status == 404


def list_managed_job_templates(fleet: Fleet) -> None:
    found = fleet.iot.list_managed_job_templates()["managedJobTemplates"]
    assert len(found) == 7
    for row in found:
        resource = f"jobtemplate/{row['templateName']}:{row['templateVersion']}"
        assert row["templateArn"] == f"arn:aws:iot:{REGION}::{resource}"
    name = found[0]["templateName"]
    of_one = fleet.iot.list_managed_job_templates(templateName=name)["managedJobTemplates"]
    assert {row["templateName"] for row in of_one} == {name}


def describe_managed_job_template(fleet: Fleet) -> None:
    listed = fleet.iot.list_managed_job_templates()["managedJobTemplates"][0]
    described = fleet.iot.describe_managed_job_template(templateName=listed["templateName"])
    assert described["templateArn"] == listed["templateArn"]
    assert described["description"] == listed["description"]
    assert isinstance(json.loads(described["document"]), dict)


# --- executions, as operators see them ------------------------------------------------------------


def describe_job_execution(fleet: Fleet) -> None:
    thing = fleet.thing()
    job = fleet.job(thing)
    execution = fleet.iot.describe_job_execution(thingName=thing, jobId=job)["execution"]
    assert (execution["status"], execution["executionNumber"]) == ("QUEUED", 1)
    assert execution["thingArn"] == arn("thing", thing)


def list_job_executions_for_job(fleet: Fleet) -> None:
    busy, idle = fleet.things(2)
    job = fleet.job(busy, idle)
    fleet.start_next(busy)
    (found,) = fleet.iot.list_job_executions_for_job(jobId=job, status="IN_PROGRESS")["executionSummaries"]
    assert found["thingArn"] == arn("thing", busy)
    assert found["jobExecutionSummary"]["status"] == "IN_PROGRESS"


def list_job_executions_for_thing(fleet: Fleet) -> None:
    thing = fleet.thing()
    jobs = {fleet.job(thing), fleet.job(thing)}
    found = fleet.iot.list_job_executions_for_thing(thingName=thing)["executionSummaries"]
    statuses = {row["jobId"]: row["jobExecutionSummary"]["status"] for row in found}
    assert statuses == dict.fromkeys(jobs, "QUEUED")


def cancel_job_execution(fleet: Fleet) -> None:
    canceled, other = fleet.things(2)
    job = fleet.job(canceled, other)
    fleet.iot.cancel_job_execution(thingName=canceled, jobId=job)
    assert fleet.execution(canceled, job)["status"] == "CANCELED"
    assert fleet.counted(job) == {"Canceled": 1, "Queued": 1}


def delete_job_execution(fleet: Fleet) -> None:
    thing = fleet.thing()
    job = fleet.job(thing)
    fleet.report(thing, job, "SUCCEEDED")
    execution = {"thingName": thing, "jobId": job}
    fleet.iot.delete_job_execution(**execution, executionNumber=1)
    assert refusal(fleet.iot.describe_job_execution, **execution).status == 404


# --- executions, as devices see them --------------------------------------------------------------


def get_pending_job_executions(fleet: Fleet) -> None:
    thing = fleet.thing()
    started, queued = fleet.job(thing), fleet.job(thing)
    fleet.report(thing, started, "IN_PROGRESS")
    pending = fleet.data.get_pending_job_executions(thingName=thing)
    assert [each["jobId"] for each in pending["inProgressJobs"]] == [started]
    assert [each["jobId"] for each in pending["queuedJobs"]] == [queued]


def start_next_pending_job_execution(fleet: Fleet) -> None:
    thing = fleet.thing()
    job = fleet.job(thing)
    details = {"step": "1"}
    answer = fleet.data.start_next_pending_job_execution(thingName=thing, statusDetails=details)
    execution = answer["execution"]
    assert (execution["jobId"], execution["status"]) == (job, "IN_PROGRESS")
    assert (execution["statusDetails"], execution["jobDocument"]) == (details, DOCUMENT)


def describe_job_execution_to_its_device(fleet: Fleet) -> None:
    thing = fleet.thing()
    job = fleet.job(thing)
    told = fleet.data.describe_job_execution(thingName=thing, jobId="$next", includeJobDocument=True)
    assert (told["execution"]["jobId"], told["execution"]["status"]) == (job, "QUEUED")
    assert told["execution"]["jobDocument"] == DOCUMENT


def update_job_execution(fleet: Fleet) -> None:
    thing = fleet.thing()
    job = fleet.job(thing)
    state = fleet.data.update_job_execution(
        thingName=thing,
        jobId=job,
        status="SUCCEEDED",
        statusDetails={"took": "3 s"},
        expectedVersion=1,
        includeJobExecutionState=True,
    )["executionState"]
    assert state == {"status": "SUCCEEDED", "statusDetails": {"took": "3 s"}, "versionNumber": 2}
    assert fleet.describe(job)["status"] == "COMPLETED"


# --- tags, events, endpoints ----------------------------------------------------------------------


def tag_resource(fleet: Fleet) -> None:
    group = arn("thinggroup", fleet.group())
    fleet.iot.tag_resource(resourceArn=group, tags=[{"Key": "k", "Value": "v"}])
    assert tags(fleet, group) == {"k": "v"}


def untag_resource(fleet: Fleet) -> None:
    group = arn("thinggroup", fleet.group())
    fleet.iot.tag_resource(resourceArn=group, tags=[{"Key": key, "Value": "v"} for key in "ab"])
    fleet.iot.untag_resource(resourceArn=group, tagKeys=["a"])
    assert tags(fleet, group) == {"b": "v"}


def list_tags_for_resource(fleet: Fleet) -> None:
    job = arn("job", fleet.job(fleet.thing(), tags=[{"Key": "k", "Value": "v"}]))
    assert fleet.iot.list_tags_for_resource(resourceArn=job)["tags"] == [{"Key": "k", "Value": "v"}]


def tags(fleet: Fleet, resource_arn: str) -> dict[str, str]:
    listed = fleet.iot.list_tags_for_resource(resourceArn=resource_arn)["tags"]
    return {tag["Key"]: tag["Value"] for tag in listed}


def update_event_configurations(fleet: Fleet) -> None:
    for enabled in (True, False):
        fleet.iot.update_event_configurations(eventConfigurations={"JOB": {"Enabled": enabled}})
        shown = fleet.iot.describe_event_configurations()["eventConfigurations"]
        assert shown["JOB"] == {"Enabled": enabled}


def describe_event_configurations(fleet: Fleet) -> None:
    shown = fleet.iot.describe_event_configurations()["eventConfigurations"]
    assert shown.keys() == set(model(Plane.CONTROL).shape_for("EventType").enum)


def describe_endpoint(fleet: Fleet) -> None:
    address = fleet.iot.describe_endpoint(endpointType="iot:Jobs")["endpointAddress"]
    assert fleet.server.url == f"http://{address}"


# --- the table ------------------------------------------------------------------------------------

EXAMPLES: Mapping[Plane, Mapping[str, Example]] = {
    Plane.CONTROL: {
        "AddThingToThingGroup": add_thing_to_thing_group,
        "AssociateTargetsWithJob": associate_targets_with_job,
        "CancelJob": cancel_job,
        "CancelJobExecution": cancel_job_execution,
        "CreateJob": create_job,
        "CreateJobTemplate": create_job_template,
        "CreateThing": create_thing,
        "CreateThingGroup": create_thing_group,
        "CreateThingType": create_thing_type,
        "DeleteJob": delete_job,
        "DeleteJobExecution": delete_job_execution,
        "DeleteJobTemplate": delete_job_template,
        "DeleteThing": delete_thing,
        "DeleteThingGroup": delete_thing_group,
        "DeleteThingType": delete_thing_type,
        "DeprecateThingType": deprecate_thing_type,
        "DescribeEndpoint": describe_endpoint,
        "DescribeEventConfigurations": describe_event_configurations,
        "DescribeJob": describe_job,
        "DescribeJobExecution": describe_job_execution,
        "DescribeJobTemplate": describe_job_template,
        "DescribeManagedJobTemplate": describe_managed_job_template,
        "DescribeThing": describe_thing,
        "DescribeThingGroup": describe_thing_group,
        "DescribeThingType": describe_thing_type,
        "GetJobDocument": get_job_document,
        "ListJobExecutionsForJob": list_job_executions_for_job,
        "ListJobExecutionsForThing": list_job_executions_for_thing,
        "ListJobTemplates": list_job_templates,
        "ListJobs": list_jobs,
        "ListManagedJobTemplates": list_managed_job_templates,
        "ListTagsForResource": list_tags_for_resource,
        "ListThingGroups": list_thing_groups,
        "ListThingGroupsForThing": list_thing_groups_for_thing,
        "ListThingTypes": list_thing_types,
        "ListThings": list_things,
        "ListThingsInThingGroup": list_things_in_thing_group,
        "RemoveThingFromThingGroup": remove_thing_from_thing_group,
        "TagResource": tag_resource,
        "UntagResource": untag_resource,
        "UpdateEventConfigurations": update_event_configurations,
        "UpdateJob": update_job,
        "UpdateThing": update_thing,
        "UpdateThingGroup": update_thing_group,
        "UpdateThingGroupsForThing": update_thing_groups_for_thing,
        "UpdateThingType": update_thing_type,
    },
    Plane.DEVICE: {
        "DescribeJobExecution": describe_job_execution_to_its_device,
        "GetPendingJobExecutions": get_pending_job_executions,
        "StartNextPendingJobExecution": start_next_pending_job_execution,
        "UpdateJobExecution": update_job_execution,
    },
}
NOT_SERVED = [
    operation
    for operation in OPERATIONS
    if operation.name not in (CONTROL if operation.plane is Plane.CONTROL else DEVICE)
]


def test_every_served_operation_has_an_example() -> None:
    assert EXAMPLES[Plane.CONTROL].keys() == CONTROL.keys()
    assert EXAMPLES[Plane.DEVICE].keys() == DEVICE


@pytest.mark.parametrize(
    ("plane", "name", "example"),
    [
        pytest.param(plane, name, example, id=f"{SERVICES[plane]}-{name}")
        for plane, examples in EXAMPLES.items()
        for name, example in examples.items()
    ],
)
def test_served_operation_does_its_work(fleet: Fleet, plane: Plane, name: str, example: Example) -> None:
    called: list[str] = []
    client = fleet.iot if plane is Plane.CONTROL else fleet.data

    def heard(model: Any, **_: object) -> None:
        called.append(model.name)

    client.meta.events.register("before-call", heard)
    try:
        example(fleet)
    finally:
        client.meta.events.unregister("before-call", heard)
    assert name in called


# --- what is not served ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def strict_clients(server: Server) -> Mapping[Plane, Any]:
    """Clients that refuse by themselves what the model does not allow."""
    config = Config(retries={"total_max_attempts": 1}, read_timeout=SECONDS)
    of = partial(
        boto3.client,
        region_name=REGION,
        endpoint_url=server.url,
        aws_access_key_id="k",
        aws_secret_access_key="s",
        config=config,
    )
    return {plane: of(service) for plane, service in SERVICES.items()}


@pytest.mark.parametrize("operation", NOT_SERVED, ids=lambda operation: operation.name)
def test_operation_that_is_not_served_says_so(
    strict_clients: Mapping[Plane, Any], operation: Operation
) -> None:
    """adr: 0018"""
    client = strict_clients[operation.plane]
    method = {name: python for python, name in client.meta.method_to_api_mapping.items()}[operation.name]
    shape = model(operation.plane).operation_model(operation.name).input_shape
    told = refusal(getattr(client, method), **(minimal(shape) if shape else {}))
    assert (told.status, told.code) == (501, "NotImplementedException")
    assert told.message.startswith(f"{operation.name} is not served here")
