"""Which events a scope wants to have published."""

from __future__ import annotations

from thingjobs.domain.errors import InvalidRequest
from thingjobs.domain.events import TYPES
from thingjobs.domain.timestamps import epoch_seconds
from thingjobs.operations.call import Call
from thingjobs.store.tx import Tx
from thingjobs.wire.shapes import iot


def describe_event_configurations(
    call: Call, tx: Tx, request: iot.DescribeEventConfigurationsRequest
) -> iot.DescribeEventConfigurationsResponse:
    """Every type there is; the dates are absent until the first update."""
    stored = tx.events.configurations(call.scope.id)
    return iot.DescribeEventConfigurationsResponse(
        event_configurations={
            event_type: iot.Configuration(enabled=stored.enabled.get(event_type, False))
            for event_type in TYPES
        },
        creation_date=epoch_seconds(stored.created_at),
        last_modified_date=epoch_seconds(stored.last_modified_at),
    )


def update_event_configurations(call: Call, tx: Tx, request: iot.UpdateEventConfigurationsRequest) -> None:
    """Replace what is given, type by type; the others stay as they are."""
    if request.event_configurations is None:
        raise InvalidRequest("Configuration cannot be null")
    for event_type, configuration in request.event_configurations.items():
        tx.events.configure(call.scope.id, event_type, enabled=bool(configuration.enabled), now=call.now)
