"""Reads the broker's candles, on a connection of its own: TPSeries may take seconds, and no order waits for it.

Owns what is asked for and not answered yet. Takes `ReadHistory`; BrokerProxy, which counts every call, grants each one
(`ClaimCall`) when nothing of more worth wants it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from actors.addresses import Addresses
from core.messages import CallDenied, CallGranted, CallsOver, ClaimCall, HistoryRead, ReadHistory, Tick
from core.model.candle import Candle
from core.model.outcomes import ReadError
from core.runtime import Actor, Runtime

__all__ = ["History", "HistoryClient"]

_AGAIN = "again"
# A claim that was lost with a failed handler is made anew.
_AGAIN_S = 60.0
_MOST_WAITING = 100


class HistoryClient(Protocol):
    """What is called: `core.noren.HistoryClient`, or a test's. A read raises `ReadError`, and nothing else."""

    def use_session(self, token: str) -> None: ...
    def history_calls(self, exchange: str, symbol: str, minutes: int | None) -> int: ...
    def history(
        self, exchange: str, symbol: str, minutes: int | None, begin: datetime, end: datetime
    ) -> tuple[Candle, ...]: ...


@dataclass(frozen=True, slots=True)
class _Asked:
    exchange: str
    symbol: str
    minutes: int | None
    begin: datetime
    end: datetime


class History(Actor):
    """Who asks for the same shares one answer. `open_client` is called with the first call, on the actor's thread."""

    def __init__(
        self, runtime: Runtime, name: str, *, addresses: Addresses, open_client: Callable[[], HistoryClient]
    ) -> None:
        super().__init__(runtime, name)
        self._addresses = addresses
        self._open_client = open_client
        self._client: HistoryClient | None = None
        self._waiting: dict[_Asked, list[str]] = {}
        self._in_call: tuple[_Asked, list[str]] | None = None
        self._claimed = 0

    def rebuild(self) -> None:
        """What waits is still to be read; the one whose call failed is answered."""
        if self._in_call is not None:
            (asked, names), self._in_call = self._in_call, None
            self._answer(asked, names, (), "an error in Sixstep during the call")
            self._give_back()
        self._claim()

    def on_read_history(self, message: ReadHistory) -> None:
        asked = _Asked(message.exchange, message.symbol, message.minutes, message.begin, message.end)
        if asked not in self._waiting and len(self._waiting) >= _MOST_WAITING:
            self._answer(asked, [message.reply_to], (), f"{_MOST_WAITING} requests for candles wait already")
            return
        self._waiting.setdefault(asked, []).append(message.reply_to)
        if len(self._waiting) == 1:
            self._claim()

    def on_tick(self, _: Tick) -> None:
        self._claim()

    def on_call_granted(self, message: CallGranted) -> None:
        if not self._waiting:
            self._give_back()
            return
        asked = next(iter(self._waiting))
        names = self._waiting.pop(asked)
        self._in_call = asked, names
        if self._client is None:
            self._client = self._open_client()
        self._client.use_session(message.token)
        asked_at = self.clock.now()
        candles: tuple[Candle, ...] = ()
        problem = None
        try:
            candles = self._client.history(asked.exchange, asked.symbol, asked.minutes, asked.begin, asked.end)
        except ReadError as error:
            problem = error.reason
        self._in_call = None
        self._give_back()
        self._answer(asked, names, candles, problem, asked_at)
        self._claim()

    def on_call_denied(self, message: CallDenied) -> None:
        waiting, self._waiting = self._waiting, {}
        for asked, names in waiting.items():
            self._answer(asked, names, (), message.reason)

    def _claim(self) -> None:
        if not self._waiting:
            self.cancel(_AGAIN)
            return
        asked = next(iter(self._waiting))
        # Before the first call nobody knows the instrument's token.
        client = self._client
        self._claimed = client.history_calls(asked.exchange, asked.symbol, asked.minutes) if client is not None else 2
        self.tell(self._addresses.broker_proxy, ClaimCall(self._claimed, self.name))
        self.after(_AGAIN, _AGAIN_S)

    def _give_back(self) -> None:
        self.tell(self._addresses.broker_proxy, CallsOver(self._claimed))

    def _answer(
        self,
        asked: _Asked,
        names: list[str],
        candles: tuple[Candle, ...],
        problem: str | None,
        asked_at: datetime | None = None,
    ) -> None:
        at = asked_at or self.clock.now()
        answer = HistoryRead(asked.exchange, asked.symbol, asked.minutes, candles, at, problem)
        for name in names:
            self.tell_name(name, answer)
