from __future__ import annotations

import pytest

from core.runtime import Actor, Runtime, StepRuntime, Tick, VirtualClock
from tests.runtime.harness import START, Harness, Note, Scribe, Work


class Counter(Actor):
    """Plays ping-pong with another, with chance and time from its clock."""

    def __init__(self, runtime: Runtime, name: str, other: str) -> None:
        super().__init__(runtime, name)
        self._other = other

    def started(self) -> None:
        self.every("t", 0.5)

    def on_tick(self, _: Tick) -> None:
        self.tell_name(self._other, Note(self.clock.rng.randrange(10)))

    def on_note(self, message: Note) -> None:
        if message.number:
            self.tell_name(self._other, Note(message.number - 1))


def trace_of(seed: int) -> str:
    runtime = StepRuntime(VirtualClock(START, seed))
    for name, other in (("a", "b"), ("b", "c"), ("c", "a")):
        runtime.spawn(Counter, name, other)
    runtime.advance(20.0)
    runtime.stop()
    return "\n".join(map(repr, runtime.tracer.recent()))


def test_nothing_happens_until_it_is_run(stepped: Harness) -> None:
    scribe = stepped.spawn(Scribe, "scribe")
    stepped.tell("scribe", Note(1))
    assert scribe.seen == []
    stepped.settle()
    assert scribe.seen == [Note(1)]


def test_one_step_is_one_envelope(stepped: Harness) -> None:
    assert isinstance(stepped.runtime, StepRuntime)
    scribe = stepped.spawn(Scribe, "scribe")
    stepped.tell("scribe", Note(1), Note(2))
    assert stepped.runtime.step()
    assert scribe.seen == []
    assert stepped.runtime.step()
    assert scribe.seen == [Note(1)]
    assert stepped.runtime.step()
    assert not stepped.runtime.step()


def test_actors_take_turns_in_the_order_their_envelopes_were_posted(stepped: Harness) -> None:
    order: list[str] = []

    class Noting(Actor):
        def on_note(self, _: Note) -> None:
            order.append(self.name)

    for name in "abc":
        stepped.spawn(Noting, name)
    for name in "cabbac":
        stepped.tell(name, Note(1))
    stepped.settle()
    assert order == list("cabbac")


def test_the_same_seed_gives_the_same_trace_and_another_seed_another() -> None:
    assert trace_of(1) == trace_of(1)
    assert trace_of(1) != trace_of(2)


def test_time_moves_only_by_advance_and_timers_fire_on_the_way(stepped: Harness) -> None:
    class Ticking(Scribe):
        def on_tick(self, _: Tick) -> None:
            self.seen.append(Note(int(self.clock.monotonic() * 10)))

    ticking = stepped.spawn(Ticking, "ticking")
    ticking.every("t", 0.3)
    stepped.settle()
    assert ticking.seen == []
    stepped.advance(1.0)
    assert ticking.seen == [Note(3), Note(6), Note(9)]
    assert stepped.runtime.clock.monotonic() == 1.0


def test_actors_that_tell_each_other_in_circles_are_noticed() -> None:
    class Endless(Actor):
        def on_work(self, message: Work) -> None:
            self.tell_name(self.name, message)

    runtime = StepRuntime(VirtualClock(START))
    runtime.spawn(Endless, "endless").tell(Work("c"))
    with pytest.raises(RuntimeError, match="still busy after 100 steps"):
        runtime.run_until_idle(max_steps=100)
