"""The client and the feed against the paper exchange: in memory with virtual time, and over real sockets."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from core.model.broker import BrokerOrderReport, BrokerStatus, BrokerTrade
from core.model.order import Order, OrderType, Product, Side
from core.model.outcomes import Accepted, LoggedIn, ReadError, ReadFailure, Refusal, Refused, Unknown
from core.noren import PROFILES, HistoryClient, NorenClient, PushFeed, ResyncNeeded, profile
from core.paper.adapter import InMemoryAdapter
from core.paper.config import ExchangeConfig, PriceSource
from core.paper.exchange import Exchange
from core.paper.server import PaperServer
from core.runtime.clock import SystemClock, VirtualClock
from tests.factories import NOON, an_intent, an_order
from tests.noren.conftest import CREDENTIALS

LOW, HIGH = Decimal("1500.00"), Decimal("1540.00")
"""INFY-EQ stands at 1518.60 when prices are set by hand: a buy at LOW rests, one at HIGH trades."""

BOUND_S = 10.0


class World:
    """An exchange in this process and a client logged in to it."""

    def __init__(self, profile_name: str = "paper", **config: Any) -> None:
        config.setdefault("price_source", PriceSource.MANUAL)
        self.clock = VirtualClock(NOON)
        self.exchange = Exchange(ExchangeConfig(**config), now=NOON)
        self.client = NorenClient(
            profile(profile_name, host="http://paper/NorenWClientTP"),
            CREDENTIALS,
            clock=self.clock,
            connect_timeout_s=3,
            read_timeout_s=8,
            adapter=InMemoryAdapter(self.exchange, self.clock, wait=self.clock.advance),
        )

    def control(self, command: str, **arguments: Any) -> dict[str, Any]:
        return self.exchange.control(command, arguments, self.clock.now())

    def book(self) -> dict[str | None, BrokerOrderReport]:
        """The order book after a second has passed, by client tag."""
        self.clock.advance(1)
        return {report.client_tag: report for report in self.client.order_book()}


@pytest.fixture
def world() -> World:
    world = World()
    assert isinstance(world.client.login(), LoggedIn)
    return world


def order(tag: str, price: Decimal = LOW, **changes: Any) -> Order:
    return an_order(an_intent(price=price, **changes), command_id=tag)


def test_the_life_of_orders(world: World) -> None:
    client = world.client

    placed = client.place_order(order("life-1"))
    assert isinstance(placed, Accepted)
    resting = world.book()["life-1"]
    assert (resting.broker_order_id, resting.status) == (placed.broker_order_id, BrokerStatus.OPEN)

    modified = client.modify_order(
        placed.broker_order_id,
        exchange="NSE",
        symbol="INFY-EQ",
        quantity=60,
        order_type=OrderType.LIMIT,
        price=HIGH,
    )
    assert modified == placed
    done = world.book()["life-1"]
    assert (done.status, done.quantity, done.filled_quantity) == (BrokerStatus.COMPLETE, 60, 60)
    trades = client.trade_book()
    assert sum(trade.quantity for trade in trades) == 60
    assert {(trade.broker_order_id, trade.client_tag) for trade in trades} == {(placed.broker_order_id, "life-1")}
    (position,) = client.positions()
    assert (position.symbol, position.product, position.net_quantity) == ("INFY-EQ", Product.MIS, 60)
    assert position.realised is not None
    assert position.unrealised is not None

    other = client.place_order(order("life-2"))
    assert isinstance(other, Accepted)
    world.clock.advance(1)
    assert client.cancel_order(other.broker_order_id) == other
    assert world.book()["life-2"].status is BrokerStatus.CANCELLED
    assert client.cancel_order(other.broker_order_id) == Refused("Rejected : ORA:Order not found to Cancel")

    assert client.quote("NSE", "INFY-EQ").last_price > 0
    assert client.limits().cash is not None
    assert client.take_unreadable() == ()
    assert client.logout()


def test_b6_a_new_day_has_empty_books(world: World) -> None:
    assert (world.client.order_book(), world.client.trade_book(), world.client.positions()) == ((), (), ())


def test_an_order_the_risk_engine_rejects_is_accepted_first(world: World) -> None:
    world.control("add_fault", kind="reject_order", text="RED:Margin Shortfall")

    assert isinstance(world.client.place_order(order("red-1")), Accepted)

    report = world.book()["red-1"]
    assert report.status is BrokerStatus.REJECTED
    assert report.reason is not None
    assert "Margin Shortfall" in report.reason


@pytest.mark.parametrize(
    ("fault", "exists"),
    [
        ("accept_hang", True),
        ("accept_close", True),
        ("accept_502", True),
        ("accept_empty", True),
        ("accept_server_timeout", True),
        ("accept_no_number", True),
        ("drop_502", False),
        ("drop_close", False),
        ("drop_hang", False),
        ("drop_server_timeout", False),
    ],
)
def test_a4_a5_a6_an_unknown_outcome_is_told_by_the_book(world: World, fault: str, exists: bool) -> None:
    world.control("add_fault", kind=fault)

    assert isinstance(world.client.place_order(order("fault-1")), Unknown)
    assert ("fault-1" in world.book()) is exists


def test_a12_a_hanging_call_takes_the_read_timeout(world: World) -> None:
    world.control("add_fault", kind="accept_hang")

    before = world.clock.monotonic()
    world.client.place_order(order("hang-1"))

    assert world.clock.monotonic() - before == 8


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("rate_limit_second", Refusal.RATE_LIMITED),
        ("rate_limit_minute", Refusal.RATE_LIMITED),
        ("http_429", Refusal.RATE_LIMITED),
        ("token_killed", Refusal.SESSION_EXPIRED),
    ],
)
def test_a_refused_order_does_not_exist(world: World, fault: str, kind: Refusal) -> None:
    world.control("add_fault", kind=fault, path="PlaceOrder")

    outcome = world.client.place_order(order("refused-1"))

    assert isinstance(outcome, Refused)
    assert outcome.kind is kind
    assert isinstance(world.client.login(), LoggedIn)
    assert world.book() == {}


@pytest.mark.parametrize(
    ("fault", "failure"),
    [
        ("book_session_expired", ReadFailure.SESSION_EXPIRED),
        ("book_server_timeout", ReadFailure.UNREACHABLE),
        ("book_502", ReadFailure.UNREACHABLE),
        ("book_hang", ReadFailure.UNREACHABLE),
    ],
)
def test_b6_a_book_that_fails_is_not_an_empty_one(world: World, fault: str, failure: ReadFailure) -> None:
    world.client.place_order(order("book-1"))
    world.control("add_fault", kind=fault)

    with pytest.raises(ReadError) as caught:
        world.client.order_book()

    assert caught.value.failure is failure
    assert "book-1" in world.book()


def test_b4_a_complete_row_without_its_fill_is_silent(world: World) -> None:
    world.control("add_fault", kind="row_without_fill", count=0)
    world.client.place_order(order("bare-1", HIGH))

    report = world.book()["bare-1"]

    assert (report.status, report.filled_quantity, report.average_price) == (BrokerStatus.COMPLETE, None, None)
    assert sum(trade.quantity for trade in world.client.trade_book()) == 50


def test_d8_a_position_of_words_is_never_a_number(world: World) -> None:
    world.client.place_order(order("words-1", HIGH))
    world.clock.advance(1)
    world.control("add_fault", kind="position_unparsable", count=0)

    (position,) = world.client.positions()

    assert (position.net_quantity, position.unrealised) == (50, None)
    assert world.client.take_unreadable()


def test_a_quote_of_zero_is_refused(world: World) -> None:
    world.control("add_fault", kind="quote_zero")

    with pytest.raises(ReadError):
        world.client.quote("NSE", "INFY-EQ")


@pytest.mark.parametrize("strict", [True, False])
def test_a_strict_server_takes_what_the_profile_mends(strict: bool) -> None:
    world = World(strict_amo=strict, strict_trgprc=strict)
    old = World("noren-gen1", strict_amo=strict, strict_trgprc=strict)
    for each in (world, old):
        each.client.login()

    assert isinstance(world.client.place_order(order("strict-1")), Accepted)
    assert isinstance(old.client.place_order(order("strict-1")), Refused if strict else Accepted)


@pytest.mark.parametrize("decodes", [True, False])
def test_f4_an_ampersand_in_a_symbol_reaches_servers_that_decode_and_those_that_do_not(decodes: bool) -> None:
    world = World(percent_decode_tsym=decodes)
    world.client.login()

    outcome = world.client.place_order(order("amp-1", Decimal("3000.00"), symbol="M&M-EQ"))

    assert isinstance(outcome, Accepted)
    assert world.book()["amp-1"].symbol == "M&M-EQ"


def test_candles_come_with_the_session_of_the_orders(world: World) -> None:
    """At noon of a Monday: minutes of today, and days up to Friday's."""
    reader = HistoryClient(
        profile("paper", host="http://paper/NorenWClientTP"),
        CREDENTIALS,
        clock=world.clock,
        connect_timeout_s=3,
        read_timeout_s=8,
        adapter=InMemoryAdapter(world.exchange, world.clock, wait=world.clock.advance),
    )
    assert world.client.session_token is not None
    reader.use_session(world.client.session_token)

    minutes = reader.history("NSE", "INFY-EQ", 15, NOON - timedelta(days=1), NOON)
    days = reader.history("NSE", "INFY-EQ", None, NOON - timedelta(days=5), NOON)

    assert [f"{one.begin:%H:%M}" for one in minutes[:2]] == ["09:15", "09:30"]
    assert {one.close for one in minutes} == {Decimal("1518.60")}
    assert [f"{one.begin:%a}" for one in days] == ["Wed", "Thu", "Fri"]
    friday = reader.history("NSE", "INFY-EQ", 5, NOON - timedelta(days=3, hours=6), NOON - timedelta(days=2))
    assert days[-1].volume == sum(one.volume or 0 for one in friday)


