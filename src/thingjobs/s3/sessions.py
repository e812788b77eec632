"""Sessions of roles: temporary credentials from STS, kept and renewed before they end.

A session is renewed at half of its life, so that what is signed lives at least the other half. After a
failure the next attempt comes after a pause that grows; what is at hand is used until it ends.

Time is the system's, in milliseconds, also under a manual clock: when a session ends is decided by STS, and
no winding of ours changes that.
"""

from __future__ import annotations

import asyncio
import os
import re
import ssl
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

import structlog

from thingjobs.domain.errors import ServiceUnavailable
from thingjobs.s3.roles import AssumedRole
from thingjobs.s3.signing import Credentials
from thingjobs.s3.threads import Threads

SESSION_NAME = "thingjobs"
AT_A_TIME = 4
FIRST_PAUSE_MS = 5_000
LONGEST_PAUSE_MS = 300_000
LOOK_AT_LEAST_EVERY_S = 60.0
"""A machine that slept must not go on sleeping for the rest of a half life."""

_KEY = re.compile(r"[!-~]+")

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Session:
    """Credentials and the instant at which they end."""

    credentials: Credentials
    expires_at: int


class AssumeRoleFailed(Exception):
    """STS gave no session; the message says what it answered."""


Assume = Callable[[AssumedRole], Session]
"""Ask STS, blocking. Errors: AssumeRoleFailed."""


def renew_at(obtained_at: int, expires_at: int) -> int:
    """When to ask for the next session: at half of the life of this one."""
    return obtained_at + max(0, expires_at - obtained_at) // 2


def pause_after(failures: int) -> int:
    """Milliseconds from the last of so many failures in a row (≥ 1) to the next attempt."""
    return min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS << min(failures - 1, 16))


class _Kept:
    """What is known of one role; ``session`` may be read by any thread."""

    def __init__(self, role: AssumedRole) -> None:
        self.role = role
        self.session: Session | None = None
        self.due_at = 0
        self.failures = 0
        self.renewing = asyncio.Lock()


class Sessions:
    """``timeout`` in seconds, for one request to STS and the wait for a free thread before it."""

    def __init__(
        self, roles: Iterable[AssumedRole], assume: Assume, *, system_now: Callable[[], int], timeout: float
    ) -> None:
        self._kept = {role.role_arn: _Kept(role) for role in roles}
        self._assume = assume
        self._now = system_now
        self._timeout = timeout
        self._threads = Threads(AT_A_TIME, "sts")

    def credentials(self, role_arn: str) -> Credentials | None:
        """What is at hand for a role and has not ended; from any thread."""
        kept = self._kept.get(role_arn)
        session = kept.session if kept is not None else None
        return session.credentials if session is not None and self._now() < session.expires_at else None

    async def obtain(self, role_arn: str) -> None:
        """Have credentials at hand. Those who ask at the same time share one request to STS.

        Errors: ServiceUnavailable, at once during the pause after a failure.
        """
        kept = self._kept[role_arn]
        if self.credentials(role_arn) is None:
            async with kept.renewing:
                if self.credentials(role_arn) is None and (not kept.failures or kept.due_at <= self._now()):
                    await self._renew(kept)
        if self.credentials(role_arn) is None:
            raise ServiceUnavailable(f"Credentials for role {role_arn} cannot be obtained now.")

    async def renew_due(self) -> int:
        """Renew what is due; milliseconds until something is due again."""
        due = [kept for kept in self._kept.values() if kept.due_at <= self._now()]
        await asyncio.gather(*(self._renew_alone(kept) for kept in due))
        return max(0, min(kept.due_at for kept in self._kept.values()) - self._now())

    async def run(self, wait: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Renew for ever. ``wait`` pauses for some seconds."""
        while self._kept:
            try:
                milliseconds = await self.renew_due()
            except Exception:
                log.exception("s3_renewing_failed")
                milliseconds = FIRST_PAUSE_MS
            await wait(min(LOOK_AT_LEAST_EVERY_S, milliseconds / 1000))

    async def _renew_alone(self, kept: _Kept) -> None:
        async with kept.renewing:
            if kept.due_at <= self._now():
                await self._renew(kept)

    async def _renew(self, kept: _Kept) -> None:
        """Ask once. A failure sets the next attempt; the caller holds the lock."""
        role_arn = kept.role.role_arn
        try:
            async with asyncio.timeout(self._timeout):
                session = await self._threads.run(lambda: self._assume(kept.role))
            if session.expires_at <= self._now():
                raise AssumeRoleFailed("the session has ended already; look at the clocks")
        except (AssumeRoleFailed, TimeoutError) as error:
            kept.failures += 1
            pause = pause_after(kept.failures)
            kept.due_at = self._now() + pause
            log.warning(
                "s3_credentials_failed",
                role_arn=role_arn,
                error=str(error) or "no answer in time",
                next_try_seconds=pause // 1000,
            )
        else:
            kept.session, kept.failures = session, 0
            kept.due_at = max(renew_at(self._now(), session.expires_at), self._now() + FIRST_PAUSE_MS)
            log.info("s3_credentials_refreshed", role_arn=role_arn, expires_at=session.expires_at)


def assume_role(region: str, timeout: float) -> Assume:
    """STS AssumeRole through botocore, with nothing taken from the environment or the files of AWS tools.

    One attempt, no proxy; ``timeout`` in seconds for connecting and for each wait for an answer.
    """
    # Here, because importing botocore would add a third to the time of every start.
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError
    from botocore.parsers import ResponseParserError
    from botocore.session import Session as BotocoreSession

    config = Config(
        connect_timeout=timeout,
        read_timeout=timeout,
        retries={"total_max_attempts": 1},
        proxies={},
        ignore_configured_endpoint_urls=True,
    )
    unread = {
        "profile": (None, None, None, None),
        "config_file": (None, None, os.devnull, None),
        "credentials_file": (None, None, os.devnull, None),
        "ca_bundle": (None, None, None, None),
    }
    trusted = ssl.get_default_verify_paths().cafile or True  # botocore has certificates of its own otherwise

    def assume(role: AssumedRole) -> Session:
        try:
            client = BotocoreSession(session_vars=unread).create_client(
                "sts",
                region_name=region,
                endpoint_url=role.sts_endpoint.replace("{region}", region),
                aws_access_key_id=role.keys.access_key_id,
                aws_secret_access_key=role.keys.secret_access_key,
                verify=trusted,
                config=config,
            )
            try:
                given = client.assume_role(
                    RoleArn=role.role_arn,
                    RoleSessionName=SESSION_NAME,
                    DurationSeconds=role.duration_seconds,
                )["Credentials"]
            finally:
                client.close()
            keys = Credentials(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])
            if not all(_KEY.fullmatch(text) for text in (keys.access_key_id, keys.secret_access_key)):
                raise AssumeRoleFailed("the answer has no usable key")
            return Session(keys, round(given["Expiration"].timestamp() * 1000))
        except (BotoCoreError, ClientError) as error:
            raise AssumeRoleFailed(str(error)) from None
        except ResponseParserError:  # whose message quotes the answer, and with it perhaps a secret
            raise AssumeRoleFailed("the answer is no answer of STS") from None
        except KeyError as error:
            raise AssumeRoleFailed(f"the answer has no {error}") from None
        except (ValueError, TypeError, OverflowError, RuntimeError, AttributeError):  # of odd dates, mostly
            raise AssumeRoleFailed("the answer is no answer of STS") from None

    return assume
