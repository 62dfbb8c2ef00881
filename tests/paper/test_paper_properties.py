"""What must hold after any sequence of orders, modifications, cancels, prices and faults, seen over the wire."""

from __future__ import annotations

import json
from collections import defaultdict
from decimal import Decimal
from typing import Any
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st

from core.paper import accounts
from core.paper.config import ExchangeConfig
from core.paper.endpoints import books
from core.paper.endpoints.gate import ENDPOINTS
from core.paper.exchange import Exchange
from tests.paper.world import START, World

USERS = ("U1", "U2", "U3")
BASE = Decimal("1518.60")
TICK = Decimal("0.10")
CONTRACTS = {"INFY-EQ": ("NSE", BASE, 1, "I"), "NIFTY09NOV26C26000": ("NFO", Decimal(330), 65, "M")}

users = st.sampled_from(USERS)
# Near the middle users meet each other; further out only strangers.
offsets = st.integers(-40, 40) | st.integers(-2, 2)
places = st.fixed_dictionaries(
    {
        "do": st.just("place"),
        "user": users,
        "tsym": st.sampled_from([*CONTRACTS, "INFY-EQ"]),
        "side": st.sampled_from("BS"),
        "lots": st.integers(1, 30) | st.just(2000),
        "offset": offsets,
        "stop": st.integers(1, 15),
        "prctyp": st.sampled_from(["LMT", "LMT", "LMT", "MKT", "SL-LMT", "SL-MKT"]),
        "ret": st.sampled_from(["DAY", "DAY", "IOC"]),
    }
)
changes = st.fixed_dictionaries(
    {
        "do": st.just("modify"),
        "which": st.integers(0, 30),
        "lots": st.integers(1, 40),
        "offset": offsets,
        "prctyp": st.sampled_from(["LMT", "LMT", "MKT"]),
    }
)
cancels = st.fixed_dictionaries({"do": st.just("cancel"), "which": st.integers(0, 30)})
moves = st.fixed_dictionaries({"do": st.just("price"), "tsym": st.sampled_from([*CONTRACTS]), "offset": offsets})
waits = st.fixed_dictionaries({"do": st.just("wait"), "seconds": st.sampled_from([0.001, 0.004, 0.05, 1.0, 3.0])})
faults = st.fixed_dictionaries(
    {
        "do": st.just("fault"),
        "kind": st.sampled_from(
            [
                "late_fill_after_cancel",
                "cancel_ok_then_fill",
                "modify_ok_then_rejected",
                "cancel_refused_while_open",
                "reject_order",
                "exchange_reject",
                "accept_502",
                "drop_502",
                "push_lost",
                "push_doubled",
                "push_reordered",
            ]
        ),
    }
)
sequences = st.lists(places | places | changes | cancels | moves | waits | faults, min_size=1, max_size=25)

PROFILE = settings(max_examples=150, deadline=None)


