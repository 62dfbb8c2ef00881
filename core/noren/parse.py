"""Rows of the broker's books into our types (protocol 6.1, 7).

All values are strings; a value that is not there is absent, blank, or a single space. Nothing is guessed: what a row
does not say, or says unreadably, is None. One bad row never hides the others: what could not be read is told beside the
result, in the list `unreadable`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, Generic, TypeVar
from zoneinfo import ZoneInfo

from core.model.broker import (
    BrokerHolding,
    BrokerOrderReport,
    BrokerPosition,
    BrokerStatus,
    BrokerTrade,
    PriceSource,
    Quote,
)
from core.model.order import OrderType, Product, Side

__all__ = [
    "BadRow",
    "Limits",
    "RowMemory",
    "broker_time",
    "holdings",
    "limits",
    "number",
    "order_book",
    "order_report",
    "position_book",
    "product",
    "quote",
    "side",
    "status",
    "text",
    "trade",
    "trade_book",
    "whole",
]

Row = Mapping[str, Any]
S = TypeVar("S")
T = TypeVar("T")

_IST = ZoneInfo("Asia/Kolkata")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?", re.ASCII)
_CLOCK_FIRST = re.compile(r"(\d\d):(\d\d):(\d\d) (\d\d)-(\d\d)-(\d{4})", re.ASCII)
_DATE_FIRST = re.compile(r"(\d\d)-(\d\d)-(\d{4}) (\d\d):(\d\d):(\d\d)", re.ASCII)
# The exchange's epoch stands for "no exchange time" (protocol 7.1).
_NO_TIME_YEAR = 1980
_LONGEST_PLAIN_INT = 20
_LONGEST_KEPT = 40

# After upper case, `_` and `-` to a space (protocol 6.1). What is not here is UNKNOWN: read again, never final.
_STATUSES: Mapping[str, BrokerStatus] = {
    "PENDING": BrokerStatus.PENDING,
    "ORDER ACK": BrokerStatus.PENDING,
    "ORDER PENDING": BrokerStatus.PENDING,
    "OPEN PENDING": BrokerStatus.PENDING,
    "MODIFY PENDING": BrokerStatus.PENDING,
    "CANCEL PENDING": BrokerStatus.PENDING,
    "AFTER MARKET ORDER REQ RECEIVED": BrokerStatus.PENDING,
    "OPEN": BrokerStatus.OPEN,
    "NEW": BrokerStatus.OPEN,
    "REPLACED": BrokerStatus.OPEN,
    "AMO OPEN": BrokerStatus.OPEN,
    "AMO MODIFIED": BrokerStatus.OPEN,
    "TRIGGER PENDING": BrokerStatus.TRIGGER_PENDING,
    "COMPLETE": BrokerStatus.COMPLETE,
    "CANCELED": BrokerStatus.CANCELLED,
    "CANCELLED": BrokerStatus.CANCELLED,
    "AMO CANCELED": BrokerStatus.CANCELLED,
    "AMO CANCELLED": BrokerStatus.CANCELLED,
    "REJECTED": BrokerStatus.REJECTED,
    "REJECT": BrokerStatus.REJECTED,
    "EXPIRED": BrokerStatus.EXPIRED,
}

_SIDES: Mapping[str, Side] = {"B": Side.BUY, "BUY": Side.BUY, "S": Side.SELL, "SELL": Side.SELL}

_PRODUCTS: Mapping[str, Product] = {
    "I": Product.MIS,
    "MIS": Product.MIS,
    "M": Product.NRML,
    "NRML": Product.NRML,
    "C": Product.CNC,
    "CNC": Product.CNC,
}

_ORDER_TYPES: Mapping[str, OrderType] = {
    "LMT": OrderType.LIMIT,
    "MKT": OrderType.MARKET,
    "SL-LMT": OrderType.SL,
    "SLLMT": OrderType.SL,
    "SL-MKT": OrderType.SL_M,
    "SLMKT": OrderType.SL_M,
}

# Shares that may be sold (protocol 7.7); `usedqty`, what was sold of them today, is in the positions.
_DELIVERED = ("btstqty", "holdqty", "unplgdqty", "benqty", "dpqty")


class BadRow(ValueError):
    """A row that cannot be read at all; the text names the field."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Funds in rupees (protocol 7.8); None where the broker is silent, which it often is about zero."""

    cash: Decimal | None
    payin: Decimal | None
    margin_used: Decimal | None
    collateral: Decimal | None


def text(row: Row, *names: str) -> str | None:
    """The first of these fields that says something; None when all are absent or blank."""
    for name in names:
        value = row.get(name)
        if isinstance(value, str):
            said = value.strip()
        elif isinstance(value, int | float) and not isinstance(value, bool):
            said = str(value)
        else:
            continue
        if said:
            return said
    return None


