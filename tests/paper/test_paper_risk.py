"""What the risk engine and the exchange refuse, and in which words (protocol sections 5.7 and 6.4)."""

from datetime import datetime

import pytest

from core.paper.config import AccountConfig
from core.paper.times import IST
from tests.paper.world import World

CALL = {"exch": "NFO", "tsym": "NIFTY09NOV26C26000", "prd": "M"}
RED = ["NewAck/PENDING", "Rejected/REJECTED"]
EXCHANGE = ["NewAck/PENDING", "PendingNew/PENDING", "Rejected/REJECTED"]


@pytest.fixture
def world() -> World:
    return World()


def rejected(world: World, **fields: str) -> tuple[list[str], str]:
    number = world.placed(**fields)
    row = world.row(number)
    assert row["status"] == "REJECTED"
    return world.history(number), row["rejreason"]


def test_a_price_beyond_the_circuit_is_rejected_with_the_band(world: World) -> None:
    history, reason = rejected(world, prc="2400.00")
    assert history == RED
    assert reason == (
        "RED:RULE:{Check circuit limit including square off order}Current:INR 2,400.00 "
        "LowerCircuit:INR 1,366.80 UpperCircuit:INR 1,670.40:NSE.INFY-EQ for C-U1 [DEFAULT]"
    )


@pytest.mark.parametrize(("price", "taken"), [("1366.80", True), ("1366.70", False), ("1670.40", True)])
def test_the_band_includes_its_ends(world: World, price: str, taken: bool) -> None:
    number = world.placed(prc=price)
    assert (world.row(number)["status"] != "REJECTED") is taken


def test_the_rejected_row_names_who_rejected(world: World) -> None:
    row = world.row(world.placed(prc="2400.00"))
    assert (row["rejby"], row["exchordid"]) == ("RED", "")


@pytest.mark.parametrize(("quantity", "taken"), [("1755", True), ("1820", False)])
def test_the_freeze_quantity_is_an_exclusive_bound(world: World, quantity: str, taken: bool) -> None:
    number = world.placed(**CALL, qty=quantity, prc="100.00")
    row = world.row(number)
    assert (row["status"] != "REJECTED") is taken
    if not taken:
        assert row["rejreason"] == ("RED:RULE:{Check Freeze qty including square off order}Current:1820 Set:1801")


@pytest.mark.parametrize(("quantity", "taken"), [("500000", True), ("500001", False)])
def test_an_order_of_exactly_the_bound_is_refused(quantity: str, taken: bool) -> None:
    world = World(initial_cash=10**10)
    assert (world.row(world.placed(qty=quantity, prc="1400.00"))["status"] == "OPEN") is taken


def test_margin_shortfall_names_what_is_missing_and_what_there_is() -> None:
    world = World(initial_cash=1000)
    history, reason = rejected(world, prc="1530.00")
    assert history == RED
    assert reason == "RED:Margin Shortfall:INR 2060.00 Available:INR 1000.00 for C-U1 [RISK2]"


def test_pending_orders_block_margin_until_they_end() -> None:
    world = World(initial_cash=5000)
    first = world.placed(prc="1400.00")
    assert world.row(world.placed(prc="1400.00"))["status"] == "REJECTED"
    world.cancel(first)
    world.wait(0.05)
    assert world.row(world.placed(prc="1400.00"))["status"] == "OPEN"


def test_an_order_that_closes_a_position_needs_no_margin() -> None:
    world = World(initial_cash=3100)
    assert world.row(world.placed(prc="1530.00"))["status"] == "COMPLETE"
    exit_order = world.placed(trantype="S", prc="1510.00")
    assert world.row(exit_order)["status"] == "COMPLETE"
    assert world.call("Limits")["marginused"] == "0.00"


def test_two_orders_cannot_close_the_same_units() -> None:
    world = World(initial_cash=3100)
    world.placed(prc="1530.00")
    first = world.placed(trantype="S", prc="1600.00")
    assert world.row(first)["status"] == "OPEN"
    assert world.row(world.placed(trantype="S", prc="1600.00"))["status"] == "REJECTED"


