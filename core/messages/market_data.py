"""Quotes and instruments."""

from __future__ import annotations

from dataclasses import dataclass

from core.messages.base import Lane, Message
from core.model.broker import Quote
from core.model.instrument import Instrument, SymbolFile

__all__ = [
    "FindInstruments",
    "GetInstrumentFiles",
    "InstrumentFiles",
    "InstrumentsFound",
    "QuoteRead",
    "QuoteUnreadable",
    "ReadInstrument",
    "ReadQuote",
    "RefreshInstruments",
    "RememberInstrument",
]


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


@dataclass(frozen=True, slots=True)
class ReadInstrument(Message):
    """To BrokerProxy: all that the broker says of one instrument; answered with `InstrumentsFound` to `reply_to`."""

    lane = Lane.READ
    instrument: Instrument
    reply_to: str


@dataclass(frozen=True, slots=True)
class RefreshInstruments(Message):
    """To Instruments: read the symbol files now; answered with `InstrumentFiles` to `reply_to`.

    A person has asked: a file that is much shorter than the last one is believed.
    """

    reply_to: str


@dataclass(frozen=True, slots=True)
class GetInstrumentFiles(Message):
    """To Instruments: which symbol files are in use; answered with `InstrumentFiles`."""


@dataclass(frozen=True, slots=True)
class InstrumentFiles(Message):
    """The symbol files in use, and what is wrong with those that could not be read, one line each."""

    files: tuple[SymbolFile, ...]
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RememberInstrument(Message):
    """To Instruments: the broker has told of an instrument, or more of it, than its symbol file says."""

    instrument: Instrument
