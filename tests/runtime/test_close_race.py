"""Closing against putting: no envelope may fall between, whatever the threads do.

Pykka's own check ("is it alive? then put") loses an envelope or leaves an asker without answer in about one of eight
stops under load; here each envelope told is handled or a dead letter, and each asker is answered, in every round.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator

import pytest
from loguru import logger

from core.messages.envelope import Envelope
from core.runtime import AskFailed, Mailbox, Runtime, SystemClock, ThreadRuntime, Verdict
from tests.runtime.harness import Answer, Note, Question, Scribe

SENDERS = 3
BUDGET_S = 1.0


@pytest.fixture(autouse=True)
def restless_threads() -> Iterator[None]:
    """Switch threads so often that the rare interleavings are not rare."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    logger.disable("core.runtime")
    yield
    logger.enable("core.runtime")
    sys.setswitchinterval(before)


def test_every_accepted_envelope_comes_out_of_a_mailbox_closed_under_load() -> None:
    clock = SystemClock()
    deadline = clock.monotonic() + BUDGET_S
    rounds = 0
    while clock.monotonic() < deadline:
        rounds += 1
        mailbox = Mailbox(capacity=50)
        accepted = [0] * SENDERS
        closing = threading.Event()

        def send(number: int, box: Mailbox = mailbox, counts: list[int] = accepted) -> None:
            message = Note(number)
            envelope = Envelope("r:1", None, None, str(number), "b", message, message.lane, 0.0)
            while (verdict := box.put(envelope)) is not Verdict.CLOSED:
                counts[number] += verdict is Verdict.ACCEPTED

        def close(box: Mailbox = mailbox, event: threading.Event = closing) -> None:
            event.wait(5)
            box.close()

        threads = [threading.Thread(target=send, args=(number,)) for number in range(SENDERS)]
        threads.append(threading.Thread(target=close))
        for thread in threads:
            thread.start()
        taken = 0
        while mailbox.get() is not None:
            taken += 1
            if taken == 20:
                closing.set()
        for thread in threads:
            thread.join(5)
        assert taken == sum(accepted)
        assert mailbox.depth == 0
    assert rounds > 10


class Asker(threading.Thread):
    """Tells and asks as fast as it can until it is refused."""

    def __init__(self, runtime: Runtime) -> None:
        super().__init__()
        self.runtime = runtime
        self.address = runtime.address("scribe")
        self.told = self.asked = self.answered = self.failed = 0

    def run(self) -> None:
        taken = True
        while taken:
            self.told += 1
            taken = self.address.tell(Note(1))
            self.asked += 1
            try:
                self.answered += self.runtime.ask(self.address, Question(), 5) == Answer("?")
            except AskFailed:
                self.failed += 1


def test_every_envelope_is_handled_or_dead_and_every_asker_answered_when_an_actor_stops_under_load() -> None:
    clock = SystemClock()
    deadline = clock.monotonic() + BUDGET_S
    rounds = 0
    while clock.monotonic() < deadline:
        rounds += 1
        runtime = ThreadRuntime(clock)
        runtime.spawn(Scribe, "scribe")
        scribe = runtime._actors["scribe"]
        assert isinstance(scribe, Scribe)
        askers = [Asker(runtime) for _ in range(SENDERS)]
        for asker in askers:
            asker.start()
        while len(scribe.seen) < 30:
            threading.Event().wait(0.0005)
        assert runtime.stop(5) == []
        for asker in askers:
            asker.join(5)
        sent = sum(asker.told + asker.asked for asker in askers)
        assert len(scribe.seen) + runtime.dead_letters.count == sent
        assert all(asker.answered + asker.failed == asker.asked for asker in askers)
    assert rounds > 3
