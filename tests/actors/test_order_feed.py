"""OrderFeed alone: what the feed says becomes letters."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from actors.cast import Cast
from actors.order_feed import OrderFeed
from core.messages import (
    Alert,
    FeedSession,
    FeedSessionLost,
    FeedStanding,
    FeedState,
    FeedStateWanted,
    Message,
    OrderPushed,
    PushesMissed,
)
from core.noren import FeedDown, FeedValue, ResyncWanted
from core.reports import BrokerOrderReport, BrokerStatus, BrokerTrade
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

    def on_anything(self, message: OrderPushed | PushesMissed | Alert) -> None:
        self._kept.append(message)


class Stage:
    def __init__(self, *, watcher: bool = True, on: bool = True, session: bool = True) -> None:
        self.told: list[Message] = []
        self.feeds: list[FakeFeed] = []
        self.clock = VirtualClock(MIDNIGHT)
        self.runtime = StepRuntime(self.clock)
        for name in ("notifier", "order_watcher") if watcher else ("notifier",):
            self.runtime.spawn(Told, name, kept=self.told)
        self.runtime.spawn(OrderFeed, "order_feed", cast=Cast.of(self.runtime), open_feed=self._open if on else None)
        if session:
            self.session("first")

    def _open(self, deliver: Callable[[FeedValue], object]) -> FakeFeed:
        self.feeds.append(FakeFeed(deliver))
        return self.feeds[-1]

    def session(self, token: str) -> None:
        self.runtime.tell("order_feed", FeedSession(token))
        self.runtime.run_until_idle()

    def state(self) -> Message:
        return self.runtime.ask(self.runtime.address("order_feed"), FeedStateWanted(), 1.0)

    def say(self, *values: FeedValue) -> list[Message]:
        before = len(self.told)
        for value in values:
            self.feeds[0].say(value)
        self.runtime.run_until_idle()
        return self.told[before:]


def test_e3_one_feed_is_started_and_renewed_with_each_session_and_stopped() -> None:
    stage = Stage()
    stage.session("second")
    assert [feed.tokens for feed in stage.feeds] == [["first", "second"]]
    stage.runtime.stop()
    assert stage.feeds[0].stopped


def test_a_trade_travels_with_the_report_it_follows() -> None:
    assert Stage().say(REPORT, TRADE) == [OrderPushed(REPORT), OrderPushed(REPORT, TRADE)]


def test_a_trade_without_its_report_is_a_reason_to_read_the_books() -> None:
    [missed] = Stage().say(TRADE)
    assert isinstance(missed, PushesMissed)


def test_e3_the_feed_going_down_is_alarmed_once_until_it_was_up_again() -> None:
    stage = Stage()
    down, up = FeedDown("no frame for 30 s"), ResyncWanted("the push connection is up")
    told = stage.say(down, down, up, down)
    assert [type(message).__name__ for message in told].count("Alert") == 2
    assert sum(isinstance(message, PushesMissed) for message in told) == 4


def test_what_is_said_before_the_watcher_is_there_is_no_dead_letter() -> None:
    stage = Stage(watcher=False)
    assert stage.say(REPORT, ResyncWanted("the push connection is up")) == []
    assert list(stage.runtime.dead_letters) == []


def test_law_11_a_sessions_token_is_in_no_trace() -> None:
    stage = Stage()
    assert all("first" not in record.text for record in stage.runtime.tracer.recent())


def test_how_the_feed_stands_is_told_with_the_time_it_began() -> None:
    stage = Stage(session=False)
    assert stage.state() == FeedState(FeedStanding.WAITING, MIDNIGHT, "no session yet", None)
    stage.session("first")
    assert stage.state() == FeedState(FeedStanding.WAITING, MIDNIGHT, "connecting", None)
    up, down = ResyncWanted("the push connection is up"), FeedDown("no frame for 30 s")
    stage.clock.advance(5.0)
    stage.say(up)
    stage.feeds[0].heard_at = connected = MIDNIGHT + timedelta(seconds=5)
    stage.clock.advance(5.0)
    # Still connected, and since then.
    stage.say(up)
    assert stage.state() == FeedState(FeedStanding.CONNECTED, connected, "", connected)
    stage.clock.advance(5.0)
    stage.say(down)
    stage.clock.advance(5.0)
    stage.say(FeedDown("refused"))
    lost = MIDNIGHT + timedelta(seconds=15)
    assert stage.state() == FeedState(FeedStanding.DOWN, lost, "refused", connected)


def test_a_feed_that_is_switched_off_is_never_opened_and_says_so() -> None:
    stage = Stage(on=False)
    assert stage.feeds == []
    assert stage.state() == FeedState(FeedStanding.OFF, MIDNIGHT, "[broker] push_feed is false", None)


def test_t25_a_refused_push_login_is_tried_again_within_30_s_while_rest_accepts_the_token() -> None:
    stage = Stage()
    for _ in range(3):
        stage.say(FeedDown("the broker refused the push connection: Not_Ok", refused=True))
        before = stage.feeds[0].tried_again
        stage.runtime.advance(30.0)
        assert stage.feeds[0].tried_again == before + 1
    stage.say(ResyncWanted("the push connection is up"))
    stage.runtime.advance(120.0)
    assert stage.feeds[0].tried_again == 3


def test_t25_a_refused_push_login_waits_for_a_session_that_is_lost() -> None:
    stage = Stage()
    stage.say(FeedDown("the broker refused the push connection: Not_Ok", refused=True))
    stage.runtime.tell("order_feed", FeedSessionLost())
    stage.runtime.advance(120.0)
    assert stage.feeds[0].tried_again == 0
    stage.session("second")
    assert stage.feeds[0].tokens == ["first", "second"]
