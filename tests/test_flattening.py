"""A square-off is repeated until it is flat or a person must take over (scenario D7)."""

from __future__ import annotations

import pytest

from core.flattening import PAUSES_S, TIME_LIMIT_S, Flattening
from core.messages import GuardLine
from core.order import ExecutionType, OrderType, Product, Side, Source


def line(
    held: int,
    reserved: int = 0,
    product: Product = Product.MIS,
    strategy: str = "alpha",
    symbol: str = "INFY-EQ",
) -> GuardLine:
    return GuardLine(strategy, "NSE", symbol, product, held, reserved, None)


def flattening(strategy: str | None = None, symbol: str | None = None) -> Flattening:
    return Flattening("loss", Source.RISK, strategy, 0.0, symbol=symbol)


def test_what_is_held_is_exited_at_once_the_short_side_too() -> None:
    [sell] = flattening().step([line(50)], 0.0).exits
    assert (sell.side, sell.quantity, sell.execution_type, sell.order_type) == (
        Side.SELL,
        50,
        ExecutionType.EXIT,
        OrderType.MARKET,
    )
    [buy] = flattening().step([line(-50)], 0.0).exits
    assert (buy.side, buy.quantity) == (Side.BUY, 50)


ALPHA, BETA, TCS = line(50), line(-20, strategy="beta"), line(30, symbol="TCS-EQ")


@pytest.mark.parametrize(
    ("strategy", "symbol", "exited"),
    [
        ("alpha", "INFY-EQ", [ALPHA]),
        (None, "INFY-EQ", [ALPHA, BETA]),
        ("alpha", None, [ALPHA, TCS]),
        (None, None, [ALPHA, BETA, TCS]),
        ("beta", "TCS-EQ", []),
    ],
)
def test_what_is_exited_is_narrowed_by_strategy_and_symbol(
    strategy: str | None, symbol: str | None, exited: list[GuardLine]
) -> None:
    exits = flattening(strategy, symbol).step([ALPHA, BETA, TCS], 0.0).exits
    assert [(one.strategy, one.symbol, one.quantity) for one in exits] == [
        (one.strategy, one.symbol, abs(one.held)) for one in exited
    ]


def test_c2_an_exit_in_flight_covers_its_part() -> None:
    assert flattening().step([line(50, -50)], 0.0).exits == ()
    assert [intent.quantity for intent in flattening().step([line(50, -20)], 0.0).exits] == [30]


def test_c14_delivery_holdings_and_other_strategies_are_left_alone() -> None:
    step = flattening("beta").step([line(50), line(50, product=Product.CNC, strategy="beta")], 0.0)
    assert (step.exits, step.done) == ((), True)


def test_d7_exits_that_fail_are_tried_again_with_growing_pauses_and_then_given_up() -> None:
    running, now, sent, given_up = flattening(), 0.0, [], []
    while now < TIME_LIMIT_S - 1:
        step = running.step([line(50)], now)
        sent += [now for _ in step.exits]
        given_up += [now for _ in step.given_up]
        if step.done:
            break
        now += 0.25
    assert sent == [0.0, 1.0, 3.0, 8.0, 18.0, 38.0]
    assert len(sent) == 1 + len(PAUSES_S)
    assert given_up == [58.0]


def test_d7_it_is_done_once_flat() -> None:
    running = flattening()
    running.step([line(50)], 0.0)
    step = running.step([], 0.5)
    assert (step.exits, step.given_up, step.done) == ((), (), True)


def test_d7_an_exit_that_only_rests_is_handed_to_a_person_in_the_end() -> None:
    running = flattening()
    running.step([line(50)], 0.0)
    assert running.step([line(50, -50)], TIME_LIMIT_S - 1).given_up == ()
    assert running.step([line(50, -50)], TIME_LIMIT_S).given_up == (line(50, -50),)
