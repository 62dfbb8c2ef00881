"""The broker's candles, over real HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from core.model.calendar import INDIA
from core.model.candle import Candle
from core.model.outcomes import ReadError, ReadFailure
from core.noren import HistoryClient, profile
from core.runtime.clock import VirtualClock
from tests.noren.conftest import CREDENTIALS, TOKEN
from tests.noren.scripted import ScriptedServer, reply
from tests.noren.test_noren_reads import FOUND, NO_DATA

BEGIN = datetime(2026, 9, 1, 9, 15, tzinfo=INDIA)
END = datetime(2026, 9, 1, 9, 25, tzinfo=INDIA)
MINUTES = {
    "stat": "Ok",
    "time": "01-09-2026 09:20:00",
    "ssboe": "1788234600",
    "into": "1285.00",
    "inth": "1290.50",
    "intl": "1284.00",
    "intc": "1286.00",
    "intvwap": "1287.1",
    "intv": "1200",
    "intoi": "0",
    "v": "55000",
    "oi": "0",
}
DAY = {
    "time": "01-SEP-2026",
    "into": "1285.00",
    "inth": "1311.80",
    "intl": "1280.00",
    "intc": "1309.00",
    "ssboe": "1788220800",
    "intv": "12617528.00",
}


@pytest.fixture
def client(server: ScriptedServer, clock: VirtualClock) -> Iterator[HistoryClient]:
    """Goes on with a session that another client began; no call was made."""
    client = HistoryClient(
        profile("paper", host=server.url), CREDENTIALS, clock=clock, connect_timeout_s=5, read_timeout_s=8
    )
    client.use_session(TOKEN)
    yield client
    client.close()


def read(client: HistoryClient, minutes: int | None = 5) -> tuple[Candle, ...]:
    return client.history("NSE", "INFY-EQ", minutes, BEGIN, END)


def test_minutes_are_asked_by_token_and_come_oldest_first(client: HistoryClient, server: ScriptedServer) -> None:
    older = {**MINUTES, "time": "01-09-2026 09:15:00"}
    server.will(reply(FOUND), reply([MINUTES, older]))

    assert client.history_calls("NSE", "INFY-EQ", 5) == 2
    first, second = read(client)

    assert client.history_calls("NSE", "INFY-EQ", 5) == 1
    assert (first.begin, second.begin) == (BEGIN, BEGIN + timedelta(minutes=5))
    assert (second.end, second.open, second.high, second.low, second.close, second.volume) == (
        END,
        Decimal("1285.00"),
        Decimal("1290.50"),
        Decimal("1284.00"),
        Decimal("1286.00"),
        1200,
    )
    assert server.paths() == ["SearchScrip", "TPSeries"]
    assert f"jKey={TOKEN}" in server.received[1].parts
    asked = server.received[1].values
    assert (asked["token"], asked["st"], asked["et"], asked["intrv"]) == ("1594", "1788234300", "1788234900", "5")


def test_days_are_asked_by_symbol_and_each_row_is_a_text(client: HistoryClient, server: ScriptedServer) -> None:
    server.will(reply([json.dumps(DAY), json.dumps({**DAY, "time": "31-AUG-2026"})]))

    assert client.history_calls("NSE", "M&M-EQ", None) == 1
    days = client.history("NSE", "M&M-EQ", None, BEGIN, END)

    assert [f"{day.begin:%Y-%m-%d %H:%M}" for day in days] == ["2026-08-31 00:00", "2026-09-01 00:00"]
    assert (days[1].close, days[1].volume) == (Decimal("1309.00"), 12_617_528)
    assert server.paths() == ["EODChartData"]
    assert server.received[0].decoded("sym") == "NSE:M&M-EQ"


def test_a_row_without_a_time_goes_by_its_epoch(client: HistoryClient, server: ScriptedServer) -> None:
    server.will(reply(FOUND), reply([{**MINUTES, "time": " "}]), reply([{**DAY, "time": ""}]))

    assert read(client)[0].begin == BEGIN + timedelta(minutes=5)
    assert f"{read(client, None)[0].begin:%Y-%m-%d}" == "2026-09-01"


def test_nothing_traded_is_no_candle_and_no_data_is_none(client: HistoryClient, server: ScriptedServer) -> None:
    zero = {**MINUTES, "into": "0.00", "inth": "0.00", "intl": "0.00", "intc": "0.00", "intv": "0"}
    server.will(reply(FOUND), reply([MINUTES, zero]), reply(NO_DATA))

    assert len(read(client)) == 1
    assert read(client) == ()


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({**MINUTES, "inth": "x"}, "row 1: inth is not a number"),
        ({**MINUTES, "intl": " "}, "row 1: intl is missing"),
        ({**MINUTES, "intl": "1285.50"}, "row 1: prices contradict each other: into/inth/intl/intc"),
        ({**MINUTES, "into": "0"}, "prices contradict each other"),
        ({**MINUTES, "intv": "-5"}, "intv is negative: -5"),
        ({**MINUTES, "intv": "5.5"}, "intv is not a whole number"),
        ({**MINUTES, "time": "soon"}, "time is none: 'soon'"),
        ({**MINUTES, "time": "", "ssboe": "9" * 30}, "neither time nor ssboe tells when"),
        ("{", "row 1: it is not JSON"),
        (5, "row 1: it is not an object"),
    ],
)
def test_one_row_that_cannot_be_read_spoils_the_answer(
    client: HistoryClient, server: ScriptedServer, row: Any, words: str
) -> None:
    server.will(reply(FOUND), reply([MINUTES, row]))

    with pytest.raises(ReadError, match=words) as caught:
        read(client)

    assert caught.value.failure is ReadFailure.UNREADABLE


@pytest.mark.parametrize(
    ("answer", "failure"),
    [
        ({"stat": "Not_Ok", "emsg": "Session Expired :  Invalid Session Key"}, ReadFailure.SESSION_EXPIRED),
        ({"stat": "Not_Ok", "emsg": "Server Timeout :  "}, ReadFailure.UNREACHABLE),
    ],
)
def test_a_refusal_is_told_by_what_it_means(
    client: HistoryClient, server: ScriptedServer, answer: dict[str, str], failure: ReadFailure
) -> None:
    server.will(reply(FOUND), reply(answer))

    with pytest.raises(ReadError) as caught:
        read(client)

    assert caught.value.failure is failure
