from __future__ import annotations

import threading
from typing import Any

import pytest

from core.runtime import (
    ActorFailed,
    FailureLimits,
    HandlerFailed,
    NotDelivered,
    Ping,
    Pong,
    Reason,
    Runtime,
    Tick,
)
from core.runtime.failures import FailureWindow
from tests.runtime.harness import Boom, Control, Harness, Hold, Note, Question, Scribe, Watchman, Work


class Broken(Scribe):
    """Cannot rebuild its state until it is repaired."""

    def __init__(self, runtime: Runtime, name: str) -> None:
        super().__init__(runtime, name)
        self.broken = True

    def rebuild(self) -> None:
        super().rebuild()
        if self.broken:
            raise OSError("database is locked")

    def on_tick(self, message: Tick) -> None:
        self.seen.append(message)


@pytest.mark.parametrize("error", [ValueError("x"), SystemExit(1), KeyboardInterrupt(), GeneratorExit()])
def test_a_handler_that_raises_costs_its_envelope_and_nothing_else(harness: Harness, error: BaseException) -> None:
    scribe = harness.spawn(Scribe, "scribe")
    other = harness.spawn(Scribe, "other")
    harness.tell("scribe", Note(1), Boom(error), Note(2))
    harness.tell("other", Note(3))
    harness.settle()
    assert scribe.seen == [Note(1), Note(2)]
    assert other.seen == [Note(3)]
    assert scribe.rebuilt == 1
    assert [(dead.envelope.message, dead.reason) for dead in harness.runtime.dead_letters.take()] == [
        (Boom(error), Reason.FAILED)
    ]


def test_the_supervisor_is_told_of_the_order_in_hand(harness: Harness) -> None:
    class Failing(Scribe):
        def on_work(self, _: Work) -> None:
            raise ValueError("no such symbol")

    watchman = harness.supervise()
    harness.spawn(Failing, "failing")
    harness.tell("failing", Work("c-1"))
    harness.settle()
    (failed,) = watchman.failed
    envelope = harness.runtime.dead_letters.take()[0].envelope
    assert (failed.actor, failed.envelope_id, failed.message) == ("failing", envelope.id, Work("c-1"))
    assert (failed.command_id, failed.error) == ("c-1", "ValueError: no such symbol")
    assert (failed.failures, failed.poisoned, failed.escalate) == (1, True, False)
    assert "on_work" in failed.traceback
    report = next(r for r in harness.runtime.tracer.recent() if r.type == "ActorFailed")
    assert (report.cause, report.command) == (envelope.id, "c-1")


def test_too_many_failures_within_the_window_escalate(harness: Harness) -> None:
    watchman = harness.supervise()
    harness.spawn(Scribe, "scribe")
    harness.tell("scribe", *(Boom(ValueError(str(number))) for number in range(5)))
    harness.settle()
    assert [failed.escalate for failed in watchman.failed] == [False, False, False, True, True]
    assert [failed.failures for failed in watchman.failed] == [1, 2, 3, 4, 4]
    harness.runtime.dead_letters.take()


def test_failures_long_ago_do_not_count() -> None:
    window = FailureWindow(FailureLimits(max_failures=2, window_s=10.0))
    assert [window.add(at) for at in (0.0, 1.0, 2.0)] == [(1, False), (2, False), (3, True)]
    assert window.add(50.0) == (1, False)
    assert window.total == 4


def test_a_failure_is_logged_once_with_envelope_type_and_command_and_no_secrets(
    harness: Harness, log: list[str]
) -> None:
    class Leaky(Scribe):
        def on_work(self, _: Work) -> None:
            password = "hunter2"
            raise ValueError(f'refused: password={password}&uid=7 {{"jKey": "{password}"}}')

    watchman = harness.supervise()
    harness.spawn(Leaky, "leaky")
    harness.tell("leaky", Work("c-1"))
    harness.settle()
    envelope = harness.runtime.dead_letters.take()[0].envelope
    (line,) = [line for line in log if line.startswith(("ERROR", "WARNING"))]
    assert f"leaky failed on Work (envelope {envelope.id}, command c-1)" in line
    assert "hunter2" not in line
    assert "uid=7" in line
    assert "hunter2" not in watchman.failed[0].error + watchman.failed[0].traceback


def test_an_asker_learns_that_the_handler_raised(harness: Harness) -> None:
    class Failing(Scribe):
        def on_question(self, _: Question) -> None:
            raise ValueError("cannot say")

    harness.spawn(Failing, "failing")
    with pytest.raises(HandlerFailed, match="ValueError: cannot say"):
        harness.runtime.ask(harness.runtime.address("failing"), Question(), 5)
    harness.runtime.dead_letters.take()


def test_a_supervisor_that_fails_on_a_failure_is_not_told_of_it(harness: Harness) -> None:
    class Clumsy(Watchman):
        def on_failed(self, message: ActorFailed) -> None:
            self.failed.append(message)
            raise ValueError("clumsy")

    clumsy = harness.spawn(Clumsy, "clumsy")
    harness.runtime.supervisor = harness.runtime.address("clumsy")
    harness.spawn(Scribe, "scribe")
    harness.tell("scribe", Boom(ValueError("x")))
    harness.settle()
    assert len(clumsy.failed) == 1
    assert [dead.envelope.to for dead in harness.runtime.dead_letters.take()] == ["scribe", "clumsy"]


