"""Other terms for orders at the broker, over HTTP and down to the exchange (C12)."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import requests

from core.model.order import OrderType
from core.paper.server import PaperServer
from core.store import check
from tests.factories import an_intent
from tests.scenarios.orders import EXIT, SELL, resting
from tests.scenarios.test_cancel import notes, open_order, post
from tests.scenarios.test_g_account import enter
from tests.support import wait_until
from tests.support_service import Running, running


def modify(service: Running, command_id: str, **fields: Any) -> tuple[int, str]:
    response = asked(service, command_id, **fields)
    return response.status_code, response.json()["standing"]


def asked(service: Running, command_id: str, **fields: Any) -> requests.Response:
    return post(service, f"/api/orders/{command_id}/modify", {"by": "tester", **fields})


def terms(service: Running, command_id: str) -> tuple[int, str, Decimal | None]:
    row = service.row(command_id)
    return row["quantity"], row["order_type"], None if row["price"] is None else Decimal(row["price"])


def calls(service: Running) -> int:
    return sum(1 for record in service.service.runtime.tracer.recent() if record.type == "ModifyAtBroker")


def settled(service: Running, command_id: str) -> None:
    wait_until(lambda: service.row(command_id)["modifying"] is None)


def test_c12_a_modification_holds_once_the_book_shows_it(service: Running) -> None:
    command_id = open_order(service, quantity=50, idempotency_key="k1")
    price = terms(service, command_id)[2]
    assert price is not None
    answer = asked(service, command_id, price=str(price + 1), quantity=60, seen={"filled_quantity": 0})
    assert (answer.status_code, answer.json()["standing"]) == (202, "TAKEN")
    settled(service, command_id)
    assert terms(service, command_id) == (60, "LIMIT", price + 1)
    service.wait_for_guard([("alpha", "INFY-EQ", 0, 60)])
    told = notes(service, command_id)
    assert any(note.startswith("modify wanted by tester: 50 LIMIT") for note in told)
    assert any(note.startswith("modified as tester asked: 50 LIMIT") for note in told)
    assert not service.alerts("order_changed"), "nobody else did it"
    # The same again, and what is wrong, cost the broker nothing.
    assert modify(service, command_id, price=str(price + 1), quantity=60) == (200, "UNCHANGED")
    changed = asked(service, command_id, price="1", seen={"quantity": 50, "price": str(price)})
    assert (changed.status_code, changed.json()["standing"]) == (409, "CHANGED")
    assert changed.json()["order"]["quantity"] == 60
    wrong = asked(service, command_id, price="much", symbol="TCS-EQ")
    assert wrong.status_code == 422
    assert calls(service) == 1
    assert service.submit(resting(quantity=50, idempotency_key="k1")).command_id == command_id, "the same order still"


def test_c12_a_modification_of_unknown_outcome_is_told_by_the_book_alone(service: Running) -> None:
    command_id = open_order(service)
    before = terms(service, command_id)
    assert before[2] is not None
    # Carried out, and the answer is lost.
    service.control("add_fault", kind="accept_502", path="ModifyOrder")
    assert modify(service, command_id, quantity=30) == (202, "UNKNOWN")
    settled(service, command_id)
    assert terms(service, command_id)[0] == 30
    # Not carried out: until the book has told so read after read, nothing else is asked for, nor the same again.
    service.control("add_fault", kind="drop_502", path="ModifyOrder")
    assert modify(service, command_id, quantity=40) == (202, "UNKNOWN")
    assert modify(service, command_id, quantity=40) == (202, "UNDER_WAY")
    assert modify(service, command_id, quantity=20) == (409, "BUSY")
    service.wait_for_guard([("alpha", "INFY-EQ", 0, 40)])
    settled(service, command_id)
    assert terms(service, command_id)[0] == 30
    assert any("modify not carried out" in note for note in notes(service, command_id))
    assert check(service.store) == []
    service.wait_for_guard([("alpha", "INFY-EQ", 0, 30)])
    # Refused by the broker at once, and by the exchange after the broker's Ok.
    service.control("add_fault", kind="refuse_text", path="ModifyOrder", text="Rejected : ORA:Order not found")
    assert modify(service, command_id, quantity=40) == (409, "REFUSED")
    assert service.row(command_id)["modifying"] is None
    service.control("add_fault", kind="modify_ok_then_rejected")
    assert modify(service, command_id, quantity=40) == (202, "TAKEN")
    settled(service, command_id)
    assert terms(service, command_id)[0] == 30
    assert calls(service) == 4


def test_c12_a_fill_that_crosses_a_modification_is_kept(service: Running) -> None:
    command_id = open_order(service)
    number = service.row(command_id)["broker_order_id"]
    price = terms(service, command_id)[2]
    # The whole order fills while the modification is on its way to the exchange.
    service.control("add_fault", kind="modify_late", seconds=1.0)
    assert modify(service, command_id, quantity=80) == (202, "TAKEN")
    service.control("fill_order", norenordno=number, qty=50, prc=str(price))
    row = service.wait_for(command_id, "EXECUTED")
    assert (row["quantity"], row["filled_quantity"], row["modifying"]) == (50, 50, None)
    service.wait_for_guard([("alpha", "INFY-EQ", 50, 0)])
    assert modify(service, command_id, quantity=80) == (409, "OVER")


def test_g1_an_exit_is_never_raised_above_what_its_strategy_holds(service: Running) -> None:
    enter(service, 100)
    stop = service.submit(resting(EXIT, SELL, 60))
    service.wait_at_exchange(stop.broker_order_id)
    assert modify(service, stop.command_id, quantity=101) == (409, "BLOCKED")
    service.wait_for_guard([("alpha", "INFY-EQ", 100, -60)])
    assert modify(service, stop.command_id, quantity=100) == (202, "TAKEN")
    settled(service, stop.command_id)
    service.wait_for_guard([("alpha", "INFY-EQ", 100, -100)])
    # At the market: a limit by the quote, as for a new order.
    assert modify(service, stop.command_id, order_type="MARKET") == (202, "TAKEN")
    assert service.wait_for(stop.command_id, "EXECUTED")["filled_quantity"] == 100
    service.wait_for_guard([])


def open_order_exit(service: Running) -> str:
    stop = service.submit(resting(EXIT, SELL, 100))
    service.wait_at_exchange(stop.broker_order_id)
    return stop.command_id


def test_c8_g20_an_exit_that_the_market_has_left_behind_follows_it_until_it_is_filled(tmp_path: Path) -> None:
    with running(tmp_path, SIXSTEP_CHASE__EXITS="true", SIXSTEP_CHASE__EVERY_S="0.3") as service:
        service.set_price("1500")
        enter(service, 100)
        # One that the broker ends is an alarm, unless it was cancelled here.
        service.control("add_fault", kind="reject_order", text="RED:Margin Shortfall:INR 12.00 Available:INR 0.00")
        refused = service.submit(resting(EXIT, SELL, 100))
        service.wait_for(refused.command_id, "FAILED")
        stop = open_order_exit(service)
        assert post(service, f"/api/orders/{stop}/cancel").status_code == 202
        service.wait_for(stop, "FAILED")
        wait_until(lambda: bool(service.alerts("exit_failed")))
        [alarm] = service.alerts("exit_failed")
        assert refused.command_id in alarm
        assert "refused for MARGIN" in alarm
        # Its limit is found by what was the price a moment ago.
        service.control("add_fault", kind="quote_stale", seconds=3600)
        service.set_price("1460")
        leave = service.submit(an_intent(EXIT, SELL, 100, order_type=OrderType.MARKET, price=None))
        row = service.wait_for(leave.command_id, "EXECUTED")
        told = "; ".join(notes(service, leave.command_id))
        assert (row["filled_quantity"], row["order_type"]) == (100, "MARKET"), told
        assert "modified as chase (step 1) asked" in told
        service.wait_for_guard([])


def test_c12_a_modification_under_way_at_a_restart_is_told_by_the_book(tmp_path: Path, exchange: PaperServer) -> None:
    with running(tmp_path, exchange=exchange) as service:
        command_id = open_order(service)
        service.mute()
        service.control("add_fault", kind="book_502", path="OrderBook", count=0)
        service.control("add_fault", kind="accept_502", path="ModifyOrder")
        assert modify(service, command_id, quantity=70) == (202, "UNKNOWN")
        assert (service.row(command_id)["quantity"], service.row(command_id)["modifying"]["quantity"]) == (50, 70)
        service.control("clear_faults")
    with running(tmp_path, exchange=exchange) as service:
        settled(service, command_id)
        assert terms(service, command_id)[0] == 70
        assert calls(service) == 0, "nothing is sent again"
        service.wait_for_guard([("alpha", "INFY-EQ", 0, 70)])
