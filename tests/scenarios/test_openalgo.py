"""The OpenAlgo entry point through the whole service, on paper: each call with its values, and what must never be."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from core.messages import GetPositions
from core.paper.server import PaperServer
from core.store import check
from tests.support import wait_until
from tests.support_openalgo import FILES, INFY, OPENALGO, TCS, Client, begun, client_of, expiry_of
from tests.support_process import lasting_ports
from tests.support_service import Running, running

LIMIT: dict[str, Any] = {"price_type": "LIMIT", "price": "1450"}


@pytest.fixture
def paper(tmp_path: Path, engine: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:  # noqa: ARG001
    monkeypatch.setattr("core.web.openalgo.placing._FILL_S", 60)
    monkeypatch.setattr("core.web.openalgo.orders._CLOSE_S", 60)
    with running(tmp_path, **FILES, **OPENALGO) as service:
        yield begun(service)


def kinds(service: Running) -> list[tuple[str, str, int, str]]:
    """The rows, oldest first."""
    rows = reversed(service.rows())
    return [(row["execution_type"], row["side"], row["quantity"], row["status"]) for row in rows]


def filled(service: Running, answer: dict[str, Any]) -> dict[str, Any]:
    """An order that was taken, once it has filled and the guard knows it."""
    assert answer["status"] == "success", answer
    row = service.wait_for(answer["command_id"], "EXECUTED")
    wait_until(lambda: all(reserved == 0 for *_, reserved in service.guard_lines()))
    assert answer["orderid"] == row["broker_order_id"]
    return row


def net(service: Running, symbol: str = "INFY-EQ") -> int:
    """What the orders at the exchange have filled together."""
    orders = [one for one in service.sent() if one["tsym"] == symbol]
    return sum(one["filled"] if one["side"].startswith("B") else -one["filled"] for one in orders)


def books_are_equal(service: Running) -> None:
    """What strategies hold is what the broker shows, in every symbol."""

    def equal() -> bool:
        held: dict[str, int] = {}
        for _, symbol, quantity, _ in service.guard_lines():
            held[symbol] = held.get(symbol, 0) + quantity
        read = service.ask("order_watcher", GetPositions()).positions
        shown = {one.symbol: one.net_quantity for one in read if one.net_quantity}
        return {symbol: quantity for symbol, quantity in held.items() if quantity} == shown

    wait_until(equal)
    assert check(service.store) == []


def test_a_day_of_orders_both_ways_through_zero_ends_with_equal_books(paper: Running) -> None:
    client = client_of(paper, "Python Day")
    bought = filled(paper, client.placeorder(**INFY, action="BUY", quantity=10))
    status = client.texts("orderstatus", order_id=bought["broker_order_id"])["data"]
    expected = {"order_status": "complete", "symbol": "INFY", "action": "BUY", "quantity": 10, "filled_quantity": 10}
    assert {name: status[name] for name in expected} == expected
    assert status["average_price"] == float(bought["average_price"])
    assert client.texts("orderstatus", order_id=bought["command_id"])["data"] == status
    filled(paper, client.placeorder(**INFY, action="buy", quantity=5))
    filled(paper, client.placeorder(**TCS, action="BUY", quantity=2))
    assert client.open("INFY") == "15"
    filled(paper, client.placeorder(**INFY, action="SELL", quantity=4))
    # From 11 to -9, and back to 6.
    short = client.placesmartorder(**INFY, action="SELL", quantity=1, position_size=-9)
    assert [part["status"] for part in short["parts"]] == ["success", "success"]
    filled(paper, short)
    assert client.open("INFY") == "-9"
    filled(paper, client.placesmartorder(**INFY, action="BUY", quantity=1, position_size=6))
    same = client.placesmartorder(**INFY, action="BUY", quantity=1, position_size=6)
    assert same == {"status": "success", "message": "Positions Already Matched. No Action needed.", "mode": "analyze"}
    # One order through zero.
    filled(paper, client.placeorder(**INFY, action="SELL", quantity=10))
    assert kinds(paper) == [
        ("ENTRY", "BUY", 10, "EXECUTED"),
        ("ADJUST", "BUY", 5, "EXECUTED"),
        ("ENTRY", "BUY", 2, "EXECUTED"),
        ("EXIT", "SELL", 4, "EXECUTED"),
        ("EXIT", "SELL", 11, "EXECUTED"),
        ("ENTRY", "SELL", 9, "EXECUTED"),
        ("EXIT", "BUY", 9, "EXECUTED"),
        ("ENTRY", "BUY", 6, "EXECUTED"),
        ("EXIT", "SELL", 6, "EXECUTED"),
        ("ENTRY", "SELL", 4, "EXECUTED"),
    ]
    assert {row["strategy"] for row in paper.rows()} == {"Python_Day"}
    assert net(paper) == -4
    books_are_equal(paper)
    assert_books(client)


def assert_books(client: Client) -> None:
    """The books after the day above."""
    book = client.ask("orderbook")["data"]
    assert book["statistics"] == {
        "total_buy_orders": 5,
        "total_sell_orders": 5,
        "total_completed_orders": 10,
        "total_open_orders": 0,
        "total_rejected_orders": 0,
    }
    assert all(one["orderid"] and one["order_status"] == "complete" for one in book["orders"])
    trades = client.ask("tradebook")["data"]
    bought = sum(one["quantity"] for one in trades if (one["action"], one["symbol"]) == ("BUY", "INFY"))
    assert bought == 30
    assert all(
        Decimal(str(one["trade_value"])) == one["quantity"] * Decimal(str(one["average_price"])) for one in trades
    )
    held = {one["symbol"]: one["quantity"] for one in client.ask("positionbook")["data"]}
    assert held == {"INFY": -4, "TCS": 2}
    assert client.open("INFY") == "-4"


def test_openposition_of_a_strategy_nobody_knows_is_the_accounts(paper: Running) -> None:
    filled(paper, client_of(paper, "one").placeorder(**INFY, action="BUY", quantity=10))
    filled(paper, client_of(paper, "two").placeorder(**INFY, action="BUY", quantity=7))
    books_are_equal(paper)
    assert [client_of(paper, name).open("INFY") for name in ("one", "two", "nobody")] == ["10", "7", "17"]


def test_a_price_that_a_market_order_does_not_take_means_nothing(paper: Running) -> None:
    answer = client_of(paper).placeorder(**INFY, action="BUY", quantity=1, price="0", trigger_price="0")
    filled(paper, answer)
    filled(paper, client_of(paper).placeorder(**INFY, action="BUY", quantity=1, price="1400.05"))


def test_cancelorder_by_either_number(paper: Running) -> None:
    client = client_of(paper)
    first = client.placeorder(**INFY, **LIMIT, action="BUY", quantity=10)
    paper.wait_at_exchange(first["orderid"])
    listed = client.ask("orderbook")["data"]["orders"]
    assert [(one["order_status"], one["pending_quantity"], one["price"]) for one in listed] == [("open", 10, 1450)]
    cancelled = client.texts("cancelorder", order_id=first["orderid"])
    assert (cancelled["status"], cancelled["orderid"]) == ("success", first["orderid"])
    assert paper.wait_for(first["command_id"], "FAILED")["tag"] == "BROKER_CANCELLED"
    assert client.texts("orderstatus", order_id=first["orderid"])["data"]["order_status"] == "cancelled"
    over = client.texts("cancelorder", order_id=first["command_id"])
    assert over["code"] == 400
    assert client.texts("cancelorder", order_id="no-such-order")["code"] == 404


def test_cancelallorder_is_about_the_named_strategy(paper: Running) -> None:
    mine, other = client_of(paper, "mine"), client_of(paper, "other")
    placed = [mine.placeorder(**INFY, **LIMIT, action="BUY"), other.placeorder(**INFY, **LIMIT, action="BUY")]
    placed.append(mine.placeorder(**TCS, price_type="LIMIT", price="2900", action="BUY"))
    for one in placed:
        paper.wait_at_exchange(one["orderid"])
    answer = mine.texts("cancelallorder")
    assert answer["message"] == "Canceled 2 orders. Failed to cancel 0 orders."
    assert {one["orderid"] for one in answer["canceled_orders"]} == {placed[0]["orderid"], placed[2]["orderid"]}
    assert answer["failed_cancellations"] == []
    for one in (placed[0], placed[2]):
        paper.wait_for(one["command_id"], "FAILED")
    assert paper.row(placed[1]["command_id"])["status"] == "SENT_TO_BROKER"


def test_closeposition_is_about_the_named_strategy(paper: Running) -> None:
    mine, other = client_of(paper, "mine"), client_of(paper, "other")
    filled(paper, mine.placeorder(**INFY, action="BUY", quantity=10))
    filled(paper, mine.placeorder(**TCS, action="SELL", quantity=3))
    filled(paper, other.placeorder(**INFY, action="BUY", quantity=4))
    answer = mine.texts("closeposition")
    assert (answer["status"], answer["message"]) == ("success", "All Open Positions Squared Off")
    assert [mine.open("INFY"), mine.open("TCS"), other.open("INFY")] == ["0", "0", "4"]
    assert net(paper) == 4
    books_are_equal(paper)


def test_closeposition_of_a_name_nobody_knows_is_no_success(paper: Running) -> None:
    filled(paper, client_of(paper, "trend").placeorder(**INFY, action="BUY", quantity=10))
    for call in ("closeposition", "cancelallorder"):
        answer = client_of(paper).texts(call)
        assert answer["code"] == 404
        assert "no strategy Python is known, so nothing was done" in answer["message"]
    assert client_of(paper, "trend").open("INFY") == "10"


def test_closeposition_that_is_not_over_is_no_success(paper: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.web.openalgo.orders._CLOSE_S", 0.3)
    client = client_of(paper)
    filled(paper, client.placeorder(**INFY, action="BUY", quantity=10))
    paper.control("add_fault", kind="accept_502", path="PlaceOrder")
    paper.control("add_fault", kind="book_missing_order", count=0)
    paper.mute()
    answer = client.texts("closeposition")
    assert answer["status"] == "unknown"
    assert "Do not send it again" in answer["message"]
    assert "+10 INFY-EQ" in answer["message"]
    paper.control("clear_faults")
    wait_until(lambda: client.open("INFY") == "0")


def test_the_whole_account_by_a_setting(tmp_path: Path) -> None:
    with running(tmp_path, **FILES, **OPENALGO, SIXSTEP_OPENALGO__WHOLE_ACCOUNT="true") as service:
        begun(service)
        filled(service, client_of(service, "one").placeorder(**INFY, action="BUY", quantity=10))
        resting = client_of(service, "two").placeorder(**TCS, action="BUY", price_type="LIMIT", price="2900")
        service.wait_at_exchange(resting["orderid"])
        assert client_of(service, "three").texts("cancelallorder")["canceled_orders"] == [
            {"orderid": resting["orderid"]}
        ]
        service.wait_for(resting["command_id"], "FAILED")
        assert client_of(service, "three").texts("closeposition")["status"] == "success"
        assert client_of(service, "one").open("INFY") == "0"


def test_a_basket_buys_first_and_answers_each_leg(paper: Running) -> None:
    client = client_of(paper)
    legs = [{**TCS, "action": "SELL", "quantity": 3}, {**INFY, "action": "BUY", "quantity": 10}]
    answer = client.basketorder(legs)
    assert answer["status"] == "success"
    assert [one["symbol"] for one in answer["results"]] == ["TCS", "INFY"]
    for one in answer["results"]:
        filled(paper, one)
    assert [kind[:3] for kind in kinds(paper)] == [("ENTRY", "BUY", 10), ("ENTRY", "SELL", 3)]
    books_are_equal(paper)


def test_a_split_order_is_placed_piece_by_piece(paper: Running) -> None:
    client = client_of(paper)
    answer = client.order("splitorder", **INFY, action="BUY", quantity=25, splitsize=10, idempotency_key="split")
    assert (answer["status"], answer["total_quantity"], answer["split_size"]) == ("success", 25, 10)
    assert [(one["order_num"], one["quantity"]) for one in answer["results"]] == [(1, 10), (2, 10), (3, 5)]
    for one in answer["results"]:
        filled(paper, one)
    assert [kind[:3] for kind in kinds(paper)] == [("ENTRY", "BUY", 10), ("ADJUST", "BUY", 10), ("ADJUST", "BUY", 5)]
    again = client.order("splitorder", **INFY, action="BUY", quantity=25, splitsize=10, idempotency_key="split")
    assert again == answer
    other = client.order("splitorder", **INFY, action="BUY", quantity=40, splitsize=10, idempotency_key="split")
    assert [one["status"] for one in other["results"]] == ["success", "success", "error", "error"]
    assert client.placeorder(**INFY, action="BUY", quantity=10, idempotency_key="split")["code"] == 409
    assert len(paper.sent()) == 3
    assert client.order("splitorder", **INFY, action="BUY", quantity=101, splitsize=1)["code"] == 400
    books_are_equal(paper)


def test_a_split_order_stops_where_a_piece_rests(paper: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.web.openalgo.placing._FILL_S", 0.3)
    client = client_of(paper)
    wanted = {**INFY, **LIMIT, "action": "BUY", "quantity": 25, "splitsize": 10, "idempotency_key": "split"}
    answer = client.order("splitorder", **wanted)
    assert answer["status"] == "partial"
    assert [one["status"] for one in answer["results"]] == ["success", "error", "error"]
    assert "will not be by this request" in answer["results"][1]["message"]
    again = client.order("splitorder", **wanted)
    assert [one["status"] for one in again["results"]] == ["success", "error", "error"]
    assert len(paper.sent()) == 1


def test_options_by_offset_and_a_key_that_outlives_the_price(paper: Running) -> None:
    client = client_of(paper)
    expiry = expiry_of(client)
    order = {
        "underlying": "NIFTY",
        "exchange": "NSE_INDEX",
        "expiry_date": expiry,
        "offset": "ATM",
        "option_type": "CE",
    }
    lot = client.ask("optionsymbol", **order)["lotsize"]
    first = client.order("optionsorder", **order, action="BUY", quantity=lot, product="NRML", idempotency_key="o1")
    row = filled(paper, first)
    assert (row["exchange"], row["quantity"], row["execution_type"]) == ("NFO", lot, "ENTRY")
    assert client.ask("symbol", symbol=first["symbol"], exchange="NFO")["data"]["brsymbol"] == row["symbol"]
    expected = {"underlying": "NIFTY", "offset": "ATM", "option_type": "CE", "exchange": "NFO"}
    assert {name: first[name] for name in expected} == expected
    # By another expiry-day's price the offset names another strike; the key still means the first order.
    index = client.ask("symbol", symbol="NIFTY", exchange="NSE_INDEX")["data"]["brsymbol"]
    paper.set_price(str(int(first["underlying_ltp"] * 1.02)), index)
    wait_until(lambda: client.ask("optionsymbol", **order)["symbol"] != first["symbol"])
    again = client.order("optionsorder", **order, action="BUY", quantity=lot, product="NRML", idempotency_key="o1")
    assert (again["status"], again["orderid"], again["symbol"]) == ("success", first["orderid"], first["symbol"])
    assert len(paper.sent()) == 1


def test_option_legs_buy_first_and_answer_in_their_order(paper: Running) -> None:
    client = client_of(paper)
    shared = {"underlying": "NIFTY", "exchange": "NSE_INDEX", "expiry_date": expiry_of(client)}
    lot = client.ask("optionsymbol", **shared, offset="ATM", option_type="CE")["lotsize"]
    legs = [
        {"offset": "OTM1", "option_type": "CE", "action": "SELL", "quantity": lot},
        {"offset": "OTM2", "option_type": "CE", "action": "BUY", "quantity": str(lot)},
    ]
    answer = client.ask("optionsmultiorder", strategy="spread", legs=legs, **shared)
    assert answer["status"] == "success", answer
    assert [(one["leg"], one["action"], one["offset"]) for one in answer["results"]] == [
        (1, "SELL", "OTM1"),
        (2, "BUY", "OTM2"),
    ]
    for one in answer["results"]:
        filled(paper, one)
    assert [kind[:2] for kind in kinds(paper)] == [("ENTRY", "BUY"), ("ENTRY", "SELL")]
    legs[1]["offset"] = "OTM50"
    assert client.ask("optionsmultiorder", strategy="other", legs=legs, **shared)["code"] == 404
    assert len(paper.sent()) == 2, "half a spread is never sent"
    books_are_equal(paper)


def test_a_basket_with_an_unknown_symbol_sends_nothing(paper: Running) -> None:
    legs = [
        {**INFY, "action": "BUY", "quantity": 1},
        {"symbol": "INFI", "exchange": "NSE", "action": "SELL", "quantity": 1},
    ]
    answer = client_of(paper).basketorder(legs)
    assert answer["code"] == 400
    assert "INFI not found" in answer["message"]
    assert "INFY" in answer["message"].partition("Near it")[2]
    assert paper.rows() == []


def test_a_basket_of_which_a_leg_is_refused_is_no_success(paper: Running) -> None:
    filled(paper, client_of(paper, "other").placeorder(**TCS, action="BUY", quantity=1))
    legs = [{**INFY, "action": "BUY", "quantity": 1}, {**TCS, "action": "SELL", "quantity": 1}]
    answer = client_of(paper).basketorder(legs)
    assert answer["status"] == "partial"
    assert [one["status"] for one in answer["results"]] == ["success", "error"]
    assert "net" in answer["results"][1]["message"]


# Never twice, and honest


def test_a_key_is_one_order_whatever_the_holding_has_become(paper: Running) -> None:
    client = client_of(paper)
    first = client.placeorder(**INFY, action="BUY", quantity=10, idempotency_key="k1")
    filled(paper, first)
    assert client.placeorder(**INFY, action="BUY", quantity=10, idempotency_key="k1") == first
    by_header = client.post(
        "placeorder",
        {**INFY, "strategy": "Python", "action": "BUY", "quantity": 10},
        **{"Idempotency-Key": "k1"},
    )
    assert by_header.json() == first
    for changed in ({"quantity": 11}, {"action": "SELL"}, {"strategy": "other"}, LIMIT):
        other = client.placeorder(**{**INFY, "action": "BUY", "quantity": 10, "idempotency_key": "k1", **changed})
        assert other["code"] == 409, changed
        assert first["command_id"] in other["message"]
    leg = {**TCS, "action": "BUY", "quantity": 1}
    assert client.basketorder([leg], idempotency_key="k1")["code"] == 409
    assert len(paper.sent()) == len(paper.rows()) == 1


def test_a_key_of_an_order_through_zero_is_both_its_parts(paper: Running) -> None:
    client = client_of(paper)
    filled(paper, client.placeorder(**INFY, action="BUY", quantity=10))
    for wanted in (
        {"action": "SELL", "quantity": 15, "idempotency_key": "k1"},
        {"action": "BUY", "quantity": 1, "position_size": 8, "idempotency_key": "k2"},
    ):
        place = client.placesmartorder if "position_size" in wanted else client.placeorder
        first = place(**INFY, **wanted)
        filled(paper, first)
        before = len(paper.sent())
        again = place(**INFY, **wanted)
        assert (again["orderid"], again["command_id"]) == (first["orderid"], first["command_id"])
        assert [part["orderid"] for part in again["parts"]] == [part["orderid"] for part in first["parts"]]
        assert len(paper.sent()) == before
    for changed in ({"position_size": 0}, {"action": "SELL"}):
        other = {"action": "BUY", "quantity": 1, "position_size": 8, "idempotency_key": "k2", **changed}
        assert client.placesmartorder(**INFY, **other)["code"] == 409, changed
    books_are_equal(paper)
    assert client.placeorder(**INFY, action="SELL", quantity=16, idempotency_key="k1")["code"] == 409


@pytest.mark.parametrize("fault", ["accept_502", "accept_close"])
def test_an_outcome_that_is_not_known_is_no_success_and_invites_no_retry(paper: Running, fault: str) -> None:
    client = client_of(paper)
    paper.mute()
    paper.control("add_fault", kind="book_missing_order", count=0)
    paper.control("add_fault", kind=fault, path="PlaceOrder")
    answer = client.placeorder(**INFY, **LIMIT, action="BUY", quantity=10)
    assert answer["status"] == "unknown"
    assert answer["orderid"] == answer["command_id"]
    assert "Do not send it again" in answer["message"]
    assert client.texts("orderstatus", order_id=answer["orderid"])["data"]["order_status"] == "unknown"
    paper.control("clear_faults")
    paper.wait_for_number(answer["command_id"])
    told = client.texts("orderstatus", order_id=answer["orderid"])["data"]
    assert told["order_status"] == "open"
    assert told["orderid"] == paper.row(answer["command_id"])["broker_order_id"]
    assert len(paper.sent()) == 1


def test_an_exit_whose_outcome_is_unknown_stops_the_entry(paper: Running) -> None:
    client = client_of(paper)
    filled(paper, client.placeorder(**INFY, action="BUY", quantity=10))
    paper.mute()
    paper.control("add_fault", kind="accept_502", path="PlaceOrder")
    answer = client.placesmartorder(**INFY, action="SELL", quantity=1, position_size=-5, idempotency_key="turn")
    assert answer["status"] == "unknown"
    assert "ENTRY of 5 was not sent" in answer["message"]
    paper.wait_for(answer["command_id"], "EXECUTED")
    wait_until(lambda: client.open("INFY") == "0")
    again = client.placesmartorder(**INFY, action="SELL", quantity=1, position_size=-5, idempotency_key="turn")
    assert again["status"] == "partial", "a retry tells, and sends nothing"
    assert [kind[0] for kind in kinds(paper)] == ["ENTRY", "EXIT"]
    assert net(paper) == 0


def test_an_exit_that_rests_stops_the_entry(paper: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.web.openalgo.placing._FILL_S", 0.3)
    client = client_of(paper)
    filled(paper, client.placeorder(**INFY, action="BUY", quantity=10))
    answer = client.placeorder(**INFY, action="SELL", quantity=15, price_type="LIMIT", price="1550")
    assert answer["status"] == "partial"
    assert "Do not send the whole again" in answer["message"]
    paper.wait_at_exchange(answer["orderid"])
    refused = client.placesmartorder(**INFY, action="SELL", quantity=1, position_size=-5)
    assert refused["code"] == 409, "its position is not settled"
    stop = client.placeorder(**INFY, action="SELL", quantity=15, price_type="SL-M", trigger_price="1450")
    assert stop["code"] == 400
    assert "two orders" in stop["message"]
    assert [kind[:3] for kind in kinds(paper)] == [("ENTRY", "BUY", 10), ("EXIT", "SELL", 10)]


def test_smart_orders_at_the_same_moment_reach_their_target_once(paper: Running) -> None:
    client = client_of(paper)
    start = threading.Barrier(6)

    def alert(_: int) -> dict[str, Any]:
        start.wait()
        return client.placesmartorder(**INFY, action="BUY", quantity=5, position_size=10)

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(alert, range(6)))
    wait_until(lambda: client.open("INFY") == "10")
    assert len(paper.sent()) == 1
    assert sum("orderid" in answer for answer in answers) == 1
    assert all(answer["status"] == "success" or answer["code"] == 409 for answer in answers)


def test_one_key_at_the_same_moment_is_one_order(paper: Running) -> None:
    client = client_of(paper)
    start = threading.Barrier(6)

    def send(_: int) -> dict[str, Any]:
        start.wait()
        return client.placeorder(**INFY, action="BUY", quantity=10, idempotency_key="same")

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(send, range(6)))
    assert {answer["orderid"] for answer in answers} == {paper.sent()[0]["norenordno"]}
    assert len(paper.sent()) == len(paper.rows()) == 1


def test_what_is_refused_says_why_with_its_command(paper: Running) -> None:
    client = client_of(paper)
    answer = client.post("placeorder", {**INFY, "strategy": "a", "action": "BUY", "quantity": 20000})
    assert answer.status_code == 400
    body = answer.json()
    assert body["tag"] == "RISK_LIMITS_EXCEEDED"
    assert paper.row(body["command_id"])["reason"] == body["message"]
    status = client.texts("orderstatus", order_id=body["command_id"])["data"]
    assert (status["order_status"], status["rejection_reason"]) == ("rejected", body["message"])
    assert client.ask("orderbook")["data"]["orders"] == [], "it never was at the broker"
    index = client.placeorder(symbol="NIFTY", exchange="NSE_INDEX", action="BUY")
    assert index["code"] == 400


def test_an_order_of_somebody_else_is_in_the_books_and_not_touched(tmp_path: Path, exchange: PaperServer) -> None:
    with running(tmp_path, exchange=exchange, **OPENALGO) as service:
        foreign = exchange.control(
            "external_order",
            {"account": "FA00001", "exch": "NSE", "tsym": "INFY-EQ", "trantype": "B", "qty": 7, "prd": "I"},
        )
        client = client_of(service)
        wait_until(lambda: bool(client.ask("orderbook")["data"]["orders"]))
        [one] = client.ask("orderbook")["data"]["orders"]
        assert (one["orderid"], one["strategy"], one["quantity"]) == (foreign["norenordno"], "", 7)
        assert client.texts("cancelorder", order_id=one["orderid"])["code"] == 404
        assert client.texts("cancelallorder")["code"] == 404, "it is no strategy's"
        assert [order["status"] for order in service.sent()] == ["COMPLETE"]


def test_a_port_of_its_own_and_nothing_on_the_web_port(tmp_path: Path) -> None:
    [port] = lasting_ports(1)
    with running(tmp_path, **OPENALGO, SIXSTEP_OPENALGO__PORT=str(port)) as service:
        own = Client(f"http://127.0.0.1:{port}")
        assert own.ask("ping")["data"]["message"] == "pong"
        assert client_of(service).post("ping", {}).status_code == 404
        assert own.post("nonsense", {}).json()["message"] == "Not found"
