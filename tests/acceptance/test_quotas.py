"""Quotas and request rates as callers meet them (spec: quotas, ruling 19)."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from mqtt_client import Devices
from servers import PROGRAM, Server
from thingjobs.auth.keys import FILE_NAME, AccessKeys
from thingjobs.mqtt.packets import Publish, Version
from thingjobs.mqtt.reasons import ReasonCode


def refusal_of(call: Any, **members: Any) -> Any:
    with pytest.raises(ClientError) as error:
        call(**members)
    return error.value.response


def test_active_jobs_are_limited_by_their_target_selection(tmp_path: Path) -> None:
    """spec: quotas 2"""
    options = ("--quota.active_snapshot_jobs=2", "--quota.active_continuous_jobs=1")
    with Server(tmp_path / "data", *options) as server:
        iot = server.client("iot")
        thing = iot.create_thing(thingName="t")["thingArn"]
        for n in range(2):
            iot.create_job(jobId=f"s{n}", targets=[thing], document="{}")
        refused = refusal_of(iot.create_job, jobId="s2", targets=[thing], document="{}")
        assert refused["Error"]["Code"] == "LimitExceededException"
        assert refused["ResponseMetadata"]["HTTPStatusCode"] == 410
        assert refused["Error"]["Message"] == "The account has 2 active snapshot jobs, and may have 2."
        iot.create_job(jobId="c0", targets=[thing], document="{}", targetSelection="CONTINUOUS")
        iot.cancel_job(jobId="s0")
        iot.create_job(jobId="s2", targets=[thing], document="{}")


def test_jobs_rolling_out_are_limited(tmp_path: Path) -> None:
    """spec: lifecycle 11"""
    with Server(tmp_path / "data", "--clock", "manual", "--quota.concurrent_jobs=1") as server:
        iot = server.client("iot")
        iot.create_thing_group(thingGroupName="g")
        for name in ("a", "b"):
            iot.create_thing(thingName=name)
            iot.add_thing_to_thing_group(thingGroupName="g", thingName=name)
        group = iot.describe_thing_group(thingGroupName="g")["thingGroupArn"]
        slowly = {"maximumPerMinute": 1}
        iot.create_job(jobId="j0", targets=[group], document="{}", jobExecutionsRolloutConfig=slowly)
        refused = refusal_of(iot.create_job, jobId="j1", targets=[group], document="{}")
        assert refused["Error"]["Message"] == "The account has 1 jobs rolling out, and may have 1."
        server.advance(60)
        iot.create_job(jobId="j1", targets=[group], document="{}")


def test_request_rates_are_enforced_in_serve_and_name_the_limit(tmp_path: Path) -> None:
    """case 180, case 119"""
    with Server(tmp_path / "data", "--rate.DescribeJob=2", "--rate.DeviceReads=1", mode="serve") as server:
        key = AccessKeys(tmp_path / "data" / FILE_NAME).list()[0]
        iot = server.client("iot", key=(key.access_key_id, key.secret))
        refused = [refusal_of(iot.describe_job, jobId="nope") for _ in range(3)]
        assert [r["Error"]["Code"] for r in refused[:2]] == ["ResourceNotFoundException"] * 2
        throttled = refused[2]
        assert throttled["Error"]["Code"] == "ThrottlingException"
        assert throttled["ResponseMetadata"]["HTTPStatusCode"] == 400
        assert throttled["ResponseMetadata"]["HTTPHeaders"]["retry-after"] == "1"
        assert "limited to 2 requests per second and 2 were made" in throttled["Error"]["Message"]
        data = server.client("iot-jobs-data", key=(key.access_key_id, key.secret))
        refusal_of(data.get_pending_job_executions, thingName="t")
        throttled = refusal_of(data.get_pending_job_executions, thingName="t")
        assert throttled["Error"]["Code"] == "ThrottlingException"
        assert throttled["ResponseMetadata"]["HTTPStatusCode"] == 429


def test_request_rates_are_not_enforced_in_dev(tmp_path: Path) -> None:
    """spec: ruling 19"""
    with Server(tmp_path / "data") as server:
        iot = server.client("iot")
        codes = {refusal_of(iot.describe_job, jobId="nope")["Error"]["Code"] for _ in range(30)}
        assert codes == {"ResourceNotFoundException"}


def test_the_rates_of_mqtt_refuse_and_disconnect(tmp_path: Path) -> None:
    """spec: quotas 4 and 5"""
    options = ("--request-rates", "--rate.MqttConnect=2", "--rate.MqttPublish=3")
    with Server(tmp_path / "data", *options) as server, Devices(server.mqtt_port, Version.V5) as devices:
        first = devices.connect("one")
        devices.connect("two")
        refused = devices.open()
        assert refused.connect("three").code == ReasonCode.CONNECTION_RATE_EXCEEDED
        for _ in range(4):
            first.send(Publish("a/b", b"x"))
        assert first.expect_end() == ReasonCode.MESSAGE_RATE_TOO_HIGH


def test_registry_quotas_can_be_raised(tmp_path: Path) -> None:
    with Server(tmp_path / "data", "--quota.attributes_without_thing_type=4") as server:
        iot = server.client("iot")
        four = dict.fromkeys("abcd", "x")
        iot.create_thing(thingName="t", attributePayload={"attributes": four})
        refused = refusal_of(
            iot.create_thing, thingName="u", attributePayload={"attributes": {**four, "e": "x"}}
        )
        assert refused["Error"]["Message"].endswith("without a thing type is 4")


def test_lists_and_limits_of_devices_can_be_set(tmp_path: Path) -> None:
    """spec: quotas 2 and 5"""
    options = ("--quota.executions_listed=2", "--mqtt-limit.max_subscriptions=1")
    with Server(tmp_path / "data", *options) as server, Devices(server.mqtt_port, Version.V5) as devices:
        iot = server.client("iot")
        thing = iot.create_thing(thingName="t")["thingArn"]
        device = devices.connect("t")
        for n in range(3):
            iot.create_job(jobId=f"j{n}", targets=[thing], document="{}")
        listed = device.accepted("get")["queuedJobs"]
        assert [each["jobId"] for each in listed] == ["j0", "j1"]
        assert device.subscribe("a", "b") == (1, ReasonCode.QUOTA_EXCEEDED)


def test_raised_limits_are_kept_from_end_to_end(tmp_path: Path) -> None:
    """spec: quotas, "all values must be configurable" """
    options = (
        *("--shape-limit.JobDocument=100000", "--shape-limit.JobId=100", "--shape-limit.DetailsMap=12"),
        *("--shape-limit.DetailsValue=2000", "--shape-limit.MaxJobExecutionsPerMin=5000"),
        *("--quota.document_nesting=2000", "--quota.in_progress_timeout_minutes=20000"),
        *("--quota.step_timeout_minutes=20000", "--quota.retries_per_job=12"),
        *("--mqtt-limit.max_topic_slashes=12", "--mqtt-limit.max_client_token=200"),
    )
    with Server(tmp_path / "data", *options) as server, Devices(server.mqtt_port, Version.V5) as devices:
        iot = server.client("iot")
        thing = iot.create_thing(thingName="t")["thingArn"]
        job_id, document = "j" * 100, f'{{"a":"{"x" * 90_000}"}}'
        retries = [{"failureType": kind, "numberOfRetries": 6} for kind in ("FAILED", "TIMED_OUT")]
        iot.create_job(
            jobId=job_id,
            targets=[thing],
            document=document,
            timeoutConfig={"inProgressTimeoutInMinutes": 20_000},
            jobExecutionsRetryConfig={"criteriaList": retries},
            jobExecutionsRolloutConfig={"maximumPerMinute": 5_000},
        )
        job = iot.describe_job(jobId=job_id)["job"]
        assert job["timeoutConfig"] == {"inProgressTimeoutInMinutes": 20_000}
        assert job["jobExecutionsRolloutConfig"] == {"maximumPerMinute": 5_000}
        assert iot.get_job_document(jobId=job_id)["document"] == document

        details = {f"k{n}": "v" * 2_000 for n in range(12)}
        device = devices.connect("t")
        members = {"statusDetails": details, "stepTimeoutInMinutes": 20_000, "clientToken": "c" * 200}
        started = device.accepted("start-next", json.dumps(members).encode())
        assert started["execution"]["statusDetails"] == details
        assert started["clientToken"] == "c" * 200
        data = server.client("iot-jobs-data")
        data.update_job_execution(
            jobId=job_id, thingName="t", status="IN_PROGRESS", statusDetails={**details, "k0": "w"}
        )
        told = data.describe_job_execution(jobId=job_id, thingName="t")["execution"]
        assert told["statusDetails"]["k0"] == "w"
        assert told["jobDocument"] == document

        nested = "[" * 1_500 + "]" * 1_500
        iot.create_job(jobId="nested", targets=[thing], document=nested)
        told = data.describe_job_execution(jobId="nested", thingName="t")["execution"]
        assert told["jobDocument"] == nested

        deep = "/".join("abcdefghijklm")
        assert device.subscribe(deep) == (1,)
        device.publish(deep, b'"hello"')
        assert device.expect(deep) == "hello"


def test_lowered_limits_are_refused_with_their_number(tmp_path: Path) -> None:
    """spec: quotas, "all values must be configurable" """
    options = (
        *("--shape-limit.JobDocument=10", "--shape-limit.DetailsMap=1", "--shape-limit.DetailsValue=3"),
        *("--quota.retries_per_job=2", "--quota.step_timeout_minutes=5", "--quota.start_lead_days=2"),
        *("--mqtt-limit.max_topic_slashes=3", "--mqtt-limit.max_client_token=4"),
    )
    with Server(tmp_path / "data", *options) as server, Devices(server.mqtt_port, Version.V5) as devices:
        iot, data = server.client("iot"), server.client("iot-jobs-data")
        thing = iot.create_thing(thingName="t")["thingArn"]

        def refused(**members: Any) -> str:
            named = {"jobId": "j", "targets": [thing], "document": "{}", **members}
            return str(refusal_of(iot.create_job, **named)["Error"]["Message"])

        assert refused(document='{"a": "12345"}').endswith("Member must have length less than or equal to 10")
        three = {"criteriaList": [{"failureType": "ALL", "numberOfRetries": 3}]}
        assert "cannot exceed 2, but is 3" in refused(jobExecutionsRetryConfig=three)
        assert "to 2 days from now" in refused(schedulingConfig={"startTime": "2099-01-01T00:00"})
        iot.create_job(jobId="j", targets=[thing], document="{}")

        two, long = {"a": "1", "b": "2"}, {"a": "1234"}
        update = {"jobId": "j", "thingName": "t", "status": "IN_PROGRESS"}
        message = refusal_of(data.update_job_execution, **update, statusDetails=two)["Error"]["Message"]
        assert message == (
            "1 validation error detected: Value '{a=1, b=2}' at 'statusDetails' failed to satisfy constraint:"
            " Member must have length less than or equal to 1"
        )
        device = devices.connect("t")
        for members, sentence in (
            ({"statusDetails": two}, "Member must have length less than or equal to 1"),
            ({"statusDetails": long}, "Member must have length less than or equal to 3"),
            ({"stepTimeoutInMinutes": 6}, "stepTimeoutInMinutes cannot be 6."),
            ({"clientToken": "12345"}, "clientToken must be a string of at most 4 characters."),
        ):
            answer = device.rejected("start-next", json.dumps(members).encode())
            assert answer["code"] == "InvalidRequest"
            assert sentence in answer["message"]
        other = devices.connect("other")
        other.send(Publish("a/b/c/d/e", b""))
        assert other.expect_end() == ReasonCode.TOPIC_NAME_INVALID


def test_a_quota_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    for option in (
        *("--quota.nope=1", "--rate.UpdateJobExecution=1", "--mqtt-limit.nope=1"),
        *("--shape-limit.Nope=1", "--shape-limit.JobTargets=1", "--shape-limit.ExecutionNumber=1"),
    ):
        ended = subprocess.run(
            [str(PROGRAM), "dev", "--data", str(tmp_path / "data"), "--http-port", "0", option],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert ended.returncode == 1
        assert "there is no such" in ended.stderr


@pytest.mark.parametrize(
    ("option", "sentence"),
    [
        ("--shape-limit.RoleArn=5", "--shape-limit.RoleArn must be from 20 to 2147483647, not 5."),
        (
            "--shape-limit.JobId=3000000000",
            "--shape-limit.JobId must be from 1 to 2147483647, not 3000000000.",
        ),
        ("--shape-limit.JobId=0", "--shape-limit.JobId must be from 1 to 2147483647, not 0."),
    ],
)
def test_a_limit_that_cannot_be_is_refused(tmp_path: Path, option: str, sentence: str) -> None:
    ended = subprocess.run(
        [str(PROGRAM), "dev", "--data", str(tmp_path / "data"), "--http-port", "0", option],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ended.returncode == 1
    assert ended.stderr == f"thingjobs: {sentence}\n"
