"""The margin that orders would take (protocol 7.11), by calls that the library does not know."""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal
from urllib.parse import quote_plus

from core.model.broker import MarginLeg
from core.noren.parse import BadRow, Row, number
from core.noren.terms import ORDER_TYPES, PRODUCTS, SIDES, price_text

__all__ = ["margin_of", "margin_request"]


def margin_request(legs: Sequence[MarginLeg], user_id: str) -> tuple[str, str]:
    """The endpoint and its fields. Of several legs the first stands beside the others (protocol 7.11)."""
    first, *others = [_fields(leg) for leg in legs]
    own = {"uid": user_id, "actid": user_id, **first}
    if not others:
        return "GetOrderMargin", json.dumps(own)
    return "GetBasketMargin", json.dumps({**own, "basketlists": others})


def margin_of(answer: Row, legs: int) -> Decimal:
    """What all legs would take together, beside what is in use. Raises BadRow."""
    if legs == 1:
        return _figure(answer, "ordermargin")
    return _figure(answer, "marginusedtrade") - (number(answer, "marginusedprev") or Decimal(0))


def _figure(answer: Row, name: str) -> Decimal:
    found = number(answer, name)
    if found is None:
        raise BadRow(f"the margin has no {name}")
    return found


def _fields(leg: MarginLeg) -> dict[str, str]:
    fields = {
        "exch": leg.exchange,
        "tsym": quote_plus(leg.symbol),
        "qty": str(leg.quantity),
        "prc": price_text(leg.price),
        "prd": PRODUCTS[leg.product],
        "trantype": SIDES[leg.side],
        "prctyp": ORDER_TYPES[leg.order_type],
    }
    return fields if leg.trigger_price is None else {**fields, "trgprc": price_text(leg.trigger_price)}
