"""The proxy and the watcher at the default limits, in virtual time: exits go, books go on, and it is said (G18)."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from actors.addresses import Addresses
from actors.broker_proxy import BrokerProxy
from actors.command_service import CommandService
from actors.order_watcher import OrderWatcher
from core.messages import (
    AccountRead,
    Alert,
    BrokerReadable,
    BrokerUse,
    ExternalOrders,
    FeedSession,
    GetBrokerUse,
    GetOpenOrders,
    GetReadiness,
    Message,
    OpenOrders,
    OrderAccepted,
    OrderNotSent,
    PlaceOrder,
    PositionsRead,
    QuoteRead,
    Readiness,
    ReadingSlowed,
    ReadOrderBook,
    ReadPositions,
    ReadQuote,
    RegisterOrder,
    SessionChanged,
    Severity,
    SubmitOrder,
    Tick,
)
from core.model.broker import Quote
from core.model.calendar import TradingCalendar
from core.model.order import ExecutionType, Order, OrderType, Side, Source
from core.model.outcomes import Accepted, LoggedIn
from core.process.call_log import CallLog
from core.rules.call_budget import RateLimiter
from core.rules.call_plan import Use
from core.runtime import Actor, Runtime, StepRuntime, VirtualClock
from tests.factories import NOON, an_intent, an_order

_CALL_S = 0.02


class _Told(Actor):
    """Stands for the rest of the actors."""

    def __init__(self, runtime: Runtime, name: str) -> None:
        super().__init__(runtime, name)
        self.heard: list[tuple[float, Message]] = []

    def on_anything(
        self,
        message: AccountRead
        | Alert
        | BrokerReadable
        | ExternalOrders
        | FeedSession
        | OrderAccepted
        | OrderNotSent
        | PositionsRead
        | QuoteRead
        | ReadingSlowed
        | RegisterOrder
        | SessionChanged,
    ) -> None:
        self.heard.append((self.clock.monotonic(), message))

    def on_get_open_orders(self, _: GetOpenOrders) -> None:
        self.tell_name("order_watcher", OpenOrders(()))


class _Subscriber(_Told):
    """Wants a quote each second, as a strategy may."""

    every_s = 1.0

    def started(self) -> None:
        self.every("quote", self.every_s)

    def on_tick(self, _: Tick) -> None:
        self.tell_name("broker_proxy", ReadQuote("NSE", "INFY-EQ", self.name, self.every_s))


class _Follower(_Told):
    """Wants a quote of ten instruments each so many seconds, and says so."""

    every_s = 10.0

    def started(self) -> None:
        for number in range(10):
            self.every(f"SHARE{number}-EQ", self.every_s)
            self._ask(f"SHARE{number}-EQ")

    def on_tick(self, message: Tick) -> None:
        self._ask(message.key)

    def _ask(self, symbol: str) -> None:
        self.tell_name("broker_proxy", ReadQuote("NSE", symbol, self.name, self.every_s))


class _Client:
    """Every call takes a moment, works, and is noted."""

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock
        self.calls: list[tuple[float, str]] = []

    def _call(self, what: str) -> None:
        self.calls.append((self._clock.monotonic(), what))
        self._clock.advance(_CALL_S)

    def login(self) -> LoggedIn:
        self._call("login")
        return LoggedIn("U", "token")

    def place_order(self, order: Order) -> Accepted:
        self._call(str(order.execution_type))
        return Accepted(f"26112300{len(self.calls):06}")

    def quote_calls(self, *_: str) -> int:
        return 1

    def quote(self, exchange: str, symbol: str) -> Quote:
        self._call("quote")
        price = Decimal(1500)
        return Quote(
            exchange=exchange,
            symbol=symbol,
            last_price=price,
            bid=price,
            ask=price,
            tick_size=Decimal("0.05"),
            at=self._clock.now(),
        )

    def order_book(self) -> tuple[Any, ...]:
        self._call("order book")
        return ()

    def positions(self) -> tuple[Any, ...]:
        self._call("positions")
        return ()

    def take_unreadable(self) -> tuple[str, ...]:
        return ()

    def times(self, what: str, after: float = 0.0) -> list[float]:
        return [at for at, name in self.calls if name == what and at >= after]

    def longest_gap(self, what: str, until: float) -> float:
        return max(later - earlier for earlier, later in itertools.pairwise([*self.times(what), until]))


class _Service:
    def __init__(self, runtime: StepRuntime, *, quotes: bool = False, log: CallLog | None = None) -> None:
        self.runtime = runtime
        self.clock = runtime.clock
        self.client = _Client(self.clock)
        self.limiter = RateLimiter(
            per_second=10,
            per_minute=120,
            reserve=2,
            reserve_per_minute=30,
            intervals={Use.ORDER_BOOK: 1.0, Use.POSITIONS: 5.0},
        )
        addresses = Addresses.of(runtime)
        names = ("trading_bot", "order_repo", "execution_guard", "risk_manager", "notifier", "order_feed", "strategy:a")
        for name in (*names, "command_service"):
            runtime.spawn(_Subscriber if name == "strategy:a" and quotes else _Told, name)
        runtime.spawn(
            BrokerProxy,
            "broker_proxy",
            addresses=addresses,
            open_client=lambda: self.client,
            open_call_log=None if log is None else lambda: log,
            limiter=self.limiter,
        )
        runtime.spawn(OrderWatcher, "order_watcher", addresses=addresses, calendar=TradingCalendar())

    def place(self, kind: ExecutionType, count: int, deadline_s: float, symbols: int = 1) -> None:
        side = Side.SELL if kind is ExecutionType.EXIT else Side.BUY
        for number in range(count):
            intent = replace(an_intent(kind, side), order_type=OrderType.MARKET, price=None)
            intent = replace(intent, symbol=f"SHARE{number % symbols}-EQ")
            order = replace(an_order(intent), deadline=self.clock.steady() + timedelta(seconds=deadline_s))
            self.runtime.tell("broker_proxy", PlaceOrder(order))

    def heard(self, name: str, kind: type) -> list[Any]:
        actor = self.runtime._actors[name]
        assert isinstance(actor, _Told)
        return [message for _, message in actor.heard if isinstance(message, kind)]


@pytest.fixture
def runtime() -> Iterator[StepRuntime]:
    made = StepRuntime(VirtualClock(NOON))
    yield made
    made.stop()


@pytest.mark.parametrize(
    ("symbols", "within_5_s", "within_30_s", "last_s"),
    [(1, 22, 35, 45.0), (44, 14, 25, 55.0)],
)
def test_g18_45_market_entries_then_44_exits_lose_no_exit_and_blind_no_book(
    runtime: StepRuntime, symbols: int, within_5_s: int, within_30_s: int, last_s: float
) -> None:
    """Exits that come in fives, each five verified by a read of both books, beside the reading of a normal minute."""
    service = _Service(runtime)
    runtime.advance(60.0)
    service.place(ExecutionType.ENTRY, 45, 30.0)
    runtime.advance(15.0)
    began = runtime.clock.monotonic()
    for count in (5, 5, 5, 5, 5, 5, 5, 5, 4):
        runtime.tell("broker_proxy", ReadOrderBook(urgent=True))
        runtime.tell("broker_proxy", ReadPositions(urgent=True))
        service.place(ExecutionType.EXIT, count, 120.0, symbols)
        runtime.advance(0.5)
    runtime.advance(200.0)
    exits = [at - began for at in service.client.times("EXIT")]
    assert len(exits) == 44
    assert sum(at < 5.0 for at in exits) >= within_5_s
    assert sum(at < 30.0 for at in exits) >= within_30_s
    assert exits[-1] < last_s
    not_sent = service.heard("trading_bot", OrderNotSent)
    assert [m for m in not_sent if m.order.execution_type is ExecutionType.EXIT] == []
    end = runtime.clock.monotonic()
    assert service.client.longest_gap("order book", end) < 12.0
    assert service.client.longest_gap("positions", end) < 16.0
    told = service.heard("notifier", Alert)
    assert [alert.kind for alert in told] == ["call_budget", "call_budget"], "once when it begins, once when it is over"
    assert (told[0].severity, told[1].severity) == (Severity.WARNING, Severity.INFO)
    notes = [message.note for message in service.heard("command_service", ReadingSlowed)]
    assert "order book every" in notes[0]
    assert notes[-1] == ""


def test_g18_exits_of_one_symbol_share_a_quote_of_the_last_second(runtime: StepRuntime) -> None:
    service = _Service(runtime)
    runtime.advance(2.0)
    service.place(ExecutionType.EXIT, 5, 120.0)
    service.place(ExecutionType.EXIT, 2, 120.0, symbols=2)
    runtime.advance(0.5)
    assert len(service.client.times("EXIT")) == 7
    assert len(service.client.times("quote")) == 2, "one for each symbol"
    service.place(ExecutionType.ENTRY, 2, 30.0)
    runtime.advance(1.0)
    assert len(service.client.times("quote")) == 4, "entries share none"
    runtime.advance(1.0)
    service.place(ExecutionType.EXIT, 1, 120.0)
    runtime.advance(0.5)
    assert len(service.client.times("quote")) == 5, "it is older than a second"


def test_t23_the_subscription_of_the_example_and_its_orders_are_no_news(
    runtime: StepRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_Subscriber, "every_s", 10.0)
    service = _Service(runtime, quotes=True)
    runtime.advance(2.0)
    service.place(ExecutionType.ENTRY, 1, 30.0)
    runtime.advance(3.0)
    for message in (ReadOrderBook(urgent=True), ReadPositions(urgent=True)):
        runtime.tell("broker_proxy", message)
    service.place(ExecutionType.EXIT, 1, 120.0)
    runtime.advance(300.0)
    assert len(service.client.times("quote")) > 30
    assert service.heard("command_service", ReadingSlowed) == []
    assert service.heard("notifier", Alert) == []


def test_t23_one_quote_subscription_of_a_second_blinds_no_book_and_is_said(runtime: StepRuntime) -> None:
    service = _Service(runtime, quotes=True)
    runtime.advance(300.0)
    assert service.client.longest_gap("order book", 300.0) < 2.1
    assert service.client.longest_gap("positions", 300.0) < 6.2
    assert 70 < len(service.client.times("quote")) < 110, "18 a minute"
    notes = [message.note for message in service.heard("command_service", ReadingSlowed)]
    assert len(notes) == 1
    assert "quotes every" in notes[0]


@pytest.mark.parametrize("every_s", [1.0, 10.0, 60.0])
def test_g19_thirty_quotes_leave_the_books_all_they_want_and_each_gets_its_share_which_is_said(
    runtime: StepRuntime, monkeypatch: pytest.MonkeyPatch, every_s: float
) -> None:
    monkeypatch.setattr(_Follower, "every_s", every_s)
    service = _Service(runtime)
    runtime.advance(2.0)
    for name in ("strategy:x", "strategy:y", "strategy:z"):
        runtime.spawn(_Follower, name)
    runtime.advance(5.0)
    [note] = [message.note for message in service.heard("command_service", ReadingSlowed)]
    assert note.endswith(f"slowed down: 30 quotes each every 100 s instead of {every_s:g} s")
    runtime.advance(200.0)
    end = runtime.clock.monotonic()
    assert service.client.longest_gap("order book", end) < 1.2
    assert service.client.longest_gap("positions", end) < 5.2
    assert len(service.client.times("quote")) == pytest.approx(205 / 60 * 18, abs=4)
    assert len(service.heard("notifier", Alert)) == 1, "said once"
    use = runtime.ask(runtime.address("broker_proxy"), GetBrokerUse(), 1.0)
    assert isinstance(use, BrokerUse)
    assert [(one.what, one.count, one.wanted_s) for one in use.plan] == [
        ("order book", 1, 1.0),
        ("positions", 1, 5.0),
        ("quotes", 30, every_s),
    ]


def test_g18_a_read_for_an_exit_goes_before_entries_that_wait(runtime: StepRuntime) -> None:
    service = _Service(runtime)
    runtime.advance(2.0)
    service.place(ExecutionType.ENTRY, 45, 30.0)
    runtime.advance(12.0)
    runtime.tell("broker_proxy", ReadPositions(urgent=True))
    runtime.advance(0.1)
    assert service.client.times("positions", after=14.0)


@pytest.mark.parametrize("in_memory", [True, False])
def test_g18_the_last_minute_of_calls_survives_a_restart(tmp_path: Path, in_memory: bool) -> None:
    clock = VirtualClock(NOON)
    log = CallLog(None, 120)
    calls: list[float] = []
    for _ in range(2):
        runtime = StepRuntime(clock)
        service = _Service(runtime, log=log if in_memory else CallLog(tmp_path / "broker-calls", 120))
        runtime.advance(5.0)
        service.place(ExecutionType.EXIT, 60, 120.0)
        runtime.advance(12.0)
        runtime.stop()
        calls += [at for at, _ in service.client.calls]
    assert len(calls) > 100
    for first, later in zip(calls, calls[120:], strict=False):
        assert later - first >= 60.0
    assert len(calls) <= 120


def test_g18_a_call_under_way_when_the_process_was_killed_counts_as_made_now(tmp_path: Path) -> None:
    log = CallLog(tmp_path / "broker-calls", 10)
    log.begin(100.0, 1)
    log.end(101.0)
    log.begin(130.0, 2)
    log.close()
    again = CallLog(tmp_path / "broker-calls", 10)
    assert again.ages(140.0) == [39.0, 0.0, 0.0]
    again.close()


@pytest.mark.parametrize("content", [b"", b"torn", b"\xff" * 80, b"\x00" * 24])
def test_g18_a_call_log_that_makes_no_sense_is_an_empty_one(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "broker-calls").write_bytes(content)
    log = CallLog(tmp_path / "broker-calls", 10)
    assert log.ages(140.0) == []
    log.close()


def test_g18_an_exit_keeps_a_longer_deadline_than_an_entry(runtime: StepRuntime) -> None:
    for name in ("order_repo", "broker_proxy", "order_watcher"):
        runtime.spawn(_Told, name)
    runtime.spawn(
        CommandService,
        "command_service",
        addresses=Addresses.of(runtime),
        account="A",
        calendar=TradingCalendar(),
        send_deadline_s=30.0,
        exit_deadline_s=120.0,
    )
    for message in (SessionChanged(True, ""), BrokerReadable(True, ""), ReadingSlowed("slow")):
        runtime.tell("command_service", message)
    for kind in (ExecutionType.ENTRY, ExecutionType.EXIT):
        runtime.tell("command_service", SubmitOrder(an_intent(kind), Source.WEBHOOK, None))
    runtime.run_until_idle()
    repo = runtime._actors["order_repo"]
    assert isinstance(repo, _Told)
    orders = [message.order for _, message in repo.heard if isinstance(message, RegisterOrder)]
    assert [order.deadline - runtime.clock.steady() for order in orders] == [timedelta(seconds=s) for s in (30, 120)]
    found = runtime.ask(runtime.address("command_service"), GetReadiness(), 1.0)
    assert found == Readiness(True, (), ("slow",))
