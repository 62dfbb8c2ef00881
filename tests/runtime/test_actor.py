from __future__ import annotations

import threading
from typing import Any

import pytest

from core.runtime import Actor, Message, Ping, Reason, Runtime, StepRuntime, Tick, UnknownMessage
from tests.runtime.harness import Answer, Control, Harness, Note, Question, Read, Scribe, Urgent, Work


class Clerk(Actor):
    """Passes work on to a scribe."""

    def __init__(self, runtime: Runtime, name: str) -> None:
        super().__init__(runtime, name)
        self.answers: list[bool] = []

    def on_work(self, _: Work) -> None:
        self.answers.append(self.tell(self.runtime.address("scribe"), Note(1)))

    def on_note(self, message: Note) -> None:
        self.answers.append(self.reply(Answer()))
        self.answers.append(self.tell_name("scribe", message))


def test_the_protocol_is_a_table_of_types_and_methods() -> None:
    assert Clerk.protocol() == {Ping: "on_ping", Work: "on_work", Note: "on_note"}


def test_a_union_names_each_of_its_types() -> None:
    assert Scribe.protocol()[Urgent] == Scribe.protocol()[Read] == "on_any"


def test_a_subclass_keeps_inherited_handlers_and_may_replace_them_by_type_or_by_name() -> None:
    class Senior(Clerk):
        def on_paper(self, message: Note | Read) -> None: ...

        def on_work(self, message):  # type: ignore[no-untyped-def]
            """An override without annotation keeps its types."""

    assert Senior.protocol() == {Ping: "on_ping", Work: "on_work", Note: "on_paper", Read: "on_paper"}

    class Junior(Clerk):
        def on_work(self, message: Control) -> None: ...  # type: ignore[override]

    assert Junior.protocol() == {Ping: "on_ping", Note: "on_note", Control: "on_work"}


def test_two_handlers_of_one_type_are_an_error_when_the_class_is_made() -> None:
    with pytest.raises(TypeError, match="both on_one and on_other handle Note"):

        class _Torn(Actor):
            def on_one(self, message: Note) -> None: ...

            def on_other(self, message: Note | Read) -> None: ...


def _unannotated(self: Any, message): ...  # type: ignore[no-untyped-def]


def _of_text(self: Any, message: str) -> None: ...


def _of_two(self: Any, message: Note, other: Note) -> None: ...


def _of_nothing_known(self: Any, message: Nowhere) -> None: ...  # type: ignore[name-defined]  # noqa: F821


@pytest.mark.parametrize(
    ("method", "complaint"),
    [
        (_unannotated, "annotate its parameter"),
        (_of_text, "is no message type"),
        (_of_two, "takes one message"),
        (_of_nothing_known, "module level"),
    ],
)
def test_a_method_that_looks_like_a_handler_and_is_none_is_an_error(method: object, complaint: str) -> None:
    with pytest.raises(TypeError, match=complaint):
        type("Odd", (Actor,), {"on_note": method})


def test_hooks_and_the_names_of_pykka_are_no_handlers() -> None:
    class Hooked(Actor):
        hooks = frozenset({"on_timer"})

        def on_timer(self, key: str) -> None: ...

        def on_start(self) -> None: ...

    class More(Hooked):
        hooks = frozenset({"on_other"})

        def on_timer(self, key: str) -> None: ...

        def on_other(self) -> None: ...

    assert More.protocol() == {Ping: "on_ping"}


def test_init_runs_in_the_caller_and_the_hooks_in_the_actors_own_thread(threaded: Harness) -> None:
    where: dict[str, str] = {}

    class Lively(Actor):
        def __init__(self, runtime: Runtime, name: str) -> None:
            super().__init__(runtime, name)
            where["init"] = threading.current_thread().name

        def started(self) -> None:
            where["started"] = threading.current_thread().name

        def stopping(self) -> None:
            where["stopping"] = threading.current_thread().name

    threaded.spawn(Lively, "lively")
    assert threaded.runtime.stop(5) == []
    assert where == {"init": "MainThread", "started": "lively", "stopping": "lively"}


