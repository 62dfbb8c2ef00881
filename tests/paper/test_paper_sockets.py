"""The push feed (protocol sections 8 and 9)."""

import json

import pytest

from core.paper.instruments import Instrument
from tests.paper.world import World

FILLED = ["NewAck/PENDING", "PendingNew/PENDING", "New/OPEN", "Fill/COMPLETE"]


@pytest.fixture
def world() -> World:
    return World()


@pytest.mark.parametrize(("kind", "name"), [("c", "susertoken"), ("a", "accesstoken")])
def test_both_generations_shake_hands(world: World, kind: str, name: str) -> None:
    world.log_in()
    world.exchange.connect("ws-1", world.now)
    world.say("ws-1", t=kind, uid="U1", actid="U1", source="API", **{name: world.tokens["U1"]})
    assert world.frames() == [{"t": f"{kind}k", "uid": "U1", "s": "OK"}]


def test_a_bad_token_is_told_and_the_socket_stays_open_and_silent(world: World) -> None:
    world.log_in()
    world.exchange.connect("ws-1", world.now)
    world.say("ws-1", t="c", uid="U1", susertoken="wrong")
    assert world.frames() == [{"t": "ck", "uid": "U1", "s": "Not_Ok"}]
    world.say("ws-1", t="o", actid="U1")
    world.say("ws-1", t="h")
    world.placed()
    assert len(world.frames()) == 1
    assert world.closes == []


def test_a_token_of_another_user_does_not_open_a_socket(world: World) -> None:
    world.log_in("U1")
    world.log_in("U2")
    world.exchange.connect("ws-1", world.now)
    world.say("ws-1", t="a", uid="U1", accesstoken=world.tokens["U2"])
    assert world.frames()[0]["s"] == "Not_Ok"


def test_p1_a_third_socket_of_a_user_closes_the_first_and_both_others_are_told(world: World) -> None:
    world.socket(connection="ws-1")
    world.socket("U2", connection="ws-2")
    world.socket(connection="ws-3")
    assert world.closes == []
    world.socket(connection="ws-4")
    assert [(c.connection, c.code, c.reason) for c in world.closes] == [("ws-1", 1000, "goodbye")]
    world.placed()
    assert [world.reports(name) for name in ("ws-1", "ws-3", "ws-4")] == [[], FILLED, FILLED]


def test_p1_where_a_user_may_have_one_socket_a_second_closes_the_first() -> None:
    world = World(sockets_per_user=1)
    world.socket(connection="ws-1")
    world.socket(connection="ws-2")
    assert [(c.connection, c.reason) for c in world.closes] == [("ws-1", "goodbye")]


def test_order_updates_come_after_they_are_asked_for(world: World) -> None:
    world.socket(orders=False)
    world.placed()
    assert world.reports() == []
    world.say("ws-1", t="o", actid="U1")
    assert world.frames()[-1] == {"t": "ok"}
    world.placed()
    assert world.reports() == FILLED
    world.say("ws-1", t="uo", actid="U1")
    assert world.frames()[-1] == {"t": "uok"}
    world.placed()
    assert world.reports() == FILLED


def test_the_acknowledgement_of_order_updates_can_be_switched_off() -> None:
    world = World(order_ack=False)
    world.socket()
    assert [frame["t"] for frame in world.frames()] == ["ck"]
    world.placed()
    assert world.reports() == FILLED


def test_order_updates_may_come_unasked() -> None:
    world = World(auto_order_updates=True)
    world.socket(orders=False)
    world.placed()
    assert world.reports() == FILLED


def test_a_fill_frame_has_the_keys_of_a_real_one(world: World) -> None:
    world.socket()
    number = world.placed(remarks="tag")
    fill = world.frames(kind="om")[-1]
    wanted = {
        "t": "om",
        "norenordno": number,
        "uid": "U1",
        "actid": "U1",
        "exch": "NSE",
        "tsym": "INFY-EQ",
        "trantype": "B",
        "qty": "10",
        "prc": "1530.00",
        "pcode": "I",
        "remarks": "tag",
        "rejreason": " ",
        "status": "COMPLETE",
        "reporttype": "Fill",
        "flqty": "10",
        "flprc": "1518.70",
        "fltm": "03-11-2026 10:00:00",
        "prctyp": "LMT",
        "ret": "DAY",
        "fillshares": "10",
        "dscqty": "0",
        "avgprc": "1518.70",
        "exch_tm": "03-11-2026 10:00:00",
    }
    assert {name: fill[name] for name in wanted} == wanted
    assert fill["flid"].isdigit()
    assert len(fill["exchordid"]) == 16
    first = world.frames(kind="om")[0]
    assert (first["exchordid"], first["st_intrn"]) == ("", "ORDER ACK")
    assert "flid" not in first
    assert "prd" not in first


