"""What becomes of an EXIT that waited for its call (scenario G1), as a table."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from core.messages import OrderNotSent, PlaceOrder, Verified, VerifyAgain
from core.model.broker import BrokerOrderReport, BrokerStatus
from core.model.order import ExecutionType, Order, Side
from core.rules.exit_freshness import LOOKS, ExitFreshness
from tests.factories import NOON, an_intent, an_order


def an_exit() -> Order:
    return an_order(an_intent(ExecutionType.EXIT, Side.SELL))


def after(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def external(order: Order, side: Side = Side.SELL) -> BrokerOrderReport:
    return BrokerOrderReport(
        broker_order_id="E1",
        client_tag=None,
        exchange=order.exchange,
        symbol=order.symbol,
        side=side,
        quantity=1,
        status=BrokerStatus.COMPLETE,
        raw_status="COMPLETE",
        filled_quantity=1,
        product=order.product,
    )


READ, UNREAD = Verified(NOON), Verified(NOON, unread=True)
LAST, LAST_UNREAD = replace(READ, looks=LOOKS), replace(UNREAD, looks=LOOKS)
BEFORE, SINCE = after(-60), after(0.1)


@pytest.mark.parametrize(
    ("verified", "seconds", "session", "quoted", "seen", "verdict"),
    [
        (None, 60, SINCE, None, "external doubt", None),
        (READ, 1.0, BEFORE, None, "", None),
        (READ, 1.1, BEFORE, None, "", VerifyAgain),
        (LAST, 60, SINCE, None, "doubt", None),
        (READ, 0.5, BEFORE, None, "external", VerifyAgain),
        (READ, 0.5, BEFORE, None, "doubt", VerifyAgain),
        (READ, 0.5, BEFORE, None, "other side", None),
        (READ, 0.5, BEFORE, None, "early", None),
        (LAST, 0.5, BEFORE, None, "external", OrderNotSent),
        (UNREAD, 60, BEFORE, None, "", None),
        (UNREAD, 0.5, SINCE, None, "", VerifyAgain),
        (LAST_UNREAD, 0.5, SINCE, None, "", VerifyAgain),
        (LAST_UNREAD, 0.5, BEFORE, None, "", None),
        (UNREAD, 60, BEFORE, after(59), "", None),
        (UNREAD, 60, BEFORE, after(58), "", VerifyAgain),
        (UNREAD, 0.5, BEFORE, None, "external", OrderNotSent),
        (UNREAD, 0.5, BEFORE, None, "doubt", VerifyAgain),
        (LAST_UNREAD, 0.5, BEFORE, None, "doubt", OrderNotSent),
    ],
)
def test_g1_an_exit_goes_by_what_was_seen_since_it_was_let_go(
    *,
    verified: Verified | None,
    seconds: float,
    session: datetime,
    quoted: datetime | None,
    seen: str,
    verdict: type | None,
) -> None:
    order, rules = an_exit(), ExitFreshness()
    if "external" in seen:
        rules.note_external(external(order), after(0.2))
    if "doubt" in seen:
        rules.note_doubt(order.command_id, after(0.2))
    if "other side" in seen:
        rules.note_external(external(order, Side.BUY), after(0.2))
    if "early" in seen:
        rules.note_external(external(order), after(-0.2))
        rules.note_doubt(order.command_id, after(-0.2))
    found = rules.judge(PlaceOrder(order, verified), after(seconds), session_since=session, quoted_since=quoted)
    assert (type(found) if found else None) is verdict


def test_g1_an_exit_that_is_not_sent_names_the_external_order() -> None:
    order, rules = an_exit(), ExitFreshness()
    rules.note_external(external(order), after(0.2))
    found = rules.judge(PlaceOrder(order, UNREAD), after(0.3), session_since=BEFORE)
    assert isinstance(found, OrderNotSent)
    assert "external order E1 filled on the same side meanwhile" in found.reason


def test_g1_a_doubt_holds_an_exit_up_once() -> None:
    order, rules = an_exit(), ExitFreshness()
    rules.note_doubt(order.command_id, after(0.2))
    asked = [rules.judge(PlaceOrder(order, READ), after(0.3), session_since=BEFORE) for _ in range(2)]
    assert [found is None for found in asked] == [False, True]