class Player:
    """Plays a sequence into a world and keeps what it was answered."""

    def __init__(self, seed: int = 1, **config: Any) -> None:
        self.world = World(seed=seed, **config)
        self.bodies: list[bytes] = []
        for number, user in enumerate(USERS):
            self.world.socket(user, f"ws-{number}")

    def play(self, actions: list[dict[str, Any]]) -> None:
        for action in actions:
            getattr(self, action["do"])(action)

    def place(self, action: dict[str, Any]) -> None:
        exch, base, lot, prd = CONTRACTS[action["tsym"]]
        price = base + action["offset"] * TICK
        # The trigger stands on the side from which the limit can still be reached.
        trigger = price + action["stop"] * TICK * (-1 if action["side"] == "B" else 1)
        market = action["prctyp"].endswith("MKT")
        self.reply(
            "PlaceOrder",
            action["user"],
            actid=action["user"],
            exch=exch,
            tsym=action["tsym"],
            trantype=action["side"],
            qty=str(action["lots"] * lot),
            prd=prd,
            prctyp=action["prctyp"],
            prc="0" if market else str(price),
            trgprc=str(trigger),
            ret=action["ret"],
            remarks=f"r{len(self.bodies)}",
        )

    def modify(self, action: dict[str, Any]) -> None:
        user, row = self._pick(action["which"])
        if row is not None:
            _, base, lot, _ = CONTRACTS[row["tsym"]]
            fields = {"exch": row["exch"], "tsym": row["tsym"], "norenordno": row["norenordno"]}
            price = "0" if action["prctyp"] == "MKT" else str(base + action["offset"] * TICK)
            quantity = str(action["lots"] * lot)
            self.reply("ModifyOrder", user, actid=user, qty=quantity, prc=price, prctyp=action["prctyp"], **fields)

    def cancel(self, action: dict[str, Any]) -> None:
        user, row = self._pick(action["which"])
        if row is not None:
            self.reply("CancelOrder", user, norenordno=row["norenordno"])

    def price(self, action: dict[str, Any]) -> None:
        exch, base, _, _ = CONTRACTS[action["tsym"]]
        self.world.set_price(str(base + action["offset"] * TICK), action["tsym"], exch)

    def wait(self, action: dict[str, Any]) -> None:
        self.world.wait(action["seconds"])

    def fault(self, action: dict[str, Any]) -> None:
        self.world.fault(action["kind"])

    def reply(self, endpoint: str, user: str, **fields: Any) -> None:
        self.bodies.append(self.world.reply(endpoint, user, **fields).body)

    def _pick(self, which: int) -> tuple[str, dict[str, Any] | None]:
        rows = sorted(
            ((user, row) for user in USERS for row in self.book("OrderBook", user)),
            key=lambda pair: pair[1]["norenordno"],
        )
        return rows[which % len(rows)] if rows else ("", None)

    def book(self, name: str, user: str, **fields: str) -> list[dict[str, Any]]:
        rows = self.world.call(name, user, actid=user, **fields)
        return rows if isinstance(rows, list) else []


def settled(actions: list[dict[str, Any]], **config: Any) -> Player:
    player = Player(**config)
    player.play(actions)
    player.world.wait(2)
    return player


@PROFILE
@given(sequences)
def test_no_order_fills_beyond_its_quantity_and_trades_add_up(actions: list[dict[str, Any]]) -> None:
    player = settled(actions)
    for user in USERS:
        traded: dict[str, int] = defaultdict(int)
        value: dict[str, Decimal] = defaultdict(Decimal)
        for trade in player.book("TradeBook", user):
            traded[trade["norenordno"]] += int(trade["flqty"])
            value[trade["norenordno"]] += int(trade["flqty"]) * Decimal(trade["flprc"])
        for row in player.book("OrderBook", user):
            filled = int(row.get("fillshares", 0))
            assert filled == traded[row["norenordno"]] <= int(row["qty"])
            assert (row["status"] == "COMPLETE") == (filled == int(row["qty"]))
            if row["status"] == "CANCELED":
                assert int(row["cancelqty"]) == int(row["qty"]) - filled
            if filled:
                average = value[row["norenordno"]] / filled
                assert abs(Decimal(row["avgprc"]) - average) <= Decimal("0.005")


@PROFILE
@given(sequences)
def test_positions_are_the_sum_of_trades_and_results_their_identity(actions: list[dict[str, Any]]) -> None:
    player = settled(actions)
    for user in USERS:
        bought: dict[str, int] = defaultdict(int)
        flow: dict[str, Decimal] = defaultdict(Decimal)
        for trade in player.book("TradeBook", user):
            sign = 1 if trade["trantype"] == "B" else -1
            bought[trade["tsym"]] += sign * int(trade["flqty"])
            flow[trade["tsym"]] -= sign * int(trade["flqty"]) * Decimal(trade["flprc"])
        rows = player.book("PositionBook", user)
        assert {row["tsym"] for row in rows} == set(bought)
        for row in rows:
            net, last = int(row["netqty"]), Decimal(row["lp"])
            assert net == bought[row["tsym"]]
            result = Decimal(row["rpnl"]) + Decimal(row["urmtom"])
            assert abs(result - (flow[row["tsym"]] + net * last)) <= Decimal("0.01")


@PROFILE
@given(sequences)
def test_orders_trade_at_their_limit_or_better(actions: list[dict[str, Any]]) -> None:
    # A modification would leave the earlier limit out of the row; without any the row has the limit that held.
    player = settled([action for action in actions if action["do"] != "modify"])
    for user in USERS:
        for trade in player.book("TradeBook", user):
            limit, price = Decimal(trade["prc"]), Decimal(trade["flprc"])
            if limit:
                assert price <= limit if trade["trantype"] == "B" else price >= limit
            assert price > 0


