"""What is served: every operation of the control plane, and whether it changes anything."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from thingjobs.operations import (
    endpoints,
    event_configurations,
    job_executions,
    job_templates,
    jobs,
    managed_job_templates,
    tags,
    thing_groups,
    thing_types,
    things,
)
from thingjobs.operations.call import Call
from thingjobs.store.tx import Tx

OperationFunction = Callable[[Call, Tx, Any], Any]


@dataclass(frozen=True, slots=True)
class Served:
    """``writes``: it needs the writer; others read a snapshot."""

    run: OperationFunction
    writes: bool


_WRITING: Mapping[str, OperationFunction] = {
    "AddThingToThingGroup": thing_groups.add_thing_to_thing_group,
    "AssociateTargetsWithJob": jobs.associate_targets_with_job,
    "CancelJob": jobs.cancel_job,
    "CancelJobExecution": job_executions.cancel_job_execution,
    "CreateJob": jobs.create_job,
    "CreateJobTemplate": job_templates.create_job_template,
    "CreateThing": things.create_thing,
    "CreateThingGroup": thing_groups.create_thing_group,
    "CreateThingType": thing_types.create_thing_type,
    "DeleteJob": jobs.delete_job,
    "DeleteJobExecution": job_executions.delete_job_execution,
    "DeleteJobTemplate": job_templates.delete_job_template,
    "DeleteThing": things.delete_thing,
    "DeleteThingGroup": thing_groups.delete_thing_group,
    "DeleteThingType": thing_types.delete_thing_type,
    "DeprecateThingType": thing_types.deprecate_thing_type,
    "RemoveThingFromThingGroup": thing_groups.remove_thing_from_thing_group,
    "TagResource": tags.tag_resource,
    "UntagResource": tags.untag_resource,
    "UpdateEventConfigurations": event_configurations.update_event_configurations,
    "UpdateJob": jobs.update_job,
    "UpdateThing": things.update_thing,
    "UpdateThingGroup": thing_groups.update_thing_group,
    "UpdateThingGroupsForThing": thing_groups.update_thing_groups_for_thing,
    "UpdateThingType": thing_types.update_thing_type,
}

_READING: Mapping[str, OperationFunction] = {
    "DescribeEndpoint": endpoints.describe_endpoint,
    "DescribeEventConfigurations": event_configurations.describe_event_configurations,
    "DescribeJob": jobs.describe_job,
    "DescribeJobExecution": job_executions.describe_job_execution,
    "DescribeJobTemplate": job_templates.describe_job_template,
    "DescribeManagedJobTemplate": managed_job_templates.describe_managed_job_template,
    "DescribeThing": things.describe_thing,
    "DescribeThingGroup": thing_groups.describe_thing_group,
    "DescribeThingType": thing_types.describe_thing_type,
    "GetJobDocument": jobs.get_job_document,
    "ListJobExecutionsForJob": job_executions.list_job_executions_for_job,
    "ListJobExecutionsForThing": job_executions.list_job_executions_for_thing,
    "ListJobTemplates": job_templates.list_job_templates,
    "ListJobs": jobs.list_jobs,
    "ListManagedJobTemplates": managed_job_templates.list_managed_job_templates,
    "ListTagsForResource": tags.list_tags_for_resource,
    "ListThingGroups": thing_groups.list_thing_groups,
    "ListThingGroupsForThing": thing_groups.list_thing_groups_for_thing,
    "ListThingTypes": thing_types.list_thing_types,
    "ListThings": things.list_things,
    "ListThingsInThingGroup": thing_groups.list_things_in_thing_group,
}

CONTROL: Mapping[str, Served] = {
    **{name: Served(run, writes=True) for name, run in _WRITING.items()},
    **{name: Served(run, writes=False) for name, run in _READING.items()},
}

DEVICE = frozenset(
    {
        "GetPendingJobExecutions",
        "StartNextPendingJobExecution",
        "DescribeJobExecution",
        "UpdateJobExecution",
    }
)
"""The data plane's operations; ``operations.device`` decides them in sets."""
