from __future__ import annotations

import threading

import pytest

from core.runtime import Actor, NotDelivered, Reason, Runtime, ThreadRuntime
from tests.runtime.harness import Harness, Hold, Note, Question, Scribe, Work


class Last(Scribe):
    """Says when it stops."""

    said: list[str]

    def stopping(self) -> None:
        self.said.append(self.name)


@pytest.fixture
def said(harness: Harness) -> list[str]:
    said: list[str] = []
    for name in ("a", "b", "c"):
        harness.spawn(Last, name).said = said
    return said


def test_actors_stop_in_the_reverse_of_the_order_they_were_spawned_in(harness: Harness, said: list[str]) -> None:
    assert harness.runtime.stop(5) == []
    assert said == ["c", "b", "a"]
    assert not any(health.alive for health in harness.runtime.health().values())


def test_actors_stop_in_the_order_given_and_the_others_after_them(harness: Harness, said: list[str]) -> None:
    assert harness.runtime.stop(5, order=["a"]) == []
    assert said == ["a", "c", "b"]


def test_what_waits_is_handled_before_the_stop_and_what_comes_after_is_refused(threaded: Harness) -> None:
    scribe = threaded.spawn(Scribe, "scribe")
    threaded.tell("scribe", Hold(), *(Note(number) for number in range(100)))
    stopper = threading.Thread(target=threaded.runtime.stop, args=(5,))
    stopper.start()
    threaded.until(lambda: scribe.actor_inbox.mailbox.closed)
    assert not threaded.runtime.address("scribe").tell(Note(1000))
    scribe.gate.set()
    stopper.join(5)
    assert scribe.seen == [Note(number) for number in range(100)]
    assert [dead.reason for dead in threaded.runtime.dead_letters.take()] == [Reason.CLOSED]


def test_a_stuck_actor_is_named_its_askers_are_answered_and_the_others_still_stop(threaded: Harness) -> None:
    stopped: list[str] = []
    first = threaded.spawn(Last, "first")
    first.said = stopped
    stuck = threaded.spawn(Scribe, "stuck")
    threaded.tell("stuck", Hold(), Note(1))
    threaded.until(lambda: threaded.runtime.health()["stuck"].in_hand == "Hold")
    future = threaded.runtime.ask_future(threaded.runtime.address("stuck"), Question())
    assert threaded.runtime.stop(0.2) == ["stuck"]
    assert stopped == ["first"]
    with pytest.raises(NotDelivered, match="left"):
        future.result(5)
    assert [dead.reason for dead in threaded.runtime.dead_letters.take()] == [Reason.LEFT] * 2
    stuck.gate.set()
    threaded.until(lambda: not threaded.runtime.health()["stuck"].alive)


def test_stopping_twice_is_harmless(harness: Harness, said: list[str]) -> None:
    assert harness.runtime.stop(5) == []
    assert harness.runtime.stop(5) == []
    assert said == ["c", "b", "a"]


def test_a_full_mailbox_does_not_hold_up_the_stop() -> None:
    from tests.runtime.harness import threads

    runtime = threads(mailbox_capacity=2)
    harness = Harness(runtime)
    scribe = harness.spawn(Scribe, "scribe")
    harness.tell("scribe", Hold())
    harness.until(lambda: runtime.health()["scribe"].in_hand == "Hold")
    harness.tell("scribe", *(Note(number) for number in range(5)))
    assert [dead.reason for dead in runtime.dead_letters.take()] == [Reason.FULL] * 3
    scribe.gate.set()
    assert runtime.stop(5) == []
    assert scribe.seen == [Note(0), Note(1)]


def test_an_actor_that_tells_itself_with_a_full_mailbox_is_refused_and_does_not_hang() -> None:
    from tests.runtime.harness import threads

    class Talkative(Scribe):
        def on_work(self, _: Work) -> None:
            for number in range(5):
                self.tell(self.runtime.address(self.name), Note(number))

    runtime = threads(mailbox_capacity=2)
    harness = Harness(runtime)
    talkative = harness.spawn(Talkative, "talkative")
    harness.tell("talkative", Work("c"))
    harness.settle()
    assert talkative.seen == [Note(0), Note(1)]
    assert len(runtime.dead_letters.take()) == 3
    assert runtime.stop(5) == []


