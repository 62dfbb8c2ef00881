"""What is wrong with an order for its instrument, and what to send instead."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pytest

from core.model.broker import PriceBand
from core.model.calendar import INDIA
from core.model.instrument import Instrument, Kind, OptionType
from core.model.order import ExecutionType, OrderType, Problem, Product, Validity
from core.rules.market_hours import MarketDay
from core.rules.order_check import (
    BrokerTerms,
    Verdict,
    band_problem,
    closed_problem,
    problems_of,
    type_problems,
    unknown_symbol,
)
from tests.factories import an_intent

TODAY = date(2026, 8, 20)
SHARE = Instrument(
    exchange="NSE",
    symbol="INFY-EQ",
    kind=Kind.SHARE,
    underlying="INFY",
    lot_size=1,
    tick_size=Decimal("0.10"),
    freeze_quantity=500_001,
)
CALL = Instrument(
    exchange="NFO",
    symbol="NIFTY25AUG26C25000",
    kind=Kind.OPTION,
    underlying="NIFTY",
    expiry=date(2026, 8, 25),
    strike=Decimal(25000),
    option=OptionType.CE,
    lot_size=65,
    tick_size=Decimal("0.05"),
    freeze_quantity=1801,
)
INDEX = Instrument(exchange="NSE", symbol="NIFTY INDEX", kind=Kind.INDEX, underlying="NIFTY")


def told(one: Instrument, today: date = TODAY, **fields: Any) -> list[str]:
    given = {"symbol": one.symbol, "quantity": one.lot_size or 1, "price": Decimal("1450.10"), **fields}
    intent = replace(an_intent(**given), exchange=one.exchange)
    return [str(problem) for problem in problems_of(intent, one, today)]


def test_an_order_that_its_instrument_takes_has_no_problem() -> None:
    assert told(SHARE) == []
    assert told(CALL, quantity=1755, price=Decimal("0.05"), product=Product.NRML) == []


@pytest.mark.parametrize(
    ("one", "fields", "words"),
    [
        (CALL, {"quantity": 50}, "quantity: 50 is no multiple of the lot of 65 units: send 65"),
        (CALL, {"quantity": 100}, "quantity: 100 is no multiple of the lot of 65 units: send 65 or 130"),
        (
            CALL,
            {"quantity": 35_165},
            "quantity: 35165 would be 21 orders of at most 1755 (freeze quantity): send at most 35100 at a time",
        ),
        (SHARE, {"price": Decimal("1450.13")}, "price: 1450.13 is off the price step of 0.1: send 1450.1 or 1450.2"),
        (
            CALL,
            {"trigger_price": Decimal("10.02")},
            "trigger_price: 10.02 is off the price step of 0.05: send 10 or 10.05",
        ),
        (CALL, {"product": Product.CNC}, "product: NFO takes no CNC: send MIS or NRML"),
        (SHARE, {"product": Product.NRML}, "product: NSE takes no NRML: send MIS or CNC"),
        (SHARE, {"symbol": "infy-eq"}, "symbol: is spelt INFY-EQ at NSE: send it so"),
        (
            CALL,
            {"today": date(2026, 8, 26)},
            "symbol: NIFTY25AUG26C25000 expired on 2026-08-25; look for another: run.py instruments chain NIFTY",
        ),
        (
            INDEX,
            {"quantity": 7},
            "symbol: NIFTY INDEX is an index and cannot be traded; its options: run.py instruments chain NIFTY",
        ),
    ],
)
def test_a_problem_says_what_to_send_instead(one: Instrument, fields: dict[str, Any], words: str) -> None:
    assert told(one, **fields) == [words]


def test_all_problems_are_told_at_once() -> None:
    assert len(told(CALL, quantity=35_190, price=Decimal("10.01"), product=Product.CNC)) == 4


def test_what_is_not_known_is_not_checked() -> None:
    unknown = replace(CALL, lot_size=None, tick_size=None, freeze_quantity=None, expiry=None)
    assert told(unknown, quantity=123_457, price=Decimal("10.013")) == []


def test_a_contract_can_be_traded_on_its_last_day() -> None:
    assert told(CALL, today=date(2026, 8, 25)) == []


OPEN = MarketDay(time(9, 15), time(15, 35), orders_from=time(9, 0))


@pytest.mark.parametrize(
    ("market", "clock", "words"),
    [
        (OPEN, time(9, 0), None),
        (OPEN, time(15, 34, 59), None),
        (OPEN, time(8, 59), "exchange: NSE is closed at 08:59: it takes orders from 09:00 to 15:35"),
        (OPEN, time(15, 35), "exchange: NSE is closed at 15:35: it takes orders from 09:00 to 15:35"),
        (
            MarketDay(time(17), time(23, 55)),
            time(12),
            "exchange: NSE is closed at 12:00: it takes orders from 17:00 to",
        ),
        (
            MarketDay(None, None, "Christmas"),
            time(12),
            "exchange: NSE is closed today (Christmas): send it on a trading",
        ),
    ],
)
def test_a_closed_exchange_is_told_with_its_hours(market: MarketDay, clock: time, words: str | None) -> None:
    found = closed_problem(an_intent(), market, datetime.combine(TODAY, clock, INDIA))
    assert (found is None) is (words is None)
    if found is not None:
        assert str(found[0]).startswith(str(words))
        assert found[1]


def test_hours_that_nothing_confirms_only_warn() -> None:
    at = datetime.combine(TODAY, time(16), INDIA)
    found = closed_problem(an_intent(), replace(OPEN, certain=False), at)
    assert found is not None
    assert not found[1]
    assert found[0].message.endswith("; its hours of today are not confirmed")
    assert closed_problem(an_intent(), None, at) is None


@pytest.mark.parametrize(
    ("price", "age", "certain"),
    [("1300", 1, None), ("1500", 1, None), ("1299.9", 1, True), ("1500.1", 59, True), ("1500.1", 61, False)],
)
def test_a_price_outside_the_days_band_is_told(price: str, age: int, certain: bool | None) -> None:
    now = datetime.combine(TODAY, time(12), INDIA)
    band = PriceBand(Decimal(1300), Decimal(1500), now - timedelta(seconds=age))
    found = band_problem(an_intent(price=Decimal(price)), band, now)
    assert (None if found is None else found[1]) == certain
    if found is not None:
        assert f"{price} is outside the day's band of 1300 to 1500, as the broker told at" in found[0].message
    assert band_problem(an_intent(price=Decimal(price)), replace(band, at=now - timedelta(days=1)), now) is None


def test_an_order_type_that_the_broker_takes_from_nobody_is_told() -> None:
    terms = BrokerTerms("flattrade", refuses_market=True, no_ioc=frozenset({"MCX"}))

    def words(**fields: Any) -> list[str]:
        return [str(problem) for problem in type_problems(replace(an_intent(price=Decimal(100)), **fields), terms)]

    assert words(order_type=OrderType.MARKET, price=None) == [
        "order_type: flattrade takes no MARKET from programs: send LIMIT with a price, or set [broker] market_as_limit"
    ]
    assert "send SL with a price" in words(order_type=OrderType.SL_M, price=None)[0]
    assert words(validity=Validity.IOC) == []
    assert words(validity=Validity.IOC, exchange="MCX") == ["validity: flattrade takes no IOC on MCX: send DAY"]
    assert words() == []


def test_an_exit_is_warned_of_and_never_refused() -> None:
    problem = Problem("price", "is wrong")
    entry, leaving = an_intent(), an_intent(execution_type=ExecutionType.EXIT)
    assert Verdict.of(entry, [(problem, True)]) == Verdict(refused=(problem,))
    assert Verdict.of(entry, [(problem, False)]) == Verdict(warned=(problem,))
    assert Verdict.of(leaving, [(problem, True), (problem, False)]) == Verdict(warned=(problem, problem))


def test_an_unknown_symbol_is_told_with_what_to_send() -> None:
    def words(symbol: str, meant: Instrument | None, *others: Instrument) -> str:
        return str(unknown_symbol(an_intent(symbol=symbol), meant, others))

    either = "symbol: NSE has no INFY; send INFY-EQ or NIFTY25AUG26C25000 (exchange NFO)"
    assert words("INFY", SHARE, SHARE, CALL) == either
    assert words("NIFTY", INDEX, CALL) == (
        "symbol: NSE has no NIFTY, which is an index and cannot be traded: send one of its contracts, such as "
        "NIFTY25AUG26C25000 (exchange NFO); its options: run.py instruments chain NIFTY"
    )
    assert "run.py instruments search INFY" in words("INFY", None)
