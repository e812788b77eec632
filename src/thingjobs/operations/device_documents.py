"""Job documents in the spelling devices get. A document never changes, so each is spelled once."""

from __future__ import annotations

from thingjobs.domain.document import device_spelling
from thingjobs.domain.model import JobKey
from thingjobs.store.tx import Tx

MAX_REMEMBERED = 1024


class DeviceDocuments:
    """Remembers the documents last asked for; used by one thread at a time, or by several harmlessly."""

    def __init__(self) -> None:
        self._texts: dict[JobKey, str] = {}

    def text(self, tx: Tx, job_key: JobKey) -> str:
        text = self._texts.get(job_key)
        if text is None:
            text = device_spelling(tx.jobs.document(job_key))
            if len(self._texts) >= MAX_REMEMBERED:
                self._texts.pop(next(iter(self._texts)), None)
            self._texts[job_key] = text
        return text

    def forget(self) -> None:
        """Remember nothing: a transaction failed, and the keys of jobs it made go to others."""
        self._texts = {}
