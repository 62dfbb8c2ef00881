"""One key means one submission (scenario G8): what is the same, and what is another one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from core.model.order import Order, OrderIntent
from core.rules.keys import basket_under, earlier_use, is_same, keys_beside, sealed
from core.rules.submission import intents_of
from core.rules.validation import read_intent
from tests.factories import an_intent
from tests.store.factories import an_order

KEY = "alert-7"
LEGS = ({"symbol": "INFY-EQ", "price": "1500.5"}, {"symbol": "TCS-EQ", "price": 3000})


def basket(*legs: dict[str, Any], key: str = KEY) -> list[OrderIntent]:
    """The legs of a basket as a door reads them."""
    shared = {"strategy": "pair", "execution_type": "ENTRY", "exchange": "NSE", "side": "BUY", "quantity": 10}
    fields = {**shared, "product": "MIS", "order_type": "LIMIT", "idempotency_key": key, "legs": list(legs)}
    raw = intents_of(fields, "unused")
    assert isinstance(raw, tuple)
    return sealed([intent for leg in raw if isinstance(intent := read_intent(leg), OrderIntent)])


def rows(intents: Sequence[OrderIntent]) -> list[Order]:
    return [replace(an_order(f"row-{number}"), intent=intent) for number, intent in enumerate(intents, 1)]


def found(intent: OrderIntent, earlier: Sequence[Order]) -> Order | None:
    """What a store finds that looks for the keys it is told to look for."""
    return earlier_use(intent, [row for row in earlier if row.intent.idempotency_key in keys_beside(intent)])


def test_g8_a_basket_again_is_the_same_however_its_numbers_are_written() -> None:
    earlier = rows(basket(*LEGS))
    again = basket({"symbol": "INFY-EQ", "price": 1500.50}, {"tradingsymbol": "TCS-EQ", "price": "3000.00"})
    assert [found(leg, earlier) for leg in again] == earlier
    assert all(is_same(row.intent, leg) for row, leg in zip(earlier, again, strict=True))


@pytest.mark.parametrize(
    "legs",
    [
        pytest.param((*LEGS, {"symbol": "SBIN-EQ", "price": 800}), id="one leg more"),
        pytest.param(LEGS[:1], id="one leg less"),
        pytest.param(LEGS[::-1], id="another order of legs"),
        pytest.param((LEGS[0], {"symbol": "TCS-EQ", "price": 3001}), id="another price"),
    ],
)
def test_g8_another_basket_under_the_key_is_refused_in_each_of_its_legs(legs: tuple[dict[str, Any], ...]) -> None:
    earlier = rows(basket(*LEGS))
    for leg in basket(*legs):
        first = found(leg, earlier)
        assert first is not None
        assert not is_same(first.intent, leg)


def test_g8_a_basket_of_which_only_the_second_leg_was_recorded_still_holds_its_key() -> None:
    earlier = rows(basket(*LEGS))[1:]
    assert found(basket(*LEGS)[0], earlier) is None
    other = found(basket({"symbol": "SBIN-EQ", "price": 800}, LEGS[1])[0], earlier)
    assert other == earlier[0]


def test_g8_an_order_and_a_basket_cannot_share_a_key() -> None:
    single = an_intent(idempotency_key=KEY, price=Decimal(100))
    legs = basket(*LEGS)
    assert found(legs[1], rows([single])) == rows([single])[0]
    assert found(single, rows(legs)) == rows(legs)[0]


def test_g8_keys_that_only_look_like_those_of_legs_are_keys_of_their_own() -> None:
    dotted = an_intent(idempotency_key=f"{KEY}.1", price=Decimal(100), basket="pair")
    assert found(an_intent(idempotency_key=KEY, price=Decimal(100)), rows([dotted])) is None
    assert found(dotted, rows([an_intent(idempotency_key=KEY, price=Decimal(100))])) is None


def test_g8_a_basket_recorded_by_an_earlier_version_is_still_the_same() -> None:
    legs = basket(*LEGS)
    earlier = rows([replace(leg, basket=basket_under(KEY)) for leg in legs])
    assert [found(leg, earlier) for leg in legs] == earlier
    assert all(is_same(row.intent, leg) for row, leg in zip(earlier, legs, strict=True))
