"""Positions and results (protocol sections 7.5, 7.6 and 7.8)."""

from decimal import Decimal

import pytest

from core.paper.instruments import Instrument
from core.paper.positions import Position
from tests.paper.world import World

STOCK = Instrument("NSE", "1", "A", "A-EQ", "EQ")


def position(*trades: tuple[str, int, str]) -> Position:
    made = Position(STOCK, "I")
    for side, quantity, price in trades:
        made.trade(side, quantity, Decimal(price))
    return made


@pytest.mark.parametrize(
    ("trades", "net", "average", "realised"),
    [
        ([("B", 10, "100")], 10, "100", "0"),
        ([("S", 10, "100")], -10, "100", "0"),
        ([("B", 10, "100"), ("B", 30, "120")], 40, "115", "0"),
        ([("B", 10, "100"), ("S", 4, "110")], 6, "100", "40"),
        ([("S", 10, "100"), ("B", 4, "90")], -6, "100", "40"),
        ([("B", 10, "100"), ("S", 10, "90")], 0, "0", "-100"),
        ([("B", 10, "100"), ("S", 25, "110")], -15, "110", "100"),
        ([("B", 10, "100"), ("S", 10, "110"), ("B", 10, "120")], 10, "120", "100"),
        ([("S", 15, "263"), ("B", 20, "260")], 5, "260", "45"),
    ],
)
def test_the_average_is_that_of_the_open_units(
    trades: list[tuple[str, int, str]], net: int, average: str, realised: str
) -> None:
    made = position(*trades)
    assert (made.net_qty, made.net_average, made.realised) == (net, Decimal(average), Decimal(realised))


def test_both_results_are_what_the_amounts_say() -> None:
    made = position(("B", 10, "100.05"), ("S", 3, "101.10"), ("S", 12, "99.95"), ("B", 2, "100.35"))
    last = Decimal("98.70")
    identity = made.sell_amt - made.buy_amt + made.net_qty * last
    assert made.realised + made.unrealised(last) == identity


def test_a_carried_position_begins_at_the_close_and_remembers_its_cost() -> None:
    tomorrow = position(("S", 15, "263.00")).carried(Decimal("250.00"))
    assert (tomorrow.cf_sell_qty, tomorrow.cf_sell_amt, tomorrow.net_qty) == (15, Decimal(3750), -15)
    assert tomorrow.net_average == Decimal(250)
    assert tomorrow.original_cost == Decimal("-3945.00")
    assert tomorrow.realised == 0
    tomorrow.trade("B", 5, Decimal("240.00"))
    assert tomorrow.realised == 50
    assert tomorrow.carried(Decimal("230.00")).original_cost == Decimal("-2630.00")


def test_what_is_bought_and_sold_besides_does_not_touch_the_cost_of_what_is_carried() -> None:
    tomorrow = position(("B", 10, "100")).carried(Decimal(110))
    tomorrow.trade("B", 5, Decimal(120))
    tomorrow.trade("S", 5, Decimal(125))
    assert tomorrow.carried(Decimal(130)).original_cost == 1000


def test_a_conversion_moves_cost_and_realises_nothing() -> None:
    before, after = position(("B", 10, "100"), ("S", 4, "110")), Position(STOCK, "C")
    realised = before.realised
    after.put_in("B", 6, before.take_out("B", 6, False), False)
    assert (before.net_qty, before.cost, before.realised) == (0, 0, realised)
    assert (after.net_qty, after.net_average, after.realised) == (6, 100, 0)


# -- on the wire ----------------------------------------------------------------------------------------------------


@pytest.fixture
def world() -> World:
    return World()


def test_a_short_is_negative_and_gains_when_the_price_falls(world: World) -> None:
    world.placed(trantype="S", prc="1510.00")
    world.set_price("1500.00")
    row = world.position()
    assert (row["netqty"], row["netavgprc"], row["daysellqty"], row["lp"]) == ("-10", "1518.50", "10", "1500.00")
    assert row["urmtom"] == "185.00"
    assert row["rpnl"] == "0.00"


