"""The life of orders: entry, stages, modification, cancel, and the sequences of protocol section 6.3."""

import json
import re

import pytest

from core.paper.config import AccountConfig
from tests.paper.world import World

FILLED = ["NewAck/PENDING", "PendingNew/PENDING", "New/OPEN", "Fill/COMPLETE"]
RESTING = FILLED[:3]


@pytest.fixture
def world() -> World:
    return World()


def test_a_marketable_limit_fills_at_once_at_the_price_of_the_book(world: World) -> None:
    quote = world.call("GetQuotes", exch="NSE", token="1594")
    number = world.placed(prc="1530.00")
    assert world.history(number) == FILLED
    row = world.row(number)
    assert (row["status"], row["fillshares"], row["avgprc"]) == ("COMPLETE", "10", quote["sp1"])


def test_a_limit_far_away_rests_open_until_the_price_comes(world: World) -> None:
    number = world.resting(prc="1500.00")
    assert world.history(number) == RESTING
    row = world.row(number)
    assert row["status"] == "OPEN"
    assert "fillshares" not in row
    assert "avgprc" not in row
    world.set_price("1499.00")
    assert world.history(number) == FILLED
    assert world.row(number)["avgprc"] == "1500.00"


def test_the_stages_take_the_time_that_is_set(world: World) -> None:
    number = world.place()
    seen = [world.history(number)[-1]]
    for _ in range(5):
        world.wait(0.001)
        seen.append(world.history(number)[-1])
    new = "NewAck/PENDING"
    assert seen == [new, new, *["PendingNew/PENDING"] * 3, "Fill/COMPLETE"]


def test_order_numbers_are_the_day_and_a_counter_shared_by_all(world: World) -> None:
    assert [world.place("U1"), world.place("U2")] == ["26110300000001", "26110300000002"]


def test_the_exchange_number_has_sixteen_digits_and_comes_with_new(world: World) -> None:
    number = world.resting()
    rows = world.call("SingleOrdHist", norenordno=number)
    assert [bool(row["exchordid"]) for row in reversed(rows)] == [False, False, True]
    assert re.fullmatch(r"\d{16}", rows[0]["exchordid"])
    assert "exch_tm" in rows[0]
    assert "exch_tm" not in rows[2]


def test_history_is_newest_first_and_only_fills_carry_fill_figures(world: World) -> None:
    rows = world.call("SingleOrdHist", norenordno=world.placed())
    assert [row["rpt"] for row in rows] == ["Fill", "New", "PendingNew", "NewAck"]
    assert ["fillshares" in row for row in rows] == [True, False, False, False]


def test_a_large_order_fills_in_parts_each_with_its_own_trade(world: World) -> None:
    number = world.placed(qty="1000", prc="1530.00")
    trades = world.call("TradeBook", actid="U1")
    assert len(trades) > 1
    assert sum(int(t["flqty"]) for t in trades) == 1000
    assert len({t["flid"] for t in trades}) == len(trades)
    assert [int(t["flid"]) for t in trades] == sorted((int(t["flid"]) for t in trades), reverse=True)
    fills = world.history(number)[3:]
    assert fills == ["Fill/OPEN"] * (len(trades) - 1) + ["Fill/COMPLETE"]
    value = sum(int(t["flqty"]) * float(t["flprc"]) for t in trades)
    assert float(world.row(number)["avgprc"]) == pytest.approx(value / 1000, abs=0.005)


def test_what_the_best_price_cannot_fill_waits_for_the_next_price_step(world: World) -> None:
    best = world.call("GetQuotes", exch="NSE", token="1594")
    number = world.placed(qty="1000", prc=best["sp1"])
    first = int(world.row(number)["fillshares"])
    assert 0 < first < 1000
    world.wait(1)
    assert int(world.row(number)["fillshares"]) > first


def test_two_users_meet_at_the_price_of_whoever_was_there_first(world: World) -> None:
    rest = world.placed("U1", trantype="S", prc="1518.70", qty="5")
    take = world.placed("U2", trantype="B", prc="1530.00", qty="5")
    assert world.row(rest, "U1")["avgprc"] == "1518.70"
    assert world.row(take, "U2")["avgprc"] == "1518.70"
    assert world.row(rest, "U1")["status"] == "COMPLETE"


@pytest.mark.parametrize(("side", "price"), [("B", "1518.50"), ("S", "1518.70")])
def test_at_the_price_of_strangers_a_user_comes_first(world: World, side: str, price: str) -> None:
    rest = world.placed("U1", trantype=side, prc=price, qty="5")
    world.placed("U2", trantype="S" if side == "B" else "B", prc=price, qty="5")
    assert world.row(rest, "U1")["status"] == "COMPLETE"


