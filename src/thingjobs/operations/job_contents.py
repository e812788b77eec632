"""What a new job or job template carries: its document and configuration, and where they come from."""

from __future__ import annotations

from thingjobs.domain import document as documents
from thingjobs.domain import job_config, presign
from thingjobs.domain.errors import InvalidRequest
from thingjobs.domain.model import Document, JobConfig, PresignedUrlConfig
from thingjobs.domain.quotas import Quotas
from thingjobs.operations import job_config_shapes as shapes
from thingjobs.operations.call import Call
from thingjobs.operations.storage import CredentialsNeeded, SourceNeeded
from thingjobs.wire.shapes import iot

INVALID_TAG = "Invalid tag parameter exception. Please check the input."

Request = iot.CreateJobRequest | iot.CreateJobTemplateRequest


def check_one_document(request: Request, otherwise: str | None) -> None:
    """Refuse two documents, and none unless it can come from ``otherwise``, a template or job."""
    if request.document is not None and request.document_source is not None:
        raise InvalidRequest("Job document and job document source cannot be specified at the same time.")
    if request.document is None and request.document_source is None and otherwise is None:
        raise InvalidRequest("Neither job document nor job document source is specified.")


def read_config(request: Request, quotas: Quotas) -> JobConfig:
    """What is asked for, without a schedule; time-out before abort criteria, then the rest (observed)."""
    timeout = shapes.read_timeout(request.timeout_config, quotas)
    abort = shapes.read_abort(request.abort_config)
    rollout = shapes.read_rollout(request.job_executions_rollout_config)
    presigned_url = shapes.read_presigned_url(request.presigned_url_config)
    retry = shapes.read_retry(request.job_executions_retry_config)
    return JobConfig(
        rollout=rollout,
        abort=abort,
        retry=retry and job_config.retry_criteria(retry, quotas),
        in_progress_timeout_minutes=timeout,
        presigned_url=presigned_url,
    )


def package_versions_of(request: Request, inherited: tuple[str, ...] | None) -> tuple[str, ...] | None:
    versions = request.destination_package_versions
    return inherited if versions is None else tuple(versions)


def document_of(call: Call, request: Request, inherited: Document | None) -> Document:
    """The request's document, the one at its source, or the inherited one.

    Errors: InvalidRequest; SourceNeeded until the source has been read.
    """
    if request.document is not None:
        documents.check_document(request.document, nesting=call.quotas.document_nesting)
        return Document(request.document)
    if request.document_source is not None:
        return _read_document(call, request.document_source)
    assert inherited is not None  # check_one_document
    return inherited


def _read_document(call: Call, url: str) -> Document:
    text = call.sources.get(url)
    if text is not None:
        return Document(text, source=url)
    named = presign.document_object(url, call.storage.hosts)
    call.storage.check_bucket(named)
    raise SourceNeeded(named, url)


def check_deliverable(call: Call, text: str, presigned_url: PresignedUrlConfig | None, owner: str) -> None:
    """Refuse a document whose presigned URLs could not be signed when devices get it.

    ``owner``: ``job j1``. Errors: InvalidRequest; CredentialsNeeded until the role's are at hand.
    """
    role_arn = None if presigned_url is None else presigned_url.role_arn
    named = presign.check_presign(
        text,
        role_arn=role_arn,
        owner=owner,
        most=call.quotas.substitutions_per_document,
        hosts=call.storage.hosts,
    )
    if not named:
        return
    assert role_arn is not None  # check_presign
    call.storage.check_role(role_arn)
    for each in named:
        call.storage.check_bucket(each)
    if not call.storage.has_credentials(role_arn, call.now):
        raise CredentialsNeeded(role_arn)
