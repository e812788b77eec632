"""A job's configuration as columns: JSON texts, null where nothing is configured."""

from __future__ import annotations

from typing import Any

import msgspec

from thingjobs.domain.model import (
    AbortCriterion,
    JobConfig,
    PresignedUrlConfig,
    RetryCriterion,
    RolloutConfig,
)
from thingjobs.domain.schedule import SchedulingConfig
from thingjobs.store.sqlite import Value

_ROLLOUT = msgspec.json.Decoder(RolloutConfig)
_ABORT = msgspec.json.Decoder(tuple[AbortCriterion, ...])
_RETRY = msgspec.json.Decoder(tuple[RetryCriterion, ...])
_PRESIGNED_URL = msgspec.json.Decoder(PresignedUrlConfig)
_ARNS = msgspec.json.Decoder(tuple[str, ...])


def json_text(value: object) -> str | None:
    return None if value is None else msgspec.json.encode(value).decode()


def config_columns(config: JobConfig) -> dict[str, Value]:
    """All but the scheduling, which jobs and templates keep in columns of their own."""
    return {
        "rollout_config": json_text(config.rollout),
        "abort_config": json_text(config.abort),
        "retry_config": json_text(config.retry),
        "in_progress_timeout_minutes": config.in_progress_timeout_minutes,
        "presigned_url_config": json_text(config.presigned_url),
    }


def config_of(columns: tuple[Any, ...], scheduling: SchedulingConfig | None) -> JobConfig:
    """From the columns in the order of ``config_columns``."""
    rollout, abort, retry, timeout_minutes, presigned_url = columns
    return JobConfig(
        rollout=rollout and _ROLLOUT.decode(rollout),
        abort=abort_criteria_of(abort),
        retry=retry_criteria_of(retry),
        in_progress_timeout_minutes=timeout_minutes,
        presigned_url=presigned_url_of(presigned_url),
        scheduling=scheduling,
    )


def abort_criteria_of(column: str | None) -> tuple[AbortCriterion, ...] | None:
    return None if column is None else _ABORT.decode(column)


def retry_criteria_of(column: str | None) -> tuple[RetryCriterion, ...] | None:
    return None if column is None else _RETRY.decode(column)


def presigned_url_of(column: str | None) -> PresignedUrlConfig | None:
    return None if column is None else _PRESIGNED_URL.decode(column)


def arns_of(column: str | None) -> tuple[str, ...] | None:
    return None if column is None else _ARNS.decode(column)