@PROFILE
@given(sequences)
def test_what_is_reserved_is_what_stands_open(actions: list[dict[str, Any]]) -> None:
    player = settled(actions)
    for user in USERS:
        pending: dict[tuple[str, str], int] = defaultdict(int)
        live = False
        for row in player.book("OrderBook", user):
            if row["status"] in ("OPEN", "TRIGGER_PENDING"):
                live = True
                pending[row["tsym"], row["trantype"]] += int(row["rqty"])
        for row in player.book("PositionBook", user):
            assert int(row["openbuyqty"]) == pending[row["tsym"], "B"]
            assert int(row["opensellqty"]) == pending[row["tsym"], "S"]
        limits = player.world.call("Limits", user)
        assert Decimal(limits["pendordval"]) >= 0
        if not live:
            assert Decimal(limits["pendordval"]) == 0


AFTER = {
    "NewAck": {"PENDING"},
    "PendingNew": {"PENDING"},
    "New": {"OPEN", "TRIGGER_PENDING"},
    "ModAck": {"PENDING"},
    "PendingReplace": {"PENDING"},
    "Replaced": {"OPEN", "TRIGGER_PENDING"},
    "ReplaceRejected": {"PENDING", "OPEN", "TRIGGER_PENDING", "COMPLETE", "CANCELED", "REJECTED"},
    "CanAck": {"PENDING"},
    "PendingCancel": {"PENDING"},
    "Canceled": {"CANCELED"},
    "CancelRejected": {"COMPLETE", "CANCELED", "REJECTED"},
    "Fill": {"OPEN", "COMPLETE", "CANCELED"},
    "Rejected": {"REJECTED"},
}
"""The statuses that may follow each report (protocol section 6.3)."""

FINAL = {"COMPLETE", "CANCELED", "REJECTED"}
LATE = {"Fill", "ReplaceRejected", "CancelRejected"}


def check_sequence(history: list[dict[str, Any]]) -> None:
    reports = [row["rpt"] for row in history]
    assert reports[0] == "NewAck"
    assert reports.count("NewAck") == 1
    assert reports.count("PendingNew") <= 1
    assert reports.count("New") <= 2
    seen: dict[str, int] = defaultdict(int)
    ended = ""
    filled = 0
    for row in history:
        report, status = row["rpt"], row["status"]
        assert status in AFTER[report], (report, status)
        if ended:
            assert report in LATE, reports
            assert status == ended or (ended == "CANCELED" and report == "Fill"), reports
        if report == "Rejected":
            assert not seen["New"]
        if report in ("Fill", "Replaced"):
            assert seen["New"], reports
        if report == "Fill":
            assert int(row["fillshares"]) > filled
            filled = int(row["fillshares"])
        for stage, earlier in (("PendingReplace", "ModAck"), ("Replaced", "PendingReplace"), ("New", "PendingNew")):
            if report == stage and stage != "New":
                assert seen[stage] < seen[earlier], reports
            elif report == stage:
                assert seen[earlier], reports
        if report in ("ReplaceRejected", "Replaced"):
            assert seen["ReplaceRejected"] + seen["Replaced"] < seen["ModAck"], reports
        if report in ("PendingCancel", "CancelRejected"):
            assert seen["CanAck"], reports
        seen[report] += 1
        ended = status if status in FINAL else ended


@PROFILE
@given(sequences)
def test_every_history_is_one_of_the_sequences_a_broker_may_tell(actions: list[dict[str, Any]]) -> None:
    player = settled(actions)
    for user in USERS:
        for row in player.book("OrderBook", user):
            history = player.world.call("SingleOrdHist", user, norenordno=row["norenordno"])
            check_sequence(history[::-1])
            # Whatever was asked for has come to an answer: nothing stays on its way.
            assert row["status"] != "PENDING"


@settings(max_examples=60, deadline=None)
@given(sequences, st.integers(0, 2**32))
def test_the_same_seed_and_calls_give_the_same_bytes(actions: list[dict[str, Any]], seed: int) -> None:
    config = {"price_source": "walk", "latency": {"jitter": 1.0}}
    first, again = settled(actions, seed=seed, **config), settled(actions, seed=seed, **config)
    assert first.bodies == again.bodies
    assert first.world.pushes == again.world.pushes
    assert first.world.exchange.digest() == again.world.exchange.digest()