def number(row: Row, *names: str) -> Decimal | None:
    """The first of these fields that says something, as a finite Decimal; `-0.00` is zero.

    Raises:
        BadRow: It is not a number.
    """
    said = text(row, *names)
    if said is None:
        return None
    value = _decimal(said) if len(said) <= _LONGEST_KEPT else _decimal.__wrapped__(said)
    if value is None:
        raise BadRow(f"{'/'.join(names)} is not a number: {said[:40]!r}")
    return value


@lru_cache(maxsize=16_384)
def _decimal(said: str) -> Decimal | None:
    """A finite number, or None. Most figures of a price frame are those of the frame before."""
    plain = said.replace(",", "")
    if not _NUMBER.fullmatch(plain):
        return None
    value = Decimal(plain)
    return value if value else abs(value)


def whole(row: Row, *names: str) -> int | None:
    """Like `number`, as an int. Raises BadRow when it is not a whole number."""
    said = text(row, *names)
    if said is not None and said.isdecimal() and said.isascii() and len(said) < _LONGEST_PLAIN_INT:
        # The usual case, at a third of the time: a book of the day may have 50,000 rows.
        return int(said)
    value = number(row, *names)
    if value is None:
        return None
    if value != value.to_integral_value():
        raise BadRow(f"{'/'.join(names)} is not a whole number: {value}")
    return int(value)


def status(said: str | None) -> BrokerStatus:
    """The one meaning of a status however it is spelt (scenario B1); UNKNOWN for what is not known (B15)."""
    words = (said or "").upper()
    # Most rows spell it as the table does; the others are put into order first.
    found = _STATUSES.get(words)
    return found or _STATUSES.get(" ".join(words.replace("_", " ").replace("-", " ").split()), BrokerStatus.UNKNOWN)


def side(row: Row) -> Side | None:
    """BUY or SELL from `trantype`."""
    return _SIDES.get((text(row, "trantype") or "").upper())


def product(row: Row) -> Product | None:
    """The product from `prd`, from `pcode` as push frames call it, or from its alias; None for H, B and F."""
    for name in ("prd", "pcode", "s_prdt_ali"):
        found = _PRODUCTS.get((text(row, name) or "").upper())
        if found is not None:
            return found
    return None


def broker_time(said: str | None) -> datetime | None:
    """A time of the broker, either way round, from Asia/Kolkata to UTC; None for blank, unreadable or 1980."""
    if said is None:
        return None
    if found := _CLOCK_FIRST.fullmatch(said):
        hour, minute, second, day, month, year = map(int, found.groups())
    elif found := _DATE_FIRST.fullmatch(said):
        day, month, year, hour, minute, second = map(int, found.groups())
    else:
        return None
    if year <= _NO_TIME_YEAR:
        return None
    try:
        return datetime(year, month, day, hour, minute, second, tzinfo=_IST).astimezone(UTC)
    except ValueError:
        return None


class RowMemory(Generic[T]):
    """Reads a book again and again: of a row that is byte for byte as it was, the same value comes again, unread.

    A book has all orders of the day in it, of which a few change between two reads.
    """

    def __init__(self, read: Callable[[Row, list[str]], T]) -> None:
        self._read = read
        self._known: dict[bytes, T] = {}

    def book(self, rows: Iterable[bytes], unreadable: list[str]) -> tuple[T, ...]:
        """The rows of a book, each as it was written (`classify.row_texts`)."""
        before, self._known = self._known, {}

        def value(text: bytes, unreadable: list[str]) -> T:
            known = before.get(text)
            if known is None:
                known = self._read(_object(json.loads(text)), unreadable)
            self._known[text] = known
            return known

        return _each(rows, value, unreadable)


def order_book(rows: Iterable[Any], unreadable: list[str]) -> tuple[BrokerOrderReport, ...]:
    """The rows of OrderBook (protocol 7.2)."""
    return _each(rows, lambda row, unreadable: order_report(_object(row), unreadable), unreadable)


def order_report(row: Row, unreadable: list[str]) -> BrokerOrderReport:
    """One row of OrderBook, or a push frame that carries as much.

    A number that cannot be read is None, told in `unreadable`, and left to the trade book (scenario B4).

    Raises:
        BadRow: It has no order number.
    """
    order_id = text(row, "norenordno", "norenoordno")
    if order_id is None:
        raise BadRow("norenordno is missing")
    readable = _Readable(row, f"order {order_id}", unreadable)
    raw_status = text(row, "status") or ""
    state = status(raw_status)
    if state is BrokerStatus.UNKNOWN:
        unreadable.append(f"order {order_id}: status {raw_status!r} is not known")
    filled = readable.not_negative(whole, "fillshares")
    if state is BrokerStatus.COMPLETE and not filled:
        # A completed order that filled nothing does not exist: the row is silent.
        filled = None
    average = readable.not_negative(number, "avgprc")
    return BrokerOrderReport(
        broker_order_id=order_id,
        client_tag=text(row, "remarks"),
        exchange=text(row, "exch") or "",
        symbol=text(row, "tsym") or "",
        side=side(row),
        quantity=readable.not_negative(whole, "qty"),
        status=state,
        raw_status=raw_status,
        filled_quantity=filled,
        average_price=average or None,
        reason=text(row, "rejreason"),
        product=product(row),
        at=_first_time(row, "exch_tm", "norentm"),
        order_type=_ORDER_TYPES.get((text(row, "prctyp") or "").upper()),
        price=readable.not_negative(number, "prc") or None,
        trigger_price=readable.not_negative(number, "trgprc") or None,
    )


