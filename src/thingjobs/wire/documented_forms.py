"""Spellings that older documentation pages show and the service model does not have; they are still taken.

Answers never use them.
"""

from __future__ import annotations

from collections.abc import Callable

Members = dict[str, object]

# Members of the query string that these operations also take in the body; the query wins.
ALSO_IN_BODY = frozenset({("CancelJob", "force"), ("CancelJobExecution", "force")})


def rewrite(operation: str, body: Members) -> None:
    """Turn the old spellings in ``body`` into today's."""
    for change in _REWRITES.get(operation, ()):
        change(body)


def _presigned_url_config_data(body: Members) -> None:
    if body.get("presignedUrlConfig") is None and "presignedUrlConfigData" in body:
        body["presignedUrlConfig"] = body["presignedUrlConfigData"]


def _maximum_inside_exponential_rate(body: Members) -> None:
    rollout = body.get("jobExecutionsRolloutConfig")
    if isinstance(rollout, dict) and rollout.get("maximumPerMinute") is None:
        rate = rollout.get("exponentialRate")
        if isinstance(rate, dict) and "maximumPerMinute" in rate:
            rollout["maximumPerMinute"] = rate["maximumPerMinute"]


_REWRITES: dict[str, tuple[Callable[[Members], None], ...]] = {
    "CreateJob": (_presigned_url_config_data, _maximum_inside_exponential_rate),
    "UpdateJob": (_maximum_inside_exponential_rate,),
}
