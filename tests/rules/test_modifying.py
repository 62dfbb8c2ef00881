"""Which other terms an order is asked to have, and which rows of the order book say that it has them (C12)."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from core.messages import ModifyStatus, Seen
from core.model.broker import BrokerOrderReport, BrokerStatus
from core.model.order import ExecutionType, Modification, Order, OrderType, Side, Status, Terms
from core.rules.modifying import Denied, agrees, at_most, only_reduces, terms_of, wanted
from tests.factories import an_intent, an_order

RESTING = replace(an_order(an_intent()), status=Status.SENT_TO_BROKER, broker_order_id="26112300000001")
STOP = replace(
    RESTING,
    intent=an_intent(side=Side.SELL, order_type=OrderType.SL, price=Decimal(1490), trigger_price=Decimal(1495)),
)
AT_MARKET = replace(RESTING, intent=an_intent(order_type=OrderType.MARKET, price=None))


def asked(order: Order, seen: Seen | None = None, **fields: object) -> Terms | Denied:
    return wanted(order, tuple(fields.items()), seen or Seen())


def standing(order: Order, seen: Seen | None = None, **fields: object) -> ModifyStatus:
    found = asked(order, seen, **fields)
    assert isinstance(found, Denied)
    return found.standing


def pending(order: Order, **changes: Any) -> Order:
    return replace(order, modifying=Modification(terms=replace(order.terms, **changes), by="me"))


def report(terms: Terms, status: BrokerStatus = BrokerStatus.OPEN) -> BrokerOrderReport:
    return BrokerOrderReport(
        broker_order_id="26112300000001",
        client_tag=RESTING.command_id,
        exchange="NSE",
        symbol="INFY-EQ",
        side=Side.BUY,
        quantity=terms.quantity,
        status=status,
        raw_status=status.value,
        order_type=terms.order_type,
        price=terms.price,
        trigger_price=terms.trigger_price,
    )


@pytest.mark.parametrize(
    ("order", "fields", "becomes"),
    [
        (RESTING, {"price": "1501.5"}, "50 LIMIT 1501.5"),
        (RESTING, {"qty": 60, "price": 1499.95}, "60 LIMIT 1499.95"),
        (RESTING, {"order_type": "MARKET"}, "50 MARKET"),
        (RESTING, {"order_type": "SL", "trigger_price": 1495, "price": 1500}, "50 SL 1500 trigger 1495"),
        (STOP, {"trigger_price": 1492}, "50 SL 1490 trigger 1492"),
        (STOP, {"order_type": "LMT"}, "50 LIMIT 1490"),
        (STOP, {"order_type": "SL-M"}, "50 SL-M trigger 1495"),
        (AT_MARKET, {"price": 1502}, "50 LIMIT 1502"),
        (AT_MARKET, {"quantity": 60}, "60 MARKET"),
    ],
)
def test_what_is_left_out_stays_where_the_type_still_takes_it(
    order: Order, fields: dict[str, Any], becomes: str
) -> None:
    assert str(asked(order, **fields)) == becomes


@pytest.mark.parametrize(
    ("order", "fields", "field"),
    [
        (RESTING, {}, "(none)"),
        (RESTING, {"symbol": "TCS-EQ"}, "symbol"),
        (RESTING, {"price": "much"}, "price"),
        (RESTING, {"quantity": 0}, "quantity"),
        (RESTING, {"trigger_price": 1495}, "trigger_price"),
        (RESTING, {"order_type": "SL"}, "trigger_price"),
        (AT_MARKET, {"order_type": "LIMIT"}, "price"),
        (replace(RESTING, filled_quantity=50), {"quantity": 50, "price": 1}, "quantity"),
    ],
)
def test_a_field_that_cannot_be_is_named(order: Order, fields: dict[str, Any], field: str) -> None:
    found = asked(order, **fields)
    assert isinstance(found, Denied)
    assert (found.standing, found.problems[0].field) == (ModifyStatus.INVALID, field)


def test_what_the_caller_saw_must_still_be_so() -> None:
    part = replace(RESTING, filled_quantity=20)
    assert standing(part, Seen(filled_quantity=0), price=1502) is ModifyStatus.CHANGED
    assert standing(part, Seen(quantity=60), price=1502) is ModifyStatus.CHANGED
    assert standing(part, Seen(price=Decimal(1499)), price=1502) is ModifyStatus.CHANGED
    seen = Seen(quantity=50, filled_quantity=20, price=Decimal("1500.0"))
    assert str(asked(part, seen, price=1502)) == "50 LIMIT 1502"


def test_the_same_is_asked_for_once_and_nothing_else_meanwhile() -> None:
    assert standing(RESTING, price=1500) is ModifyStatus.UNCHANGED
    waiting = pending(RESTING, price=Decimal(1502))
    assert standing(waiting, price="1502.00") is ModifyStatus.UNDER_WAY
    assert standing(waiting, price=1503) is ModifyStatus.BUSY
    assert standing(replace(RESTING, broker_order_id=None), price=1503) is ModifyStatus.NO_NUMBER
    assert standing(replace(RESTING, status=Status.EXECUTED), price=1503) is ModifyStatus.OVER


def test_a_row_shows_what_was_asked_for_only_once_it_is_in_force() -> None:
    waiting = pending(RESTING, price=Decimal(1502), quantity=60)
    assert waiting.modifying is not None
    new = waiting.modifying.terms
    assert agrees(waiting.modifying, report(new))
    assert agrees(waiting.modifying, report(new, BrokerStatus.COMPLETE))
    assert not agrees(waiting.modifying, report(new, BrokerStatus.PENDING))
    others: tuple[dict[str, Any], ...] = ({"price": Decimal(1501)}, {"quantity": 50}, {"order_type": OrderType.SL})
    for other in others:
        assert not agrees(waiting.modifying, report(replace(new, **other)))
    assert terms_of(waiting, report(new)) == new


def test_what_goes_at_the_market_is_seen_as_the_limit_it_went_as() -> None:
    waiting = pending(RESTING, order_type=OrderType.MARKET, price=Decimal("1507.5"))
    assert waiting.modifying is not None
    limit = Terms(quantity=50, order_type=OrderType.LIMIT, price=Decimal("1507.5"))
    assert agrees(waiting.modifying, report(limit))
    assert terms_of(waiting, report(limit)).order_type is OrderType.MARKET


def test_a_silent_row_changes_nothing() -> None:
    silent = replace(report(RESTING.terms), quantity=None, price=None, order_type=None)
    assert terms_of(RESTING, silent) == RESTING.terms
    # The limit of a market order is not what was asked for.
    assert terms_of(AT_MARKET, report(RESTING.terms)) == AT_MARKET.terms


def test_what_may_fill_is_the_most_of_both() -> None:
    assert at_most(pending(RESTING, quantity=80)).quantity == 80
    assert at_most(pending(RESTING, quantity=30)).quantity == 50


def test_only_less_of_the_same_and_exits_add_no_risk() -> None:
    assert only_reduces(pending(RESTING, quantity=30))
    assert not only_reduces(pending(RESTING, quantity=60))
    assert not only_reduces(pending(RESTING, quantity=30, price=Decimal(1501)))
    leaving = replace(RESTING, intent=an_intent(ExecutionType.EXIT, Side.SELL))
    assert only_reduces(pending(leaving, price=Decimal(1)))
