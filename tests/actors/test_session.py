"""The session: at once first, then with growing pauses, and not for ever; a new token is taken as it comes (E1)."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from actors.addresses import Addresses
from actors.broker_proxy import BrokerProxy
from core.messages import (
    Alert,
    BookUnreadable,
    ExitDoubted,
    ExternalFilled,
    FeedSession,
    FeedSessionLost,
    OrderAccepted,
    OrderBookRead,
    OrderNotSent,
    OrderSettled,
    PlaceOrder,
    ReadOrderBook,
    ServiceStopping,
    SessionChanged,
    Severity,
    Tick,
    Verified,
    VerifyAgain,
)
from core.model.alerts import AlertKind
from core.model.broker import BrokerOrderReport, BrokerStatus, Quote
from core.model.order import ExecutionType, Order, OrderType, Side, Tag
from core.model.outcomes import Accepted, LoggedIn, LoginFailed, LoginOutcome, LoginRefused, ReadError, ReadFailure
from core.rules.broker_session import PAUSES_S, SHORT_LIVED_S
from core.rules.call_budget import RateLimiter
from core.runtime import Actor, Message, Runtime, StepRuntime, VirtualClock
from tests.factories import NOON, an_intent, an_order


class _Told(Actor):
    def __init__(self, runtime: Runtime, name: str) -> None:
        super().__init__(runtime, name)
        self.heard: list[Message] = []

    def on_anything(
        self,
        message: Alert
        | BookUnreadable
        | FeedSession
        | FeedSessionLost
        | OrderAccepted
        | OrderBookRead
        | OrderNotSent
        | SessionChanged
        | VerifyAgain,
    ) -> None:
        self.heard.append(message)


class _Watcher(_Told):
    """Reads the order book each second."""

    def started(self) -> None:
        self.every("poll", 1.0)

    def on_tick(self, _: Tick) -> None:
        self.tell_name("broker_proxy", ReadOrderBook())


class _Client:
    """A broker that ends each session after `lives_s`."""

    def __init__(self, clock: VirtualClock, lives_s: float) -> None:
        self._clock = clock
        self.lives_s = lives_s
        self.logins: list[float] = []
        self.outcomes: list[LoginOutcome] = []
        self.taken: list[str] = []
        self.placed: list[float] = []
        self.quote_s = 0.0
        self.quote_fails: list[ReadError] = []
        self.token = ""
        self._until = 0.0

    def login(self) -> LoginOutcome:
        self.logins.append(self._clock.monotonic())
        return self._begin(self.outcomes.pop(0) if self.outcomes else LoggedIn("U", f"token-{len(self.logins)}"))

    def take_token(self, access_token: str) -> LoginOutcome:
        self.taken.append(access_token)
        return self._begin(self.outcomes.pop(0) if self.outcomes else LoggedIn("U", access_token))

    def _begin(self, outcome: LoginOutcome) -> LoginOutcome:
        if isinstance(outcome, LoggedIn):
            self.token = outcome.token
            self._until = self._clock.monotonic() + self.lives_s
        return outcome

    def place_order(self, _: Order) -> Accepted:
        self.placed.append(self._clock.monotonic())
        return Accepted("26112300000001")

    def quote_calls(self, *_: str) -> int:
        return 1

    def quote(self, exchange: str, symbol: str) -> Quote:
        self._clock.advance(self.quote_s)
        if self.quote_fails:
            raise self.quote_fails.pop()
        price = Decimal(1500)
        return Quote(
            exchange=exchange,
            symbol=symbol,
            last_price=price,
            bid=price,
            ask=price,
            tick_size=Decimal("0.05"),
            at=self._clock.now(),
        )

    def order_book(self) -> tuple[Any, ...]:
        if self._clock.monotonic() >= self._until:
            raise ReadError(ReadFailure.SESSION_EXPIRED, "401")
        return ()

    def take_unreadable(self) -> tuple[str, ...]:
        return ()


class _Stage:
    def __init__(self, runtime: StepRuntime, *, lives_s: float, **proxy: Any) -> None:
        self.runtime = runtime
        self.client = _Client(runtime.clock, lives_s)
        for name in ("trading_bot", "notifier", "order_feed", "command_service", "execution_guard"):
            runtime.spawn(_Told, name)
        runtime.spawn(_Watcher, "order_watcher")
        runtime.spawn(
            BrokerProxy,
            "broker_proxy",
            addresses=Addresses.of(runtime),
            open_client=lambda: self.client,
            limiter=RateLimiter(per_second=0, per_minute=0),
            **{"market_as_limit": False} | proxy,
        )

    def heard(self, name: str, kind: type) -> list[Any]:
        actor = self.runtime._actors[name]
        assert isinstance(actor, _Told)
        return [message for message in actor.heard if isinstance(message, kind)]

    def place(self, **verified: Any) -> Order:
        order = replace(
            an_order(an_intent(ExecutionType.EXIT, Side.SELL)),
            deadline=self.runtime.clock.steady() + timedelta(seconds=120),
        )
        at = self.runtime.clock.steady()
        self.runtime.tell("broker_proxy", PlaceOrder(order, Verified(at, **verified)))
        return order


@pytest.fixture
def runtime() -> Iterator[StepRuntime]:
    made = StepRuntime(VirtualClock(NOON))
    yield made
    made.stop()


def test_t25_a_session_that_dies_soon_after_its_login_is_renewed_at_once_and_the_exit_goes(
    runtime: StepRuntime,
) -> None:
    harness = _Stage(runtime, lives_s=3.5)
    runtime.advance(3.9)
    harness.client.lives_s = 1000.0
    runtime.advance(0.2)
    harness.place()
    runtime.advance(0.1)
    assert harness.client.logins == [0.0, pytest.approx(4.0, abs=0.01)]
    assert len(harness.client.placed) == 1


def test_e1_sessions_that_die_young_are_renewed_with_growing_pauses_and_an_end(runtime: StepRuntime) -> None:
    harness = _Stage(runtime, lives_s=0.5)
    runtime.advance(3600.0)
    logins = harness.client.logins
    assert len(logins) == 1 + len(PAUSES_S)
    pauses = [later - earlier for earlier, later in itertools.pairwise(logins)]
    assert all(pause == pytest.approx(planned, abs=1.5) for pause, planned in zip(pauses, PAUSES_S, strict=True))
    last = harness.heard("notifier", Alert)[-1]
    assert (last.severity, last.kind) == (Severity.CRITICAL, "login")
    assert "no further login is tried" in last.text
    assert harness.heard("command_service", SessionChanged)[-1].needs_person


def test_e1_a_session_that_lived_long_is_no_part_of_a_storm(runtime: StepRuntime) -> None:
    harness = _Stage(runtime, lives_s=SHORT_LIVED_S + 1)
    runtime.advance(20 * SHORT_LIVED_S)
    assert len(harness.client.logins) > 15
    assert not harness.heard("command_service", SessionChanged)[-1].needs_person


def test_e2_a_refused_login_is_not_tried_again(runtime: StepRuntime) -> None:
    harness = _Stage(runtime, lives_s=1.0)
    harness.client.outcomes = [LoginRefused("wrong password")]
    runtime.advance(600.0)
    assert len(harness.client.logins) == 1


def test_a_login_is_tried_again_when_there_is_a_new_one_time_password(runtime: StepRuntime) -> None:
    harness = _Stage(runtime, lives_s=1000.0)
    harness.client.outcomes = [LoginFailed("the one-time password was used", 17.0)]
    runtime.advance(10.0)
    waits = "not logged in yet: the one-time password was used"
    assert harness.heard("command_service", SessionChanged)[-1] == SessionChanged(False, waits), "what /readyz says"
    assert harness.heard("notifier", Alert) == [Alert(Severity.WARNING, AlertKind.SESSION, waits)], "and the log"
    runtime.advance(20.0)
    assert harness.client.logins == [0.0, 17.0]
    assert harness.heard("command_service", SessionChanged)[-1].up


class _File:
    token: str | None = "first"

    def read(self) -> str | None:
        return self.token


def test_t30_a_new_token_is_taken_while_the_session_is_down(runtime: StepRuntime) -> None:
    file = _File()
    harness = _Stage(runtime, lives_s=10.0, read_token=file.read)
    harness.client.outcomes = [LoggedIn("U", "first"), LoginRefused("the access token is not accepted")]
    runtime.advance(20.0)
    assert harness.heard("command_service", SessionChanged)[-1].needs_person
    harness.client.lives_s = 1000.0
    file.token = "second"
    runtime.advance(5.1)
    assert harness.client.taken == ["second"]
    assert harness.heard("command_service", SessionChanged)[-1] == SessionChanged(True, "")
    assert harness.heard("order_feed", FeedSession)[-1].token == "second"
    harness.place()
    runtime.advance(0.1)
    assert len(harness.client.placed) == 1


def test_t30_a_new_token_is_taken_while_the_session_is_up(runtime: StepRuntime) -> None:
    file = _File()
    harness = _Stage(runtime, lives_s=1000.0, read_token=file.read)
    runtime.advance(1.0)
    file.token = "second"
    runtime.advance(5.0)
    assert harness.client.taken == ["second"]
    assert harness.heard("command_service", SessionChanged) == [SessionChanged(True, "")] * 2


def test_t30_a_new_token_that_is_no_good_ends_no_session_that_is_up(runtime: StepRuntime) -> None:
    file = _File()
    harness = _Stage(runtime, lives_s=1000.0, read_token=file.read)
    runtime.advance(1.0)
    harness.client.outcomes = [LoginRefused("no such token")]
    file.token = "nonsense"
    runtime.advance(30.0)
    assert harness.client.taken == ["nonsense"], "tried once"
    assert harness.heard("command_service", SessionChanged) == [SessionChanged(True, "")]
    assert "session goes on" in harness.heard("notifier", Alert)[-1].text


@pytest.mark.parametrize("token", ["first", None])
def test_t30_a_file_without_a_new_token_changes_nothing(runtime: StepRuntime, token: str | None) -> None:
    file = _File()
    harness = _Stage(runtime, lives_s=1000.0, read_token=file.read)
    runtime.advance(1.0)
    file.token = token
    runtime.advance(60.0)
    assert harness.client.taken == []


def test_law_11_a_new_token_is_in_no_trace(runtime: StepRuntime) -> None:
    file = _File()
    _Stage(runtime, lives_s=1000.0, read_token=file.read)
    runtime.advance(1.0)
    file.token = "very-secret-token"
    runtime.advance(6.0)
    assert all("very-secret-token" not in record.text for record in runtime.tracer.recent())


def test_an_exit_that_waits_for_a_person_to_bring_a_token_is_answered_at_its_deadline(runtime: StepRuntime) -> None:
    harness = _Stage(runtime, lives_s=0.5)
    runtime.advance(900.0)
    harness.place()
    runtime.advance(121.0)
    [told] = harness.heard("trading_bot", OrderNotSent)
    assert told.tag is Tag.DEADLINE_PASSED
    assert "no further login is tried" in told.reason


@pytest.mark.parametrize(
    ("verified", "again"),
    [({}, True), ({"unread": True}, True), ({"looks": 3}, False), ({"unread": True, "looks": 3}, True)],
    ids=["read", "unread", "last", "last unread"],
)
def test_g1_an_exit_that_waited_for_a_session_is_verified_again_before_its_call(
    runtime: StepRuntime, verified: dict[str, Any], again: bool
) -> None:
    harness = _Stage(runtime, lives_s=1000.0)
    harness.client.outcomes = [LoginFailed("no network", 5.0)]
    runtime.advance(0.1)
    harness.place(**verified)
    runtime.advance(5.0)
    asked = harness.heard("execution_guard", VerifyAgain)
    assert (len(asked), len(harness.client.placed)) == ((1, 0) if again else (0, 1))
    for told in asked:
        runtime.tell("broker_proxy", PlaceOrder(told.order, Verified(runtime.clock.steady(), looks=2)))
        runtime.advance(0.1)
        assert len(harness.client.placed) == 1


@pytest.mark.parametrize(
    ("quote_s", "looks", "again"), [(0.5, 1, False), (1.5, 1, True), (1.5, 3, False)], ids=["quick", "slow", "last"]
)
def test_g1_an_exit_that_went_unverified_is_looked_at_again_after_a_slow_quote(
    runtime: StepRuntime, quote_s: float, looks: int, again: bool
) -> None:
    """What reads and pushes told during the quote waits in the mailbox."""
    harness = _Stage(runtime, lives_s=1000.0, market_as_limit=True)
    runtime.advance(0.1)
    harness.client.quote_s = quote_s
    intent = an_intent(ExecutionType.EXIT, Side.SELL, order_type=OrderType.MARKET, price=None)
    order = replace(an_order(intent), deadline=runtime.clock.steady() + timedelta(seconds=120))
    runtime.tell("broker_proxy", PlaceOrder(order, Verified(runtime.clock.steady(), unread=True, looks=looks)))
    runtime.run_until_idle()
    assert len(harness.heard("execution_guard", VerifyAgain)) == int(again)
    assert len(harness.client.placed) == int(not again)


@pytest.mark.parametrize(
    "error",
    [
        ReadError(ReadFailure.SESSION_EXPIRED, "Session Expired"),
        ReadError(ReadFailure.UNREADABLE, "exceeds Limit 10 for user in a current second", rate_limited=True),
    ],
)
def test_g11_an_order_whose_quote_is_refused_for_session_or_limits_waits_and_goes(
    runtime: StepRuntime, error: ReadError
) -> None:
    harness = _Stage(runtime, lives_s=1000.0, market_as_limit=True)
    runtime.advance(0.1)
    harness.client.quote_fails = [error]
    intent = an_intent(ExecutionType.ENTRY, Side.SELL, order_type=OrderType.MARKET, price=None)
    order = replace(an_order(intent), deadline=runtime.clock.steady() + timedelta(seconds=120))
    runtime.tell("broker_proxy", PlaceOrder(order))
    runtime.run_until_idle()
    assert harness.client.placed == []
    runtime.advance(60.0)
    assert len(harness.client.placed) == 1
    assert harness.heard("trading_bot", OrderNotSent) == []


def test_g4_an_exit_that_could_not_be_verified_is_not_held_up_by_the_hanging_read(runtime: StepRuntime) -> None:
    harness = _Stage(runtime, lives_s=1000.0)
    runtime.advance(0.1)
    order = replace(
        an_order(an_intent(ExecutionType.EXIT, Side.SELL)), deadline=runtime.clock.steady() + timedelta(seconds=120)
    )
    since = runtime.clock.steady()
    runtime.advance(10.0)
    runtime.tell("broker_proxy", PlaceOrder(order, Verified(since, unread=True)))
    runtime.advance(0.1)
    assert len(harness.client.placed) == 1
    assert harness.heard("execution_guard", VerifyAgain) == []


@pytest.mark.parametrize(
    ("verified", "given_back"), [({}, 1), ({"unread": True}, 0), ({"looks": 3}, 0)], ids=["read", "unread", "last"]
)
@pytest.mark.parametrize("side", [Side.SELL, Side.BUY])
def test_g1_an_exit_is_not_sent_blindly_after_a_push_of_an_external_order(
    runtime: StepRuntime, verified: dict[str, Any], given_back: int, side: Side
) -> None:
    """Only one of its own side can have closed what it closes."""
    harness = _Stage(runtime, lives_s=1000.0)
    order = an_order(an_intent(ExecutionType.EXIT, Side.SELL))
    harness.client.outcomes = [LoginFailed("no network", 0.5)]
    runtime.advance(0.1)
    harness.place(**verified)
    report = BrokerOrderReport(
        broker_order_id="E1",
        client_tag=None,
        exchange=order.exchange,
        symbol=order.symbol,
        side=side,
        quantity=1,
        status=BrokerStatus.COMPLETE,
        raw_status="COMPLETE",
        filled_quantity=1,
        product=order.product,
    )
    runtime.tell("broker_proxy", ExternalFilled(report))
    runtime.advance(0.8)
    asked, refused = harness.heard("execution_guard", VerifyAgain), harness.heard("trading_bot", OrderNotSent)
    if side is Side.SELL:
        assert (len(asked), len(refused), len(harness.client.placed)) == (given_back, 1 - given_back, 0)
        assert all("external order E1 filled on the same side" in told.reason for told in refused)
    else:
        assert refused == []


@pytest.mark.parametrize(
    ("verified", "end"),
    [({}, "again"), ({"unread": True}, "again"), ({"looks": 3}, "sent"), ({"looks": 3, "unread": True}, "refused")],
    ids=["read", "unread", "last", "last-unread"],
)
def test_g1_an_exit_that_a_read_left_less_for_while_it_waited_is_verified_again(
    runtime: StepRuntime, verified: dict[str, Any], end: str
) -> None:
    """One doubtful read holds it up for so many looks; only one that no read ever showed enough for is not sent."""
    harness = _Stage(runtime, lives_s=1000.0)
    runtime.advance(0.1)
    order = an_order(an_intent(ExecutionType.EXIT, Side.SELL))
    runtime.tell("broker_proxy", PlaceOrder(order, Verified(runtime.clock.steady(), **verified)))
    runtime.tell("broker_proxy", ExitDoubted(order))
    runtime.advance(0.1)
    found = {
        "again": len(harness.heard("execution_guard", VerifyAgain)),
        "refused": len(harness.heard("trading_bot", OrderNotSent)),
        "sent": len(harness.client.placed),
    }
    assert found == {"again": 0, "refused": 0, "sent": 0} | {end: 1}


def test_law_3_an_order_given_up_while_it_waited_is_not_called_any_more(runtime: StepRuntime) -> None:
    harness = _Stage(runtime, lives_s=1.0)
    runtime.advance(900.0)  # no session any more: a person has to log in
    waiting = harness.place()
    runtime.advance(1.0)
    assert harness.client.placed == []
    runtime.tell("broker_proxy", OrderSettled(waiting))
    runtime.advance(0.1)
    assert [told.order.command_id for told in harness.heard("trading_bot", OrderNotSent)] == [waiting.command_id]
    runtime.advance(200.0)
    assert len(harness.heard("trading_bot", OrderNotSent)) == 1
    assert harness.client.placed == []


def test_e7_a_service_that_stops_begins_no_further_read(runtime: StepRuntime) -> None:
    """Each may take as long as a call can, and nobody is there for the answer."""
    harness = _Stage(runtime, lives_s=1000.0)
    runtime.advance(2.5)
    read = len(harness.heard("order_watcher", OrderBookRead))
    assert read
    runtime.tell("broker_proxy", ServiceStopping("the service is stopping"))
    runtime.advance(5.0)
    assert len(harness.heard("order_watcher", OrderBookRead)) == read
    assert harness.heard("order_watcher", BookUnreadable) == [], "nothing is wrong with the broker"
    harness.place()
    runtime.advance(0.1)
    assert [told.tag for told in harness.heard("trading_bot", OrderNotSent)] == [Tag.SERVICE_NOT_READY]
