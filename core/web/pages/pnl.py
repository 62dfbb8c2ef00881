"""The day's P&L over time, as far as this process has seen it."""

from __future__ import annotations

import asyncio
from collections import deque
from datetime import date, datetime
from decimal import Decimal

from core.runtime.clock import Clock
from core.web.state import State

__all__ = ["PnlHistory"]

_EVERY_S = 5.0
_MOST = 8000  # eleven hours
_DRAWN = 360


class PnlHistory:
    """Asks the risk manager every five seconds. A new trading day begins anew; a restart forgets."""

    def __init__(self, clock: Clock, state: State) -> None:
        self._clock = clock
        self._state = state
        self._day: date | None = None
        self._points: deque[tuple[datetime, Decimal]] = deque(maxlen=_MOST)

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            await self.take()
            await asyncio.sleep(_EVERY_S)

    async def take(self) -> None:
        """Note the P&L of this moment, if it is known."""
        risk = await self._state.risk()
        if risk is None:
            return
        if risk.trading_day != self._day:
            self._day = risk.trading_day
            self._points.clear()
        if risk.pnl is not None:
            self._points.append((self._clock.now(), risk.pnl))

    def points(self) -> list[tuple[datetime, Decimal]]:
        """Times and values to draw, thinned out, the last one always among them."""
        points = list(self._points)
        step = max(1, len(points) // _DRAWN)
        thinned = points[::step]
        if points and thinned[-1] != points[-1]:
            thinned.append(points[-1])
        return thinned