def test_the_product_may_be_named_prd() -> None:
    world = World(product_key="prd")
    world.socket()
    world.placed()
    frame = world.frames(kind="om")[0]
    assert frame["prd"] == "I"
    assert "pcode" not in frame


def test_frames_tell_of_every_event_and_of_one_s_own_orders_only(world: World) -> None:
    world.socket("U1", "ws-1")
    world.socket("U2", "ws-2")
    number = world.resting()
    world.modify(number, prc="1410.00")
    world.wait(0.05)
    world.cancel(number)
    world.wait(0.05)
    assert world.reports("ws-1") == world.history(number)
    assert world.reports("ws-2") == []


def test_a_rejection_comes_with_its_reason(world: World) -> None:
    world.socket()
    world.placed(prc="2400.00")
    last = world.frames(kind="om")[-1]
    assert (last["status"], last["rejby"], last["exchordid"]) == ("REJECTED", "RED", "")
    assert last["rejreason"].startswith("RED:RULE:{Check circuit limit")


def test_an_order_refused_in_the_reply_makes_no_frame(world: World) -> None:
    world.socket()
    world.order(prc="0")
    world.wait(1)
    assert world.reports() == []


def test_frames_come_a_little_after_their_events(world: World) -> None:
    world.socket()
    world.placed()
    orders = [push for push in world.pushes if json.loads(push.text)["t"] == "om"]
    assert [int((push.due.timestamp() * 1000 + 0.5) % 1000) for push in orders] == [1, 3, 6, 6]


def test_nothing_is_replayed_after_a_reconnect(world: World) -> None:
    world.socket(connection="ws-1")
    world.exchange.disconnect("ws-1", world.now)
    world.placed()
    world.socket(connection="ws-2")
    assert world.reports("ws-1") == world.reports("ws-2") == []


def test_a_heartbeat_is_answered_with_the_time(world: World) -> None:
    world.socket()
    world.say("ws-1", t="h")
    assert world.frames()[-1] == {"t": "hk", "ft": "1793680200"}


@pytest.mark.parametrize("text", ["", "no json", "[]", '"c"', "{}", '{"t":null}', '{"t":"zz"}', "[" * 50_000])
def test_nonsense_is_passed_over(world: World, text: str) -> None:
    world.socket()
    count = len(world.frames())
    step = world.exchange.receive("ws-1", text, world.now)
    assert step.out == ()
    world.say("ws-1", t="h")
    assert len(world.frames()) == count + 1


def test_a_socket_nobody_opened_is_passed_over(world: World) -> None:
    world.say("ghost", t="h")
    assert world.frames("ghost") == []


def test_touchline_gives_a_snapshot_then_what_has_changed(world: World) -> None:
    world.socket()
    world.say("ws-1", t="t", k="NSE|1594#NSE|2885#NSE|0")
    snapshots = world.frames(kind="tk")
    assert [(f["e"], f["tk"], f["ts"]) for f in snapshots] == [
        ("NSE", "1594", "INFY-EQ"),
        ("NSE", "2885", "RELIANCE-EQ"),
    ]
    assert snapshots[0]["lp"] == "1518.60"
    world.set_price("1520.00")
    change = world.frames(kind="tf")[-1]
    assert (change["tk"], change["lp"], change["bp1"]) == ("1594", "1520.00", "1519.90")
    assert "ts" not in change
    assert "c" not in change
    assert {f["tk"] for f in world.frames(kind="tf")} == {"1594"}


def test_a_change_is_one_from_the_last_frame_and_not_from_the_first(world: World) -> None:
    world.socket()
    world.say("ws-1", t="t", k="NSE|1594")
    world.set_price("1520.00")
    world.set_price("1518.60")
    assert [frame["lp"] for frame in world.frames(kind="tf")] == ["1520.00", "1518.60"]


def test_depth_gives_five_levels(world: World) -> None:
    world.socket()
    world.say("ws-1", t="d", k="NSE|1594")
    (snapshot,) = world.frames(kind="dk")
    assert {"bp5", "bq5", "sp5", "sq5"} <= set(snapshot)
    world.set_price("1520.00")
    assert world.frames(kind="df")[-1]["sp1"] == "1520.10"


