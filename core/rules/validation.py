"""Step 1's validation: what somebody wants, turned into an `OrderIntent`, or refused with every mistake named.

The one place where an intent is judged, for entry points and strategies alike. Nothing is guessed (scenario F1): a
field that is unknown, a number that is not exactly what it must be, a price an order type does not take are all
refused, with the field as the sender wrote it and what would be right. Plain code rather than a pydantic model: it
stands on the way to the broker, and aliases, checks between fields and messages in the sender's own words would be
code there too.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from operator import attrgetter
from typing import Any, cast

from core.model.order import ExecutionType, OrderIntent, OrderType, Problem, Product, RawIntent, Side, Validity
from core.rules.protection import misplaced, read_protect

__all__ = [
    "ALIASES",
    "EXCHANGES",
    "MAX_KEY",
    "MAX_PRICE",
    "MAX_PROBLEMS",
    "MAX_QUANTITY",
    "Refused",
    "canonical",
    "listed",
    "order_type_of",
    "read_intent",
    "shown",
]

MAX_QUANTITY = 10_000_000
"""Units in one order; far above any freeze quantity, low enough that value and P&L stay exact."""

MAX_PRICE = Decimal(10_000_000)
"""Rupees."""

MAX_KEY = 128
"""Characters of an idempotency key: room for strategy, type, ticker, interval, time and an order's own name."""

MAX_PROBLEMS = 20
"""Mistakes that are told of one intent."""

EXCHANGES = ("NSE", "BSE", "NFO", "BFO", "CDS", "BCD", "MCX", "NCX")

ALIASES: Mapping[str, str] = {
    "action": "side",
    "direction": "side",
    "pricetype": "order_type",
    "tradingsymbol": "symbol",
    "qty": "quantity",
}
"""What TradingView alerts and Indian platforms call our fields."""

# Four decimals: currency derivatives are quoted in steps of 0.0025 (protocol 11.3).
_SMALLEST = Decimal("0.0001")
_REQUIRED = ("strategy", "execution_type", "exchange", "symbol", "side", "quantity", "order_type")

# A symbol as protocol 11.2 shows them: M&M-EQ, BAJAJ-AUTO-EQ, NIFTY INDEX, USDINR25NOV22C76.25.
_SYMBOL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9&_. -]{0,62}[A-Za-z0-9])?")
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,32}")
_KEY = re.compile(rf"[!-~](?:[ -~]{{0,{MAX_KEY - 2}}}[!-~])?")
_PRICE = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,12})?")


@dataclass(frozen=True, slots=True)
class Refused:
    """An intent that cannot be taken.

    `readable` are the columns of the row that could be read all the same, so that the refusal can be recorded
    (scenario D4): their names with text, or a number for the quantity.
    """

    problems: tuple[Problem, ...]
    readable: tuple[tuple[str, str | int], ...]


class _Wrong:
    """A value that will not do, and why."""

    __slots__ = ("message",)

    def __init__(self, message: str) -> None:
        self.message = message


Reader = Callable[[object], object]


def read_intent(raw: RawIntent | OrderIntent) -> OrderIntent | Refused:
    """Validate an intent. Never raises, whatever the values are; the same input gives the same answer.

    Args:
        raw: Field names and values as they came from outside, or an intent built by a strategy. None as a value means
            that the field is not given.

    Returns:
        The intent with every value in its own type, or all problems at once.
    """
    pairs = raw.fields if isinstance(raw, RawIntent) else _pairs(raw)
    values: dict[str, Any] = {}
    written: dict[str, str] = {}
    problems: list[Problem] = []
    for name, value in pairs:
        known = _FIELDS.get(name) if isinstance(name, str) else None
        if known is None:
            # Looking for a near name takes time, which a body of thousands of names shall not have.
            problems.append(_unknown(name) if len(problems) < MAX_PROBLEMS else _ONE_MORE)
            continue
        if value is None:
            continue
        field, reader = known
        read = reader(value)
        if type(read) is _Wrong:
            problems.append(Problem(name, read.message))
        elif field in written:
            if values.get(field, read) != read:
                problems.append(Problem(name, f"differs from {written[field]}, which means the same; send one of them"))
                values.pop(field)
        else:
            values[field] = read
        written.setdefault(field, name)
    if not _fits(values, written):
        # A price that the order type does not take is told once, not also as out of range (many senders write 0).
        needless = _needless(values, written)
        problems = [problem for problem in problems if problem.field not in needless] + _misfits(values, written)
        for name in needless.values():
            values.pop(name, None)
    if problems:
        return Refused(listed(problems), _readable(values))
    values.setdefault("product", None)
    intent = OrderIntent(**values)
    if intent.protect is not None and (wrong := misplaced(intent.protect, intent)) is not None:
        return Refused((Problem("protect", wrong),), _readable(values))
    return intent


