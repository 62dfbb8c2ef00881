"""How BrokerProxy calls the broker: each call counted and noted, each read as the message that answers it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Protocol

from core.messages import (
    BookUnreadable,
    CallDenied,
    CallGranted,
    ClaimCall,
    FindInstruments,
    FundsRead,
    HoldingsRead,
    InstrumentsFound,
    MarginRead,
    Message,
    OrderBookRead,
    PositionsRead,
    QuoteRead,
    QuoteUnreadable,
    ReadFunds,
    ReadHoldings,
    ReadInstrument,
    ReadMargin,
    ReadOrderBook,
    ReadPositions,
    ReadQuote,
    ReadTradeBook,
    TradeBookRead,
)
from core.model.broker import BrokerHolding, BrokerOrderReport, BrokerPosition, BrokerTrade, Funds, MarginLeg, Quote
from core.model.instrument import Instrument
from core.model.order import Order, OrderType, Validity
from core.model.outcomes import Book, LoginOutcome, OrderOutcome, ReadFailure
from core.process.call_log import CallLog
from core.rules.call_budget import RateLimiter
from core.rules.call_plan import Use
from core.rules.call_queue import READS, Read
from core.runtime import Clock

__all__ = ["BrokerCalls", "BrokerClient", "unreadable"]

# Different texts told about rows that could not be read; a book that is wrong throughout must not flood a person.
_UNREADABLE_LIMIT = 100
_BOOKS = {ReadOrderBook: Book.ORDERS, ReadTradeBook: Book.TRADES, ReadPositions: Book.POSITIONS}


class _Limits(Protocol):
    """`core.noren.Limits`."""

    @property
    def cash(self) -> Decimal | None: ...
    @property
    def payin(self) -> Decimal | None: ...
    @property
    def margin_used(self) -> Decimal | None: ...
    @property
    def collateral(self) -> Decimal | None: ...


class BrokerClient(Protocol):
    """What the proxy calls: `core.noren.NorenClient`, or a test's object that answers at once.

    A read raises `ReadError`; nothing else leaves any of these calls.
    """

    def login(self) -> LoginOutcome: ...
    def take_token(self, access_token: str) -> LoginOutcome: ...
    def place_order(self, order: Order) -> OrderOutcome: ...
    def modify_order(
        self,
        broker_order_id: str,
        *,
        exchange: str,
        symbol: str,
        quantity: int,
        order_type: OrderType,
        price: Decimal | None,
        trigger_price: Decimal | None,
        validity: Validity,
    ) -> OrderOutcome: ...
    def cancel_order(self, broker_order_id: str) -> OrderOutcome: ...
    def order_book(self) -> tuple[BrokerOrderReport, ...]: ...
    def trade_book(self) -> tuple[BrokerTrade, ...]: ...
    def positions(self) -> tuple[BrokerPosition, ...]: ...
    def holdings(self) -> tuple[BrokerHolding, ...]: ...
    def limits(self) -> _Limits: ...
    def margin(self, legs: Sequence[MarginLeg]) -> Decimal: ...
    def quote(self, exchange: str, symbol: str) -> Quote: ...
    def instruments(self, exchange: str, text: str) -> tuple[Instrument, ...]: ...
    def instrument_details(self, known: Instrument) -> Instrument: ...
    def quote_calls(self, exchange: str, symbol: str) -> int:
        """How many calls to the broker `quote` will make."""
        ...

    def take_unreadable(self) -> tuple[str, ...]:
        """Texts about rows and fields of the last reads that could not be read."""
        ...


class BrokerCalls:
    """Part of the BrokerProxy actor. `use` is what the calls are for; `made` counts them by what asked for them, and
    `token` is that of the session."""

    def __init__(self, clock: Clock, limiter: RateLimiter, log: Callable[[], CallLog] | None) -> None:
        self.use = Use.EXIT
        self.made: dict[str, int] = {}
        self.token = ""
        self._clock = clock
        self._limiter = limiter
        self._open_log = log
        self._log: CallLog | None = None
        self._book: tuple[BrokerOrderReport, ...] = ()
        self._unreadable: set[str] = set()

    def open(self) -> None:
        """Reckon with the calls of the process before."""
        if self._open_log is not None:
            self._log = self._open_log()
            now = self._clock.monotonic()
            self._limiter.remember(now - age for age in self._log.ages(self._clock.steady().timestamp()))

    def close(self) -> None:
        """No call follows."""
        if self._log is not None:
            self._log.close()

    def begin(self, calls: int = 1, *, asked: Message | None = None) -> None:
        """So many calls follow; `asked` is the message that they carry out."""
        if asked is not None:
            kind = type(asked).__name__
            self.made[kind] = self.made.get(kind, 0) + 1
        if isinstance(asked, ClaimCall):
            self._limiter.lend(calls)
        else:
            self._limiter.spend(self._clock.monotonic(), self.use, calls)
        self._log_begin(calls)

    def end(self) -> None:
        """The calls are over."""
        self._limiter.ended(self._clock.monotonic())
        if self._log is not None:
            self._log.end(self._clock.steady().timestamp())

    def given_back(self, calls: int) -> None:
        """Calls that somebody claimed are over. In the log they are twice: when they began, and now."""
        self._limiter.give_back(self._clock.monotonic(), calls)
        self._log_begin(calls)

    def _log_begin(self, calls: int) -> None:
        if self._log is not None:
            self._log.begin(self._clock.steady().timestamp(), calls)

    def login(self, call: Callable[[], LoginOutcome]) -> LoginOutcome:
        """Make this call for a login."""
        self.use = Use.EXIT
        self.begin()
        outcome = call()
        self.end()
        return outcome

    def read(self, client: BrokerClient, message: Read) -> Message:  # noqa: PLR0911 - one a kind
        """Read what `message` asks for.

        Raises:
            ReadError: There is no answer that can be used.
        """
        now = self._clock.now
        self._limiter.read(self._clock.monotonic(), READS[type(message)])
        asked_at = self._clock.steady()
        match message:
            case ReadOrderBook():
                reports = client.order_book()
                return OrderBookRead(reports, asked_at, now(), self._changed(reports))
            case ReadTradeBook():
                return TradeBookRead(client.trade_book(), asked_at, now())
            case ReadPositions():
                return PositionsRead(client.positions(), asked_at, now())
            case ReadHoldings() | ReadFunds():
                return _owned(client, message)
            case ReadMargin(legs=legs):
                return MarginRead(client.margin(legs))
            case ReadQuote(exchange=exchange, symbol=symbol):
                return QuoteRead(client.quote(exchange, symbol))
            case FindInstruments() | ReadInstrument():
                return InstrumentsFound(_searched(client, message))
            case ClaimCall():
                return CallGranted(self.token)

    def _changed(self, reports: tuple[BrokerOrderReport, ...]) -> tuple[str, ...]:
        """The numbers of the rows that are news: for one that is as it was, the client gives the same object again."""
        if reports is self._book:
            return ()
        before, self._book = set(map(id, self._book)), reports
        return tuple(report.broker_order_id for report in reports if id(report) not in before)

    def newly_unreadable(self, client: BrokerClient) -> list[str]:
        """What rows and fields nobody could read, each text once (scenario B15)."""
        found = []
        for text in client.take_unreadable():
            if text not in self._unreadable and len(self._unreadable) < _UNREADABLE_LIMIT:
                self._unreadable.add(text)
                found.append(text)
        return found


def _owned(client: BrokerClient, message: ReadHoldings | ReadFunds) -> HoldingsRead | FundsRead:
    if isinstance(message, ReadHoldings):
        return HoldingsRead(client.holdings())
    told = client.limits()
    return FundsRead(Funds(cash=told.cash, payin=told.payin, margin_used=told.margin_used, collateral=told.collateral))


def _searched(client: BrokerClient, message: FindInstruments | ReadInstrument) -> tuple[Instrument, ...]:
    if isinstance(message, ReadInstrument):
        return (client.instrument_details(message.instrument),)
    return client.instruments(message.exchange, message.text)


_OF_MONEY: Mapping[type, Callable[[None, str], Message]] = {
    ReadHoldings: HoldingsRead,
    ReadFunds: FundsRead,
    ReadMargin: MarginRead,
}


def unreadable(message: Read, failure: ReadFailure, reason: str) -> Message:
    """The answer to a read that failed."""
    match message:
        case ReadHoldings() | ReadFunds() | ReadMargin():
            return _OF_MONEY[type(message)](None, reason)
        case ReadQuote(exchange=exchange, symbol=symbol):
            return QuoteUnreadable(exchange, symbol, reason)
        case FindInstruments() | ReadInstrument():
            return InstrumentsFound((), reason)
        case ClaimCall():
            return CallDenied(reason)
        case ReadOrderBook() | ReadTradeBook() | ReadPositions():
            return BookUnreadable(_BOOKS[type(message)], failure, reason)
