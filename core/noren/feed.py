"""The push socket of one account: order updates, trades and quotes as they happen.

Built on websocket-client, not on the library's own socket part. The library ignores the acknowledgement of today's
servers and reports a refused token never or as an error without end; it reconnects ten times a second without backoff,
never notices a peer that has gone silent, waits for ever in a subscription while disconnected, and leaves an immortal
thread behind when closed while disconnected (protocol 3.4, observed). None of that can be mended from outside.

The feed only ever speeds things up: everything it says can also be read from the books, and after each connection the
books are to be read (`ResyncNeeded`), because what happened in between is not sent again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from queue import Empty, SimpleQueue
from typing import Any

import websocket

from core.noren.conversation import Conversation, FeedDown, FeedValue, Instrument, ResyncNeeded, Turn
from core.noren.credentials import Credentials, Redactor
from core.noren.frame_socket import FrameSocket
from core.noren.profiles import BrokerProfile
from core.runtime.clock import Clock

__all__ = ["FeedDown", "FeedValue", "Instrument", "PushFeed", "ResyncNeeded"]

BACKOFF_S = (1.0, 2.0, 5.0, 10.0, 30.0)
"""Waits before each further attempt. At least a second: some brokers refuse a connection right after a clean close."""

STEADY_S = 60.0
"""A connection that lasted this long starts the backoff anew. A shorter one does not: another socket of the same user
may be evicting ours, and reconnecting at once would make the two evict each other for ever (protocol 8.3)."""

STOP_LIMIT_S = 5.0
"""How long `stop` waits for the thread."""

TICKS_EVERY_S = 0.05
"""Prices are handed on at most this often, each time the newest of each instrument."""

TICKS_AT_MOST_S = 0.25
"""And this much later at most, where the reading does not come to an end."""

_POLL_S = 0.25
_UNAUTHORISED = (401, 403)
_POLICY_VIOLATION = 1008


class PushFeed:
    """Keeps one push connection, in a thread of its own, until stopped. One per account: brokers allow one.

    Args:
        profile: The broker; its `websocket` is where to connect.
        user_id: The account.
        clock: Time.
        deliver: Takes each value, on the feed's thread, in the order of arrival; it should only pass it on. When it
            raises, the connection is given up and the resync after the next one makes up for what it missed.
        connect_timeout_s: Seconds for one connection attempt.
        ack_timeout_s: Seconds until the broker must have acknowledged.
        silence_s: Seconds without any frame after which the connection counts as dead.
        backoff_s: Waits between attempts; the last one repeats.
    """

    def __init__(
        self,
        profile: BrokerProfile,
        user_id: str,
        *,
        clock: Clock,
        deliver: Callable[[FeedValue], object],
        connect_timeout_s: float,
        ack_timeout_s: float,
        silence_s: float,
        backoff_s: Sequence[float] = BACKOFF_S,
    ) -> None:
        self._profile = profile
        self._user_id = user_id
        self._clock = clock
        self._deliver = deliver
        self._connect_timeout_s = connect_timeout_s
        self._ack_timeout_s = ack_timeout_s
        self._silence_s = silence_s
        self._backoff_s = backoff_s
        self._redactor = Redactor(Credentials(user_id=user_id))
        self._token: str | None = None
        self._refused_token: str | None = None
        self._failures = 0
        self._heard_at: datetime | None = None
        self._instruments: dict[str, Instrument] = {}
        # Instruments whose prices are wanted (True) or not wanted any more, in the order asked.
        self._wanted: SimpleQueue[tuple[bool, tuple[Instrument, ...]]] = SimpleQueue()
        # Whether whoever takes prices has taken the last ones; until then they are merged here.
        self._ticks_wanted = True
        self._ticks_due = 0.0
        self._stopping = threading.Event()
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name="noren-push-feed", daemon=True)

    @property
    def heard_at(self) -> datetime | None:
        """When the last frame came in, pongs included; None before the first. To be read from any thread."""
        return self._heard_at

    def start(self, token: str) -> None:
        """Connect with this session token, and stay connected."""
        self.renew(token)
        self._thread.start()

    def renew(self, token: str) -> None:
        """The account has a new session token: it is used from the next connection on.

        After a refusal the feed waits for this, or for `again`: a dead token tried again and again gets the address
        blocked.
        """
        self._redactor.remember(token)
        self._token = token
        self._wake.set()

    def again(self) -> None:
        """Try a token that was refused once more: what a broker refuses in one moment it may take in another."""
        self._refused_token = None
        self._wake.set()

    def watch(self, instruments: Iterable[Instrument]) -> None:
        """Quotes of these are wanted, now and after every reconnect. Returns at once."""
        self._wanted.put((True, tuple(instruments)))

    def unwatch(self, instruments: Iterable[Instrument]) -> None:
        """Quotes of these are not wanted any more. Returns at once."""
        self._wanted.put((False, tuple(instruments)))

    def more_ticks(self) -> None:
        """The last `Ticks` were taken. Until this is called, prices are merged; order updates go on."""
        self._ticks_wanted = True

    def stop(self) -> None:
        """Close the connection and end the thread, at most `STOP_LIMIT_S` seconds later."""
        self._stopping.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(STOP_LIMIT_S)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wake.clear()
            token = self._token
            if token is None or token == self._refused_token:
                self._wake.wait()
                continue
            started = self._clock.monotonic()
            down = self._connection(token)
            if down is None:
                return
            steady = self._clock.monotonic() - started >= STEADY_S
            self._failures = 1 if steady else self._failures + 1
            if down.refused:
                self._refused_token = token
            self._hand_on(FeedDown(self._redactor.clean(down.reason), down.refused))
            self._wake.wait(self._backoff_s[min(self._failures, len(self._backoff_s)) - 1])

    def _connection(self, token: str) -> FeedDown | None:
        """One connection from beginning to end; why it ended, or None when it was told to stop."""
        # Any: websocket-client is typed in part.
        socket: Any = FrameSocket()
        try:
            socket.connect(self._profile.websocket, timeout=self._connect_timeout_s)
            return self._talk(socket, token)
        except websocket.WebSocketBadStatusException as error:
            return FeedDown(f"HTTP {error.status_code} on connecting", refused=error.status_code in _UNAUTHORISED)
        except (websocket.WebSocketException, OSError, ValueError) as error:
            return FeedDown(f"{type(error).__name__}: {error}")
        except Exception as error:
            # What `deliver` raised. Its value is lost here and found again by the resync.
            return FeedDown(f"a value of the feed was not taken: {type(error).__name__}: {error}")
        finally:
            socket.shutdown()

    def _talk(self, socket: Any, token: str) -> FeedDown | None:
        talk = Conversation(
            self._profile,
            self._user_id,
            token,
            ack_timeout_s=self._ack_timeout_s,
            silence_s=self._silence_s,
            instruments=self._instruments.values(),
        )
        now = self._clock.monotonic
        down = self._act(socket, talk.opened(now()))
        while down is None and not self._stopping.is_set():
            # Prices that wait go out when they are due, and not when the next frame comes.
            socket.settimeout(TICKS_EVERY_S if talk.has_ticks and self._ticks_wanted else _POLL_S)
            down = self._act(socket, self._next(socket, talk))
            self._hand_on_ticks(socket, talk)
            down = down or self._act(socket, talk.ticked(now()), ping=True)
            down = down or self._act(socket, self._watch_more(talk))
        if down is None:
            socket.close(timeout=_POLL_S)
        return down

    def _next(self, socket: Any, talk: Conversation) -> Turn:
        """The next frame, or nothing within the poll interval."""
        try:
            kind, frame = socket.recv_data_frame(control_frame=True)
        except websocket.WebSocketTimeoutException:
            return Turn()
        now, at = self._clock.monotonic(), self._clock.now()
        self._heard_at = at
        if kind == websocket.ABNF.OPCODE_CLOSE:
            return Turn(close=_closed(frame.data, acknowledged=talk.acknowledged))
        if kind in (websocket.ABNF.OPCODE_TEXT, websocket.ABNF.OPCODE_BINARY):
            return talk.received(frame.data.decode("utf-8", errors="replace"), now, at)
        talk.heard(now)
        return Turn()

    def _hand_on_ticks(self, socket: Any, talk: Conversation) -> None:
        """Once what has come is read: where frames come faster than they are read, an order update may be behind."""
        now = self._clock.monotonic()
        if not self._ticks_wanted or now < self._ticks_due or not talk.has_ticks:
            return
        if socket.has_more and now < self._ticks_due + TICKS_AT_MOST_S:
            return
        self._ticks_due = now + TICKS_EVERY_S
        ticks = talk.ticks()
        if ticks.quotes or ticks.wrong:
            self._ticks_wanted = False
            self._deliver(ticks)

    def _watch_more(self, talk: Conversation) -> Turn:
        frames: tuple[str, ...] = ()
        while True:
            try:
                wanted, instruments = self._wanted.get_nowait()
            except Empty:
                return Turn(frames)
            if wanted:
                self._instruments.update((instrument.key, instrument) for instrument in instruments)
                frames += talk.watch(instruments).frames
            else:
                for instrument in instruments:
                    self._instruments.pop(instrument.key, None)
                frames += talk.unwatch(instruments).frames

    def _act(self, socket: Any, turn: Turn, *, ping: bool = False) -> FeedDown | None:
        for frame in turn.frames:
            socket.send(frame)
            if ping:
                # Not every broker answers the heartbeat in text; every WebSocket answers a ping.
                socket.ping()
        for value in turn.values:
            self._deliver(value)
        return turn.close

    def _hand_on(self, down: FeedDown) -> None:
        try:
            self._deliver(down)
        except Exception:
            # Nobody takes it; there is nobody left to tell, and the feed must go on.
            return


def _closed(data: bytes, *, acknowledged: bool) -> FeedDown:
    """What a close frame says. Some brokers answer a bad token with code 1008 (protocol 8.2)."""
    code = int.from_bytes(data[:2], "big") if len(data) >= 2 else None
    words = data[2:].decode("utf-8", errors="replace")
    refused = code == _POLICY_VIOLATION and not acknowledged
    return FeedDown(f"closed by the broker: {code} {words}".rstrip(), refused)
