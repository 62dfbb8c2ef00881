"""OrderFeed alone: what the feed says becomes envelopes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from actors.addresses import Addresses
from actors.order_feed import OrderFeed
from core.messages import (
    Alert,
    FeedSession,
    FeedSessionLost,
    FeedState,
    FeedStatus,
    GetFeedState,
    Message,
    MoreTicks,
    OrderPushed,
    PushesMissed,
    TicksPushed,
    UnwatchPrices,
    WatchPrices,
)
from core.model.broker import BrokerOrderReport, BrokerStatus, BrokerTrade, Ticks
from core.model.instrument import Instrument as Listed
from core.noren import FeedDown, FeedValue, Instrument, ResyncNeeded
from core.runtime import Actor, Runtime, StepRuntime, VirtualClock

MIDNIGHT = datetime(2026, 11, 23, tzinfo=UTC)
REPORT = BrokerOrderReport(
    broker_order_id="1",
    client_tag=None,
    exchange="NSE",
    symbol="INFY-EQ",
    side=None,
    quantity=50,
    status=BrokerStatus.OPEN,
    raw_status="OPEN",
)
TRADE = BrokerTrade(
    broker_order_id="1",
    broker_trade_id="t1",
    client_tag=None,
    exchange="NSE",
    symbol="INFY-EQ",
    side=None,
    quantity=50,
    price=Decimal(1500),
    at=None,
)


class FakeFeed:
    """Keeps the tokens it was given, and says what the test wants."""

    def __init__(self, deliver: Callable[[FeedValue], object]) -> None:
        self.say = deliver
        self.heard_at: datetime | None = None
        self.tokens: list[str] = []
        self.stopped = False
        self.tried_again = 0
        self.watched: list[str] = []
        self.more = 0

    def watch(self, instruments: Iterable[Instrument]) -> None:
        self.watched += [one.key for one in instruments]

    def unwatch(self, instruments: Iterable[Instrument]) -> None:
        for one in instruments:
            self.watched.remove(one.key)

    def more_ticks(self) -> None:
        self.more += 1

    def start(self, token: str) -> None:
        self.tokens.append(token)

    def renew(self, token: str) -> None:
        self.tokens.append(token)

    def again(self) -> None:
        self.tried_again += 1

    def stop(self) -> None:
        self.stopped = True


class Told(Actor):
    def __init__(self, runtime: Runtime, name: str, *, kept: list[Message]) -> None:
        super().__init__(runtime, name)
        self._kept = kept

    def on_anything(self, message: OrderPushed | PushesMissed | Alert | TicksPushed) -> None:
        self._kept.append(message)

    def on_feed_state(self, _: FeedState) -> None:
        """Of no concern here."""


class Harness:
    def __init__(self, *, watcher: bool = True, on: bool = True, session: bool = True) -> None:
        self.told: list[Message] = []
        self.feeds: list[FakeFeed] = []
        self.clock = VirtualClock(MIDNIGHT)
        self.runtime = StepRuntime(self.clock)
        for name in ("notifier", "prices", "order_watcher") if watcher else ("notifier", "prices"):
            self.runtime.spawn(Told, name, kept=self.told)
        self.runtime.spawn(
            OrderFeed, "order_feed", addresses=Addresses.of(self.runtime), open_feed=self._open if on else None
        )
        if session:
            self.session("first")

    def _open(self, deliver: Callable[[FeedValue], object]) -> FakeFeed:
        self.feeds.append(FakeFeed(deliver))
        return self.feeds[-1]

    def session(self, token: str) -> None:
        self.runtime.tell("order_feed", FeedSession(token))
        self.runtime.run_until_idle()

    def state(self) -> Message:
        return self.runtime.ask(self.runtime.address("order_feed"), GetFeedState(), 1.0)

    def say(self, *values: FeedValue) -> list[Message]:
        before = len(self.told)
        for value in values:
            self.feeds[0].say(value)
        self.runtime.run_until_idle()
        return self.told[before:]


def test_e3_one_feed_is_started_and_renewed_with_each_session_and_stopped() -> None:
    harness = Harness()
    harness.session("second")
    assert [feed.tokens for feed in harness.feeds] == [["first", "second"]]
    harness.runtime.stop()
    assert harness.feeds[0].stopped


def test_a_trade_travels_with_the_report_it_follows() -> None:
    assert Harness().say(REPORT, TRADE) == [OrderPushed(REPORT), OrderPushed(REPORT, TRADE)]


def test_a_trade_without_its_report_is_a_reason_to_read_the_books() -> None:
    [missed] = Harness().say(TRADE)
    assert isinstance(missed, PushesMissed)


def test_e3_the_feed_going_down_is_alarmed_once_until_it_was_up_again() -> None:
    harness = Harness()
    down, up = FeedDown("no frame for 30 s"), ResyncNeeded("the push connection is up")
    told = harness.say(down, down, up, down)
    assert [type(message).__name__ for message in told].count("Alert") == 2
    assert sum(isinstance(message, PushesMissed) for message in told) == 4


def test_what_is_said_before_the_watcher_is_there_is_no_dead_letter() -> None:
    harness = Harness(watcher=False)
    assert harness.say(REPORT, ResyncNeeded("the push connection is up")) == []
    assert list(harness.runtime.dead_letters) == []


def test_law_11_a_sessions_token_is_in_no_trace() -> None:
    harness = Harness()
    assert all("first" not in record.text for record in harness.runtime.tracer.recent())


def test_how_the_feed_stands_is_told_with_the_time_it_began() -> None:
    harness = Harness(session=False)
    assert harness.state() == FeedState(FeedStatus.WAITING, MIDNIGHT, "no session yet", None)
    harness.session("first")
    assert harness.state() == FeedState(FeedStatus.WAITING, MIDNIGHT, "connecting", None)
    up, down = ResyncNeeded("the push connection is up"), FeedDown("no frame for 30 s")
    harness.clock.advance(5.0)
    harness.say(up)
    harness.feeds[0].heard_at = connected = MIDNIGHT + timedelta(seconds=5)
    harness.clock.advance(5.0)
    # Still connected, and since then.
    harness.say(up)
    assert harness.state() == FeedState(FeedStatus.CONNECTED, connected, "", connected)
    harness.clock.advance(5.0)
    harness.say(down)
    harness.clock.advance(5.0)
    harness.say(FeedDown("refused"))
    lost = MIDNIGHT + timedelta(seconds=15)
    assert harness.state() == FeedState(FeedStatus.DOWN, lost, "refused", connected)


def test_a_feed_that_is_switched_off_is_never_opened_and_says_so() -> None:
    harness = Harness(on=False)
    assert harness.feeds == []
    assert harness.state() == FeedState(FeedStatus.OFF, MIDNIGHT, "[broker] push_feed is false", None)


def test_t25_a_refused_push_login_is_tried_again_within_30_s_while_rest_accepts_the_token() -> None:
    harness = Harness()
    for _ in range(3):
        harness.say(FeedDown("the broker refused the push connection: Not_Ok", refused=True))
        before = harness.feeds[0].tried_again
        harness.runtime.advance(30.0)
        assert harness.feeds[0].tried_again == before + 1
    harness.say(ResyncNeeded("the push connection is up"))
    harness.runtime.advance(120.0)
    assert harness.feeds[0].tried_again == 3


def test_t25_a_refused_push_login_waits_for_a_session_that_is_lost() -> None:
    harness = Harness()
    harness.say(FeedDown("the broker refused the push connection: Not_Ok", refused=True))
    harness.runtime.tell("order_feed", FeedSessionLost())
    harness.runtime.advance(120.0)
    assert harness.feeds[0].tried_again == 0
    harness.session("second")
    assert harness.feeds[0].tokens == ["first", "second"]


def listed(token: str) -> Listed:
    return Listed(exchange="NSE", symbol=f"S{token}-EQ", token=token)


def test_prices_wanted_before_there_is_a_feed_are_subscribed_with_it() -> None:
    harness = Harness(session=False)
    harness.runtime.tell("order_feed", WatchPrices((listed("1"), listed("2"))))
    harness.runtime.tell("order_feed", UnwatchPrices((listed("1"),)))
    harness.session("first")
    harness.runtime.run_until_idle()
    assert harness.feeds[0].watched == ["NSE|2"]
    harness.runtime.tell("order_feed", WatchPrices((listed("3"),)))
    harness.runtime.tell("order_feed", UnwatchPrices((listed("2"),)))
    harness.runtime.run_until_idle()
    assert harness.feeds[0].watched == ["NSE|3"]


def test_prices_go_past_the_mailbox_of_order_updates() -> None:
    harness = Harness()
    harness.runtime.run_until_idle()
    harness.feeds[0].say(Ticks(()))
    assert harness.runtime.health()["order_feed"].depth == 0
    harness.runtime.run_until_idle()
    assert harness.told[-1] == TicksPushed(Ticks(()))
    harness.runtime.tell("order_feed", MoreTicks())
    harness.runtime.run_until_idle()
    assert harness.feeds[0].more == 1
