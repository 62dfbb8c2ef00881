"""Every fault of protocol section 14.2, as the exchange's own state and what it says show it."""

import json

import pytest

from core.paper.faults import MEANING, FaultKind
from core.paper.wire import Fate, Reply
from tests.paper.world import World

SESSION = "Session Expired :  Invalid Session Key"
NO_DATA = 'Error Occurred : 5 "no data"'


@pytest.fixture
def world() -> World:
    world = World()
    world.log_in()
    return world


def place(world: World, **fields: str) -> Reply:
    """A PlaceOrder of which only the bare reply matters."""
    data = {
        "actid": "U1",
        "trantype": "B",
        "prd": "I",
        "exch": "NSE",
        "tsym": "INFY-EQ",
        "qty": "10",
        "prctyp": "LMT",
        "prc": "1400.00",
        "ret": "DAY",
        "remarks": "tag-1",
    }
    return world.reply("PlaceOrder", **{**data, **fields})


def book_size(world: World) -> int:
    rows = world.call("OrderBook")
    return len(rows) if isinstance(rows, list) else 0


# -- the reply and the deed -----------------------------------------------------------------------------------------

ANSWERS = [
    ("hang", Fate.HANG, 0, b""),
    ("close", Fate.CLOSE, 0, b""),
    ("502", Fate.ANSWER, 502, b"502 Bad Gateway"),
    ("server_timeout", Fate.ANSWER, 200, b'"emsg":"Server Timeout :  "'),
]


@pytest.mark.parametrize(("how", "fate", "status", "words"), [*ANSWERS, ("empty", Fate.ANSWER, 200, b"")])
def test_an_order_may_be_taken_without_the_client_being_told(
    world: World, how: str, fate: Fate, status: int, words: bytes
) -> None:
    world.fault(f"accept_{how}")
    reply = place(world)
    assert reply.fate is fate
    if fate is Fate.ANSWER:
        assert reply.status == status
        assert words in reply.body
        assert b"norenordno" not in reply.body
    assert book_size(world) == 1
    assert json.loads(place(world).body)["stat"] == "Ok"


@pytest.mark.parametrize(("how", "fate", "status", "words"), ANSWERS)
def test_an_order_may_be_lost_before_anything_is_done(
    world: World, how: str, fate: Fate, status: int, words: bytes
) -> None:
    world.fault(f"drop_{how}")
    reply = place(world)
    assert reply.fate is fate
    if fate is Fate.ANSWER:
        assert reply.status == status
        assert words in reply.body
    assert book_size(world) == 0


def test_an_order_may_be_taken_without_a_number(world: World) -> None:
    world.fault("accept_no_number")
    answer = json.loads(place(world).body)
    assert answer["stat"] == "Ok"
    assert "norenordno" not in answer
    assert book_size(world) == 1


def test_an_answer_may_come_late(world: World) -> None:
    world.fault("reply_delay", path="Limits", seconds=3)
    assert world.reply("Limits").delay_s == 3
    assert world.reply("Limits").delay_s == 0


def test_words_never_seen_before(world: World) -> None:
    world.fault("refuse_text", path="PlaceOrder", text="Rejected : SOMETHING NEW", status=503)
    reply = place(world)
    assert (reply.status, json.loads(reply.body)["emsg"]) == (503, "Rejected : SOMETHING NEW")
    assert book_size(world) == 0


@pytest.mark.parametrize(("unit", "limit"), [("second", 10), ("minute", 120)])
def test_a_rate_limit_in_the_server_s_words(world: World, unit: str, limit: int) -> None:
    world.fault(f"rate_limit_{unit}")
    answer = json.loads(place(world).body)
    words = f"Invalid Input :  Order Recieved {limit + 1} in a current {unit} exceeds Limit {limit} for user"
    assert answer["emsg"] == words
    assert book_size(world) == 0


def test_too_many_requests_without_json(world: World) -> None:
    world.fault("http_429")
    reply = place(world)
    assert reply.status == 429
    with pytest.raises(json.JSONDecodeError):
        json.loads(reply.body)
    assert book_size(world) == 0


