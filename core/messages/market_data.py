"""Quotes and instruments."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from core.messages.base import Lane, Message
from core.model.broker import PriceBand, Quote, Ticks
from core.model.instrument import Instrument, SymbolFile

__all__ = [
    "BandRead",
    "ChainFound",
    "CompleteInstrument",
    "FindInstruments",
    "GetChain",
    "GetInstrument",
    "GetInstrumentFiles",
    "GetQuote",
    "InstrumentFiles",
    "InstrumentTold",
    "InstrumentsFound",
    "MoreTicks",
    "QuoteRead",
    "QuoteUnreadable",
    "ReadInstrument",
    "ReadQuote",
    "RefreshInstruments",
    "RememberInstrument",
    "SubscribePrices",
    "TicksLost",
    "TicksPushed",
    "TicksTold",
    "UnsubscribePrices",
    "UnwatchPrices",
    "WatchPrices",
]


@dataclass(frozen=True, slots=True)
class ReadQuote(Message):
    """To BrokerProxy: the touchline of one instrument; answered with `QuoteRead` or `QuoteUnreadable`.

    `every_s` is how often the reader asks for it, so that the call budget can be planned; 0: it says nothing of that.
    """

    exchange: str
    symbol: str
    reply_to: str
    every_s: float = 0.0

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
class GetQuote(Message):
    """To Prices: the last price, from the feed while that is fresh, else from the broker; answered as `ReadQuote`.

    `every_s`: it will be asked for again each so many seconds, so the feed is to carry it meanwhile. `depth`: with its
    levels. `patient`: the feed's last price or its next one, and no call to the broker: for whoever asks for many.
    """

    exchange: str
    symbol: str
    reply_to: str
    every_s: float = 0.0
    depth: bool = False
    patient: bool = False

    @property
    def place(self) -> str:
        return f"{self.exchange}:{self.symbol}"


@dataclass(frozen=True, slots=True)
class SubscribePrices(Message):
    """To Prices: each tick of these is wanted, with five levels for `depth`; they come to `reply_to` as `TicksTold`."""

    exchange: str
    symbols: tuple[str, ...]
    reply_to: str
    depth: bool = False


@dataclass(frozen=True, slots=True)
class UnsubscribePrices(Message):
    """To Prices: these are not wanted any more by `reply_to`."""

    exchange: str
    symbols: tuple[str, ...]
    reply_to: str


@dataclass(frozen=True, slots=True)
class TicksTold(Message):
    """From Prices to who subscribed: the newest price of each instrument that changed since the last `MoreTicks`."""

    lane = Lane.READ
    traced = False
    quotes: tuple[Quote, ...]
    at_all_hours: bool = False
    """Whether the exchange trades outside its sessions too, as the paper exchange does."""


@dataclass(frozen=True, slots=True)
class TicksLost(Message):
    """From Prices to who subscribed: the feed is up again, and what it would have brought meanwhile is lost."""


@dataclass(frozen=True, slots=True)
class MoreTicks(Message):
    """To Prices, from who took a `TicksTold`; and from Prices to OrderFeed. Until then, prices are merged."""

    lane = Lane.CONTROL
    traced = False


@dataclass(frozen=True, slots=True)
class WatchPrices(Message):
    """From Prices to OrderFeed: the feed is to carry the prices of these, also after each reconnect."""

    instruments: tuple[Instrument, ...]
    depth: bool = False


@dataclass(frozen=True, slots=True)
class UnwatchPrices(Message):
    """From Prices to OrderFeed: the feed need not carry these any more."""

    instruments: tuple[Instrument, ...]


@dataclass(frozen=True, slots=True)
class TicksPushed(Message):
    """To Prices, from the feed's thread: what came since the last `MoreTicks`."""

    lane = Lane.READ
    traced = False
    ticks: Ticks


@dataclass(frozen=True, slots=True)
class BandRead(Message):
    """To CommandService: the broker told the day's price band of an instrument."""

    traced = False
    exchange: str
    symbol: str
    band: PriceBand


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


@dataclass(frozen=True, slots=True)
class CompleteInstrument(Message):
    """To Instruments: ask the broker for what the symbol files lack of an instrument; once a day, nobody waits."""

    exchange: str
    symbol: str


@dataclass(frozen=True, slots=True)
class GetInstrument(Message):
    """To Instruments: which instrument does a name mean? Answered with `InstrumentTold` to `reply_to`."""

    name: str
    exchange: str
    reply_to: str


@dataclass(frozen=True, slots=True)
class InstrumentTold(Message):
    """What a name means, by the symbol files; None where they have no such name, with `near` ones."""

    name: str
    exchange: str
    instrument: Instrument | None
    near: tuple[Instrument, ...] = ()


@dataclass(frozen=True, slots=True)
class GetChain(Message):
    """To Instruments: the contracts of one expiry; answered with `ChainFound` to `reply_to`.

    Attributes:
        underlying: NIFTY, RELIANCE, …
        expiry: None for the nearest expiry of its options.
        around: A price: only the strikes nearest to it are wanted.
        strikes: How many on each side of the one nearest to `around`.
    """

    underlying: str
    expiry: date | None
    around: Decimal | None
    strikes: int
    reply_to: str


@dataclass(frozen=True, slots=True)
class ChainFound(Message):
    """The options of one expiry by strike, CE before PE, and all `expiries`; no options where there are none."""

    underlying: str
    expiry: date | None
    expiries: tuple[date, ...]
    options: tuple[Instrument, ...]
