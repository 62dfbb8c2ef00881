from __future__ import annotations

from typing import Any, ClassVar

import pytest

from core.runtime import (
    AbortBatch,
    BatchEnd,
    HandlerFailed,
    Letter,
    Message,
    OutOfReach,
    Ping,
    Reason,
    Runtime,
    ThreadRuntime,
)
from tests.runtime.stage import Answer, Boom, Hold, Note, Question, Scribe, Stage, Work
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

    def batch_failed(self, letters: tuple[Letter, ...], error: BaseException) -> None:
        self.acts.append("lost " + " ".join(str(letter.message) for letter in letters))
        for letter in letters:
            with self.answering(letter):
                self.tell_name("scribe", Work(f"lost: {error}"))
                self.reply(Answer("lost"))


def heap(stage: Stage, ledger: Scribe, *messages: Message) -> None:
    """Let all of `messages` stand in the mailbox before the first is taken."""
    if isinstance(stage.runtime, ThreadRuntime):
        ledger.gate.clear()
    stage.tell(ledger.name, Hold())
    if isinstance(stage.runtime, ThreadRuntime):
        wait_until(lambda: stage.runtime.health()[ledger.name].in_hand == "Hold")
    stage.tell(ledger.name, *messages)
    ledger.gate.set()
    stage.settle()


@pytest.fixture
def scribe(stage: Stage) -> Scribe:
    return stage.spawn(Scribe, "scribe")


@pytest.fixture
def ledger(stage: Stage, scribe: Scribe) -> Ledger:
    ledger = stage.spawn(Ledger, "ledger")
    ledger.gate.set()
    stage.settle()
    assert scribe.seen == []
    return ledger


def test_what_stands_in_the_mailbox_is_handled_between_one_begin_and_one_end(stage: Stage, ledger: Ledger) -> None:
    heap(stage, ledger, *(Note(number) for number in range(1, 7)))
    acts = ledger.acts
    assert acts[0] == "begin"
    assert [act for act in acts if act.isdigit()] == list("123456")
    groups = " ".join(acts).split("begin")[1:]
    assert all(group.split()[-1] == "end" and len(group.split()) <= 5 for group in groups)
    assert len(groups) <= 3


def test_one_letter_alone_is_a_batch_of_one(stage: Stage, ledger: Ledger) -> None:
    stage.tell("ledger", Note(1))
    stage.settle()
    assert ledger.acts == ["begin", "1", "end"]


def test_what_was_told_is_sent_after_the_end_in_the_order_it_was_told(stage: Stage, scribe: Scribe) -> None:
    seen_at_end: list[int] = []

    class Watching(Ledger):
        def batch_end(self) -> None:
            seen_at_end.append(scribe.actor_inbox.mailbox.accepted)

    watching = stage.spawn(Watching, "watching")
    watching.gate.set()
    stage.settle()
    heap(stage, watching, Note(1), Note(2))
    assert scribe.seen == [Note(1), Note(2)]
    assert max(seen_at_end) <= 1


def test_a_handler_that_raises_loses_its_own_letter_and_what_it_told(
    stage: Stage, ledger: Ledger, scribe: Scribe
) -> None:
    watchman = stage.supervise()
    heap(stage, ledger, Note(1), Note(-2), Note(3))
    assert scribe.seen == [Note(1), Note(3)]
    assert [failed.message for failed in watchman.failed] == [Note(-2)]
    assert [dead.letter.message for dead in stage.runtime.dead_letters.take()] == [Note(-2)]
    assert ledger.acts[-1] == "end"


def test_if_the_end_raises_nothing_is_sent_and_each_letter_is_given_up(
    stage: Stage, ledger: Ledger, scribe: Scribe, monkeypatch: pytest.MonkeyPatch
) -> None:
    watchman = stage.supervise()
    monkeypatch.setattr(Ledger, "fail_end", True)
    future = stage.runtime.ask_future(stage.runtime.address("ledger"), Question())
    stage.settle()
    with pytest.raises(HandlerFailed, match="disk full"):
        future.result(5)
    assert scribe.seen == []
    assert [type(failed.message) for failed in watchman.failed] == [BatchEnd, Question]
    assert [failed.poisoned for failed in watchman.failed] == [False, True]
    assert [dead.reason for dead in stage.runtime.dead_letters.take()] == [Reason.FAILED]
    assert "rebuild" in ledger.acts


