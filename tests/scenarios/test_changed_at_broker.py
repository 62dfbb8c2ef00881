"""A person changes the quantity of an order of ours at the broker (C12, G1): row and guard follow what it is there."""

from __future__ import annotations

import pytest

from core.messages import GetGuardSnapshot
from core.model.order import OrderResult, Product
from tests.scenarios.orders import EXIT, SELL, marketable, resting
from tests.scenarios.test_g_account import enter, net
from tests.support import wait_until
from tests.support_service import Running


def change(service: Running, order: OrderResult, quantity: int) -> None:
    number = service.row(order.command_id)["broker_order_id"]
    service.wait_at_exchange(number)
    service.control("change_order", norenordno=number, qty=quantity)


def events(service: Running, order: OrderResult) -> str:
    return "; ".join(event["reason"] or "" for event in service.row(order.command_id)["events"])


def test_c12_a_quantity_made_smaller_at_the_broker_is_what_is_ordered_and_executed(service: Running) -> None:
    entry = service.submit(resting(quantity=100))
    change(service, entry, 40)
    wait_until(lambda: service.row(entry.command_id)["quantity"] == 40)
    service.wait_for_guard([("alpha", "INFY-EQ", 0, 40)])
    service.set_price("1445")
    row = service.wait_for(entry.command_id, "EXECUTED")
    assert (row["quantity"], row["filled_quantity"]) == (40, 40)
    assert "quantity changed at the broker: 100 to 40" in events(service, entry)
    assert len(service.alerts("order_changed")) == 1


def test_g1_an_exit_made_larger_at_the_broker_than_the_holding_is_told_and_cancelled(service: Running) -> None:
    enter(service, 100)
    stop = service.submit(resting(EXIT, SELL, 100))
    change(service, stop, 250)
    service.wait_for(stop.command_id, "FAILED")
    service.set_price("1560")
    assert net(service) == 100
    [alarm] = service.alerts("order_changed")
    assert "100 to 250" in alarm
    service.wait_for_guard([("alpha", "INFY-EQ", 100, 0)])


@pytest.mark.parametrize("quantity", [30, 80])
def test_c12_what_was_asked_for_is_the_same_order_whatever_a_person_made_of_it(service: Running, quantity: int) -> None:
    asked = resting(quantity=50, idempotency_key="k1")
    entry = service.submit(asked)
    change(service, entry, quantity)
    wait_until(lambda: service.row(entry.command_id)["quantity"] == quantity)
    assert service.submit(asked).command_id == entry.command_id
    assert "key" in str(service.submit(resting(quantity=quantity, idempotency_key="k1")).reason)
    wait_until(lambda: len(service.alerts("key_reused")) == 1)


def test_c12_a_quantity_made_larger_at_the_broker_is_held_whole(service: Running) -> None:
    entry = service.submit(resting(quantity=50))
    change(service, entry, 80)
    service.wait_for_guard([("alpha", "INFY-EQ", 0, 80)])
    service.set_price("1445")
    row = service.wait_for(entry.command_id, "EXECUTED")
    assert (row["quantity"], row["filled_quantity"]) == (80, 80)
    service.set_price("1500")
    left = service.submit(marketable(EXIT, SELL, 80))
    assert service.wait_for(left.command_id, "EXECUTED")["filled_quantity"] == 80


def test_c12_an_exit_made_larger_that_fills_beyond_its_old_quantity_works_for_the_rest_alone(service: Running) -> None:
    enter(service, 500)
    enter(service, 100, strategy="beta")
    stop = service.submit(resting(EXIT, SELL, 100))
    number = service.row(stop.command_id)["broker_order_id"]
    service.wait_at_exchange(number)
    service.mute()
    service.control("add_fault", kind="book_502", path="OrderBook", count=0)
    service.control("change_order", norenordno=number, qty=400)
    wait_until(lambda: any((o["norenordno"], o["qty"]) == (number, 400) for o in service.sent()))
    service.wait_at_exchange(number)
    service.control("fill_order", norenordno=number, qty=300)
    service.control("clear_faults")
    wait_until(lambda: service.row(stop.command_id)["quantity"] == 400)
    service.wait_for_guard([("alpha", "INFY-EQ", 200, -100), ("beta", "INFY-EQ", 100, 0)])
    assert not service.alerts("exit_excess")
    assert service.row(stop.command_id)["status"] == "SENT_TO_BROKER"


@pytest.mark.parametrize("converted", [100, 40])
def test_g9_what_an_exit_opens_because_its_holding_was_converted_is_its_strategys(
    service: Running, converted: int
) -> None:
    """The EXIT fills before anybody can have seen the conversion."""
    enter(service, 100)
    leave = service.submit(resting(EXIT, SELL, 100))
    service.wait_at_exchange(service.row(leave.command_id)["broker_order_id"])
    what = {"account": "PAPER", "exch": "NSE", "tsym": "INFY-EQ", "qty": converted}
    service.control("convert_position", **what, prevprd="I", prd="C")
    service.set_price("1560")
    service.wait_for(leave.command_id, "EXECUTED")

    def lines() -> set[tuple[Product, int, bool]]:
        found = service.ask("execution_guard", GetGuardSnapshot()).lines
        return {(line.product, line.held, line.unintended) for line in found}

    wait_until(lambda: lines() == {(Product.MIS, -converted, True), (Product.CNC, converted, False)}, 20.0)
    wait_until(lambda: bool(service.alerts("exit_opened")))
    [alarm] = service.alerts("exit_opened")
    assert "converted from MIS to CNC" in alarm
    assert f"flatten INFY-EQ --quantity=-{converted}" in alarm
    left = service.submit(marketable(EXIT, SELL, converted, product=Product.CNC))
    service.wait_for(left.command_id, "EXECUTED")
    assert (net(service, "I"), net(service, "C")) == (-converted, 0)


def test_g9_an_exit_that_rests_is_cancelled_once_its_holding_is_converted(service: Running) -> None:
    enter(service, 100)
    stop = service.submit(resting(EXIT, SELL, 100))
    service.wait_at_exchange(service.row(stop.command_id)["broker_order_id"])
    service.control("convert_position", account="PAPER", exch="NSE", tsym="INFY-EQ", qty=100, prevprd="I", prd="C")
    service.wait_for(stop.command_id, "FAILED")
    wait_until(
        lambda: any(
            (line.product, line.held) == (Product.CNC, 100)
            for line in service.ask("execution_guard", GetGuardSnapshot()).lines
        ),
        15.0,
    )
    assert (net(service, "I"), net(service, "C")) == (0, 100)