def listed(problems: Sequence[Problem]) -> tuple[Problem, ...]:
    """The first mistakes of many, and how many more there are."""
    more = len(problems) - MAX_PROBLEMS
    if more <= 0:
        return tuple(problems)
    return (*problems[: MAX_PROBLEMS - 1], Problem("(more)", f"{more + 1} further mistakes are not listed"))


def canonical(name: str) -> str:
    """Our name of a field that the sender may have written as an alias."""
    return ALIASES.get(name, name)


def shown(value: object) -> str:
    """A value from outside as it may stand in a message: printable ASCII, bounded (scenario F4)."""
    if value is None:
        text = "null"
    elif isinstance(value, bool):
        text = str(value).lower()
    elif isinstance(value, str):
        text = ascii(str(value[:60]))
    elif isinstance(value, int):
        text = str(int(value)) if value.bit_length() <= 200 else "a huge number"
    elif isinstance(value, float | Decimal):
        text = str(value)
    else:
        text = "an object" if isinstance(value, dict) else f"a {type(value).__name__}"
    return text if len(text) <= 40 else f"{text[:37]}..."


def _pairs(intent: OrderIntent) -> Iterable[tuple[str, object]]:
    return zip(_OWN_FIELDS, _own_values(intent), strict=True)


# Readers: one value of one field.


def _choice(members: Mapping[str, str], also: Mapping[str, str] | None = None) -> Reader:
    """A reader of one of a closed set of words, in any case."""
    table = {**members, **(also or {})}
    table |= {word.lower(): member for word, member in table.items()}
    wanted = f"must be one of {', '.join(members)}"

    def read(value: object) -> object:
        if isinstance(value, str):
            member = table.get(value)
            # Only ASCII is folded: "\u0131".upper() is "I", and would turn into a product.
            if member is None and value.isascii():
                member = table.get(value.upper())
            if member is not None:
                return member
        return _Wrong(f"{wanted}; got {shown(value)}")

    return read


def _matching(pattern: re.Pattern[str], wanted: str) -> Reader:
    """A reader of text of a given form."""
    matches = pattern.fullmatch

    def read(value: object) -> object:
        if isinstance(value, str) and matches(value):
            return str(value)
        return _Wrong(f"must be {wanted}; got {shown(value)}")

    return read


def _quantity(value: object) -> object:
    digits = isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 12
    if not digits and (isinstance(value, bool) or not isinstance(value, int)):
        return _Wrong(f"must be a whole number of units, such as 50; got {shown(value)}")
    number = int(cast("str | int", value))
    if 1 <= number <= MAX_QUANTITY:
        return number
    return _Wrong(f"must be from 1 to {MAX_QUANTITY} units; got {shown(value)}")


def _price(value: object) -> object:
    number = _decimal(value)
    if number is None:
        return _Wrong(f"must be a number of rupees, such as 2840.50; got {shown(value)}")
    if not 0 < number <= MAX_PRICE:
        return _Wrong(f"must be above 0 and at most {MAX_PRICE} rupees; got {shown(value)}")
    exponent = cast(int, number.as_tuple().exponent)
    if -4 <= exponent <= 0:
        return number
    rounded = number.quantize(_SMALLEST)
    if rounded != number:
        return _Wrong(f"must have at most 4 decimals; got {shown(value)}")
    return rounded


def _protect(value: object) -> object:
    read = read_protect(value)
    return _Wrong(read) if isinstance(read, str) else read


def _decimal(value: object) -> Decimal | None:
    """The exact number, or None: a float is read by its shortest decimal text, as it would stand in JSON."""
    if isinstance(value, str):
        return Decimal(value) if _PRICE.fullmatch(value) else None
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    number = Decimal(repr(float(value))) if isinstance(value, float) else Decimal(value)
    return number if number.is_finite() else None


def _members(kind: type[StrEnum]) -> dict[str, str]:
    return {member.value: member for member in kind}


_READERS: Mapping[str, Reader] = {
    "strategy": _matching(_NAME, "1 to 32 of the characters A-Z a-z 0-9 _ . -"),
    "execution_type": _choice(_members(ExecutionType)),
    "exchange": _choice({name: name for name in EXCHANGES}),
    "symbol": _matching(_SYMBOL, "a trading symbol of at most 64 characters, such as RELIANCE-EQ or M&M-EQ"),
    "side": _choice(_members(Side)),
    "quantity": _quantity,
    "product": _choice(_members(Product), {"I": Product.MIS, "M": Product.NRML, "C": Product.CNC}),
    "order_type": _choice(
        _members(OrderType),
        {"LMT": OrderType.LIMIT, "MKT": OrderType.MARKET, "SL-LMT": OrderType.SL, "SL-MKT": OrderType.SL_M},
    ),
    "price": _price,
    "trigger_price": _price,
    "validity": _choice(_members(Validity)),
    "idempotency_key": _matching(_KEY, f"1 to {MAX_KEY} printable ASCII characters"),
    "basket": _matching(_NAME, "1 to 32 of the characters A-Z a-z 0-9 _ . -"),
    "protect": _protect,
}
_OWN_FIELDS = tuple(_READERS)
_own_values = attrgetter(*_OWN_FIELDS)
_FIELDS: Mapping[str, tuple[str, Reader]] = {
    **{name: (name, reader) for name, reader in _READERS.items()},
    **{alias: (name, _READERS[name]) for alias, name in ALIASES.items()},
}