def trade_book(rows: Iterable[Any], unreadable: list[str]) -> tuple[BrokerTrade, ...]:
    """The rows of TradeBook, one a trade (protocol 7.4)."""
    return _each(rows, lambda row, unreadable: trade(_object(row), unreadable), unreadable)


def trade(row: Row, unreadable: list[str]) -> BrokerTrade:  # noqa: ARG001 - the shape `_each` takes
    """One row of TradeBook, or a push frame that reports a fill.

    Raises:
        BadRow: It lacks the order's number, the trade's number, its quantity or its price.
    """
    quantity, price = whole(row, "flqty"), number(row, "flprc")
    if not quantity or quantity < 0 or price is None or price < 0:
        raise BadRow(f"trade {text(row, 'flid')}: flqty or flprc is missing or not positive")
    return BrokerTrade(
        broker_order_id=_needed(row, "norenordno"),
        broker_trade_id=_needed(row, "flid"),
        client_tag=text(row, "remarks"),
        exchange=text(row, "exch") or "",
        symbol=text(row, "tsym") or "",
        side=side(row),
        quantity=quantity,
        price=price,
        at=_first_time(row, "fltm", "filltm", "exch_tm", "norentm"),
    )


def position_book(rows: Iterable[Any], unreadable: list[str]) -> tuple[BrokerPosition, ...]:
    """The rows of PositionBook (protocol 7.5).

    Money that cannot be read is None, and the day's P&L then is not known (scenario D8).

    Raises:
        BadRow: A row does not say what is held. Leaving it out would say that nothing is, to the guard and to a
            square-off (scenario C3), so the whole book counts as not read.
    """
    return tuple(_position(row, unreadable) for row in rows)


def _position(row: Any, unreadable: list[str]) -> BrokerPosition:
    if not isinstance(row, Mapping):
        raise BadRow("a position is not an object")
    exchange, symbol = _needed(row, "exch"), _needed(row, "tsym")
    readable = _Readable(row, f"position {exchange} {symbol}", unreadable)
    net_quantity = _net_quantity(row)
    realised, unrealised = readable.of(number, "rpnl"), readable.of(number, "urmtom")
    if net_quantity == 0 and text(row, "urmtom") is None:
        # Nothing held, nothing unrealised: silence about zero is usual (protocol 2.2).
        unrealised = Decimal(0)
    if realised is None or unrealised is None:
        unreadable.append(f"position {exchange} {symbol}: P&L is not known")
    last_price = readable.not_negative(number, "lp")
    return BrokerPosition(
        exchange=exchange,
        symbol=symbol,
        product=product(row),
        net_quantity=net_quantity,
        realised=realised,
        unrealised=unrealised,
        last_price=last_price or None,
        average_price=readable.not_negative(number, "netavgprc") or None if net_quantity else None,
    )


def holdings(rows: Iterable[Any], unreadable: list[str]) -> tuple[BrokerHolding, ...]:
    """The rows of Holdings (protocol 7.7), once for each listing of the shares."""
    return tuple(found for row in rows for found in _holding(row, unreadable))


def _holding(row: Any, unreadable: list[str]) -> Iterator[BrokerHolding]:
    if not isinstance(row, Mapping):
        raise BadRow("a holding is not an object")
    quantity = sum(whole(row, name) or 0 for name in _DELIVERED)
    listings = row.get("exch_tsym")
    for listing in listings if isinstance(listings, list) else ():
        exchange, symbol = text(listing, "exch"), text(listing, "tsym")
        if exchange is None or symbol is None:
            unreadable.append("holding: a listing lacks exch or tsym")
        else:
            yield BrokerHolding(exchange=exchange, symbol=symbol, quantity=quantity)


def _net_quantity(row: Row) -> int:
    try:
        net = whole(row, "netqty")
    except BadRow:
        net = None
    if net is not None:
        return net
    parts = [whole(row, name) for name in ("daybuyqty", "cfbuyqty", "daysellqty", "cfsellqty")]
    bought_today, bought_before, sold_today, sold_before = parts
    if bought_today is None or sold_today is None:
        raise BadRow(f"position {text(row, 'tsym')}: netqty is missing")
    # The carried-forward fields are absent when nothing was carried forward.
    return bought_today + (bought_before or 0) - sold_today - (sold_before or 0)


