"""Reading a document from storage that may do anything (spec: control-plane 2.1)."""

from __future__ import annotations

import asyncio
import gzip
import socket
import ssl
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from structlog.testing import capture_logs

from storage_servers import Answer, RawServer, answers, drips, hangs, pours, refuses, resolves, sends
from thingjobs.domain.errors import InvalidRequest, LimitExceeded, ServiceError, ServiceUnavailable
from thingjobs.domain.presign import S3Object
from thingjobs.s3.roles import Roles
from thingjobs.s3.signing import Credentials
from thingjobs.s3.storage import READS_AT_A_TIME, Options, Storage

URL = "s3://firmware/lamp v1.json"
LAMP = S3Object("firmware", "lamp v1.json")
MAX_BYTES = 32_768
NOW = 1_768_480_200_000
CERTIFICATE = Path(__file__).with_name("storage.example.net.pem")


def a_storage(
    endpoint: str | None,
    *,
    reader: Credentials | None = None,
    tls: ssl.SSLContext | None = None,
    **changes: Any,
) -> Storage:
    options: dict[str, Any] = {
        "region": "us-east-1",
        "endpoint": endpoint,
        "buckets": ("firmware",),
        "private_network": True,
        "timeout": 5.0,
    }
    resolve = {"resolve": changes.pop("resolve")} if "resolve" in changes else {}
    return Storage(
        Options(**{**options, **changes}),
        Roles(reader),
        tls=lambda: tls or ssl.create_default_context(),
        system_now=lambda: NOW,
        **resolve,
    )


def read(answer: Answer, named: S3Object = LAMP, *, max_bytes: int = MAX_BYTES, **changes: Any) -> bytes:
    with RawServer(answer) as server:
        return asyncio.run(a_storage(server.url, **changes).read(named, URL, max_bytes))


def refusal(answer: Answer, **changes: Any) -> ServiceError:
    with pytest.raises(ServiceError) as refused:
        read(answer, **changes)
    return refused.value


def cannot_be_read(why: str) -> str:
    return f"Job document located at {URL} cannot be read: {why}."


def not_now(why: str) -> str:
    return f"Job document located at {URL} cannot be read now: {why}."


# --- what is read ---------------------------------------------------------------------------------


def test_an_object_is_read_whole() -> None:
    document = b'{"install": "\xc3\xbc"}'
    assert read(answers(200, document)) == document
    assert read(answers(200)) == b""


def test_a_body_in_chunks_is_read_whole() -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert read(sends(head + b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")) == b"abcde"


def test_the_request_is_one_plain_get_without_compression() -> None:
    named = S3Object("firmware", "a b/ü+.json", None, "v/1")
    with RawServer(answers(200, b"{}")) as server:
        asyncio.run(a_storage(server.url).read(named, URL, MAX_BYTES))
    assert len(server.requests) == 1
    assert server.requests[0].decode().split("\r\n") == [
        "GET /firmware/a%20b/%C3%BC%2B.json?versionId=v%2F1 HTTP/1.1",
        f"Host: 127.0.0.1:{server.port}",
        "User-Agent: thingjobs",
        "Accept-Encoding: identity",
        "Connection: close",
        "",
        "",
    ]


def test_the_readers_credentials_sign_by_the_systems_clock() -> None:
    with RawServer(answers(200, b"{}")) as server:
        storage = a_storage(server.url, reader=Credentials("AKREADER", "hush"))
        asyncio.run(storage.read(LAMP, URL, MAX_BYTES))
    query = parse_qs(urlsplit(server.requests[0].split(b" ")[1].decode()).query)
    assert query["X-Amz-Credential"] == ["AKREADER/20260115/us-east-1/s3/aws4_request"]
    assert query["X-Amz-Date"] == ["20260115T123000Z"]


def test_an_object_may_have_exactly_as_many_bytes_as_allowed() -> None:
    assert len(read(answers(200, b"x" * MAX_BYTES))) == MAX_BYTES


# --- refusals in the service's words ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("NoSuchBucket", f"Bucket specified by url: {URL} is not found."),
        ("NoSuchKey", f"Job document located at {URL} is not found."),
        ("NoSuchVersion", f"Job document located at {URL} is not found."),
        ("", f"Job document located at {URL} is not found."),
    ],
)
def test_what_is_not_there_is_told_apart(code: str, sentence: str) -> None:
    """case 204"""
    refused = refusal(refuses(404, code))
    assert type(refused) is InvalidRequest
    assert refused.message == sentence


def test_an_error_is_not_parsed_as_xml() -> None:
    bomb = b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><Error><Code>&b;</Code></Error>'
    assert refusal(answers(404, bomb)).message == f"Job document located at {URL} is not found."
    assert "not found" in refusal(answers(404, b"\xff\x00<Code>" + b"x" * 100_000)).message