@pytest.mark.parametrize(("resting", "taking"), [(5, 8), (8, 5)])
def test_users_trade_what_both_want_and_no_more(world: World, resting: int, taking: int) -> None:
    rest = world.placed("U1", trantype="S", prc="1518.70", qty=str(resting))
    take = world.placed("U2", trantype="B", prc="1518.70", qty=str(taking), ret="IOC")
    filled = int(world.row(rest, "U1")["fillshares"])
    assert filled == min(resting, taking)
    trades = world.call("TradeBook", "U2", actid="U2")
    assert int(world.row(take, "U2")["fillshares"]) == sum(int(trade["flqty"]) for trade in trades) == taking


def test_a_better_price_trades_before_an_older_order(world: World) -> None:
    older = world.placed("U1", prc="1500.00", qty="5")
    better = world.placed("U2", prc="1501.00", qty="5")
    world.set_price("1500.90")
    assert world.row(better, "U2")["status"] == "COMPLETE"
    assert world.row(older, "U1")["status"] == "OPEN"


def test_priority_in_time_is_kept_when_only_some_can_be_filled(world: World) -> None:
    numbers = [world.placed(f"U{n}", prc="1500.00", qty="400") for n in (1, 2, 3)]
    world.set_price("1499.90")
    filled = [int(world.row(number, f"U{n}").get("fillshares", 0)) for n, number in enumerate(numbers, 1)]
    assert filled == sorted(filled, reverse=True)
    assert 0 < sum(filled) < 1200


def test_a_market_order_takes_what_the_book_gives(world: World) -> None:
    number = world.placed(prctyp="MKT", prc="0")
    row = world.row(number)
    assert (row["status"], row["prc"], row["prctyp"]) == ("COMPLETE", "0.00", "MKT")


@pytest.mark.parametrize("prctyp", ["MKT", "SL-MKT"])
def test_market_orders_are_refused_in_the_reply_where_the_switch_says_so(prctyp: str) -> None:
    world = World(refuse_market_orders=True)
    reply = world.reply("PlaceOrder", **order_fields(prctyp=prctyp, prc="0", trgprc="1600"))
    assert reply.status == 200
    assert json.loads(reply.body)["emsg"] == ("Rejected : ALGO_CHK: MKT Order type not allowed for API order")
    assert world.call("OrderBook")["stat"] == "Not_Ok"


def order_fields(**changed: str | None) -> dict[str, str | None]:
    fields: dict[str, str | None] = {
        "actid": "U1",
        "trantype": "B",
        "prd": "I",
        "exch": "NSE",
        "tsym": "INFY-EQ",
        "qty": "10",
        "prctyp": "LMT",
        "prc": "1530.00",
        "ret": "DAY",
    }
    return {**fields, **changed}


def test_an_ioc_order_that_finds_nobody_is_cancelled_at_once(world: World) -> None:
    number = world.placed(ret="IOC", prc="1400.00")
    assert world.history(number) == [*RESTING, "Canceled/CANCELED"]
    row = world.row(number)
    assert (row["cancelqty"], row["rejreason"]) == ("10", "IOC Order Cancelled")


def test_an_ioc_order_keeps_what_it_got(world: World) -> None:
    best = world.call("GetQuotes", exch="NSE", token="1594")
    number = world.placed(ret="IOC", qty="1000", prc=best["sp1"])
    assert world.history(number) == [*RESTING, "Fill/OPEN", "Canceled/CANCELED"]
    row = world.row(number)
    assert int(row["fillshares"]) + int(row["cancelqty"]) == 1000
    assert world.position()["netqty"] == row["fillshares"]


def test_a_stop_waits_for_its_trigger_then_fills(world: World) -> None:
    number = world.placed(prctyp="SL-LMT", prc="1545.00", trgprc="1540.00")
    assert world.history(number)[-1] == "New/TRIGGER_PENDING"
    assert world.row(number)["trgprc"] == "1540.00"
    world.set_price("1539.90")
    assert world.row(number)["status"] == "TRIGGER_PENDING"
    world.set_price("1540.00")
    assert world.history(number) == [
        "NewAck/PENDING",
        "PendingNew/PENDING",
        "New/TRIGGER_PENDING",
        "New/OPEN",
        "Fill/COMPLETE",
    ]


def test_a_stop_with_a_limit_may_be_left_behind_by_a_gap(world: World) -> None:
    number = world.placed(prctyp="SL-LMT", prc="1541.00", trgprc="1540.00")
    world.set_price("1560.00")
    assert world.row(number)["status"] == "OPEN"
    world.set_price("1540.50")
    assert world.row(number)["status"] == "COMPLETE"


