"""The day's P&L over time, across restarts of the service."""

from __future__ import annotations

import asyncio
from collections import deque
from datetime import date, datetime
from decimal import Decimal

from core.messages import RecordPnl
from core.web.gateway import Gateway, Unanswered
from core.web.reading import Reading
from core.web.state import State

__all__ = ["PnlHistory"]

_EVERY_S = 5.0
_KEPT_EVERY_S = 60.0
_MOST = 8000  # eleven hours
_DRAWN = 360


class PnlHistory:
    """Asks the risk manager every five seconds; one point a minute goes into the database, for the next start.

    A new trading day begins anew.
    """

    def __init__(self, gateway: Gateway, state: State, reading: Reading, account: str) -> None:
        self._gateway = gateway
        self._state = state
        self._reading = reading
        self._account = account
        self._day: date | None = None
        self._points: deque[tuple[datetime, Decimal]] = deque(maxlen=_MOST)
        self._kept_at: float | None = None

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            await self.take()
            await asyncio.sleep(_EVERY_S)

    async def take(self) -> None:
        """Note the P&L of this moment, if it is known."""
        risk = await self._state.risk()
        if risk is None or not await self._on_day(risk.trading_day) or risk.pnl is None:
            return
        at, now = self._gateway.clock.now(), self._gateway.clock.monotonic()
        self._points.append((at, risk.pnl))
        if self._kept_at is None or now - self._kept_at >= _KEPT_EVERY_S:
            self._kept_at = now
            self._gateway.runtime.tell(self._gateway.order_repo.name, RecordPnl(risk.trading_day, at, risk.pnl))

    async def _on_day(self, day: date) -> bool:
        """Whether the points are those of `day`; a day that begins takes up what the database has of it."""
        if day == self._day:
            return True
        try:
            kept = await self._reading.record(lambda record: list(record.day_pnl(self._account, day)))
        except Unanswered:
            # Tried again with the next point: a chart without its morning would look like a quiet one.
            return False
        self._day = day
        self._points.clear()
        self._points.extend(kept)
        return True

    def points(self) -> list[tuple[datetime, Decimal]]:
        """Times and values to draw, thinned out, the last one always among them."""
        points = list(self._points)
        step = max(1, len(points) // _DRAWN)
        thinned = points[::step]
        if points and thinned[-1] != points[-1]:
            thinned.append(points[-1])
        return thinned
