"""What Pykka 4.5 does that we rely on or guard against, one test each.

The left column is what Pykka does. Its test shows it on Pykka alone where that is safe, and then what ours does.
If one of these fails after an upgrade of Pykka, read core/runtime/actor.py and inbox.py again before anything else.

=====================================================  =======================================================
Pykka                                                  test
=====================================================  =======================================================
private hooks are called as 4.5 calls them             test_pykka_calls_the_hooks_we_override
`inbox.get()` is outside the loop's `try`              test_an_exception_in_get_leaves_pykkas_loop
an exception after tell kills the actor                test_tell_that_raises_kills_a_plain_actor_and_not_ours
an exception after ask leaves it half-applied          test_ask_that_raises_is_followed_by_a_rebuild
tell to a dead actor raises in the sender              test_tell_to_the_dead_raises_in_pykka_and_not_in_ours
SystemExit in one handler stops all actors             test_a_plain_actor_that_exits_does_not_take_ours_along,
                                                       test_failures.test_a_handler_that_raises_costs_…
an exception in on_start leaves a zombie               test_failures.test_started_that_raises_…
is_alive, then put: envelopes fall between               test_close_race
pykka.Timeout is no TimeoutError                       test_pykkas_timeout_is_not_pythons_and_ours_is
ask to itself deadlocks, no default timeout            test_asking.test_nothing_that_blocks_is_allowed_…
a stuck handler cannot be stopped                      test_stopping.test_a_stuck_actor_is_named_…
threads are not daemons                                test_stopping.test_actors_run_on_daemon_threads_…
__init__ runs in the caller's thread                   test_actor.test_init_runs_in_the_caller_…
a bounded queue.Queue blocks senders                   test_stopping.test_an_actor_that_tells_itself_…
`await future` blocks the event loop                   test_asking.test_asyncio_can_await_…
the registry is process-wide                           test_our_actors_are_not_in_pykkas_registry
=====================================================  =======================================================
"""

from __future__ import annotations

import inspect
import threading
from importlib.metadata import version
from typing import Any

import pykka
import pytest
from pykka._envelope import Envelope
from pykka.messages import _ActorStop

from core.runtime import BlockingCallError, Mailbox
from core.runtime.futures import GuardedFuture
from core.runtime.inbox import Inbox
from tests.runtime.harness import Boom, Harness, Hold, Note, Question, Scribe, Work
from tests.support import wait_until


class Plain(pykka.ThreadingActor):
    """An actor of Pykka alone."""

    use_daemon_thread = True

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Any] = []

    def on_receive(self, message: Any) -> Any:
        if isinstance(message, BaseException):
            raise message
        self.seen.append(message)
        return message