def test_started_comes_before_the_first_envelope_and_stopping_after_the_last(harness: Harness) -> None:
    class Ordered(Scribe):
        def started(self) -> None:
            self.seen.append(Note(0))

        def stopping(self) -> None:
            self.seen.append(Note(9))

    ordered = harness.spawn(Ordered, "ordered")
    harness.tell("ordered", Note(1), Note(2))
    assert harness.runtime.stop(5) == []
    assert ordered.seen == [Note(0), Note(1), Note(2), Note(9)]


def test_envelopes_of_one_sender_in_one_lane_arrive_in_the_order_they_were_told(harness: Harness) -> None:
    scribe = harness.spawn(Scribe, "scribe")
    harness.tell("scribe", *(Note(number) for number in range(500)))
    harness.settle()
    assert scribe.seen == [Note(number) for number in range(500)]


def test_a_envelope_carries_its_command_its_cause_and_its_sender(harness: Harness) -> None:
    harness.spawn(Scribe, "scribe")
    harness.spawn(Clerk, "clerk")
    harness.tell("clerk", Work("c-1"))
    harness.settle()
    first, second = harness.runtime.tracer.recent()
    assert (first.sender, first.to, first.cause, first.command) == ("edge", "clerk", None, "c-1")
    assert (second.sender, second.to, second.cause, second.command) == ("clerk", "scribe", first.id, "c-1")
    assert first.id.startswith(harness.runtime.run_prefix + ":")


def test_the_command_of_a_message_goes_before_that_of_its_cause(harness: Harness) -> None:
    class Splitter(Actor):
        def on_work(self, _: Work) -> None:
            self.tell_name("scribe", Work("c-2"))

    harness.spawn(Scribe, "scribe")
    harness.spawn(Splitter, "splitter")
    harness.tell("splitter", Work("c-1"))
    harness.settle()
    assert [record.command for record in harness.runtime.tracer.recent()] == ["c-1", "c-2"]


def test_a_reply_goes_to_who_asked_and_nowhere_if_nobody_did(harness: Harness) -> None:
    clerk = harness.spawn(Clerk, "clerk")
    harness.spawn(Scribe, "scribe")
    assert harness.runtime.ask(harness.runtime.address("clerk"), Note(1), 5) == Answer()
    harness.tell("clerk", Note(2))
    harness.settle()
    assert clerk.answers == [True, True, False, True]
    assert [r.outcome for r in harness.runtime.tracer.recent() if r.to == "nobody"] == ["unasked"]


def test_a_message_without_handler_is_a_failure_not_silence(harness: Harness) -> None:
    harness.spawn(Clerk, "clerk")
    watchman = harness.supervise()
    harness.tell("clerk", Question())
    harness.settle()
    assert watchman.failed[0].error == f"{UnknownMessage.__name__}: clerk has no handler for Question"
    assert [dead.reason for dead in harness.runtime.dead_letters.take()] == [Reason.FAILED]


def test_a_tick_without_handler_is_a_failure_too(harness: Harness) -> None:
    class Forgetful(Actor):
        def started(self) -> None:
            self.after("x", 0.0)

    watchman = harness.supervise()
    harness.spawn(Forgetful, "forgetful")
    if isinstance(harness.runtime, StepRuntime):
        harness.advance(1)
    harness.until(lambda: watchman.failed)
    assert isinstance(watchman.failed[0].message, Tick)
    harness.runtime.dead_letters.take()


def test_refusals_become_dead_letters_and_tell_says_so(harness: Harness) -> None:
    clerk = harness.spawn(Clerk, "clerk")
    harness.tell("clerk", Work("c-1"))
    harness.settle()
    assert clerk.answers == [False]
    assert [(dead.envelope.to, dead.reason) for dead in harness.runtime.dead_letters.take()] == [
        ("scribe", Reason.UNKNOWN)
    ]
    assert not harness.runtime.address("nobody").tell(Note(1))
    assert len(harness.runtime.dead_letters.take()) == 1
    assert harness.runtime.dead_letters.count == 2