def test_a_short_is_closed_without_margin_and_by_one_order_only() -> None:
    world = World(initial_cash=3100)
    world.placed(trantype="S", prc="1510.00")
    first = world.placed(prc="1450.00")
    assert world.row(first)["status"] == "OPEN"
    assert world.row(world.placed(prc="1450.00"))["status"] == "REJECTED"


def test_turning_a_position_round_needs_margin_for_the_new_side_only() -> None:
    world = World(initial_cash=3100)
    world.placed(prc="1530.00")
    assert world.row(world.placed(trantype="S", qty="21", prc="1510.00"))["status"] == "REJECTED"
    assert world.row(world.placed(trantype="S", qty="10", prc="1510.00"))["status"] == "COMPLETE"


def test_delivery_blocks_the_whole_value_and_intraday_a_fifth(world: World) -> None:
    world.placed(prc="1400.00", prd="C")
    assert world.call("Limits")["marginused"] == "14000.00"
    world.placed(prc="1400.00", prd="I")
    assert world.call("Limits")["marginused"] == "16800.00"


def test_an_option_is_bought_for_its_premium_and_written_for_a_share_of_its_strike(world: World) -> None:
    buy = world.call("GetOrderMargin", actid="U1", **CALL, qty="65", prc="100", prctyp="LMT", trantype="B")
    write = world.call("GetOrderMargin", actid="U1", **CALL, qty="65", prc="100", prctyp="LMT", trantype="S")
    assert (buy["ordermargin"], write["ordermargin"]) == ("6500.00", "202800.00")
    assert buy["cash"] == "10000000.00"
    assert world.call("Limits")["marginused"] == "0.00"


def test_selling_for_delivery_takes_shares(world: World) -> None:
    history, reason = rejected(world, prd="C", trantype="S", prc="1510.00")
    assert history == RED
    assert reason == "RED:RULE:{Check Holdings Including BTST except t2t}No Holdings uploaded for C-U1"


def test_no_more_can_be_sold_than_is_held_and_not_yet_on_offer() -> None:
    holding = {"exch": "NSE", "tsym": "INFY-EQ", "quantity": 100}
    world = World(accounts=(AccountConfig.model_validate({"uid": "U1", "holdings": [holding]}),))
    assert world.row(world.placed(prd="C", trantype="S", qty="60", prc="1600.00"))["status"] == "OPEN"
    _, reason = rejected(world, prd="C", trantype="S", qty="41", prc="1600.00")
    assert reason == "RED:RULE:{Check Holdings Including BTST}Eligible Sell:40 for C-U1 [ONLINE]"
    # A stock is one stock on either exchange.
    sold = world.placed(exch="BSE", tsym="INFY", prd="C", trantype="S", qty="40", prc="1500.00")
    assert world.row(sold)["status"] == "COMPLETE"
    assert world.call("Holdings", actid="U1", prd="C")[0]["usedqty"] == "40"


def test_what_was_bought_today_can_be_sold_today(world: World) -> None:
    world.placed(prd="C", prc="1530.00")
    assert world.row(world.placed(prd="C", trantype="S", prc="1510.00"))["status"] == "COMPLETE"


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"prd": "M"}, "ORA:Product NRML not enabled for Account U1"),
        ({"prd": "F"}, "ORA:Product MTF not enabled for Account U1"),
        ({"prd": "H"}, "ORA:Product CO not enabled for Account U1"),
        ({"prd": "B"}, "ORA:Product BO not enabled for Account U1"),
        ({**CALL, "prd": "C", "qty": "65", "prc": "100"}, "ORA:Product CNC not enabled for Account U1"),
    ],
)
def test_products_are_for_the_segments_they_are_made_for(world: World, fields: dict[str, str], reason: str) -> None:
    assert rejected(world, **fields) == (RED, reason)


