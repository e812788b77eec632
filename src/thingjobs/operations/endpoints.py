"""DescribeEndpoint: where the other planes are."""

from __future__ import annotations

from thingjobs.domain.errors import InvalidRequest
from thingjobs.operations.call import Call
from thingjobs.store.tx import Tx
from thingjobs.wire.shapes import iot


def describe_endpoint(
    call: Call, tx: Tx, request: iot.DescribeEndpointRequest
) -> iot.DescribeEndpointResponse:
    """The host of an endpoint type; ``iot:Data`` and ``iot:Jobs`` are still answered (AWS retired them)."""
    kind = "iot:Data" if request.endpoint_type is None else request.endpoint_type
    address = {
        "iot:Data": call.endpoints.device,
        "iot:Data-ATS": call.endpoints.device,
        "iot:Data-Beta": call.endpoints.device,
        "iot:Jobs": call.endpoints.jobs,
        "iot:CredentialProvider": call.endpoints.credentials,
    }.get(kind)
    if address is None:
        raise InvalidRequest(f"Endpoint type {kind} is invalid.")
    return iot.DescribeEndpointResponse(endpoint_address=address)
