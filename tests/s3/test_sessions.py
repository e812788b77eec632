"""Sessions of roles: asked for over a real socket, renewed at half of their life."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from storage_servers import Answer, RawServer, answers, assumes, drips, form, hangs
from thingjobs.domain.errors import ServiceUnavailable
from thingjobs.s3.roles import AssumedRole
from thingjobs.s3.sessions import (
    FIRST_PAUSE_MS,
    LOOK_AT_LEAST_EVERY_S,
    AssumeRoleFailed,
    Session,
    Sessions,
    assume_role,
    pause_after,
    renew_at,
)
from thingjobs.s3.signing import Credentials

ROLE = "arn:aws:iam::123456789012:role/cameras"
OTHER = "arn:aws:iam::123456789012:role/lamps"
NOW = 1_768_480_200_000
HOUR = 3_600_000


def a_role(arn: str = ROLE, sts: str = "http://sts.example.net", duration: int = 3600) -> AssumedRole:
    return AssumedRole(arn, Credentials("AKSTS", "hush"), sts, duration)


# --- when -----------------------------------------------------------------------------------------


def test_a_session_is_renewed_at_half_of_its_life() -> None:
    assert renew_at(NOW, NOW + HOUR) == NOW + HOUR // 2
    assert renew_at(NOW, NOW - 1) == NOW


def test_pauses_after_failures_grow_to_five_minutes() -> None:
    pauses = [pause_after(n) // 1000 for n in (1, 2, 3, 4, 5, 6, 7, 8, 1000)]
    assert pauses == [5, 10, 20, 40, 80, 160, 300, 300, 300]


class Sts:
    """A clock, and an STS: numbered sessions of an hour, failures for some roles, silence."""

    def __init__(self, *roles: AssumedRole) -> None:
        self.now = NOW
        self.failing: set[str] = set()
        self.asked: list[str] = []
        self.open = threading.Event()
        self.open.set()
        self.sessions = Sessions(roles or [a_role()], self.assume, system_now=lambda: self.now, timeout=5.0)

    def assume(self, role: AssumedRole) -> Session:
        self.open.wait()
        self.asked.append(role.role_arn)
        if role.role_arn in self.failing:
            raise AssumeRoleFailed("AccessDenied")
        return Session(Credentials(f"AK{len(self.asked)}", "hush", "token"), self.now + HOUR)

    def id_at_hand(self, arn: str = ROLE) -> str | None:
        credentials = self.sessions.credentials(arn)
        return credentials.access_key_id if credentials is not None else None


def test_renewal_asks_when_half_of_the_life_is_over_and_not_before() -> None:
    async def scenario() -> None:
        sts = Sts()
        assert await sts.sessions.renew_due() == HOUR // 2
        sts.now += HOUR // 2 - 1
        assert await sts.sessions.renew_due() == 1
        assert sts.id_at_hand() == "AK1"
        sts.now += 1
        assert await sts.sessions.renew_due() == HOUR // 2
        assert sts.id_at_hand() == "AK2"

    asyncio.run(scenario())


def test_a_session_is_used_to_its_end_while_renewing_fails_and_no_longer() -> None:
    async def scenario() -> None:
        sts = Sts()
        await sts.sessions.renew_due()
        sts.failing = {ROLE}
        while sts.now + (pause := await sts.sessions.renew_due()) < NOW + HOUR:
            assert sts.id_at_hand() == "AK1"
            sts.now += pause
        sts.now = NOW + HOUR
        assert sts.id_at_hand() is None
        assert len(sts.asked) < 20

    asyncio.run(scenario())


def test_a_role_that_fails_does_not_keep_the_others_from_renewing() -> None:
    async def scenario() -> None:
        sts = Sts(a_role(), a_role(OTHER))
        sts.failing = {ROLE}
        assert await sts.sessions.renew_due() == FIRST_PAUSE_MS
        assert sts.id_at_hand() is None
        assert sts.id_at_hand(OTHER) == "AK2"

    asyncio.run(scenario())


def test_those_who_ask_at_once_share_one_request() -> None:
    async def scenario() -> None:
        sts = Sts()
        await asyncio.gather(*(sts.sessions.obtain(ROLE) for _ in range(50)))
        assert sts.asked == [ROLE]
        assert sts.id_at_hand() == "AK1"

    asyncio.run(scenario())


def test_sts_is_left_alone_during_the_pause_after_a_failure() -> None:
    async def scenario() -> None:
        sts = Sts()
        sts.failing = {ROLE}
        for _ in range(20):
            with pytest.raises(ServiceUnavailable, match=f"role {ROLE} cannot be obtained now"):
                await sts.sessions.obtain(ROLE)
        assert len(sts.asked) == 1
        sts.failing.clear()
        sts.now += FIRST_PAUSE_MS
        await sts.sessions.obtain(ROLE)
        assert sts.id_at_hand() == "AK2"

    asyncio.run(scenario())


def test_an_expired_session_is_asked_for_anew() -> None:
    async def scenario() -> None:
        sts = Sts()
        await sts.sessions.obtain(ROLE)
        sts.now += HOUR
        await sts.sessions.obtain(ROLE)
        assert sts.id_at_hand() == "AK2"

    asyncio.run(scenario())


def test_a_session_that_has_ended_already_is_a_failure() -> None:
    async def scenario() -> None:
        asked = []

        def assume(role: AssumedRole) -> Session:
            asked.append(role)
            return Session(Credentials("AK", "hush", "token"), NOW)

        sessions = Sessions([a_role()], assume, system_now=lambda: NOW, timeout=5.0)
        for _ in range(3):
            with pytest.raises(ServiceUnavailable):
                await sessions.obtain(ROLE)
        assert len(asked) == 1

    asyncio.run(scenario())


def test_the_background_renews_for_ever_and_looks_at_least_every_minute() -> None:
    async def scenario() -> Sequence[float]:
        sts = Sts()
        pauses: list[float] = []

        async def wait(seconds: float) -> None:
            pauses.append(seconds)
            sts.now += round(seconds * 1000)
            if sts.id_at_hand() == "AK3":
                raise asyncio.CancelledError

        with pytest.raises(asyncio.CancelledError):
            await sts.sessions.run(wait)
        return pauses

    pauses = asyncio.run(scenario())
    assert sum(pauses) == pytest.approx(HOUR / 1000, abs=LOOK_AT_LEAST_EVERY_S)
    assert max(pauses) == LOOK_AT_LEAST_EVERY_S


def test_the_background_survives_what_nobody_expected() -> None:
    async def scenario() -> int:
        waits = 0

        def broken(role: AssumedRole) -> Session:
            raise RuntimeError("a fault of ours")

        async def wait(seconds: float) -> None:
            nonlocal waits
            waits += 1
            if waits == 3:
                raise asyncio.CancelledError

        sessions = Sessions([a_role()], broken, system_now=lambda: NOW, timeout=5.0)
        with pytest.raises(asyncio.CancelledError):
            await sessions.run(wait)
        return waits

    assert asyncio.run(scenario()) == 3


def test_the_log_tells_of_sessions_without_their_secrets() -> None:
    async def scenario() -> None:
        sts = Sts()
        sts.failing = {ROLE}
        await sts.sessions.renew_due()
        sts.failing.clear()
        sts.now += FIRST_PAUSE_MS
        await sts.sessions.renew_due()

    with capture_logs() as logs:
        asyncio.run(scenario())
    assert [entry["event"] for entry in logs] == ["s3_credentials_failed", "s3_credentials_refreshed"]
    assert logs[0]["next_try_seconds"] == 5
    assert "hush" not in str(logs)
    assert "token" not in str(logs)


# --- STS over a real socket -------------------------------------------------------------------------


def ask(answer: Answer, timeout: float = 5.0) -> tuple[Session, RawServer]:
    with RawServer(answer) as server:
        return assume_role("eu-north-1", timeout)(a_role(sts=server.url, duration=900)), server


def test_sts_is_asked_for_the_role_and_its_answer_is_the_session(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that is meant for other AWS tools on the machine counts."""
    for name, value in {
        "HTTP_PROXY": "http://127.0.0.1:9",
        "http_proxy": "http://127.0.0.1:9",
        "AWS_PROFILE": "none-such",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_ENDPOINT_URL_STS": "http://127.0.0.1:9",
        "AWS_ACCESS_KEY_ID": "AKWRONG",
        "AWS_SECRET_ACCESS_KEY": "wrong",
        "AWS_SESSION_TOKEN": "wrong",
        "AWS_REGION": "us-west-1",
        "AWS_DEFAULT_REGION": "us-west-1",
        "AWS_CA_BUNDLE": "/none/such",
        "AWS_CONFIG_FILE": "/none/such",
    }.items():
        monkeypatch.setenv(name, value)
    session, server = ask(assumes("ASIA1", "given", "to/ken==", "2026-01-15T13:30:00Z"))
    assert session == Session(
        Credentials("ASIA1", "given", "to/ken=="),
        round(datetime.fromisoformat("2026-01-15T13:30:00Z").timestamp() * 1000),
    )
    (request,) = server.requests
    assert form(request) == {
        "Action": "AssumeRole",
        "Version": "2011-06-15",
        "RoleArn": ROLE,
        "RoleSessionName": "thingjobs",
        "DurationSeconds": "900",
    }
    head = request.partition(b"\r\n\r\n")[0].decode()
    assert "Credential=AKSTS/" in head
    assert "/eu-north-1/sts/aws4_request" in head
    assert "hush" not in request.decode()


