"""Candles and traded volume within the sessions, as far back as anybody asks.

A minute of today holds every price that the walk told in it, second by second, and every trade made here. A day before
today is made of one price a minute. The day before today closes at the price that quotes call its close.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal

from core.paper.instruments import Instrument
from core.paper.prices import Candle
from core.paper.risk import HOURS
from core.paper.state import ExchangeState
from core.paper.times import at_time

__all__ = ["candles", "day_candle", "day_volume", "session", "weekdays_back"]

_MINUTE = timedelta(minutes=1)
_INSTANT = timedelta(microseconds=1)
_MOST_SAMPLES = 60
_SATURDAY = 5
# What was reckoned once is kept, up to so many; it can be reckoned anew.
_MOST_KEPT = 100_000
# How many units change hands in a usual minute.
_UNITS = 2000


def session(exch: str, day: date) -> tuple[datetime, datetime]:
    """When a segment opens and closes on a weekday."""
    opens, closes = HOURS.get(exch, HOURS["NSE"])
    return at_time(day, opens), at_time(day, closes)


def weekdays_back(until: date, since: date) -> Iterator[date]:
    """The weekdays of a span, newest first."""
    day = until
    while day >= since:
        if day.weekday() < _SATURDAY:
            yield day
        day -= timedelta(days=1)


def candles(
    state: ExchangeState, instrument: Instrument, length: timedelta, day: date, until: datetime
) -> list[Candle]:
    """The candles of one weekday that begin before `until`, oldest first; the last one may not be over."""
    opens, closes = session(instrument.exch, day)
    minutes = _minutes_of(state, instrument, opens, min(closes, until))
    count = length // _MINUTE
    return [_together(minutes[first : first + count]) for first in range(0, len(minutes), count)]


def day_candle(state: ExchangeState, instrument: Instrument, day: date) -> Candle:
    """A weekday that is over."""
    opens, closes = session(instrument.exch, day)
    key = (instrument.key, opens, closes)
    known = state.candles.get(key)
    if known is None:
        known = _keep(state, key, _together(_minutes_of(state, instrument, opens, closes)))
    last = next(weekdays_back(state.day - timedelta(days=1), day), None)
    if day != last:
        return known
    close = state.prices.close(instrument)
    return known._replace(high=max(known.high, close), low=min(known.low, close), close=close)


def day_volume(state: ExchangeState, instrument: Instrument, now: datetime) -> int:
    """Units traded from the opening to now; on a weekend, in the last session."""
    day = next(weekdays_back(now.date(), now.date() - timedelta(days=3)))
    opens, closes = session(instrument.exch, day)
    now = min(now, closes)
    if now <= opens:
        return 0
    minutes = (now - opens) // _MINUTE
    key = (instrument.key, opens + minutes * _MINUTE)
    before = state.volumes.get(key)
    if before is None:
        before = sum(_volume(state, instrument, at, at + _MINUTE) for at in _minutes(opens, opens + minutes * _MINUTE))
        state.volumes[key] = before
        if len(state.volumes) > _MOST_KEPT:
            state.volumes.clear()
    return before + _volume(state, instrument, opens + minutes * _MINUTE, now)


def _minutes(begin: datetime, end: datetime) -> Iterator[datetime]:
    while begin < end:
        yield begin
        begin += _MINUTE


def _together(parts: list[Candle]) -> Candle:
    return parts[0]._replace(
        high=max(part.high for part in parts),
        low=min(part.low for part in parts),
        close=parts[-1].close,
        volume=sum(part.volume for part in parts),
    )


def _minutes_of(state: ExchangeState, instrument: Instrument, opens: datetime, closes: datetime) -> list[Candle]:
    if opens.date() >= state.day:
        return _minutes_of_today(state, instrument, opens, closes)
    begins = list(_minutes(opens, closes))
    prices = state.prices.at(instrument, [state.prices.step_at(at) for at in (*begins, closes)])
    return [
        Candle(at, first, max(first, last), min(first, last), last, _volume(state, instrument, at, at + _MINUTE))
        for at, first, last in zip(begins, prices, prices[1:], strict=False)
    ]


def _minutes_of_today(state: ExchangeState, instrument: Instrument, opens: datetime, closes: datetime) -> list[Candle]:
    traded = _traded(state, instrument)
    found = []
    for at in _minutes(opens, closes):
        minute = _minute(state, instrument, at, min(at + _MINUTE, closes))
        prices = (minute.high, minute.low, *traded.get(at, ()))
        found.append(minute._replace(high=max(prices), low=min(prices)))
    return found


def _minute(state: ExchangeState, instrument: Instrument, begin: datetime, end: datetime) -> Candle:
    key = (instrument.key, begin, end)
    known = state.candles.get(key)
    if known is not None:
        return known
    first, last = state.prices.step_at(begin), state.prices.step_at(end - _INSTANT)
    stride = max(1, -(-(last - first) // _MOST_SAMPLES))
    figures = state.prices.figures(instrument, [*range(first, last, stride), last])
    made = Candle(begin, *figures, _volume(state, instrument, begin, end))
    return _keep(state, key, made) if end - begin == _MINUTE and end <= state.now else made


def _keep(state: ExchangeState, key: tuple[tuple[str, str], datetime, datetime], candle: Candle) -> Candle:
    if len(state.candles) >= _MOST_KEPT:
        state.candles.clear()
    state.candles[key] = candle
    return candle


def _traded(state: ExchangeState, instrument: Instrument) -> dict[datetime, list[Decimal]]:
    """The prices of the trades made here today, by minute."""
    found: dict[datetime, list[Decimal]] = {}
    for account in state.accounts.values():
        for order, trade in account.trades:
            if order.instrument.key == instrument.key:
                found.setdefault(trade.at.replace(second=0, microsecond=0), []).append(trade.prc)
    return found


def _volume(state: ExchangeState, instrument: Instrument, begin: datetime, end: datetime) -> int:
    """Units of a part of a minute; indices have none."""
    if not instrument.is_tradable:
        return 0
    minute = begin.replace(second=0, microsecond=0)
    lots = max(
        1, round(_UNITS / instrument.lot * (1 + 0.8 * state.prices.chance(instrument, int(minute.timestamp()) // 60)))
    )
    return int(lots * ((end - begin) / _MINUTE)) * instrument.lot
