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
from tests.runtime.stage import Boom, Control, Hold, Note, Question, Scribe, Stage, Watchman, Work


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
def test_a_handler_that_raises_costs_its_letter_and_nothing_else(stage: Stage, error: BaseException) -> None:
    scribe = stage.spawn(Scribe, "scribe")
    other = stage.spawn(Scribe, "other")
    stage.tell("scribe", Note(1), Boom(error), Note(2))
    stage.tell("other", Note(3))
    stage.settle()
    assert scribe.seen == [Note(1), Note(2)]
    assert other.seen == [Note(3)]
    assert scribe.rebuilt == 1
    assert [(dead.letter.message, dead.reason) for dead in stage.runtime.dead_letters.take()] == [
        (Boom(error), Reason.FAILED)
    ]


def test_the_supervisor_is_told_of_the_order_in_hand(stage: Stage) -> None:
    class Failing(Scribe):
        def on_work(self, _: Work) -> None:
            raise ValueError("no such symbol")

    watchman = stage.supervise()
    stage.spawn(Failing, "failing")
    stage.tell("failing", Work("c-1"))
    stage.settle()
    (failed,) = watchman.failed
    letter = stage.runtime.dead_letters.take()[0].letter
    assert (failed.actor, failed.letter_id, failed.message) == ("failing", letter.id, Work("c-1"))
    assert (failed.command_id, failed.error) == ("c-1", "ValueError: no such symbol")
    assert (failed.failures, failed.poisoned, failed.escalate) == (1, True, False)
    assert "on_work" in failed.traceback
    report = next(r for r in stage.runtime.tracer.recent() if r.type == "ActorFailed")
    assert (report.cause, report.command) == (letter.id, "c-1")


def test_too_many_failures_within_the_window_escalate(stage: Stage) -> None:
    watchman = stage.supervise()
    stage.spawn(Scribe, "scribe")
    stage.tell("scribe", *(Boom(ValueError(str(number))) for number in range(5)))
    stage.settle()
    assert [failed.escalate for failed in watchman.failed] == [False, False, False, True, True]
    assert [failed.failures for failed in watchman.failed] == [1, 2, 3, 4, 4]
    stage.runtime.dead_letters.take()


def test_failures_long_ago_do_not_count() -> None:
    window = FailureWindow(FailureLimits(max_failures=2, window_s=10.0))
    assert [window.add(at) for at in (0.0, 1.0, 2.0)] == [(1, False), (2, False), (3, True)]
    assert window.add(50.0) == (1, False)
    assert window.total == 4


def test_a_failure_is_logged_once_with_letter_type_and_command_and_no_secrets(stage: Stage, log: list[str]) -> None:
    class Leaky(Scribe):
        def on_work(self, _: Work) -> None:
            password = "hunter2"
            raise ValueError(f'refused: password={password}&uid=7 {{"jKey": "{password}"}}')

    watchman = stage.supervise()
    stage.spawn(Leaky, "leaky")
    stage.tell("leaky", Work("c-1"))
    stage.settle()
    letter = stage.runtime.dead_letters.take()[0].letter
    (line,) = [line for line in log if line.startswith(("ERROR", "WARNING"))]
    assert f"leaky failed on Work (letter {letter.id}, command c-1)" in line
    assert "hunter2" not in line
    assert "uid=7" in line
    assert "hunter2" not in watchman.failed[0].error + watchman.failed[0].traceback


def test_an_asker_learns_that_the_handler_raised(stage: Stage) -> None:
    class Failing(Scribe):
        def on_question(self, _: Question) -> None:
            raise ValueError("cannot say")

    stage.spawn(Failing, "failing")
    with pytest.raises(HandlerFailed, match="ValueError: cannot say"):
        stage.runtime.ask(stage.runtime.address("failing"), Question(), 5)
    stage.runtime.dead_letters.take()


