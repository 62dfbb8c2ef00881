"""The end of the session, the change of day, and what is carried over."""

from datetime import datetime, timedelta

import pytest

from core.paper.config import AccountConfig
from core.paper.times import IST
from tests.paper.world import World

CALL = {"exch": "NFO", "tsym": "NIFTY09NOV26C26000", "prd": "M"}


@pytest.fixture
def world() -> World:
    return World(token_expiry_time=None)


def test_the_end_of_the_session_cancels_open_orders_and_squares_off_intraday(world: World) -> None:
    resting = world.placed(prc="1400.00", prd="C")
    world.placed(prd="I")
    world.control("end_session")
    assert world.history(resting)[-1] == "Canceled/CANCELED"
    assert world.position(prd="I")["netqty"] == "0"
    square_off = world.call("OrderBook")[0]
    assert (square_off["trantype"], square_off["qty"], square_off["status"]) == ("S", "10", "COMPLETE")
    assert square_off["ordersource"] != "API"
    assert world.history(square_off["norenordno"]) == [
        "NewAck/PENDING",
        "PendingNew/PENDING",
        "New/OPEN",
        "Fill/COMPLETE",
    ]


def test_an_order_on_its_way_when_the_session_ends_does_not_come_back(world: World) -> None:
    number = world.place()
    world.control("end_session")
    world.wait(1)
    assert world.history(number) == ["NewAck/PENDING", "Canceled/CANCELED"]


def test_the_next_day_begins_with_empty_books_and_new_numbers(world: World) -> None:
    world.placed()
    world.control("end_of_day")
    for book in ("OrderBook", "TradeBook", "PositionBook"):
        assert world.call(book, actid="U1")["stat"] == "Not_Ok"
    assert world.place() == "26110400000001"


def test_the_day_changes_by_itself_in_the_morning(world: World) -> None:
    number = world.resting()
    assert number.startswith("261103")
    assert world.exchange.next_due() is not None
    world.wait(19.9 * 3600)
    assert world.row(number)["status"] == "OPEN"
    world.wait(0.2 * 3600)
    assert world.call("OrderBook")["stat"] == "Not_Ok"
    assert world.place() == "26110400000001"


def test_a_day_ended_by_command_does_not_change_twice(world: World) -> None:
    world.control("end_of_day")
    world.place()
    world.wait(21 * 3600)
    assert world.place() == "26110400000002"


def test_results_become_cash(world: World) -> None:
    world.placed()
    world.set_price("1600.00")
    world.control("end_of_day")
    # Bought 10 at 1518.70, squared off at 1600.00.
    assert world.call("Limits")["cash"] == "10000813.00"
    assert world.call("Limits")["marginused"] == "0.00"


def test_derivatives_are_carried_at_the_close(world: World) -> None:
    world.placed(**CALL, qty="65", prc="1000.00")
    paid = float(world.position(CALL["tsym"], "M")["netavgprc"])
    world.set_price("700.00", CALL["tsym"], "NFO")
    world.control("end_of_day")
    row = world.position(CALL["tsym"], "M")
    assert (row["netqty"], row["cfbuyqty"], row["daybuyqty"]) == ("65", "65", "0")
    assert (row["cfbuyavgprc"], row["netavgprc"], row["urmtom"], row["rpnl"]) == ("700.00", "700.00", "0.00", "0.00")
    assert float(row["cforgavgprc"]) == float(row["netupldprc"]) == paid
    assert float(world.call("Limits")["cash"]) == pytest.approx(10_000_000 + 65 * (700 - paid))
    assert world.call("GetQuotes", exch="NFO", token=row["token"])["c"] == "700.00"


def test_a_carried_position_can_be_converted_as_such_and_closed(world: World) -> None:
    world.placed(**CALL, qty="65", prc="1000.00")
    world.set_price("700.00", CALL["tsym"], "NFO")
    world.control("end_of_day")
    world.placed(**CALL, trantype="S", qty="65", prc="600.00")
    row = world.position(CALL["tsym"], "M")
    assert (row["netqty"], row["cfbuyqty"], row["daysellqty"]) == ("0", "65", "65")
    assert float(row["rpnl"]) == pytest.approx(65 * (float(row["daysellavgprc"]) - 700))