# -- books ----------------------------------------------------------------------------------------------------------


def test_the_book_may_lag(world: World) -> None:
    place(world)
    world.wait(1)
    world.fault("book_lag", seconds=5, count=0)
    assert book_size(world) == 0
    world.wait(4.5)
    assert book_size(world) == 1


def test_a_known_order_may_be_missing_once(world: World) -> None:
    place(world, remarks="a")
    place(world, remarks="b")
    world.fault("book_missing_order", remarks="a")
    assert [row["remarks"] for row in world.call("OrderBook")] == ["b"]
    assert book_size(world) == 2


@pytest.mark.parametrize(
    ("how", "status", "emsg"),
    [("no_data", 200, NO_DATA), ("session_expired", 401, SESSION), ("server_timeout", 200, "Server Timeout :  ")],
)
def test_the_book_may_refuse_in_different_words(world: World, how: str, status: int, emsg: str) -> None:
    place(world)
    world.fault(f"book_{how}")
    reply = world.reply("OrderBook")
    assert (reply.status, json.loads(reply.body)["emsg"]) == (status, emsg)
    assert book_size(world) == 1


def test_the_book_may_be_a_502_page_or_never_come(world: World) -> None:
    world.fault("book_502")
    world.fault("book_hang")
    assert world.reply("OrderBook").status == 502
    assert world.reply("OrderBook").fate is Fate.HANG
    assert world.reply("OrderBook").status == 200


def test_a_fault_of_one_book_can_be_laid_on_another(world: World) -> None:
    world.fault("book_server_timeout", path="TradeBook")
    assert world.call("OrderBook")["emsg"] == NO_DATA
    assert world.call("TradeBook", actid="U1")["emsg"] == "Server Timeout :  "


def test_a_complete_row_may_lack_its_figures(world: World) -> None:
    number = world.placed()
    world.fault("row_without_fill")
    row = world.row(number)
    assert row["status"] == "COMPLETE"
    assert "fillshares" not in row
    assert "avgprc" not in row
    assert world.row(number)["fillshares"] == "10"
    assert len(world.call("TradeBook", actid="U1")) == 1


def test_a_status_may_be_unknown(world: World) -> None:
    number = world.placed()
    world.fault("unknown_status", text="QUEUED")
    assert world.row(number)["status"] == "QUEUED"
    assert world.row(number)["status"] == "COMPLETE"


@pytest.mark.parametrize(
    ("true", "spelt"),
    [
        ("CANCELED", "CANCELLED"),
        ("CANCELED", "EXPIRED"),
        ("REJECTED", "REJECT"),
        ("TRIGGER_PENDING", "TRIGGER PENDING"),
    ],
)
def test_a_status_may_be_spelt_otherwise_in_rows_and_frames(world: World, true: str, spelt: str) -> None:
    world.fault("status_spelling", count=0, **{"from": true, "to": spelt})
    world.socket()
    cancelled = world.resting()
    world.cancel(cancelled)
    world.placed(prc="2400.00")
    world.placed(prctyp="SL-LMT", prc="1545.00", trgprc="1540.00")
    assert spelt in {row["status"] for row in world.call("OrderBook")}
    assert true not in {row["status"] for row in world.call("OrderBook")}
    assert spelt in {frame["status"] for frame in world.frames(kind="om")}


def test_two_spellings_may_be_in_force_together(world: World) -> None:
    world.fault("status_spelling", count=0, **{"from": "CANCELED", "to": "CANCELLED"})
    world.fault("status_spelling", count=0, **{"from": "REJECTED", "to": "REJECT"})
    number = world.resting()
    world.cancel(number)
    world.placed(prc="2400.00")
    assert {row["status"] for row in world.call("OrderBook")} == {"CANCELLED", "REJECT"}


def test_a_quote_may_be_zero(world: World) -> None:
    world.fault("quote_zero")
    quote = world.call("GetQuotes", exch="NSE", token="1594")
    assert (quote["stat"], quote["lp"], quote["bp1"], quote["sp1"]) == ("Ok", "0.00", "0.00", "0.00")
    assert world.call("GetQuotes", exch="NSE", token="1594")["lp"] == "1518.60"


