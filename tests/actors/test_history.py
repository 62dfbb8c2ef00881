"""The broker's candles read beside the orders, in virtual time: counted, of the least worth, in nobody's way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from itertools import pairwise

import pytest

from actors.addresses import Addresses
from actors.history import History
from core.messages import HistoryRead, ReadHistory
from core.model.candle import Candle
from core.model.order import ExecutionType
from core.model.outcomes import ReadError, ReadFailure
from core.runtime import Actor, Runtime, StepRuntime, VirtualClock
from tests.actors.test_call_budget import _Service
from tests.factories import NOON, a_candle

CANDLE = a_candle(NOON)


class Asker(Actor):
    """Hears the answers."""

    def __init__(self, runtime: Runtime, name: str) -> None:
        super().__init__(runtime, name)
        self.read: list[HistoryRead] = []

    def on_history_read(self, message: HistoryRead) -> None:
        self.read.append(message)


class Broker:
    """Answers with one candle, or as `fails` says; `during` happens while a call is under way."""

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock
        self.calls: list[tuple[float, str, str]] = []
        self.token = ""
        self.fails: Exception | None = None
        self.during: Callable[[], None] = lambda: None

    def use_session(self, token: str) -> None:
        self.token = token

    def history_calls(self, *_: object) -> int:
        return 1

    def history(
        self, exchange: str, symbol: str, minutes: int | None, begin: datetime, end: datetime
    ) -> tuple[Candle, ...]:
        assert begin < end
        self.calls.append((self._clock.monotonic(), f"{exchange}:{symbol} {minutes}", self.token))
        self.during()
        if self.fails is not None:
            raise self.fails
        return (CANDLE,)


class House:
    """BrokerProxy and OrderWatcher at the shipped limits, and the reader of candles."""

    def __init__(self, runtime: StepRuntime) -> None:
        self.runtime = runtime
        self.service = _Service(runtime)
        self.broker = Broker(runtime.clock)
        self.opened = 0
        self.asker = Asker
        runtime.spawn(Asker, "asker")
        runtime.spawn(History, "history", addresses=Addresses.of(runtime), open_client=self._open)

    def _open(self) -> Broker:
        self.opened += 1
        return self.broker

    def ask(self, symbol: str = "INFY-EQ", minutes: int | None = 5) -> None:
        self.runtime.tell("history", ReadHistory("NSE", symbol, minutes, NOON - timedelta(days=1), NOON, "asker"))

    @property
    def read(self) -> list[HistoryRead]:
        asker = self.runtime._actors["asker"]
        assert isinstance(asker, Asker)
        return asker.read


@pytest.fixture
def house() -> Iterator[House]:
    runtime = StepRuntime(VirtualClock(NOON))
    yield House(runtime)
    runtime.stop()


def test_candles_are_read_with_the_session_of_the_orders(house: House) -> None:
    house.runtime.advance(1.0)
    assert house.opened == 0, "who wants no candles has no second connection"
    house.ask()
    house.ask()
    house.runtime.advance(0.5)
    assert [(told, token) for _, told, token in house.broker.calls] == [("NSE:INFY-EQ 5", "token")], "one for both"
    assert [(read.candles, read.problem) for read in house.read] == [((CANDLE,), None)] * 2


def test_g18_candles_come_apart_and_slow_no_book_down(house: House) -> None:
    house.runtime.advance(10.0)
    began = house.runtime.clock.monotonic()
    for number in range(40):
        house.ask(f"SHARE{number}-EQ")
    house.runtime.advance(59.0)
    moments = [at for at, _, _ in house.broker.calls]
    # 120 calls, of which 30 are kept for exits and 72 are for the books: of the 18 that are left they have a half.
    assert len(moments) == 9
    assert min(later - earlier for earlier, later in pairwise(moments)) == pytest.approx(1.0, abs=0.05)
    now = house.runtime.clock.monotonic()
    assert house.service.client.longest_gap("order book", now) < 2.0
    assert len(house.service.client.times("order book", began)) >= 45


def test_g18_an_order_goes_while_candles_are_waited_for_and_the_call_counts_all_the_while(house: House) -> None:
    """The answer takes 5 s: BrokerProxy meanwhile serves orders, with one call of each second less."""
    house.runtime.advance(70.0)
    seen: list[int] = []

    def meanwhile() -> None:
        limiter = house.service.limiter
        for second in range(5):
            last_second, _ = limiter.used(house.runtime.clock.monotonic() + second)
            seen.append(last_second)

    house.broker.during = meanwhile
    house.ask()
    house.runtime.advance(0.2)
    assert min(seen) >= 1, "in each second that it takes it is counted"
    house.service.place(ExecutionType.EXIT, 1, 30.0)
    house.runtime.advance(0.2)
    assert len(house.service.client.times("EXIT")) == 1


def test_without_a_session_there_are_no_candles_and_it_is_said_why(house: House) -> None:
    house.ask()
    house.runtime.run_until_idle()
    assert house.broker.calls == []
    assert [read.problem for read in house.read] == ["not logged in yet"]


def test_what_the_broker_refuses_is_told_and_the_next_is_read(house: House) -> None:
    house.runtime.advance(1.0)
    house.broker.fails = ReadError(ReadFailure.UNREACHABLE, "Server Timeout :  ")
    house.ask()
    house.runtime.advance(1.0)
    house.broker.fails = None
    house.ask("SBIN-EQ", None)
    house.runtime.advance(5.0)
    assert [(read.symbol, read.problem) for read in house.read] == [
        ("INFY-EQ", "Server Timeout :  "),
        ("SBIN-EQ", None),
    ]


def test_an_error_of_ours_is_answered_and_its_call_given_back(house: House) -> None:
    house.runtime.advance(1.0)
    house.broker.fails = RuntimeError("planted")
    house.ask()
    house.runtime.advance(1.0)
    house.broker.fails = None
    house.ask("SBIN-EQ")
    house.runtime.advance(5.0)
    assert [read.problem for read in house.read] == ["an error in Sixstep during the call", None]
    assert house.service.limiter.used(house.runtime.clock.monotonic() + 2.0)[0] == 0


def test_more_than_a_hundred_requests_are_refused_at_once(house: House) -> None:
    house.runtime.advance(1.0)
    for number in range(105):
        house.ask(f"SHARE{number}-EQ")
    house.runtime.run_until_idle()
    refused = [read for read in house.read if read.problem is not None]
    assert {read.problem for read in refused} == {"100 requests for candles wait already"}
    assert len(refused) in (4, 5)
