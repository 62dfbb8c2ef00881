"""TPSeries and EODChartData: within sessions, and in accord with every price that was told or traded."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from core.paper.times import IST
from tests.paper.test_paper_prices import CALL, FUTURE, INFY, prices
from tests.paper.world import START, World

INFY_NOW = {"exch": "NSE", "token": "1594"}


def walking(now: datetime = START, **config: Any) -> World:
    return World(now=now, price_source="walk", **config)


def series(world: World, minutes: int = 1, **fields: str) -> list[dict[str, str]]:
    """The candles, oldest first."""
    rows: list[dict[str, str]] = world.call("TPSeries", **{**INFY_NOW, "intrv": str(minutes), **fields})
    return rows[::-1]


def days(world: World, sym: str = "NSE:INFY-EQ", back: int = 7) -> list[dict[str, str]]:
    begin = (world.now - timedelta(days=back)).timestamp()
    rows = world.call("EODChartData", sym=sym, **{"from": str(begin), "to": str(world.now.timestamp())})
    return [json.loads(row) for row in rows][::-1]


def option_token(world: World) -> str:
    found: str = world.call("SearchScrip", exch="NFO", stext="NIFTY 09NOV26 26000 CE")["values"][0]["token"]
    return found


@pytest.mark.parametrize("kind", ["share", "option"])
def test_p4_a_minute_holds_every_price_that_was_told_in_it(kind: str) -> None:
    world = walking()
    which = INFY_NOW if kind == "share" else {"exch": "NFO", "token": option_token(world)}
    told = []
    for _ in range(60):
        told.append(Decimal(world.call("GetQuotes", **which)["lp"]))
        world.wait(1.0)
    minute = next(row for row in series(world, 1, **which) if row["time"] == "03-11-2026 10:00:00")
    assert (Decimal(minute["into"]), Decimal(minute["intc"])) == (told[0], told[-1])
    assert (Decimal(minute["inth"]), Decimal(minute["intl"])) == (max(told), min(told))
    assert len(set(told)) > 5


def test_p4_candles_lie_within_the_session_and_begin_with_it() -> None:
    world = walking(datetime(2026, 11, 3, 16, 5, tzinfo=IST))
    assert [row["time"][11:16] for row in series(world, 60)] == [
        *("09:15", "10:15", "11:15", "12:15", "13:15", "14:15", "15:15")
    ]
    assert len(series(world)) == 375
    since = str(datetime(2026, 10, 30, 15, 29, tzinfo=IST).timestamp())
    assert [row["time"] for row in series(world, st=since)][:2] == ["30-10-2026 15:29:00", "02-11-2026 09:15:00"]


def test_p4_a_series_that_is_cut_keeps_whole_candles() -> None:
    rows = series(walking(), 5, st="1")
    assert len(rows) == 1000
    assert {row["time"][17:] for row in rows} == {"00"}


def test_p4_the_volume_of_the_candles_is_that_of_the_day() -> None:
    world = walking(START + timedelta(seconds=20))
    rows = series(world)
    assert len({row["intv"] for row in rows}) > 10
    volume = world.call("GetQuotes", **INFY_NOW)["v"]
    assert sum(int(row["intv"]) for row in rows) == int(volume) == int(rows[-1]["v"])
    assert {row["intv"] for row in series(world, token="26000")} == {"0"}


def test_p4_days_are_over_stamped_with_midnight_of_utc_and_end_at_the_close_of_quotes() -> None:
    world = walking()
    assert [row["time"] for row in days(world)] == [
        *("27-OCT-2026", "28-OCT-2026", "29-OCT-2026", "30-OCT-2026", "02-NOV-2026")
    ]
    last = days(world)[-1]
    assert int(last["ssboe"]) % 86_400 == 0
    assert last["intv"].endswith(".00")
    assert last["intc"] == world.call("GetQuotes", **INFY_NOW)["c"]
    evening = walking(datetime(2026, 11, 3, 15, 30, tzinfo=IST))
    assert days(evening)[-1]["time"] == "03-NOV-2026"
    assert days(evening)[-1]["intc"] == series(evening)[-1]["intc"]


def test_p4_an_index_has_days_under_its_display_name() -> None:
    world = walking()
    assert days(world, "NSE:Nifty 50") == days(world, "NSE:NIFTY INDEX") != []


def test_a_trade_made_here_lies_within_its_candle() -> None:
    world = walking(START + timedelta(seconds=30))
    last = Decimal(world.call("GetQuotes", **INFY_NOW)["lp"])
    number = world.place(prc=str(last + 5), qty="1")
    world.wait(1.0)
    (trade,) = [row for row in world.call("TradeBook", actid="U1") if row["norenordno"] == number]
    row = series(world)[-1]
    assert Decimal(row["intl"]) <= Decimal(trade["flprc"]) <= Decimal(row["inth"])
    assert Decimal(trade["flprc"]) != last


def test_a_price_that_is_set_changes_no_candle_before_it() -> None:
    """Nobody asked for them before: a twin tells what they were."""
    world, twin = walking(), walking()
    world.set_price("1600.00")
    world.wait(60.0)
    after, before = series(world), series(twin)
    assert after[: len(before)] == before
    assert after[len(before)]["into"] == "1600.00"
    assert [{**row, "intc": ""} for row in days(world)] == [{**row, "intc": ""} for row in days(twin)]


def test_the_same_seed_tells_the_same_candles_and_another_one_others() -> None:
    assert series(walking()) == series(walking())
    assert series(walking()) != series(walking(seed=2))


@pytest.mark.parametrize("contract", [INFY, CALL, FUTURE])
def test_figures_of_many_steps_are_those_of_each(contract: Any) -> None:
    walk = prices()
    walk.set_price(INFY, walk.last(INFY, 500) + 9, 500)
    walk.set_price(contract, walk.last(contract, 900) + 4, 900)
    walk.hold(contract, True, 1500)
    for first in (-90_000, -60, 480, 880, 1480, 5000):
        steps = range(first, first + 60)
        each = [walk._last(contract, step) for step in steps]
        assert walk.figures(contract, steps) == (each[0], max(each), min(each), each[-1])


def test_what_was_set_before_is_known_after_a_restart() -> None:
    walk, again = prices(), prices()
    walk.set_price(INFY, Decimal("1600.00"), 100)
    walk.hold(CALL, True, 200)
    again.restore(json.loads(json.dumps(walk.decided())), walk.closes(), relists=False)
    assert again.memory() == walk.memory()
    for contract in (INFY, CALL):
        steps = range(0, 400, 20)
        assert [again._last(contract, step) for step in steps] == [walk._last(contract, step) for step in steps]
