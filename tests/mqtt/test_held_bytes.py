"""What messages are said to take in memory is what they take."""

from __future__ import annotations

import tracemalloc

import pytest

from mqtt.scene import PRINCIPAL
from thingjobs.mqtt.access import ByRole
from thingjobs.mqtt.clients import MAX_RETAINED_BYTES, Client, Clients
from thingjobs.mqtt.decoder import Decoder
from thingjobs.mqtt.encoder import encode
from thingjobs.mqtt.packets import Publish, Version, held_bytes
from thingjobs.mqtt.properties import NO_PROPERTIES, Properties
from thingjobs.mqtt.session_state import SessionState

COUNT = 100


def decoded(message: Publish) -> Publish:
    decoder = Decoder(150_000, Version.V5)
    decoder.feed(encode(message, Version.V5))
    packet = decoder.next_packet()
    assert isinstance(packet, Publish)
    return packet


@pytest.mark.parametrize("payload", [b"", b"x" * 100_000])
@pytest.mark.parametrize(
    "properties",
    [
        NO_PROPERTIES,
        Properties(content_type="x", correlation_data=b"y" * 1_000),
        Properties(user_properties=(("", ""),) * 100),
        Properties(user_properties=(("name", "value"),) * 100),
        Properties(content_type="x" * 30_000 + "\N{GRINNING FACE}"),  # four bytes for each character
    ],
)
def test_a_message_takes_hardly_more_memory_than_it_is_counted_for(
    payload: bytes, properties: Properties
) -> None:
    message = Publish("topic", payload, properties=properties)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        kept = [decoded(message) for _ in range(COUNT)]
        each = (tracemalloc.get_traced_memory()[0] - before) / COUNT
    finally:
        tracemalloc.stop()
    assert each < 1.2 * held_bytes(kept[0]) + 50


def test_properties_of_retained_messages_count() -> None:
    clients = Clients(ByRole(), 1_000)
    sender = Client(PRINCIPAL, SessionState("sender"))
    properties = Properties(user_properties=(("", ""),) * 100_000)
    size = held_bytes(Publish("r/000", b"x", 0, True, properties=properties))
    fitting = MAX_RETAINED_BYTES // size
    assert fitting < 100
    for n in range(fitting + 5):
        clients.publish(sender, Publish(f"r/{n:03}", b"x", 0, True, properties=properties))
    assert len(clients._retained[PRINCIPAL.scope.id]) == fitting
    for n in range(fitting + 5):
        clients.publish(sender, Publish(f"r/{n:03}", b"", 0, True))
    assert clients._retained_bytes[PRINCIPAL.scope.id] == 0