@settings(max_examples=60, deadline=None)
@given(sequences)
def test_it_does_not_matter_in_how_many_strides_time_is_let_pass(actions: list[dict[str, Any]]) -> None:
    player = Player(price_source="walk")
    player.play(actions)
    twin = Player(price_source="walk")
    twin.play(actions)
    player.world.wait(2.5)
    for _ in range(25):
        twin.world.wait(0.1)
    assert [push.text for push in player.world.pushes] == [push.text for push in twin.world.pushes]
    for user in USERS:
        assert player.book("OrderBook", user) == twin.book("OrderBook", user)
        assert player.book("PositionBook", user) == twin.book("PositionBook", user)


@settings(max_examples=60, deadline=None)
@given(sequences)
def test_the_book_says_of_each_order_what_a_fresh_look_says(actions: list[dict[str, Any]]) -> None:
    """Rows are kept between two reads; with a product asked for, each is written anew."""
    with patch.object(accounts, "ROW_BLOCK", 3), patch.object(books, "ROW_BLOCK", 3):
        player = Player()
        for action in [*actions, {"do": "wait", "seconds": 2.0}]:
            player.play([action])
            for user in USERS:
                fresh = [row for prd in "IM" for row in player.book("OrderBook", user, prd=prd)]
                assert player.book("OrderBook", user) == sorted(fresh, key=lambda row: row["norenordno"], reverse=True)


@settings(max_examples=60, deadline=None)
@given(sequences)
def test_frames_tell_the_same_story_as_the_book(actions: list[dict[str, Any]]) -> None:
    player = settled([action for action in actions if action["do"] != "fault"])
    for number, user in enumerate(USERS):
        last: dict[str, dict[str, Any]] = {}
        for frame in player.world.frames(f"ws-{number}", "om"):
            last[frame["norenordno"]] = frame
        rows = {row["norenordno"]: row for row in player.book("OrderBook", user)}
        assert set(last) == set(rows)
        for order, frame in last.items():
            for name in ("status", "qty", "prc", "exchordid"):
                assert frame[name] == rows[order][name]
            assert frame.get("fillshares") == rows[order].get("fillshares")


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode), st.text(max_size=40))
def test_no_bytes_from_outside_can_break_it(body: bytes, path: str) -> None:
    world = World()
    world.log_in()
    for prefix in (b"", b"jData="):
        assert world.raw(path, prefix + body).status in (200, 400, 401, 404)
        assert world.raw("/NorenWClientTP/PlaceOrder", prefix + body).status in (200, 400, 401)
    world.exchange.connect("ws", world.now)
    world.exchange.receive("ws", body.decode("utf-8", "replace"), world.now)


json_values = (
    st.none() | st.booleans() | st.integers() | st.text(max_size=12) | st.lists(st.text(max_size=3), max_size=3)
)
FIELDS = ("exch", "tsym", "token", "qty", "prc", "trgprc", "prctyp", "prd", "trantype", "ret", "dscqty", "remarks")
LIKELY = ("NSE", "NFO", "INFY-EQ", "1594", "10", "1530", "LMT", "SL-LMT", "B", "S", "I", "C", "DAY", "0", "9999999999")
MORE_FIELDS = ("amo", "norenordno", "stext", "st", "et", "intrv", "sym", "from", "to", "prevprd", "postype", "actid")


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(sorted(set(ENDPOINTS) - {"apitoken"})),
    st.dictionaries(st.sampled_from(FIELDS + MORE_FIELDS), json_values),
    st.dictionaries(
        st.sampled_from(FIELDS + MORE_FIELDS),
        st.sampled_from(LIKELY),
    ),
)
def test_whatever_the_fields_hold_there_is_an_answer(
    endpoint: str, odd: dict[str, Any], likely: dict[str, str]
) -> None:
    world = World()
    world.placed()
    reply = world.reply(endpoint, **{**odd, **likely})
    assert reply.status in (200, 400)
    answer = json.loads(reply.body)
    assert isinstance(answer, list) or answer["stat"] in ("Ok", "Not_Ok")
    world.wait(1)


def test_another_seed_is_another_world() -> None:
    first = Exchange(ExchangeConfig(), now=START, seed=1)
    second = Exchange(ExchangeConfig(), now=START, seed=2)
    assert first.digest() != second.digest()
    assert first.digest() == Exchange(ExchangeConfig(), now=START, seed=1).digest()