DENIED = b"<ErrorResponse><Error><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>"


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (answers(403, DENIED, "Content-Type: text/xml"), "AccessDenied"),
        (answers(500, b""), "500"),
        (answers(200, b"<AssumeRoleResponse></AssumeRoleResponse>"), "the answer has no"),
        (answers(200, b"<X>hush</Y>"), "no answer of STS"),
        (answers(302, b"", "Location: http://127.0.0.1:9/"), "no answer of STS"),
        (hangs, "timeout|timed out|Timeout"),
        (assumes("ASIA1", "given", "token", ""), "no answer of STS"),
        (assumes("ASIA1", "given", "token", "not a date"), "no answer of STS"),
        (assumes("ASIA1", "given", "token", "99999-01-01T00:00:00Z"), "no answer of STS"),
        (assumes("ASIA1", "given", "token", "1e400"), "no answer of STS"),
        (assumes("", "given", "token", "2126-01-15T13:30:00Z"), "no usable key"),
        (assumes("ASIA1", "h ü", "token", "2126-01-15T13:30:00Z"), "no usable key"),
    ],
    ids=[
        "denied",
        "error",
        "empty",
        "rubbish",
        "redirect",
        "silence",
        "no date",
        "odd date",
        "far date",
        "no number",
        "no key",
        "odd secret",
    ],
)
def test_what_is_no_session_is_a_failure_asked_once(answer: Answer, why: str) -> None:
    with RawServer(answer) as server:
        assume = assume_role("us-east-1", 0.5)
        with pytest.raises(AssumeRoleFailed, match=why) as failed:
            assume(a_role(sts=server.url))
    assert "hush" not in str(failed.value)
    assert len(server.requests) == 1