def test_delivered_shares_become_holdings_and_sold_ones_leave_them(world: World) -> None:
    world.placed(prd="C")
    world.control("end_of_day")
    (holding,) = world.call("Holdings", actid="U1", prd="C")
    assert (holding["holdqty"], holding["upldprc"]) == ("10", "1518.70")
    assert world.call("Limits")["cash"] == "9984813.00"
    assert world.call("PositionBook", actid="U1")["stat"] == "Not_Ok"
    world.placed(prd="C", trantype="S", qty="10", prc="1510.00")
    world.control("end_of_day")
    assert world.call("Holdings", actid="U1", prd="C")["stat"] == "Not_Ok"
    assert world.call("Limits")["cash"] == "9999998.00"


def test_more_of_a_holding_costs_the_average() -> None:
    holding = {"exch": "NSE", "tsym": "INFY-EQ", "quantity": 10, "cost": "1000"}
    world = World(accounts=(AccountConfig.model_validate({"uid": "U1", "holdings": [holding]}),))
    world.placed(prd="C")
    world.control("end_of_day")
    (row,) = world.call("Holdings", actid="U1", prd="C")
    assert (row["holdqty"], row["upldprc"]) == ("20", "1259.35")


def test_an_option_that_has_expired_is_settled_and_cannot_be_traded() -> None:
    world = World(token_expiry_time=None)
    today = {"exch": "NFO", "tsym": "NIFTY03NOV26C26000", "prd": "M", "qty": "65"}
    world.placed(**today, prc="1000.00")
    assert world.position("NIFTY03NOV26C26000", "M")["netqty"] == "65"
    world.control("end_of_day")
    assert world.call("PositionBook", actid="U1")["stat"] == "Not_Ok"
    assert "invalid input" in world.order(**today, prc="1000.00")["emsg"]


def test_the_band_moves_to_the_new_close(world: World) -> None:
    world.set_price("1600.00")
    world.control("end_of_day")
    assert world.call("GetQuotes", exch="NSE", token="1594")["uc"] == "1760.00"


def test_with_hours_enforced_the_session_ends_by_itself() -> None:
    now = datetime(2026, 11, 3, 15, 0, tzinfo=IST)
    world = World(now=now, enforce_session_hours=True)
    world.placed()
    delivery = world.resting(prd="C")
    intraday = world.resting(prd="I")
    world.wait(20 * 60)
    assert world.position()["netqty"] == "0"
    assert world.row(intraday)["status"] == "CANCELED"
    assert world.row(delivery)["status"] == "OPEN"
    world.wait(20 * 60)
    assert world.row(delivery)["status"] == "CANCELED"


def test_without_hours_nothing_ends_in_the_afternoon() -> None:
    world = World(now=datetime(2026, 11, 3, 15, 0, tzinfo=IST))
    world.placed()
    number = world.resting()
    world.wait(3600)
    assert world.row(number)["status"] == "OPEN"
    assert world.position()["netqty"] == "10"


def test_out_of_hours_a_resting_order_is_not_filled_by_moving_prices() -> None:
    world = World(now=datetime(2026, 11, 3, 15, 29, tzinfo=IST), enforce_session_hours=True)
    number = world.resting(prc="1500.00", prd="C")
    world.wait(120)
    world.set_price("1450.00")
    assert world.row(number)["status"] == "OPEN"


def test_a_leap_over_many_days_settles_each_of_them_in_bounded_time(world: World) -> None:
    number = world.resting(**CALL, qty="65", prc="10.00")
    world.wait(timedelta(days=5).total_seconds())
    assert world.call("OrderBook")["stat"] == "Not_Ok"
    assert world.place() != number