def order_type_of(value: object) -> OrderType | None:
    """The order type that a sender means; None for what is none."""
    read = _READERS["order_type"](value)
    return OrderType(read) if isinstance(read, str) else None


# What must hold between fields.


def _fits(values: Mapping[str, Any], written: Mapping[str, str]) -> bool:
    """Whether nothing is missing and the prices go with the order type; the short way of `_misfits`."""
    for name in _REQUIRED:
        if name not in values:
            return False
    order_type = values["order_type"]
    has_price, has_trigger = order_type in _PRICES["price"], order_type in _PRICES["trigger_price"]
    if ("price" in written) is not has_price or ("trigger_price" in written) is not has_trigger:
        return False
    if has_price and has_trigger and not _right_side(values):
        return False
    if "protect" in written and values["execution_type"] is not ExecutionType.ENTRY:
        return False
    return "product" in written or values["execution_type"] is ExecutionType.EXIT


# Which order types carry which of the two prices.
_PRICES: Mapping[str, frozenset[OrderType]] = {
    "price": frozenset(kind for kind in OrderType if kind.has_price),
    "trigger_price": frozenset(kind for kind in OrderType if kind.has_trigger),
}


def _needless(values: Mapping[str, Any], written: Mapping[str, str]) -> Mapping[str, str]:
    """The prices given that the order type does not take: as the sender wrote them, and our name."""
    order_type = values.get("order_type")
    if order_type is None:
        return {}
    return {written[name]: name for name, kinds in _PRICES.items() if name in written and order_type not in kinds}


def _right_side(values: Mapping[str, Any]) -> bool:
    """Whether a stop-loss limit can trade once triggered (protocol 5.7)."""
    price, trigger, side = values.get("price"), values.get("trigger_price"), values.get("side")
    if price is None or trigger is None or side is None:
        return True
    return bool(trigger <= price if side is Side.BUY else trigger >= price)


def _misfits(values: Mapping[str, Any], written: Mapping[str, str]) -> list[Problem]:
    problems = [Problem(name, _MISSING[name]) for name in _REQUIRED if name not in written]
    if "product" not in written and values.get("execution_type") is not ExecutionType.EXIT:
        problems.append(Problem("product", "is missing: MIS, NRML or CNC; only an EXIT may leave it out"))
    if "protect" in written and values.get("execution_type") is not ExecutionType.ENTRY:
        problems.append(Problem("protect", "goes with an ENTRY; a position that stands is protected by itself"))
    order_type: OrderType | None = values.get("order_type")
    if order_type is None:
        return problems
    for name, kinds in _PRICES.items():
        if order_type in kinds and name not in written:
            problems.append(Problem(name, f"is missing: {order_type} orders need one"))
    for alias, name in _needless(values, written).items():
        fix = f"leave it out, or use {' or '.join(sorted(_PRICES[name]))}"
        problems.append(Problem(alias, f"{order_type} orders take no {name}: {fix}"))
    if order_type is OrderType.SL and not _right_side(values):
        side, price = values["side"], values["price"]
        rule = "at or below" if side is Side.BUY else "at or above"
        message = f"must be {rule} the price {price} of a stop-loss {side}; got {values['trigger_price']}"
        problems.append(Problem(written["trigger_price"], message))
    return problems


_MISSING: Mapping[str, str] = {
    "strategy": "is missing: name the strategy this order belongs to",
    "execution_type": "is missing: ENTRY, EXIT or ADJUST",
    "exchange": f"is missing: {', '.join(EXCHANGES)}",
    "symbol": "is missing: the trading symbol, such as RELIANCE-EQ",
    "side": "is missing: BUY or SELL",
    "quantity": "is missing: a whole number of units, such as 50",
    "order_type": "is missing: LIMIT, MARKET, SL or SL-M",
}


_ONE_MORE = Problem("(more)", "is no field of an order")


def _unknown(name: object) -> Problem:
    if not isinstance(name, str):
        return Problem("(field name)", f"must be text; got {shown(name)}")
    close = difflib.get_close_matches(name[:60].lower(), _FIELDS, 1, 0.7)
    hint = f"did you mean {close[0]}?" if close else f"fields are {', '.join(_OWN_FIELDS)}"
    plain = name.isascii() and name.isprintable() and 0 < len(name) <= 60
    return Problem(name if plain else shown(name), f"is no field of an order; {hint}")


def _readable(values: Mapping[str, Any]) -> tuple[tuple[str, str | int], ...]:
    present = [(name, values[name]) for name in _OWN_FIELDS if name in values]
    return tuple((name, value if isinstance(value, int) else str(value)) for name, value in present)
