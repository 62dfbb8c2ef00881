"""The push feed as an actor: what the broker pushes becomes envelopes to OrderWatcher, and to Prices.

The feed only ever makes things sooner. It may lose, double, delay and reorder what it says (scenarios B11, B13, B14,
E3); the books that OrderWatcher reads each second stay the truth.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from actors.addresses import Addresses
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
    RepublishBrokerStatus,
    Severity,
    Tick,
    TicksPushed,
    UnwatchPrices,
    WatchPrices,
)
from core.model.alerts import AlertKind
from core.model.broker import BrokerOrderReport, BrokerTrade, Ticks
from core.noren import FeedDown, FeedValue, Instrument, ResyncNeeded
from core.runtime import Actor, Runtime

__all__ = ["Feed", "OrderFeed"]

_AGAIN = "again"
_AGAIN_S = 25.0
"""Seconds after which a token that the push feed refused is tried again, while REST accepts it."""


class Feed(Protocol):
    """What the actor drives: `core.noren.PushFeed`, or a simulator's."""

    @property
    def heard_at(self) -> datetime | None:
        """When the broker's last frame came in, pongs included."""
        ...

    def start(self, token: str) -> None:
        """Connect with this session token, and stay connected."""
        ...

    def renew(self, token: str) -> None:
        """Use this token from the next connection on."""
        ...

    def again(self) -> None:
        """Try a token that was refused once more."""
        ...

    def watch(self, instruments: Iterable[Instrument]) -> None:
        """Prices of these are wanted, now and after every reconnect."""
        ...

    def unwatch(self, instruments: Iterable[Instrument]) -> None:
        """Prices of these are not wanted any more."""
        ...

    def more_ticks(self) -> None:
        """The last `Ticks` were taken; until then prices are merged, and order updates go on."""
        ...

    def stop(self) -> None:
        """Close the connection and end."""
        ...


@dataclass(frozen=True, slots=True)
class _Said(Message):
    """To itself, from the feed's thread: one value of the feed."""

    value: FeedValue

    def trace_text(self) -> str:
        """A stub: what it brings stands in the envelope to OrderWatcher."""
        value = self.value
        if isinstance(value, BrokerOrderReport | BrokerTrade):
            return f"_Said({type(value).__name__} {value.broker_order_id})"
        return f"_Said({value})"


class OrderFeed(Actor):
    """Starts the feed with the first session, renews its token with each further one.

    Args:
        open_feed: Makes the feed, given who takes its values; None where the settings switch it off.
    """

    def __init__(
        self,
        runtime: Runtime,
        name: str,
        *,
        addresses: Addresses,
        open_feed: Callable[[Callable[[FeedValue], object]], Feed] | None,
    ) -> None:
        super().__init__(runtime, name)
        self._addresses = addresses
        self._open_feed = open_feed
        self._feed: Feed | None = None
        self._session_up = False
        self._report: BrokerOrderReport | None = None
        self._standing = FeedStatus.OFF if open_feed is None else FeedStatus.WAITING
        self._since = self.clock.now()
        self._reason = "[broker] push_feed is false" if open_feed is None else "no session yet"
        # What is wanted before there is a feed.
        self._watched: dict[str, Instrument] = {}

    def on_feed_session_lost(self, _: FeedSessionLost) -> None:
        self._session_up = False
        self.cancel(_AGAIN)

    def on_tick(self, _: Tick) -> None:
        if self._feed is not None and self._session_up and self._standing is FeedStatus.DOWN:
            self._feed.again()

    def stopping(self) -> None:
        if self._feed is not None:
            self._feed.stop()

    def on_feed_session(self, message: FeedSession) -> None:
        self._session_up = True
        if self._feed is not None:
            self._feed.renew(message.token)
        elif self._open_feed is not None:
            self._feed = self._open_feed(self._take)
            self._reason = "connecting"
            self._feed.watch(self._watched.values())
            self._feed.start(message.token)

    def _take(self, value: FeedValue) -> None:
        """On the feed's thread. Prices go past this actor: no order update waits behind them."""
        if isinstance(value, Ticks):
            self.runtime.tell(self._addresses.prices.name, TicksPushed(value))
        else:
            self.runtime.tell(self.name, _Said(value))

    def on_watch_prices(self, message: WatchPrices) -> None:
        depth = message.depth
        wanted = [Instrument(one.exchange, one.symbol, one.token, depth) for one in message.instruments]
        self._watched.update((one.key, one) for one in wanted)
        if self._feed is not None:
            self._feed.watch(wanted)

    def on_unwatch_prices(self, message: UnwatchPrices) -> None:
        gone = [Instrument(one.exchange, one.symbol, one.token) for one in message.instruments]
        for one in gone:
            self._watched.pop(one.key, None)
        if self._feed is not None:
            self._feed.unwatch(gone)

    def on_more_ticks(self, _: MoreTicks) -> None:
        if self._feed is not None:
            self._feed.more_ticks()

    def on_said(self, message: _Said) -> None:
        match message.value:
            case BrokerOrderReport() as report:
                self._report = report
                self._push(OrderPushed(report))
            case BrokerTrade() as trade:
                self._push_trade(trade)
            case ResyncNeeded(reason=reason):
                self._stand(FeedStatus.CONNECTED, "")
                self._push(PushesMissed(reason))
            case FeedDown(reason=reason, refused=refused):
                self._note_down(reason, refused=refused)
            case Ticks():
                """They go past this actor."""

    def _push_trade(self, trade: BrokerTrade) -> None:
        """A trade follows the report of the order it belongs to; together they can be booked at once."""
        report = self._report
        if report is not None and report.broker_order_id == trade.broker_order_id:
            self._push(OrderPushed(report, trade))
        else:
            self._push(PushesMissed(f"a trade of {trade.broker_order_id} came without its order"))

    def _push(self, message: Message) -> None:
        # The session, and with it the feed, may be up before OrderWatcher is: it begins with reading the books.
        if self.knows(self._addresses.order_watcher.name):
            self.tell(self._addresses.order_watcher, message)

    def _note_down(self, reason: str, *, refused: bool) -> None:
        """Told once for each time the feed goes down: it connects again by itself, and polling goes on."""
        self._push(PushesMissed(reason))
        if refused and self._session_up:
            # REST takes this token: the feed will take it too before long (protocol 8).
            self.after(_AGAIN, _AGAIN_S)
        was_down = self._standing is FeedStatus.DOWN
        self._stand(FeedStatus.DOWN, reason)
        if not was_down:
            words = "the broker refused the session's token, it is tried again" if refused else "it is connected again"
            text = f"the push feed is down ({reason}); {words}, meanwhile the books are read as always"
            self.tell(self._addresses.notifier, Alert(Severity.WARNING, AlertKind.PUSH_FEED, text))

    def _stand(self, standing: FeedStatus, reason: str) -> None:
        changed = standing is not self._standing
        if changed:
            self._since = self.clock.now()
        self._standing, self._reason = standing, reason
        if changed:
            self.tell(self._addresses.prices, self._state())
            self._push(self._state())

    def on_republish_broker_status(self, _: RepublishBrokerStatus) -> None:
        self._push(self._state())

    def on_get_feed_state(self, _: GetFeedState) -> None:
        self.reply(self._state())

    def _state(self) -> FeedState:
        heard_at = self._feed.heard_at if self._feed is not None else None
        return FeedState(self._standing, self._since, self._reason, heard_at)
