from __future__ import annotations

import pytest

from core.runtime import Actor, Runtime, StepRuntime, Tick, Timers, VirtualClock
from tests.runtime.harness import START, Harness, Hold, Note, Scribe


class Ticking(Scribe):
    """Notes when its ticks come, and how many were missed."""

    def __init__(self, runtime: Runtime, name: str) -> None:
        super().__init__(runtime, name)
        self.ticks: list[tuple[str, float, int]] = []

    def on_tick(self, tick: Tick) -> None:
        self.ticks.append((tick.key, round(self.clock.monotonic(), 6), tick.missed))


class Bench:
    """Timers alone: what is sent is kept, and handled when the test says so."""

    def __init__(self) -> None:
        self.clock = VirtualClock(START)
        self.sent: list[Tick] = []
        self.takes = True
        self.timers = Timers(self.clock, self._send)

    def _send(self, _: str, tick: Tick) -> bool:
        if self.takes:
            self.sent.append(tick)
        return self.takes

    def pass_(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.timers.fire()

    def handle(self) -> None:
        for tick in self.sent:
            self.timers.handled("a", tick)


def test_a_periodic_timer_ticks_at_absolute_times(stepped: Harness) -> None:
    ticking = stepped.spawn(Ticking, "ticking")
    ticking.every("t", 0.1)
    stepped.advance(1000.0)
    assert len(ticking.ticks) == 10_000
    assert ticking.ticks[0] == ("t", 0.1, 0)
    assert ticking.ticks[-1] == ("t", 1000.0, 0)


def test_late_firing_does_not_shift_the_rest() -> None:
    bench = Bench()
    bench.timers.arm("a", "t", 1.0, repeat=True)
    bench.pass_(1.7)
    assert bench.timers.next_due() == 2.0


def test_one_tick_of_a_key_is_in_flight_and_the_next_says_how_many_were_missed() -> None:
    bench = Bench()
    bench.timers.arm("a", "t", 1.0, repeat=True)
    for _ in range(4):
        bench.pass_(1.0)
    assert [tick.missed for tick in bench.sent] == [0]
    bench.handle()
    bench.pass_(1.0)
    assert [tick.missed for tick in bench.sent] == [0, 3]
    bench.handle()
    bench.pass_(10.0)
    assert bench.sent[-1].missed == 9


def test_keys_and_owners_do_not_disturb_each_other() -> None:
    bench = Bench()
    bench.timers.arm("a", "t", 1.0, repeat=True)
    bench.timers.arm("a", "u", 1.0, repeat=True)
    bench.timers.arm("b", "t", 1.0, repeat=True)
    bench.timers.cancel("a", "t")
    bench.pass_(1.0)
    assert len(bench.sent) == 2
    bench.timers.cancel_all("a")
    bench.pass_(0.0)
    bench.timers.cancel_all()
    assert bench.timers.next_due() is None


def test_a_one_shot_timer_ticks_once(stepped: Harness) -> None:
    ticking = stepped.spawn(Ticking, "ticking")
    ticking.after("t", 2.0)
    stepped.advance(10.0)
    assert ticking.ticks == [("t", 2.0, 0)]


def test_a_handler_may_arm_its_own_timer_again(stepped: Harness) -> None:
    class Rearming(Ticking):
        def on_tick(self, tick: Tick) -> None:
            super().on_tick(tick)
            self.after("t", 1.0)

    rearming = stepped.spawn(Rearming, "rearming")
    rearming.after("t", 1.0)
    stepped.advance(3.5)
    assert [at for _, at, _ in rearming.ticks] == [1.0, 2.0, 3.0]


def test_arming_a_key_again_replaces_its_timer(stepped: Harness) -> None:
    ticking = stepped.spawn(Ticking, "ticking")
    ticking.every("t", 1.0)
    ticking.every("t", 5.0)
    stepped.advance(9.0)
    assert [at for _, at, _ in ticking.ticks] == [5.0]


def test_a_cancelled_tick_that_waits_already_is_not_handled(stepped: Harness) -> None:
    ticking = stepped.spawn(Ticking, "ticking")
    stepped.settle()
    ticking.every("t", 1.0)
    runtime = stepped.runtime
    assert isinstance(runtime, StepRuntime)
    runtime.clock.advance(1.0)
    runtime.timers.fire()
    assert ticking.actor_inbox.mailbox.depth == 1
    ticking.cancel("t")
    ticking.every("t", 10.0)
    stepped.settle()
    assert ticking.ticks == []
    assert [record.outcome for record in runtime.tracer.recent()] == ["cancelled"]
    stepped.advance(10.0)
    assert len(ticking.ticks) == 1


def test_a_tick_whose_handler_raises_does_not_stop_its_timer(stepped: Harness) -> None:
    class Failing(Ticking):
        def on_tick(self, tick: Tick) -> None:
            super().on_tick(tick)
            raise ValueError(tick.key)

    failing = stepped.spawn(Failing, "failing")
    failing.every("t", 1.0)
    stepped.advance(3.0)
    assert len(failing.ticks) == 3
    assert len(stepped.runtime.dead_letters.take()) == 3


def test_a_refused_periodic_tick_is_counted_and_a_refused_single_one_comes_again() -> None:
    bench = Bench()
    bench.takes = False
    bench.timers.arm("a", "every", 1.0, repeat=True)
    bench.timers.arm("a", "once", 1.0, repeat=False)
    bench.pass_(1.0)
    bench.takes = True
    bench.pass_(1.0)
    assert {(tick.key, tick.missed) for tick in bench.sent} == {("every", 1), ("once", 1)}


def test_ticks_to_an_actor_that_has_ended_are_no_dead_letters(harness: Harness) -> None:
    harness.spawn(Scribe, "scribe")
    harness.runtime.stop(5)
    assert not harness.runtime.post_tick("scribe", Tick("t", 0, 1))
    assert not harness.runtime.post_tick("nobody", Tick("t", 0, 1))
    assert [record.outcome for record in harness.runtime.tracer.recent()] == ["late", "late"]


def test_a_tick_still_waiting_when_its_actor_ends_is_no_dead_letter(stepped: Harness) -> None:
    class Waiting(Ticking):
        def started(self) -> None:
            self.wait_for(Note)
            self.after("t", 1.0)

        def on_note(self, _: Note) -> None: ...

    waiting = stepped.spawn(Waiting, "waiting")
    stepped.advance(1.0)
    assert waiting.actor_inbox.mailbox.depth == 1
    stepped.runtime.stop(5)
    assert [record.outcome for record in stepped.runtime.tracer.recent()] == ["late"]


@pytest.mark.parametrize(
    ("seconds", "repeat"), [(-1.0, False), (0.0, True), (float("nan"), True), (float("inf"), False)]
)
def test_a_timer_needs_a_sensible_time(seconds: float, repeat: bool) -> None:
    with pytest.raises(ValueError, match="timer 't' of a"):
        Bench().timers.arm("a", "t", seconds, repeat=repeat)


def test_a_busy_actor_finds_one_tick_and_not_a_pile(threaded: Harness) -> None:
    ticking = threaded.spawn(Ticking, "ticking")
    threaded.tell("ticking", Hold())
    ticking.every("t", 0.002)
    threaded.until(lambda: ticking.actor_inbox.mailbox.depth == 1)
    before = threaded.runtime.clock.monotonic()
    threaded.until(lambda: threaded.runtime.clock.monotonic() > before + 0.05)
    assert ticking.actor_inbox.mailbox.depth == 1
    ticking.gate.set()
    threaded.until(lambda: len(ticking.ticks) >= 2)
    assert ticking.ticks[1][2] >= 20
    ticking.cancel("t")


def test_an_earlier_timer_wakes_the_timer_thread(threaded: Harness) -> None:
    ticking = threaded.spawn(Ticking, "ticking")
    ticking.after("far", 3600.0)
    ticking.after("near", 0.01)
    threaded.until(lambda: ticking.ticks)
    assert ticking.ticks[0][0] == "near"


def test_ticks_go_before_what_waits_already(stepped: Harness) -> None:
    class Watching(Actor):
        def __init__(self, runtime: Runtime, name: str) -> None:
            super().__init__(runtime, name)
            self.seen: list[str] = []

        def on_any(self, message: Tick | Note) -> None:
            self.seen.append(type(message).__name__)

    watching = stepped.spawn(Watching, "watching")
    stepped.settle()
    watching.after("t", 0.0)
    stepped.tell("watching", Note(1))
    stepped.runtime.timers.fire()
    stepped.settle()
    assert watching.seen == ["Tick", "Note"]
