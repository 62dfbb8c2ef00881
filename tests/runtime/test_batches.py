from __future__ import annotations

from typing import Any, ClassVar

import pytest

from core.runtime import (
    AbortBatch,
    BatchEnd,
    Envelope,
    HandlerFailed,
    Message,
    OutOfReach,
    Ping,
    Reason,
    Runtime,
    ThreadRuntime,
)
from tests.runtime.harness import Answer, Boom, Harness, Hold, Note, Question, Scribe, Work
from tests.support import wait_until


class Ledger(Scribe):
    """Writes in groups; each note is told on to the scribe."""

    batch_limit = 4
    fail_begin: ClassVar[bool] = False
    fail_end: ClassVar[bool] = False

    def __init__(self, runtime: Runtime, name: str) -> None:
        super().__init__(runtime, name)
        self.acts: list[str] = []

    def batch_begin(self) -> None:
        self.acts.append("begin")
        if self.fail_begin:
            raise OSError("disk full")

    def batch_end(self) -> None:
        self.acts.append("end")
        if self.fail_end:
            raise OSError("disk full")

    def rebuild(self) -> None:
        super().rebuild()
        self.acts.append("rebuild")

    def on_note(self, message: Note) -> None:
        self.acts.append(str(message.number))
        self.tell_name("scribe", message)
        if message.number < 0:
            raise ValueError("negative")
        if message.number == 13:
            raise AbortBatch("no more writes")


class Answering(Ledger):
    """Knows what to say when its group is lost."""

    fail_end = True

    def batch_failed(self, envelopes: tuple[Envelope, ...], error: BaseException) -> None:
        self.acts.append("lost " + " ".join(str(envelope.message) for envelope in envelopes))
        for envelope in envelopes:
            with self.answering(envelope):
                self.tell_name("scribe", Work(f"lost: {error}"))
                self.reply(Answer("lost"))


def heap(harness: Harness, ledger: Scribe, *messages: Message) -> None:
    """Let all of `messages` stand in the mailbox before the first is taken."""
    if isinstance(harness.runtime, ThreadRuntime):
        ledger.gate.clear()
    harness.tell(ledger.name, Hold())
    if isinstance(harness.runtime, ThreadRuntime):
        wait_until(lambda: harness.runtime.health()[ledger.name].in_hand == "Hold")
    harness.tell(ledger.name, *messages)
    ledger.gate.set()
    harness.settle()


@pytest.fixture
def scribe(harness: Harness) -> Scribe:
    return harness.spawn(Scribe, "scribe")


@pytest.fixture
def ledger(harness: Harness, scribe: Scribe) -> Ledger:
    ledger = harness.spawn(Ledger, "ledger")
    ledger.gate.set()
    harness.settle()
    assert scribe.seen == []
    return ledger


def test_what_stands_in_the_mailbox_is_handled_between_one_begin_and_one_end(harness: Harness, ledger: Ledger) -> None:
    heap(harness, ledger, *(Note(number) for number in range(1, 7)))
    acts = ledger.acts
    assert acts[0] == "begin"
    assert [act for act in acts if act.isdigit()] == list("123456")
    groups = " ".join(acts).split("begin")[1:]
    assert all(group.split()[-1] == "end" and len(group.split()) <= 5 for group in groups)
    assert len(groups) <= 3


def test_one_envelope_alone_is_a_batch_of_one(harness: Harness, ledger: Ledger) -> None:
    harness.tell("ledger", Note(1))
    harness.settle()
    assert ledger.acts == ["begin", "1", "end"]


def test_what_was_told_is_sent_after_the_end_in_the_order_it_was_told(harness: Harness, scribe: Scribe) -> None:
    seen_at_end: list[int] = []

    class Watching(Ledger):
        def batch_end(self) -> None:
            seen_at_end.append(scribe.actor_inbox.mailbox.accepted)

    watching = harness.spawn(Watching, "watching")
    watching.gate.set()
    harness.settle()
    heap(harness, watching, Note(1), Note(2))
    assert scribe.seen == [Note(1), Note(2)]
    assert max(seen_at_end) <= 1


def test_a_handler_that_raises_loses_its_own_envelope_and_what_it_told(
    harness: Harness, ledger: Ledger, scribe: Scribe
) -> None:
    watchman = harness.supervise()
    heap(harness, ledger, Note(1), Note(-2), Note(3))
    assert scribe.seen == [Note(1), Note(3)]
    assert [failed.message for failed in watchman.failed] == [Note(-2)]
    assert [dead.envelope.message for dead in harness.runtime.dead_letters.take()] == [Note(-2)]
    assert ledger.acts[-1] == "end"


def test_if_the_end_raises_nothing_is_sent_and_each_envelope_is_given_up(
    harness: Harness, ledger: Ledger, scribe: Scribe, monkeypatch: pytest.MonkeyPatch
) -> None:
    watchman = harness.supervise()
    monkeypatch.setattr(Ledger, "fail_end", True)
    future = harness.runtime.ask_future(harness.runtime.address("ledger"), Question())
    harness.settle()
    with pytest.raises(HandlerFailed, match="disk full"):
        future.result(5)
    assert scribe.seen == []
    assert [type(failed.message) for failed in watchman.failed] == [BatchEnd, Question]
    assert [failed.poisoned for failed in watchman.failed] == [False, True]
    assert [dead.reason for dead in harness.runtime.dead_letters.take()] == [Reason.FAILED]
    assert "rebuild" in ledger.acts


