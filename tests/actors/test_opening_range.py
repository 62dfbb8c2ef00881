"""The second example: what it sends at which price."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from actors.addresses import Addresses
from actors.strategies.opening_range import OpeningRange
from core.messages import (
    GetMissedFills,
    HistoryRead,
    MoreTicks,
    OrderAnswer,
    OrderUpdate,
    ReadHistory,
    ServiceReady,
    SubmitOrder,
    SubscribePrices,
    TicksTold,
)
from core.model.broker import PriceSource, Quote
from core.model.calendar import INDIA
from core.model.order import ExecutionType, Fill, OrderIntent, OrderResult, Side, Status, Tag
from core.runtime import Actor, Runtime, StepRuntime, VirtualClock
from tests.factories import a_candle, an_intent, an_order

BEFORE = datetime(2026, 11, 23, 9, 14, 50, tzinfo=INDIA)


class Elsewhere(Actor):
    """Everybody else: keeps what is submitted."""

    def __init__(self, runtime: Runtime, name: str, *, sent: list[str], asked: list[ReadHistory]) -> None:
        super().__init__(runtime, name)
        self._sent, self._asked = sent, asked

    def on_submit(self, message: SubmitOrder) -> None:
        intent = message.intent
        assert isinstance(intent, OrderIntent)
        self._sent.append(f"{intent.execution_type} {intent.side} {intent.quantity}")

    def on_read_history(self, message: ReadHistory) -> None:
        self._asked.append(message)

    def on_other(self, _: GetMissedFills | MoreTicks | SubscribePrices) -> None:
        pass


class Day:
    """A morning, tick by tick."""

    def __init__(self, at: datetime = BEFORE) -> None:
        self.sent: list[str] = []
        self.asked: list[ReadHistory] = []
        self.clock = VirtualClock(at)
        self.runtime = StepRuntime(self.clock)
        for name in ("command_service", "order_repo", "prices", "history"):
            self.runtime.spawn(Elsewhere, name, sent=self.sent, asked=self.asked)
        addresses = Addresses.of(self.runtime)
        self.runtime.spawn(OpeningRange, "strategy:orb", addresses=addresses, strategy="orb")
        self.tell(ServiceReady())
        self.tick("1500")

    def tell(self, message: object) -> None:
        self.runtime.tell("strategy:orb", message)  # type: ignore[arg-type]
        self.runtime.run_until_idle()

    def tick(self, rupees: str, *, late_s: float = 0.0) -> None:
        at = self.clock.now() - timedelta(seconds=late_s)
        price = Decimal(rupees)
        quote = Quote(exchange="NSE", symbol="INFY-EQ", last_price=price, bid=None, ask=None, at=at, received_at=at)
        self.tell(TicksTold((replace(quote, source=PriceSource.FEED),)))

    def until(self, clock: str, rupees: str, every_s: int = 20) -> None:
        """Ticks at this price until a time of day."""
        while self.clock.now().astimezone(INDIA).strftime("%H:%M:%S") < clock:
            self.runtime.advance(every_s)
            self.runtime.run_until_idle()
            self.tick(rupees)

    def filled(self) -> None:
        """The last order was taken and filled."""
        kind, side, quantity = self.sent[-1].split()
        intent = an_intent(ExecutionType(kind), Side(side), int(quantity), strategy="orb")
        order = replace(an_order(intent), status=Status.EXECUTED)
        result = OrderResult(success=True, command_id="c", status=Status.EXECUTED)
        fill = Fill(broker_trade_id="t", quantity=int(quantity), price=Decimal(1500), at=BEFORE)
        self.tell(OrderUpdate(order, result, fill))


def test_it_buys_above_the_range_once_and_sells_below_it() -> None:
    day = Day()
    day.until("09:20", "1510")
    day.until("09:29", "1490")
    assert day.sent == []
    day.until("09:31", "1509")
    day.tick("1511", late_s=9)
    assert day.sent == []
    day.tick("1511")
    day.tick("1512")
    assert day.sent == ["ENTRY BUY 10"]
    day.filled()
    day.tick("1495")
    day.tick("1489")
    day.tick("1480")
    assert day.sent == ["ENTRY BUY 10", "EXIT SELL 10"]
    day.filled()
    day.tick("1520")
    assert len(day.sent) == 2


def test_it_leaves_at_ten_past_three() -> None:
    day = Day()
    day.until("09:31", "1500")
    day.tick("1501")
    day.filled()
    day.until("15:09:30", "1505", every_s=50)
    assert day.sent == ["ENTRY BUY 10"]
    day.until("15:10:30", "1505")
    assert day.sent == ["ENTRY BUY 10", "EXIT SELL 10"]


def test_started_later_it_has_the_range_from_the_broker() -> None:
    day = Day(at=BEFORE + timedelta(hours=1))
    day.until("10:16", "1505")
    assert day.sent == []
    begin = BEFORE.replace(hour=9, minute=15, second=0)
    quarter = timedelta(minutes=15)
    range_ = a_candle(begin, "1500 1510 1490 1500", None, quarter)
    later = a_candle(begin + quarter, "1500 1600 1400 1500", None, quarter)
    day.tell(HistoryRead("NSE", "INFY-EQ", 15, (range_, later), day.clock.now()))
    day.tick("1510")
    assert day.sent == []
    day.tick("1511")
    assert day.sent == ["ENTRY BUY 10"]


def test_a_broker_that_cannot_tell_the_range_is_asked_again() -> None:
    day = Day(at=BEFORE + timedelta(hours=1))
    for problem in ("Server Timeout :  ", "session expired"):
        day.asked.clear()
        day.tell(HistoryRead("NSE", "INFY-EQ", 15, (), day.clock.now(), problem))
        day.runtime.advance(29)
        assert day.asked == []
        day.runtime.advance(2)
        assert [(one.symbol, one.minutes) for one in day.asked] == [("INFY-EQ", 15)]


def test_without_the_range_it_trades_nothing() -> None:
    day = Day(at=BEFORE + timedelta(hours=1))
    day.until("10:50", "1505")
    day.tick("1600")
    assert day.sent == []


def test_an_order_that_is_refused_is_tried_no_more_that_day() -> None:
    day = Day()
    day.until("09:31", "1500")
    day.tick("1505")
    day.tell(
        OrderAnswer(OrderResult(success=False, command_id="c", status=Status.FAILED, tag=Tag.RISK_LIMITS_EXCEEDED))
    )
    day.tick("1506")
    assert day.sent == ["ENTRY BUY 10"]
