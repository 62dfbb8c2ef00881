"""Which orders at the market follow it, when and how far (G20)."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from core.model.broker import BrokerOrderReport, BrokerStatus, Quote
from core.model.order import ExecutionType, Modification, Order, OrderType, Side, Status
from core.rules.chase import ChaseRules, Chases, Ended, Moved, Working
from tests.factories import NOON, an_intent, an_order

RULES = ChaseRules(exits=True, entries=True, every_s=2.0, step_percent=Decimal("0.25"), steps=3)


def order(kind: ExecutionType, side: Side, **changes: Any) -> Order:
    intent = an_intent(kind, side, order_type=OrderType.MARKET, price=None)
    return replace(an_order(intent), status=Status.SENT_TO_BROKER, broker_order_id="1", **changes)


def works(one: Order, price: str, status: BrokerStatus = BrokerStatus.OPEN) -> Working:
    report = BrokerOrderReport(
        broker_order_id="1",
        client_tag=one.command_id,
        exchange="NSE",
        symbol="INFY-EQ",
        side=one.side,
        quantity=one.quantity,
        status=status,
        raw_status=status.value,
        order_type=OrderType.LIMIT,
        price=Decimal(price),
    )
    return Working(one, report)


def quoted(bid: str | None, ask: str | None, last: str = "1480", **more: Any) -> Quote:
    quote = Quote(
        exchange="NSE",
        symbol="INFY-EQ",
        last_price=Decimal(last),
        bid=None if bid is None else Decimal(bid),
        ask=None if ask is None else Decimal(ask),
        at=NOON,
        tick_size=Decimal("0.05"),
        lower_limit=Decimal(1350),
        upper_limit=Decimal(1650),
    )
    return replace(quote, **more)


def steps(
    working: Working, quotes: list[Quote], rules: ChaseRules = RULES, at: datetime = NOON
) -> list[Decimal | str | None]:
    """What becomes of an order at each price, as if the broker did each time what it is asked for."""
    chases, now, found = Chases(rules), 100.0, list[Decimal | str | None]()
    assert chases.look([working], now) == [], "it has just come there"
    for quote in quotes:
        now += rules.every_s
        if not chases.look([working], now):
            found.append(None)
            continue
        told = chases.priced(quote, now, at)
        step = told[0] if told else None
        match step:
            case Moved(terms=terms):
                assert terms.price is not None
                assert (terms.order_type, terms.quantity) == (OrderType.MARKET, working.order.quantity)
                working = works(working.order, str(terms.price))
                found.append(terms.price)
            case Ended(reason=reason):
                found.append(reason)
            case None:
                found.append(None)
    return found


def test_g20_an_exit_follows_through_the_touch_and_by_a_step_where_it_is_through_already() -> None:
    leaving = works(order(ExecutionType.EXIT, Side.SELL), "1490")
    # Through a bid of 1480 by half a per cent; then a step of a quarter per cent further, outward to the tick.
    assert steps(leaving, [quoted("1480", "1481"), quoted("1480", "1481")]) == [Decimal("1472.60"), Decimal("1468.90")]
    # Nobody bids: by the last price, and a step at least.
    [price] = steps(leaving, [quoted(None, "1491")])
    assert isinstance(price, Decimal)
    assert price <= Decimal("1486.25")


def test_g20_an_exit_goes_on_to_the_band_and_then_a_person_is_told_once() -> None:
    leaving = works(order(ExecutionType.EXIT, Side.SELL), "1353")
    told = steps(leaving, [quoted("1352", "1353", last="1352"), quoted(None, "1350"), quoted(None, "1350")])
    assert told[0] == Decimal(1350)
    assert "day's band" in str(told[1])
    assert told[2] is None


def test_g20_steps_are_bounded_in_number() -> None:
    leaving = works(order(ExecutionType.EXIT, Side.BUY), "1500")
    told = steps(leaving, [quoted("1499", "1500", last="1500")] * 4)
    assert all(isinstance(price, Decimal) for price in told[:3])
    assert "3 steps" in str(told[3])


def test_g20_an_entry_follows_by_steps_up_to_the_touch_within_its_bounds() -> None:
    entering = works(order(ExecutionType.ENTRY, Side.BUY), "1500")
    away = quoted("1505", "1506", last="1505")
    rules = replace(RULES, most_percent=Decimal("0.6"), steps=9)
    assert steps(entering, [away] * 4, rules) == [Decimal("1503.75"), Decimal(1506), None, None]
    far = quoted("1520", "1521", last="1520")
    told = steps(entering, [far] * 3, rules)
    assert told[:2] == [Decimal("1503.75"), Decimal("1507.55")]
    assert "1509" in str(told[2])
    [late] = steps(entering, [away], rules, NOON + timedelta(seconds=31))
    assert "30 s have passed" in str(late)
    assert steps(entering, [away], replace(rules, step_ticks=3)) == [Decimal("1500.15")]


@pytest.mark.parametrize(
    "working",
    [
        works(order(ExecutionType.EXIT, Side.SELL), "1490", BrokerStatus.PENDING),
        works(order(ExecutionType.EXIT, Side.SELL, parts=2), "1490"),
        Working(replace(order(ExecutionType.EXIT, Side.SELL), intent=an_intent()), None),
        Working(order(ExecutionType.EXIT, Side.SELL), None),
    ],
)
def test_g20_what_is_not_at_rest_as_a_limit_of_ours_is_left_alone(working: Working) -> None:
    assert steps(working, [quoted("1480", "1481")]) == [None]


def test_g20_nothing_is_asked_for_while_something_is_and_nothing_by_default() -> None:
    one = order(ExecutionType.EXIT, Side.SELL)
    assert steps(works(one, "1490"), [quoted("1480", "1481")], ChaseRules()) == [None]
    pending = replace(one, modifying=Modification(terms=one.terms, by="me"))
    assert steps(works(pending, "1490"), [quoted("1480", "1481")]) == [None]