def test_if_the_begin_raises_no_handler_runs(harness: Harness, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Ledger, "fail_begin", True)
    harness.tell("ledger", Note(1))
    harness.settle()
    assert ledger.acts == ["begin", "rebuild"]
    assert len(harness.runtime.dead_letters.take()) == 1


def test_an_actor_may_answer_for_a_lost_batch_itself(harness: Harness, scribe: Scribe) -> None:
    answering = harness.spawn(Answering, "answering")
    future = harness.runtime.ask_future(harness.runtime.address("answering"), Question("x"))
    harness.settle()
    assert answering.acts == ["begin", "end", "rebuild", "lost Question(text='x')"]
    assert future.result(5) == Answer("lost")
    assert scribe.seen == [Work("lost: disk full")]
    records = {record.type: record for record in harness.runtime.tracer.recent()}
    assert records["Question"].outcome == "failed"
    assert records["Work"].cause == records["Question"].id
    assert len(harness.runtime.dead_letters) == 0


def test_abort_batch_in_a_handler_fails_all_of_the_batch_those_not_yet_handled_too(
    harness: Harness, scribe: Scribe
) -> None:
    class Calm(Answering):
        fail_end = False

    calm = harness.spawn(Calm, "calm")
    calm.gate.set()
    harness.settle()
    heap(harness, calm, Note(1), Note(13), Note(3))
    harness.settle()
    lost = " ".join(act for act in calm.acts if act.startswith("lost"))
    assert "Note(number=13)" in lost
    assert Note(13) not in scribe.seen
    told = [message.number for message in scribe.seen if isinstance(message, Note)]
    # Envelopes of an earlier group are safe; of the group that was aborted all are lost, and none both or neither.
    assert all((f"Note(number={n})" in lost) is (n not in told) for n in (1, 3))
    assert "3" not in calm.acts or 3 in told


def test_abort_batch_without_batches_is_an_ordinary_failure(harness: Harness) -> None:
    harness.spawn(Scribe, "scribe")
    harness.tell("scribe", Boom(AbortBatch("alone")))
    harness.settle()
    assert [dead.reason for dead in harness.runtime.dead_letters.take()] == [Reason.FAILED]


def test_a_hook_that_fails_over_a_failed_batch_gives_its_envelopes_up(harness: Harness, scribe: Scribe) -> None:
    class Hopeless(Answering):
        def batch_failed(self, envelopes: tuple[Envelope, ...], error: BaseException) -> None:
            raise RuntimeError(f"and again: {envelopes}") from error

    harness.spawn(Hopeless, "hopeless")
    harness.tell("hopeless", Note(1))
    harness.settle()
    assert [dead.reason for dead in harness.runtime.dead_letters.take()] == [Reason.FAILED]
    assert harness.runtime.health()["hopeless"].alive
    assert scribe.seen == []


def test_a_ping_is_answered_whatever_becomes_of_the_batch(
    harness: Harness, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Ledger, "fail_end", True)
    harness.runtime.barrier("ledger", 5)
    harness.runtime.ask(harness.runtime.address("ledger"), Ping(), 5)
    assert ledger.acts == []


class Doubting(Ledger):
    """Learns only later whether what it did stands."""

    def __init__(self, runtime: Runtime, name: str) -> None:
        super().__init__(runtime, name)
        self.away = True
        self.doubtful: tuple[Any, ...] = ()

    def before_batch(self) -> None:
        if not self.away:
            self.send_unsent(self.doubtful)
            self.doubtful = ()

    def batch_end(self) -> None:
        if self.away:
            raise OutOfReach("the database is away")

    def batch_failed(self, _: tuple[Envelope, ...], error: BaseException) -> None:
        self.doubtful += self.unsent()
        self.acts.append(str(error))


def test_what_a_failed_batch_told_can_be_sent_later_with_the_causes_it_had(harness: Harness, scribe: Scribe) -> None:
    doubting = harness.spawn(Doubting, "doubting")
    doubting.gate.set()
    harness.tell("doubting", Note(1))
    harness.settle()
    assert scribe.seen == []
    doubting.away = False
    harness.tell("doubting", Note(2))
    harness.settle()
    assert [str(seen) for seen in scribe.seen] == ["Note(number=1)", "Note(number=2)"]
    sent = {record.text: record for record in harness.runtime.tracer.recent() if record.to == "scribe"}
    brought = {record.text: record for record in harness.runtime.tracer.recent() if record.to == "doubting"}
    assert all(sent[text].cause == brought[text].id for text in sent)


def test_what_is_out_of_reach_is_no_failure_of_the_actor(harness: Harness) -> None:
    doubting = harness.spawn(Doubting, "doubting")
    doubting.gate.set()
    for number in range(10):
        harness.tell("doubting", Note(number))
        harness.settle()
    assert doubting.acts.count("the database is away") == 10
    assert "rebuild" not in doubting.acts
    assert harness.runtime.dead_letters.take() == []
    assert [record for record in harness.runtime.tracer.recent() if record.type == "ActorFailed"] == []
