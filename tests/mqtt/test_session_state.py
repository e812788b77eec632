"""What a session keeps for a client that is away."""

from __future__ import annotations

from thingjobs.mqtt.packets import Publish
from thingjobs.mqtt.session_state import MAX_QUEUED_BYTES, SessionState

LARGE = b"x" * 131_072


def test_payloads_that_wait_are_bounded_in_bytes_and_make_room_when_taken() -> None:
    session = SessionState("c", 60)
    fitting = MAX_QUEUED_BYTES // len(LARGE)
    held = [session.hold(Publish("a", LARGE, 1), 1000) for _ in range(fitting + 2)]
    assert held.count(True) == fitting
    assert held[-2:] == [False, False]
    assert session.next_to_send() is not None
    assert session.hold(Publish("a", LARGE, 1), 1000)
    assert not session.hold(Publish("a", LARGE, 1), 1000)


def test_what_is_sent_again_counts_too() -> None:
    session = SessionState("c", 60)
    for _ in range(MAX_QUEUED_BYTES // len(LARGE)):
        session.hold(Publish("a", LARGE, 1), 1000)
    message = session.next_to_send()
    assert message is not None
    session.in_flight[message.packet_id] = message
    session.send_again()
    assert not session.hold(Publish("a", LARGE, 1), 1000)
    again = session.next_to_send()
    assert again is not None
    assert again.dup
