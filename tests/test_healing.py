"""Holdings are corrected from evidence alone (scenario B9)."""

from __future__ import annotations

from decimal import Decimal

from core.healing import external_closes
from core.messages import ExternalClose, GuardLine
from core.order import Product, Side
from core.reports import BrokerOrderReport, BrokerStatus

INFY = ("NSE", "INFY-EQ", Product.MIS)


def line(strategy: str, held: int) -> GuardLine:
    return GuardLine(strategy, "NSE", "INFY-EQ", Product.MIS, held, 0, None)


def order(number: str, side: Side, filled: int, symbol: str = "INFY-EQ") -> BrokerOrderReport:
    return BrokerOrderReport(
        broker_order_id=number,
        client_tag=None,
        exchange="NSE",
        symbol=symbol,
        side=side,
        quantity=filled,
        status=BrokerStatus.COMPLETE,
        raw_status="COMPLETE",
        filled_quantity=filled,
        average_price=Decimal(1500),
    )


def close(strategy: str, quantity: int, number: str) -> ExternalClose:
    return ExternalClose(strategy, "NSE", "INFY-EQ", Product.MIS, quantity, Decimal(1500), number)


def test_a_shortfall_that_an_external_order_explains_is_its_close() -> None:
    found = external_closes([line("alpha", 50)], {INFY: (0, 2)}, [order("1", Side.SELL, 50)], {})
    assert found == (close("alpha", -50, "1"),)


def test_a_part_of_a_short_holding_too() -> None:
    found = external_closes([line("alpha", -50)], {INFY: (-30, 2)}, [order("1", Side.BUY, 20)], {})
    assert found == (close("alpha", 20, "1"),)


def test_one_read_is_not_enough() -> None:
    assert external_closes([line("alpha", 50)], {INFY: (0, 1)}, [order("1", Side.SELL, 50)], {}) == ()


def test_positions_alone_prove_nothing() -> None:
    orders = [order("1", Side.BUY, 50), order("2", Side.SELL, 50, "TCS-EQ"), order("3", Side.SELL, 40)]
    assert external_closes([line("alpha", 50)], {INFY: (0, 2)}, orders, {}) == ()


def test_an_order_explains_only_as_much_as_it_filled() -> None:
    assert external_closes([line("alpha", 50)], {INFY: (0, 2)}, [order("1", Side.SELL, 50)], {"1": 50}) == ()


def test_two_strategies_lose_all_or_it_cannot_be_told_whose_it_was() -> None:
    lines = [line("alpha", 50), line("beta", 30)]
    assert external_closes(lines, {INFY: (30, 2)}, [order("1", Side.SELL, 50)], {}) == ()
    found = external_closes(lines, {INFY: (0, 2)}, [order("1", Side.SELL, 60), order("2", Side.SELL, 20)], {})
    assert found == (close("alpha", -50, "1"), close("beta", -10, "1"), close("beta", -20, "2"))