def test_the_side_that_was_never_traded_has_no_average(world: World) -> None:
    world.placed()
    row = world.position()
    assert row["totbuyavgprc"] == "1518.70"
    assert "totsellavgprc" not in row
    assert "cfbuyamt" not in row
    assert row["cfbuyqty"] == "0"


def test_a_position_traded_flat_stays_in_the_book_with_its_result(world: World) -> None:
    world.placed()
    world.placed(trantype="S", prc="1510.00")
    row = world.position()
    assert (row["netqty"], row["netavgprc"], row["urmtom"]) == ("0", "0.00", "0.00")
    assert row["rpnl"] == "-2.00"


def test_flat_without_result_is_a_negative_zero(world: World) -> None:
    world.placed()
    number = world.placed(trantype="S", prc="1600.00")
    world.control("fill_order", norenordno=number, prc="1518.70")
    assert world.position()["rpnl"] == "-0.00"


def test_open_quantities_are_pending_orders_and_no_positions(world: World) -> None:
    world.placed()
    world.placed(prc="1400.00", qty="5")
    number = world.placed(prc="1410.00", qty="5")
    row = world.position()
    assert (row["openbuyqty"], row["openbuyamt"], row["openbuyavgprc"]) == ("10", "14050.00", "1405.00")
    assert row["netqty"] == "10"
    world.cancel(number)
    world.wait(0.05)
    assert world.position()["openbuyqty"] == "5"


def test_a_pending_order_alone_makes_no_row(world: World) -> None:
    world.resting()
    assert world.call("PositionBook", actid="U1")["stat"] == "Not_Ok"


def test_products_of_one_contract_are_positions_of_their_own(world: World) -> None:
    world.placed(prd="I")
    world.placed(prd="C", qty="3")
    assert world.position(prd="I")["netqty"] == "10"
    assert world.position(prd="C")["netqty"] == "3"


def test_the_row_carries_the_freeze_quantity_and_contract_data(world: World) -> None:
    world.placed(exch="NFO", tsym="NIFTY09NOV26C26000", prd="M", qty="65", prc="1000.00")
    row = world.position("NIFTY09NOV26C26000", "M")
    assert (row["frzqty"], row["ls"], row["ti"], row["instname"]) == ("1801", "65", "0.05", "OPTIDX")
    assert row["dname"] == "NIFTY 09NOV26 26000 CE"


def test_limits_give_results_with_the_opposite_sign(world: World) -> None:
    world.placed()
    world.placed(trantype="S", qty="5", prc="1510.00")
    world.set_price("1500.00")
    row, limits = world.position(), world.call("Limits", actid="U1")
    assert float(limits["rpnl"]) == -float(row["rpnl"]) > 0
    assert float(limits["urmtom"]) == -float(row["urmtom"]) > 0


def convert(world: World, **changed: str) -> dict[str, str]:
    fields = {
        "actid": "U1",
        "exch": "NSE",
        "tsym": "INFY-EQ",
        "qty": "4",
        "prd": "C",
        "prevprd": "I",
        "trantype": "B",
        "postype": "DAY",
    }
    return dict(world.call("ProductConversion", **{**fields, **changed}))


def test_a_conversion_moves_units_between_products(world: World) -> None:
    world.placed()
    assert convert(world)["stat"] == "Ok"
    assert world.position(prd="I")["netqty"] == "6"
    row = world.position(prd="C")
    assert (row["netqty"], row["netavgprc"]) == ("4", "1518.70")


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"postype": "Night"}, "Invalid Input :  Invalid Position Type"),
        ({"qty": "11"}, "invalid input"),
        ({"qty": "0"}, "invalid input"),
        ({"trantype": "S"}, "invalid input"),
        ({"prd": "I"}, "invalid input"),
        ({"prd": "M"}, "invalid input"),
        ({"prevprd": "C", "prd": "I"}, "invalid input"),
        ({"postype": "CF"}, "invalid input"),
    ],
)
def test_a_conversion_of_what_is_not_there_is_refused(world: World, changed: dict[str, str], words: str) -> None:
    world.placed()
    assert words in convert(world, **changed)["emsg"]
