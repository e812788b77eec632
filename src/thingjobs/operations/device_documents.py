"""Job documents as devices get them: in their spelling, with presigned URLs that begin to count now.

A document never changes, so each is spelled once. URLs signed in the same second are the same, so those of a
job are signed once a second, however many devices get them.
"""

from __future__ import annotations

from typing import NamedTuple

import structlog

from thingjobs.domain import presign
from thingjobs.domain.document import device_spelling
from thingjobs.domain.errors import InvalidRequest
from thingjobs.domain.model import JobFacts, JobKey, PresignedUrlConfig
from thingjobs.operations.storage import NoStorage, Storage
from thingjobs.store.tx import Tx

MAX_REMEMBERED = 1024
EXPIRES_IN_SEC = 3600
"""Of a presigned URL, unless the job says otherwise."""

log = structlog.get_logger()


class _Spelling(NamedTuple):
    text: str
    has_placeholders: bool


class DeviceDocuments:
    """Remembers the documents last asked for; used by one thread at a time, or by several harmlessly."""

    def __init__(self, storage: Storage | None = None) -> None:
        self._storage = storage or NoStorage()
        self._spellings: dict[JobKey, _Spelling] = {}
        self._signed: tuple[int, dict[tuple[JobKey, PresignedUrlConfig], str]] = (0, {})

    def text(self, tx: Tx, job: JobFacts, now: int) -> str:
        """The document to hand out at ``now``, in milliseconds."""
        spelling = self._spellings.get(job.job_key)
        if spelling is None:
            text = device_spelling(tx.jobs.document(job.job_key))
            spelling = _Spelling(text, bool(presign.placeholders(text)))
            if len(self._spellings) >= MAX_REMEMBERED:
                self._spellings.pop(next(iter(self._spellings)), None)
            self._spellings[job.job_key] = spelling
        if not spelling.has_placeholders or job.presigned_url is None:
            return spelling.text
        second, signed = self._signed
        if second != now // 1000:
            self._signed = (now // 1000, signed := {})
        name = (job.job_key, job.presigned_url)
        text_signed = signed.get(name)
        if text_signed is None:
            text_signed = signed[name] = self._sign(spelling.text, job, job.presigned_url, now)
        return text_signed

    def forget(self) -> None:
        """Remember nothing: a transaction failed, and the keys of jobs it made go to others."""
        self._spellings = {}
        self._signed = (0, {})

    def _sign(self, spelling: str, job: JobFacts, config: PresignedUrlConfig, now: int) -> str:
        """The document with its URLs; a placeholder that cannot be filled in now is left as it is."""
        storage = self._storage

        def url_for(placeholder: presign.Placeholder) -> str | None:
            url = None
            try:
                if config.role_arn is not None:
                    url = storage.presigned_url(
                        config.role_arn,
                        presign.object_to_presign(placeholder, storage.hosts),
                        expires_in_sec=config.expires_in_sec or EXPIRES_IN_SEC,
                        now=now,
                    )
            except InvalidRequest:
                pass  # the settings were others when the job was created
            if url is None:
                log.error("presign_failed", job_id=job.job_id, url=placeholder.url, role_arn=config.role_arn)
            return url

        return presign.fill_placeholders(spelling, url_for)
