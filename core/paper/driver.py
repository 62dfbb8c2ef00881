"""Brings one exchange to life on one event loop: gives it the time, and carries what it says when it is due.

The exchange itself is a state machine that does nothing unless asked. The driver asks: with each request and frame that
comes, and by itself at `Exchange.next_due()`. It runs on the loop's thread only, so the exchange needs no lock.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from loguru import logger

from core.paper.exchange import Exchange
from core.paper.websocket_connection import WebSocketConnection
from core.paper.wire import Close, Out, Push, Reply, Request
from core.runtime.clock import Clock

MIN_WAIT_S = 0.001
"""The shortest pause between two turns of the exchange, so that one that is always due cannot starve its clients."""

PUSH_LIMIT = 100_000
"""How many frames may wait to become due; beyond it the earliest go out ahead of time."""


class Driver:
    """One exchange, one clock, one loop.

    Args:
        exchange: The exchange to drive; nobody else may touch it.
        clock: Where `now` comes from.
        keep: Writes down what changed; called before anybody hears of it. What raises leaves the request unanswered.
    """

    def __init__(self, exchange: Exchange, clock: Clock, keep: Callable[[], object] = lambda: None) -> None:
        self._exchange = exchange
        self._clock = clock
        self._keep = keep
        self._loop = asyncio.get_running_loop()
        self._sockets: dict[str, WebSocketConnection] = {}
        self._waiting: list[tuple[datetime, int, Out]] = []
        self._count = 0
        self._last = max(clock.now(), exchange.now)
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at: datetime | None = None
        self._names = 0
        self._arm()

    def handle(self, request: Request, answer: Callable[[Reply], None]) -> None:
        """Give `request` to the exchange; `answer` gets its reply, after the frames that are due by then."""
        now = self._now()
        step = self._exchange.handle(request, now)
        self._keep()
        self._schedule(step.out, now)
        self._turn(now)
        reply = step.reply
        if reply is None:
            raise RuntimeError("the exchange gave no reply to a request")
        if reply.delay_s > 0:
            self._loop.call_later(reply.delay_s, answer, reply)
        else:
            answer(reply)

    def control(self, command: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Pass a command to the exchange; what it causes is carried at once. Raises ValueError as the exchange does."""
        now = self._now()
        result = self._exchange.control(command, arguments, now)
        self._advance(now)
        self._turn(now)
        return result

    def snapshot(self) -> dict[str, Any]:
        """All that can be seen of the exchange now."""
        return self._exchange.snapshot(self._now())

    def requests(self) -> list[dict[str, str]]:
        """The last requests of clients."""
        return self._exchange.requests()

    def symbol_file(self, exch: str) -> bytes | None:
        """The symbol file of a segment."""
        return self._exchange.symbol_file(exch)

    def settle(self) -> None:
        """Let the exchange act on the time the clock shows now, and carry what is due."""
        self._turn(self._now())

    def close(self) -> None:
        """Stop driving."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._waiting.clear()

    def new_name(self) -> str:
        """A name for a new connection, unique for this driver and the same in every run."""
        self._names += 1
        return f"ws-{self._names}"

    def opened(self, socket: WebSocketConnection) -> None:
        """A socket finished its handshake."""
        self._sockets[socket.name] = socket
        now = self._now()
        step = self._exchange.connect(socket.name, now)
        self._keep()
        self._schedule(step.out, now)
        self._turn(now)

    def received(self, socket: WebSocketConnection, text: str) -> None:
        """A socket sent a message."""
        now = self._now()
        step = self._exchange.receive(socket.name, text, now)
        self._keep()
        self._schedule(step.out, now)
        self._turn(now)

    def lost(self, socket: WebSocketConnection) -> None:
        """A socket is gone."""
        self._sockets.pop(socket.name, None)
        now = self._now()
        self._exchange.disconnect(socket.name, now)
        self._advance(now)
        self._arm()

    def _now(self) -> datetime:
        # A wall clock may be set back; the exchange is promised a time that never goes back.
        self._last = max(self._last, self._clock.now())
        return self._last

    def _turn(self, now: datetime) -> None:
        """Let the exchange act, send what is due, and set the alarm for what comes next."""
        due = self._exchange.next_due()
        if due is not None and due <= now:
            self._advance(now)
        while self._waiting and (self._waiting[0][0] <= now or len(self._waiting) > PUSH_LIMIT):
            self._carry(heapq.heappop(self._waiting)[2])
        self._arm()

    def _advance(self, now: datetime) -> None:
        out = self._exchange.advance(now)
        self._keep()
        self._schedule(out, now)

    def _schedule(self, out: tuple[Out, ...], now: datetime) -> None:
        latest: dict[str, datetime] = {}
        for item in out:
            # A close or a silence has no time of its own: it goes after what the same step said to the same connection.
            due = item.due if isinstance(item, Push) else latest.get(item.connection, now)
            latest[item.connection] = max(due, latest.get(item.connection, due))
            self._count += 1
            heapq.heappush(self._waiting, (due, self._count, item))

    def _carry(self, item: Out) -> None:
        socket = self._sockets.get(item.connection)
        if socket is None:
            return
        if isinstance(item, Push):
            socket.send(item.text)
        elif isinstance(item, Close):
            socket.close(item.code, item.reason)
        else:
            socket.deaf = True

    def _arm(self) -> None:
        due = self._exchange.next_due()
        if self._waiting and (due is None or self._waiting[0][0] < due):
            due = self._waiting[0][0]
        if due == self._timer_at and self._timer is not None:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._timer_at = due
        if due is not None:
            wait_s = max(MIN_WAIT_S, (due - self._now()).total_seconds())
            self._timer = self._loop.call_later(wait_s, self._alarm)

    def _alarm(self) -> None:
        self._timer = None
        try:
            self._turn(self._now())
        except Exception:
            logger.exception("paper exchange: its own turn failed")
            self._arm()
