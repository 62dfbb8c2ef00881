"""The chart's points: taken in, kept sparingly, and there again after a restart."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from core.runtime import VirtualClock
from core.web.pages.pnl import PnlHistory
from core.web.reading import Reading
from core.web.state import Shared, State
from tests.web.harness import NOON, PATIENCE_S, WebHarness


class Web:
    """One run of the web application, as far as the chart is concerned."""

    def __init__(self, harness: WebHarness, clock: VirtualClock) -> None:
        self._house = harness
        self._clock = clock
        self._gateway = replace(harness.gateway, clock=clock)
        self._reading = Reading(self._gateway.open_record)
        state = State(self._gateway, self._reading, Shared(clock.monotonic))
        self._history = PnlHistory(self._gateway, state, self._reading, "ACC1")

    def take(self, *pnl: int, pause_s: float) -> None:
        """Take each value, and let so many seconds pass after it."""

        async def each() -> None:
            for value in pnl:
                self._house.actor("state").pnl = Decimal(value)
                await self._history.take()
                self._clock.advance(pause_s)

        asyncio.run(each())
        assert self._house.runtime.wait_idle(PATIENCE_S)

    def drawn(self) -> list[tuple[float, int]]:
        """Seconds since noon, and the P&L."""
        return [((at - NOON).total_seconds(), int(pnl)) for at, pnl in self._history.points()]

    def close(self) -> None:
        self._reading.close()


@contextmanager
def running(harness: WebHarness, clock: VirtualClock) -> Iterator[Web]:
    web = Web(harness, clock)
    yield web
    web.close()


def test_one_point_a_minute_goes_into_the_record(harness: WebHarness) -> None:
    with running(harness, VirtualClock(NOON)) as web:
        web.take(*range(1, 26), pause_s=5.0)
        assert web.drawn() == [(5.0 * number, number + 1) for number in range(25)]
    assert harness.rows.pnl == [
        (NOON, Decimal(1)),
        (NOON + timedelta(seconds=60), Decimal(13)),
        (NOON + timedelta(seconds=120), Decimal(25)),
    ]


def test_d9_a_restart_goes_on_with_the_days_points(harness: WebHarness) -> None:
    clock = VirtualClock(NOON)
    with running(harness, clock) as web:
        web.take(-100, -200, pause_s=60.0)
    with running(harness, clock) as again:
        again.take(-300, pause_s=60.0)
        assert again.drawn() == [(0.0, -100), (60.0, -200), (120.0, -300)]


def test_a_new_trading_day_begins_anew(harness: WebHarness) -> None:
    with running(harness, VirtualClock(NOON)) as web:
        web.take(-100, pause_s=60.0)
        harness.actor("state").day += timedelta(days=1)
        web.take(-5, pause_s=60.0)
        assert web.drawn() == [(60.0, -5)]


def test_a_record_that_cannot_be_read_at_the_start_is_read_later(harness: WebHarness) -> None:
    harness.rows.pnl.append((NOON, Decimal(-100)))
    with running(harness, VirtualClock(NOON)) as web:
        harness.rows.unreadable = True
        web.take(-200, pause_s=60.0)
        assert web.drawn() == []
        harness.rows.unreadable = False
        web.take(-300, pause_s=60.0)
        assert web.drawn() == [(0.0, -100), (60.0, -300)]
