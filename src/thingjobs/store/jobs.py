"""Jobs, their documents, targets and counters as rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from thingjobs.domain.model import (
    Counters,
    Document,
    ExecutionStatus,
    GroupKey,
    Job,
    JobFacts,
    JobKey,
    JobStatus,
    ScopeId,
    Sweep,
    Target,
    TargetSelection,
    ThingKey,
)
from thingjobs.domain.schedule import Phase, SchedulingConfig
from thingjobs.domain.windows import end_at
from thingjobs.store.job_configs import (
    abort_criteria_of,
    arns_of,
    config_columns,
    config_of,
    json_text,
    presigned_url_of,
    retry_criteria_of,
)
from thingjobs.store.sqlite import Database, Value

MAX_INSTANT = 2**62

_NO_CHANGE: Mapping[str, int] = {status.value: 0 for status in ExecutionStatus}
_STATUS = {status.value: status for status in JobStatus}
_SELECTION = {selection.value: selection for selection in TargetSelection}
_PHASE = {phase.value: phase for phase in Phase}
_SWEEP: Mapping[str | None, Sweep | None] = {None: None, **{sweep.value: sweep for sweep in Sweep}}


class JobRow(NamedTuple):
    """What a list shows of a job."""

    key: JobKey
    job_id: str
    status: str
    target_selection: str
    created_at: int
    last_updated_at: int
    completed_at: int | None
    sweep: Sweep | None
    rolling_out: bool
    thing_group_id: str | None


class ScheduleRow(NamedTuple):
    """A job whose schedule has a boundary at ``at``."""

    key: JobKey
    at: int
    end_at: int | None
    phase: Phase


class Jobs:
    def __init__(self, database: Database) -> None:
        self._db = database

    # --- one job ----------------------------------------------------------------------------------

    def find(self, scope: ScopeId, job_id: str) -> Job | None:
        row = self._db.row("job_by_id", scope=scope, job_id=job_id)
        return _job(row) if row else None

    def find_by_key(self, key: JobKey) -> Job | None:
        row = self._db.row("job_by_key", key=key)
        return _job(row) if row else None

    def get(self, key: JobKey) -> Job:
        job = self.find_by_key(key)
        if job is None:
            raise LookupError(f"no job has the key {key}")
        return job

    def key(self, scope: ScopeId, job_id: str) -> JobKey | None:
        row = self._db.row("job_key_by_id", scope=scope, job_id=job_id)
        return JobKey(row[0]) if row else None

    def exists(self, scope: ScopeId, job_id: str) -> bool:
        return self.key(scope, job_id) is not None

    def insert(self, job: Job, document: Document, targets: Sequence[Target]) -> JobKey:
        """Store a new job with all that belongs to it; ``job.key`` is ignored, the new key returned."""
        key = JobKey(
            self._db.insert(
                "insert_job",
                scope=job.scope,
                job_id=job.job_id,
                target_selection=job.target_selection.value,
                namespace_id=job.namespace_id,
                scheduling_config=json_text(job.config.scheduling),
                destination_package_versions=json_text(job.destination_package_versions),
                job_template_arn=job.job_template_arn,
                document_parameters=json_text(job.document_parameters),
                created_at=job.created_at,
                end_at=end_at(job.config.scheduling),
                has_windows=int(bool(job.config.scheduling and job.config.scheduling.maintenance_windows)),
                **_changeable(job),
            )
        )
        self._db.run(
            "insert_document",
            job_key=key,
            document=document.text,
            source=document.source,
            before_substitution=document.before_substitution,
        )
        self._db.run("insert_counters", job_key=key)
        self.add_targets(key, 0, targets)
        return key

    def save(self, job: Job) -> None:
        self._db.run("save_job", key=job.key, **_changeable(job))

    def delete(self, key: JobKey) -> None:
        """Remove a job whose executions are gone."""
        for block in (
            "delete_targets_of_job",
            "delete_marks_of_job",
            "delete_document_of_job",
            "delete_counters_of_job",
            "delete_job",
        ):
            self._db.run(block, key=key)

    def document(self, key: JobKey) -> str:
        row = self._db.row("document_of_job", job_key=key)
        if row is None:
            raise LookupError(f"no job has the key {key}")
        return str(row[0])

    def document_with_origin(self, key: JobKey) -> Document:
        row = self._db.row("document_with_origin", job_key=key)
        if row is None:
            raise LookupError(f"no job has the key {key}")
        return Document(*row)

    def document_source(self, key: JobKey) -> str | None:
        """The URL that the document was read from, if it was."""
        row = self._db.row("document_source_of_job", job_key=key)
        return row[0] if row else None

    def targets(self, key: JobKey) -> Sequence[Target]:
        return [
            Target(arn, thing_key and ThingKey(thing_key), group_key and GroupKey(group_key))
            for arn, thing_key, group_key in self._db.rows("targets_of_job", job_key=key)
        ]

    def add_targets(self, key: JobKey, position: int, targets: Sequence[Target]) -> None:
        self._db.run_many(
            "insert_target",
            [
                {
                    "job_key": key,
                    "position": position + i,
                    "arn": target.arn,
                    "thing_key": target.thing_key,
                    "group_key": target.group_key,
                }
                for i, target in enumerate(targets)
            ],
        )

    # --- many -------------------------------------------------------------------------------------

    def facts(self, keys: Iterable[JobKey]) -> Mapping[JobKey, JobFacts]:
        rows = self._db.rows("job_facts", keys=self._db.array(list(keys)))
        return {row[0]: _facts(row) for row in rows}

    def counters(self, key: JobKey) -> Counters:
        return self.counters_of([key])[key]

    def counters_of(self, keys: Iterable[JobKey]) -> Mapping[JobKey, Counters]:
        rows = self._db.rows("counters_of_jobs", keys=self._db.array(list(keys)))
        return {row[0]: dict(zip(ExecutionStatus, row[1:], strict=True)) for row in rows}

    def add_to_counters(self, changes: Mapping[JobKey, Counters]) -> None:
        """Add to each job's counters, in job order."""
        rows: list[Mapping[str, Value]] = []
        for key in sorted(changes):
            change = {status.value: n for status, n in changes[key].items() if n}
            if change:
                rows.append({**_NO_CHANGE, **change, "job_key": key})
        if rows:
            self._db.run_many("add_to_counters", rows)

    def complete(self, keys: Sequence[JobKey], now: int) -> None:
        """Nothing is handed out any more: a job may be complete at its end time with targets to go."""
        self._db.run("complete_jobs", keys=self._db.array(keys), now=now)
        for block in ("delete_rollouts_of_jobs", "delete_joins_of_jobs"):
            self._db.run(block, keys=self._db.array(keys))

    # --- by the clock -----------------------------------------------------------------------------

    def to_look_at(self, now: int, limit: int, left_out: Sequence[JobKey]) -> Sequence[ScheduleRow]:
        """Jobs whose schedule has a boundary now or had one that nobody looked at, but for ``left_out``."""
        rows = self._db.rows("jobs_to_look_at", now=now, limit=limit, left_out=self._db.array(left_out))
        return [ScheduleRow(key, at, end, _PHASE[phase]) for key, at, end, phase in rows]

    def look_again(self, key: JobKey, at: int | None) -> None:
        """When to look at the schedule of a job again, unless it is finished by now."""
        self._db.run("look_again", key=key, at=at)

    def next_schedule_at(self, now: int) -> int | None:
        row = self._db.row("next_schedule_at", now=now)
        return row[0] if row else None

    def to_retire(self, before: int, limit: int, left_out: Sequence[JobKey]) -> Sequence[tuple[JobKey, int]]:
        """Finished jobs last touched at ``before`` or earlier, but for ``left_out``, and when they were."""
        rows = self._db.rows("jobs_to_retire", before=before, limit=limit, left_out=self._db.array(left_out))
        return [(JobKey(key), at) for key, at in rows]

    def next_to_retire(self, after: int) -> int | None:
        """When the finished job was last touched that is the first touched after ``after``."""
        row = self._db.row("next_to_retire", after=after)
        return row[0] if row else None

    # --- lists ------------------------------------------------------------------------------------

    def page(
        self,
        scope: ScopeId,
        *,
        status: str | None,
        target_selection: str | None,
        namespace_id: str | None,
        target_arn: str | None,
        after: tuple[int, str] | None,
        limit: int,
    ) -> Sequence[JobRow]:
        """Jobs, newest first, after (created_at, job_id)."""
        created_at, job_id = after or (MAX_INSTANT, "")
        parameters: dict[str, Value] = {
            "scope": scope,
            "target_selection": target_selection,
            "namespace_id": namespace_id,
            "created_at": created_at,
            "job_id": job_id,
            "limit": limit,
        }
        if target_arn is not None:
            rows = self._db.rows("jobs_page_by_target", arn=target_arn, status=status, **parameters)
        elif status is not None:
            rows = self._db.rows("jobs_page_by_status", status=status, **parameters)
        else:
            rows = self._db.rows("jobs_page", **parameters)
        return [JobRow._make((*row[:7], _SWEEP[row[7]], bool(row[8]), row[9])) for row in rows]

    def count_in_deletion(self, scope: ScopeId) -> int:
        row = self._db.row("count_jobs_in_deletion", scope=scope)
        return int(row[0]) if row else 0

    def count_active(self, scope: ScopeId, selection: TargetSelection) -> int:
        row = self._db.row("count_active_jobs", scope=scope, target_selection=selection.value)
        return int(row[0]) if row else 0

    def to_sweep(self, limit: int, left_out: Sequence[JobKey]) -> Sequence[JobKey]:
        rows = self._db.rows("jobs_to_sweep", limit=limit, left_out=self._db.array(left_out))
        return [JobKey(key) for (key,) in rows]