def test_stops_that_go_off_together_trade_in_the_order_they_came(world: World) -> None:
    stops = [
        world.placed(f"U{n}", trantype="S", prctyp="SL-MKT", prc="0", trgprc=trigger, qty="400", prd="I")
        for n, trigger in ((1, "1490.00"), (2, "1500.00"))
    ]
    world.set_price("1480.00")
    prices = [float(world.row(number, f"U{n}")["avgprc"]) for n, number in enumerate(stops, 1)]
    assert prices[0] > prices[1]


def test_a_stop_that_went_off_waits_again_for_a_new_trigger_only(world: World) -> None:
    number = world.placed(prctyp="SL-LMT", prc="1541.00", trgprc="1540.00")
    world.set_price("1560.00")
    assert world.row(number)["status"] == "OPEN"
    world.modify(number, prc="1542.00", trgprc="1540.00")
    world.wait(0.05)
    assert world.history(number)[-1] == "Replaced/OPEN"
    world.modify(number, prc="1575.00", trgprc="1570.00")
    world.wait(0.05)
    assert world.history(number)[-1] == "Replaced/TRIGGER_PENDING"
    world.set_price("1571.00")
    assert world.row(number)["status"] == "COMPLETE"


def test_a_stop_that_has_not_gone_off_does_not_go_off_by_a_new_limit(world: World) -> None:
    number = world.placed(prctyp="SL-LMT", prc="1545.00", trgprc="1540.00")
    world.modify(number, prc="1546.00", trgprc="1540.00")
    world.wait(0.05)
    assert world.history(number)[-1] == "Replaced/TRIGGER_PENDING"


def test_a_market_stop_sells_below_its_trigger(world: World) -> None:
    number = world.placed(trantype="S", prctyp="SL-MKT", prc="0", trgprc="1500.00")
    world.set_price("1490.00")
    row = world.row(number)
    assert row["status"] == "COMPLETE"
    assert float(row["avgprc"]) < 1490


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"prctyp": "SL-LMT", "prc": "1540.00", "trgprc": "1545.00"}, "Trigger price invalid - 1545.00"),
        (
            {"trantype": "S", "prctyp": "SL-LMT", "prc": "1500.00", "trgprc": "1490.00"},
            "Trigger price invalid - 1490.00",
        ),
        ({"prctyp": "SL-LMT", "trgprc": "0"}, "Trigger price invalid - 0.00"),
        ({"prctyp": "SL-LMT", "trgprc": "None"}, 'Error Occurred : 2 "invalid input"'),
        ({"prctyp": "SL-LMT", "trgprc": ""}, "basic_string::at"),
        ({"prc": ""}, "basic_string::at: __n (which is 0) >= this->size() (which is 0)"),
        ({"prc": "0"}, "invalid input"),
        ({"prc": "-5"}, "invalid input"),
        ({"prc": "NaN"}, "invalid input"),
        ({"prc": "1e400"}, "invalid input"),
        ({"qty": "0"}, "invalid input"),
        ({"qty": "1.5"}, "invalid input"),
        ({"qty": "-1"}, "invalid input"),
        ({"qty": ""}, "invalid input"),
        ({"trantype": "BUY"}, "invalid input"),
        ({"prctyp": "LIMIT"}, "invalid input"),
        ({"prd": "MIS"}, "invalid input"),
        ({"ret": "GTC"}, "invalid input"),
        ({"ret": "EOS"}, "invalid input"),
        ({"tsym": "infy-eq"}, "invalid input"),
        ({"tsym": "NIFTY INDEX"}, "invalid input"),
        ({"exch": "BSE"}, "invalid input"),
        ({"actid": "OTHER"}, "invalid input"),
        ({"dscqty": "5"}, "Invalid Input :  Invalid Disc Qty"),
        ({"dscqty": "\u00b2"}, "Invalid Input :  Invalid Disc Qty"),
        ({"dscqty": "9" * 5000}, "Invalid Input :  Invalid Disc Qty"),
        ({"qty": "9" * 5000}, "invalid input"),
    ],
)
def test_an_order_that_makes_no_sense_is_refused_in_the_reply(world: World, fields: dict[str, str], words: str) -> None:
    answer = world.order(**fields)
    assert answer["stat"] == "Not_Ok"
    assert words in answer["emsg"]
    assert "norenordno" not in answer
    assert world.call("OrderBook")["stat"] == "Not_Ok"


