"""Package placeholders in job documents: ``${aws:iot:package:NAME:version:VERSION:…}``.

They are resolved when a job is created, from the software package catalog. This service has none, so each of
them names a package that does not exist.

Source: Jobs developer guide, "preparing jobs and job documents for software package versions"; the sentence
is ours.
"""

from __future__ import annotations

import re

from thingjobs.domain.document import device_spelling
from thingjobs.domain.errors import InvalidRequest

_PLACEHOLDER = re.compile(r"\$\{aws:iot:package:([^{}\":]*):version:([^{}\":]*):[^{}\"]*\}")


def check_packages(text: str) -> None:
    """Refuse a document with a placeholder that no package can fill. Errors: InvalidRequest."""
    if "package" not in text and "\\u" not in text:
        return
    match = _PLACEHOLDER.search(device_spelling(text))
    if match:
        raise InvalidRequest(f"Package {match[1]} version {match[2]} in the job document cannot be found.")
