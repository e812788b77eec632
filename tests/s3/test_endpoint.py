"""Endpoints as configured: what is one, and what is refused at the start."""

from __future__ import annotations

import pytest

from thingjobs.s3.endpoint import AWS, InvalidEndpoint, checked_endpoint


@pytest.mark.parametrize(
    ("text", "origin", "prefix"),
    [
        ("https://storage.example.net", "https://storage.example.net", ""),
        ("https://storage.example.net/", "https://storage.example.net", ""),
        ("HTTPS://Storage.Example.NET:443", "https://storage.example.net", ""),
        ("http://storage:9000", "http://storage:9000", ""),
        ("http://127.0.0.1:80", "http://127.0.0.1", ""),
        ("http://[::1]:9000", "http://[::1]:9000", ""),
        ("https://s3.{region}.example.net", "https://s3.eu-north-1.example.net", ""),
        ("https://gateway.example.net/s3/v1/", "https://gateway.example.net", "/s3/v1"),
        (AWS, "https://s3.eu-north-1.amazonaws.com", ""),
    ],
)
def test_an_endpoint_has_an_origin_and_may_have_a_prefix(text: str, origin: str, prefix: str) -> None:
    location = checked_endpoint(text, "eu-north-1").location("eu-north-1")
    assert (location.origin, location.prefix) == (origin, prefix)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("ftp://storage.example.net", "http:// or https://"),
        ("file:///etc/passwd", "http:// or https://"),
        ("storage.example.net:9000", "http:// or https://"),
        ("", "http:// or https://"),
        ("https://user:secret@storage.example.net", "credentials"),
        ("https://storage.example.net?x=y", "query or a fragment"),
        ("https://storage.example.net#x", "query or a fragment"),
        ("https://", "form"),
        ("https://storage.example.net:port", "form"),
        ("https://storage.example.net:123456", "form"),
        ("https://storage.example.net:0", "port must be"),
        ("https://storage.example.net:65536", "port must be"),
        ("https://sto rage", "form"),
        ("https://storage\r\nX: y", "form"),
        ("https://störage.example.net", "form"),
        ("https://.example.net", "not the name of a host"),
        ("https://storage.example.net.", "not the name of a host"),
        (f"https://{'a' * 64}.net", "not the name of a host"),
        ("https://[::1::2]", "not the name of a host"),
        ("https://s3.{zone}.example.net", "form"),
        ("https://storage.example.net/a//b", "form"),
        ("https://storage.example.net/a/../b", r"\. or \.\."),
        ("https://storage.example.net/%2e%2e", "form"),
    ],
)
def test_what_is_no_endpoint_is_refused_with_the_reason(text: str, why: str) -> None:
    with pytest.raises(InvalidEndpoint, match=why) as refused:
        checked_endpoint(text, "eu-north-1")
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("region", ["", "EU", "a.b", "a/b", "-a", "a@b", "a" * 64])
def test_a_region_must_fit_into_a_host_name(region: str) -> None:
    with pytest.raises(InvalidEndpoint, match="region"):
        checked_endpoint(AWS, region)


def test_only_a_regional_endpoint_follows_the_region_of_an_object() -> None:
    regional = checked_endpoint(AWS, "us-east-1")
    assert regional.signing_region("eu-north-1") == "eu-north-1"
    assert regional.signing_region("EU-North-1") == "eu-north-1"
    assert regional.signing_region(None) == "us-east-1"
    assert checked_endpoint("http://minio:9000", "us-east-1").signing_region("eu-north-1") == "us-east-1"


def test_aws_in_china_has_a_domain_of_its_own() -> None:
    location = checked_endpoint(AWS, "cn-north-1").location("cn-north-1")
    assert location.host == "s3.cn-north-1.amazonaws.com.cn"
