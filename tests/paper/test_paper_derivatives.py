"""Option chain, greeks, basket margin and the span calculator, as the wire has them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.paper.world import World


@pytest.fixture
def world() -> World:
    return World()


def nearest(world: World, option: str = "CE") -> dict[str, Any]:
    """A monthly option of BANKNIFTY."""
    found: list[dict[str, Any]] = world.call("SearchScrip", exch="NFO", stext=f"BANKNIFTY {option}")["values"]
    return found[0]


def info(world: World, token: str) -> dict[str, Any]:
    found: dict[str, Any] = world.call("GetSecurityInfo", exch="NFO", token=token)
    return found


def leg(row: dict[str, Any], side: str, price: str, **more: str) -> dict[str, str]:
    return {
        **{"exch": "NFO", "tsym": row["tsym"], "qty": row["ls"], "prc": price, "prd": "M", "trantype": side},
        **{"prctyp": "LMT", **more},
    }


def test_an_option_chain_has_so_many_strikes_on_each_side_of_a_price(world: World) -> None:
    option = nearest(world)
    expiry = info(world, option["token"])["exd"]
    chain = world.call("GetOptionChain", exch="NFO", tsym=option["tsym"], strprc="58520", cnt="2")["values"]
    strikes = [Decimal(row["strprc"]) for row in chain]
    assert [(row["optt"], strikes.count(strike)) for row, strike in zip(chain, strikes, strict=True)] == (
        [("CE", 2), ("PE", 2)] * 4
    )
    assert strikes[:4] < strikes[4:]
    assert strikes[3] < 58520 <= strikes[4]
    assert {info(world, row["token"])["exd"] for row in chain} == {expiry}
    assert set(chain[0]) >= {"exch", "token", "tsym", "optt", "pp", "ti", "ls"}


@pytest.mark.parametrize("wrong", [{"tsym": "INFY-EQ", "exch": "NSE"}, {"tsym": "NOSUCH"}, {"cnt": "many"}])
def test_a_chain_of_no_derivative_is_refused(world: World, wrong: dict[str, str]) -> None:
    asked = {"exch": "NFO", "tsym": nearest(world)["tsym"], "strprc": "58500", "cnt": "2", **wrong}
    assert world.call("GetOptionChain", **asked)["stat"] == "Not_Ok"


def test_the_margin_of_a_basket_is_told_before_and_after_legs_that_make_each_other_up(world: World) -> None:
    option = nearest(world)
    one = world.call("GetOrderMargin", actid="U1", **leg(option, "S", "100"))["ordermargin"]
    basket = world.call("GetBasketMargin", actid="U1", **leg(option, "S", "100"), basketlists=[leg(option, "B", "100")])
    assert (basket["stat"], basket["marginusedprev"], basket["marginusedtrade"]) == ("Ok", "0.00", "0.00")
    assert Decimal(basket["marginused"]) == Decimal(one) + 100 * int(option["ls"])


def test_a_basket_takes_limits_alone(world: World) -> None:
    option = nearest(world)
    refused = world.call(
        "GetBasketMargin", actid="U1", **leg(option, "S", "100"), basketlists=[leg(option, "B", "0", prctyp="MKT")]
    )
    assert refused["stat"] == "Not_Ok"
    assert world.call("GetBasketMargin", actid="U1", **leg(option, "S", "100"), basketlists="x")["stat"] == "Not_Ok"


def test_the_span_calculator_counts_each_position_and_its_open_orders(world: World) -> None:
    option = nearest(world)
    told = info(world, option["token"])
    row = {"prd": "M", "exch": "NFO", "instname": "OPTIDX", "symname": "BANKNIFTY", "exd": told["exd"], "optt": "CE"}
    row |= {"strprc": told["strprc"], "buyqty": "0", "sellqty": option["ls"], "netqty": f"-{option['ls']}"}
    one = Decimal(world.call("GetOrderMargin", actid="U1", **leg(option, "S", "100"))["ordermargin"])
    margin = world.call("SpanCalc", actid="U1", pos=[row])
    assert Decimal(margin["span_trade"]) + Decimal(margin["expo_trade"]) == one
    assert Decimal(margin["span"]) + Decimal(margin["expo"]) == 2 * one
    assert world.call("SpanCalc", actid="U1", pos=[row, row])["span_trade"] == f"{2 * Decimal(margin['span_trade'])}"
    assert world.call("SpanCalc", actid="U1", pos=[{**row, "exd": "someday"}])["stat"] == "Not_Ok"


def test_greeks_of_a_call_and_a_put_agree(world: World) -> None:
    expiry = info(world, nearest(world)["token"])["exd"]
    asked = {"exd": expiry, "strprc": "100", "sptprc": "100", "int_rate": "0", "volatility": "20"}
    told = world.call("GetOptionGreek", actid="U1", **asked, optt="CE")
    assert told["cal_price"] == told["put_price"]
    assert float(told["cal_delta"]) - float(told["put_delta"]) == pytest.approx(1, abs=1e-5)
    assert float(told["cal_theta"]) < 0 < float(told["cal_vego"])
