"""The operations on managed templates, which are the same for every account."""

from __future__ import annotations

from thingjobs.domain.arn import managed_job_template_arn
from thingjobs.domain.errors import ResourceNotFound
from thingjobs.domain.managed_templates import (
    ENVIRONMENTS,
    MANAGED_TEMPLATES,
    VERSION,
    ManagedTemplate,
)
from thingjobs.domain.paging import decode_token, encode_token
from thingjobs.operations.call import Call
from thingjobs.store.tx import Tx
from thingjobs.wire.shapes import iot

PAGE = 250


def list_managed_job_templates(
    call: Call, tx: Tx, request: iot.ListManagedJobTemplatesRequest
) -> iot.ListManagedJobTemplatesResponse:
    """Managed templates by name. Errors: ResourceNotFound for a name that none has."""
    filters = {"templateName": request.template_name}
    after = ""
    if request.next_token is not None:
        (after,) = decode_token("ListManagedJobTemplates", filters, request.next_token, (str,))
    if request.template_name is None:
        found = [template for name, template in MANAGED_TEMPLATES.items() if name > after]
    else:
        found = [_found(request.template_name, None)]
    limit = request.max_results or PAGE
    page = found[:limit]
    return iot.ListManagedJobTemplatesResponse(
        managed_job_templates=[
            iot.ManagedJobTemplateSummary(
                template_arn=managed_job_template_arn(call.scope.region, template.name, VERSION),
                template_name=template.name,
                description=template.description,
                environments=list(ENVIRONMENTS),
                template_version=VERSION,
            )
            for template in page
        ],
        next_token=encode_token("ListManagedJobTemplates", filters, (page[-1].name,))
        if len(found) > limit
        else None,
    )


def describe_managed_job_template(
    call: Call, tx: Tx, request: iot.DescribeManagedJobTemplateRequest
) -> iot.DescribeManagedJobTemplateResponse:
    template = _found(request.template_name, request.template_version)
    return iot.DescribeManagedJobTemplateResponse(
        template_name=template.name,
        template_arn=managed_job_template_arn(call.scope.region, template.name, VERSION),
        description=template.description,
        template_version=VERSION,
        environments=list(ENVIRONMENTS),
        document_parameters=[
            iot.DocumentParameter(
                key=parameter.key,
                description=parameter.description,
                regex=parameter.regex,
                example=parameter.example,
                optional=parameter.optional,
            )
            for parameter in template.parameters
        ],
        document=template.document,
    )


def _found(name: str, version: str | None) -> ManagedTemplate:
    template = MANAGED_TEMPLATES.get(name)
    if template is None or version not in (None, VERSION):
        shown = name if version is None else f"{name}:{version}"
        raise ResourceNotFound(f"Job Template {shown} cannot be found.")
    return template