def test_if_the_begin_raises_no_handler_runs(stage: Stage, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Ledger, "fail_begin", True)
    stage.tell("ledger", Note(1))
    stage.settle()
    assert ledger.acts == ["begin", "rebuild"]
    assert len(stage.runtime.dead_letters.take()) == 1


def test_an_actor_may_answer_for_a_lost_batch_itself(stage: Stage, scribe: Scribe) -> None:
    answering = stage.spawn(Answering, "answering")
    future = stage.runtime.ask_future(stage.runtime.address("answering"), Question("x"))
    stage.settle()
    assert answering.acts == ["begin", "end", "rebuild", "lost Question(text='x')"]
    assert future.result(5) == Answer("lost")
    assert scribe.seen == [Work("lost: disk full")]
    records = {record.type: record for record in stage.runtime.tracer.recent()}
    assert records["Question"].outcome == "failed"
    assert records["Work"].cause == records["Question"].id
    assert len(stage.runtime.dead_letters) == 0


def test_abort_batch_in_a_handler_fails_all_of_the_batch_those_not_yet_handled_too(
    stage: Stage, scribe: Scribe
) -> None:
    class Calm(Answering):
        fail_end = False

    calm = stage.spawn(Calm, "calm")
    calm.gate.set()
    stage.settle()
    heap(stage, calm, Note(1), Note(13), Note(3))
    stage.settle()
    lost = " ".join(act for act in calm.acts if act.startswith("lost"))
    assert "Note(number=13)" in lost
    assert Note(13) not in scribe.seen
    told = [message.number for message in scribe.seen if isinstance(message, Note)]
    # Letters of an earlier group are safe; of the group that was aborted all are lost, and none both or neither.
    assert all((f"Note(number={n})" in lost) is (n not in told) for n in (1, 3))
    assert "3" not in calm.acts or 3 in told


def test_abort_batch_without_batches_is_an_ordinary_failure(stage: Stage) -> None:
    stage.spawn(Scribe, "scribe")
    stage.tell("scribe", Boom(AbortBatch("alone")))
    stage.settle()
    assert [dead.reason for dead in stage.runtime.dead_letters.take()] == [Reason.FAILED]


def test_a_hook_that_fails_over_a_failed_batch_gives_its_letters_up(stage: Stage, scribe: Scribe) -> None:
    class Hopeless(Answering):
        def batch_failed(self, letters: tuple[Letter, ...], error: BaseException) -> None:
            raise RuntimeError(f"and again: {letters}") from error

    stage.spawn(Hopeless, "hopeless")
    stage.tell("hopeless", Note(1))
    stage.settle()
    assert [dead.reason for dead in stage.runtime.dead_letters.take()] == [Reason.FAILED]
    assert stage.runtime.health()["hopeless"].alive
    assert scribe.seen == []


def test_a_ping_is_answered_whatever_becomes_of_the_batch(
    stage: Stage, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Ledger, "fail_end", True)
    stage.runtime.barrier("ledger", 5)
    stage.runtime.ask(stage.runtime.address("ledger"), Ping(), 5)
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

    def batch_failed(self, _: tuple[Letter, ...], error: BaseException) -> None:
        self.doubtful += self.unsent()
        self.acts.append(str(error))


def test_what_a_failed_batch_told_can_be_sent_later_with_the_causes_it_had(stage: Stage, scribe: Scribe) -> None:
    doubting = stage.spawn(Doubting, "doubting")
    doubting.gate.set()
    stage.tell("doubting", Note(1))
    stage.settle()
    assert scribe.seen == []
    doubting.away = False
    stage.tell("doubting", Note(2))
    stage.settle()
    assert [str(seen) for seen in scribe.seen] == ["Note(number=1)", "Note(number=2)"]
    sent = {record.text: record for record in stage.runtime.tracer.recent() if record.to == "scribe"}
    brought = {record.text: record for record in stage.runtime.tracer.recent() if record.to == "doubting"}
    assert all(sent[text].cause == brought[text].id for text in sent)


def test_what_is_out_of_reach_is_no_failure_of_the_actor(stage: Stage) -> None:
    doubting = stage.spawn(Doubting, "doubting")
    doubting.gate.set()
    for number in range(10):
        stage.tell("doubting", Note(number))
        stage.settle()
    assert doubting.acts.count("the database is away") == 10
    assert "rebuild" not in doubting.acts
    assert stage.runtime.dead_letters.take() == []
    assert [record for record in stage.runtime.tracer.recent() if record.type == "ActorFailed"] == []