def test_a_stop_may_first_let_envelopes_in_flight_come_to_rest(threaded: Harness) -> None:
    class Relay(Actor):
        def on_note(self, message: Note) -> None:
            if message.number:
                self.tell_name("b" if self.name == "a" else "a", Note(message.number - 1))

    threaded.spawn(Relay, "a")
    threaded.spawn(Relay, "b")
    threaded.tell("a", Note(2000))
    runtime = threaded.runtime
    assert isinstance(runtime, ThreadRuntime)
    assert runtime.stop(5, settle_s=4) == []
    assert len(runtime.dead_letters) == 0


def test_a_barrier_returns_once_started_is_over(threaded: Harness) -> None:
    class Slow(Scribe):
        def started(self) -> None:
            self.gate.wait(5)
            self.seen.append(Note(0))

    slow = threaded.spawn(Slow, "slow")
    with pytest.raises(TimeoutError, match="slow did not answer Ping"):
        threaded.runtime.barrier("slow", 0.02)
    slow.gate.set()
    threaded.runtime.barrier("slow", 5)
    assert slow.seen == [Note(0)]


def test_waiting_for_rest_counts_what_is_in_hand_and_what_waits(threaded: Harness) -> None:
    scribe = threaded.spawn(Scribe, "scribe")
    runtime = threaded.runtime
    assert isinstance(runtime, ThreadRuntime)
    assert runtime.wait_idle(5)
    threaded.tell("scribe", Hold())
    assert not runtime.wait_idle(0.02)
    scribe.gate.set()
    assert runtime.wait_idle(5)


def test_health_shows_what_an_actor_has_in_hand_and_what_waits(threaded: Harness) -> None:
    scribe = threaded.spawn(Scribe, "scribe")
    threaded.tell("scribe", Hold())
    threaded.until(lambda: threaded.runtime.health()["scribe"].in_hand == "Hold")
    threaded.tell("scribe", Note(1), Note(2))
    threaded.until(lambda: (threaded.runtime.health()["scribe"].in_hand_s or 0) > 0.01)
    health = threaded.runtime.health()["scribe"]
    assert (health.alive, health.depth, health.in_hand) == (True, 2, "Hold")
    assert health.oldest_age_s is not None
    assert 0 < health.oldest_age_s < 5
    scribe.gate.set()
    threaded.settle()
    health = threaded.runtime.health()["scribe"]
    assert (health.depth, health.oldest_age_s, health.in_hand, health.in_hand_s) == (0, None, None, None)
    assert (health.handled, health.failures, health.restarts) == (3, 0, 0)


def test_actors_run_on_daemon_threads_that_bear_their_names(threaded: Harness) -> None:
    threaded.spawn(Scribe, "scribe")
    (thread,) = [thread for thread in threading.enumerate() if thread.name == "scribe"]
    assert thread.daemon


def test_an_actor_stops_by_pykkas_own_stop_too(threaded: Harness) -> None:
    scribe = threaded.spawn(Scribe, "scribe")
    threaded.tell("scribe", Note(1))
    assert scribe.actor_ref.stop(timeout=5)
    threaded.until(lambda: not threaded.runtime.health()["scribe"].alive)
    assert scribe.seen == [Note(1)]


def test_what_stopping_tells_is_delivered(harness: Harness) -> None:
    class Parting(Actor):
        def __init__(self, runtime: Runtime, name: str) -> None:
            super().__init__(runtime, name)

        def stopping(self) -> None:
            self.tell_name("scribe", Note(1))

    scribe = harness.spawn(Scribe, "scribe")
    harness.spawn(Parting, "parting")
    assert harness.runtime.stop(5) == []
    assert scribe.seen == [Note(1)]
