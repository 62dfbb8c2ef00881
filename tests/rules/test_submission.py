"""Bodies from outside: one order, a basket, or a clear refusal (scenarios F1, F2)."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.model.order import RawIntent
from core.rules.submission import MAX_LEGS, BodyProblem, parse_body


def problem(body: bytes) -> tuple[str, str]:
    found = parse_body(body, "b")
    assert isinstance(found, BodyProblem), found
    return found.problem.field, found.problem.message


def legs(body: object) -> list[dict[str, object]]:
    found = parse_body(json.dumps(body).encode(), "b1")
    assert isinstance(found, tuple), found
    return [dict(leg.fields) for leg in found]


def test_one_order_keeps_its_fields_and_exact_numbers() -> None:
    found = parse_body(b'{"symbol": "A", "price": 2840.10, "qty": 5, "x": null}', "b")
    assert found == RawIntent((("symbol", "A"), ("price", Decimal("2840.10")), ("qty", 5), ("x", None)))


@pytest.mark.parametrize(
    ("body", "field", "says"),
    [
        (b"", "body", "must be JSON"),
        (b"symbol=A", "body", "line 1 column 1"),
        (b'{"a": 1,}', "body", "must be JSON"),
        (b"[]", "body", "JSON object"),
        (b"5", "body", "JSON object"),
        (b"null", "body", "JSON object"),
        (b"\xff\xfe", "body", "UTF-8"),
        (b'{"qty": 1, "qty": 2}', "qty", "twice"),
        (b'{"legs": [{"qty": 1, "qty": 2}]}', "qty", "twice"),
        (b"[" * 60_000, "body", "nested too deeply"),
        (b'{"a":' * 10_000, "body", "nested too deeply"),
        (b'{"price": ' + b"9" * 5000 + b"}", "body", "too long"),
        (b'{"price": 1e99999999999999999999}', "body", "too long"),
        (b'{"legs": []}', "legs", "1 to 20"),
        (b'{"legs": 5}', "legs", "1 to 20"),
        (b'{"legs": [5]}', "legs", "each an object"),
        (b'{"legs": [{"legs": []}]}', "legs", "nested"),
        (b'{"legs": [{}], "basket": "x"}', "basket", "one basket already"),
        (b'{"legs": [{"basket": "x"}]}', "basket", "one basket already"),
        (b'{"legs": [{"idempotency_key": "x"}]}', "idempotency_key", "whole basket"),
        (b'{"legs": [{}], "idempotency_key": "' + b"k" * 126 + b'"}', "idempotency_key", "125"),
        (json.dumps({"legs": [{}] * (MAX_LEGS + 1)}).encode(), "legs", "1 to 20"),
    ],
)
def test_f1_a_body_that_is_no_order_is_refused_and_the_place_named(body: bytes, field: str, says: str) -> None:
    found_field, message = problem(body)
    assert found_field == field
    assert says in message


def test_f1_not_a_number_stays_a_value_so_that_its_field_can_be_named() -> None:
    found = parse_body(b'{"price": NaN}', "b")
    assert isinstance(found, RawIntent)
    assert str(dict(found.fields)["price"]) == "nan"


def test_legs_take_the_fields_beside_them_as_defaults_and_share_one_basket() -> None:
    found = legs({"strategy": "s", "qty": 50, "legs": [{"symbol": "A"}, {"symbol": "B", "quantity": 25}]})
    assert found == [
        {"strategy": "s", "qty": 50, "symbol": "A", "basket": "b1"},
        {"strategy": "s", "symbol": "B", "quantity": 25, "basket": "b1"},
    ]


def test_f2_a_retried_basket_has_the_same_keys_and_the_same_basket() -> None:
    body = json.dumps({"idempotency_key": "k", "legs": [{}, {}]}).encode()
    first, second = parse_body(body, "b1"), parse_body(body, "b2")
    assert isinstance(first, tuple)
    assert first == second
    assert [dict(leg.fields)["idempotency_key"] for leg in first] == ["k.1", "k.2"]
    other = parse_body(body.replace(b'"k"', b'"l"'), "b1")
    assert isinstance(other, tuple)
    assert dict(other[0].fields)["basket"] != dict(first[0].fields)["basket"]


def test_a_key_of_the_wrong_type_is_left_for_the_intake_to_name() -> None:
    assert legs({"idempotency_key": 5, "legs": [{}]}) == [{"basket": "b1", "idempotency_key": 5}]


@given(st.binary(max_size=200))
def test_f1_no_bytes_raise(body: bytes) -> None:
    parse_body(body, "b")


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["legs", "qty", "idempotency_key", "basket"]) | st.text(max_size=4), inner)
    ),
    max_leaves=10,
)


@given(_json)
def test_f1_no_json_raises_and_every_name_can_be_answered(body: object) -> None:
    found = parse_body(json.dumps(body).encode(), "b")
    if isinstance(found, BodyProblem):
        str(found.problem).encode()


@pytest.mark.parametrize("second", [{"symbol": "HDFCBANK-EQ"}, {"symbol": "hdfcbank-eq ", "side": "SELL"}])
def test_f2_two_legs_of_one_strategy_in_one_symbol_refuse_the_basket(second: dict[str, str]) -> None:
    field, message = problem(json.dumps({"strategy": "s", "legs": [{"symbol": "HDFCBANK-EQ"}, second]}).encode())
    assert (field, message) == ("legs", "1 and 2 are one symbol; join them, or send two orders")
    assert len(legs({"legs": [{"symbol": "A", "strategy": "a"}, {"symbol": "A", "strategy": "b"}]})) == 2
