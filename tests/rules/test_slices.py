"""Cutting a command into broker orders, and what they amount to (scenario G10)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.model.order import Order, Status, Tag
from core.rules.slices import cut, most_at_once, together, with_parts
from tests.factories import an_intent, an_order


@pytest.mark.parametrize(
    ("freeze", "lot", "most"),
    [(1801, 65, 1755), (601, 30, 600), (500_001, 1, 500_000), (None, 65, 0), (50, 65, 0), (1801, None, 1800)],
)
def test_g10_the_most_at_once_is_in_whole_lots_below_the_freeze_quantity(
    freeze: int | None, lot: int | None, most: int
) -> None:
    assert most_at_once(freeze, lot) == most


@given(st.integers(1, 100_000), st.integers(0, 2_000))
def test_g10_slices_are_the_whole_quantity_and_none_is_above_the_most(quantity: int, most: int) -> None:
    pieces = cut(quantity, most)
    assert sum(pieces) == quantity
    assert min(pieces) > 0
    assert most == 0 or max(pieces) <= most


def sliced(*quantities: int) -> Order:
    order = replace(an_order(an_intent(quantity=sum(quantities))), status=Status.SENT_TO_BROKER, parts=len(quantities))
    parts = tuple(replace(order, part=part, quantity=one) for part, one in enumerate(quantities, 1))
    return replace(order, broker_orders=parts)


def done(part: Order, number: str) -> Order:
    return replace(part, status=Status.EXECUTED, broker_order_id=number, filled_quantity=part.quantity)


def test_g10_a_command_is_executed_once_all_of_its_slices_are() -> None:
    order = sliced(20, 20, 10)
    first, second, third = order.broker_orders
    assert [one.client_tag for one in order.broker_orders] == [
        *(order.command_id, f"{order.command_id}.2", f"{order.command_id}.3")
    ]
    order = with_parts(order, (done(first, "N1"), done(second, "N2")))
    assert (order.status, order.filled_quantity, order.broker_order_id) == (Status.SENT_TO_BROKER, 40, "N1")
    assert not order.is_answered, "the third is not at the broker yet"
    order = with_parts(order, (done(third, "N3"),))
    assert (order.status, order.filled_quantity, order.tag) == (Status.EXECUTED, 50, None)


def test_g10_a_slice_that_failed_fails_the_command_which_keeps_what_filled() -> None:
    order = sliced(20, 20, 10)
    first, second, third = order.broker_orders
    refused = replace(second, status=Status.FAILED, tag=Tag.BROKER_REJECTED, reason="no margin")
    rest = replace(third, status=Status.FAILED, tag=Tag.CANCELLED_BEFORE_SENDING, reason="not sent")
    order = with_parts(order, (replace(first, broker_order_id="N1"), refused, rest))
    assert order.status is Status.SENT_TO_BROKER, "the first works at the broker"
    order = with_parts(order, (done(first, "N1"),))
    assert (order.status, order.tag, order.filled_quantity) == (Status.FAILED, Tag.BROKER_REJECTED, 20)
    assert order.reason == "slice 2 of 3: no margin; of the order 20 of 50 filled"
    late = with_parts(order, (replace(refused, filled_quantity=20),))
    assert (late.status, late.tag, late.filled_quantity) == (Status.FAILED, Tag.BROKER_REJECTED, 40), "law 3"


def test_g10_a_command_is_unknown_only_while_nothing_of_it_is_known() -> None:
    order = sliced(20, 20)
    first, second = order.broker_orders
    unknown = replace(first, unknown=True, reason="timeout")
    order = with_parts(order, (unknown,))
    assert (order.unknown, order.reason, order.is_answered) == (True, "timeout", False)
    order = together(order, (unknown, replace(second, broker_order_id="N2")))
    assert (order.unknown, order.reason, order.broker_order_id, order.is_answered) == (False, None, "N2", True)
