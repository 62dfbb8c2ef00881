"""The shipped settings and strategies that follow ten instruments: what the exchange sees of it (scenario G19)."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from actors.addresses import Addresses
from actors.strategy import Strategy
from actors.system import Outside, spawn_actors
from core.messages import BrokerUse, GetBrokerUse, GetReadiness, Readiness
from core.noren import Credentials, NorenClient, profile
from core.paper.adapter import InMemoryAdapter
from core.paper.config import AccountConfig, ExchangeConfig
from core.paper.exchange import Exchange
from core.runtime import Runtime, StepRuntime, VirtualClock
from core.settings import Settings, load_settings
from core.store import Store
from tests.factories import NOON

ROOT = Path(__file__).parents[2]
SHARES = ("INFY", "SBIN", "RELIANCE", "TCS", "ITC", "M&M", "HDFCBANK", "ICICIBANK", "LT", "AXISBANK")
ROUND_TRIP_S = 0.06
MINUTES = 10


class Follower(Strategy):
    """Follows ten instruments by quotes, as one does where there is no push feed; counts what comes."""

    def __init__(self, runtime: Runtime, name: str, *, addresses: Addresses, strategy: str, every_s: float) -> None:
        super().__init__(runtime, name, addresses=addresses, strategy=strategy)
        self._every_s = every_s

    def on_start(self) -> None:
        for share in SHARES:
            self.quotes("NSE", f"{share}-EQ", every_s=self._every_s)


def shipped(directory: Path, every_s: float) -> Settings:
    """The shipped settings, and three followers beside the shipped strategy."""
    follower = '\n[[strategies]]\nclass = "{}.Follower"\nname = "{}"\nevery_s = {}\n'
    followers = [follower.format(__name__, name, every_s) for name in ("first", "second", "third")]
    file = directory / "settings.toml"
    file.write_text((ROOT / "settings.toml").read_text(encoding="utf-8") + "".join(followers), encoding="utf-8")
    return load_settings(file, {"SIXSTEP_BROKER__PUSH_FEED": "false", "SIXSTEP_SERVICE__DATA_DIR": str(directory)})


class Day:
    """The real actors in virtual time, at a paper exchange that each call takes a moment to reach."""

    def __init__(self, directory: Path, every_s: float) -> None:
        self.settings = shipped(directory, every_s)
        self.clock = VirtualClock(NOON)
        self.exchange = Exchange(ExchangeConfig(accounts=(AccountConfig(uid="PAPER"),)), now=NOON)
        self.runtime = StepRuntime(self.clock)
        spawn_actors(
            self.runtime,
            self.settings,
            Outside(
                open_store=lambda: Store.open(f"sqlite:///{directory}/sixstep.db"),
                open_client=self._client,
            ),
        )

    def _client(self) -> NorenClient:
        adapter = InMemoryAdapter(self.exchange, self.clock, wait=self.clock.advance)
        send = adapter.send

        def takes_a_moment(*given: object, **named: object) -> object:
            self.clock.advance(ROUND_TRIP_S / 2)
            answer = send(*given, **named)  # type: ignore[arg-type]
            self.clock.advance(ROUND_TRIP_S / 2)
            return answer

        adapter.send = takes_a_moment  # type: ignore[method-assign, assignment]
        return NorenClient(
            profile("paper", host="http://paper/NorenWClientTP"),
            Credentials(user_id="PAPER", password="p", totp_secret="PAPERPAPERPAPERP", vendor_code="V", imei="i"),
            clock=self.clock,
            connect_timeout_s=3.0,
            read_timeout_s=5.0,
            adapter=adapter,
        )

    def requests(self, path: str) -> list[datetime]:
        return [datetime.fromisoformat(one["at"]) for one in self.exchange.requests() if path in ("", one["path"])]

    def oldest(self, path: str) -> float:
        """How old a book ever was, by the exchange's log: from one read of it to the next, or to the end."""
        times = [*self.requests(path), self.clock.now()]
        return max((later - earlier).total_seconds() for earlier, later in pairwise(times))


@pytest.mark.parametrize("every_s", [1.0, 60.0])
def test_g19_with_three_strategies_on_ten_instruments_no_book_is_ever_old(tmp_path: Path, every_s: float) -> None:
    day = Day(tmp_path, every_s)
    try:
        day.runtime.advance(5.0)
        readiness = day.runtime.ask(day.runtime.address("command_service"), GetReadiness(), 1.0)
        day.runtime.advance(60.0 * MINUTES - 5.0)
        use = day.runtime.ask(day.runtime.address("broker_proxy"), GetBrokerUse(), 1.0)
    finally:
        day.runtime.stop()
    assert len(day.exchange.snapshot(day.clock.now())["orders"]) == 2, "the shipped strategy traded meanwhile"  # type: ignore[arg-type]
    assert day.oldest("OrderBook") < 2.0
    assert day.oldest("PositionBook") < 6.0
    assert len(day.requests("GetQuotes")) > (15 if every_s < 33 else 9) * MINUTES
    _within_limits(day.requests(""), day.settings)
    assert isinstance(use, BrokerUse)
    assert isinstance(readiness, Readiness)
    assert readiness.ready
    # The ten instruments are asked for once for all three.
    # Said at the start, when the shipped strategy's orders leave less; and as it stays.
    short = every_s < 33
    assert ["10 quotes each every" in note for note in readiness.notes] == [True] * short
    assert use.slowed.endswith(f": 10 quotes each every 33 s instead of {every_s:g} s" if short else "")
    assert bool(use.slowed) == short


def _within_limits(times: list[datetime], settings: Settings) -> None:
    """No second and no minute, wherever it begins, and no calendar second has more calls than allowed."""
    limits = settings.limits
    for seconds, most in ((1, limits.broker_calls_per_s), (60, limits.broker_calls_per_min)):
        for first, later in zip(times, times[most:], strict=False):
            assert later - first >= timedelta(seconds=seconds)
    of_seconds = Counter(at.replace(microsecond=0) for at in times)
    assert max(of_seconds.values()) <= limits.broker_calls_per_s - limits.reserve_calls_for_exits
