"""The scheduler: only orders that threads can produce, all of those that matter, and the same one for the same seed."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from core.runtime import Actor, Lane, Message, NotDelivered, Ping, Pong, Runtime, Tick, VirtualClock
from tests.simulation.guards import ForbiddenCall, guarded
from tests.simulation.runtime import ProcessCrashed, SimulatedRuntime
from tests.simulation.schedule import Schedule

_SEEDS = 300


@dataclass(frozen=True, slots=True)
class _Word(Message):
    text: str


@dataclass(frozen=True, slots=True)
class _Urgent(Message):
    text: str
    lane = Lane.URGENT


@dataclass(frozen=True, slots=True)
class _Go(Message):
    """Say what you have to say."""


class _Speaker(Actor):
    """Tells each of its lines, (addressee, text), when told to go."""

    def __init__(self, runtime: Runtime, name: str, *lines: tuple[str, str]) -> None:
        super().__init__(runtime, name)
        self._lines = lines

    def on_go(self, _: _Go) -> None:
        for to, text in self._lines:
            self.tell_name(to, _Urgent(text) if text.isupper() else _Word(text))


class _Relay(Actor):
    """Passes on what it hears."""

    def __init__(self, runtime: Runtime, name: str, to: str) -> None:
        super().__init__(runtime, name)
        self._to = to

    def on_word(self, message: _Word) -> None:
        self.tell_name(self._to, _Word(f"{message.text}'"))


class _Listener(Actor):
    def __init__(self, runtime: Runtime, name: str) -> None:
        super().__init__(runtime, name)
        self.heard: list[str] = []

    def on_word(self, message: _Word | _Urgent) -> None:
        self.heard.append(message.text)


def _runtime(seed: int) -> SimulatedRuntime:
    clock = VirtualClock(datetime(2026, 11, 23, 4, tzinfo=UTC), seed)
    return SimulatedRuntime(clock, random.Random(seed), Schedule())


def _heard(seed: int, build: Callable[[SimulatedRuntime], list[str]], *listeners: str) -> tuple[tuple[str, ...], ...]:
    runtime = _runtime(seed)
    speakers = build(runtime)
    for name in speakers:
        runtime.tell(name, _Go())
    runtime.run(5.0)
    found = [runtime._actors[name] for name in listeners]
    return tuple(tuple(actor.heard) for actor in found if isinstance(actor, _Listener))


def _all(build: Callable[[SimulatedRuntime], list[str]], *listeners: str) -> set[tuple[tuple[str, ...], ...]]:
    return {_heard(seed, build, *listeners) for seed in range(_SEEDS)}


def test_one_senders_envelopes_keep_their_order_and_two_senders_are_mixed_in_every_way() -> None:
    def build(runtime: SimulatedRuntime) -> list[str]:
        runtime.spawn(_Listener, "ear")
        runtime.spawn(_Speaker, "one", ("ear", "a"), ("ear", "b"))
        runtime.spawn(_Speaker, "two", ("ear", "x"), ("ear", "y"))
        return ["one", "two"]

    assert {"".join(heard) for (heard,) in _all(build, "ear")} == {"abxy", "axby", "axyb", "xaby", "xayb", "xyab"}


def test_a_envelope_comes_before_what_it_led_to() -> None:
    def build(runtime: SimulatedRuntime) -> list[str]:
        runtime.spawn(_Listener, "ear")
        runtime.spawn(_Relay, "relay", "ear")
        runtime.spawn(_Speaker, "one", ("ear", "a"), ("relay", "b"))
        return ["one"]

    # "b'" is caused by "b", which was told after "a".
    assert _all(build, "ear") == {(("a", "b'"),)}


def test_an_effect_may_overtake_what_its_causes_sender_told_later() -> None:
    def build(runtime: SimulatedRuntime) -> list[str]:
        runtime.spawn(_Listener, "ear")
        runtime.spawn(_Relay, "relay", "ear")
        runtime.spawn(_Speaker, "one", ("relay", "b"), ("ear", "a"))
        return ["one"]

    assert {heard for (heard,) in _all(build, "ear")} == {("a", "b'"), ("b'", "a")}


def test_two_mailboxes_never_see_two_senders_in_an_order_no_clock_could_have() -> None:
    """A cycle: each mailbox has the later envelope of one sender before the earlier envelope of the other."""

    def build(runtime: SimulatedRuntime) -> list[str]:
        runtime.spawn(_Listener, "left")
        runtime.spawn(_Listener, "right")
        runtime.spawn(_Speaker, "one", ("left", "a"), ("right", "b"))
        runtime.spawn(_Speaker, "two", ("right", "x"), ("left", "y"))
        return ["one", "two"]

    seen = _all(build, "left", "right")
    assert (("y", "a"), ("b", "x")) not in seen
    assert seen == {(("a", "y"), ("b", "x")), (("a", "y"), ("x", "b")), (("y", "a"), ("x", "b"))}


def test_an_urgent_envelope_overtakes_what_waits_but_only_once_it_has_been_put() -> None:
    def build(runtime: SimulatedRuntime) -> list[str]:
        runtime.spawn(_Listener, "ear")
        runtime.spawn(_Speaker, "one", ("ear", "a"), ("ear", "U"))
        return ["one"]

    assert {heard for (heard,) in _all(build, "ear")} == {("a", "U"), ("U", "a")}


def test_the_same_seed_gives_the_same_trace_and_another_seed_another() -> None:
    def trace(seed: int) -> list[str]:
        runtime = _runtime(seed)
        runtime.spawn(_Listener, "ear")
        runtime.spawn(_Speaker, "one", ("ear", "a"), ("ear", "b"))
        runtime.spawn(_Speaker, "two", ("ear", "x"))
        for name in ("one", "two"):
            runtime.tell(name, _Go())
        runtime.run(1.0)
        return [str(record) for record in runtime.tracer.recent()]

    assert trace(7) == trace(7)
    assert trace(7) != trace(8)


class _Waiter(Actor):
    """Waits for the world, as a broker call does."""

    def on_go(self, _: _Go) -> None:
        assert isinstance(self.runtime, SimulatedRuntime)
        self.tell_name("ear", _Word("before"))
        self.runtime.wait(1.0)
        self.tell_name("ear", _Word(f"after {self.clock.monotonic():.0f}"))


def test_while_one_actor_waits_for_the_world_the_others_go_on_and_time_with_them() -> None:
    runtime = _runtime(1)
    runtime.spawn(_Listener, "ear")
    runtime.spawn(_Waiter, "waiter")
    runtime.tell("waiter", _Go())
    runtime._schedule.at(0.5, lambda: runtime.tell("ear", _Word("meanwhile")))
    runtime.run(5.0)
    ear = runtime._actors["ear"]
    assert isinstance(ear, _Listener)
    assert ear.heard == ["before", "meanwhile", "after 1"]


def test_a_crash_while_an_actor_waits_ends_everything_at_once() -> None:
    runtime = _runtime(1)
    runtime.spawn(_Listener, "ear")
    runtime.spawn(_Waiter, "waiter")
    runtime.tell("waiter", _Go())
    runtime._schedule.at(0.5, runtime.crash)
    with pytest.raises(ProcessCrashed):
        runtime.run(5.0)
    ear = runtime._actors["ear"]
    assert isinstance(ear, _Listener)
    assert ear.heard == ["before"]
    assert runtime.clock.monotonic() == pytest.approx(0.5, abs=0.01)


class _Clockwork(Actor):
    def started(self) -> None:
        self.ticks: list[float] = []
        self.every("tick", 1.0)

    def on_tick(self, _: Tick) -> None:
        self.ticks.append(self.clock.monotonic())


def test_ticks_come_in_virtual_time_and_a_frozen_thread_gets_its_own_late() -> None:
    runtime = _runtime(3)
    runtime.spawn(_Clockwork, "clockwork")
    runtime.run(2.5)
    runtime.freeze("clockwork", 3.0)
    runtime.run(6.5)
    clockwork = runtime._actors["clockwork"]
    assert isinstance(clockwork, _Clockwork)
    assert [round(at, 2) for at in clockwork.ticks] == [1.0, 2.0, 5.5, 6.0]


def test_asking_and_stopping_go_on_in_virtual_time() -> None:
    runtime = _runtime(1)
    runtime.spawn(_Listener, "ear")
    assert runtime.ask(runtime.address("ear"), Ping(), 1.0) == Pong("ear")
    assert runtime.stop(5.0) == []
    with pytest.raises(NotDelivered):
        runtime.ask(runtime.address("ear"), Ping(), 1.0)


class _Culprit(Actor):
    def __init__(self, runtime: Runtime, name: str, do: Callable[[], object]) -> None:
        super().__init__(runtime, name)
        self._do = do

    def on_go(self, _: _Go) -> None:
        self._do()


def _sleep() -> None:
    import time

    time.sleep(0.001)  # noqa: TID251 - what is to be caught


def _thread() -> None:
    import threading

    threading.Thread(target=print).start()


def _socket() -> None:
    import socket

    socket.socket().connect(("127.0.0.1", 1))


def _clock() -> None:
    import time

    time.time()  # noqa: TID251 - what is to be caught


def _chance() -> None:
    random.random()  # noqa: TID251 - what is to be caught


def _wait() -> None:
    import threading

    threading.Event().wait(0.001)


@pytest.mark.parametrize("do", [_sleep, _thread, _socket, _clock, _chance, _wait])
def test_what_no_handler_may_do_is_an_error_that_names_the_line(do: Callable[[], object]) -> None:
    runtime = _runtime(1)
    runtime.spawn(_Culprit, "culprit", do)
    box = runtime.open_reply()
    with guarded():
        runtime.tell("culprit", _Go(), box.name)
        runtime.run(1.0)
    (dead,) = runtime.dead_letters.take()
    assert dead.envelope.to == "culprit"
    with pytest.raises(Exception, match=rf"{ForbiddenCall.__name__}: culprit calls .*test_runtime\.py:\d+"):
        box.future.result(0)
