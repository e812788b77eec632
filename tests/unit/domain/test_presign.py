"""Placeholders for presigned S3 URLs (spec: wire 8)."""

from __future__ import annotations

import json

import pytest

from thingjobs.domain.document import device_spelling
from thingjobs.domain.errors import InvalidRequest
from thingjobs.domain.presign import (
    Placeholder,
    S3Object,
    check_presign,
    document_object,
    form_of,
    object_to_presign,
    parse_s3_url,
)

ROLE = "arn:aws:iam::123456789012:role/download"
URL = "https://s3.eu-north-1.amazonaws.com/bucket/firmware.bin"
FIRST_FORM = f"${{aws:iot:s3-presigned-url:{URL}}}"
V2_FORM = f"${{aws:iot:s3-presigned-url-v2:{URL}}}"


def a_document(*values: str) -> str:
    return json.dumps({"files": list(values)})


def refusal(text: str, role_arn: str | None = ROLE, owner: str = "job j1") -> str:
    with pytest.raises(InvalidRequest) as refused:
        check_presign(text, most=10, role_arn=role_arn, owner=owner)
    return refused.value.message


# --- without a role -------------------------------------------------------------------------------


def test_a_placeholder_needs_a_role() -> None:
    """spec: case 205"""
    assert (
        refusal(a_document(FIRST_FORM), role_arn=None)
        == "Role must be provided for pre-sign S3 urls in job document of job j1."
    )


def test_the_refusal_names_the_template() -> None:
    """spec: wire 8"""
    assert refusal(a_document(FIRST_FORM), role_arn=None, owner="job template-1").endswith(
        "of job template-1."
    )


def test_placeholders_of_the_second_form_alone_have_their_own_sentence() -> None:
    """spec: case 205"""
    assert (
        refusal(a_document(V2_FORM, V2_FORM), role_arn=None)
        == "presignedUrlConfig role ARN is required to generate an S3 presigned url in job document."
    )


def test_both_forms_together_get_the_sentence_of_the_first() -> None:
    """spec: wire 8"""
    assert refusal(a_document(V2_FORM, FIRST_FORM), role_arn=None).startswith("Role must be provided")


def test_the_role_is_missed_before_the_url_is_looked_at() -> None:
    text = a_document("${aws:iot:s3-presigned-url:https://example.com/x}")
    assert refusal(text, role_arn=None).startswith("Role must be provided")


@pytest.mark.parametrize(
    "text",
    [
        a_document("no placeholder"),
        a_document("${aws:iot:parameter:x}", "${unknown}", "${aws:iot:s3-presigned-url}"),
        a_document("${aws:iot:package:p:version:1:artifact-location:s3-presigned-url}"),
        a_document("${aws:iot:s3-presigned-url:never closed"),
        a_document("${aws:iot:s3-presigned-url:closed in", "the next}"),
    ],
)
def test_other_documents_need_no_role(text: str) -> None:
    check_presign(text, most=10, role_arn=None, owner="job j1")


# --- the object -----------------------------------------------------------------------------------


def test_a_host_that_is_not_s3_is_refused() -> None:
    """spec: case 205"""
    for form in ("s3-presigned-url", "s3-presigned-url-v2"):
        text = a_document(FIRST_FORM, f"${{aws:iot:{form}:https://example.com/bucket/key}}")
        assert refusal(text) == "Given S3 url https://example.com/bucket/key is invalid."


@pytest.mark.parametrize("url", [f"{URL} 2", f"{URL}?é", f"{URL}%2", f"{URL}%zz", f"{URL}<x>"])
def test_the_second_form_must_be_percent_encoded(url: str) -> None:
    """spec: wire 8"""
    assert refusal(a_document(f"${{aws:iot:s3-presigned-url-v2:{url}}}")) == f"Given S3 url {url} is invalid."
    check_presign(a_document(f"${{aws:iot:s3-presigned-url:{url}}}"), most=10, role_arn=ROLE, owner="job j1")


