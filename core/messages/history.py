"""Candles of the broker, and the calls that they cost."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from core.messages.base import Lane, Message
from core.model.candle import Candle

__all__ = ["CallDenied", "CallGranted", "CallsOver", "ClaimCall", "HistoryRead", "ReadHistory"]


@dataclass(frozen=True, slots=True)
class ReadHistory(Message):
    """To History: the broker's candles of so many minutes, or of days; answered with `HistoryRead` to `reply_to`."""

    lane = Lane.READ
    exchange: str
    symbol: str
    minutes: int | None
    begin: datetime
    end: datetime
    reply_to: str


@dataclass(frozen=True, slots=True)
class HistoryRead(Message):
    """The candles, oldest first, as they were when they were asked for; `problem` says why there are none."""

    exchange: str
    symbol: str
    minutes: int | None
    candles: tuple[Candle, ...]
    asked_at: datetime
    problem: str | None = None

    def trace_text(self) -> str:
        """A stub: there may be thousands."""
        told = self.problem or f"{len(self.candles)} candles"
        return f"HistoryRead({self.exchange!r}, {self.symbol!r}, {self.minutes!r}, {told})"


@dataclass(frozen=True, slots=True)
class ClaimCall(Message):
    """From History to BrokerProxy: so many calls are wanted; answered with `CallGranted` or `CallDenied`."""

    lane = Lane.READ
    calls: int
    reply_to: str

    @property
    def conflation_key(self) -> str:
        return f"call:{self.reply_to}"


@dataclass(frozen=True, slots=True)
class CallGranted(Message):
    """The calls may be made now, and count as under way until `CallsOver`; `token` is that of the session."""

    token: str


@dataclass(frozen=True, slots=True)
class CallsOver(Message):
    """To BrokerProxy: the calls that were granted have their answers, or were not made."""

    lane = Lane.CONTROL
    calls: int


@dataclass(frozen=True, slots=True)
class CallDenied(Message):
    """No call may be made, and why."""

    reason: str
