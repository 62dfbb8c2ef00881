"""What the database could not take is written once it can, and nobody waits for ever (scenarios A9, A10)."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from actors.addresses import Addresses
from actors.order_repo import OrderRepo
from core.messages import (
    Alert,
    ClearHalt,
    Drain,
    Drained,
    FailOrder,
    GetOpenOrders,
    HaltChanged,
    HoldingClosed,
    OpenOrders,
    OrderAbandoned,
    OrderAnswer,
    OrderSettled,
    RecordExternalClose,
    RegisterOrder,
    RegisterRefusal,
    ResumeRefused,
    SetHalt,
)
from core.model.order import Problem, Product, Source, Status, Tag
from core.model.positions import ExternalClose
from core.rules.unrecorded import Unrecorded
from core.runtime import Actor, Envelope, Lane, Runtime, StepRuntime, VirtualClock
from tests.factories import an_intent, an_order
from tests.simulation.disk import Disk, DiskFault, DiskTrouble


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    made = Disk(tmp_path, random.Random(1), lambda: 0.0)
    yield made
    made.close()


def test_a_fact_stays_owed_when_the_commit_that_sends_it_again_fails_too(disk: Disk) -> None:
    runtime = StepRuntime(VirtualClock(datetime(2026, 11, 23, 4, tzinfo=UTC)))
    runtime.spawn(OrderRepo, "order_repo", addresses=Addresses.of(runtime), account="ACC1", open_store=disk.open_store)
    order = an_order(command_id="261123-aaaaa-1")
    runtime.tell("order_repo", RegisterOrder(order, None))
    runtime.run_until_idle()
    # Fails once with the fact, and once with the tick by which it is sent again.
    disk.troubles.append(DiskTrouble(DiskFault.FULL, "COMMIT", 2))
    runtime.tell("order_repo", FailOrder(order.command_id, Status.CREATED, Tag.RISK_LIMITS_EXCEEDED, "limit"))
    runtime.advance(5.0)
    assert disk.read("SELECT status, tag FROM orders") == [("FAILED", "RISK_LIMITS_EXCEEDED")]
    runtime.dead_letters.take()
    runtime.stop()


def test_d4_a_refusal_that_cannot_be_recorded_is_answered_and_recorded_later(disk: Disk) -> None:
    runtime = StepRuntime(VirtualClock(datetime(2026, 11, 23, 4, tzinfo=UTC)))
    runtime.spawn(OrderRepo, "order_repo", addresses=Addresses.of(runtime), account="ACC1", open_store=disk.open_store)
    runtime.run_until_idle()
    box = runtime.open_reply()
    disk.troubles.append(DiskTrouble(DiskFault.FULL, "SELECT", 1))
    fields = (("idempotency_key", "k1"),)
    at = runtime.clock.now()
    problems = (Problem("side", "must be BUY or SELL"),)
    refusal = RegisterRefusal(
        "261123-aaaaa-1", Source.WEBHOOK, fields, Tag.VALIDATION_FAILED, problems, at, at.date(), box.name
    )
    runtime.tell("order_repo", refusal)
    runtime.run_until_idle()
    answer = box.future.result(0)
    assert isinstance(answer, OrderAnswer)
    assert (answer.result.tag, answer.result.problems) == (Tag.VALIDATION_FAILED, problems)
    runtime.advance(3.0)
    assert disk.read("SELECT command_id, status, tag, reason FROM orders") == [
        ("261123-aaaaa-1", "FAILED", "VALIDATION_FAILED", "side: must be BUY or SELL")
    ]
    runtime.dead_letters.take()
    runtime.stop()


def test_law_8_a_repeated_submission_whose_transaction_fails_is_answered_once(disk: Disk) -> None:
    runtime = StepRuntime(VirtualClock(datetime(2026, 11, 23, 4, tzinfo=UTC)))
    runtime.spawn(OrderRepo, "order_repo", addresses=Addresses.of(runtime), account="ACC1", open_store=disk.open_store)
    first = an_order(an_intent(idempotency_key="k1"), command_id="261123-aaaaa-1")
    again = replace(first, command_id="261123-aaaaa-2")
    asked, repeated = runtime.open_reply(), runtime.open_reply()
    runtime.tell("order_repo", RegisterOrder(first, asked.name))
    runtime.run_until_idle()
    disk.troubles.append(DiskTrouble(DiskFault.FULL, "COMMIT", 1))
    runtime.tell("order_repo", RegisterOrder(again, repeated.name))
    runtime.run_until_idle()
    runtime.tell("order_repo", FailOrder(first.command_id, Status.CREATED, Tag.RISK_LIMITS_EXCEEDED, "limit"))
    runtime.advance(3.0)
    answers = [record.to for record in runtime.tracer.recent() if record.type == "OrderAnswer"]
    assert sorted(answers) == sorted([asked.name, repeated.name])
    runtime.dead_letters.take()
    runtime.stop()


class Counter(Actor):
    """Stands for who counts open orders, and keeps what has ended."""

    def __init__(self, runtime: Runtime, name: str, *, ended: list[Tag | None]) -> None:
        super().__init__(runtime, name)
        self._ended = ended

    def on_order_settled(self, message: OrderSettled) -> None:
        self._ended.append(message.order.tag)


def test_an_order_that_was_over_before_its_checks_is_told_to_be_over_once_more(disk: Disk) -> None:
    runtime = StepRuntime(VirtualClock(datetime(2026, 11, 23, 4, tzinfo=UTC)))
    runtime.spawn(OrderRepo, "order_repo", addresses=Addresses.of(runtime), account="ACC1", open_store=disk.open_store)
    ended: list[Tag | None] = []
    runtime.spawn(Counter, "risk_manager", ended=ended)
    order = an_order(command_id="261123-aaaaa-1")
    runtime.tell("order_repo", RegisterOrder(order, None))
    runtime.tell("order_repo", OrderAbandoned(order.command_id, "trading_bot failed"))
    runtime.run_until_idle()
    assert ended == [Tag.INTERNAL_ERROR]
    runtime.tell("order_repo", FailOrder(order.command_id, Status.CREATED, Tag.POSITION_ALREADY_FLAT, "flat"))
    runtime.run_until_idle()
    assert ended == [Tag.INTERNAL_ERROR] * 2, "it may have been counted in between"
    assert disk.read("SELECT status, tag FROM orders") == [("FAILED", "INTERNAL_ERROR")]
    runtime.dead_letters.take()
    runtime.stop()


class Asker(Actor):
    """Asks what is open, and keeps the answer."""

    def __init__(self, runtime: Runtime, name: str, *, answers: list[OpenOrders]) -> None:
        super().__init__(runtime, name)
        self._answers = answers

    def started(self) -> None:
        self.tell_name("order_repo", GetOpenOrders(date(2026, 11, 22), date(2026, 11, 22)))

    def on_open_orders(self, message: OpenOrders) -> None:
        self._answers.append(message)


def test_a_question_whose_handler_raises_is_answered_once_it_can_be(disk: Disk) -> None:
    runtime = StepRuntime(VirtualClock(datetime(2026, 11, 23, 4, tzinfo=UTC)))
    runtime.spawn(OrderRepo, "order_repo", addresses=Addresses.of(runtime), account="ACC1", open_store=disk.open_store)
    runtime.run_until_idle()
    # No refusal of the disk, which would undo the group: a statement that fails as none should.
    disk.troubles.append(DiskTrouble(DiskFault.ODD, "SELECT", 2))
    answers: list[OpenOrders] = []
    runtime.spawn(Asker, "order_watcher", answers=answers)
    runtime.run_until_idle()
    assert answers == []
    runtime.advance(5.0)
    assert answers == [OpenOrders(())]
    runtime.dead_letters.take()
    runtime.stop()


def test_a_question_that_cannot_be_answered_does_not_hold_up_a_clean_stop(disk: Disk) -> None:
    runtime = StepRuntime(VirtualClock(datetime(2026, 11, 23, 4, tzinfo=UTC)))
    runtime.spawn(OrderRepo, "order_repo", addresses=Addresses.of(runtime), account="ACC1", open_store=disk.open_store)
    runtime.run_until_idle()
    disk.troubles.append(DiskTrouble(DiskFault.ODD, "SELECT", 1_000))
    runtime.tell("order_repo", GetOpenOrders(date(2026, 11, 22), date(2026, 11, 22)))
    runtime.run_until_idle()
    box = runtime.open_reply()
    runtime.tell("order_repo", Drain(box.name))
    runtime.advance(3.0)
    assert box.future.result(0) == Drained()
    runtime.dead_letters.take()
    runtime.stop()


def test_d10_a_resume_that_cannot_be_recorded_is_refused_and_forgotten(disk: Disk) -> None:
    runtime = StepRuntime(VirtualClock(datetime(2026, 11, 23, 4, tzinfo=UTC)))
    runtime.spawn(OrderRepo, "order_repo", addresses=Addresses.of(runtime), account="ACC1", open_store=disk.open_store)
    runtime.run_until_idle()
    runtime.tell("order_repo", SetHalt("first", "operator"))
    runtime.run_until_idle()
    disk.troubles.append(DiskTrouble(DiskFault.FULL, "COMMIT", 1))
    box = runtime.open_reply()
    runtime.tell("order_repo", ClearHalt("operator", box.name))
    runtime.advance(5.0)
    assert disk.troubles == []
    answer = box.future.result(0)
    assert isinstance(answer, ResumeRefused)
    assert "the database could not be written" in answer.reason
    assert disk.read("SELECT count(*) FROM halts WHERE cleared_at IS NULL") == [(1,)]
    alerts = [dead.envelope.message for dead in runtime.dead_letters.take() if isinstance(dead.envelope.message, Alert)]
    assert any("trading is not resumed by operator" in alert.text for alert in alerts)
    runtime.tell("order_repo", ClearHalt("operator"))
    runtime.advance(1.0)
    assert disk.read("SELECT count(*) FROM halts WHERE cleared_at IS NULL") == [(0,)]
    runtime.dead_letters.take()
    runtime.stop()


@pytest.mark.parametrize("fault", [DiskFault.LOST_DONE, DiskFault.LOST_UNDONE])
def test_g6_a_halt_whose_commit_was_not_answered_is_in_force_once_and_told(disk: Disk, fault: DiskFault) -> None:
    runtime = StepRuntime(VirtualClock(datetime(2026, 11, 23, 4, tzinfo=UTC)))
    runtime.spawn(OrderRepo, "order_repo", addresses=Addresses.of(runtime), account="ACC1", open_store=disk.open_store)
    runtime.run_until_idle()
    box = runtime.open_reply()
    disk.troubles.append(DiskTrouble(fault, "COMMIT", 1))
    runtime.tell("order_repo", SetHalt("stop", "operator", box.name))
    runtime.advance(3.0)
    assert disk.read("SELECT reason FROM halts WHERE cleared_at IS NULL") == [("stop",)]
    answer = box.future.result(0)
    assert isinstance(answer, HaltChanged)
    assert answer.halt is not None
    assert {
        dead.envelope.to for dead in runtime.dead_letters.take() if isinstance(dead.envelope.message, HaltChanged)
    } == {
        "risk_manager",
        "broker_proxy",
    }
    runtime.stop()


@pytest.mark.parametrize("fault", [DiskFault.LOST_DONE, DiskFault.LOST_UNDONE])
def test_g6_a_correction_whose_commit_was_not_answered_is_recorded_once_and_told_once(
    disk: Disk, fault: DiskFault
) -> None:
    runtime = StepRuntime(VirtualClock(datetime(2026, 11, 23, 4, tzinfo=UTC)))
    runtime.spawn(OrderRepo, "order_repo", addresses=Addresses.of(runtime), account="ACC1", open_store=disk.open_store)
    runtime.run_until_idle()
    disk.troubles.append(DiskTrouble(fault, "COMMIT", 1))
    close = ExternalClose("alpha", "NSE", "INFY-EQ", Product.MIS, -50, Decimal(1500), "26112300000007")
    runtime.tell("order_repo", RecordExternalClose(close, date(2026, 11, 23)))
    runtime.advance(3.0)
    assert disk.read("SELECT quantity, broker_order_id FROM external_closes") == [(-50, "26112300000007")]
    told = [
        dead.envelope.to for dead in runtime.dead_letters.take() if isinstance(dead.envelope.message, HoldingClosed)
    ]
    assert sorted(told) == ["execution_guard", "risk_manager"]
    runtime.stop()


@pytest.mark.parametrize(("failures", "recorded"), [(1, ["c-1", "c-2"]), (9, ["c-2"])])
def test_t26_a_refusal_whose_row_fails_is_tried_again_and_keeps_no_other_back(
    disk: Disk, monkeypatch: pytest.MonkeyPatch, failures: int, recorded: list[str]
) -> None:
    runtime = StepRuntime(VirtualClock(datetime(2026, 11, 23, 4, tzinfo=UTC)))
    runtime.spawn(OrderRepo, "order_repo", addresses=Addresses.of(runtime), account="ACC1", open_store=disk.open_store)
    runtime.run_until_idle()
    insert, left = OrderRepo.insert_refusal, [failures]

    def odd(repo: OrderRepo, refusal: RegisterRefusal) -> object:
        if refusal.command_id == "c-1" and left[0]:
            left[0] -= 1
            raise RuntimeError("no error that is known")
        return insert(repo, refusal)

    disk.troubles.append(DiskTrouble(DiskFault.FULL, "COMMIT", 2))
    at = runtime.clock.now()
    for number in (1, 2):
        problem = (Problem("quantity", "must be positive"),)
        refusal = RegisterRefusal(
            *(f"c-{number}", Source.WEBHOOK, (), Tag.VALIDATION_FAILED, problem, at, at.date(), None)
        )
        runtime.tell("order_repo", refusal)
        runtime.run_until_idle()
    monkeypatch.setattr(OrderRepo, "insert_refusal", odd)
    runtime.advance(30.0)
    assert [name for (name,) in disk.read("SELECT command_id FROM orders ORDER BY command_id")] == recorded
    runtime.stop()


def test_t26_refusals_beyond_what_can_be_kept_are_counted() -> None:
    kept = Unrecorded(most=2)
    runtime = StepRuntime(VirtualClock(datetime(2026, 11, 23, 4, tzinfo=UTC)))
    at = runtime.clock.now()
    for number in range(5):
        envelope = Envelope(f"l-{number}", None, None, "edge", "order_repo", Drained(), Lane.NORMAL, 0.0)
        kept.keep(
            envelope, RegisterRefusal(f"c-{number}", Source.WEBHOOK, (), Tag.DATABASE_ERROR, (), at, at.date(), None)
        )
    assert [refusal.command_id for _, refusal in kept.take(10)] == ["c-0", "c-1"]
    assert (kept.forget_lost(), kept.forget_lost()) == (3, 0)
    runtime.stop()
