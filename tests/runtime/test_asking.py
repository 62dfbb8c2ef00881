from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from core.runtime import (
    AskFailed,
    BlockingCallError,
    Envelope,
    NotDelivered,
    Ping,
    Pong,
    ReplyBox,
    Runtime,
    ThreadRuntime,
    Verdict,
)
from core.runtime.futures import GuardedFuture
from tests.runtime.harness import Answer, Harness, Hold, Note, Question, Scribe, Work


class Courier(Scribe):
    """Answers to the name in the message, as many times as it holds envelopes."""

    def on_work(self, message: Work) -> None:
        self.seen.append(Note(int(self.tell_name(message.command_id, Answer()))))


def test_ask_waits_for_the_answer(harness: Harness) -> None:
    harness.spawn(Scribe, "scribe")
    assert harness.runtime.ask(harness.runtime.address("scribe"), Question("a"), 5) == Answer("a")
    assert harness.runtime.ask(harness.runtime.address("scribe"), Ping(), 5) == Pong("scribe")


def test_ask_of_nobody_fails_at_once(harness: Harness) -> None:
    with pytest.raises(NotDelivered, match="nobody did not take Question: unknown"):
        harness.runtime.ask(harness.runtime.address("nobody"), Question(), 60)
    harness.runtime.dead_letters.take()


def test_ask_that_is_not_answered_times_out_and_a_late_answer_is_late_not_dead(threaded: Harness) -> None:
    scribe = threaded.spawn(Scribe, "scribe")
    threaded.tell("scribe", Hold())
    with pytest.raises(TimeoutError, match=r"scribe did not answer Question within 0\.02 s"):
        threaded.runtime.ask(threaded.runtime.address("scribe"), Question(), 0.02)
    scribe.gate.set()
    threaded.settle()
    assert scribe.seen == [Question()]
    assert [r.outcome for r in threaded.runtime.tracer.recent() if r.type == "Answer"] == ["late"]
    assert len(threaded.runtime.dead_letters) == 0


def test_under_steps_the_time_of_an_ask_is_virtual(stepped: Harness) -> None:
    stepped.spawn(Courier, "courier")
    with pytest.raises(TimeoutError):
        stepped.runtime.ask(stepped.runtime.address("courier"), Note(1), 3600.0)
    assert stepped.runtime.clock.monotonic() == 3600.0


def test_the_name_of_a_reply_box_may_travel_as_text(harness: Harness) -> None:
    courier = harness.spawn(Courier, "courier")
    box = harness.runtime.open_reply()
    assert box.name == "reply:1"
    harness.tell("courier", Work(box.name), Work(box.name))
    harness.settle()
    assert box.future.result(5) == Answer()
    assert courier.seen == [Note(1), Note(0)]
    assert [r.outcome for r in harness.runtime.tracer.recent() if r.type == "Answer"] == ["done", "late"]


def test_a_closed_box_gets_nothing_and_its_name_is_free(harness: Harness) -> None:
    courier = harness.spawn(Courier, "courier")
    box = harness.runtime.open_reply("mine")
    with pytest.raises(ValueError, match="open already"):
        harness.runtime.open_reply("mine")
    box.close()
    harness.tell("courier", Work("reply:mine"))
    harness.settle()
    assert courier.seen == [Note(0)]
    # A sender that found the box just before it was closed comes here.
    message = Answer()
    assert box.put(Envelope("r:1", None, None, "a", box.name, message, message.lane, 0.0)) is Verdict.LATE
    assert not box.future.done()
    harness.runtime.open_reply("mine")


def test_an_answered_or_cancelled_box_is_forgotten(harness: Harness) -> None:
    harness.spawn(Scribe, "scribe")
    answered = harness.runtime.ask_future(harness.runtime.address("scribe"), Question())
    harness.settle()
    cancelled = harness.runtime.ask_future(harness.runtime.address("scribe"), Note(1))
    cancelled.cancel()
    assert answered.result(5) == Answer("?")
    harness.settle()
    assert list(harness.runtime._slots) == ["scribe"]


def test_ask_future_of_nobody_holds_the_reason(harness: Harness) -> None:
    with pytest.raises(NotDelivered):
        harness.runtime.ask_future(harness.runtime.address("nobody"), Question()).result(5)
    harness.runtime.dead_letters.take()


def test_asyncio_can_await_an_answer_without_blocking_its_loop(threaded: Harness) -> None:
    scribe = threaded.spawn(Scribe, "scribe")
    threaded.tell("scribe", Hold())

    async def edge() -> object:
        waiting = asyncio.wrap_future(threaded.runtime.ask_future(threaded.runtime.address("scribe"), Question("a")))
        # The loop is free meanwhile: it is this coroutine that lets the actor go on.
        asyncio.get_running_loop().call_soon(scribe.gate.set)
        return await asyncio.wait_for(waiting, 5)

    assert asyncio.run(edge()) == Answer("a")


def test_nothing_that_blocks_is_allowed_on_an_actors_thread(harness: Harness) -> None:
    errors: dict[str, BaseException | None] = {}

    class Impatient(Scribe):
        def on_work(self, _: Work) -> None:
            runtime: Runtime = self.runtime
            box: ReplyBox = runtime.open_reply()
            calls: dict[str, Callable[[], object]] = {
                "ask": lambda: runtime.ask(self.runtime.address("scribe"), Question(), 1),
                "barrier": lambda: runtime.barrier("scribe", 1),
                "result": lambda: box.future.result(1),
                "exception": lambda: box.future.exception(1),
                "pykka": lambda: GuardedFuture().get(timeout=1),
                "stop": lambda: runtime.stop(1),
            }
            if isinstance(runtime, ThreadRuntime):
                calls["wait_idle"] = lambda: runtime.wait_idle(1)
            for name, call in calls.items():
                try:
                    call()
                    errors[name] = None
                except BlockingCallError as error:
                    errors[name] = error
            box.close()

    harness.spawn(Scribe, "scribe")
    harness.spawn(Impatient, "impatient")
    harness.tell("impatient", Work("c"))
    harness.settle()
    assert errors
    assert all(errors.values()), errors
    assert "on the thread of actor 'impatient'" in str(errors["ask"])


def test_a_done_future_may_be_read_anywhere(harness: Harness) -> None:
    read: list[object] = []
    harness.spawn(Scribe, "scribe")
    future = harness.runtime.ask_future(harness.runtime.address("scribe"), Question("a"))
    future.add_done_callback(lambda done: read.append(done.result()))
    harness.settle()
    assert read == [Answer("a")]


def test_askers_are_told_when_the_service_stops(harness: Harness) -> None:
    box = harness.runtime.open_reply()
    harness.runtime.stop(5)
    with pytest.raises(AskFailed, match="stopped"):
        box.future.result(5)
