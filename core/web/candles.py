"""Candles for the web: the broker's history, aligned to the exchange's sessions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from fastapi.exceptions import RequestValidationError
from starlette.responses import Response

from core.instruments.hours import market_hours
from core.instruments.lookups import find
from core.messages import HistoryRead, ReadHistory
from core.model.calendar import INDIA
from core.model.instrument import Instrument
from core.rules.candles import DAY, INTERVALS, Grid, aggregated, history_minutes, sessions
from core.web.gateway import Gateway, Unanswered
from core.web.instruments import Lookup, unknown
from core.web.plain import PlainResponse, plain
from core.web.reading import Reading

__all__ = ["add_candles"]

_BROKER_S = 9.0
_MIDNIGHT = time(0)
_YEARS = range(1990, 2101)
_DAYS_SHOWN = 100
_MOST_DAYS = {False: 31, True: 3660}

Interval = Literal["1m", "2m", "3m", "5m", "10m", "15m", "30m", "1h", "2h", "4h", "1d"]
"""The lengths that the broker's history has."""

_Moment = Annotated[str, Query(max_length=40)]
_ANSWERS: dict[int | str, dict[str, Any]] = {
    404: {"description": "There is no such instrument; `near` has names like it"},
    503: {"description": "The broker tells no candles now; `error` says why"},
}


@dataclass(frozen=True, slots=True)
class _Span:
    begin: datetime
    end: datetime


def add_candles(router: APIRouter, gateway: Gateway, reading: Reading) -> None:
    """The call /candles."""
    lookup = Lookup(gateway, reading)

    @router.get("/candles", tags=["instruments"], responses=_ANSWERS)
    async def candles(
        symbol: Annotated[str, Query(min_length=1, max_length=100)],
        exchange: Annotated[str, Query(pattern=r"^[A-Za-z_]{0,10}$")] = "",
        interval: Interval = "5m",
        begin: Annotated[_Moment, Query(alias="from")] = "",
        end: Annotated[_Moment, Query(alias="to")] = "",
    ) -> Response:
        """The broker's candles of an instrument, oldest first, aligned to the session's start.

        `from` and `to` are days (2026-11-27, `to` with all of it) or times (2026-11-27T09:15, of India unless they say
        otherwise); without `to` until now, without `from` the day of `to` or the last session before it, of `1d` the
        last hundred days. `over` is false for a candle that still grows, `gap_before` counts the intervals of its
        session before it that have none. Costs a call or two of the broker's rate limit, which orders and books go
        before.
        """
        one = await lookup.first(lambda index: find(index, symbol, exchange, lookup.today))
        one = one or await lookup.one(symbol, exchange)
        if one is None:
            return await unknown(lookup, symbol, exchange)
        span = _span(begin, end, INTERVALS[interval], one.exchange, lookup.now)
        return PlainResponse(await _read(gateway, one, INTERVALS[interval], span))


async def _read(gateway: Gateway, one: Instrument, length: timedelta, span: _Span) -> dict[str, Any]:
    minutes = history_minutes(length)
    told = await gateway.ask(
        gateway.history,
        lambda name: ReadHistory(one.exchange, one.symbol, minutes, span.begin, span.end, name),
        _BROKER_S,
    )
    if not isinstance(told, HistoryRead):
        raise Unanswered(f"candles were answered with {type(told).__name__}")
    if told.problem is not None:
        raise Unanswered(f"the broker tells no candles of {one.place}: {told.problem}")
    grid = Grid(length, sessions(market_hours(), one.exchange))
    inside = [candle for candle in told.candles if span.begin <= candle.begin < span.end]
    return {
        **{"exchange": one.exchange, "symbol": one.symbol, "interval": _name(length)},
        **{"from": span.begin, "to": span.end, "read_at": told.asked_at.astimezone(INDIA)},
        "candles": [{**plain(one), "over": one.end <= told.asked_at} for one in aggregated(inside, grid)],
    }


def _span(begin: str, end: str, length: timedelta, exchange: str, now: datetime) -> _Span:
    days = length >= DAY
    until = _moment("to", end, now, ends=True)
    since = _moment("from", begin, _usual_start(exchange, until, days=days), ends=False)
    if since >= until:
        raise _wrong("from", f"is {since:%Y-%m-%d %H:%M}, which is not before to, {until:%Y-%m-%d %H:%M}")
    most = _MOST_DAYS[days]
    if until - since > timedelta(days=most):
        raise _wrong("from", f"is more than {most} days before to; ask for {_name(length)} in parts")
    return _Span(since, until)


def _usual_start(exchange: str, until: datetime, *, days: bool) -> datetime:
    # What ends with a day ends at the next midnight.
    day = (until - timedelta(microseconds=1)).date()
    if days:
        return datetime.combine(day - timedelta(days=_DAYS_SHOWN), _MIDNIGHT, INDIA)
    for back in range(10):
        known = market_hours().day(exchange, day - timedelta(days=back))
        begin = datetime.combine(day - timedelta(days=back), _MIDNIGHT, INDIA)
        opens = known.opens if known is not None else _MIDNIGHT
        if opens is not None and datetime.combine(begin.date(), opens, INDIA) < until:
            return begin
    return datetime.combine(day, _MIDNIGHT, INDIA)


def _moment(field: str, said: str, default: datetime, *, ends: bool) -> datetime:
    if not said:
        return default
    try:
        at = datetime.fromisoformat(said)
        # Years that every calendar and every wire can carry.
        if at.year not in _YEARS:
            raise ValueError
    except ValueError:
        words = f"is no day or time from {_YEARS[0]} to {_YEARS[-1]}; write 2026-11-27 or 2026-11-27T09:15"
        raise _wrong(field, words) from None
    at = at.replace(tzinfo=INDIA) if at.tzinfo is None else at.astimezone(INDIA)
    return at + DAY if ends and len(said) <= len("2026-11-27") else at


def _wrong(field: str, message: str) -> RequestValidationError:
    return RequestValidationError([{"loc": ("query", field), "msg": message}])


def _name(length: timedelta) -> str:
    return next(name for name, one in INTERVALS.items() if one == length)
