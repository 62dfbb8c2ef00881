"""Corrections that no external order makes: what the broker's positions bear, and what is refused."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal

import pytest

from core.messages import AccountRead, AdoptPosition
from core.model.broker import BrokerHolding, BrokerOrderReport, BrokerStatus
from core.model.calendar import TradingCalendar
from core.model.order import ExecutionType, Order, Product, Side
from core.model.positions import Correction, ExternalClose, Holding
from core.rules.adoption import adopt, conversions, expiries, expiry_of
from core.rules.exit_cap import ExitCap
from core.rules.guard import GuardBook, Passed
from tests.factories import NOON, a_fill, a_position, an_intent, an_order

OPTION = "NIFTY24NOV26C26000"


@pytest.mark.parametrize(
    ("exchange", "symbol", "last_day"),
    [
        ("NFO", OPTION, date(2026, 11, 24)),
        ("NFO", "NIFTY24NOV26F", date(2026, 11, 24)),
        ("NFO", "M&M31DEC26P1400.5", date(2026, 12, 31)),
        ("NFO", "NIFTY31NOV26F", None),
        ("NSE", OPTION, None),
        ("NSE", "INFY-EQ", None),
        ("BFO", "SENSEX26N1075000CE", None),
    ],
)
def test_g9_the_last_day_is_in_the_contracts_name(exchange: str, symbol: str, last_day: date | None) -> None:
    assert expiry_of(exchange, symbol) == last_day


def read(book: GuardBook, cap: ExitCap, *nets: int, symbol: str = "INFY-EQ") -> None:
    """Reads of the account, a second apart; the first of them is of before anybody held anything."""
    for number, net in enumerate(nets):
        at = NOON + timedelta(seconds=number)
        positions = (a_position(net, symbol=symbol, price="1500"),)
        cap.read(AccountRead(positions, (), (), at, at, at), book)


def holding(held: int, symbol: str = "INFY-EQ", exchange: str = "NSE", strategy: str = "alpha") -> GuardBook:
    book = GuardBook()
    book.restore([Holding(strategy, exchange, symbol, Product.MIS, held)] if held else [], (), NOON)
    return book


def wanted(quantity: int, *, write_off: bool = False, strategy: str = "alpha") -> AdoptPosition:
    return AdoptPosition(strategy, "NSE", "INFY-EQ", Product.MIS, quantity, write_off, "a person")


@pytest.mark.parametrize(
    ("held", "net", "write_off", "most", "sign"),
    [
        (0, 80, False, 80, 1),
        (0, -80, False, 80, -1),
        (100, 130, False, 30, 1),
        (100, 40, True, 60, -1),
        (-100, 0, True, 100, 1),
    ],
)
def test_g9_what_the_broker_bears_is_recorded_and_no_more(
    held: int, net: int, write_off: bool, most: int, sign: int
) -> None:
    book, cap = holding(held), ExitCap()
    read(book, cap, net, net)
    found = adopt(wanted(most, write_off=write_off), book, cap)
    assert isinstance(found, ExternalClose)
    assert found.quantity == sign * most
    assert found.kind is (Correction.WRITTEN_OFF if write_off else Correction.ADOPTED)
    refused = adopt(wanted(most + 1, write_off=write_off), book, cap)
    assert isinstance(refused, str)
    assert f"{most} can be" in refused


def test_g9_nothing_is_adopted_against_what_another_strategy_holds() -> None:
    book, cap = holding(100, strategy="beta"), ExitCap()
    read(book, cap, 60, 60)
    assert "holds the other side" in str(adopt(wanted(40), book, cap))


@pytest.mark.parametrize(("delivery", "followed"), [(-27, True), (-10, False), (0, False), (30, False)])
def test_g9_a_conversion_is_followed_only_where_the_broker_still_has_it(delivery: int, followed: bool) -> None:
    """Converted from MIS to CNC; an external order may have bought some of it back there since."""
    book, cap = holding(-27), ExitCap()
    orders: list[BrokerOrderReport] = []
    for number in range(4):
        at = NOON + timedelta(seconds=number)
        if number == 2 and delivery != -27:
            orders.append(bought_back(delivery + 27, at))
        nets = ((Product.MIS, -27), (Product.CNC, 0)) if number < 2 else ((Product.MIS, 0), (Product.CNC, delivery))
        positions = tuple(a_position(net, product=product, price="1500") for product, net in nets)
        cap.read(AccountRead(positions, tuple(orders), (), at, at, at), book)
    found = [(out.quantity, into.quantity, into.product) for out, into in conversions(book, cap)]
    assert found == ([(27, -27, Product.CNC)] if followed else [])


def test_g9_a_conversion_moves_no_more_than_was_held_before_it() -> None:
    """50 are converted, 45 of a strategy and 5 a person's own; the strategy bought 5 more before that was read."""
    book, cap = holding(45), ExitCap()
    more = an_order(an_intent(ExecutionType.ADJUST, Side.BUY, 5, strategy="alpha", product=Product.MIS))
    for number in range(4):
        at = NOON + timedelta(seconds=number)
        if number == 2:
            assert isinstance(book.check_and_reserve(more, at), Passed)
            book.book_fill(more, a_fill(5, at=at), at)
            book.force_clear_symbol(more, at)
        nets = ((Product.MIS, 50), (Product.CNC, 0)) if number < 2 else ((Product.MIS, 5), (Product.CNC, 50))
        positions = tuple(a_position(net, product=product, price="1500") for product, net in nets)
        cap.read(AccountRead(positions, (), (), at, at, at), book)
    [(out, into)] = conversions(book, cap)
    assert (out.quantity, into.quantity, into.product) == (-45, 45, Product.CNC)
    for close in (out, into):
        base = cap.rebased(close)
        book.book_external_close(close, NOON)
        cap.note_close(close, [base] if base is not None else ())
    left = an_order(an_intent(ExecutionType.EXIT, Side.SELL, 45, strategy="alpha", product=Product.CNC))
    cap.read(AccountRead(positions, (), (), at, at, at), book)
    assert cap.judge(left, book, frozenset()).quantity == 45
    assert list(conversions(book, cap)) == []


