"""The fields of a contract's prices, in GetQuotes and in the frames of the feed (protocol sections 7.9 and 8.1)."""

from __future__ import annotations

import zlib
from datetime import datetime
from decimal import Decimal

from core.paper.candles import day_volume
from core.paper.instruments import Instrument
from core.paper.prices import Depth
from core.paper.replies import Row
from core.paper.rows import money
from core.paper.state import ExchangeState

__all__ = ["changed_fields", "depth_fields", "feed_fields", "index_level", "open_interest", "quote_fields"]

_LEVELS = 5


def quote_fields(state: ExchangeState, instrument: Instrument, now: datetime) -> Row:
    """The day's prices of a contract as they stood at `now`, without its order book."""
    places = instrument.precision
    lower, upper = state.prices.band(instrument)
    begin = now.replace(hour=9, minute=15, second=0, microsecond=0)
    opened, high, low, last = state.prices.candle(instrument, min(begin, now), now)
    return {
        "uc": money(upper, places),
        "lc": money(lower, places),
        "lp": money(last, places),
        "o": money(opened, places),
        "h": money(high, places),
        "l": money(low, places),
        "c": money(state.prices.close(instrument), places),
        "ap": money((opened + high + low + last) / 4, places),
        "v": str(day_volume(state, instrument, now)),
        "ltq": str(instrument.lot),
        "ltt": f"{now:%H:%M:%S}",
        **({"oi": str(open_interest(instrument))} if instrument.expiry is not None else {}),
    }


def open_interest(instrument: Instrument) -> int:
    """Units of a contract that are open: a number of its own, which stands still."""
    return (500 + zlib.crc32(f"{instrument.exch}{instrument.token}".encode()) % 20_000) * instrument.lot


def depth_fields(depth: Depth, places: int, levels: int = _LEVELS) -> Row:
    """The order book: price, quantity and number of orders of each level, and the sums of both sides."""
    fields: Row = {"tbq": str(sum(q for _, q in depth[0])), "tsq": str(sum(q for _, q in depth[1]))}
    for side, lines in zip("bs", depth, strict=True):
        for number in range(levels):
            price, quantity = lines[number] if number < len(lines) else (Decimal(0), 0)
            fields[f"{side}p{number + 1}"] = money(price, places)
            fields[f"{side}q{number + 1}"] = str(quantity)
            fields[f"{side}o{number + 1}"] = "1" if quantity else "0"
    return fields


def feed_fields(state: ExchangeState, instrument: Instrument, *, deep: bool) -> Row:
    """All that the first frame of a subscription carries."""
    fields = quote_fields(state, instrument, state.now)
    fields["lp"] = money(state.last(instrument), instrument.precision)
    return {**fields, **_moving(state, instrument, deep=deep)}


def changed_fields(state: ExchangeState, instrument: Instrument, before: Row, *, deep: bool) -> Row:
    """What of a contract differs from the last frame. What follows from a trade changes with the last price alone."""
    fields = _moving(state, instrument, deep=deep)
    last = state.last(instrument)
    if before.get("lp") != (price := money(last, instrument.precision)):
        high, low = (Decimal(str(before.get(name, price))) for name in ("h", "l"))
        fields["lp"] = price
        fields["h"], fields["l"] = (money(one, instrument.precision) for one in (max(high, last), min(low, last)))
        fields["v"] = str(day_volume(state, instrument, state.now))
        fields["ltt"] = f"{state.now:%H:%M:%S}"
    return {name: value for name, value in fields.items() if before.get(name) != value}


def index_level(state: ExchangeState, instrument: Instrument) -> Decimal:
    """The price of what is behind a contract; of an index of tens of thousands where nothing is."""
    index = state.master.by_token(*(instrument.underlying or ("NSE", "26000")))
    return state.last(index) if index is not None else Decimal("26000.00")


def _moving(state: ExchangeState, instrument: Instrument, *, deep: bool) -> Row:
    places = instrument.precision
    last, close = state.last(instrument), state.prices.close(instrument)
    lower, upper = state.prices.band(instrument)
    fields: Row = {
        "pc": f"{(last - close) * 100 / close:.2f}" if close else "0.00",
        "c": money(close, places),
        "lc": money(lower, places),
        "uc": money(upper, places),
    }
    if instrument.is_tradable:
        fields.update(depth_fields(state.depth(instrument), places, _LEVELS if deep else 1))
    return fields