# Over real sockets.


@pytest.fixture
def server() -> Iterator[PaperServer]:
    server = PaperServer(ExchangeConfig(price_source=PriceSource.MANUAL), clock=SystemClock())
    server.start()
    yield server
    server.stop()


@pytest.mark.parametrize("dialect", ["paper", "shoonya"])
def test_an_order_lives_over_http_and_is_told_by_push(server: PaperServer, dialect: str) -> None:
    there = profile("paper", host=f"{server.rest_url}/NorenWClientTP", websocket=server.ws_url)
    there = replace(there, socket_dialect=PROFILES[dialect].socket_dialect, token=PROFILES[dialect].token)
    client = NorenClient(there, CREDENTIALS, clock=SystemClock(), connect_timeout_s=5, read_timeout_s=10)
    told: queue.Queue[Any] = queue.Queue()
    feed = PushFeed(
        there,
        CREDENTIALS.user_id,
        clock=SystemClock(),
        deliver=told.put,
        connect_timeout_s=5,
        ack_timeout_s=5,
        silence_s=30,
    )
    try:
        assert isinstance(client.login(), LoggedIn)
        assert client.session_token is not None
        feed.start(client.session_token)
        _wait(told, lambda value: isinstance(value, ResyncNeeded))

        placed = client.place_order(order("push-1", HIGH, side=Side.BUY))

        assert isinstance(placed, Accepted)
        trade = _wait(told, lambda value: isinstance(value, BrokerTrade))
        assert (trade.broker_order_id, trade.client_tag) == (placed.broker_order_id, "push-1")
        (report,) = client.order_book()
        assert isinstance(report, BrokerOrderReport)
        assert (report.status, report.filled_quantity) == (BrokerStatus.COMPLETE, 50)
        assert {booked.broker_trade_id for booked in client.trade_book()} >= {trade.broker_trade_id}
    finally:
        feed.stop()
        client.close()


def _wait(told: queue.Queue[Any], wanted: Callable[[Any], bool]) -> Any:
    while not wanted(value := told.get(timeout=BOUND_S)):
        pass
    return value
