"""The commands of the operator, and the snapshot."""

import json
from typing import Any

import pytest

from core.paper.faults import FaultKind, parameters_of
from tests.paper.world import World


@pytest.fixture
def world() -> World:
    world = World()
    world.log_in()
    return world


EXTERNAL = {"account": "U1", "exch": "NSE", "tsym": "INFY-EQ", "trantype": "B", "qty": 1}


def test_help_lists_commands_faults_and_switches(world: World) -> None:
    told = world.control("help")
    assert {"set_price", "add_fault", "end_of_day"} <= {command["name"] for command in told["commands"]}
    assert {fault["kind"] for fault in told["faults"]} == {kind.value for kind in FaultKind}
    assert all(fault["meaning"] for fault in told["faults"])
    assert told["switches"]["order_ack"] is True
    json.dumps(told)


@pytest.mark.parametrize(
    ("command", "arguments", "words"),
    [
        ("fly", {}, "command: no command 'fly'"),
        ("set_price", {"exch": "NSE", "tsym": "INFY-EQ"}, "price: is missing"),
        ("set_price", {"exch": "NSE", "tsym": "INFY-EQ", "price": "much"}, "price: must be a number"),
        ("set_price", {"exch": "NSE", "tsym": "INFY-EQ", "price": "-1"}, "price: must be a number from 0 up"),
        ("set_price", {"exch": "NSE", "tsym": "INFY-EQ", "price": "0.01"}, "price: must be at least the tick"),
        ("set_price", {"exch": "NSE", "tsym": "NOBODY-EQ", "price": "1"}, "exch/tsym: NSE:NOBODY-EQ is not listed"),
        ("set_price", {"exch": "NSE", "token": "0", "price": "1"}, "exch/token: NSE:0 is not listed"),
        ("set_price", {"tsym": "INFY-EQ", "price": "1"}, "exch: is missing"),
        ("add_fault", {}, "kind: is missing"),
        ("add_fault", {"kind": "gremlins"}, "kind: no fault 'gremlins'; there are accept_hang, "),
        ("add_fault", {"kind": "{x}"}, "kind: no fault '{x}'"),
        ("add_fault", {"kind": "drop_502", "count": "many"}, "count: input should be a valid integer"),
        ("add_fault", {"kind": "drop_502", "probability": 2}, "probability: input should be less than or equal to 1"),
        ("add_fault", {"kind": "drop_502", "path": "PlaceOrdr"}, "path: no endpoint 'PlaceOrdr'; there are "),
        ("add_fault", {"kind": "push_lost", "report": "Filled"}, "report: no report type 'Filled'; there are "),
        ("add_fault", {"kind": "drop_502", "seconds": 1}, "seconds: drop_502 takes no seconds"),
        (
            "add_fault",
            {"kind": "status_spelling", "text": "x"},
            "text: status_spelling takes no text; it takes from, to",
        ),
        ("add_fault", {"kind": "book_lag", "secnods": 1}, "secnods: extra inputs are not permitted"),
        ("add_fault", {"kind": "book_lag", "seconds": -1}, "seconds: input should be greater than or equal to 0"),
        ("remove_fault", {"id": 7}, "id: no fault 7"),
        ("set_switch", {"name": "initial_cash", "value": 1}, "name: no switch 'initial_cash'"),
        ("set_switch", {"name": "order_ack"}, "value: is missing"),
        ("set_switch", {"name": "order_ack", "value": "perhaps"}, "value: of order_ack: "),
        ("set_switch", {"name": "product_key", "value": "p"}, "value: of product_key: "),
        ("cancel_order", {"norenordno": "1"}, "norenordno: no order 1"),
        ("late_fill", {"norenordno": "1"}, "norenordno: no order 1"),
        ("external_order", {**EXTERNAL, "trantype": "BS"}, "trantype: must be one of B, S"),
        ("external_order", {**EXTERNAL, "prctyp": "SL-LMT"}, "prctyp: must be one of LMT, MKT"),
        ("external_order", {**EXTERNAL, "prd": "H"}, "prd: must be one of C, M, I"),
        ("external_order", {**EXTERNAL, "qty": 0}, "qty: must be above 0"),
        ("external_order", {**EXTERNAL, "prc": 0}, "prc: must be above 0"),
        ("external_order", {**EXTERNAL, "tsym": "NIFTY INDEX"}, "exch/tsym: NIFTY INDEX has a price and cannot"),
        ("external_order", {**EXTERNAL, "account": ""}, "account: is missing"),
        (
            "set_holding",
            {"account": "U1", "exch": "NSE", "tsym": "NIFTY INDEX", "quantity": 1},
            "exch/tsym: NIFTY INDEX",
        ),
    ],
)
def test_bad_input_is_told_in_clear_words(world: World, command: str, arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError) as told:
        world.control(command, **arguments)
    assert str(told.value).startswith(words)