def converted(book: GuardBook, cap: ExitCap) -> list[tuple[ExternalClose, ExternalClose]]:
    """What conversions are followed, and recorded as ExecutionGuard does."""
    found = list(conversions(book, cap))
    for close in (one for pair in found for one in pair):
        base = cap.rebased(close)
        book.book_external_close(close, NOON)
        cap.note_close(close, [base] if base is not None else ())
    return found


def reads(book: GuardBook, cap: ExitCap, times: int, *nets: tuple[Product, int], first: int = 0) -> None:
    for number in range(first, first + times):
        at = NOON + timedelta(seconds=number)
        positions = tuple(a_position(net, product=product, price="1500") for product, net in nets)
        cap.read(AccountRead(positions, (), (), at, at, at), book)


def leaving(quantity: int, product: Product, strategy: str = "alpha") -> Order:
    return an_order(an_intent(ExecutionType.EXIT, Side.SELL, quantity, strategy=strategy, product=product))


def test_g9_what_was_converted_was_not_delivered_although_the_account_holds_such_shares() -> None:
    book, cap = GuardBook(), ExitCap()
    book.restore([Holding("alpha", "NSE", "INFY-EQ", Product.CNC, 10)], (), NOON)
    reads(book, cap, 2, (Product.MIS, 0), (Product.CNC, 10))
    reads(book, cap, 1, (Product.MIS, 10), (Product.CNC, 0), first=2)
    assert cap.lacks_delivery(book)
    cap.note_holdings([BrokerHolding(exchange="NSE", symbol="INFY-EQ", quantity=50)])
    reads(book, cap, 1, (Product.MIS, 10), (Product.CNC, 0), first=3)
    assert cap.judge(leaving(10, Product.CNC), book, frozenset()).quantity == 0
    assert [(out.product, into.product) for out, into in converted(book, cap)] == [(Product.CNC, Product.MIS)]
    reads(book, cap, 2, (Product.MIS, 10), (Product.CNC, 0), first=4)
    assert cap.judge(leaving(10, Product.MIS), book, frozenset()).quantity == 10


def test_g9_what_two_strategies_hold_is_converted_and_can_be_left() -> None:
    book, cap = GuardBook(), ExitCap()
    held = [Holding(strategy, "NSE", "INFY-EQ", Product.MIS, 10) for strategy in ("alpha", "beta")]
    book.restore(held, (), NOON)
    reads(book, cap, 2, (Product.MIS, 20), (Product.CNC, 0))
    reads(book, cap, 2, (Product.MIS, 0), (Product.CNC, 20), first=2)
    assert len(converted(book, cap)) == 2
    reads(book, cap, 3, (Product.MIS, 0), (Product.CNC, 20), first=4)
    for strategy in ("alpha", "beta"):
        assert cap.judge(leaving(10, Product.CNC, strategy), book, frozenset()).quantity == 10


