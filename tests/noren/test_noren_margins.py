"""Margins that orders would take: one call for one, one for all of several."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from core.model.broker import MarginLeg
from core.model.order import OrderType, Product, Side
from core.noren.margins import margin_of, margin_request
from core.noren.parse import BadRow

LEG = MarginLeg(
    exchange="NSE",
    symbol="M&M-EQ",
    side=Side.SELL,
    quantity=5,
    product=Product.MIS,
    order_type=OrderType.SL,
    price=Decimal("2900.50"),
    trigger_price=Decimal(2901),
)


def test_one_leg_and_several() -> None:
    path, fields = margin_request((LEG,), "U1")
    wanted = {"exch": "NSE", "tsym": "M%26M-EQ", "qty": "5", "prc": "2900.50", "prd": "I", "trantype": "S"}
    assert (path, json.loads(fields)) == (
        "GetOrderMargin",
        {"uid": "U1", "actid": "U1", **wanted, "prctyp": "SL-LMT", "trgprc": "2901.00"},
    )
    path, fields = margin_request((LEG, LEG), "U1")
    assert path == "GetBasketMargin"
    assert [leg["tsym"] for leg in json.loads(fields)["basketlists"]] == ["M%26M-EQ"]


def test_what_is_in_use_already_is_not_the_orders_own() -> None:
    assert margin_of({"ordermargin": "100.50"}, 1) == Decimal("100.50")
    assert margin_of({"marginusedtrade": "300", "marginusedprev": "120"}, 2) == Decimal(180)
    with pytest.raises(BadRow, match="marginusedtrade"):
        margin_of({"marginused": "300"}, 2)