def _changeable(job: Job) -> dict[str, Value]:
    return {
        **config_columns(job.config),
        "status": job.status.value,
        "description": job.description,
        "force_canceled": int(job.force_canceled),
        "reason_code": job.reason_code,
        "comment": job.comment,
        "last_updated_at": job.last_updated_at,
        "completed_at": job.completed_at,
        "sweep": job.sweep and job.sweep.value,
        "phase": job.phase.value,
        "next_schedule_at": job.next_schedule_at,
    }


_SCHEDULING = msgspec.json.Decoder(SchedulingConfig)
_PARAMETERS = msgspec.json.Decoder(dict[str, str])


def _job(row: tuple[Any, ...]) -> Job:
    (
        key, scope, job_id, status, target_selection, description, namespace_id,
        rollout, abort, retry, timeout_minutes, presigned_url,
        scheduling, package_versions, force_canceled, reason_code, comment,
        created_at, last_updated_at, completed_at, sweep, phase, next_schedule_at,
        template_arn, parameters,
    ) = row  # fmt: skip
    return Job(
        key=key,
        scope=scope,
        job_id=job_id,
        status=_STATUS[status],
        target_selection=_SELECTION[target_selection],
        description=description,
        namespace_id=namespace_id,
        config=config_of(
            (rollout, abort, retry, timeout_minutes, presigned_url),
            scheduling and _SCHEDULING.decode(scheduling),
        ),
        destination_package_versions=arns_of(package_versions),
        force_canceled=bool(force_canceled),
        reason_code=reason_code,
        comment=comment,
        created_at=created_at,
        last_updated_at=last_updated_at,
        completed_at=completed_at,
        sweep=_SWEEP[sweep],
        phase=_PHASE[phase],
        next_schedule_at=next_schedule_at,
        job_template_arn=template_arn,
        document_parameters=parameters and _PARAMETERS.decode(parameters),
    )


def _facts(row: tuple[Any, ...]) -> JobFacts:
    (
        key, scope, job_id, status, target_selection, namespace_id, timeout_minutes, sweep,
        abort, retry, presigned_url, phase, end, has_windows, rolling_out,
    ) = row  # fmt: skip
    return JobFacts(
        key, scope, job_id, _STATUS[status], _SELECTION[target_selection], namespace_id, timeout_minutes,
        _SWEEP[sweep], abort_criteria_of(abort), retry_criteria_of(retry), presigned_url_of(presigned_url),
        _PHASE[phase], end, bool(has_windows), bool(rolling_out),
    )  # fmt: skip
