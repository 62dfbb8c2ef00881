"""Candles through the whole service: the exchange's history, a strategy, the API and the command line."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
import requests

from actors.strategies.opening_range import OpeningRange
from core.model.calendar import INDIA
from core.runtime import SystemClock
from core.settings import Settings
from core.settings.models import StrategySettings
from tests.support import wait_until
from tests.support_process import run_py
from tests.support_service import Running, SettableClock, running


def _monday() -> date:
    """The next one."""
    today = SystemClock().now().astimezone(INDIA).date()
    return today + timedelta(days=7 - today.weekday())


def _with_example(settings: Settings) -> Settings:
    entry = StrategySettings(class_path=f"{OpeningRange.__module__}.OpeningRange", name="orb")
    return settings.model_copy(update={"strategies": (*settings.strategies, entry)})


@pytest.fixture
def house(tmp_path: Path, engine: str) -> Iterator[Running]:  # noqa: ARG001 - chooses the database
    """The example strategy on paper at 10:00 of a Monday, whatever the hour of this machine; prices stand still."""
    clock = SettableClock()
    clock.step(datetime.combine(_monday(), time(10), INDIA) - SystemClock().now())
    with running(
        tmp_path,
        clock=clock,
        settings=_with_example,
        SIXSTEP_INSTRUMENTS__EXCHANGES="NSE",
        SIXSTEP_PAPER__DAY_ROLL_TIME="06:00",
        SIXSTEP_PAPER__TOKEN_EXPIRY_TIME="05:30",
        SIXSTEP_SERVICE__DAY_STARTS_AT="06:00",
        SIXSTEP_PRICES__SILENCE_S="600",
        # The exchange reckons candles of days before today when they are asked for.
        SIXSTEP_BROKER__READ_TIMEOUT_S="8",
    ) as service:
        yield service


def test_the_opening_range_example_trades_on_paper(house: Running) -> None:
    """It starts after the range: the broker's history has it, and pushed prices break it."""
    # It looks at each tick, and not while its order is on the way. So near that an order priced before fills too.
    above, below = itertools.cycle(("1519", "1519.10")), itertools.cycle(("1518", "1517.90"))

    def is_in() -> bool:
        house.set_price(next(above))
        return house.guard_lines() == [("orb", "INFY-EQ", 10, 0)]

    def is_out() -> bool:
        house.set_price(next(below))
        return [row["status"] for row in house.rows()] == ["EXECUTED", "EXECUTED"]

    wait_until(is_in)
    wait_until(is_out)
    assert [row["execution_type"] for row in house.rows()] == ["EXIT", "ENTRY"]


def test_candles_are_told_by_the_api_and_the_command_line(house: Running) -> None:
    assert house.service.web is not None
    url = f"{house.service.web.url}/api/candles"
    found = requests.get(url, params={"symbol": "INFY", "interval": "15m"}, timeout=30).json()["candles"]
    assert [one["begin"][11:16] for one in found[:3]] == ["09:15", "09:30", "09:45"]
    assert {Decimal(one["close"]) for one in found} == {Decimal("1518.60")}
    assert all(one["volume"] > 0 and one["gap_before"] == 0 for one in found)
    week = {"symbol": "INFY", "interval": "1d", "from": f"{_monday() - timedelta(days=7)}"}
    days = requests.get(url, params=week, timeout=30).json()["candles"]
    # The exchange knows no holidays.
    assert [datetime.fromisoformat(one["begin"]).strftime("%a") for one in days] == ["Mon", "Tue", "Wed", "Thu", "Fri"]
    environ = {"SIXSTEP_WEB__PORT": str(house.service.web.port)}
    done = run_py("candles", "INFY", "--interval", "15m", environ=environ)
    assert done.returncode == 0, done.stderr
    assert [line.split()[1] for line in done.stdout.splitlines()[1:4]] == ["09:15", "09:30", "09:45"]
    wrong = run_py("candles", "NOSUCHTHING", environ=environ)
    assert wrong.returncode == 1
    assert "there is no instrument NOSUCHTHING" in wrong.stderr
