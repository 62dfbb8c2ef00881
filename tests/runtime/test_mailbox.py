from __future__ import annotations

import threading

import pytest

from core.runtime import Envelope, Lane, Mailbox, Message, Verdict
from tests.runtime.harness import Control, Note, Quote, Read, Step, Urgent


def envelope(message: Message, sender: str = "a", sent_at: float = 0.0) -> Envelope:
    return Envelope("r:1", None, None, sender, "b", message, message.lane, sent_at)


def fill(mailbox: Mailbox, *messages: Message) -> list[Verdict]:
    return [mailbox.put(envelope(message)) for message in messages]


def empty(mailbox: Mailbox) -> list[Message]:
    taken = []
    while (found := mailbox.take()) is not None:
        taken.append(found.message)
    return taken


def test_lower_lanes_are_served_first_and_each_in_the_order_of_arrival() -> None:
    mailbox = Mailbox()
    fill(mailbox, Read(1), Note(2), Urgent(3), Control(4), Note(5), Urgent(6))
    assert empty(mailbox) == [Control(4), Urgent(3), Urgent(6), Note(2), Note(5), Read(1)]


def test_a_full_mailbox_refuses_and_takes_again_once_there_is_room() -> None:
    mailbox = Mailbox(capacity=2)
    assert fill(mailbox, Note(1), Note(2), Note(3)) == [Verdict.ACCEPTED, Verdict.ACCEPTED, Verdict.FULL]
    mailbox.take()
    assert fill(mailbox, Note(4)) == [Verdict.ACCEPTED]
    assert empty(mailbox) == [Note(2), Note(4)]


def test_control_has_spare_room_beyond_the_bound_but_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Mailbox, "CONTROL_SPARE", 2)
    mailbox = Mailbox(capacity=1)
    verdicts = fill(mailbox, Note(1), Urgent(2), Control(3), Control(4), Control(5))
    assert verdicts == [Verdict.ACCEPTED, Verdict.FULL, Verdict.ACCEPTED, Verdict.ACCEPTED, Verdict.FULL]


def test_what_carries_on_work_taken_in_already_is_not_refused_by_a_full_mailbox(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Mailbox, "CARRIED", 3)
    mailbox = Mailbox(capacity=1)
    verdicts = fill(mailbox, Note(1), Step(2), Note(3), Step(4), Step(5))
    assert verdicts == [Verdict.ACCEPTED, Verdict.ACCEPTED, Verdict.FULL, Verdict.ACCEPTED, Verdict.FULL]
    assert empty(mailbox) == [Note(1), Step(2), Step(4)]


def test_a_second_envelope_of_one_sender_and_key_is_merged_while_the_first_waits() -> None:
    mailbox = Mailbox()
    assert fill(mailbox, Quote("INFY"), Quote("TCS"), Quote("INFY")) == [
        Verdict.ACCEPTED,
        Verdict.ACCEPTED,
        Verdict.MERGED,
    ]
    assert mailbox.put(envelope(Quote("INFY"), sender="other")) is Verdict.ACCEPTED
    assert len(empty(mailbox)) == 3
    assert fill(mailbox, Quote("INFY")) == [Verdict.ACCEPTED]


def test_a_closed_mailbox_refuses_but_gives_out_what_it_has_and_then_its_end() -> None:
    mailbox = Mailbox()
    fill(mailbox, Note(1), Urgent(2))
    mailbox.close()
    assert mailbox.closed
    assert fill(mailbox, Note(3), Control(4)) == [Verdict.CLOSED, Verdict.CLOSED]
    taken = [mailbox.get(), mailbox.get()]
    assert [each.message for each in taken if each is not None] == [Urgent(2), Note(1)]
    assert mailbox.get() is None
    assert mailbox.take() is None
    mailbox.close()
    assert mailbox.get() is None
    # A mailbox that has ended stays so: asking again must not wait for ever.
    asker = threading.Thread(target=lambda: [mailbox.get() for _ in range(5)], daemon=True)
    asker.start()
    asker.join(5)
    assert not asker.is_alive()


def test_envelopes_set_aside_come_back_before_all_others_in_their_old_order() -> None:
    mailbox = Mailbox()
    fill(mailbox, Note(1), Note(2))
    for _ in range(2):
        first = mailbox.take()
        assert first is not None
        mailbox.set_aside(first)
    fill(mailbox, Control(3))
    assert empty(mailbox) == [Control(3)]
    fill(mailbox, Control(4))
    assert mailbox.restore() == 2
    assert empty(mailbox) == [Note(1), Note(2), Control(4)]


def test_envelopes_set_aside_count_against_the_bound() -> None:
    mailbox = Mailbox(capacity=1)
    fill(mailbox, Note(1))
    first = mailbox.take()
    assert first is not None
    mailbox.set_aside(first)
    assert mailbox.depth == 1
    assert fill(mailbox, Note(2)) == [Verdict.FULL]


def test_draining_empties_every_queue() -> None:
    mailbox = Mailbox()
    fill(mailbox, Note(1), Read(2), Quote("INFY"))
    first = mailbox.take()
    assert first is not None
    mailbox.set_aside(first)
    mailbox.close()
    assert {each.message for each in mailbox.drain()} == {Note(1), Read(2), Quote("INFY")}
    assert mailbox.depth == 0
    assert mailbox.get() is None


def test_depth_and_the_time_of_the_oldest_envelope_can_be_read() -> None:
    mailbox = Mailbox()
    assert mailbox.depth == 0
    assert mailbox.oldest_sent_at() is None
    mailbox.put(envelope(Note(1), sent_at=7.0))
    mailbox.put(envelope(Control(2), sent_at=9.0))
    assert mailbox.depth == 2
    assert mailbox.oldest_sent_at() == 7.0
    assert mailbox.accepted == 2


def test_a_lane_may_depend_on_the_message() -> None:
    assert Quote("INFY", urgent=True).lane is Lane.URGENT
    assert Quote("INFY").lane is Lane.READ
