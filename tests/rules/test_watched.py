"""What is watched, and what a row of the broker's book, or its absence, makes of it (step 6)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from core.messages import Alert, Lane, Message, OpenOrders, RecordAbsent, RecordReport, SetHalt
from core.messages.envelope import Envelope
from core.model.broker import BrokerOrderReport, BrokerStatus, BrokerTrade
from core.model.calendar import TradingCalendar
from core.model.order import Modification, Order, Status, Tag
from core.rules.order_matching import Looked
from core.rules.watched import Told, Watched
from tests.factories import NOON, an_order

ENVELOPE = Envelope("t:1", None, None, "order_repo", "order_watcher", OpenOrders(()), Lane.NORMAL, 0.0)
GRACE = timedelta(seconds=10)
ALARM_AFTER = 3
TODAY = TradingCalendar().day(NOON)


def sent(number: str | None = "1", **more: Any) -> Order:
    return replace(an_order(), status=Status.SENT_TO_BROKER, broker_order_id=number, unknown=number is None, **more)


def row(order: Order, number: str = "1", **more: Any) -> BrokerOrderReport:
    report = BrokerOrderReport(
        broker_order_id=number,
        client_tag=order.client_tag,
        exchange=order.exchange,
        symbol=order.symbol,
        side=order.side,
        quantity=order.quantity,
        status=BrokerStatus.OPEN,
        raw_status="OPEN",
        filled_quantity=0,
    )
    return replace(report, **more)


def trade(quantity: int) -> BrokerTrade:
    return BrokerTrade(
        broker_order_id="1",
        broker_trade_id="T1",
        client_tag=None,
        exchange="NSE",
        symbol="INFY-EQ",
        side=None,
        quantity=quantity,
        price=Decimal("1500.00"),
        at=NOON,
    )


def watching(*orders: Order) -> Watched:
    watched = Watched(TradingCalendar(), GRACE, ALARM_AFTER)
    for order in orders:
        watched.add(order, ENVELOPE, NOON)
    return watched


def messages(told: Told) -> list[Message]:
    assert all(watch.envelope is ENVELOPE for watch, _ in told)
    return [message for _, message in told]


def kinds(told: Told) -> list[str]:
    return [message.kind if isinstance(message, Alert) else type(message).__name__ for message in messages(told)]


def test_a_row_of_ours_is_seen_and_one_of_somebody_else_is_external() -> None:
    order = sent()
    other = row(order, "9", client_tag=None)
    said = watching(order).read([row(order), other], NOON)
    assert said.seen == {order.command_id}
    assert said.externals == {"9": other}
    assert said.told == [], "an open order whose number is known is no news"
    assert said.own[order.command_id].filled == 0


def test_a_number_that_was_not_known_is_recorded() -> None:
    order = sent(None)
    said = watching(order).read([row(order)], NOON)
    assert messages(said.told) == [RecordReport(order.command_id, row(order), ())]


def test_b4_a_fill_waits_for_the_trade_book_and_is_recorded_with_its_trades() -> None:
    order = sent()
    watched, report = watching(order), row(order, status=BrokerStatus.COMPLETE, filled_quantity=50)
    assert watched.read([report], NOON).told == []
    assert watched.explained([], NOON, lacking=True) == []
    [recorded] = messages(watched.explained([trade(50)], NOON, lacking=False))
    assert isinstance(recorded, RecordReport)
    assert [fill.quantity for fill in recorded.fills] == [50]
    assert watched.explaining == {}


def test_fills_that_no_trade_explains_are_told_to_a_person_once() -> None:
    order = sent()
    watched, report = watching(order), row(order, filled_quantity=20)
    told = []
    for _ in range(ALARM_AFTER + 2):
        watched.read([report], NOON)
        told += kinds(watched.explained([], NOON, lacking=False))
    assert told.count("RecordReport") == ALARM_AFTER + 2
    assert told.count("trades_missing") == 1


def test_a_status_that_is_not_known_is_told_once() -> None:
    order = sent()
    watched, odd = watching(order), row(order, status=BrokerStatus.UNKNOWN, raw_status="MAYBE")
    assert [kinds(watched.read([odd], NOON).told) for _ in range(2)] == [["odd_status"], []]


def test_a14_a_second_order_under_the_tag_is_alarmed_once_and_recorded_when_it_changes() -> None:
    order = sent()
    watched, double = watching(order), row(order, "2")
    assert kinds(watched.read([double], NOON).told) == ["two_orders", "RecordReport"]
    assert watched.read([double], NOON).told == []
    ended = replace(double, status=BrokerStatus.CANCELLED)
    assert kinds(watched.read([ended], NOON).told) == ["RecordReport"]


def test_b12_rows_that_say_nothing_new_of_an_order_that_is_over_are_passed_over() -> None:
    order = sent(filled_quantity=50)
    over = replace(order, status=Status.EXECUTED)
    watched, report = watching(order), row(order, status=BrokerStatus.COMPLETE, filled_quantity=50)
    watched.settle(over, ENVELOPE)
    watched.read([report], NOON)
    assert watched.idle.others([report, replace(report)]) == [replace(report)]
    assert watched.of_today([report], NOON.date()) == {report.broker_order_id}


def test_b12_a_row_is_compared_again_once_something_was_heard_of_its_order() -> None:
    order = sent(filled_quantity=50)
    over = replace(order, status=Status.EXECUTED)
    watched, report = watching(order), row(order, status=BrokerStatus.COMPLETE, filled_quantity=50)
    for tell in (watched.settle, lambda order, envelope: watched.add(order, envelope, NOON)):
        watched.settle(over, ENVELOPE)
        watched.read([report], NOON)
        assert watched.idle.others([report]) == []
        tell(over, ENVELOPE)
        assert watched.idle.others([report]) == [report]
    assert watched.read([report], NOON).seen == {order.command_id}, "an open one is looked for in each book"
    assert watched.read([report], NOON).seen == {order.command_id}


@pytest.mark.parametrize(("seconds", "overdue"), [(9, False), (10, True)])
def test_a2_absence_counts_after_the_grace_period(seconds: int, *, overdue: bool) -> None:
    order = sent(None)
    watched = watching(order)
    assert watched.is_overdue(watched.open[order.command_id], NOON + timedelta(seconds=seconds)) is overdue


def test_a2_an_order_called_unknown_before_its_call_counts_from_what_came_of_the_call() -> None:
    order = replace(sent(None), unknown=True)
    watched = watching(order)
    watch = watched.open[order.command_id]
    watch.missed = 1
    watched.add(order, watch.envelope, NOON + timedelta(seconds=9))
    assert watch.missed == 0
    assert not watched.is_overdue(watch, NOON + timedelta(seconds=18))


@pytest.mark.parametrize(
    ("missed", "cleared", "expected"),
    [(1, False, []), (2, False, ["RecordAbsent"]), (2, True, ["never_resolved", "RecordAbsent"])],
)
def test_b17_absence_is_recorded_after_two_reads(missed: int, *, cleared: bool, expected: list[str]) -> None:
    order = sent(None)
    watched = watching(order)
    looked = Looked(missed, NOON + GRACE, bare=False, elsewhere_at=None, moved=False, cleared=cleared)
    told = watched.absent(watched.open[order.command_id], looked, TODAY)
    assert kinds(told) == expected
    tags = [message.tag for message in messages(told) if isinstance(message, RecordAbsent)]
    assert tags == ([Tag.BROKER_EXPIRED if cleared else Tag.BROKER_NOT_FOUND] if expected else [])


def test_b7_an_order_of_another_day_has_ended_after_two_reads_and_one_of_today_is_alarmed() -> None:
    today, before = sent(), sent("2", trading_day=TODAY - timedelta(days=1))
    watched = watching(today, before)
    told = [
        [kinds(watched.missing(watched.open[order.command_id], NOON, NOON)) for _ in range(ALARM_AFTER)]
        for order in (today, before)
    ]
    assert told == [[[], [], ["order_missing"]], [[], ["never_resolved", "RecordReport"], ["RecordReport"]]]


def test_g7_an_order_that_the_broker_cleared_is_told_once() -> None:
    order = sent()
    watched = watching(order)
    watch = watched.open[order.command_id]
    assert [kinds(watched.cleared(watch)) for _ in range(2)] == [["order_cleared"], []]


def test_b11_a_push_is_recorded_with_its_trade_and_never_counts_back() -> None:
    order = sent()
    watched = watching(order)
    watch = watched.open[order.command_id]
    [recorded] = messages(watched.pushed(watch, row(order, filled_quantity=30), trade(30), NOON))
    assert isinstance(recorded, RecordReport)
    assert watched.pushed(watch, row(order, filled_quantity=10), None, NOON) == [], "the books explain it"
    assert watch.filled == 30


def test_c12_a_modification_is_over_when_two_reads_after_the_grace_period_show_the_old_terms() -> None:
    order = replace(sent(), modifying=Modification(terms=replace(sent().terms, quantity=80), by="me", answered=True))
    watched = watching(order)
    before = NOON + GRACE - timedelta(seconds=1)
    for _ in range(3):
        assert watched.read([row(order)], NOON, before).told == []
    after = NOON + GRACE
    assert watched.read([row(order, status=BrokerStatus.PENDING)], NOON, after).told == []
    assert watched.read([row(order)], NOON, after).told == [], "one read is no verdict"
    assert kinds(watched.read([row(order)], NOON, after).told) == ["ModifyNotDone"]
    # Nothing was heard of the call yet: it may still be made.
    unheard = replace(order, modifying=Modification(terms=replace(sent().terms, quantity=80), by="me"))
    watched.add(unheard, ENVELOPE, NOON)
    for _ in range(3):
        assert watched.read([row(unheard)], NOON, after).told == []


def test_c12_one_row_is_enough_for_what_was_asked_for_and_two_for_what_a_person_did() -> None:
    order = sent()
    assert order.intent.price is not None
    new: dict[str, Any] = {"quantity": 80, "price": order.intent.price, "order_type": order.intent.order_type}
    watched = watching(order)
    assert watched.read([row(order, **new)], NOON).told == []
    assert kinds(watched.read([row(order, **new)], NOON).told) == ["RecordReport"]
    asked = replace(order, modifying=Modification(terms=replace(order.terms, quantity=80), by="me"))
    assert kinds(watching(asked).read([row(asked, **new)], NOON).told) == ["RecordReport"]
    before = NOON - timedelta(seconds=1)
    assert watching(asked).read([row(asked, **new)], NOON, before).told == [], "it may be what it once was"
    moved: dict[str, Any] = {"price": order.intent.price + 1, "order_type": order.intent.order_type}
    watched = watching(order)
    assert watched.read([row(order, **moved)], NOON).told == []
    assert kinds(watched.read([row(order, **moved)], NOON).told) == ["RecordReport"]


def test_b9_external_orders_are_told_once() -> None:
    order = sent()
    externals = watching().externals
    rows = {"9": row(order, "9", client_tag=None)}
    assert [len(externals.note(rows, NOON)) for _ in range(2)] == [1, 0]
    assert externals.shown == rows


@pytest.mark.parametrize(("settled", "halted"), [((), True), (("orders under tags of ours: 9",), False)])
def test_an_order_under_a_tag_of_ours_halts_unless_a_person_resumed_over_it(
    settled: tuple[str, ...], *, halted: bool
) -> None:
    externals = watching().externals
    externals.begin_day(settled)
    report = row(sent(), "9", client_tag=f"{TODAY:%y%m%d}-aaaaa-1")
    told = externals.note({"9": report}, NOON)
    assert [isinstance(message, SetHalt) for message in told] == [True] * halted
