"""Every envelope hangs below the envelopes of its own order, also when its turn came later (law 10)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from actors.addresses import Addresses
from actors.broker_proxy import BrokerProxy
from actors.supervisor import Supervisor
from core.messages import (
    ActorFailed,
    Message,
    OrderAccepted,
    OrderAnswer,
    OrderOutcomeUnknown,
    PlaceOrder,
    QuoteUnreadable,
    ReadQuote,
    SubmitOrder,
)
from core.model.order import RawIntent, Source, Tag
from core.model.outcomes import Accepted, LoggedIn, ReadError, ReadFailure
from core.rules.call_budget import RateLimiter
from core.runtime import Actor, Envelope, Runtime, StepRuntime, VirtualClock
from tests.factories import an_order


class _Anyone(Actor):
    """Stands in for an actor that is told things."""

    def __init__(self, runtime: Runtime, name: str) -> None:
        super().__init__(runtime, name)
        self.heard: list[Envelope] = []

    def on_accepted(self, _: OrderAccepted | OrderOutcomeUnknown | OrderAnswer | QuoteUnreadable) -> None:
        self.heard.append(self.envelope)


class _Client:
    """Accepts every order; the second call of `broken` fails in a way nobody foresaw."""

    broken = False
    calls = 0

    def login(self) -> LoggedIn:
        return LoggedIn("U", "token")

    def place_order(self, _: Any) -> Accepted:
        self.calls += 1
        if self.broken and self.calls == 2:
            raise RuntimeError("unforeseen")
        return Accepted(f"26112300{self.calls:06}")


@pytest.fixture
def runtime() -> Iterator[StepRuntime]:
    made = StepRuntime(VirtualClock(datetime(2026, 11, 23, 4, tzinfo=UTC)))
    yield made
    made.stop()


def _proxy(runtime: StepRuntime, client: _Client) -> _Anyone:
    addresses = Addresses.of(runtime)
    runtime.spawn(_Anyone, "trading_bot")
    limiter = RateLimiter(per_second=1, per_minute=0)
    # Logging in costs the call of the first second: both orders wait.
    runtime.spawn(
        BrokerProxy,
        "broker_proxy",
        addresses=addresses,
        open_client=lambda: client,
        limiter=limiter,
        market_as_limit=False,
    )
    runtime.run_until_idle()
    for number in (1, 2):
        runtime.tell("broker_proxy", PlaceOrder(an_order(command_id=f"261123-aaaaa-{number}")))
    runtime.advance(5.0)
    bot = runtime._actors["trading_bot"]
    assert isinstance(bot, _Anyone)
    return bot


def test_the_outcome_of_an_order_that_waited_is_an_effect_of_its_own_envelope(runtime: StepRuntime) -> None:
    bot = _proxy(runtime, _Client())
    placed = {r.command: r.id for r in runtime.tracer.recent() if r.type == "PlaceOrder"}
    assert [(envelope.correlation_id, envelope.causation_id) for envelope in bot.heard] == [*placed.items()]


def test_the_order_whose_call_failed_is_unknown_and_not_the_one_whose_envelope_made_room_for_it(
    runtime: StepRuntime,
) -> None:
    client = _Client()
    client.broken = True
    heard: list[Message] = [envelope.message for envelope in _proxy(runtime, client).heard]
    told = {getattr(message, "command_id", ""): type(message) for message in heard}
    assert told == {"261123-aaaaa-1": OrderAccepted, "261123-aaaaa-2": OrderOutcomeUnknown}


def test_a_strategy_whose_submission_failed_before_it_had_a_row_is_answered(runtime: StepRuntime) -> None:
    runtime.spawn(_Anyone, "strategy:one")
    runtime.spawn(Supervisor, "supervisor", addresses=Addresses.of(runtime))
    submission = SubmitOrder(RawIntent(()), Source.STRATEGY, "strategy:one")
    failed = ActorFailed("command_service", "x:1", submission, None, "ValueError: no", "", 1, poisoned=True)
    runtime.tell("supervisor", failed)
    runtime.run_until_idle()
    strategy = runtime._actors["strategy:one"]
    assert isinstance(strategy, _Anyone)
    (answer,) = [envelope.message for envelope in strategy.heard]
    assert isinstance(answer, OrderAnswer)
    assert answer.result.tag is Tag.INTERNAL_ERROR


class _Slow(_Client):
    """A quote takes two calls; how long the first takes differs."""

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock
        self.began: list[float] = []
        self._takes = iter((0.5, 0.1, 0.5))

    def quote_calls(self, *_: str) -> int:
        return 2

    def quote(self, *_: str) -> None:
        self.began.append(self._clock.monotonic())
        self._clock.advance(next(self._takes))
        self.began.append(self._clock.monotonic())
        raise ReadError(ReadFailure.UNREADABLE, "no such symbol")


def test_the_second_call_of_a_quote_counts_from_when_it_was_made(runtime: StepRuntime) -> None:
    client = _Slow(runtime.clock)
    runtime.spawn(_Anyone, "strategy:one")
    runtime.spawn(
        BrokerProxy,
        "broker_proxy",
        addresses=Addresses.of(runtime),
        open_client=lambda: client,
        limiter=RateLimiter(per_second=2, per_minute=0),
    )
    runtime.advance(0.1)
    for symbol in ("INFY-EQ", "SBIN-EQ", "TCS-EQ"):
        runtime.tell("broker_proxy", ReadQuote("NSE", symbol, "strategy:one"))
    runtime.advance(10.0)
    assert len(client.began) == 6
    assert all(later - earlier >= 1.0 for earlier, later in zip(client.began, client.began[2:], strict=False))