def test_invalid_disclosed_quantity_is_http_400(world: World) -> None:
    assert world.reply("PlaceOrder", **order_fields(dscqty="5")).status == 400


def test_the_library_s_oddities_are_taken(world: World) -> None:
    number = world.placed(prc="1530.0", trgprc="None", remarks=None, amo="NO", algo_id=None)
    row = world.row(number)
    assert row["prc"] == "1530.00"
    assert "remarks" not in row
    assert "amo" not in row


def test_a_strict_server_refuses_the_word_none_for_a_trigger() -> None:
    world = World(strict_trgprc=True)
    assert "Trigger price invalid - None" in world.order()["emsg"]
    assert world.order(trgprc="")["stat"] == "Ok"


def test_a_strict_server_refuses_any_amo_but_yes() -> None:
    world = World(strict_amo=True)
    assert "Invalid AMO" in world.order()["emsg"]
    assert world.order(amo=None)["stat"] == "Ok"
    assert world.order(amo="Yes")["stat"] == "Ok"


def test_order_calls_from_an_address_that_is_not_registered_are_refused() -> None:
    world = World(accounts=(AccountConfig(uid="U1", registered_ips=("10.0.0.1",)),))
    assert world.order()["emsg"] == "Rejected : ALGO_CHK: Invalid IP address"
    world.log_in()
    body = f"jData={json.dumps({'uid': 'U1', **order_fields()})}&jKey={world.tokens['U1']}"
    assert json.loads(world.raw("/PlaceOrder", body, peer="10.0.0.1").body)["stat"] == "Ok"


# -- modify ---------------------------------------------------------------------------------------------------------


def test_a_modification_changes_price_and_quantity(world: World) -> None:
    number = world.resting()
    answer = world.modify(number, prc="1410.00", qty="20")
    assert answer["result"] == number
    world.wait(0.05)
    assert world.history(number)[3:] == ["ModAck/PENDING", "PendingReplace/PENDING", "Replaced/OPEN"]
    row = world.row(number)
    assert (row["prc"], row["qty"], row["rorgprc"], row["rorgqty"]) == ("1410.00", "20", "1400.00", "10")


def test_a_modification_to_a_marketable_price_fills(world: World) -> None:
    number = world.resting()
    world.modify(number, prc="1530.00")
    world.wait(0.05)
    assert world.history(number)[-2:] == ["Replaced/OPEN", "Fill/COMPLETE"]


def test_a_stop_can_be_turned_into_a_limit(world: World) -> None:
    number = world.placed(prctyp="SL-LMT", prc="1545.00", trgprc="1540.00")
    world.modify(number, prctyp="LMT", prc="1530.00")
    world.wait(0.05)
    assert world.row(number)["status"] == "COMPLETE"


def test_quantity_is_the_total_and_not_the_rest(world: World) -> None:
    best = world.call("GetQuotes", exch="NSE", token="1594")
    number = world.placed(qty="1000", prc=best["sp1"])
    filled = int(world.row(number)["fillshares"])
    assert world.modify(number, qty=str(filled))["emsg"] == 'Error Occurred : 2 "invalid input"'
    world.modify(number, qty=str(filled + 1), prc="1400.00")
    world.wait(0.05)
    assert world.row(number)["rqty"] == "1"


def test_a_modification_that_loses_the_race_is_refused_after_the_fill(world: World) -> None:
    number = world.resting(prc="1500.00")
    world.modify(number, prc="1501.00")
    world.set_price("1490.00")
    world.wait(0.05)
    assert world.history(number)[3:] == ["ModAck/PENDING", "Fill/COMPLETE", "ReplaceRejected/COMPLETE"]


def test_a_modification_to_what_has_filled_meanwhile_is_refused(world: World) -> None:
    number = world.resting()
    world.modify(number, qty="5")
    world.control("fill_order", norenordno=number, qty=5)
    world.wait(0.05)
    assert world.history(number)[3:] == [
        "ModAck/PENDING",
        "Fill/OPEN",
        "PendingReplace/PENDING",
        "ReplaceRejected/OPEN",
    ]
    assert world.row(number)["qty"] == "10"


def test_less_quantity_at_the_same_price_keeps_the_place_in_time(world: World) -> None:
    first = world.placed("U1", prc="1500.00", qty="300")
    second = world.placed("U2", prc="1500.00", qty="300")
    world.modify(first, "U1", qty="250")
    world.wait(0.05)
    world.set_price("1499.90")
    filled = [int(world.row(n, u).get("fillshares", 0)) for n, u in ((first, "U1"), (second, "U2"))]
    assert filled[0] > filled[1]


