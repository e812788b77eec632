"""Job templates as rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from thingjobs.domain.model import Document, JobTemplate, ScopeId
from thingjobs.domain.schedule import MaintenanceWindow, SchedulingConfig
from thingjobs.store.job_configs import arns_of, config_columns, config_of, json_text
from thingjobs.store.sqlite import Database

MAX_INSTANT = 2**62


class JobTemplateRow(NamedTuple):
    """What a list shows of a template."""

    template_id: str
    description: str
    created_at: int


class JobTemplates:
    def __init__(self, database: Database) -> None:
        self._db = database

    def find(self, scope: ScopeId, template_id: str) -> JobTemplate | None:
        row = self._db.row("job_template_by_id", scope=scope, template_id=template_id)
        return _template(row) if row else None

    def exists(self, scope: ScopeId, template_id: str) -> bool:
        return self._db.row("job_template_exists", scope=scope, template_id=template_id) is not None

    def insert(self, scope: ScopeId, template: JobTemplate) -> None:
        scheduling = template.config.scheduling
        self._db.run(
            "insert_job_template",
            scope=scope,
            template_id=template.template_id,
            description=template.description,
            document=template.document.text,
            document_source=template.document.source,
            maintenance_windows=json_text(scheduling.maintenance_windows if scheduling else ()),
            destination_package_versions=json_text(template.destination_package_versions),
            created_at=template.created_at,
            **config_columns(template.config),
        )

    def delete(self, scope: ScopeId, template_id: str) -> None:
        self._db.run("delete_job_template", scope=scope, template_id=template_id)

    def count(self, scope: ScopeId) -> int:
        row = self._db.row("count_job_templates", scope=scope)
        return int(row[0]) if row else 0

    def page(self, scope: ScopeId, *, after: tuple[int, str] | None, limit: int) -> Sequence[JobTemplateRow]:
        """Templates, newest first, after (created_at, template_id)."""
        created_at, template_id = after or (MAX_INSTANT, "")
        rows = self._db.rows(
            "job_templates_page", scope=scope, created_at=created_at, template_id=template_id, limit=limit
        )
        return [JobTemplateRow._make(row) for row in rows]


_WINDOWS = msgspec.json.Decoder(tuple[MaintenanceWindow, ...])


def _template(row: tuple[Any, ...]) -> JobTemplate:
    template_id, description, document, source, *config, windows, package_versions, created_at = row
    opens = _WINDOWS.decode(windows)
    return JobTemplate(
        template_id=template_id,
        description=description,
        document=Document(document, source),
        config=config_of(tuple(config), SchedulingConfig(None, None, None, opens) if opens else None),
        destination_package_versions=arns_of(package_versions),
        created_at=created_at,
    )