def test_a_quote_may_be_the_level_of_the_index(world: World) -> None:
    world.fault("quote_index_level")
    token = world.call("SearchScrip", exch="NFO", stext="NIFTY 09NOV26 26000 CE")["values"][0]["token"]
    quote = world.call("GetQuotes", exch="NFO", token=token)
    assert float(quote["lp"]) > 20_000
    assert (quote["bp1"], quote["sp1"]) == ("0.00", "0.00")


def test_a_quote_may_show_one_side_only_be_old_or_wrong(world: World) -> None:
    world.fault("quote_one_sided")
    quote = world.call("GetQuotes", exch="NSE", token="1594")
    assert (float(quote["bp1"]), float(quote["bq1"]), quote["lp"]) == (0, 0, "1518.60")
    assert float(quote["sp1"]) > 0
    world.fault("quote_one_sided", text="asks")
    quote = world.call("GetQuotes", exch="NSE", token="1594")
    assert float(quote["sp1"]) == 0 < float(quote["bp1"])
    world.fault("quote_wrong")
    assert world.call("GetQuotes", exch="NSE", token="1594")["lp"] == "2277.90"
    world.fault("quote_stale", seconds=90)
    old, new = (world.call("GetQuotes", exch="NSE", token="1594") for _ in range(2))
    assert old["request_time"] == new["request_time"]
    assert old["ltt"] != new["ltt"]


def test_a_position_may_be_left_out_or_false(world: World) -> None:
    world.placed()
    world.fault("position_missing")
    assert world.call("PositionBook")["stat"] == "Not_Ok"
    world.fault("position_false")
    false, true = world.position(), world.position()
    assert false["netqty"] == true["netqty"] == "10"
    assert float(false["lp"]) * 90 < float(true["lp"])
    assert float(false["urmtom"]) < -10_000 < float(true["urmtom"])


def test_a_position_may_be_unreadable(world: World) -> None:
    world.placed()
    world.fault("position_unparsable")
    assert world.position()["netqty"] == "N/A"
    assert world.position()["netqty"] == "10"


# -- frames ---------------------------------------------------------------------------------------------------------

FILLED = ["NewAck/PENDING", "PendingNew/PENDING", "New/OPEN", "Fill/COMPLETE"]


def test_a_frame_may_be_lost_while_the_book_knows(world: World) -> None:
    world.socket()
    world.fault("push_lost", report="Fill")
    number = world.placed()
    assert world.reports() == FILLED[:3]
    assert world.row(number)["status"] == "COMPLETE"


def test_a_frame_may_come_twice(world: World) -> None:
    world.socket()
    world.fault("push_doubled", report="Fill")
    world.placed()
    assert world.reports() == [*FILLED, FILLED[3]]
    fills = [frame["flid"] for frame in world.frames(kind="om") if frame["reporttype"] == "Fill"]
    assert len(set(fills)) == 1


def test_a_frame_may_be_overtaken(world: World) -> None:
    world.socket()
    world.fault("push_reordered", report="New")
    world.placed()
    assert world.reports() == ["NewAck/PENDING", "PendingNew/PENDING", "Fill/COMPLETE", "New/OPEN"]


def test_frames_may_come_before_the_reply(world: World) -> None:
    world.socket()
    world.fault("push_before_reply")
    asked = world.now
    reply = place(world, prc="1530.00")
    world.wait(0.05)
    orders = [push for push in world.pushes if '"om"' in push.text]
    assert len(orders) == 4
    assert all((push.due - asked).total_seconds() < reply.delay_s for push in orders)


def test_a_frame_may_come_without_remarks_and_quantity(world: World) -> None:
    world.socket()
    world.fault("push_bare")
    place(world)
    world.wait(0.05)
    first, second = world.frames(kind="om")[:2]
    assert {"remarks", "qty", "prc", "uid", "actid"} & set(first) == set()
    assert first["norenordno"] == second["norenordno"]
    assert second["remarks"] == "tag-1"