@pytest.mark.parametrize(
    "answer",
    [
        answers(200, b"x" * (MAX_BYTES + 1)),
        sends(b"HTTP/1.1 200 OK\r\nContent-Length: 5000000000\r\n\r\n"),
        sends(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\n"
            + b"x" * 65_535
            + b"\r\n0\r\n\r\n"
        ),
        pours(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"400\r\n" + b"x" * 1024 + b"\r\n"),
    ],
    ids=["by one", "by its word", "in a chunk", "without end"],
)
def test_what_is_too_large_is_refused(answer: Answer) -> None:
    """case 204"""
    refused = refusal(answer)
    assert type(refused) is LimitExceeded
    assert refused.message == f"Job document from {URL} exceeds size limit 32768 bytes."


@pytest.mark.parametrize("status", [301, 302, 303, 304, 307, 308])
def test_redirects_are_not_followed(status: int) -> None:
    with RawServer(answers(200, b"secret")) as inside:
        refused = refusal(answers(status, b"", f"Location: {inside.url}/"))
    assert type(refused) is InvalidRequest
    assert refused.message == cannot_be_read(
        "the storage answers with a redirect, and redirects are not followed"
    )
    assert inside.requests == []


@pytest.mark.parametrize("status", [401, 403])
def test_denied_access_is_said(status: int) -> None:
    refused = refusal(refuses(status, "AccessDenied"))
    assert type(refused) is InvalidRequest
    assert refused.message == cannot_be_read("access denied")


def test_other_refusals_of_the_storage_are_passed_on_by_their_code() -> None:
    refused = refusal(refuses(400, "InvalidBucketName"))
    assert type(refused) is InvalidRequest
    assert refused.message == cannot_be_read("the storage answers 400 InvalidBucketName")


def test_compressed_objects_are_refused() -> None:
    refused = refusal(answers(200, gzip.compress(b"{}" * 10_000), "Content-Encoding: gzip"))
    assert type(refused) is InvalidRequest
    assert refused.message == cannot_be_read("it is stored with a Content-Encoding")


# --- storage that fails -----------------------------------------------------------------------------


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504, 101, 206])
def test_storage_in_trouble_means_try_again(status: int) -> None:
    refused = refusal(refuses(status, "SlowDown"))
    assert type(refused) is ServiceUnavailable
    assert refused.message.startswith(not_now(f"the storage answers {status}")[:-1])