@pytest.mark.parametrize(
    "url",
    [
        "s3://bucket",
        "s3://bucket/",
        "https://s3.amazonaws.com/bucket",
        "https://s3.amazonaws.com/bucket/",
        "https://bucket.s3.amazonaws.com",
        "https://bucket.s3.amazonaws.com/",
    ],
)
def test_a_url_without_a_key_is_refused(url: str) -> None:
    """spec: wire 8"""
    assert (
        refusal(a_document(f"${{aws:iot:s3-presigned-url:{url}}}"))
        == f"Provided S3 url is not valid: {url}. Error: Key cannot be null"
    )


@pytest.mark.parametrize(
    "url",
    [
        "",
        "bucket/key",
        "ftp://s3.amazonaws.com/b/k",
        "s3:///k",
        "https:///b/k",
        "https://s3.amazonaws.com//k",
    ],
)
def test_what_is_no_url_of_an_object_is_refused(url: str) -> None:
    assert refusal(a_document(f"${{aws:iot:s3-presigned-url:{url}}}")) == f"Given S3 url {url} is invalid."


def test_placeholders_are_found_however_the_stored_text_escapes_them() -> None:
    escaped = a_document(FIRST_FORM).replace("/", "\\/").replace("$", "\\u0024")
    assert refusal(escaped, role_arn=None).startswith("Role must be provided")
    check_presign(escaped, most=10, role_arn=ROLE, owner="job j1")
    hidden = escaped.replace("presigned", "pre\\u0073igned")
    assert refusal(hidden, role_arn=None).startswith("Role must be provided")


def test_many_unclosed_placeholders_are_read_once() -> None:
    assert form_of("${aws:iot:s3-presigned-url:" * 100_000).placeholders == ()


# --- S3 URLs --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("s3://b/a/k%20.bin", S3Object("b", "a/k%20.bin")),
        ("s3://b/k?versionId=1#2", S3Object("b", "k?versionId=1#2")),
        ("https://s3.amazonaws.com/b/k", S3Object("b", "k")),
        ("http://s3.amazonaws.com/b/a/k%20.bin", S3Object("b", "a/k .bin")),
        ("https://s3.eu-north-1.amazonaws.com/b/k", S3Object("b", "k", "eu-north-1")),
        ("https://s3-us-west-2.amazonaws.com/b/k", S3Object("b", "k", "us-west-2")),
        ("https://s3.dualstack.us-gov-west-1.amazonaws.com/b/k", S3Object("b", "k", "us-gov-west-1")),
        ("https://s3.cn-north-1.amazonaws.com.cn/b/k", S3Object("b", "k", "cn-north-1")),
        ("https://b.s3.amazonaws.com/a/k", S3Object("b", "a/k")),
        ("https://my.own.b.s3.eu-north-1.amazonaws.com/k", S3Object("my.own.b", "k", "eu-north-1")),
        ("https://b.s3-us-west-2.amazonaws.com/k", S3Object("b", "k", "us-west-2")),
        ("HTTPS://B.S3.AMAZONAWS.COM/K", S3Object("B", "K")),
        ("https://s3.amazonaws.com/b/k?versionId=v%2B1&x=y#z", S3Object("b", "k", version_id="v+1")),
        ("https://s3.amazonaws.com/b/", S3Object("b", "")),
        ("https://s3.amazonaws.com/b", S3Object("b", "")),
        ("https://s3.amazonaws.com/", None),
        ("https://s3.amazonaws.com", None),
        ("https://example.com/b/k", None),
        ("https://s3.amazonaws.com.example.com/b/k", None),
        ("https://s3.amazonaws.com@example.com/b/k", None),
        ("https://evil-s3.amazonaws.com/b/k", None),
        ("https://s3.amazonaws.com:8443/b/k", None),
        ("https://bucket.s3.eu_north.amazonaws.com/k", None),
    ],
)
def test_s3_urls(url: str, expected: S3Object | None) -> None:
    """spec: control-plane 2, documentSource"""
    assert parse_s3_url(url, percent_encoded=True) == expected


def test_the_first_form_takes_its_url_raw() -> None:
    """spec: wire 8"""
    raw = "https://s3.amazonaws.com/b/a%20b?c#d e"
    assert object_to_presign(Placeholder(raw, is_v2=False)) == S3Object("b", "a%20b?c#d e")
    encoded = "https://s3.amazonaws.com/b/a%2520b%3Fc%23d%20e"
    assert object_to_presign(Placeholder(encoded, is_v2=True)) == S3Object("b", "a%20b?c#d e")


