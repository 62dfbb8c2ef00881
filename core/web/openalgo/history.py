"""Candles of the broker, as OpenAlgo shows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from starlette.responses import Response

from core.instruments.hours import market_hours
from core.messages import HistoryRead, ReadHistory
from core.model.calendar import INDIA
from core.model.candle import Candle
from core.rules.candles import DAY, INTERVALS, Grid, aggregated, history_minutes, sessions
from core.web.gateway import Gateway
from core.web.openalgo.answers import Answer, Refused, data
from core.web.openalgo.symbols import Names

__all__ = ["LENGTHS", "History"]

_BROKER_S = 20.0
_MOST_DAYS = {False: 31, True: 3660}

LENGTHS: Mapping[str, timedelta] = {
    **{name: length for name, length in INTERVALS.items() if name[-1] in "mh"},
    "D": DAY,
}
"""What the broker has candles of, by OpenAlgo's names."""


class History:
    """Answers the broker's candles.

    Args:
        gateway: The service.
        names: OpenAlgo's names.
    """

    def __init__(self, gateway: Gateway, names: Names) -> None:
        self._gateway = gateway
        self._names = names

    async def intervals(self, _: Mapping[str, Any]) -> Answer:
        """The lengths of candles there are."""
        units = {"minutes": "m", "hours": "h", "days": "D"}
        told = {unit: [name for name in LENGTHS if name[-1] == letter] for unit, letter in units.items()}
        return data({"months": [], "weeks": [], **told, "seconds": []})

    async def history(self, values: Mapping[str, Any]) -> Answer:
        """Candles from the first day to the last, oldest first; the last one may still grow."""
        days = LENGTHS[values["interval"]] >= DAY
        return data([_told(one, days=days) for one in await self._candles(values)])

    async def ticker(self, values: Mapping[str, Any]) -> Answer | Response:
        """The same for AmiBroker: one line a candle, `NSE:INFY,2026-11-27,09:15:00,open,high,low,close,volume`."""
        wanted = {**values, "start_date": values["from"], "end_date": values["to"]}
        if values["format"] != "txt":
            return await self.history(wanted)
        found = await self._candles(wanted)
        stamp = "%Y-%m-%d" if LENGTHS[values["interval"]] >= DAY else "%Y-%m-%d,%H:%M:%S"
        name = f"{values['exchange']}:{values['symbol']}"
        lines = (
            f"{name},{one.begin.astimezone(INDIA):{stamp}},{one.open},{one.high},{one.low},{one.close},{one.volume}"
            for one in found
        )
        return Response("\n".join(lines), media_type="text/plain")

    async def _candles(self, values: Mapping[str, Any]) -> Sequence[Candle]:
        length = LENGTHS[values["interval"]]
        first, last = values["start_date"], values["end_date"]
        most = _MOST_DAYS[length >= DAY]
        if not 0 <= (last - first).days < most:
            message = f"Must not be before start_date, nor {most} days or more after it; ask in parts."
            raise Refused({"end_date": [message]})
        exchange, name = str(values["exchange"]), str(values["symbol"])
        place = await self._names.place(exchange, name)
        begin, end = _midnight(first), _midnight(last + DAY)
        minutes = history_minutes(length)
        told = await self._gateway.ask(
            self._gateway.history, lambda box: ReadHistory(*place, minutes, begin, end, box), _BROKER_S
        )
        if not isinstance(told, HistoryRead) or told.problem is not None:
            why = getattr(told, "problem", "nobody gave an answer")
            raise Refused(f"there are no candles of {name} now: {why}", 503)
        grid = Grid(length, sessions(market_hours(), place[0]))
        inside = [candle for candle in told.candles if begin <= candle.begin < end]
        return tuple(aggregated(inside, grid))


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(0), INDIA)


def _told(one: Candle, *, days: bool) -> dict[str, Any]:
    at = one.begin.astimezone(INDIA)
    # The clients read a day's time as UTC, and others as a moment.
    moment = datetime.combine(at.date(), time(0), UTC) if days else at
    prices = {name: getattr(one, name) for name in ("open", "high", "low", "close", "volume")}
    return {"timestamp": int(moment.timestamp()), **prices, "oi": None}