@pytest.mark.parametrize(
    "fields",
    [{"prc": "1530.05"}, {**CALL, "qty": "64", "prc": "100.00"}, {**CALL, "qty": "65", "prc": "100.03"}],
)
def test_what_is_off_the_tick_or_the_lot_is_rejected_by_the_exchange(world: World, fields: dict[str, str]) -> None:
    history, reason = rejected(world, **fields)
    assert history == EXCHANGE
    assert reason.startswith("16419: ")


def test_a_rejection_by_the_exchange_frees_the_margin(world: World) -> None:
    rejected(world, prc="1530.05")
    assert world.call("Limits")["marginused"] == "0.00"


def test_a_trigger_that_the_price_has_passed_is_rejected_unless_the_check_is_off(world: World) -> None:
    stop = {"prctyp": "SL-LMT", "trgprc": "1510.00", "prc": "1530.00"}
    history, _ = rejected(world, **stop)
    assert history == EXCHANGE
    lenient = World(check_trigger_side=False)
    number = lenient.placed(**stop)
    lenient.wait(1)
    assert lenient.row(number)["status"] == "COMPLETE"


# -- hours ----------------------------------------------------------------------------------------------------------


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=IST)


SUNDAY = at("2026-11-01T12:00:00")
NIGHT = at("2026-11-03T20:00:00")


@pytest.mark.parametrize("now", [SUNDAY, NIGHT])
def test_by_default_an_order_fills_on_any_day_at_any_hour(now: datetime) -> None:
    world = World(now=now)
    assert world.row(world.placed())["status"] == "COMPLETE"


@pytest.mark.parametrize("now", [SUNDAY, NIGHT])
def test_with_hours_enforced_a_closed_market_rejects(now: datetime) -> None:
    world = World(now=now, enforce_session_hours=True)
    history, reason = rejected(world, prd="C")
    assert history == EXCHANGE
    assert reason == "TRANSACTION NOT ALLOWED IN CURRENT INSTRUMENT STATE"


def test_derivatives_trade_ten_minutes_longer_than_shares() -> None:
    world = World(now=at("2026-11-03T15:35:00"), enforce_session_hours=True)
    assert world.row(world.placed(prd="C"))["status"] == "REJECTED"
    number = world.placed(**CALL, qty="65", prc="20.00")
    assert world.row(number)["status"] == "OPEN"


def test_intraday_orders_are_refused_after_the_cutoff() -> None:
    world = World(now=at("2026-11-03T15:21:00"), enforce_session_hours=True)
    history, reason = rejected(world)
    assert history == RED
    assert reason == "RED:'MIS' Orders are disallowed after system square off"
    assert world.row(world.placed(prd="C"))["status"] == "COMPLETE"


def test_an_order_for_the_next_session_waits_for_the_open() -> None:
    world = World(now=at("2026-11-02T20:00:00"), enforce_session_hours=True, token_expiry_time=None)
    number = world.placed(amo="Yes")
    row = world.row(number)
    assert (row["status"], row["amo"]) == ("OPEN", "Yes")
    assert world.history(number) == ["NewAck/OPEN"]
    world.wait(13.3 * 3600)
    assert world.history(number) == ["NewAck/OPEN", "PendingNew/PENDING", "New/OPEN", "Fill/COMPLETE"]


def test_an_order_for_the_next_session_can_be_changed_and_cancelled_at_once() -> None:
    world = World(now=NIGHT, enforce_session_hours=True)
    number = world.placed(amo="Yes")
    world.modify(number, prc="1500.00")
    assert world.row(number)["prc"] == "1500.00"
    world.cancel(number)
    assert world.history(number)[-1] == "Canceled/CANCELED"
    world.wait(14 * 3600)


def test_an_order_for_the_next_session_is_refused_while_one_runs() -> None:
    world = World(enforce_session_hours=True)
    assert rejected(world, amo="Yes") == (RED, "ORA:AMO is stopped")