def test_the_page_asks_for_what_each_fault_takes() -> None:
    assert parameters_of(FaultKind.STATUS_SPELLING) == ("from", "to")
    assert parameters_of(FaultKind.LATE_FILL_AFTER_CANCEL) == ("seconds", "qty")
    assert parameters_of(FaultKind.REFUSE_TEXT) == ("text", "status")
    assert parameters_of(FaultKind.ACCEPT_SERVER_TIMEOUT) == ()


def test_a_price_is_felt_at_once(world: World) -> None:
    number = world.resting(prc="1500.00")
    world.control("set_price", exch="NSE", token="1594", price="1499.98")
    assert world.call("GetQuotes", exch="NSE", token="1594")["lp"] == "1500.00"
    world.set_price("1499.00")
    assert world.row(number)["status"] == "COMPLETE"


def test_a_held_price_does_not_move() -> None:
    world = World(price_source="walk")
    world.control("hold_price", exch="NSE", tsym="INFY-EQ")
    held = world.call("GetQuotes", exch="NSE", token="1594")["lp"]
    world.wait(600)
    assert world.call("GetQuotes", exch="NSE", token="1594")["lp"] == held
    world.control("hold_price", exch="NSE", tsym="INFY-EQ", hold=False)
    world.wait(600)
    assert world.call("GetQuotes", exch="NSE", token="1594")["lp"] != held


def test_a_switch_works_from_now_on(world: World) -> None:
    assert world.order(prctyp="MKT", prc="0")["stat"] == "Ok"
    world.control("set_switch", name="refuse_market_orders", value=True)
    assert world.order(prctyp="MKT", prc="0")["stat"] == "Not_Ok"
    world.control("set_switch", name="rate_per_s", value=1)
    world.control("set_switch", name="rate_per_s", value=None)


def test_an_exchange_may_cancel_unasked(world: World) -> None:
    world.socket()
    number = world.resting()
    world.control("cancel_order", norenordno=number, reason="SAF:Price range reset")
    row = world.row(number)
    assert (row["status"], row["rejreason"], row["cancelqty"]) == ("CANCELED", "SAF:Price range reset", "10")
    assert world.reports()[-1] == "Canceled/CANCELED"
    with pytest.raises(ValueError, match="CANCELED already"):
        world.control("cancel_order", norenordno=number)


def test_an_order_may_appear_that_the_client_did_not_send(world: World) -> None:
    world.socket()
    number = world.control(
        "external_order", account="U1", exch="NSE", tsym="INFY-EQ", trantype="S", qty=5, ordersource="WEB"
    )["norenordno"]
    world.wait(0.05)
    row = world.row(number)
    assert (row["status"], row["ordersource"], row["trantype"]) == ("COMPLETE", "WEB", "S")
    assert "remarks" not in row
    assert world.position()["netqty"] == "-5"
    assert world.reports()[0] == "NewAck/PENDING"


