"""OrderWatcher alone, on virtual time: what it tells whom, in which order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, time, timedelta
from decimal import Decimal

import pytest

from actors.addresses import Addresses
from actors.order_watcher import OrderWatcher
from core.messages import (
    AccountRead,
    Alert,
    BookUnreadable,
    BrokerReadable,
    ExternalFilled,
    ExternalOrders,
    FeedState,
    FeedStatus,
    GetOpenOrders,
    Message,
    OpenOrders,
    OrderBookRead,
    OrderPushed,
    OrderSettled,
    PositionsRead,
    PushesMissed,
    ReadOrderBook,
    ReadPositions,
    ReadTradeBook,
    RecordAbsent,
    RecordReport,
    RecordUnknown,
    RepublishBrokerStatus,
    SetHalt,
    Severity,
    TradeBookRead,
    VerifyAccount,
    WatchOrder,
)
from core.model.broker import BrokerOrderReport, BrokerPosition, BrokerStatus, BrokerTrade
from core.model.calendar import INDIA, TradingCalendar
from core.model.order import Order, Status, Tag
from core.model.outcomes import Book, ReadFailure
from core.runtime import Actor, Runtime, StepRuntime, VirtualClock
from tests.factories import NOON, a_position, an_order

NUMBER = "26112300000001"


class Told(Actor):
    """Stands for the rest of the actors, and keeps what it is told."""

    def __init__(self, runtime: Runtime, name: str, *, kept: list[Message]) -> None:
        super().__init__(runtime, name)
        self._kept = kept

    def on_anything(
        self,
        message: AccountRead
        | Alert
        | BrokerReadable
        | ExternalOrders
        | ExternalFilled
        | GetOpenOrders
        | PositionsRead
        | ReadOrderBook
        | ReadPositions
        | ReadTradeBook
        | RepublishBrokerStatus
        | RecordAbsent
        | RecordReport
        | RecordUnknown
        | SetHalt,
    ) -> None:
        self._kept.append(message)


class Harness:
    """One watcher, and everybody else as one list of what they were told."""

    def __init__(self, at: datetime = NOON, quiet_interval_s: float = 1.0) -> None:
        self.told: list[Message] = []
        self.clock = VirtualClock(at)
        self.runtime = StepRuntime(self.clock)
        addresses = Addresses.of(self.runtime)
        for name in Addresses.__dataclass_fields__:
            if name != "order_watcher":
                self.runtime.spawn(Told, name, kept=self.told)
        self.runtime.spawn(
            OrderWatcher,
            "order_watcher",
            addresses=addresses,
            calendar=TradingCalendar(),
            absence_grace_s=10.0,
            quiet_interval_s=quiet_interval_s,
        )
        self.runtime.run_until_idle()

    def say(self, *messages: Message) -> list[Message]:
        """Tell the watcher; what it told because of it."""
        before = len(self.told)
        for message in messages:
            self.runtime.tell("order_watcher", message)
        self.runtime.run_until_idle()
        return self.told[before:]

    def wait(self, seconds: float) -> list[Message]:
        before = len(self.told)
        self.runtime.advance(seconds)
        return self.told[before:]

    def now(self) -> datetime:
        return self.runtime.clock.now()

    def book(self, *reports: BrokerOrderReport) -> OrderBookRead:
        return OrderBookRead(reports, self.clock.steady(), self.now())

    def trades(self, *trades: BrokerTrade) -> TradeBookRead:
        return TradeBookRead(trades, self.now(), self.now())

    def positions(self, *positions: BrokerPosition) -> PositionsRead:
        return PositionsRead(positions, self.clock.steady(), self.now())


@pytest.fixture
def harness() -> Iterator[Harness]:
    harness = Harness()
    yield harness
    harness.runtime.stop()


def sent(number: str | None = NUMBER, **changes: object) -> Order:
    return replace(an_order(), status=Status.SENT_TO_BROKER, broker_order_id=number, **changes)  # type: ignore[arg-type]


def report(order: Order, filled: int = 0, status: BrokerStatus = BrokerStatus.OPEN) -> BrokerOrderReport:
    return BrokerOrderReport(
        broker_order_id=NUMBER,
        client_tag=order.client_tag,
        exchange="NSE",
        symbol="INFY-EQ",
        side=order.side,
        quantity=50,
        status=status,
        raw_status=status.value,
        filled_quantity=filled,
    )


def trade(quantity: int, number: str = "t1") -> BrokerTrade:
    return BrokerTrade(
        broker_order_id=NUMBER,
        broker_trade_id=number,
        client_tag=None,
        exchange="NSE",
        symbol="INFY-EQ",
        side=None,
        quantity=quantity,
        price=Decimal(1500),
        at=NOON,
    )


def kinds(messages: list[Message]) -> list[str]:
    return [type(message).__name__ for message in messages]


def test_b10_orders_wait_until_the_fills_of_the_time_before_are_on_their_way_to_the_record(harness: Harness) -> None:
    order = sent()
    harness.say(OpenOrders((order,)))
    harness.wait(1.0)
    harness.say(harness.positions())
    first = harness.say(harness.book(report(order, 50, BrokerStatus.COMPLETE)))
    assert kinds(first) == ["ReadTradeBook"], "the fill is not explained yet"
    then = harness.say(harness.trades(trade(50)))
    assert kinds(then) == ["RecordReport", "BrokerReadable"]


def test_g1_trades_that_an_exit_waits_for_are_read_as_urgently_as_its_books(harness: Harness) -> None:
    order = sent()
    harness.say(OpenOrders((order,)))
    asked = harness.say(VerifyAccount())
    assert {type(message) for message in asked} == {ReadOrderBook, ReadPositions}
    told = harness.say(harness.book(report(order, 50, BrokerStatus.COMPLETE)))
    assert [message for message in told if isinstance(message, ReadTradeBook)] == [ReadTradeBook(urgent=True)]
    again = harness.say(harness.book(report(order, 50, BrokerStatus.COMPLETE)))
    assert ReadTradeBook() in again, "a book that no EXIT waits for"


def test_e5_nothing_is_readable_before_both_books_were_read(harness: Harness) -> None:
    harness.say(OpenOrders(()))
    harness.wait(1.0)
    assert kinds(harness.say(harness.book())) == []
    assert kinds(harness.say(harness.positions()))[-1] == "BrokerReadable"


def test_a1_a_row_left_without_a_number_is_unknown_after_a_restart_and_found_by_its_tag(harness: Harness) -> None:
    order = sent(None)
    assert kinds(harness.say(OpenOrders((order,)))) == ["RecordUnknown"]
    [found] = harness.say(harness.book(report(order)))
    assert isinstance(found, RecordReport)
    assert (found.command_id, found.report.broker_order_id) == (order.command_id, NUMBER)


def test_a2_b17_absence_counts_only_reads_asked_for_after_the_grace_period(harness: Harness) -> None:
    order = sent(None, unknown=True)
    harness.say(OpenOrders((order,)))
    for _ in range(9):
        harness.wait(1.0)
        assert "RecordAbsent" not in kinds(harness.say(harness.book()))
    harness.wait(1.5)
    another = replace(report(order), client_tag=None)
    assert "RecordAbsent" not in kinds(harness.say(harness.book(another))), "the first read after the grace period"
    [verdict] = harness.say(harness.book(another))
    assert isinstance(verdict, RecordAbsent)
    assert verdict.tag is Tag.BROKER_NOT_FOUND


def test_g12_the_first_order_of_a_day_is_absent_once_all_books_say_so_long_enough(harness: Harness) -> None:
    order = sent(None, unknown=True)
    harness.say(OpenOrders((order,)))
    for _ in range(39):
        harness.wait(1.0)
        assert kinds(harness.say(harness.book())) == []
    harness.wait(1.5)
    assert kinds(harness.say(harness.book())) == ["ReadTradeBook"]
    told = harness.say(harness.trades(), harness.book())
    assert "RecordAbsent" not in kinds(told), "positions were not read yet"
    told = harness.say(harness.positions(), harness.book())
    assert [message.tag for message in told if isinstance(message, RecordAbsent)] == [Tag.BROKER_NOT_FOUND]


def test_g12_a_trade_proves_an_order_book_without_rows_wrong(harness: Harness) -> None:
    order = sent(None, unknown=True)
    harness.say(OpenOrders((order,)))
    harness.wait(41.0)
    harness.say(harness.book())
    harness.say(harness.trades(trade(50)), harness.positions())
    told = [message for _ in range(60) for message in harness.say(harness.book())]
    assert kinds(told) == ["Alert", "BrokerReadable"]
    assert isinstance(told[1], BrokerReadable)
    assert "lacks 1 of 1 rows of today" in told[1].reason
    assert kinds(harness.say(harness.book(report(order)))) == ["RecordReport", "BrokerReadable"]


def test_g12_rows_of_a_book_that_lacks_most_are_facts(harness: Harness) -> None:
    order = sent()
    gone = [sent(f"2611230000001{n}", command_id=f"261123-gone-{n}") for n in range(3)]
    harness.say(OpenOrders((*gone, order)))
    told = harness.say(harness.book(report(order, 0, BrokerStatus.CANCELLED)))
    assert kinds(told) == ["RecordReport"]
    harness.say(harness.book(report(order, 20, BrokerStatus.CANCELLED)))
    [filled] = harness.say(harness.trades(trade(20)))
    assert isinstance(filled, RecordReport)
    assert [fill.quantity for fill in filled.fills] == [20]
    told = [message for _ in range(60) for message in harness.say(harness.book(report(order)))]
    assert {"RecordReport", "RecordAbsent"}.isdisjoint(kinds(told)), "what it lacks is not gone"


def early(number: str | None, clock: str, **changes: object) -> tuple[Harness, Order]:
    """A watcher at this time of the day before the markets open, and an order just sent."""
    at = datetime.combine(NOON.astimezone(INDIA).date(), time.fromisoformat(clock), INDIA)
    return Harness(at), sent(number, created_at=at, trading_day=TradingCalendar().day(at), **changes)


@pytest.mark.parametrize("clock", ["05:59:30", "06:00:00", "08:59:30"])
def test_g7_a_book_that_may_have_been_cleared_since_an_order_was_sent_proves_it_not_absent(clock: str) -> None:
    harness, order = early(None, clock, unknown=True)
    harness.say(OpenOrders((order,)))
    told: list[Message] = []
    for _ in range(60):
        harness.wait(1.0)
        told += harness.say(harness.book(), harness.trades(), harness.positions())
    verdicts = [message for message in told if isinstance(message, RecordAbsent)]
    assert {verdict.tag for verdict in verdicts} == {Tag.BROKER_EXPIRED}
    assert "never_resolved" in [message.kind for message in told if isinstance(message, Alert)]
    harness.runtime.stop()


def test_g7_an_order_sent_between_our_days_begin_and_the_brokers_roll_ends_once_markets_are_open() -> None:
    harness, order = early(NUMBER, "06:30")
    harness.say(OpenOrders((order,)))
    harness.say(harness.book(report(order)))
    for _ in range(10):
        harness.wait(600.0)
        assert "RecordReport" not in kinds(harness.say(harness.book()))
    harness.wait((timedelta(hours=2, minutes=30) - timedelta(seconds=6001)).total_seconds())
    assert "RecordReport" not in kinds(harness.say(harness.book())), "one second before the markets open"
    harness.wait(2.0)
    for _ in range(40):
        assert "RecordReport" not in kinds(harness.say(harness.book()))
        harness.wait(1.0)
    told, ended = harness.say(harness.book())
    assert isinstance(told, Alert)
    assert (told.kind, told.severity) == ("never_resolved", Severity.CRITICAL)
    assert order.symbol in told.text, "what it filled before the books were cleared is not known"
    assert isinstance(ended, RecordReport)
    assert kinds(harness.say(harness.book())) == ["RecordReport"], "told once"
    assert (ended.report.status, ended.report.broker_order_id) == (BrokerStatus.EXPIRED, NUMBER)
    harness.runtime.stop()


def test_g7_an_order_that_is_open_when_the_broker_clears_its_books_early_is_told_once() -> None:
    harness, order = early(NUMBER, "00:30")
    harness.say(OpenOrders((order,)))
    harness.say(harness.book(report(order)))
    told = [message for _ in range(5) for message in harness.say(harness.book())]
    alerts = [message for message in told if isinstance(message, Alert)]
    assert [(alert.kind, alert.severity) for alert in alerts] == [
        ("books_cleared", Severity.INFO),
        ("order_cleared", Severity.WARNING),
    ]
    assert "RecordReport" not in kinds(told)
    harness.runtime.stop()


def test_g7_positions_that_the_broker_clears_before_our_day_ends_are_the_guards_and_not_the_days_profit() -> None:
    harness, _ = early(NUMBER, "23:59:50")
    harness.say(OpenOrders(()))
    held = harness.say(harness.book(), harness.positions(a_position(50)))
    assert {"AccountRead", "PositionsRead"} <= set(kinds(held))
    told: list[Message] = []
    for _ in range(4):
        harness.wait(10.0)
        told += harness.say(harness.book(), harness.positions())
    assert not {"AccountRead", "PositionsRead"} & set(kinds(told)), "nothing follows from it at once"
    harness.wait(10.0)
    told = harness.say(harness.book(), harness.positions())
    assert [message.positions for message in told if isinstance(message, AccountRead)] == [()]
    assert "PositionsRead" not in kinds(told)
    harness.runtime.stop()


def test_g7_an_order_sent_before_markets_opened_that_the_book_still_shows_then_lives_on() -> None:
    harness, order = early(NUMBER, "06:30")
    harness.say(OpenOrders((order,)))
    harness.wait(timedelta(hours=2, minutes=31).total_seconds())
    for shown in ((), (report(order),)) * 30:
        harness.wait(5.0)
        assert "RecordReport" not in kinds(harness.say(harness.book(*shown)))
    harness.runtime.stop()


def test_a2_a_clock_set_forward_proves_no_absence(harness: Harness) -> None:
    harness.say(OpenOrders((sent(None, unknown=True),)))
    harness.clock.step(3_600.0)
    for _ in range(5):
        harness.wait(1.0)
        assert "RecordAbsent" not in kinds(harness.say(harness.book()))


def test_b5_a_book_that_cannot_be_read_says_nothing_about_any_order(harness: Harness) -> None:
    order = sent(None, unknown=True)
    harness.say(OpenOrders((order,)))
    harness.wait(30.0)
    failed = BookUnreadable(Book.ORDERS, ReadFailure.UNREACHABLE, "HTTP 502")
    told = [message for _ in range(8) for message in harness.say(failed)]
    assert kinds(told) == ["Alert", "BrokerReadable"]


def test_b5_a_trade_book_that_failed_is_read_again_although_nothing_needs_it(harness: Harness) -> None:
    harness.say(OpenOrders(()))
    failed = BookUnreadable(Book.TRADES, ReadFailure.UNREACHABLE, "HTTP 502")
    assert "BrokerReadable" in [kind for _ in range(5) for kind in kinds(harness.say(failed))]
    harness.wait(30.0)
    assert "ReadTradeBook" in kinds(harness.say(harness.book()))
    harness.say(harness.trades())
    harness.wait(30.0)
    assert "ReadTradeBook" not in kinds(harness.say(harness.book()))


def test_b11_a_push_is_recorded_with_its_trade_and_the_most_that_was_ever_counted(harness: Harness) -> None:
    order = sent()
    harness.say(OpenOrders((order,)))
    assert harness.say(OrderPushed(report(order, 40))) == [], "its trade follows"
    [later] = harness.say(OrderPushed(report(order, 20), trade(20)))
    assert isinstance(later, RecordReport)
    assert (later.report.filled_quantity, [fill.quantity for fill in later.fills]) == (40, [20])


def test_g1_a_push_of_an_external_fill_is_told_to_whom_exits_wait_for(harness: Harness) -> None:
    harness.say(OpenOrders(()))
    theirs = replace(report(sent(), 40), client_tag=None, broker_order_id="26112300000009")
    assert harness.say(OrderPushed(theirs)).count(ExternalFilled(theirs)) == 2, "to the guard, and to the proxy"
    assert "ExternalFilled" not in kinds(harness.say(OrderPushed(replace(theirs, filled_quantity=None))))


def test_a14_a_second_order_under_the_tag_is_recorded_once_and_again_when_it_changes(harness: Harness) -> None:
    order = sent()
    harness.say(OpenOrders((order,)))
    first, double = report(order), replace(report(order), broker_order_id="26112300000002")
    harness.say(harness.book(first))
    told = harness.say(harness.book(first, double))
    assert kinds(told) == ["Alert", "RecordReport"]
    assert isinstance(told[1], RecordReport)
    assert (told[1].command_id, told[1].report, told[1].fills) == (order.command_id, double, ())
    assert harness.say(harness.book(first, double)) == [], "once"
    over = replace(double, status=BrokerStatus.CANCELLED, raw_status="CANCELED")
    assert kinds(harness.say(harness.book(first, over))) == ["RecordReport"]


def test_a14_fills_of_a_second_order_are_explained_once_by_its_trades(harness: Harness) -> None:
    order = sent()
    harness.say(OpenOrders((order,)))
    number = "26112300000002"
    double = replace(report(order, 20), broker_order_id=number)
    harness.say(harness.book(report(order)))
    assert kinds(harness.say(harness.book(report(order), double))) == ["Alert", "ReadTradeBook"]
    [told] = harness.say(harness.trades(replace(trade(20), broker_order_id=number)))
    assert isinstance(told, RecordReport)
    assert (told.report, [fill.quantity for fill in told.fills]) == (double, [20])
    assert harness.say(harness.book(report(order), double)) == [], "once"


def test_b12_an_order_that_is_over_is_still_looked_for(harness: Harness) -> None:
    order = sent()
    harness.say(OpenOrders((order,)))
    over = replace(order, status=Status.FAILED, tag=Tag.BROKER_CANCELLED)
    harness.say(OrderSettled(over))
    assert harness.say(harness.book(report(order, 0, BrokerStatus.CANCELLED))) == []
    assert kinds(harness.say(harness.book(report(order, 30, BrokerStatus.CANCELLED)))) == ["ReadTradeBook"]
    assert kinds(harness.say(harness.trades(trade(30)))) == ["RecordReport"]


def test_b12_an_order_that_is_over_is_looked_for_until_the_next_day_ends(harness: Harness) -> None:
    order = sent()
    harness.say(OpenOrders((order,)))
    harness.say(OrderSettled(replace(order, status=Status.FAILED, tag=Tag.BROKER_CANCELLED)))
    harness.wait(86_400.0)
    harness.say(harness.positions())
    # The broker's book is cleared some hours after midnight.
    assert "ReadTradeBook" in kinds(harness.say(harness.book(report(order, 30, BrokerStatus.CANCELLED))))
    harness.wait(86_400.0)
    assert "RecordReport" not in kinds(harness.say(harness.book(report(order, 50, BrokerStatus.CANCELLED))))


def test_an_order_proven_absent_that_turns_up_after_all_is_told_to_the_record(harness: Harness) -> None:
    order = sent(None, unknown=True)
    harness.say(OpenOrders((order,)))
    harness.say(OrderSettled(replace(order, status=Status.FAILED, tag=Tag.BROKER_NOT_FOUND, unknown=False)))
    assert kinds(harness.say(harness.book(report(order)))) == ["RecordReport"]
    assert harness.say(harness.book(report(order))) == [], "once"


def test_b9_an_order_under_a_tag_of_ours_that_the_record_lacks_is_alarmed(harness: Harness) -> None:
    harness.say(OpenOrders(()))
    assert harness.say(harness.book(report(an_order(command_id="261122-other-1")))) == [], "of a book not cleared yet"
    told = harness.say(harness.book(report(an_order(command_id="261123-other-1"))))
    assert kinds(told) == ["SetHalt", "ReadPositions"]
    assert isinstance(told[0], SetHalt)
    assert "that the database has not sent" in told[0].reason
    assert "261123-other-1" in told[0].details


@pytest.mark.parametrize("tenths", [1, 9, 14])
def test_g19_an_order_amid_the_quiet_makes_no_book_older(tenths: int) -> None:
    """Its first read counted from the order on, and the book was 2.5 s old before."""
    harness = Harness(quiet_interval_s=1.5)
    harness.say(OpenOrders(()), FeedState(FeedStatus.CONNECTED, harness.now(), "", None))
    _reads(harness, 14)
    while not _reads(harness, 0.1):
        pass
    since_s = tenths / 10
    assert _reads(harness, since_s) == 0
    harness.say(WatchOrder(sent()))
    assert _reads(harness, max(1.1, since_s + 0.4) - since_s) == 1
    assert _reads(harness, 10) in (9, 10, 11)
    harness.runtime.stop()


def _reads(harness: Harness, seconds: float) -> int:
    """How often the order book is asked for; every book is answered, and shows nothing."""
    asked = 0
    for _ in range(round(10 * seconds)):
        for message in harness.wait(0.1):
            if isinstance(message, ReadOrderBook):
                asked += 1
                harness.say(harness.book())
            elif isinstance(message, ReadPositions):
                harness.say(harness.positions())
    return asked


def test_g18_while_nothing_moves_and_all_is_pushed_the_order_book_is_confirmed_less_often() -> None:
    harness = Harness(quiet_interval_s=1.8)
    assert harness.told.count(RepublishBrokerStatus()) == 1, "how the feed stands is asked for"
    harness.say(OpenOrders(()))
    assert _reads(harness, 18) in (17, 18), "the push feed is not up"
    harness.say(FeedState(FeedStatus.CONNECTED, harness.now(), "", None))
    _reads(harness, 12)
    before = len(harness.told)
    assert _reads(harness, 36) in (19, 20, 21)
    assert sum(isinstance(message, ReadPositions) for message in harness.told[before:]) in (7, 8), "positions go on"
    order = sent()
    harness.say(WatchOrder(order))
    assert _reads(harness, 18) in (17, 18), "an order is open"
    harness.say(OrderSettled(replace(order, status=Status.EXECUTED)))
    _reads(harness, 12)
    assert _reads(harness, 36) in (19, 20, 21)
    harness.say(PushesMissed("the connection was lost"), FeedState(FeedStatus.DOWN, harness.now(), "", None))
    harness.say(harness.book())
    assert _reads(harness, 18) in (17, 18, 19)
    harness.runtime.stop()
