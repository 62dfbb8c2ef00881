"""What is taken as an order and what is refused (scenarios F1, F4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from core.model.order import ExecutionType, OrderIntent, OrderType, Product, RawIntent, Side, Validity
from core.rules.validation import ALIASES, EXCHANGES, MAX_PRICE, MAX_QUANTITY, Refused, read_intent

LIMIT: Mapping[str, object] = {
    "strategy": "momentum",
    "execution_type": "ENTRY",
    "exchange": "NSE",
    "symbol": "RELIANCE-EQ",
    "side": "BUY",
    "quantity": 50,
    "product": "MIS",
    "order_type": "LIMIT",
    "price": Decimal("2840.50"),
}
STOP: Mapping[str, object] = {**LIMIT, "order_type": "SL", "price": 101, "trigger_price": 100}
MARKET: Mapping[str, object] = {name: value for name, value in LIMIT.items() if name != "price"} | {
    "order_type": "MARKET"
}


def raw(base: Mapping[str, object] = LIMIT, /, *, without: str = "", **changes: Any) -> RawIntent:
    given_fields = {**base, **changes}
    given_fields.pop(without, None)
    return RawIntent(tuple(given_fields.items()))


def accepted(intent: RawIntent | OrderIntent) -> OrderIntent:
    found = read_intent(intent)
    assert isinstance(found, OrderIntent), found
    return found


def refused(intent: RawIntent | OrderIntent) -> dict[str, str]:
    found = read_intent(intent)
    assert isinstance(found, Refused), found
    return {problem.field: problem.message for problem in found.problems}


def test_a_valid_intent_is_taken_with_every_value_in_its_own_type() -> None:
    assert read_intent(raw(idempotency_key="k 1", basket="b1", validity="IOC")) == OrderIntent(
        strategy="momentum",
        execution_type=ExecutionType.ENTRY,
        exchange="NSE",
        symbol="RELIANCE-EQ",
        side=Side.BUY,
        quantity=50,
        product=Product.MIS,
        order_type=OrderType.LIMIT,
        price=Decimal("2840.50"),
        validity=Validity.IOC,
        idempotency_key="k 1",
        basket="b1",
    )


def test_the_day_is_the_only_default() -> None:
    assert accepted(raw()).validity is Validity.DAY


@pytest.mark.parametrize(
    ("field", "value", "meaning"),
    [
        ("side", "buy", Side.BUY),
        ("side", "Sell", Side.SELL),
        ("execution_type", "adjust", ExecutionType.ADJUST),
        ("exchange", "nfo", "NFO"),
        ("product", "I", Product.MIS),
        ("product", "m", Product.NRML),
        ("product", "C", Product.CNC),
        ("product", "cnc", Product.CNC),
        ("order_type", "lmt", OrderType.LIMIT),
        ("validity", "ioc", Validity.IOC),
        ("quantity", "50", 50),
        ("quantity", MAX_QUANTITY, MAX_QUANTITY),
        ("price", "2840.5", Decimal("2840.5")),
        ("price", 2840, Decimal(2840)),
        ("price", 100.05, Decimal("100.05")),
        ("price", Decimal("1E+3"), Decimal(1000)),
        ("price", Decimal("0.0025"), Decimal("0.0025")),
        ("price", Decimal("12.500000"), Decimal("12.5")),
        ("price", MAX_PRICE, MAX_PRICE),
        ("symbol", "M&M-EQ", "M&M-EQ"),
        ("symbol", "BAJAJ-AUTO-EQ", "BAJAJ-AUTO-EQ"),
        ("symbol", "NIFTY INDEX", "NIFTY INDEX"),
        ("symbol", "USDINR25NOV22C76.25", "USDINR25NOV22C76.25"),
    ],
)
def test_f1_what_is_unambiguous_is_taken(field: str, value: object, meaning: object) -> None:
    assert getattr(accepted(raw(**{field: value})), field) == meaning


@pytest.mark.parametrize(
    ("written", "meaning"),
    [("MKT", OrderType.MARKET), ("market", OrderType.MARKET)],
)
def test_f1_market_orders_carry_no_price(written: str, meaning: OrderType) -> None:
    intent = accepted(raw(MARKET, order_type=written))
    assert (intent.order_type, intent.price, intent.trigger_price) == (meaning, None, None)


@pytest.mark.parametrize("written", ["SL", "SL-LMT", "sl-lmt"])
def test_f1_a_stop_loss_limit_carries_both_prices(written: str) -> None:
    intent = accepted(raw(STOP, order_type=written))
    assert (intent.order_type, intent.price, intent.trigger_price) == (OrderType.SL, 101, 100)


@pytest.mark.parametrize("written", ["SL-M", "SL-MKT"])
def test_f1_a_stop_loss_market_carries_a_trigger_only(written: str) -> None:
    intent = accepted(raw(MARKET, order_type=written, trigger_price="99.5"))
    assert (intent.order_type, intent.price, intent.trigger_price) == (OrderType.SL_M, None, Decimal("99.5"))


@pytest.mark.parametrize(("alias", "name"), ALIASES.items())
def test_other_platforms_names_of_fields_are_taken(alias: str, name: str) -> None:
    assert accepted(raw(without=name, **{alias: LIMIT[name]})) == accepted(raw())


def test_f1_an_alias_and_the_name_may_say_the_same_and_not_different_things() -> None:
    assert accepted(raw(qty="50")).quantity == 50
    found = refused(raw(qty=51))
    assert "differs from quantity" in found["qty"]


def test_f1_two_aliases_that_differ_are_refused() -> None:
    assert set(refused(raw(without="side", action="BUY", direction="SELL"))) == {"direction"}


def test_null_means_not_given() -> None:
    assert accepted(raw(MARKET, price=None, trigger_price=None)) == accepted(raw(MARKET))
    assert set(refused(raw(symbol=None))) == {"symbol"}


def test_c5_only_an_exit_may_leave_out_the_product() -> None:
    assert accepted(raw(without="product", execution_type="EXIT")).product is None
    for other in ("ENTRY", "ADJUST"):
        assert set(refused(raw(without="product", execution_type=other))) == {"product"}


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        *[
            (field, value, "must be one of")
            for field in ("execution_type", "exchange", "side", "product", "order_type", "validity")
            for value in ("X", "", " BUY", "BUY ", 1, True, 1.5, [], {}, "\u0131", "\u017fL", "BUY\n")
        ],
        ("product", "H", "MIS, NRML, CNC"),
        ("side", "LONG", "BUY, SELL"),
        ("side", "B", "BUY, SELL"),
        *[("quantity", value, "whole number") for value in (1.5, 50.0, True, False, "1.5", "-1", "+1", "", "abc", [])],
        *[("quantity", value, "whole number") for value in ("\u0663", "1e3", " 5", float("nan"), "9" * 13)],
        *[("quantity", value, "from 1 to") for value in (0, -1, MAX_QUANTITY + 1, 10**30, "0")],
        *[("price", value, "number of rupees") for value in (True, "abc", "", "1,5", "1e3", "-1", "NaN", [], {})],
        *[("price", float(value), "number of rupees") for value in ("nan", "inf", "-inf")],
        *[("price", Decimal(value), "number of rupees") for value in ("NaN", "sNaN", "Infinity", "-Infinity")],
        *[("price", value, "above 0") for value in (0, -1, -0.0, "0", 10_000_001, Decimal("1e999999"), 10**4000)],
        *[("price", value, "4 decimals") for value in ("1.00001", 0.1 + 0.2, Decimal("1e-999999"), 1e-5)],
        *[
            ("symbol", value, "trading symbol")
            for value in ("", "A" * 65, "-EQ", "A\n", "A\tB", " A", "A ", "A;B", "A'B", 'A"B', "A=B", "\u20b9", 5)
        ],
        ("symbol", 'X","qty":"9', "trading symbol"),
        ("symbol", "\U0001f680", "trading symbol"),
        *[("strategy", value, "1 to 32") for value in ("", "a b", "a" * 33, "a&jKey=1", "\x00", "<b>", 7, None or [])],
        *[("idempotency_key", value, "1 to 128") for value in ("", "a" * 129, " a", "a ", "a\n", "\u00e9", 5, "\x7f")],
        *[("basket", value, "1 to 32") for value in ("", "a b", "a" * 33, 5)],
    ],
)
def test_f1_f4_a_bad_value_is_refused_and_its_field_named(field: str, value: object, says: str) -> None:
    found = refused(raw(**{field: value}))
    assert says in found[field]
    assert all(message.isascii() and message.isprintable() for message in found.values())


@pytest.mark.parametrize(
    "field", ["strategy", "execution_type", "exchange", "symbol", "side", "quantity", "order_type"]
)
def test_f1_a_missing_field_is_named(field: str) -> None:
    assert "is missing" in refused(raw(without=field))[field]


def test_f1_a_limit_needs_a_price_and_a_market_order_takes_none() -> None:
    assert "need one" in refused(raw(without="price"))["price"]
    assert "leave it out, or use LIMIT or SL" in refused(raw(order_type="MARKET"))["price"]
    assert set(refused(raw(order_type="MARKET", price=0))) == {"price"}
    assert "take no price" in refused(raw(order_type="MARKET", price=0))["price"]


def test_f1_a_stop_needs_a_trigger_and_nothing_else_takes_one() -> None:
    for stop in ("SL", "SL-M"):
        assert "need one" in refused(raw(STOP, without="trigger_price", order_type=stop))["trigger_price"]
    for other in ("LIMIT", "MARKET"):
        assert "take no trigger_price" in refused(raw(STOP, order_type=other))["trigger_price"]


@pytest.mark.parametrize(
    ("side", "trigger", "taken"),
    [("BUY", 101, True), ("BUY", "101.0001", False), ("SELL", 101, True), ("SELL", "100.9999", False)],
)
def test_f1_a_stop_triggers_on_the_side_where_its_limit_can_trade(side: str, trigger: object, taken: bool) -> None:
    intent = raw(STOP, side=side, trigger_price=trigger)
    if taken:
        accepted(intent)
    else:
        assert "stop-loss" in refused(intent)["trigger_price"]


def test_f1_an_unknown_field_is_refused_with_a_guess_in_words_only() -> None:
    found = refused(raw(quantiti=5, zzz=1))
    assert "did you mean quantity?" in found["quantiti"]
    assert "fields are strategy" in found["zzz"]


def test_f1_all_problems_come_at_once_under_the_names_the_sender_wrote() -> None:
    found = refused(RawIntent((("qty", 1.5), ("action", "hold"), ("tradingsymbol", "A;B"), ("colour", "red"))))
    assert set(found) == {
        "qty",
        "action",
        "tradingsymbol",
        "colour",
        "strategy",
        "execution_type",
        "exchange",
        "order_type",
        "product",
    }


def test_law11_the_value_of_an_unknown_field_is_not_repeated() -> None:
    assert "hunter2" not in str(read_intent(raw(passphrase="hunter2")))


def test_d4_a_refusal_tells_the_columns_that_could_be_read() -> None:
    found = read_intent(raw(quantity=0, price="2840.50", colour="red", idempotency_key="k"))
    assert isinstance(found, Refused)
    assert dict(found.readable) == {
        "strategy": "momentum",
        "execution_type": "ENTRY",
        "exchange": "NSE",
        "symbol": "RELIANCE-EQ",
        "side": "BUY",
        "product": "MIS",
        "order_type": "LIMIT",
        "price": "2840.50",
        "idempotency_key": "k",
    }
    assert [type(value) for _, value in found.readable] == [str] * 9
    whole = read_intent(raw(colour="red"))
    assert isinstance(whole, Refused)
    assert dict(whole.readable)["quantity"] == 50


def test_a_strategys_own_intent_is_checked_the_same_way() -> None:
    intent = accepted(raw())
    assert read_intent(intent) == intent
    assert set(refused(replace(intent, quantity=0, price=None))) == {"quantity", "price"}
    careless: dict[str, Any] = {"side": "BUY", "quantity": 1.5}
    assert set(refused(replace(intent, **careless))) == {"quantity"}


# Whatever comes in.

_names = st.sampled_from([*[field.name for field in fields(OrderIntent)], *ALIASES]) | st.text(max_size=8)
_words = st.sampled_from([*EXCHANGES, *ExecutionType, *Side, *Product, *OrderType, *Validity, "I", "LMT", "SL-MKT"])
_values = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-2, 200)
    | st.floats()
    | st.decimals()
    | st.decimals(min_value=1, max_value=200, places=2)
    | _words.map(str)
    | st.text(max_size=12)
    | st.lists(st.integers(), max_size=2)
)


def _sound(intent: OrderIntent) -> bool:
    """What every accepted intent must satisfy, said independently of the code under test."""
    prices = [price for price in (intent.price, intent.trigger_price) if price is not None]
    return (
        type(intent.quantity) is int
        and 1 <= intent.quantity <= MAX_QUANTITY
        and all(type(price) is Decimal and 0 < price <= MAX_PRICE for price in prices)
        and all(price * 10_000 == int(price * 10_000) for price in prices)
        and (intent.price is not None) == (intent.order_type in (OrderType.LIMIT, OrderType.SL))
        and (intent.trigger_price is not None) == (intent.order_type in (OrderType.SL, OrderType.SL_M))
        and (intent.product is not None or intent.execution_type is ExecutionType.EXIT)
        and isinstance(intent.side, Side)
        and isinstance(intent.validity, Validity)
        and isinstance(intent.product, Product | None)
        and intent.exchange in EXCHANGES
        and all(text.isascii() and text.isprintable() and "\n" not in text for text in (intent.strategy, intent.symbol))
    )


@given(
    st.one_of(
        st.lists(st.tuples(_names, _values), max_size=14).map(tuple),
        st.tuples(
            st.sampled_from([LIMIT, STOP, MARKET]), st.dictionaries(_names, _values, max_size=3), st.booleans()
        ).map(lambda parts: tuple({**parts[0], **parts[1]}.items())),
    )
)
@example((("quantity", 10**5000), ("price", 10**5000), ("side", "\ud800"), ("\ud800", 1)))
def test_f1_no_input_raises_and_nothing_unsound_is_accepted(pairs: tuple[tuple[str, object], ...]) -> None:
    found = read_intent(RawIntent(pairs))
    if isinstance(found, OrderIntent):
        assert _sound(found)
        assert read_intent(found) == found
    else:
        assert found.problems
        for problem in found.problems:
            str(problem).encode()
            assert problem.message.isprintable()
        assert {type(value) for _, value in found.readable} <= {str, int}


@given(st.data())
def test_an_accepted_intent_reads_back_from_its_own_text(data: st.DataObject) -> None:
    price = data.draw(st.decimals(Decimal("0.0001"), MAX_PRICE, places=4))
    quantity = data.draw(st.integers(1, MAX_QUANTITY))
    first = accepted(raw(price=price, quantity=quantity, side=data.draw(st.sampled_from(["BUY", "sell"]))))
    texts = {field.name: getattr(first, field.name) for field in fields(OrderIntent)}
    again = {name: format(value, "f") if name == "price" else value for name, value in texts.items()}
    again["quantity"] = str(first.quantity)
    assert read_intent(RawIntent(tuple(again.items()))) == first
    assert first.price == price
