"""What is wrong with an order for its instrument, and what to send instead."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from core.model.instrument import Instrument, Kind, OptionType
from core.model.order import Product
from core.rules.market_hours import MarketDay
from core.rules.order_check import problems_of, unknown_symbol
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


def told(one: Instrument, market: MarketDay | None = None, today: date = TODAY, **fields: Any) -> list[str]:
    given = {"symbol": one.symbol, "quantity": one.lot_size or 1, "price": Decimal("1450.10"), **fields}
    intent = replace(an_intent(**given), exchange=one.exchange)
    return [str(problem) for problem in problems_of(intent, one, today, market)]


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
            {"quantity": 1820},
            "quantity: 1820 is above the exchange's limit of one order: send at most 1755 at a time",
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
    assert len(told(CALL, quantity=1900, price=Decimal("10.01"), product=Product.CNC)) == 4


def test_what_is_not_known_is_not_checked() -> None:
    unknown = replace(CALL, lot_size=None, tick_size=None, freeze_quantity=None, expiry=None)
    assert told(unknown, quantity=123_457, price=Decimal("10.013")) == []


def test_a_contract_can_be_traded_on_its_last_day() -> None:
    assert told(CALL, today=date(2026, 8, 25)) == []


def test_a_holiday_is_told_only_if_it_is_certain() -> None:
    holiday = MarketDay(None, None, "Christmas")
    assert told(SHARE, holiday) == ["exchange: NSE is closed today (Christmas): send it on a trading day"]
    assert told(SHARE, replace(holiday, certain=False)) == []


def test_an_unknown_symbol_is_told_with_what_may_be_meant() -> None:
    wrong = an_intent(symbol="INFY")
    assert (
        str(unknown_symbol(wrong, (SHARE, CALL))) == "symbol: NSE has no INFY; send INFY-EQ or NFO:NIFTY25AUG26C25000"
    )
    index = (
        "symbol: NSE has no NIFTY, which is an index and cannot be traded; its options: run.py instruments chain NIFTY"
    )
    assert str(unknown_symbol(an_intent(symbol="NIFTY"), (INDEX,))) == index
    assert "run.py instruments search INFY" in str(unknown_symbol(wrong, ()))
