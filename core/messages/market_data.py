"""Quotes and instruments."""

from __future__ import annotations

from dataclasses import dataclass

from core.messages.base import Lane, Message
from core.model.broker import Instrument, Quote

__all__ = ["FindInstruments", "InstrumentsFound", "QuoteRead", "QuoteUnreadable", "ReadQuote"]


@dataclass(frozen=True, slots=True)
class ReadQuote(Message):
    """To BrokerProxy: the touchline of one instrument; answered with `QuoteRead` or `QuoteUnreadable`."""

    exchange: str
    symbol: str
    reply_to: str

    lane = Lane.READ

    @property
    def conflation_key(self) -> str:
        return f"quote:{self.exchange}:{self.symbol}:{self.reply_to}"


@dataclass(frozen=True, slots=True)
class QuoteRead(Message):
    quote: Quote


@dataclass(frozen=True, slots=True)
class QuoteUnreadable(Message):
    exchange: str
    symbol: str
    reason: str


@dataclass(frozen=True, slots=True)
class FindInstruments(Message):
    """To BrokerProxy: instruments whose symbol holds `text`; answered with `InstrumentsFound` to `reply_to`."""

    lane = Lane.READ
    exchange: str
    text: str
    reply_to: str


@dataclass(frozen=True, slots=True)
class InstrumentsFound(Message):
    """What the broker's search gave; `problem` says why it gave nothing."""

    instruments: tuple[Instrument, ...]
    problem: str | None = None
