"""Amazon resource names of the things the service knows."""

from __future__ import annotations

import re
from dataclasses import dataclass

from thingjobs.domain.model import Scope

_ARN = re.compile(
    r"arn:(?P<partition>aws[a-z-]*):iot:(?P<region>[a-z0-9-]+):(?P<account>[0-9]{12}|)"
    r":(?P<kind>[a-z]+)/(?P<name>.+)"
)


@dataclass(frozen=True, slots=True)
class Arn:
    """``kind`` is the resource type (``thing``, ``job`` …); managed templates have an empty ``account``."""

    partition: str
    region: str
    account: str
    kind: str
    name: str

    def __str__(self) -> str:
        return f"arn:{self.partition}:iot:{self.region}:{self.account}:{self.kind}/{self.name}"

    def is_in(self, scope: Scope) -> bool:
        """Whether the resource is one of this account in this region. Comparison is exact."""
        return (self.partition, self.region, self.account) == (
            partition_of(scope.region),
            scope.region,
            scope.account,
        )


def parse_arn(text: str) -> Arn | None:
    """The parts of an IoT resource's ARN; None for anything else, for which every operation has its words."""
    match = _ARN.fullmatch(text)
    return Arn(**match.groupdict()) if match else None


def partition_of(region: str) -> str:
    """The AWS partition that a region belongs to."""
    if region.startswith("cn-"):
        return "aws-cn"
    return "aws-us-gov" if region.startswith("us-gov-") else "aws"


def thing_arn(scope: Scope, name: str) -> str:
    return _arn(scope, "thing", name)


def thing_group_arn(scope: Scope, name: str) -> str:
    return _arn(scope, "thinggroup", name)


def thing_type_arn(scope: Scope, name: str) -> str:
    return _arn(scope, "thingtype", name)


def job_arn(scope: Scope, job_id: str) -> str:
    return _arn(scope, "job", job_id)


def job_template_arn(scope: Scope, template_id: str) -> str:
    return _arn(scope, "jobtemplate", template_id)


def managed_job_template_arn(region: str, name: str, version: str) -> str:
    """Managed templates belong to no account."""
    return f"arn:{partition_of(region)}:iot:{region}::jobtemplate/{name}:{version}"


def _arn(scope: Scope, kind: str, name: str) -> str:
    return f"arn:{partition_of(scope.region)}:iot:{scope.region}:{scope.account}:{kind}/{name}"