@pytest.fixture(autouse=True)
def quiet_pykka(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("CRITICAL", logger="pykka")


def test_pykka_is_the_version_these_tests_describe() -> None:
    assert version("pykka").startswith("4.5.")


def test_pykka_calls_the_hooks_we_override() -> None:
    calls: list[str] = []

    class Hooked(Plain):
        def _create_actor_inbox(self) -> Any:  # type: ignore[override]
            calls.append("inbox")
            return Inbox(Mailbox())

        def _start_actor_loop(self) -> None:
            calls.append("start")
            self._actor_loop()

        def _actor_loop_setup(self) -> None:
            calls.append("setup")

        def _handle_receive(self, message: Any) -> Any:
            calls.append(type(message).__name__)
            return super()._handle_receive(message)

        def _stop(self) -> None:
            calls.append("stop")
            self.actor_stopped.set()

        def _actor_loop_teardown(self) -> None:
            calls.append("teardown")

    hooked = Hooked()
    hooked.actor_inbox.put(Envelope(_ActorStop()))
    hooked._start_actor_loop()
    assert calls == ["inbox", "start", "setup", "_ActorStop", "stop", "teardown"]
    assert isinstance(inspect.getattr_static(pykka.Actor, "_create_future"), staticmethod)
    assert hasattr(pykka.Actor, "_actor_loop_running")


def test_an_exception_in_get_leaves_pykkas_loop() -> None:
    class Leaving(BaseException):
        pass

    class Empty(Inbox):
        def get(self) -> Any:
            raise Leaving

    class Looping(Plain):
        def _create_actor_inbox(self) -> Any:  # type: ignore[override]
            return Empty(Mailbox())

    looping = Looping()
    with pytest.raises(Leaving):
        looping._actor_loop_running()
    assert not looping.actor_stopped.is_set()


def test_tell_that_raises_kills_a_plain_actor_and_not_ours(threaded: Harness) -> None:
    ref = Plain.start()
    ref.tell(ValueError("x"))
    wait_until(lambda: not ref.is_alive())

    scribe = threaded.spawn(Scribe, "scribe")
    threaded.tell("scribe", Boom(ValueError("x")), Note(1))
    threaded.settle()
    assert scribe.seen == [Note(1)]
    assert threaded.runtime.health()["scribe"].alive
    threaded.runtime.dead_letters.take()


def test_ask_that_raises_is_followed_by_a_rebuild(threaded: Harness) -> None:
    ref = Plain.start()
    with pytest.raises(ValueError, match="x"):
        ref.ask(ValueError("x"), timeout=5)
    assert ref.ask(1, timeout=5) == 1, "Pykka keeps the actor after ask, and kills it after tell"
    ref.stop()

    scribe = threaded.spawn(Scribe, "scribe")
    future = threaded.runtime.ask_future(threaded.runtime.address("scribe"), Boom(ValueError("x")))
    assert future.exception(5) is not None
    threaded.settle()
    assert scribe.rebuilt == 1
    threaded.runtime.dead_letters.take()


def test_tell_to_the_dead_raises_in_pykka_and_not_in_ours(threaded: Harness) -> None:
    ref = Plain.start()
    ref.stop(timeout=5)
    with pytest.raises(pykka.ActorDeadError):
        ref.tell(1)

    address = threaded.runtime.spawn(Scribe, "scribe")
    threaded.runtime.stop(5)
    assert address.tell(Note(1)) is False
    threaded.runtime.dead_letters.take()


def test_a_plain_actor_that_exits_does_not_take_ours_along(threaded: Harness) -> None:
    scribe = threaded.spawn(Scribe, "scribe")
    first, second = Plain.start(), Plain.start()
    first.tell(SystemExit())
    wait_until(lambda: not second.is_alive())
    threaded.tell("scribe", Note(1))
    threaded.settle()
    assert scribe.seen == [Note(1)]


def test_our_actors_are_not_in_pykkas_registry(threaded: Harness) -> None:
    threaded.spawn(Scribe, "scribe")
    assert pykka.ActorRegistry.get_by_class(Scribe) == []


def test_pykkas_timeout_is_not_pythons_and_ours_is(threaded: Harness) -> None:
    assert not issubclass(pykka.Timeout, TimeoutError)
    scribe = threaded.spawn(Scribe, "scribe")
    threaded.tell("scribe", Hold())
    with pytest.raises(TimeoutError):
        threaded.runtime.ask(threaded.runtime.address("scribe"), Question(), 0.01)
    scribe.gate.set()


def test_pykkas_ask_and_proxies_are_refused_by_our_inbox(threaded: Harness) -> None:
    scribe = threaded.spawn(Scribe, "scribe")
    with pytest.raises(TypeError, match=r"use Address\.tell or runtime\.ask"):
        scribe.actor_ref.tell(Note(1))


def test_pykkas_futures_are_guarded_on_our_threads(threaded: Harness) -> None:
    errors: list[BaseException] = []

    class Stopping(Scribe):
        def on_work(self, _: Work) -> None:
            try:
                self.actor_ref.stop()
            except BlockingCallError as error:
                errors.append(error)

    stopping = threaded.spawn(Stopping, "stopping")
    threaded.tell("stopping", Work("c"))
    threaded.until(lambda: errors)
    assert isinstance(stopping._create_future(), GuardedFuture)
    threaded.until(lambda: not threaded.runtime.health()["stopping"].alive)
    assert "stopping" not in {thread.name for thread in threading.enumerate()}
