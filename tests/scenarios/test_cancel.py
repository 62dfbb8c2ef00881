"""Cancelling and squaring off over HTTP, down to the exchange (C10, C11, C14)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import requests

from core.messages import GetBrokerUse
from core.model.order import ExecutionType, Product, Tag
from tests.scenarios.orders import marketable, resting
from tests.support import wait_until
from tests.support_service import Running


def post(service: Running, path: str, body: dict[str, Any] | None = None) -> requests.Response:
    assert service.service.web is not None
    return requests.post(f"{service.service.web.url}{path}", json=body, timeout=20)


def cancel(service: Running, command_id: str) -> tuple[int, str]:
    response = post(service, f"/api/orders/{command_id}/cancel", {"by": "tester"})
    return response.status_code, response.json()["standing"]


def open_order(service: Running, **changes: Any) -> str:
    result = service.submit(resting(**changes))
    service.wait_at_exchange(result.broker_order_id)
    return result.command_id


def cancel_calls(service: Running) -> int:
    recent = service.service.runtime.tracer.recent()
    return sum(1 for record in recent if record.type == "CancelAtBroker")


def notes(service: Running, command_id: str) -> list[str]:
    return [event["reason"] for event in service.row(command_id)["events"] if event["reason"]]


def test_a_cancel_is_taken_by_the_broker_and_ended_by_the_book(service: Running) -> None:
    command_id = open_order(service)
    assert cancel(service, command_id) == (202, "TAKEN")
    row = service.wait_for(command_id, "FAILED")
    assert (row["tag"], row["filled_quantity"]) == (Tag.BROKER_CANCELLED, 0)
    told = notes(service, command_id)
    assert "cancel wanted by tester" in told
    assert any(note.startswith("cancel taken: ") for note in told)
    service.wait_for_guard([])
    assert service.submit(resting()).success, "the symbol is free again"


def test_c10_a_cancel_of_unknown_outcome_stays_pending_until_the_book_tells(service: Running) -> None:
    command_id = open_order(service)
    service.control("add_fault", kind="drop_502", path="CancelOrder")
    assert cancel(service, command_id) == (202, "UNKNOWN")
    service.wait_for_polls(3)
    row = service.row(command_id)
    assert (row["status"], row["unknown"]) == ("SENT_TO_BROKER", False), "not assumed cancelled"
    assert cancel_calls(service) == 1, "nor asked again"
    service.control("add_fault", kind="accept_502", path="CancelOrder")
    assert cancel(service, command_id) == (202, "UNKNOWN")
    assert service.wait_for(command_id, "FAILED")["tag"] == Tag.BROKER_CANCELLED


def test_c11_a_cancel_refused_because_the_order_is_filled_is_settled_from_the_book_and_not_repeated(
    service: Running,
) -> None:
    command_id = open_order(service)
    # The service has not read the book yet when it asks: the fill comes with the refusal.
    service.control("add_fault", kind="book_missing_order", count=0)
    number = service.row(command_id)["broker_order_id"]
    service.control("fill_order", norenordno=number, qty=50, prc="1450")
    status, standing = cancel(service, command_id)
    service.control("clear_faults")
    row = service.wait_for(command_id, "EXECUTED")
    assert (row["filled_quantity"], Decimal(row["average_price"])) == (50, Decimal(1450))
    # Where the feed was faster than the request, there was nothing left to ask for.
    assert (status, standing) in ((409, "REFUSED"), (409, "OVER"))
    service.wait_for_polls(2)
    assert cancel_calls(service) <= 1
    assert service.guard_lines() == [("alpha", "INFY-EQ", 50, 0)]


def test_a_cancel_refused_while_the_order_lives_leaves_it_alive(service: Running) -> None:
    command_id = open_order(service)
    service.control("add_fault", kind="cancel_refused_while_open")
    assert cancel(service, command_id) == (409, "REFUSED")
    service.wait_for_polls(2)
    assert service.row(command_id)["status"] == "SENT_TO_BROKER"
    assert any(note.startswith("cancel refused: ") for note in notes(service, command_id))
    assert cancel(service, command_id) == (202, "TAKEN")


def test_a_cancel_before_the_number_is_known_says_so(service: Running) -> None:
    service.control("add_fault", kind="drop_hang", path="PlaceOrder")
    box = service.begin(resting(idempotency_key="slow"))
    row = service.wait_for_key("slow", "SENT_TO_BROKER")
    assert cancel(service, row["command_id"]) == (409, "NO_NUMBER")
    assert service.answer(box).unknown
    assert cancel(service, row["command_id"]) == (409, "NO_NUMBER")


def test_what_is_over_or_nobodys_is_not_cancelled(service: Running) -> None:
    result = service.submit(marketable())
    service.wait_for(result.command_id, "EXECUTED")
    assert cancel(service, result.command_id) == (409, "OVER")
    assert cancel(service, "261123-nobod-1") == (404, "NO_ORDER")
    assert cancel_calls(service) == 0


def test_e5_a_cancel_without_a_session_is_answered_at_once(service: Running) -> None:
    command_id = open_order(service)
    service.control("add_fault", kind="drop_502", path="QuickAuth", count=0)
    service.control("kill_token")
    wait_until(lambda: not service.ask("broker_proxy", GetBrokerUse()).session_up)
    assert cancel(service, command_id) == (503, "NOT_SENT")
    assert service.row(command_id)["status"] == "SENT_TO_BROKER"


def test_a_square_off_exits_one_strategy_or_one_symbol_or_all(service: Running) -> None:
    service.set_price("1500", "RELIANCE-EQ")
    for strategy, symbol in (("alpha", "INFY-EQ"), ("beta", "INFY-EQ"), ("gamma", "RELIANCE-EQ")):
        entry = service.submit(marketable(strategy=strategy, symbol=symbol, quantity=10))
        service.wait_for(entry.command_id, "EXECUTED")
    exits = post(service, "/api/squareoff", {"strategy": "alpha"}).json()["exits"]
    assert [(one["strategy"], one["side"], one["quantity"]) for one in exits] == [("alpha", "SELL", 10)]
    service.wait_for_guard([("beta", "INFY-EQ", 10, 0), ("gamma", "RELIANCE-EQ", 10, 0)])
    exits = post(service, "/api/squareoff", {"symbol": "RELIANCE-EQ"}).json()["exits"]
    assert [one["strategy"] for one in exits] == ["gamma"]
    service.wait_for_guard([("beta", "INFY-EQ", 10, 0)])
    post(service, "/api/squareoff")
    service.wait_for_guard([])


def test_c14_holdings_are_never_sold_by_a_square_off(service: Running) -> None:
    entry = service.submit(marketable(ExecutionType.ENTRY, quantity=5, product=Product.CNC))
    service.wait_for(entry.command_id, "EXECUTED")
    assert post(service, "/api/squareoff").json()["exits"] == []
