"""How much of everything an account may have, and how often it may ask: one table of each.

Every number can be overridden in the settings. The defaults are AWS's where they are public; the number of
concurrent jobs is not, and the request rates come from an older public page (unverified).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Quotas:
    """Resource quotas of one account in one region, and limits that no single member's shape can say."""

    active_snapshot_jobs: int = 100
    active_continuous_jobs: int = 100
    concurrent_jobs: int = 100
    job_templates: int = 100
    jobs_in_deletion: int = 10
    targets_per_job: int = 100
    substitutions_per_document: int = 10
    document_source_bytes: int = 32_768
    rollout_per_minute: int = 1_000
    """Things that a job without a rate of its own is handed to."""
    retries_per_job: int = 10
    in_progress_timeout_minutes: int = 10_080
    step_timeout_minutes: int = 10_080
    document_nesting: int = 1_000
    schedule_lead_minutes: int = 30
    """At least so long from now to a start, and from there, or from now, to an end."""
    start_lead_days: int = 365
    end_lead_days: int = 730
    schedule_days: int = 730
    """From start to end."""
    executions_listed: int = 10
    windowed_executions_listed: int = 5
    retention_days: int = 730
    tags_per_resource: int = 50
    attributes_without_thing_type: int = 3
    attributes_per_thing: int = 50
    attributes_per_thing_group: int = 50
    searchable_attributes: int = 3
    thing_type_deletion_minutes: int = 5
    """From a thing type's deprecation until it may be deleted."""
    thing_groups_per_thing: int = 10
    child_groups: int = 100
    thing_group_depth: int = 7


DEFAULT_QUOTAS = Quotas()

DEVICE_READS = "DeviceReads"
DEVICE_WRITES = "DeviceWrites"
OTHER_OPERATIONS = "Other"
MQTT_CONNECT = "MqttConnect"
MQTT_PUBLISH = "MqttPublish"

REQUEST_RATES: Mapping[str, int] = {
    DEVICE_READS: 200,
    DEVICE_WRITES: 200,
    "CreateThing": 15,
    "DescribeThing": 350,
    "CreateThingGroup": 25,
    "AddThingToThingGroup": 60,
    "RemoveThingFromThingGroup": 15,
    "CreateDynamicThingGroup": 5,
    "UpdateDynamicThingGroup": 5,
    "DeleteDynamicThingGroup": 5,
    MQTT_CONNECT: 500,
    MQTT_PUBLISH: 100,
    OTHER_OPERATIONS: 10,
}
"""Requests per second of one account, by operation; the data plane's over HTTP and MQTT together.

MqttPublish is of one connection.
"""


def rate_name(operation_name: str, *, device_plane: bool) -> str:
    """Under which name of ``REQUEST_RATES`` an operation is counted; a name of its own if it has none."""
    if not device_plane:
        return operation_name
    return DEVICE_READS if operation_name.startswith(("Get", "Describe")) else DEVICE_WRITES