def test_g9_a_conversion_of_before_an_entry_is_nobodys_until_a_person_says_whose_it_was() -> None:
    """A person converts 20 of his own; before that is read, alpha enters 25 where they were."""
    book, cap = GuardBook(), ExitCap()
    reads(book, cap, 2, (Product.MIS, 20), (Product.CNC, 0))
    book.restore([Holding("alpha", "NSE", "INFY-EQ", Product.MIS, 25)], (), NOON)
    reads(book, cap, 3, (Product.MIS, 25), (Product.CNC, 20), first=2)
    assert converted(book, cap) == []
    room = cap.judge(leaving(25, Product.MIS), book, frozenset())
    assert room.quantity == 5, "20 of the account's may have been alpha's"
    assert "adopt --write-off" in room.reason
    written_off = adopt(wanted(20, write_off=True), book, cap)
    assert isinstance(written_off, ExternalClose)
    book.book_external_close(written_off, NOON)
    base = cap.rebased(written_off)
    assert base is not None
    cap.note_close(written_off, [base])
    reads(book, cap, 2, (Product.MIS, 25), (Product.CNC, 20), first=5)
    adopted = adopt(wanted(20), book, cap)
    assert isinstance(adopted, ExternalClose), "and gives them back where they are alpha's"
    book.book_external_close(adopted, NOON)
    cap.note_close(adopted)
    reads(book, cap, 2, (Product.MIS, 25), (Product.CNC, 20), first=7)
    assert cap.judge(leaving(25, Product.MIS), book, frozenset()).quantity == 25


def test_g9_a_conversion_between_the_entry_and_the_next_read_is_followed() -> None:
    """Nobody else held anything there: what was converted was the strategy's, though no read showed it before."""
    book, cap = GuardBook(), ExitCap()
    reads(book, cap, 2, (Product.MIS, 0), (Product.CNC, 0))
    book.restore([Holding("alpha", "NSE", "INFY-EQ", Product.MIS, 100)], (), NOON)
    reads(book, cap, 3, (Product.MIS, 60), (Product.CNC, 40), first=2)
    [(out, into)] = converted(book, cap)
    assert (out.quantity, into.quantity, into.product) == (-40, 40, Product.CNC)
    reads(book, cap, 2, (Product.MIS, 60), (Product.CNC, 40), first=5)
    assert cap.judge(leaving(60, Product.MIS), book, frozenset()).quantity == 60
    assert cap.judge(leaving(40, Product.CNC), book, frozenset()).quantity == 40


def bought_back(quantity: int, at: datetime) -> BrokerOrderReport:
    return BrokerOrderReport(
        broker_order_id="E1",
        client_tag=None,
        exchange="NSE",
        symbol="INFY-EQ",
        side=Side.BUY,
        quantity=quantity,
        status=BrokerStatus.COMPLETE,
        raw_status="COMPLETE",
        filled_quantity=quantity,
        average_price=Decimal(1500),
        product=Product.CNC,
        at=at,
    )


CALENDAR = TradingCalendar()


def on(day: int) -> datetime:
    return NOON + timedelta(days=day - NOON.day)


def test_g9_a_contract_that_ended_is_written_off_once_two_reads_agree() -> None:
    book, cap = holding(65, OPTION, "NFO"), ExitCap()
    cap.read(AccountRead((), (), (), NOON, NOON, NOON), book)
    assert list(expiries(book, cap, CALENDAR, on(25))) == [], "one read"
    later = NOON + timedelta(seconds=1)
    cap.read(AccountRead((), (), (), later, later, later), book)
    assert list(expiries(book, cap, CALENDAR, on(24))) == [], "its last day is not over"
    [found] = expiries(book, cap, CALENDAR, on(25))
    assert (found.strategy, found.quantity, found.kind) == ("alpha", -65, Correction.EXPIRED)


@pytest.mark.parametrize(
    ("product", "day", "net", "over"),
    [
        (Product.MIS, 24, 0, True),
        (Product.MIS, 23, 0, False),
        (Product.NRML, 24, 0, False),
        (Product.MIS, 24, 4, False),
        (Product.MIS, 24, 10, False),
    ],
)
def test_g9_an_intraday_position_of_an_earlier_day_is_over_once_the_broker_lacks_it(
    product: Product, day: int, net: int, over: bool
) -> None:
    book, cap = GuardBook(), ExitCap()
    book.restore([Holding("alpha", "NSE", "INFY-EQ", product, 10, None, opened_at=NOON)], [], NOON)
    for seconds in range(3):
        at = on(day) + timedelta(seconds=seconds)
        cap.read(AccountRead((a_position(net, product=product),) if net else (), (), (), at, at, at), book)
    found = [(close.strategy, close.quantity, close.kind) for close in expiries(book, cap, CALENDAR, on(day))]
    assert found == ([("alpha", -10, Correction.EXPIRED)] if over else [])


def test_g9_an_intraday_position_to_which_something_was_added_today_is_not_over_by_itself() -> None:
    """Also in the hours of the calendar's day that the settings count as the day before."""
    book, cap = GuardBook(), ExitCap()
    added = on(24).replace(hour=0, minute=10)
    changes = ((NOON, 4), (added, 6))
    book.restore([Holding("alpha", "NSE", "INFY-EQ", Product.MIS, 10, None, NOON, changes)], [], NOON)
    for seconds in range(3):
        at = on(24) + timedelta(seconds=seconds)
        cap.read(AccountRead((), (), (), at, at, at), book)
    assert list(expiries(book, cap, CALENDAR, on(24))) == []