@pytest.mark.parametrize(
    "answer",
    [
        sends(b""),
        sends(b"\x00\xff rubbish\r\n\r\n"),
        sends(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc"),
        sends(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab"),
        sends(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nab"),
        sends(b"HTTP/1.1 200 OK\r\n\r\nwithout a length"),
        sends(b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nabc"),
        sends(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000 + b"\r\n"),
        sends(b"HTTP/1.1 200 " + b"x" * 1_000_000),
    ],
    ids=[
        "nothing",
        "no HTTP",
        "cut off",
        "cut chunk",
        "bad chunk",
        "no length",
        "bad length",
        "heads",
        "line",
    ],
)
def test_an_answer_that_is_not_whole_is_not_a_document(answer: Answer) -> None:
    assert type(refusal(answer)) is ServiceUnavailable


@pytest.mark.parametrize("size", [b"-1", b"-5"])
def test_a_chunk_of_negative_size_is_not_read_without_end(size: bytes) -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + size + b"\r\n"
    start = time.monotonic()
    assert isinstance(refusal(pours(head, b"x" * 65_536)), ServiceUnavailable | LimitExceeded)
    assert time.monotonic() - start < 5


@pytest.mark.parametrize(
    "answer",
    [
        hangs,
        drips(b"H"),
        drips(b"HTTP/1.1 200 OK\r\nX: y"),
        drips(b"HTTP/1.1 200 OK\r\nContent-Length: 30000\r\n\r\nx"),
        drips(b"HTTP/1.1 500 X\r\nContent-Length: 30000\r\n\r\nx"),
        pours(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    ],
    ids=["silence", "status line", "header", "body", "error", "continue"],
)
def test_the_time_out_ends_a_storage_that_never_ends(answer: Answer) -> None:
    start = time.monotonic()
    refused = refusal(answer, timeout=0.3)
    assert time.monotonic() - start < 4
    assert type(refused) is ServiceUnavailable


def test_a_time_out_is_said() -> None:
    assert refusal(hangs, timeout=0.2).message == not_now("the storage did not answer in time")


def test_nobody_listening_means_try_again() -> None:
    with RawServer(hangs) as server:
        url = server.url
    with pytest.raises(ServiceUnavailable, match="the connection to the storage failed"):
        asyncio.run(a_storage(url).read(LAMP, URL, MAX_BYTES))


def test_a_name_that_does_not_resolve_means_try_again() -> None:
    def fails(*_: Any, **__: Any) -> Sequence[Any]:
        raise OSError("no such name")

    with pytest.raises(ServiceUnavailable, match="the connection to the storage failed"):
        asyncio.run(a_storage("http://storage.example.net", resolve=fails).read(LAMP, URL, MAX_BYTES))


def test_a_resolver_that_hangs_does_not_outlast_the_time_out() -> None:
    done = threading.Event()

    def hang(*_: Any, **__: Any) -> Sequence[Any]:
        done.wait()
        return []

    storage = a_storage("http://storage.example.net", resolve=hang, timeout=0.2)
    try:
        with pytest.raises(ServiceUnavailable, match="did not answer in time"):
            asyncio.run(storage.read(LAMP, URL, MAX_BYTES))
    finally:
        done.set()


# --- many at a time -----------------------------------------------------------------------------------


def test_no_more_reads_than_threads_go_on_at_a_time() -> None:
    """The first ones hang; those behind them give up in time too."""
    going_on = set()
    most = 0

    def answer(server: RawServer, connection: socket.socket) -> None:
        nonlocal most
        going_on.add(connection)
        most = max(most, len(going_on))
        while connection.recv(1):  # until the reader gives up
            pass
        going_on.remove(connection)

    async def scenario(server: RawServer) -> Sequence[Any]:
        storage = a_storage(server.url, timeout=1.0)
        reads = [storage.read(LAMP, URL, MAX_BYTES) for _ in range(READS_AT_A_TIME + 4)]
        return await asyncio.gather(*reads, return_exceptions=True)

    with RawServer(answer) as server:
        outcomes = asyncio.run(scenario(server))
    assert {type(outcome) for outcome in outcomes} == {ServiceUnavailable}
    assert READS_AT_A_TIME <= most <= READS_AT_A_TIME + 1  # one may be seen to end after the next began


def test_threads_that_hung_come_back() -> None:
    async def scenario(server: RawServer) -> bytes:
        storage = a_storage(server.url, timeout=1.0)
        reads = [storage.read(LAMP, URL, MAX_BYTES) for _ in range(READS_AT_A_TIME)]
        await asyncio.gather(*reads, return_exceptions=True)
        healthy.set()
        return await storage.read(LAMP, URL, MAX_BYTES)

    healthy = threading.Event()

    def answer(server: RawServer, connection: Any) -> None:
        if not healthy.is_set():
            hangs(server, connection)
        answers(200, b"{}")(server, connection)

    with RawServer(answer) as server:
        assert asyncio.run(scenario(server)) == b"{}"


# --- TLS ------------------------------------------------------------------------------------------------


def certified() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    return context


def read_over_tls(host: str, trusted: ssl.SSLContext) -> tuple[bytes, list[str | None]]:
    named: list[str | None] = []
    context = certified()
    context.sni_callback = lambda _, name, __: named.append(name)
    with RawServer(answers(200, b"{}"), context) as server:
        storage = a_storage(f"https://{host}:{server.port}", tls=trusted, resolve=resolves("127.0.0.1"))
        return asyncio.run(storage.read(LAMP, URL, MAX_BYTES)), named


def test_tls_names_the_host_and_checks_its_certificate() -> None:
    """The connection goes to an address, the certificate is for the name."""
    trusted = ssl.create_default_context(cafile=CERTIFICATE)
    assert read_over_tls("storage.example.net", trusted) == (b"{}", ["storage.example.net"])


def test_a_certificate_for_another_name_is_not_accepted() -> None:
    trusted = ssl.create_default_context(cafile=CERTIFICATE)
    with pytest.raises(ServiceUnavailable, match="TLS with the storage failed"):
        read_over_tls("other.example.net", trusted)


def test_a_certificate_that_nobody_vouches_for_is_not_accepted() -> None:
    with pytest.raises(ServiceUnavailable, match="TLS with the storage failed"):
        read_over_tls("storage.example.net", ssl.create_default_context())


# --- what the log says ------------------------------------------------------------------------------------


def test_the_log_says_why_without_the_signature() -> None:
    with capture_logs() as logs:
        refusal(refuses(403, "InvalidAccessKeyId"), reader=Credentials("AKREADER", "hush"))
    assert logs == [
        {
            "event": "s3_read_failed",
            "log_level": "info",
            "bucket": "firmware",
            "key": "lamp v1.json",
            "reason": "the storage answers 403 InvalidAccessKeyId",
        }
    ]