def test_a_frame_may_carry_an_unknown_report(world: World) -> None:
    world.socket()
    world.fault("unknown_report", report="Fill")
    world.placed()
    assert world.reports()[-1] == "INVALID_REPORT_TYPE/COMPLETE"


# -- sockets and tokens ---------------------------------------------------------------------------------------------


def test_the_handshake_may_never_be_answered(world: World) -> None:
    world.fault("socket_no_ack")
    world.socket()
    world.placed()
    assert world.frames() == []
    assert world.closes == []


def test_the_handshake_may_be_refused_with_the_socket_left_open(world: World) -> None:
    world.fault("socket_not_ok")
    world.socket()
    world.placed()
    assert world.frames() == [{"t": "ck", "uid": "U1", "s": "Not_Ok"}]
    assert world.closes == []


def test_a_socket_may_fall_silent_after_the_handshake(world: World) -> None:
    world.fault("socket_silent")
    world.socket()
    world.say("ws-1", t="h")
    world.placed()
    assert [frame["t"] for frame in world.frames()] == ["ck"]
    assert [silence.connection for silence in world.silences] == ["ws-1"]


def test_a_socket_may_fall_silent_in_the_middle_of_the_day(world: World) -> None:
    world.socket()
    world.fault("socket_silent", report="New")
    world.placed()
    assert world.reports() == FILLED[:2]
    assert [silence.connection for silence in world.silences] == ["ws-1"]
    world.socket(connection="ws-2")
    world.placed()
    assert world.reports("ws-2") == FILLED


def test_a_socket_may_be_cut_as_soon_as_it_opens(world: World) -> None:
    world.fault("socket_refused")
    world.socket()
    assert [(close.connection, close.code) for close in world.closes] == [("ws-1", 1006)]
    assert world.frames() == []
    world.socket(connection="ws-2")
    assert [frame["t"] for frame in world.frames("ws-2")] == ["ck", "ok"]


def test_a_socket_may_be_closed_cleanly_and_the_frame_lost(world: World) -> None:
    world.socket()
    world.fault("socket_close", report="Fill")
    world.placed()
    assert [(c.connection, c.code) for c in world.closes] == [("ws-1", 1000)]
    assert world.reports() == FILLED[:3]
    world.placed()
    assert world.reports() == FILLED[:3]


def test_a_token_may_die_with_a_request(world: World) -> None:
    world.fault("token_killed", path="PlaceOrder")
    assert json.loads(place(world).body)["emsg"] == SESSION
    assert world.call("OrderBook")["emsg"] == SESSION
    world.log_in()
    assert book_size(world) == 0


# -- orders ---------------------------------------------------------------------------------------------------------


def test_the_next_order_may_be_rejected_with_any_words(world: World) -> None:
    world.fault("reject_order", text="RED:RULE:{Allowed Basket} in Basket NSE.MIS.NSE_MIS_BASKET")
    number = world.placed()
    assert world.history(number) == ["NewAck/PENDING", "Rejected/REJECTED"]
    assert world.row(number)["rejreason"].startswith("RED:RULE:{Allowed Basket}")
    assert world.row(world.placed())["status"] == "COMPLETE"


def test_the_exchange_may_reject_with_any_words(world: World) -> None:
    world.fault("exchange_reject", text="Throttle limit exceeded")
    number = world.placed()
    assert world.history(number) == ["NewAck/PENDING", "PendingNew/PENDING", "Rejected/REJECTED"]
    assert world.row(number)["rejreason"] == "Throttle limit exceeded"


def test_a_cancelled_order_may_fill_late(world: World) -> None:
    world.fault("late_fill_after_cancel", seconds=0.5)
    number = world.resting()
    world.cancel(number)
    world.wait(0.1)
    assert world.row(number)["status"] == "CANCELED"
    world.wait(0.5)
    row = world.row(number)
    assert (row["status"], row["fillshares"], row["avgprc"]) == ("COMPLETE", "10", "1400.00")
    assert world.history(number)[-2:] == ["Canceled/CANCELED", "Fill/COMPLETE"]
    assert world.position()["netqty"] == "10"


