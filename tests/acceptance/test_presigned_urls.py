"""Presigned URLs in job documents, as devices get them (spec: wire 8)."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from fleet import ROLE, Fleet, arn, invalid, refusal
from mqtt_client import Devices
from servers import Server
from thingjobs.auth.keys import FILE_NAME, AccessKeys
from thingjobs.mqtt.packets import Version

URL = "https://s3.eu-north-1.amazonaws.com/firmware/v2/image.bin"
PLACEHOLDER = f"${{aws:iot:s3-presigned-url:{URL}}}"
PLACEHOLDER_V2 = "${aws:iot:s3-presigned-url-v2:https://firmware.s3.amazonaws.com/a%20b?versionId=7}"
FOREIGN = "${aws:iot:s3-presigned-url:https://example.com/b/k}"


def a_document(*values: str) -> str:
    return json.dumps({"files": list(values)})


def files_of(document: Any) -> list[str]:
    """``document`` as text over HTTP, as a value over MQTT."""
    value = json.loads(document) if isinstance(document, str) else document
    return list(value["files"])


def query_of(url: str) -> dict[str, str]:
    return {name: value for name, (value,) in parse_qs(urlsplit(url).query).items()}


def signed_at(url: str) -> int:
    """Milliseconds."""
    at = datetime.strptime(query_of(url)["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    return int(at.timestamp() * 1000)


def admin_key(server: Server) -> tuple[str, str]:
    (key,) = AccessKeys(server.data / FILE_NAME).list()
    return key.access_key_id, key.secret


def a_job(fleet: Fleet, thing: str, *values: str, **config: Any) -> str:
    presigned = {"roleArn": ROLE, **config}
    return fleet.job(thing, document=a_document(*(values or (PLACEHOLDER,))), presignedUrlConfig=presigned)


def test_each_delivery_has_urls_of_its_own_time(fleet: Fleet) -> None:
    """case 178"""
    thing = fleet.thing()
    job = a_job(fleet, thing, expiresInSec=60)
    urls = []
    for _ in range(2):
        execution = fleet.data.start_next_pending_job_execution(thingName=thing)["execution"]
        (url,) = files_of(execution["jobDocument"])
        assert query_of(url)["X-Amz-Expires"] == "60"
        assert abs(signed_at(url) - fleet.server.now()) < 1000
        urls.append(url)
        fleet.server.advance(2)
    assert urls[0] != urls[1]
    assert fleet.iot.get_job_document(jobId=job)["document"] == a_document(PLACEHOLDER)


def test_a_url_names_the_object_and_lasts_an_hour_unless_the_job_says_otherwise(fleet: Fleet) -> None:
    """spec: quotas 1, presigned expiry"""
    thing = fleet.thing()
    a_job(fleet, thing, PLACEHOLDER, f"curl {PLACEHOLDER_V2} && reboot")
    execution = fleet.data.start_next_pending_job_execution(thingName=thing)["execution"]
    first, second = files_of(execution["jobDocument"])
    assert first.partition("?")[0] == URL
    assert query_of(first)["X-Amz-Expires"] == "3600"
    assert query_of(first)["X-Amz-Credential"].split("/")[2:] == ["eu-north-1", "s3", "aws4_request"]
    assert second.startswith("curl https://")
    assert second.endswith(" && reboot")
    assert query_of(second.split()[1])["versionId"] == "7"
    assert "/firmware/a%20b?" in second


def test_every_way_to_a_document_has_urls(fleet: Fleet) -> None:
    """spec: wire 8: describe, $next, update with includeJobDocument"""
    thing = fleet.thing()
    job = a_job(fleet, thing)
    named = {"thingName": thing, "jobId": job}
    described = fleet.data.describe_job_execution(**named, includeJobDocument=True)
    following = fleet.data.describe_job_execution(thingName=thing, jobId="$next", includeJobDocument=True)
    updated = fleet.data.update_job_execution(**named, status="IN_PROGRESS", includeJobDocument=True)
    for document in (
        described["execution"]["jobDocument"],
        following["execution"]["jobDocument"],
        updated["jobDocument"],
    ):
        assert "X-Amz-Signature" in query_of(*files_of(document))


@pytest.mark.parametrize("version", Version, ids=lambda version: version.name)
def test_devices_on_mqtt_are_told_with_urls(fleet: Fleet, server: Server, version: Version) -> None:
    """spec: wire 8: notify-next, start-next, get, update with includeJobDocument"""
    with Devices(server.mqtt_port, version) as devices:
        device = devices.listening(fleet.thing())
        job = a_job(fleet, device.thing)
        assert device.expect_notify() == {"QUEUED": [job]}
        documents = [
            device.expect(device.topic("notify-next"))["execution"]["jobDocument"],
            device.accepted("$next/get", {"includeJobDocument": True})["execution"]["jobDocument"],
            device.started()["jobDocument"],
            device.report(job, "IN_PROGRESS", includeJobDocument=True)["jobDocument"],
        ]
    for document in documents:
        assert "X-Amz-Signature" in query_of(*files_of(document))


def test_an_update_of_the_expiry_counts_from_the_next_delivery(fleet: Fleet) -> None:
    thing = fleet.thing()
    job = a_job(fleet, thing, expiresInSec=60)

    def expiry() -> str:
        execution = fleet.data.start_next_pending_job_execution(thingName=thing)["execution"]
        return query_of(*files_of(execution["jobDocument"]))["X-Amz-Expires"]

    assert expiry() == "60"
    fleet.iot.update_job(jobId=job, presignedUrlConfig={"roleArn": ROLE, "expiresInSec": 120})
    assert expiry() == "120"
    assert refusal(fleet.iot.update_job, jobId=job, presignedUrlConfig={"expiresInSec": 90}) == invalid(
        f"Role must be provided for pre-sign S3 urls in job document of job {job}."
    )
    assert expiry() == "120"


@pytest.mark.parametrize(
    ("placeholder", "role", "said"),
    [
        (PLACEHOLDER, None, "Role must be provided for pre-sign S3 urls in job document of job {id}."),
        (
            PLACEHOLDER_V2,
            None,
            "presignedUrlConfig role ARN is required to generate an S3 presigned url in job document.",
        ),
        (FOREIGN, ROLE, "Given S3 url https://example.com/b/k is invalid."),
    ],
)
def test_a_template_that_cannot_be_signed_is_refused(
    fleet: Fleet, placeholder: str, role: str | None, said: str
) -> None:
    """case 205 for templates; test_create_job_refusals has it for jobs"""
    template = fleet.unique("tpl")
    told = refusal(
        fleet.iot.create_job_template,
        jobTemplateId=template,
        description="d",
        document=a_document(placeholder),
        presignedUrlConfig={"roleArn": role} if role else {},
    )
    assert told == invalid(said.format(id=template))
    assert refusal(fleet.iot.describe_job_template, jobTemplateId=template).status == 404


def test_more_substitutions_than_allowed_are_refused(fleet: Fleet) -> None:
    """spec: quotas 1, document substitutions"""
    thing = fleet.thing()
    a_job(fleet, thing, *[PLACEHOLDER] * 10)
    told = fleet.refused_job(
        thing, document=a_document(*[PLACEHOLDER] * 11), presignedUrlConfig={"roleArn": ROLE}
    )
    assert told.status == 400
    assert "has 11 substitutions; 10 are allowed" in told.message


def test_a_template_gives_its_role_to_the_job(fleet: Fleet) -> None:
    thing, template, job = fleet.thing(), fleet.unique("tpl"), fleet.unique("j")
    fleet.iot.create_job_template(
        jobTemplateId=template,
        description="d",
        document=a_document(PLACEHOLDER),
        presignedUrlConfig={"roleArn": ROLE, "expiresInSec": 61},
    )
    fleet.iot.create_job(
        jobId=job, targets=[arn("thing", thing)], jobTemplateArn=arn("jobtemplate", template)
    )
    execution = fleet.data.start_next_pending_job_execution(thingName=thing)["execution"]
    assert query_of(*files_of(execution["jobDocument"]))["X-Amz-Expires"] == "61"


def test_a_role_without_credentials_is_refused_when_the_job_is_created(tmp_path: Path) -> None:
    """Issue: a document that cannot be signed is refused at creation, not on the device."""
    with Server(tmp_path / "data", "--s3-buckets", "firmware", mode="serve") as server:
        fleet = Fleet(server, lambda prefix: f"{prefix}-1", key=admin_key(server))
        told = refusal(
            fleet.iot.create_job,
            jobId="j",
            targets=[arn("thing", fleet.thing())],
            document=a_document(PLACEHOLDER),
            presignedUrlConfig={"roleArn": ROLE},
        )
        assert (told.status, told.code) == (400, "InvalidRequestException")
        assert ROLE in told.message
        assert refusal(fleet.iot.describe_job, jobId="j").status == 404
