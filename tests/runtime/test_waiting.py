from __future__ import annotations

from core.runtime import Actor, Ping, Pong, Reason, Runtime, Tick
from tests.runtime.harness import Answer, Boom, Control, Harness, Note, Question, Scribe, Work


class Patient(Scribe):
    """Waits for an answer after each piece of work."""

    def on_work(self, message: Work) -> None:
        self.seen.append(message)
        self.wait_for(Answer)

    def on_answer(self, message: Answer) -> None:
        self.seen.append(message)
        if message.text == "again":
            self.wait_for(Answer)
        if message.text == "fail":
            raise ValueError(message.text)


def test_all_else_is_set_aside_in_order_until_the_answer_and_then_goes_before_newer_envelopes(harness: Harness) -> None:
    patient = harness.spawn(Patient, "patient")
    harness.tell("patient", Work("c"))
    harness.settle()
    harness.tell("patient", Note(1), Control(2), Note(3))
    harness.settle_aside("patient", 3)
    assert patient.seen == [Work("c")]
    harness.tell("patient", Answer(), Note(4))
    harness.settle()
    assert patient.seen[:2] == [Work("c"), Answer()]
    assert sorted(map(str, patient.seen[2:5])) == sorted(map(str, [Note(1), Control(2), Note(3)]))
    assert patient.seen.index(Note(1)) < patient.seen.index(Note(3))
    assert patient.seen[5] == Note(4)


def test_pings_are_answered_while_waiting(harness: Harness) -> None:
    harness.spawn(Patient, "patient")
    harness.tell("patient", Work("c"))
    assert harness.runtime.ask(harness.runtime.address("patient"), Ping(), 5) == Pong("patient")
    harness.tell("patient", Answer())
    harness.settle()


def test_a_handler_of_the_answer_may_wait_again(harness: Harness) -> None:
    patient = harness.spawn(Patient, "patient")
    harness.tell("patient", Work("c"), Note(1), Answer("again"))
    harness.settle_aside("patient", 1)
    assert Note(1) not in patient.seen
    harness.tell("patient", Answer("enough"))
    harness.settle()
    assert patient.seen == [Work("c"), Answer("again"), Answer("enough"), Note(1)]


def test_an_answer_whose_handler_raises_ends_the_waiting_all_the_same(harness: Harness) -> None:
    patient = harness.spawn(Patient, "patient")
    harness.tell("patient", Work("c"), Note(1), Answer("fail"))
    harness.settle()
    assert patient.seen == [Work("c"), Answer("fail"), Note(1)]
    assert len(harness.runtime.dead_letters.take()) == 1


def test_a_handler_that_raises_waits_for_nothing(harness: Harness) -> None:
    class Torn(Patient):
        def on_question(self, _: Question) -> None:
            self.wait_for(Answer)
            raise ValueError("after all")

    torn = harness.spawn(Torn, "torn")
    harness.tell("torn", Question(), Note(1))
    harness.settle()
    assert torn.seen == [Note(1)]
    assert len(harness.runtime.dead_letters.take()) == 1


def test_rebuild_may_wait_for_the_state_it_asked_for(harness: Harness) -> None:
    class Rebuilding(Patient):
        def rebuild(self) -> None:
            self.wait_for(Answer)

    rebuilding = harness.spawn(Rebuilding, "rebuilding")
    harness.tell("rebuilding", Boom(ValueError("x")), Note(1))
    harness.settle_aside("rebuilding", 1)
    harness.tell("rebuilding", Answer())
    harness.settle()
    assert rebuilding.seen == [Answer(), Note(1)]
    harness.runtime.dead_letters.take()


def test_what_the_answer_will_include_is_dropped_and_traced_as_such(harness: Harness) -> None:
    class Dropping(Patient):
        def started(self) -> None:
            self.wait_for(Answer, dropping=(Note,))

    dropping = harness.spawn(Dropping, "dropping")
    harness.tell("dropping", Note(1), Control(2), Answer(), Note(3))
    harness.settle()
    assert dropping.seen == [Answer(), Control(2), Note(3)] or dropping.seen == [Answer(), Note(3), Control(2)]
    assert [r.text for r in harness.runtime.tracer.recent() if r.outcome == "dropped"] == ["Note(number=1)"]


def test_ticks_are_set_aside_too(stepped: Harness) -> None:
    class Ticking(Patient):
        def started(self) -> None:
            self.every("t", 1.0)

        def on_tick(self, message: Tick) -> None:
            self.seen.append(message)

    ticking = stepped.spawn(Ticking, "ticking")
    stepped.tell("ticking", Work("c"))
    stepped.advance(3.5)
    assert ticking.seen == [Work("c")]
    stepped.tell("ticking", Answer())
    stepped.settle()
    assert [type(each) for each in ticking.seen] == [Work, Answer, Tick]
    stepped.advance(1.0)
    last = ticking.seen[-1]
    assert isinstance(last, Tick)
    assert last.missed == 2


def test_what_is_still_set_aside_when_the_actor_stops_is_dead_and_answered_for(harness: Harness) -> None:
    harness.spawn(Patient, "patient")
    harness.tell("patient", Work("c"), Note(1))
    harness.runtime.stop(5)
    assert [(dead.envelope.message, dead.reason) for dead in harness.runtime.dead_letters.take()] == [
        (Note(1), Reason.LEFT)
    ]


def test_waiting_works_in_a_batch(harness: Harness) -> None:
    class Grouped(Patient):
        batch_limit = 8

        def __init__(self, runtime: Runtime, name: str) -> None:
            super().__init__(runtime, name)

    grouped = harness.spawn(Grouped, "grouped")
    harness.tell("grouped", Work("c"), Note(1), Note(2), Answer())
    harness.settle()
    assert grouped.seen == [Work("c"), Answer(), Note(1), Note(2)]


def test_an_actor_may_wait_from_the_start(harness: Harness) -> None:
    class Early(Actor):
        def started(self) -> None:
            self.seen: list[object] = []
            self.wait_for(Answer)

        def on_all(self, message: Answer | Note) -> None:
            self.seen.append(message)

    early = harness.spawn(Early, "early")
    harness.tell("early", Note(1), Answer())
    harness.settle()
    assert early.seen == [Answer(), Note(1)]