def test_an_order_may_be_filled_in_parts_by_hand(world: World) -> None:
    number = world.resting()
    world.control("fill_order", norenordno=number, qty=4, prc="1399.00")
    row = world.row(number)
    assert (row["status"], row["fillshares"], row["avgprc"]) == ("OPEN", "4", "1399.00")
    world.control("fill_order", norenordno=number)
    assert world.row(number)["status"] == "COMPLETE"
    with pytest.raises(ValueError, match="COMPLETE, not at the exchange"):
        world.control("fill_order", norenordno=number)
    world.set_price("1380.00")
    assert world.row(number)["fillshares"] == "10"


def test_an_order_may_be_filled_by_hand_beyond_what_was_ordered(world: World) -> None:
    number = world.resting()
    with pytest.raises(ValueError, match=r"beyond: 6 of order \d+ would be left"):
        world.control("fill_order", norenordno=number, qty=4, beyond=3)
    world.control("fill_order", norenordno=number, beyond=3)
    row = world.row(number)
    assert (row["status"], row["qty"], row["fillshares"]) == ("COMPLETE", "10", "13")
    assert world.position()["netqty"] == "13"
    world.set_price("1380.00")
    assert world.row(number)["fillshares"] == "13", "it is out of the book"


def test_a_cancelled_order_may_be_filled_late_by_hand(world: World) -> None:
    number = world.resting()
    with pytest.raises(ValueError, match="not cancelled"):
        world.control("late_fill", norenordno=number)
    world.control("cancel_order", norenordno=number)
    world.control("late_fill", norenordno=number, qty=3)
    row = world.row(number)
    assert (row["status"], row["fillshares"], row["cancelqty"]) == ("CANCELED", "3", "7")


def test_tokens_and_sockets_can_be_ended(world: World) -> None:
    world.socket("U1", "ws-1")
    world.socket("U2", "ws-2")
    assert world.control("close_sockets", account="U1", code=1006, reason="x") == {"closed": 1}
    assert [(c.connection, c.code, c.reason) for c in world.closes] == [("ws-1", 1006, "x")]
    assert world.control("kill_token", account="U2") == {"killed": 1}
    assert world.call("Limits", "U1")["stat"] == "Ok"
    assert world.call("Limits", "U2")["stat"] == "Not_Ok"
    assert world.control("kill_token") == {"killed": 1}


def test_cash_can_be_set(world: World) -> None:
    world.control("set_cash", account="U1", cash="123.45")
    assert world.call("Limits")["cash"] == "123.45"


def test_the_snapshot_shows_everything_and_changes_nothing(world: World) -> None:
    world.socket()
    world.say("ws-1", t="t", k="NSE|1594")
    world.placed()
    resting = world.resting()
    world.fault("drop_502", count=0, remarks="x")
    world.wait(0.3)
    before = world.exchange.digest()
    shown = json.loads(json.dumps(world.exchange.snapshot(world.now)))
    assert world.exchange.digest() == before
    assert shown["orders"][0]["norenordno"] == resting
    assert shown["positions"][0]["netqty"] == 10
    assert shown["accounts"][0]["uid"] == "U1"
    assert shown["sockets"][0]["state"] == "up"
    assert shown["faults"][0]["kind"] == "drop_502"
    assert shown["books"][0]["tsym"] == "INFY-EQ"
    assert shown["counters"]["orders"] == 2
    assert {"NIFTY INDEX", "INFY-EQ"} <= {price["tsym"] for price in shown["prices"]}
    assert len(shown["prices"]) < 40


def test_an_exchange_that_is_looked_at_goes_on_like_one_that_is_not() -> None:
    looked_at, left_alone = World(price_source="walk"), World(price_source="walk")
    for world in (looked_at, left_alone):
        world.resting(prc="1450.00")
    for _ in range(20):
        looked_at.exchange.snapshot(looked_at.now)
        for world in (looked_at, left_alone):
            world.wait(0.7)
    for world in (looked_at, left_alone):
        world.placed(qty="500", prc="1600.00")
    assert looked_at.exchange.digest() == left_alone.exchange.digest()