def test_an_address_is_its_name(harness: Harness) -> None:
    address = harness.runtime.spawn(Scribe, "scribe")
    assert address == harness.runtime.address("scribe")
    assert hash(address) == hash(harness.runtime.address("scribe"))
    assert address != harness.runtime.address("other")
    assert repr(address) == "<Address scribe>"


def test_an_actor_knows_who_takes_envelopes(harness: Harness) -> None:
    scribe = harness.spawn(Scribe, "scribe")
    box = harness.runtime.open_reply()
    assert scribe.knows("scribe")
    assert scribe.knows(box.name)
    assert not scribe.knows("nobody")
    box.close()
    assert not scribe.knows(box.name)
    harness.runtime.stop(5)
    assert not scribe.knows("scribe")


def test_an_address_told_on_an_actors_thread_speaks_for_that_actor(harness: Harness) -> None:
    class Careless(Actor):
        def on_work(self, _: Work) -> None:
            self.runtime.address("scribe").tell(Note(1))

    harness.spawn(Scribe, "scribe")
    harness.spawn(Careless, "careless")
    harness.tell("careless", Work("c-1"))
    harness.settle()
    assert [(r.sender, r.command) for r in harness.runtime.tracer.recent()] == [("edge", "c-1"), ("careless", "c-1")]


def test_there_is_no_envelope_in_hand_outside_a_handler(harness: Harness) -> None:
    scribe = harness.spawn(Scribe, "scribe")
    with pytest.raises(RuntimeError, match="no envelope in hand"):
        _ = scribe.envelope


def test_a_deadline_is_carried_and_the_addressee_can_tell_that_it_has_passed(stepped: Harness) -> None:
    class Punctual(Scribe):
        def on_work(self, message: Work) -> None:
            if not self.overdue:
                self.seen.append(message)

    class Sender(Actor):
        def on_note(self, message: Note) -> None:
            self.tell(self.runtime.address("punctual"), Work("c"), deadline=float(message.number))

    punctual = stepped.spawn(Punctual, "punctual")
    stepped.spawn(Sender, "sender")
    stepped.advance(5.0)
    stepped.tell("sender", Note(4), Note(5))
    stepped.settle()
    assert len(punctual.seen) == 1


def test_work_done_later_can_be_told_as_an_effect_of_its_envelope(harness: Harness) -> None:
    class Later(Actor):
        def on_question(self, _: Question) -> None:
            self.kept = self.envelope

        def on_work(self, _: Work) -> None:
            with self.answering(self.kept):
                self.reply(Answer("late, but yours"))
            self.tell_name("scribe", Note(1))

    harness.spawn(Scribe, "scribe")
    harness.spawn(Later, "later")
    future = harness.runtime.ask_future(harness.runtime.address("later"), Question())
    harness.tell("later", Work("c-1"))
    harness.settle()
    assert future.result(5) == Answer("late, but yours")
    by_type = {record.type: record for record in harness.runtime.tracer.recent()}
    assert by_type["Answer"].cause == by_type["Question"].id
    assert by_type["Note"].cause == by_type["Work"].id


def test_a_name_is_given_once_while_its_bearer_lives_and_again_after(harness: Harness) -> None:
    harness.spawn(Scribe, "scribe")
    with pytest.raises(ValueError, match="taken"):
        harness.spawn(Scribe, "scribe")
    with pytest.raises(ValueError, match="taken"):
        harness.spawn(Scribe, "reply:1")
    harness.runtime.stop(5)
    again = harness.spawn(Scribe, "scribe")
    harness.tell("scribe", Note(1))
    harness.settle()
    assert again.seen == [Note(1)]


def test_messages_are_matched_by_their_exact_type(harness: Harness) -> None:
    class Narrow(Message):
        pass

    class Narrower(Narrow):
        pass

    class OnlyNarrow(Actor):
        pass

    OnlyNarrow._protocol = {**OnlyNarrow.protocol(), Narrow: "on_ping"}
    harness.spawn(OnlyNarrow, "only")
    harness.tell("only", Narrower())
    harness.settle()
    assert len(harness.runtime.dead_letters.take()) == 1
