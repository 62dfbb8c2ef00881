"""Which ends of an EXIT are an alarm, and what it says (C8, G20)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from core.model.order import ExecutionType, Order, Side, Status, Tag, Validity
from core.rules.failed_exits import failed_exit
from tests.factories import an_intent, an_order


def ended(tag: Tag | None, reason: str = "", kind: ExecutionType = ExecutionType.EXIT, **more: Any) -> Order:
    status = Status.EXECUTED if tag is None else Status.FAILED
    return replace(an_order(an_intent(kind, Side.SELL)), status=status, tag=tag, reason=reason, **more)


def test_c8_an_exit_refused_for_margin_is_named_as_such() -> None:
    told = failed_exit(
        ended(Tag.BROKER_REJECTED, "RED:Margin Shortfall:INR 1200.00 Available:INR 0"), cancel_wanted=False
    )
    assert told is not None
    assert "rejected: RED:Margin Shortfall" in told
    assert "refused for MARGIN" in told
    other = failed_exit(ended(Tag.BROKER_REJECTED, "RED:RULE circuit limit"), cancel_wanted=False)
    assert other is not None
    assert "MARGIN" not in other


@pytest.mark.parametrize("tag", [Tag.BROKER_REJECTED, Tag.BROKER_CANCELLED, Tag.BROKER_EXPIRED])
def test_c8_what_the_broker_ended_tells_what_is_held_still(tag: Tag) -> None:
    told = failed_exit(ended(tag, "no", filled_quantity=20), cancel_wanted=False)
    assert told is not None
    assert "30 are held still" in told


@pytest.mark.parametrize(
    ("order", "wanted"),
    [
        (ended(None), False),
        (ended(Tag.BROKER_CANCELLED), True),
        (ended(Tag.BROKER_REJECTED, kind=ExecutionType.ENTRY), False),
        (ended(Tag.EXECUTION_GUARD_BLOCKED), False),
        (ended(Tag.BROKER_CANCELLED, filled_quantity=50), False),
    ],
)
def test_c8_what_was_wanted_or_is_no_exit_is_no_alarm(order: Order, wanted: bool) -> None:
    assert failed_exit(order, cancel_wanted=wanted) is None


def test_c8_ioc_is_meant_to_end() -> None:
    order = ended(Tag.BROKER_CANCELLED)
    ioc = replace(order, intent=replace(order.intent, validity=Validity.IOC))
    assert failed_exit(ioc, cancel_wanted=False) is None
