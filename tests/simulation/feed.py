"""The push feed in the simulation: the real conversation of our side, over a wire of virtual time to the exchange.

Only the thread and the socket are replaced. What the exchange pushes is under way for a while, as everything is, so it
comes before, after and between the replies to calls.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from core.noren import BrokerProfile, FeedDown, FeedValue, Instrument
from core.noren.conversation import Conversation, Turn
from core.noren.feed import BACKOFF_S
from core.paper.wire import Close, Out, Push
from tests.simulation.exchange import WatchedExchange
from tests.simulation.network import OutsideClock
from tests.simulation.runtime import SimulatedRuntime
from tests.simulation.schedule import Schedule

__all__ = ["SimulatedFeed", "Wire"]

_POLL_S = 0.5
_ACK_TIMEOUT_S = 5.0
_SILENCE_S = 12.0
_POLICY_VIOLATION = 1008
_GONE = 1006
_NUMBER = re.compile(r'"norenordno": ?"([^"]*)"')
_FILLED = re.compile(r'"fillshares": ?"?(\d+)')


class Wire:
    """Carries frames between feeds and the exchange, in order and with a delay.

    Args:
        exchange: The far end.
        clock: The exchange's clock.
        agenda: Where frames on their way wait.
        way_s: How long one way takes this time.
    """

    def __init__(
        self, exchange: WatchedExchange, clock: OutsideClock, schedule: Schedule, way_s: Callable[[], float]
    ) -> None:
        self._exchange = exchange
        self._clock = clock
        self._schedule = schedule
        self._way_s = way_s
        self._numbers = itertools.count(1)
        self._feeds: dict[str, SimulatedFeed] = {}
        # When the last frame sent so far arrives, by socket and direction: none overtakes another.
        self._last: dict[tuple[str, bool], float] = {}
        self.on_frame: Callable[[str, float, int], object] = lambda *_: None
        """Told of each order update that arrives: the order's number, when it was sent, what it says has filled."""

        exchange.on_out = self._carry

    def connect(self, feed: SimulatedFeed) -> str:
        """Open a socket; its name."""
        name = f"socket-{next(self._numbers)}"
        self._feeds[name] = feed
        self._exchange.connect(name, self._clock.now())
        return name

    def drop(self, name: str) -> None:
        """A socket is closed by our side, or its process is gone."""
        if self._feeds.pop(name, None) is not None:
            self._exchange.disconnect(name, self._clock.now())

    def cut(self) -> None:
        """The far end is gone, and every socket with it."""
        for name, feed in tuple(self._feeds.items()):
            del self._feeds[name]
            feed.is_closed(name, _GONE, "")

    def pump(self) -> None:
        """Let the exchange do what is due, so that what it pushes then is not late."""
        self._exchange.advance(self._clock.now())

    def after(self, seconds: float, do: Callable[[], object]) -> None:
        """Let something happen in a while."""
        self._schedule.at(self._clock.monotonic() + seconds, do)

    def send(self, name: str, text: str) -> None:
        """A frame of ours sets out."""

        def arrive() -> None:
            if name in self._feeds:
                self._exchange.receive(name, text, self._clock.now())

        self._schedule.at(self._arrival(name, inward=False), arrive)

    def _carry(self, out: tuple[Out, ...]) -> None:
        for item in out:
            # What a silenced socket would say, the exchange does not send; there is nothing to carry.
            if isinstance(item, Push):
                wait = max(timedelta(), item.due - self._clock.now()).total_seconds()
                self.after(wait, lambda push=item: self._leaves(push))  # type: ignore[misc]
            elif isinstance(item, Close):
                self._schedule.at(self._arrival(item.connection, inward=True), lambda close=item: self._closes(close))  # type: ignore[misc]

    def _leaves(self, push: Push) -> None:
        found = _NUMBER.search(push.text)
        sent_at = self._clock.monotonic()

        def arrive() -> None:
            feed = self._feeds.get(push.connection)
            if feed is not None:
                feed.frame_comes(push.connection, push.text)
                if found is not None:
                    filled = _FILLED.search(push.text)
                    self.on_frame(found.group(1), sent_at, int(filled.group(1)) if filled is not None else 0)

        self._schedule.at(self._arrival(push.connection, inward=True), arrive)

    def _closes(self, close: Close) -> None:
        feed = self._feeds.pop(close.connection, None)
        if feed is not None:
            feed.is_closed(close.connection, close.code, close.reason)

    def _arrival(self, name: str, *, inward: bool) -> float:
        arrival = self._clock.monotonic() + self._way_s()
        arrival = self._last[name, inward] = max(arrival, self._last.get((name, inward), 0.0))
        return arrival