def test_p2_a_contract_s_frames_and_quotes_tell_the_same_open_interest(world: World) -> None:
    option = world.call("SearchScrip", exch="NFO", stext="BANKNIFTY CE")["values"][0]
    world.socket()
    world.say("ws-1", t="t", k=f"NFO|{option['token']}")
    (snapshot,) = world.frames(kind="tk")
    quote = world.call("GetQuotes", exch="NFO", token=option["token"])
    assert snapshot["oi"] == quote["oi"]
    assert int(quote["oi"]) % int(option["ls"]) == 0 < int(quote["oi"])
    assert "oi" not in world.call("GetQuotes", exch="NSE", token="1594")


def test_p2_frames_carry_the_day_and_the_book(world: World) -> None:
    world.socket()
    world.say("ws-1", t="t", k="NSE|1594")
    world.say("ws-1", t="d", k="NSE|1594")
    (snapshot,), (deep,) = world.frames(kind="tk"), world.frames(kind="dk")
    names = {
        "o",
        "h",
        "l",
        "c",
        "v",
        "ap",
        "ltt",
        "ltq",
        "tbq",
        "tsq",
        "bo1",
        "so1",
        "lc",
        "uc",
        "pp",
        "ti",
        "ls",
        "ft",
    }
    assert names <= set(snapshot)
    assert {"bo5", "so5"} <= set(deep)
    world.set_price("1525.00")
    world.set_price("1520.00")
    rise, fall = world.frames(kind="tf")
    assert (rise["h"], rise["lp"]) == ("1525.00", "1525.00")
    assert "o" not in rise
    assert "h" not in fall


def test_p5_an_index_has_a_price_and_no_order_book(world: World) -> None:
    world.socket()
    world.say("ws-1", t="t", k="NSE|26000")
    (snapshot,) = world.frames(kind="tk")
    assert {"lp", "o", "h", "l", "c"} <= set(snapshot)
    assert not {"bp1", "sp1", "tbq"} & set(snapshot)


def test_p6_a_socket_takes_a_thousand_subscriptions() -> None:
    shares = (Instrument(exch="NSE", token=str(n), symbol=f"S{n}", tsym=f"S{n}-EQ", kind="EQ") for n in range(1, 1003))
    world = World(instruments=tuple(shares))
    world.socket()
    world.say("ws-1", t="t", k="#".join(f"NSE|{n}" for n in range(1, 1003)))
    assert len(world.frames(kind="tk")) == 1000


def test_a_feed_may_send_heartbeats_alone_and_then_the_whole_change(world: World) -> None:
    world.socket()
    world.say("ws-1", t="t", k="NSE|1594#NSE|2885")
    fault = world.fault("feed_no_ticks", text="INFY-EQ", count=0)
    world.set_price("1520.00")
    world.say("ws-1", t="h")
    assert [frame["t"] for frame in world.frames()[-1:]] == ["hk"]
    assert world.frames(kind="tf") == []
    world.control("remove_fault", id=fault)
    world.set_price("1521.00")
    assert [frame["lp"] for frame in world.frames(kind="tf")] == ["1521.00"]


def test_a_feed_may_send_the_prices_of_another_instrument(world: World) -> None:
    world.socket()
    world.say("ws-1", t="t", k="NSE|1594")
    world.fault("feed_wrong_instrument", text="INFY-EQ")
    world.set_price("1520.00")
    world.set_price("1521.00")
    wrong, right = world.frames(kind="tf")
    assert float(wrong["lp"]) > 20000
    assert (right["lp"], right["bp1"]) == ("1521.00", "1520.90")
    world.fault("feed_wrong_instrument", text="INFY-EQ")
    world.say("ws-1", t="t", k="NSE|1594")
    assert world.frames(kind="tk")[-1]["ts"] != "INFY-EQ"


def test_prices_are_pushed_with_each_step_until_they_are_not_wanted() -> None:
    world = World(price_source="walk")
    world.socket()
    assert world.exchange.next_due() is None
    world.say("ws-1", t="t", k="NSE|1594")
    assert world.exchange.next_due() is not None
    world.wait(10)
    assert 5 <= len(world.frames(kind="tf")) <= 10
    world.say("ws-1", t="u", k="NSE|1594")
    assert world.frames()[-1] == {"t": "uk", "k": "NSE|1594"}
    assert world.exchange.next_due() is None


def test_a_leap_of_time_does_not_flood_a_socket_with_old_prices() -> None:
    world = World(price_source="walk", token_expiry_time=None)
    world.socket()
    world.say("ws-1", t="t", k="NSE|1594")
    world.wait(3 * 3600)
    assert 1 <= len(world.frames(kind="tf")) <= 61


def test_a_token_that_has_died_silences_its_socket(world: World) -> None:
    world.socket()
    world.control("kill_token", account="U1")
    world.log_in()
    world.placed()
    assert world.reports() == []
    assert world.closes == []