def test_sts_over_tls_is_trusted_as_storage_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def ask_over_tls() -> Session:
        with RawServer(assumes("ASIA1", "given", "token", "2126-01-15T13:30:00Z"), context) as server:
            return assume_role("us-east-1", 5.0)(a_role(sts=server.url))

    certificate = Path(__file__).with_name("storage.example.net.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with pytest.raises(AssumeRoleFailed, match="SSL"):
        ask_over_tls()
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert ask_over_tls().credentials.access_key_id == "ASIA1"


def test_an_sts_that_drips_does_not_outlast_the_time_out() -> None:
    async def scenario(url: str) -> None:
        sessions = Sessions(
            [a_role(sts=url)], assume_role("us-east-1", 0.5), system_now=lambda: NOW, timeout=0.5
        )
        with pytest.raises(ServiceUnavailable):
            await sessions.obtain(ROLE)

    with RawServer(drips(b"HTTP/1.1 200 OK\r\nContent-Length: 30000\r\n\r\nx")) as server:
        asyncio.run(scenario(server.url))


def test_nothing_is_held_up_while_sts_is_silent() -> None:
    """Credentials at hand go on signing, and the loop goes on."""

    async def scenario() -> None:
        sts = Sts(a_role(), a_role(OTHER))
        await sts.sessions.renew_due()
        sts.open.clear()
        sts.now += HOUR // 2
        renewing = asyncio.create_task(sts.sessions.renew_due())
        await asyncio.sleep(0)  # it begins
        assert sts.id_at_hand() == "AK1"
        await sts.sessions.obtain(OTHER)
        sts.open.set()
        await renewing
        assert sts.id_at_hand() == "AK3"

    asyncio.run(scenario())
