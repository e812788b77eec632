"""Quotas and request rates as callers meet them (spec: quotas, ruling 19)."""

from __future__ import annotations

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


def test_a_quota_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    for option in ("--quota.nope=1", "--rate.UpdateJobExecution=1", "--mqtt-limit.nope=1"):
        ended = subprocess.run(
            [str(PROGRAM), "dev", "--data", str(tmp_path / "data"), "--http-port", "0", option],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert ended.returncode == 1
        assert "there is no such" in ended.stderr
