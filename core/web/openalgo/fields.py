"""The fields of OpenAlgo's requests: which there are, what they must be, and its words for what is wrong with them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal, InvalidOperation

from core.model.order import OrderType, Product, Side
from core.process.api_keys import Right
from core.rules.instrument_names import contract
from core.rules.validation import MAX_KEY, MAX_PRICE, MAX_QUANTITY
from core.web.openalgo.history import LENGTHS

__all__ = ["ENDPOINTS", "Endpoint", "Problems", "orders_in", "read"]

Problems = dict[str, list[str]]
Reader = Callable[[object], object]
Values = dict[str, object]

_MISSING = "Missing data for required field."
_UNKNOWN = "Unknown field."
_NULL = "Field may not be null."
_NO_TEXT = "Not a valid string."
_MOST_PROBLEMS = 20
MAX_LEGS = 20
"""Orders of one basket, as everywhere here."""
_MOST_STOCKS = 50


class _Wrong(Exception):
    """A value that will not do, in OpenAlgo's words."""


@dataclass(frozen=True, slots=True)
class _Field:
    read: Reader
    required: bool = False
    default: object = None
    null: bool = False


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One endpoint's fields, and the rights of which a key needs one.

    `orders`: what is wrong is told as one text, as at all endpoints about orders.
    """

    fields: Mapping[str, _Field] = field(default_factory=dict)
    orders: bool = False
    rights: tuple[Right, ...] = (Right.READ,)

    @property
    def places(self) -> bool:
        """Whether it places orders."""
        return self.rights == _TRADE


def read(endpoint: Endpoint, given: Mapping[str, object]) -> tuple[Values, Problems]:
    """The values of a body without its key, and everything that is wrong with it."""
    return _read(endpoint.fields, given)


def orders_in(values: Mapping[str, object]) -> int:
    """How many orders a request that places some is for."""
    for name in ("orders", "legs", "stocks"):
        several = values.get(name)
        if isinstance(several, list):
            return len(several)
    quantity, size = values.get("quantity"), values.get("splitsize")
    return -(-quantity // size) if isinstance(quantity, int) and isinstance(size, int) and size else 1


def _read(fields: Mapping[str, _Field], given: Mapping[str, object]) -> tuple[Values, Problems]:
    values: Values = {}
    problems: Problems = {}
    for name, one in fields.items():
        if name not in given:
            if one.required:
                problems[name] = [_MISSING]
            else:
                values[name] = one.default
            continue
        try:
            if given[name] is None and not one.null:
                raise _Wrong(_NULL)
            values[name] = None if given[name] is None else one.read(given[name])
        except _Wrong as wrong:
            problems[name] = [str(wrong)]
    for name in given:
        if name not in fields and len(problems) < _MOST_PROBLEMS:
            problems[name[:60].encode("ascii", "backslashreplace").decode()] = [_UNKNOWN]
    return values, problems


# Readers: one value of one field.


def _text(longest: int, pattern: str = r"[^\x00-\x1f\x7f-\x9f]+", told: str = _NO_TEXT) -> Reader:
    matches = re.compile(pattern).fullmatch

    def of(value: object) -> object:
        # A number where a text belongs is what Excel sends for an order's number.
        text = str(value) if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**30 else value
        if not isinstance(text, str):
            raise _Wrong(_NO_TEXT)
        if not 1 <= len(text) <= longest:
            raise _Wrong(f"Length must be between 1 and {longest}.")
        if matches(text) is None or not text.isprintable():
            raise _Wrong(told)
        return text

    return of


def _one_of(*words: str) -> Reader:
    def of(value: object) -> object:
        if value in words:
            return value
        raise _Wrong(f"Must be one of: {', '.join(words)}.")

    return of


def _side(value: object) -> object:
    if isinstance(value, str) and value in ("BUY", "SELL", "buy", "sell"):
        return Side(value.upper())
    raise _Wrong("Must be one of: BUY, SELL, buy, sell.")


def _number(value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | Decimal | str) or len(str(value)[:40]) == 40:
        raise _Wrong("Not a valid number.")
    text = str(value).strip()
    try:
        number = Decimal(text) if text.isascii() else Decimal("NaN")
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite():
        raise _Wrong("Not a valid number.")
    return number


def _whole(lowest: int, highest: int, told: str) -> Reader:
    def of(value: object) -> object:
        number = _number(value)
        if not lowest <= number <= highest:
            raise _Wrong(told)
        if number != number.to_integral_value():
            raise _Wrong("Not a valid integer.")
        return int(number)

    return of


def _price(value: object) -> object:
    number = _number(value)
    if not 0 <= number <= MAX_PRICE:
        raise _Wrong("Price must be a non-negative number.")
    return number


def _disclosed(value: object) -> object:
    if _number(value) != 0:
        raise _Wrong("Sixstep shows the whole quantity of an order; leave it 0.")
    return 0


def _day(value: object) -> object:
    try:
        day = date.fromisoformat(value if isinstance(value, str) and len(value) == 10 else "")
        # Years that every calendar and every wire can carry.
        if not 1990 <= day.year <= 2100:
            raise ValueError
        return day
    except ValueError:
        raise _Wrong("Invalid date format. Use YYYY-MM-DD.") from None


def _flag(value: object) -> object:
    if not isinstance(value, bool):
        raise _Wrong("Not a valid boolean.")
    return value


def _ignored(_: object) -> object:
    return None


def _stocks(value: object) -> object:
    names = [name.strip() for name in value.split(",")] if isinstance(value, str) and len(value) < 4000 else []
    if not 1 <= len(names) <= _MOST_STOCKS or len(set(names)) != len(names):
        raise _Wrong(f"Must be 1 to {_MOST_STOCKS} different symbols with commas between.")
    try:
        return [_SYMBOL.read(name) for name in names]
    except _Wrong as wrong:
        raise _Wrong("Must be symbols with commas between.") from wrong


def _list_of(fields: Mapping[str, _Field], most: int) -> Reader:
    def of(value: object) -> object:
        if not isinstance(value, list) or not 1 <= len(value) <= most:
            raise _Wrong(f"Must be a list of 1 to {most}.")
        items: Sequence[object] = value
        found = []
        for number, item in enumerate(items):
            if not isinstance(item, dict):
                raise _Wrong(f"{number}: Invalid input type.")
            values, problems = _read(fields, item)
            if problems:
                raise _Wrong(f"{number}: {problems}")
            found.append(values)
        return found

    return of


def _expiry(value: object) -> object:
    found = contract(f"X{value}FUT") if isinstance(value, str) and len(value) == 7 else None
    if found is None:
        raise _Wrong("Must be a date as DDMMMYY, such as 25AUG26.")
    return found.expiry


def _offset(value: object) -> object:
    if isinstance(value, str) and _OFFSET.fullmatch(value):
        return value
    raise _Wrong("Must be ATM, ITM1 to ITM50 or OTM1 to OTM50.")


_OFFSET = re.compile(r"ATM|(?:ITM|OTM)(?:[1-9]|[1-4][0-9]|50)")
_EXCHANGES = (
    *("NSE", "NFO", "CDS", "BSE", "BFO", "BCD", "MCX", "NCDEX", "NCO"),
    *("NSE_INDEX", "BSE_INDEX", "MCX_INDEX"),
)
_POSITIVE = _whole(1, MAX_QUANTITY, "Quantity must be a positive number.")
_EXCHANGE = _Field(_one_of(*_EXCHANGES), required=True)
_SYMBOL = _Field(_text(64, r"[A-Za-z0-9][A-Za-z0-9&_. -]*", "Not a valid symbol."), required=True)
_STRATEGY = _Field(_text(100), required=True)
_ORDER_ID = _Field(_text(64, r"[A-Za-z0-9-]+", "Not a valid order id."), required=True)
_KEY = _Field(_text(MAX_KEY - 10, r"[!-~](?:[ -~]*[!-~])?", "Must be printable ASCII characters."))
_LEG: Mapping[str, _Field] = {
    "symbol": _SYMBOL,
    "exchange": _EXCHANGE,
    "action": _Field(_side, required=True),
    "quantity": _Field(_POSITIVE, required=True),
    "pricetype": _Field(_one_of(*(kind.value for kind in OrderType)), default="MARKET"),
    "product": _Field(_one_of(*(product.value for product in Product)), default="MIS"),
    "price": _Field(_price, default=Decimal(0)),
    "trigger_price": _Field(_price, default=Decimal(0)),
    "disclosed_quantity": _Field(_disclosed, default=0),
}
_POSITION: Mapping[str, _Field] = {
    name: _Field(one.read, "price" not in name or name == "pricetype", one.default)
    for name, one in _LEG.items()
    if name != "disclosed_quantity"
}
_ORDER: Mapping[str, _Field] = {
    "strategy": _STRATEGY,
    **_LEG,
    "underlying_ltp": _Field(_ignored),
    "idempotency_key": _KEY,
}
_OPTION: Mapping[str, _Field] = {
    "offset": _Field(_offset, required=True),
    "option_type": _Field(_one_of("CE", "PE"), required=True),
    "expiry_date": _Field(_expiry, null=True),
}
_OPTION_LEG: Mapping[str, _Field] = {
    **{
        name: _LEG[name] for name in ("action", "quantity", "pricetype", "price", "trigger_price", "disclosed_quantity")
    },
    **_OPTION,
    "product": _Field(_one_of("MIS", "NRML"), default="MIS"),
    "splitsize": _Field(_whole(0, MAX_QUANTITY, "Split size must be a non-negative number."), default=0),
}
_UNDERLYING: Mapping[str, _Field] = {
    "underlying": _SYMBOL,
    "exchange": _EXCHANGE,
    "strike_int": _Field(_whole(1, 100_000, "Strike interval must be a positive number."), null=True),
}
_TRADE = (Right.TRADE,)
_OF_STRATEGY = {"strategy": _STRATEGY}
_OF_ORDER = {"strategy": _STRATEGY, "orderid": _ORDER_ID}
_BARE = Endpoint()
_MOST = MAX_QUANTITY

ENDPOINTS: Mapping[str, Endpoint] = {
    "placeorder": Endpoint(_ORDER, True, _TRADE),
    "placesmartorder": Endpoint(
        {
            **_ORDER,
            "quantity": _Field(_whole(0, _MOST, "Quantity must be a non-negative number."), required=True),
            "position_size": _Field(_whole(-_MOST, _MOST, "Position size is out of range."), required=True),
        },
        True,
        _TRADE,
    ),
    "splitorder": Endpoint(
        {**_ORDER, "splitsize": _Field(_whole(1, _MOST, "Split size must be a positive number."), required=True)},
        True,
        _TRADE,
    ),
    "basketorder": Endpoint(
        {"strategy": _STRATEGY, "orders": _Field(_list_of(_LEG, MAX_LEGS), required=True), "idempotency_key": _KEY},
        True,
        _TRADE,
    ),
    "chartink/webhook": Endpoint(
        {
            **{"strategy": _Field(_STRATEGY.read), "exchange": _Field(_EXCHANGE.read, default="NSE")},
            **{"scan_name": _Field(_text(200), required=True), "stocks": _Field(_stocks, required=True)},
            **{name: _LEG[name] for name in ("product", "quantity")},
            **{name: _Field(_ignored) for name in ("trigger_prices", "triggered_at", "scan_url", "alert_name")},
            **{"webhook_url": _Field(_ignored), "idempotency_key": _KEY},
        },
        True,
        _TRADE,
    ),
    "optionsorder": Endpoint(
        {"strategy": _STRATEGY, **_UNDERLYING, **_OPTION_LEG, "idempotency_key": _KEY}, True, _TRADE
    ),
    "optionsmultiorder": Endpoint(
        {
            **{"strategy": _STRATEGY, **_UNDERLYING, "expiry_date": _OPTION["expiry_date"], "idempotency_key": _KEY},
            "legs": _Field(_list_of(_OPTION_LEG, MAX_LEGS), required=True),
        },
        True,
        _TRADE,
    ),
    "optionchain": Endpoint(
        {
            "underlying": _SYMBOL,
            "exchange": _EXCHANGE,
            "expiry_date": _OPTION["expiry_date"],
            "strike_count": _Field(_whole(1, 100, "Strike count must be between 1 and 100.")),
        }
    ),
    "syntheticfuture": Endpoint(
        {"underlying": _SYMBOL, "exchange": _EXCHANGE, "expiry_date": _Field(_OPTION["expiry_date"].read, True)}
    ),
    "optionsymbol": Endpoint({"strategy": _Field(_STRATEGY.read), **_UNDERLYING, **_OPTION}),
    "multiquotes": Endpoint(
        {"symbols": _Field(_list_of({"symbol": _SYMBOL, "exchange": _EXCHANGE}, 50), required=True)}
    ),
    "modifyorder": Endpoint(
        {
            **{name: _Field(one.read, True) for name, one in _LEG.items()},
            **_OF_ORDER,
            "underlying_ltp": _Field(_ignored),
        },
        True,
        _TRADE,
    ),
    "margin": Endpoint({"positions": _Field(_list_of(_POSITION, 50), required=True)}),
    "cancelorder": Endpoint(_OF_ORDER, True, (Right.TRADE, Right.SQUARE_OFF)),
    "cancelallorder": Endpoint(_OF_STRATEGY, True, (Right.TRADE, Right.SQUARE_OFF)),
    "closeposition": Endpoint(_OF_STRATEGY, True, (Right.SQUARE_OFF,)),
    # Who sends orders may ask what became of them.
    "orderstatus": Endpoint(_OF_ORDER, True, (Right.READ, Right.TRADE)),
    "openposition": Endpoint(
        {
            "strategy": _STRATEGY,
            "symbol": _SYMBOL,
            "exchange": _EXCHANGE,
            "product": _Field(_LEG["product"].read, True),
        },
        True,
        (Right.READ, Right.TRADE),
    ),
    "orderbook": _BARE,
    "tradebook": _BARE,
    "positionbook": _BARE,
    "holdings": _BARE,
    "funds": _BARE,
    "ping": Endpoint(rights=tuple(Right)),
    "analyzer": _BARE,
    "analyzer/toggle": Endpoint({"mode": _Field(_flag, required=True)}),
    "intervals": _BARE,
    "history": Endpoint(
        {
            **{"symbol": _SYMBOL, "exchange": _EXCHANGE, "interval": _Field(_one_of(*LENGTHS), required=True)},
            **{"start_date": _Field(_day, required=True), "end_date": _Field(_day, required=True)},
            "source": _Field(_one_of("api", "db"), default="api"),
        }
    ),
    "ticker": Endpoint(
        {
            **{"symbol": _SYMBOL, "exchange": _EXCHANGE, "interval": _Field(_one_of(*LENGTHS), default="D")},
            **{"from": _Field(_day, required=True), "to": _Field(_day, required=True)},
            **{"format": _Field(_one_of("json", "txt"), default="json")},
            **{"adjusted": _Field(_ignored), "sort": _Field(_ignored)},
        }
    ),
    "quotes": Endpoint({"symbol": _SYMBOL, "exchange": _EXCHANGE}),
    "depth": Endpoint({"symbol": _SYMBOL, "exchange": _EXCHANGE}),
    "symbol": Endpoint({"symbol": _SYMBOL, "exchange": _EXCHANGE}),
    "search": Endpoint({"query": _Field(_text(100), required=True), "exchange": _Field(_EXCHANGE.read)}),
    "expiry": Endpoint(
        {
            "symbol": _SYMBOL,
            "exchange": _EXCHANGE,
            "instrumenttype": _Field(_one_of("futures", "options"), required=True),
        }
    ),
    "instruments": Endpoint(
        {"exchange": _Field(_EXCHANGE.read), "format": _Field(_one_of("json", "csv"), default="json")}
    ),
    "market/holidays": Endpoint({"year": _Field(_whole(2020, 2050, "Year must be between 2020 and 2050."))}),
    "market/timings": Endpoint({"date": _Field(_day, required=True)}),
}
"""Every endpoint that is there, with its fields beside `apikey`."""