def test_more_quantity_loses_the_place_in_time(world: World) -> None:
    first = world.placed("U1", prc="1500.00", qty="300")
    second = world.placed("U2", prc="1500.00", qty="300")
    world.modify(first, "U1", qty="301")
    world.wait(0.05)
    world.set_price("1499.90")
    filled = [int(world.row(n, u).get("fillshares", 0)) for n, u in ((first, "U1"), (second, "U2"))]
    assert filled[1] > filled[0]


def test_a_modification_beyond_the_means_leaves_the_order_as_it_was(world: World) -> None:
    number = world.resting()
    world.modify(number, qty="400000")
    world.wait(0.05)
    assert world.history(number)[-1] == "ReplaceRejected/OPEN"
    row = world.row(number)
    assert (row["qty"], row["status"]) == ("10", "OPEN")
    assert row["rejreason"].startswith("RED:Margin Shortfall")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"trgprc": "0"}, "Trigger price invalid - 0.00"),
        ({"tsym": "TCS-EQ"}, "invalid input"),
        ({"norenordno": "1"}, "Rejected : ORA:Order not found"),
    ],
)
def test_a_modification_that_makes_no_sense_is_refused_in_the_reply(
    world: World, fields: dict[str, str], words: str
) -> None:
    number = world.resting()
    row = world.row(number)
    data = {"norenordno": number, **{n: row[n] for n in ("exch", "tsym", "qty", "prctyp", "prc")}, **fields}
    assert words in world.call("ModifyOrder", actid="U1", **data)["emsg"]


def test_an_order_of_another_is_not_found(world: World) -> None:
    number = world.resting()
    assert world.call("CancelOrder", "U2", norenordno=number)["emsg"] == "Rejected : ORA:Order not found to Cancel"


# -- cancel ---------------------------------------------------------------------------------------------------------


def test_a_cancel_takes_its_way(world: World) -> None:
    number = world.resting()
    assert world.cancel(number)["result"] == number
    world.wait(0.05)
    assert world.history(number)[3:] == ["CanAck/PENDING", "PendingCancel/PENDING", "Canceled/CANCELED"]
    assert world.row(number)["cancelqty"] == "10"


def test_a_partly_filled_order_is_cancelled_for_the_rest(world: World) -> None:
    best = world.call("GetQuotes", exch="NSE", token="1594")
    number = world.placed(qty="1000", prc=best["sp1"])
    filled = world.row(number)["fillshares"]
    world.cancel(number)
    world.wait(0.05)
    row = world.row(number)
    assert (row["status"], row["fillshares"]) == ("CANCELED", filled)
    assert int(row["cancelqty"]) == 1000 - int(filled)


def test_a_cancel_that_loses_the_race_is_refused_after_the_fill(world: World) -> None:
    number = world.resting(prc="1500.00")
    world.cancel(number)
    world.set_price("1490.00")
    world.wait(0.05)
    assert world.history(number)[3:] == ["CanAck/PENDING", "Fill/COMPLETE", "CancelRejected/COMPLETE"]
    assert world.row(number)["rejreason"] == "SAF:order is not open to cancel"


def test_an_order_that_has_ended_is_not_found_to_cancel(world: World) -> None:
    number = world.placed()
    assert world.cancel(number)["emsg"] == "Rejected : ORA:Order not found to Cancel"


def test_a_cancel_before_the_exchange_has_the_order_follows_it_there(world: World) -> None:
    number = world.place(prc="1400.00")
    world.cancel(number)
    world.wait(0.05)
    assert world.history(number) == [
        "NewAck/PENDING",
        "CanAck/PENDING",
        "PendingNew/PENDING",
        "PendingCancel/PENDING",
        "New/OPEN",
        "Canceled/CANCELED",
    ]


def test_stages_of_one_order_never_overtake_each_other_however_they_jitter() -> None:
    world = World(latency={"risk_s": 0.01, "exchange_s": 0.02, "push_s": 0.0, "jitter": 5.0})
    numbers = []
    for _ in range(20):
        number = world.place(prc="1400.00")
        world.cancel(number)
        numbers.append(number)
    world.wait(1)
    for number in numbers:
        history = world.history(number)
        assert history.index("New/OPEN") < history.index("Canceled/CANCELED")
        assert history[-1] == "Canceled/CANCELED"


def test_there_is_no_cover_or_bracket_order_to_exit(world: World) -> None:
    answer = world.call("ExitSNOOrder", norenordno="1", prd="H")
    assert answer["emsg"] == "Rejected : ORA:Order not found"


def test_a_repeated_request_makes_a_second_order(world: World) -> None:
    assert world.place(remarks="same") != world.place(remarks="same")
