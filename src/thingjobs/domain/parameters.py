"""Parameters of managed templates: ``${aws:iot:parameter:KEY}`` in a job document, filled in at CreateJob.

Source: Jobs developer guide, "managed templates"; the sentences are ours.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from thingjobs.domain.errors import InvalidRequest

_PLACEHOLDER = re.compile(r"\$\{aws:iot:parameter:([^{}\"]*)\}")


@dataclass(frozen=True, slots=True)
class DocumentParameter:
    """``regex`` has to match the whole value."""

    key: str
    description: str
    regex: str
    example: str
    optional: bool


def check_parameters(given: Mapping[str, str], declared: Sequence[DocumentParameter], template: str) -> None:
    """Refuse values that the template does not take.

    Errors: InvalidRequest for unknown keys, then missing ones, then values that do not match.
    """
    unknown = given.keys() - {parameter.key for parameter in declared}
    if unknown:
        raise InvalidRequest(f"Managed template {template} has no parameter {', '.join(sorted(unknown))}.")
    missing = [p.key for p in declared if not p.optional and p.key not in given]
    if missing:
        raise InvalidRequest(f"Managed template {template} needs the parameter {', '.join(missing)}.")
    for parameter in declared:
        value = given.get(parameter.key)
        if value is not None and not re.fullmatch(parameter.regex, value):
            raise InvalidRequest(
                f"The value of parameter {parameter.key} does not match the pattern {parameter.regex}."
            )


def substitute(text: str, given: Mapping[str, str], declared: Sequence[DocumentParameter]) -> str:
    """The document with its parameters filled in, escaped for the JSON strings around them.

    An optional parameter that was left out is empty [inferred].

    Errors: InvalidRequest for a placeholder of a parameter that the template does not have.
    """
    values = {parameter.key: given.get(parameter.key, "") for parameter in declared}

    def fill(match: re.Match[str]) -> str:
        value = values.get(match[1])
        if value is None:
            raise InvalidRequest(f"The job document uses the unknown parameter {match[1]}.")
        return json.dumps(value, ensure_ascii=False)[1:-1]

    return _PLACEHOLDER.sub(fill, text)
