"""What an order of OpenAlgo means, by what its strategy holds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.model.order import ExecutionType, Product, Side
from core.model.positions import GuardLine
from core.rules.openalgo_meaning import Held, Part, held_in, parts_of, towards

ENTRY, EXIT, ADJUST = ExecutionType.ENTRY, ExecutionType.EXIT, ExecutionType.ADJUST
BUY, SELL = Side.BUY, Side.SELL


@pytest.mark.parametrize(
    ("held", "side", "quantity", "parts"),
    [
        (Held(), BUY, 10, [Part(ENTRY, BUY, 10)]),
        (Held(), SELL, 10, [Part(ENTRY, SELL, 10)]),
        (Held(5), BUY, 10, [Part(ADJUST, BUY, 10)]),
        (Held(-5), SELL, 10, [Part(ADJUST, SELL, 10)]),
        (Held(10), SELL, 4, [Part(EXIT, SELL, 4)]),
        (Held(10), SELL, 10, [Part(EXIT, SELL, 10)]),
        (Held(-10), BUY, 10, [Part(EXIT, BUY, 10)]),
        (Held(10), SELL, 15, [Part(EXIT, SELL, 10), Part(ENTRY, SELL, 5)]),
        (Held(-10), BUY, 11, [Part(EXIT, BUY, 10), Part(ENTRY, BUY, 1)]),
        # An order in flight may fill meanwhile: the guard holds an ADJUST, and no ENTRY, against what it then finds.
        (Held(0, in_flight=True), BUY, 10, [Part(ADJUST, BUY, 10)]),
        (Held(0, in_flight=True), SELL, 10, [Part(ADJUST, SELL, 10)]),
    ],
)
def test_the_holding_says_what_an_order_is(held: Held, side: Side, quantity: int, parts: list[Part]) -> None:
    assert parts_of(held, side, quantity, Product.MIS) == tuple(parts)


@pytest.mark.parametrize(("held", "quantity"), [(Held(), 1), (Held(10), 11), (Held(-5), 1)])
def test_shares_for_delivery_that_are_not_held_are_not_sold(held: Held, quantity: int) -> None:
    assert "for delivery" in str(parts_of(held, SELL, quantity, Product.CNC))


def test_shares_for_delivery_that_are_held_are_sold() -> None:
    assert parts_of(Held(10), SELL, 10, Product.CNC) == (Part(EXIT, SELL, 10),)


@given(st.integers(-100, 100), st.sampled_from(Side), st.integers(1, 300))
def test_the_parts_are_the_order_and_no_exit_goes_through_zero(held: int, side: Side, quantity: int) -> None:
    parts = parts_of(Held(held), side, quantity, Product.NRML)
    assert isinstance(parts, tuple)
    assert sum(part.quantity for part in parts) == quantity
    for part in parts:
        assert part.side is side
        assert part.quantity > 0
        if part.execution_type is EXIT:
            assert held * (held + side.sign * part.quantity) >= 0
            assert part.quantity <= abs(held)


@pytest.mark.parametrize(
    ("held", "target", "quantity", "order"),
    [
        (0, 0, 7, (BUY, 7)),
        (0, 0, 0, None),
        (10, 10, 5, None),
        (10, 0, 0, (SELL, 10)),
        (-10, 0, 3, (BUY, 10)),
        (0, 20, 1, (BUY, 20)),
        (0, -20, 1, (SELL, 20)),
        (10, 25, 1, (BUY, 15)),
        (10, -5, 1, (SELL, 15)),
        (-10, 5, 1, (BUY, 15)),
    ],
)
def test_a_smart_order_goes_to_its_target(
    held: int, target: int, quantity: int, order: tuple[Side, int] | None
) -> None:
    assert towards(held, target, BUY, quantity) == order


def test_only_the_strategys_own_line_of_the_product_counts() -> None:
    lines = [
        GuardLine("a", "NSE", "INFY-EQ", Product.MIS, 10, 0, None),
        GuardLine("a", "NSE", "INFY-EQ", Product.CNC, 99, 0, None),
        GuardLine("b", "NSE", "INFY-EQ", Product.MIS, 7, 0, None),
        GuardLine("a", "NSE", "TCS-EQ", Product.MIS, 0, 0, None),
        GuardLine("a", "NSE", "SBIN-EQ", Product.MIS, 5, -5, None),
    ]
    assert held_in(lines, "a", "NSE", "INFY-EQ", Product.MIS) == Held(10)
    assert held_in(lines, "c", "NSE", "INFY-EQ", Product.MIS) == Held()
    assert held_in(lines, "a", "NSE", "TCS-EQ", Product.MIS) == Held(0, in_flight=True), "orders that add up to nothing"
    assert held_in(lines, "a", "NSE", "SBIN-EQ", Product.MIS) == Held(5, in_flight=True)
