"""What a session keeps for a client that is away."""

from __future__ import annotations

import pytest

from thingjobs.mqtt.packets import Publish, held_bytes
from thingjobs.mqtt.properties import Properties
from thingjobs.mqtt.session_state import MAX_QUEUED_BYTES, SessionState

LARGE = Publish("a", b"x" * 131_072, 1)
MANY_PROPERTIES = Publish("a", b"", 1, properties=Properties(user_properties=(("", ""),) * 1_000))
LONG_PROPERTY = Publish("a", b"", 1, properties=Properties(content_type="x" * 60_000))


@pytest.mark.parametrize("message", [LARGE, MANY_PROPERTIES, LONG_PROPERTY])
def test_what_waits_is_bounded_by_the_memory_it_takes_and_makes_room_when_taken(message: Publish) -> None:
    session = SessionState("c", 60)
    fitting = MAX_QUEUED_BYTES // held_bytes(message)
    held = [session.hold(message, 1000) for _ in range(fitting + 2)]
    assert held.count(True) == fitting < 100
    assert held[-2:] == [False, False]
    assert session.next_to_send() is not None
    assert session.hold(message, 1000)
    assert not session.hold(message, 1000)


def test_what_is_sent_again_counts_too() -> None:
    session = SessionState("c", 60)
    for _ in range(MAX_QUEUED_BYTES // held_bytes(LARGE)):
        session.hold(LARGE, 1000)
    message = session.next_to_send()
    assert message is not None
    session.in_flight[message.packet_id] = message
    session.send_again()
    assert not session.hold(LARGE, 1000)
    again = session.next_to_send()
    assert again is not None
    assert again.dup