def test_a_supervisor_that_fails_on_a_failure_is_not_told_of_it(stage: Stage) -> None:
    class Clumsy(Watchman):
        def on_failed(self, message: ActorFailed) -> None:
            self.failed.append(message)
            raise ValueError("clumsy")

    clumsy = stage.spawn(Clumsy, "clumsy")
    stage.runtime.supervisor = stage.runtime.address("clumsy")
    stage.spawn(Scribe, "scribe")
    stage.tell("scribe", Boom(ValueError("x")))
    stage.settle()
    assert len(clumsy.failed) == 1
    assert [dead.letter.to for dead in stage.runtime.dead_letters.take()] == ["scribe", "clumsy"]


def test_an_actor_that_cannot_rebuild_is_impaired_and_refuses_all_but_pings(stepped: Stage) -> None:
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


def test_an_impaired_actor_tries_again_by_itself_at_a_bounded_rate(stepped: Stage, log: list[str]) -> None:
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


def test_started_that_raises_ends_the_actor_and_its_barrier_says_why(stage: Stage) -> None:
    class Stillborn(Scribe):
        def started(self) -> None:
            raise SystemExit("no database")

    watchman = stage.supervise()
    stage.spawn(Stillborn, "stillborn")
    with pytest.raises(NotDelivered, match=r"stillborn did not take Ping: dead \(SystemExit: no database\)"):
        stage.runtime.barrier("stillborn", 5)
    stage.settle()
    assert [(died.actor, died.reason) for died in watchman.died] == [("stillborn", "SystemExit: no database")]
    health = stage.runtime.health()["stillborn"]
    assert (health.alive, health.died) == (False, "SystemExit: no database")
    stage.runtime.dead_letters.take()


def test_stopping_that_raises_is_reported(stage: Stage) -> None:
    class Untidy(Scribe):
        def stopping(self) -> None:
            raise OSError("cannot close")

    watchman = stage.supervise()
    stage.spawn(Untidy, "untidy")
    assert stage.runtime.stop(5) == []
    assert [died.reason for died in watchman.died] == ["OSError: cannot close"]


def test_a_thread_that_dies_closes_its_mailbox_answers_what_is_in_it_and_tells_the_supervisor(
    threaded: Stage, monkeypatch: pytest.MonkeyPatch
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


def test_a_failure_policy_that_breaks_is_a_death_with_an_answer(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    watchman = stage.supervise()
    scribe = stage.spawn(Scribe, "scribe")
    stage.settle()

    def break_down(*_: object) -> None:
        raise MemoryError("no more")

    monkeypatch.setattr(scribe._desk, "_failed", break_down)
    stage.tell("scribe", Boom(ValueError("x")), Note(1))
    stage.until(lambda: watchman.died)
    assert sorted(str(dead.letter.message) for dead in stage.runtime.dead_letters.take()) == [
        str(Boom(ValueError("x"))),
        str(Note(1)),
    ]


def test_the_supervisor_hears_of_refused_letters_if_it_wants_to(stage: Stage) -> None:
    watchman = stage.supervise()
    stage.tell("nobody", Work("c-1"))
    stage.settle()
    (refused,) = watchman.refused
    assert (refused.to, refused.command_id, refused.reason, refused.message) == (
        "nobody",
        "c-1",
        "unknown",
        Work("c-1"),
    )
    stage.runtime.dead_letters.take()


def test_a_supervisor_without_a_handler_for_refused_letters_is_not_bothered(stage: Stage) -> None:
    class Modest(Scribe):
        def on_failed(self, message: ActorFailed) -> None:
            self.seen.append(message)

    modest = stage.spawn(Modest, "modest")
    stage.runtime.supervisor = stage.runtime.address("modest")
    stage.tell("nobody", Work("c-1"))
    stage.settle()
    assert modest.seen == []
    assert [dead.letter.to for dead in stage.runtime.dead_letters.take()] == ["nobody"]