class SimulatedFeed:
    """Drives conversations one after the other, as `core.noren.PushFeed` does in a thread of its own.

    Args:
        wire: To the exchange.
        runtime: The process it lives in; it ends with that.
        profile: The broker.
        user_id: The account.
        deliver: Takes each value.
    """

    def __init__(
        self,
        wire: Wire,
        runtime: SimulatedRuntime,
        profile: BrokerProfile,
        user_id: str,
        deliver: Callable[[FeedValue], object],
    ) -> None:
        self._wire = wire
        self._runtime = runtime
        self._clock = runtime.clock
        self._profile = profile
        self._user_id = user_id
        self._deliver = deliver
        self._token = ""
        self._refused_token = ""
        self._failures = 0
        self._stopped = False
        self._waiting = False
        self._name = ""
        self._talk: Conversation | None = None
        self._heard_at: datetime | None = None
        self._instruments: dict[str, Instrument] = {}
        self._ticks_wanted = True

    @property
    def heard_at(self) -> datetime | None:
        """When the last frame came in."""
        return self._heard_at

    def start(self, token: str) -> None:
        """Connect with this session token, and stay connected."""
        self.renew(token)

    def renew(self, token: str) -> None:
        """Use this token from the next connection on."""
        self._token = token
        if self._talk is None and not self._waiting:
            self._try_in(0.0)

    def again(self) -> None:
        """Try a token that was refused once more."""
        self._refused_token = ""
        self.renew(self._token)

    def watch(self, instruments: Iterable[Instrument]) -> None:
        """Prices of these are wanted, now and after every reconnect."""
        wanted = tuple(instruments)
        self._instruments.update((one.key, one) for one in wanted)
        if self._talk is not None:
            self._act(self._talk.watch(wanted))

    def unwatch(self, instruments: Iterable[Instrument]) -> None:
        """Prices of these are not wanted any more."""
        gone = tuple(instruments)
        for one in gone:
            self._instruments.pop(one.key, None)
        if self._talk is not None:
            self._act(self._talk.unwatch(gone))

    def more_ticks(self) -> None:
        """The last prices were taken."""
        self._ticks_wanted = True

    def stop(self) -> None:
        """Close the connection and end."""
        self._stopped = True
        self._wire.after(0.0, lambda: self._wire.drop(self._name))

    @property
    def _is_over(self) -> bool:
        return self._stopped or self._runtime.down

    def _try_in(self, seconds: float) -> None:
        self._waiting = True
        self._wire.after(seconds, self._connect)

    def _connect(self) -> None:
        self._waiting = False
        if self._is_over or self._token == self._refused_token:
            return
        self._talk = Conversation(
            self._profile,
            self._user_id,
            self._token,
            ack_timeout_s=_ACK_TIMEOUT_S,
            silence_s=_SILENCE_S,
            instruments=self._instruments.values(),
        )
        self._name = name = self._wire.connect(self)
        self._act(self._talk.opened(self._clock.monotonic()))
        self._wire.after(_POLL_S, lambda: self._poll(name))

    def _poll(self, name: str) -> None:
        """Time passes for the connection, and for the exchange."""
        if self._is_over:
            self._wire.drop(name)
        elif self._talk is not None and name == self._name:
            self._wire.pump()
            self._act(self._talk.ticked(self._clock.monotonic()))
            self._hand_on_ticks()
            self._wire.after(_POLL_S, lambda: self._poll(name))

    def frame_comes(self, name: str, text: str) -> None:
        """A frame of the exchange has arrived."""
        if self._is_over or self._talk is None or name != self._name:
            return
        self._heard_at = self._clock.now()
        self._act(self._talk.received(text, self._clock.monotonic(), self._heard_at))

    def _hand_on_ticks(self) -> None:
        if self._talk is not None and self._talk.has_ticks and self._ticks_wanted:
            self._ticks_wanted = False
            self._deliver(self._talk.ticks())

    def is_closed(self, name: str, code: int, reason: str) -> None:
        """The exchange has closed the socket."""
        if not self._is_over and self._talk is not None and name == self._name:
            refused = code == _POLICY_VIOLATION and not self._talk.acknowledged
            self._down(FeedDown(f"closed by the broker: {code} {reason}".rstrip(), refused))

    def _act(self, turn: Turn) -> None:
        for frame in turn.frames:
            self._wire.send(self._name, frame)
        for value in turn.values:
            self._deliver(value)
        if turn.close is not None:
            self._wire.drop(self._name)
            self._down(turn.close)

    def _down(self, down: FeedDown) -> None:
        self._talk = None
        self._failures += 1
        if down.refused:
            self._refused_token = self._token
        self._deliver(down)
        self._try_in(BACKOFF_S[min(self._failures, len(BACKOFF_S)) - 1])