def test_an_actor_that_cannot_rebuild_is_impaired_and_refuses_all_but_pings(stepped: Harness) -> None:
    watchman = stepped.supervise()
    broken = stepped.spawn(Broken, "broken")
    broken.every("t", 0.1)
    stepped.tell("broken", Boom(ValueError("x")), Work("c-1"))
    stepped.settle()
    stepped.tell("broken", Control(1))
    stepped.settle()
    assert broken.seen == []
    assert stepped.runtime.health()["broken"].impaired == "OSError: database is locked"
    assert stepped.runtime.ask(stepped.runtime.address("broken"), Ping(), 0.0) == Pong("broken")
    assert sorted(dead.reason for dead in stepped.runtime.dead_letters.take()) == ["failed", "impaired", "impaired"]
    assert {failed.command_id for failed in watchman.failed} == {None, "c-1"}
    with pytest.raises(NotDelivered, match="impaired: OSError"):
        stepped.runtime.ask(stepped.runtime.address("broken"), Question(), 0.0)
    stepped.runtime.dead_letters.take()
    stepped.advance(0.3)
    assert broken.seen == []


def test_an_impaired_actor_tries_again_by_itself_at_a_bounded_rate(stepped: Harness, log: list[str]) -> None:
    broken = stepped.spawn(Broken, "broken")
    stepped.tell("broken", Boom(ValueError("x")), *(Note(number) for number in range(20)))
    stepped.settle()
    assert broken.rebuilt == 1
    stepped.advance(2.0)
    assert broken.rebuilt == 5
    broken.broken = False
    stepped.advance(0.5)
    assert broken.rebuilt == 6
    health = stepped.runtime.health()["broken"]
    assert (health.impaired, health.restarts, health.failures) == (None, 1, 1)
    stepped.tell("broken", Note(99))
    stepped.advance(10)
    assert broken.seen == [Note(99)]
    assert broken.rebuilt == 6
    assert len([line for line in log if "impaired" in line and "ERROR" in line]) == 1
    stepped.runtime.dead_letters.take()


def test_started_that_raises_ends_the_actor_and_its_barrier_says_why(harness: Harness) -> None:
    class Stillborn(Scribe):
        def started(self) -> None:
            raise SystemExit("no database")

    watchman = harness.supervise()
    harness.spawn(Stillborn, "stillborn")
    with pytest.raises(NotDelivered, match=r"stillborn did not take Ping: dead \(SystemExit: no database\)"):
        harness.runtime.barrier("stillborn", 5)
    harness.settle()
    assert [(died.actor, died.reason) for died in watchman.died] == [("stillborn", "SystemExit: no database")]
    health = harness.runtime.health()["stillborn"]
    assert (health.alive, health.died) == (False, "SystemExit: no database")
    harness.runtime.dead_letters.take()


def test_stopping_that_raises_is_reported(harness: Harness) -> None:
    class Untidy(Scribe):
        def stopping(self) -> None:
            raise OSError("cannot close")

    watchman = harness.supervise()
    harness.spawn(Untidy, "untidy")
    assert harness.runtime.stop(5) == []
    assert [died.reason for died in watchman.died] == ["OSError: cannot close"]


def test_a_thread_that_dies_closes_its_mailbox_answers_what_is_in_it_and_tells_the_supervisor(
    threaded: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    watchman = threaded.supervise()
    scribe = threaded.spawn(Scribe, "scribe")
    inbox: Any = scribe.actor_inbox

    def break_down() -> None:
        raise MemoryError("no more")

    threaded.tell("scribe", Hold())
    threaded.until(lambda: threaded.runtime.health()["scribe"].in_hand == "Hold")
    monkeypatch.setattr(inbox, "get", break_down)
    threaded.tell("scribe", Note(1))
    future = threaded.runtime.ask_future(threaded.runtime.address("scribe"), Question())
    scribe.gate.set()
    with pytest.raises(NotDelivered, match="MemoryError: no more"):
        future.result(5)
    threaded.until(lambda: watchman.died)
    assert watchman.died[0].actor == "scribe"
    assert not threaded.runtime.address("scribe").tell(Note(2))
    reasons = [dead.reason for dead in threaded.runtime.dead_letters.take()]
    assert reasons == [Reason.DEAD] * 3
    assert "scribe" not in {thread.name for thread in threading.enumerate()}


def test_a_failure_policy_that_breaks_is_a_death_with_an_answer(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    watchman = harness.supervise()
    scribe = harness.spawn(Scribe, "scribe")
    harness.settle()

    def break_down(*_: object) -> None:
        raise MemoryError("no more")

    monkeypatch.setattr(scribe._cell, "_failed", break_down)
    harness.tell("scribe", Boom(ValueError("x")), Note(1))
    harness.until(lambda: watchman.died)
    assert sorted(str(dead.envelope.message) for dead in harness.runtime.dead_letters.take()) == [
        str(Boom(ValueError("x"))),
        str(Note(1)),
    ]


def test_the_supervisor_hears_of_refused_envelopes_if_it_wants_to(harness: Harness) -> None:
    watchman = harness.supervise()
    harness.tell("nobody", Work("c-1"))
    harness.settle()
    (refused,) = watchman.refused
    assert (refused.to, refused.command_id, refused.reason, refused.message) == (
        "nobody",
        "c-1",
        "unknown",
        Work("c-1"),
    )
    harness.runtime.dead_letters.take()


def test_a_supervisor_without_a_handler_for_refused_envelopes_is_not_bothered(harness: Harness) -> None:
    class Modest(Scribe):
        def on_failed(self, message: ActorFailed) -> None:
            self.seen.append(message)

    modest = harness.spawn(Modest, "modest")
    harness.runtime.supervisor = harness.runtime.address("modest")
    harness.tell("nobody", Work("c-1"))
    harness.settle()
    assert modest.seen == []
    assert [dead.envelope.to for dead in harness.runtime.dead_letters.take()] == ["nobody"]