def test_a_cancelled_order_may_fill_late_in_part_and_stays_cancelled(world: World) -> None:
    world.fault("late_fill_after_cancel", qty=4)
    number = world.resting()
    world.cancel(number)
    world.wait(1)
    row = world.row(number)
    assert (row["status"], row["fillshares"], row["cancelqty"]) == ("CANCELED", "4", "6")
    assert world.position()["netqty"] == "4"


def test_a_cancel_may_be_taken_and_the_order_fill(world: World) -> None:
    world.fault("cancel_ok_then_fill")
    number = world.resting()
    assert world.cancel(number)["stat"] == "Ok"
    world.wait(0.1)
    assert world.history(number)[3:] == ["CanAck/PENDING", "Fill/COMPLETE", "CancelRejected/COMPLETE"]
    assert world.position()["netqty"] == "10"


def test_a_modification_may_be_taken_and_refused_later(world: World) -> None:
    world.fault("modify_ok_then_rejected")
    number = world.resting()
    assert world.modify(number, prc="1410.00")["stat"] == "Ok"
    world.wait(0.1)
    assert world.history(number)[3:] == ["ModAck/PENDING", "PendingReplace/PENDING", "ReplaceRejected/OPEN"]
    row = world.row(number)
    assert (row["prc"], row["status"]) == ("1400.00", "OPEN")
    assert row["rejreason"]
    world.set_price("1390.00")
    assert world.row(number)["avgprc"] == "1400.00"


def test_a_cancel_may_be_refused_while_the_order_lives(world: World) -> None:
    world.fault("cancel_refused_while_open")
    number = world.resting()
    assert world.cancel(number)["emsg"] == "Rejected : ORA:Order not found to Cancel"
    assert world.row(number)["status"] == "OPEN"
    assert world.cancel(number)["stat"] == "Ok"


# -- rules ----------------------------------------------------------------------------------------------------------


def test_every_fault_has_a_meaning() -> None:
    assert set(MEANING) == set(FaultKind)


def test_a_rule_fires_as_often_as_it_is_told(world: World) -> None:
    world.fault("drop_502", count=2)
    assert [place(world).status for _ in range(3)] == [502, 502, 200]


def test_a_rule_with_count_zero_fires_until_it_is_removed(world: World) -> None:
    rule = world.fault("drop_502", count=0)
    assert [place(world).status for _ in range(5)] == [502] * 5
    world.control("remove_fault", id=rule)
    assert place(world).status == 200


def test_a_rule_may_be_for_one_account(world: World) -> None:
    world.fault("drop_502", account="U2")
    assert place(world).status == 200
    assert world.reply("PlaceOrder", "U2").status == 502


def test_a_rule_may_be_for_orders_whose_remarks_begin_so(world: World) -> None:
    world.fault("drop_502", remarks="exit-")
    assert place(world, remarks="entry-1").status == 200
    assert place(world, remarks="exit-1").status == 502


def test_a_rule_finds_the_remarks_of_an_order_named_by_number(world: World) -> None:
    number = world.resting(remarks="exit-1")
    world.fault("accept_502", path="CancelOrder", remarks="exit-")
    assert world.reply("CancelOrder", norenordno=number).status == 502
    world.wait(0.1)
    assert world.row(number)["status"] == "CANCELED"


def test_a_rule_for_one_endpoint_leaves_the_others_alone(world: World) -> None:
    world.fault("accept_502")
    assert world.reply("Limits").status == 200
    assert place(world).status == 502


def test_chance_comes_from_the_seed() -> None:
    def statuses(seed: int) -> list[int]:
        world = World(seed=seed)
        world.log_in()
        world.fault("drop_502", probability="0.5")
        return [place(world).status for _ in range(40)]

    assert statuses(1) == statuses(1)
    assert statuses(1) != statuses(2)
    assert 8 < statuses(1).count(502) < 32