def quote(
    row: Row,
    *,
    exchange: str,
    symbol: str,
    now: datetime,
    at: datetime | None = None,
    source: PriceSource = PriceSource.QUOTE,
    missed: int = 0,
) -> Quote:
    """The answer of GetQuotes (protocol 7.9). `at` is the broker's time of the answer, or `now`.

    Raises:
        BadRow: It is of another instrument, or has no last price: never a price of zero to trade on.
    """
    answered = text(row, "tsym")
    if answered is not None and answered != symbol:
        raise BadRow(f"the quote is of {answered!r}, not of {symbol!r}")
    last_price = number(row, "lp")
    if last_price is None or last_price <= 0:
        raise BadRow(f"{exchange} {symbol} has no last price")
    return Quote(
        exchange=exchange,
        symbol=symbol,
        last_price=last_price,
        bid=_touch(row, "bp1", "bq1"),
        ask=_touch(row, "sp1", "sq1"),
        at=at or broker_time(text(row, "request_time")) or now,
        tick_size=_positive(row, "ti"),
        lower_limit=_positive(row, "lc"),
        upper_limit=_positive(row, "uc"),
        instrument=text(row, "instname"),
        open=_if_readable(_positive, row, "o"),
        high=_if_readable(_positive, row, "h"),
        low=_if_readable(_positive, row, "l"),
        close=_if_readable(_positive, row, "c"),
        volume=_if_readable(whole, row, "v"),
        bids=_levels(row, "b") if "bp2" in row else (),
        asks=_levels(row, "s") if "sp2" in row else (),
        last_quantity=_if_readable(whole, row, "ltq"),
        buy_quantity=_if_readable(whole, row, "tbq"),
        sell_quantity=_if_readable(whole, row, "tsq"),
        open_interest=_if_readable(whole, row, "oi"),
        received_at=now,
        source=source,
        missed=missed,
    )


def _levels(row: Row, side: str) -> tuple[tuple[Decimal, int], ...]:
    found = []
    for number in range(1, 6):
        price = _if_readable(_positive, row, f"{side}p{number}")
        quantity = _if_readable(whole, row, f"{side}q{number}")
        if price is not None and quantity:
            found.append((price, quantity))
    return tuple(found)


def _if_readable(read: Callable[[Row, str], T | None], row: Row, name: str) -> T | None:
    """A field that nobody trades on: a quote is good without it."""
    try:
        return read(row, name)
    except BadRow:
        return None


def _positive(row: Row, name: str) -> Decimal | None:
    value = number(row, name)
    return value if value is not None and value > 0 else None


def _touch(row: Row, price: str, quantity: str) -> Decimal | None:
    best = number(row, price)
    if best is None or best <= 0 or whole(row, quantity) == 0:
        return None
    return best


def limits(row: Row) -> Limits:
    """The answer of Limits. Raises BadRow when a figure is not a number."""
    return Limits(
        cash=number(row, "cash"),
        payin=number(row, "payin"),
        margin_used=number(row, "marginused"),
        collateral=number(row, "collateral", "brkcollamt"),
    )


class _Readable:
    """Reads fields of one row whose badness must not cost the row: None, and a text in `unreadable`."""

    def __init__(self, row: Row, name: str, unreadable: list[str]) -> None:
        self._row = row
        self._name = name
        self._unreadable = unreadable

    def of(self, read: Callable[..., T | None], field: str) -> T | None:
        try:
            return read(self._row, field)
        except BadRow as error:
            self._unreadable.append(f"{self._name}: {error}")
            return None

    def not_negative(self, read: Callable[..., T | None], field: str) -> T | None:
        value: Any = self.of(read, field)
        if value is not None and value < 0:
            self._unreadable.append(f"{self._name}: {field} is negative")
            return None
        found: T | None = value
        return found


def _each(rows: Iterable[S], read: Callable[[S, list[str]], T], unreadable: list[str]) -> tuple[T, ...]:
    """Every row that can be read; texts about those that cannot go to `unreadable`."""
    found: list[T] = []
    for position, row in enumerate(rows):
        try:
            found.append(read(row, unreadable))
        except BadRow as error:
            unreadable.append(f"row {position}: {error}")
    return tuple(found)


def _object(row: Any) -> Row:
    if not isinstance(row, Mapping):
        raise BadRow("it is not an object")
    return row


def _needed(row: Row, name: str) -> str:
    said = text(row, name)
    if said is None:
        raise BadRow(f"{name} is missing")
    return said


def _first_time(row: Row, *names: str) -> datetime | None:
    for name in names:
        at = broker_time(text(row, name))
        if at is not None:
            return at
    return None
