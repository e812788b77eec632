"""Job documents as devices get them: in their spelling, with presigned URLs that begin to count now.

A document never changes, so each is spelled, and searched for placeholders, once.
"""

from __future__ import annotations

import threading
from typing import NamedTuple

import structlog

from thingjobs.domain import presign
from thingjobs.domain.document import device_spelling
from thingjobs.domain.errors import InvalidRequest
from thingjobs.domain.model import JobFacts, JobKey, PresignedUrlConfig
from thingjobs.domain.presign import Form, Placeholder, S3Object
from thingjobs.operations.storage import NoStorage, Storage
from thingjobs.store.tx import Tx

MAX_REMEMBERED = 1024
EXPIRES_IN_SEC = 3600
"""Of a presigned URL, unless the job says otherwise."""

log = structlog.get_logger()


class _Spelling(NamedTuple):
    """``form``: None for a document without placeholders. ``named``: what those of ``form`` name."""

    text: str
    form: Form | None
    named: tuple[S3Object | None, ...]


class DeviceDocuments:
    """Remembers the documents last asked for; used by the writer's thread and those that read."""

    def __init__(self, storage: Storage | None = None) -> None:
        self._storage = storage or NoStorage()
        self._spellings: dict[JobKey, _Spelling] = {}
        self._complained: dict[JobKey, int] = {}
        self._changing = threading.Lock()

    def text(self, tx: Tx, job: JobFacts, now: int) -> str:
        """The document to hand out at ``now``, in milliseconds."""
        spelling = self._spellings.get(job.job_key)
        if spelling is None:
            spelling = self._spelling(tx.jobs.document(job.job_key))
            with self._changing:
                if len(self._spellings) >= MAX_REMEMBERED:
                    del self._spellings[next(iter(self._spellings))]
                self._spellings[job.job_key] = spelling
        if spelling.form is None:
            return spelling.text
        urls = [self._url(named, job.presigned_url, now) for named in spelling.named]
        if None in urls:
            self._complain(job, spelling.form.placeholders[urls.index(None)], now)
        return spelling.form.filled(urls)

    def forget(self) -> None:
        """Remember nothing: a transaction failed, and the keys of jobs it made go to others."""
        with self._changing:
            self._spellings = {}

    def _spelling(self, document: str) -> _Spelling:
        text = device_spelling(document)
        form = presign.form_of(text)
        if not form.placeholders:
            return _Spelling(text, None, ())
        return _Spelling(text, form, tuple(self._named(each) for each in form.placeholders))

    def _named(self, placeholder: Placeholder) -> S3Object | None:
        try:
            return presign.object_to_presign(placeholder, self._storage.hosts)
        except InvalidRequest:
            return None  # the storage had other names when the job was created

    def _url(self, named: S3Object | None, config: PresignedUrlConfig | None, now: int) -> str | None:
        """None if it cannot be signed now; the device gets the placeholder."""
        if named is None or config is None or config.role_arn is None:
            return None
        expires_in_sec = config.expires_in_sec or EXPIRES_IN_SEC
        return self._storage.presigned_url(config.role_arn, named, expires_in_sec=expires_in_sec, now=now)

    def _complain(self, job: JobFacts, placeholder: Placeholder, now: int) -> None:
        """Log it once a second for a job, however many devices get it."""
        second = now // 1000
        with self._changing:
            if self._complained.get(job.job_key) == second:
                return
            if len(self._complained) >= MAX_REMEMBERED:
                self._complained.clear()
            self._complained[job.job_key] = second
        role_arn = None if job.presigned_url is None else job.presigned_url.role_arn
        log.error("presign_failed", job_id=job.job_id, url=placeholder.url, role_arn=role_arn)
