"""The actor that owns protections: recorded before it acts, once over a crash, and never for what is gone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import TypeVar

from actors.addresses import Addresses
from actors.position_manager import PositionManager
from core.messages import (
    Alert,
    CancelProtection,
    EntryPriceTold,
    FollowHoldings,
    GetEntryPrice,
    GetQuote,
    HoldingChanged,
    HoldingsTold,
    LoadProtections,
    Message,
    MoreTicks,
    ProtectionAnswer,
    ProtectionRegistered,
    ProtectionsLoaded,
    ProtectionsSaved,
    ProtectPosition,
    QuoteRead,
    ReadQuote,
    SaveProtections,
    ServiceReady,
    SquareOff,
    SubscribePrices,
    TicksTold,
    UnsubscribePrices,
)
from core.model.alerts import AlertKind
from core.model.broker import PriceSource, Quote, SecondSource
from core.model.order import Source, Status
from core.model.positions import GuardLine
from core.model.protection import Protection, ProtectionState
from core.runtime import Actor, Runtime, StepRuntime, VirtualClock
from core.store.protections import pending
from tests.factories import NOON, an_intent, an_order
from tests.rules.test_protection import protection, rule

D = Decimal
M = TypeVar("M", bound=Message)
ACTIVE, FIRING, DONE, ENDED = (ProtectionState(name) for name in ("ACTIVE", "FIRING", "DONE", "ENDED"))
HELD = GuardLine("alpha", "NSE", "INFY-EQ", protection(1, "1", stop={"points": 1}).product, 50, 0, None)
HELD_KEY = ("alpha", "NSE", "INFY-EQ", HELD.product)


class Told(Actor):
    """Whoever is told something: the test reads what."""

    def __init__(self, runtime: Runtime, name: str, *, kept: list[Message]) -> None:
        super().__init__(runtime, name)
        self._kept = kept

    def on_anything(
        self,
        message: Alert
        | ReadQuote
        | GetQuote
        | GetEntryPrice
        | MoreTicks
        | SubscribePrices
        | UnsubscribePrices
        | SaveProtections
        | LoadProtections
        | FollowHoldings
        | SquareOff
        | ProtectionAnswer,
    ) -> None:
        self._kept.append(message)


class Harness:
    """PositionManager among recorders; the database takes what it is told when the test says so."""

    def __init__(
        self,
        *rows: Protection,
        lines: tuple[GuardLine, ...] = (HELD,),
        progress: Mapping[str, tuple[int, Decimal | None, bool]] | None = None,
        ready: bool = True,
    ) -> None:
        self.kept: list[Message] = []
        self.clock = VirtualClock(NOON)
        self.runtime = StepRuntime(self.clock)
        for name in ("notifier", "broker_proxy", "prices", "order_repo", "execution_guard", "asker"):
            self.runtime.spawn(Told, name, kept=self.kept)
        self.runtime.spawn(PositionManager, "position_manager", addresses=Addresses.of(self.runtime), max_jump=D("0.1"))
        assert len(self.heard(FollowHoldings)) == 1
        self.tell(HoldingsTold(lines))
        assert len(self.heard(LoadProtections)) == 1
        self.tell(ProtectionsLoaded(rows, progress or {}))
        if ready:
            self.tell(ServiceReady())

    def heard(self, kind: type[M]) -> list[M]:
        """What was told of this kind since this was last asked."""
        self.runtime.run_until_idle()
        found = [message for message in self.kept if isinstance(message, kind)]
        self.kept[:] = [message for message in self.kept if not isinstance(message, kind)]
        return found

    def tell(self, message: Message) -> None:
        self.runtime.tell("position_manager", message)
        self.runtime.run_until_idle()

    def price(self, price: str, second: SecondSource = SecondSource.LAST, age_s: float = 0.0) -> None:
        self.tell(TicksTold((self.quote(price, second, age_s),)))

    def quote(self, price: str, second: SecondSource = SecondSource.LAST, age_s: float = 0.0) -> Quote:
        at = self.clock.now() - timedelta(seconds=age_s)
        return Quote(
            exchange="NSE",
            symbol="INFY-EQ",
            last_price=D(price),
            bid=None,
            ask=None,
            at=at,
            source=PriceSource.FEED,
            second=second,
        )

    def saved(self) -> list[Protection]:
        """What it wants recorded; the database takes it."""
        found = [message.protections for message in self.heard(SaveProtections)]
        for rows in found:
            self.tell(ProtectionsSaved(rows))
        return [one for rows in found for one in rows]

    def alerts(self, kind: AlertKind) -> list[str]:
        return [alert.text for alert in self.heard(Alert) if alert.kind is kind]

    def pass_time(self, seconds: float) -> None:
        for _ in range(round(seconds * 10)):
            self.runtime.advance(0.1)
            self.runtime.run_until_idle()


def test_what_fires_is_recorded_before_it_exits_and_exits_once() -> None:
    harness = Harness(protection(1, "100", stop={"points": 5}))
    assert len(harness.heard(SubscribePrices)) == 1
    harness.price("95.05")
    harness.price("95")
    [recorded] = [message.protections[0] for message in harness.heard(SaveProtections)]
    assert (recorded.state, recorded.count, recorded.fired, recorded.fired_price) == (FIRING, 1, "stop", D(95))
    assert harness.heard(SquareOff) == [], "it is not recorded yet"
    harness.tell(ProtectionsSaved((recorded,)))
    harness.tell(ProtectionsSaved((recorded,)))
    harness.price("90")
    [wanted] = harness.heard(SquareOff)
    assert (wanted.position, wanted.key, wanted.source) == (recorded.key, "protect-one-1", Source.PROTECTION)
    assert len(harness.alerts(AlertKind.PROTECTION_FIRED)) == 1
    harness.tell(HoldingChanged("alpha", "NSE", "INFY-EQ", ()))
    assert [one.state for one in harness.saved()] == [DONE]
    assert harness.heard(SquareOff) == []


def test_what_is_set_on_a_position_that_stands_follows_its_prices_and_fires() -> None:
    harness = Harness()
    harness.tell(ProtectPosition("alpha", "NSE", "INFY-EQ", None, rule(stop={"points": 5}), "asker"))
    assert (len(harness.heard(GetEntryPrice)), len(harness.heard(GetQuote))) == (1, 1)
    assert harness.heard(SubscribePrices) == []
    harness.tell(EntryPriceTold(HELD_KEY, D(100)))
    harness.tell(QuoteRead(harness.quote("101")))
    assert [one.state for one in harness.saved()] == [ACTIVE]
    assert len(harness.heard(SubscribePrices)) == 1, "the quote that it began with is no following"
    harness.price("95")
    assert [one.state for one in harness.saved()] == [FIRING]


def test_an_exit_whose_record_got_no_answer_is_recorded_again() -> None:
    harness = Harness(protection(1, "100", stop={"points": 5}))
    harness.price("95")
    assert len(harness.heard(SaveProtections)) == 1
    harness.pass_time(7)
    assert [one.state for one in harness.saved()] == [FIRING]
    assert len(harness.heard(SquareOff)) == 1


def test_what_fired_before_a_crash_exits_after_it_under_another_key_and_once_orders_are_taken() -> None:
    fired = replace(protection(1, "100", stop={"points": 5}), state=FIRING, count=1, fired="stop")
    harness = Harness(fired, ready=False)
    assert harness.saved() == []
    harness.tell(ServiceReady())
    assert [one.count for one in harness.saved()] == [2]
    assert [wanted.key for wanted in harness.heard(SquareOff)] == ["protect-one-2"]
    # ExecutionGuard rebuilds itself: what is under way is not begun again.
    harness.tell(HoldingsTold((HELD,)))
    harness.tell(ProtectionsLoaded((replace(fired, count=2),), {}))
    assert harness.saved() == []
    assert harness.heard(SquareOff) == []


def test_what_fires_before_orders_are_taken_exits_once_they_are() -> None:
    harness = Harness(protection(1, "100", stop={"points": 5}), ready=False)
    harness.price("94")
    assert [(one.state, one.count) for one in harness.saved()] == [(FIRING, 0)]
    assert harness.heard(SquareOff) == []
    harness.tell(ServiceReady())
    harness.saved()
    assert [wanted.key for wanted in harness.heard(SquareOff)] == ["protect-one-1"]


def test_a_position_that_is_gone_fires_nothing_whoever_closed_it() -> None:
    harness = Harness(protection(1, "100", stop={"points": 5}))
    harness.tell(HoldingChanged("alpha", "NSE", "INFY-EQ", (replace(HELD, held=-10),)))
    [over] = harness.saved()
    assert (over.state, over.reason) == (ENDED, "the position is gone")
    assert len(harness.heard(UnsubscribePrices)) == 1
    harness.price("90")
    assert harness.saved() == []
    # Closed while the service was down: there is no line, and nothing tells it.
    harness = Harness(protection(1, "100", stop={"points": 5}), lines=())
    harness.pass_time(7)
    assert [one.state for one in harness.saved()] == [ENDED]


def test_an_old_price_fires_nothing_and_a_first_one_far_off_is_asked_for_again() -> None:
    harness = Harness(protection(1, "100", stop={"points": 5}))
    harness.price("90", age_s=31)
    harness.price("70", SecondSource.NONE)
    assert harness.saved() == []
    [asked] = harness.heard(ReadQuote)
    assert asked.symbol == "INFY-EQ"
    harness.pass_time(1.5)
    harness.price("70.05")
    assert [one.state for one in harness.saved()] == [FIRING]


def test_a_trail_is_recorded_soon_after_it_moved_and_not_for_every_price() -> None:
    harness = Harness(protection(1, "100", stop={"points": 9}, trail={"points": 5}))
    for price in ("101", "102", "103"):
        harness.price(price)
    assert harness.saved() == []
    harness.pass_time(0.6)
    [moved] = harness.saved()
    assert (moved.trail, moved.best) == (D(98), D(103))
    harness.price("98")
    assert [(one.state, one.fired) for one in harness.saved()] == [(FIRING, "trail")]


def test_an_order_brings_a_protection_that_begins_with_its_first_fill() -> None:
    order = an_order(replace(an_intent(), protect=rule(stop={"points": 5})))
    harness = Harness(lines=())
    harness.tell(ProtectionRegistered(pending(order)))
    filled = replace(order, status=Status.SENT_TO_BROKER, filled_quantity=20, average_price=D(100))
    harness.tell(HoldingChanged("alpha", "NSE", "INFY-EQ", (replace(HELD, held=20),), filled))
    assert [(one.state, one.anchor) for one in harness.saved()] == [(ACTIVE, D(100))]
    more = replace(filled, filled_quantity=50, average_price=D("99.50"))
    harness.tell(HoldingChanged("alpha", "NSE", "INFY-EQ", (HELD,), more))
    harness.pass_time(0.6)
    assert [one.anchor for one in harness.saved()] == [D("99.50")]
    harness.price("94.60")
    assert harness.saved() == []
    harness.price("94.50")
    assert [one.state for one in harness.saved()] == [FIRING]


def test_an_order_that_ends_without_a_fill_takes_its_protection_with_it() -> None:
    order = an_order(replace(an_intent(), protect=rule(stop={"points": 5})))
    waiting = pending(order)
    harness = Harness(waiting, lines=(), progress={waiting.id: (0, None, True)})
    assert [(one.state, one.reason) for one in harness.saved()] == [(ENDED, "its order ended without a fill")]
    harness = Harness(waiting, progress={waiting.id: (20, D(100), True)})
    assert [(one.state, one.anchor) for one in harness.saved()] == [(ACTIVE, D(100))], "filled while nobody looked"


def test_a_protection_of_the_same_position_takes_the_place_of_the_one_before() -> None:
    order = an_order(replace(an_intent(), protect=rule(stop={"points": 5})))
    harness = Harness(protection(1, "100", stop={"points": 2}))
    harness.tell(ProtectionRegistered(pending(order)))
    # It is held already, so its fills may have been told before.
    assert len(harness.heard(LoadProtections)) == 1
    harness.tell(ProtectionsLoaded((), {order.command_id: (50, D(100), True)}))
    assert [(one.id, one.state) for one in harness.saved()] == [("one", ENDED), (order.command_id, ACTIVE)]
    harness.price("97")
    assert harness.saved() == []


def test_what_has_fired_cannot_be_cancelled_and_what_has_not_is_answered_once_recorded() -> None:
    harness = Harness(protection(1, "100", stop={"points": 5}))
    harness.tell(CancelProtection("one", "a person", "asker"))
    assert harness.heard(ProtectionAnswer) == []
    assert [(one.state, one.reason) for one in harness.saved()] == [(ENDED, "cancelled by a person")]
    assert [answer.protection is not None for answer in harness.heard(ProtectionAnswer)] == [True]
    harness.tell(CancelProtection("one", "a person", "asker"))
    assert [(answer.protection, answer.found) for answer in harness.heard(ProtectionAnswer)] == [(None, False)]
    harness = Harness(protection(1, "100", stop={"points": 5}))
    harness.price("95")
    harness.tell(CancelProtection("one", "a person", "asker"))
    [answer] = harness.heard(ProtectionAnswer)
    assert (answer.protection, answer.found) == (None, True)


def test_silence_of_its_prices_is_told_once_and_that_it_is_over() -> None:
    harness = Harness(protection(1, "100", stop={"points": 5}))
    harness.pass_time(62)
    [text] = harness.alerts(AlertKind.PROTECTION_BLIND)
    assert "NSE:INFY-EQ" in text
    harness.pass_time(30)
    assert harness.alerts(AlertKind.PROTECTION_BLIND) == []
    harness.price("99")
    assert harness.alerts(AlertKind.PROTECTION_BLIND) == ["NSE:INFY-EQ has prices again"]