# --- filling in -----------------------------------------------------------------------------------


def test_placeholders_are_filled_in_inside_longer_strings_and_escaped() -> None:
    """spec: wire 8"""
    spelling = device_spelling(a_document(f"curl {FIRST_FORM} {V2_FORM}!", "${left}"))
    filled = form_of(spelling).filled(['1"\\\n', '2"\\\n'])
    assert json.loads(filled) == {"files": ['curl 1"\\\n 2"\\\n!', "${left}"]}


def test_a_placeholder_that_cannot_be_filled_in_stays() -> None:
    """spec: wire 8"""
    spelling = device_spelling(a_document(FIRST_FORM, V2_FORM))
    assert form_of(spelling).filled([None, None]) == spelling
    assert form_of(spelling).filled([None, "x"]) == spelling.replace(V2_FORM, "x")


def test_a_url_with_escapes_is_read_as_json_means_it() -> None:
    spelling = device_spelling(a_document("${aws:iot:s3-presigned-url:s3://b/a\\b\tc}"))
    assert form_of(spelling).placeholders == (Placeholder("s3://b/a\\b\tc", is_v2=False),)


# --- the storage's own names ------------------------------------------------------------------------

HOSTS = ("minio.plant:9000", "files.example.com")


@pytest.mark.parametrize(
    "url",
    [
        "http://minio.plant:9000/fw/a/b.bin",
        "https://MINIO.plant:9000/fw/a/b.bin",
        "http://fw.minio.plant:9000/a/b.bin",
        "https://files.example.com/fw/a/b.bin",
    ],
)
def test_the_storage_is_known_by_its_own_names(url: str) -> None:
    assert document_object(url, HOSTS) == S3Object("fw", "a/b.bin")
    assert object_to_presign(Placeholder(url, is_v2=False), HOSTS) == S3Object("fw", "a/b.bin")


@pytest.mark.parametrize(
    "url",
    [
        "http://minio.plant/fw/k",
        "http://minio.plant:9001/fw/k",
        "http://minio.plant:9000@evil.example/fw/k",
        "http://user:password@minio.plant:9000/fw/k",
        "http://evil.example/minio.plant:9000/k",
        "http://a/b.minio.plant:9000/k",
        "http://.minio.plant:9000/k",
        "http://minio.plant:9000.evil.example/fw/k",
        "http://xfiles.example.com/fw/k",
    ],
)
def test_what_only_looks_like_the_storage_is_refused(url: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        document_object(url, HOSTS)
    assert refused.value.message == f"Job document source {url} is invalid."


def test_a_document_source_is_percent_decoded() -> None:
    """spec: control-plane 2, documentSource"""
    assert document_object("https://s3.amazonaws.com/b/a%20b?versionId=7", ()) == S3Object(
        "b", "a b", version_id="7"
    )
    assert document_object("s3://b/a%20b", ()) == S3Object("b", "a%20b")


def test_a_document_source_needs_a_key() -> None:
    """case 204"""
    with pytest.raises(
        InvalidRequest, match=r"Provided S3 url is not valid: s3://b/\. Error: Key cannot be null"
    ):
        document_object("s3://b/", ())


def test_a_document_has_at_most_so_many_substitutions() -> None:
    """spec: quotas 1"""
    text = a_document(*[FIRST_FORM] * 3)
    assert len(check_presign(text, role_arn=ROLE, owner="job j1", most=3)) == 3
    with pytest.raises(InvalidRequest, match="of job j1 has 3 substitutions; 2 are allowed"):
        check_presign(text, role_arn=ROLE, owner="job j1", most=2)


def test_a_quote_may_stand_in_a_key() -> None:
    spelling = device_spelling(a_document('${aws:iot:s3-presigned-url:s3://b/a"b}'))
    (found,) = form_of(spelling).placeholders
    assert object_to_presign(found) == S3Object("b", 'a"b')
    assert form_of(spelling).filled(["x"]) == '{"files":["x"]}'


def test_a_placeholder_does_not_reach_beyond_its_string() -> None:
    spelling = device_spelling(a_document("${aws:iot:s3-presigned-url:s3://b/k", "}"))
    assert form_of(spelling).placeholders == ()
