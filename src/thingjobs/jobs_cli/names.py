"""Names as people type them, made into the ARNs that CreateJob wants. The server is asked for each, so what
it does not know is refused before a job is made."""

from __future__ import annotations

from typing import Protocol

from thingjobs.domain.arn import parse_arn
from thingjobs.jobs_cli.client import Members

THING, GROUP = "thing:", "group:"
MANAGED = "AWS-"


class Asked(Protocol):
    def ask(self, operation: str, **params: object) -> Members: ...


def target_arn(service: Asked, target: str) -> str:
    """``NAME`` or ``thing:NAME`` is a thing, ``group:NAME`` a thing group, an ARN itself."""
    if target.startswith("arn:"):
        return target
    if target.startswith(GROUP):
        name = target.removeprefix(GROUP)
        return str(service.ask("describe_thing_group", thingGroupName=name)["thingGroupArn"])
    return str(service.ask("describe_thing", thingName=target.removeprefix(THING))["thingArn"])


def template_arn(service: Asked, template: str) -> str:
    """``NAME`` is the account's own template, ``AWS-NAME`` or ``AWS-NAME:VERSION`` a managed one."""
    if template.startswith("arn:"):
        return template
    if not template.startswith(MANAGED):
        return str(service.ask("describe_job_template", jobTemplateId=template)["jobTemplateArn"])
    name, _, version = template.partition(":")
    described = service.ask(
        "describe_managed_job_template", templateName=name, templateVersion=version or None
    )
    return str(described["templateArn"])


def short_target(arn: str) -> str:
    """The shortest that ``target_arn`` understands of a target in the account that is looked at."""
    match parse_arn(arn):
        case None:
            return arn
        case parsed if parsed.kind == "thinggroup":
            return GROUP + parsed.name
        case parsed if parsed.kind == "thing":
            return THING + parsed.name if parsed.name.startswith((THING, GROUP, "arn:")) else parsed.name
    return arn
