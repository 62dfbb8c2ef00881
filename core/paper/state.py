"""Everything one paper exchange knows, in one place: what the digest covers and every part works on."""

from __future__ import annotations

import heapq
import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

from core.paper.accounts import Account, Holding
from core.paper.config import AccountConfig, ExchangeConfig
from core.paper.faults import Faults
from core.paper.instruments import Instrument, Master, shipped_closes, shipped_master
from core.paper.matching import Book
from core.paper.orders import Order, Stage
from core.paper.prices import Candle, Depth, Prices
from core.paper.sessions import Sessions
from core.paper.times import IST, order_number_date, trading_day
from core.paper.wire import Out, Push

__all__ = ["ExchangeState", "Past"]


@dataclass(frozen=True, slots=True)
class Past:
    """What an exchange that goes on with an earlier one's state has to know before anything else.

    Attributes:
        start: When step 0 of its prices began.
        day: Its trading day.
        listed: The day its contracts are listed as of.
        starts: How many times it was started before.
        instruments: The contracts it has orders or positions in, listed or not.
    """

    start: datetime
    day: date
    listed: date
    starts: int
    instruments: tuple[Instrument, ...] = ()


class ExchangeState:
    """The state and the small operations every part needs.

    Args:
        config: How the exchange is set up.
        now: When it starts, or the last moment of the state it goes on with.
        seed: The source of all chance.
        past: The state it goes on with; None for an exchange that begins.
    """

    def __init__(self, config: ExchangeConfig, now: datetime, seed: int, past: Past | None = None) -> None:
        if now.tzinfo is None:
            raise ValueError("paper exchange: now needs a time zone")
        self.config = config
        self.now = now.astimezone(IST)
        self.seed = seed
        self.starts = past.starts + 1 if past else 1
        # Tokens are drawn from it: a later start must not draw those of an earlier one again.
        self.rng = random.Random(f"{seed}/{self.starts}" if past else seed)
        self.day: date = past.day if past else trading_day(self.now, config.day_roll_time)
        self.listed: date = past.listed if past else self.day
        self.start = past.start if past else self.now
        listed = config.instruments or shipped_master(self.listed)
        self.master = Master((*listed, *past.instruments) if past else listed)
        self.prices = Prices(config, self.master, shipped_closes(), self.start, seed)
        self.faults = Faults(self.rng)
        for fault in config.faults:
            self.faults.add(fault)
        self.sessions = Sessions(self.rng)
        self.accounts: dict[str, Account] = {}
        self.orders: dict[str, Order] = {}
        self.books: dict[tuple[str, str], Book] = {}
        self.busy: dict[tuple[str, str], Book] = {}
        self.stages: list[Stage] = []
        self.outbox: list[Out] = []
        self.counters: Counter[str] = Counter()
        self.calls: dict[str, list[int]] = {}
        # What candles and volumes were reckoned of this day (`core.paper.candles`).
        self.candles: dict[tuple[tuple[str, str], datetime, datetime], Candle] = {}
        self.volumes: dict[tuple[tuple[str, str], datetime], int] = {}
        self.step = 0
        self.changed_orders: dict[str, Order] = {}
        self.cleared = False
        self._numbers: Counter[str] = Counter()
        for named in config.accounts:
            self.account(named.uid)

    # -- accounts -----------------------------------------------------------------------------------------------

    def named(self, uid: str) -> AccountConfig | None:
        """The settings of a named account."""
        return next((account for account in self.config.accounts if account.uid == uid), None)

    def knows(self, uid: str) -> bool:
        """Whether a user may log in: any, unless accounts are named."""
        return bool(uid) and (not self.config.accounts or self.named(uid) is not None)

    def account(self, uid: str) -> Account:
        """The account of a user, opened on first sight."""
        account = self.accounts.get(uid)
        if account is None:
            named = self.named(uid)
            cash = named.cash if named is not None and named.cash is not None else self.config.initial_cash
            account = self.accounts[uid] = Account(uid, named, cash)
            for held in named.holdings if named is not None else ():
                instrument = self.master.by_tsym(held.exch, held.tsym)
                if instrument is None:
                    raise ValueError(f"accounts: {uid} holds {held.exch}:{held.tsym}, which is not listed")
                account.holdings[instrument.symbol] = Holding(instrument, held.quantity, held.cost)
        return account

    # -- numbers ------------------------------------------------------------------------------------------------

    def next_order_number(self) -> str:
        """`YYMMDD` and a counter shared by all users (protocol section 5.1)."""
        day = order_number_date(self.day)
        self._numbers[day] += 1
        return f"{day}{self._numbers[day]:08}"

    def next_number(self, series: str) -> int:
        """The next of a series that begins at 1."""
        self._numbers[series] += 1
        return self._numbers[series]

    def numbers(self) -> dict[str, int]:
        """How far every series has come."""
        return dict(self._numbers)

    def raise_numbers(self, least: Mapping[str, int]) -> None:
        """Let series go on from at least these numbers; none ever goes back."""
        for series, number in least.items():
            self._numbers[series] = max(self._numbers[series], number)

    # -- prices -------------------------------------------------------------------------------------------------

    def last(self, instrument: Instrument) -> Decimal:
        """The last traded price in rupees now."""
        return self.prices.last(instrument, self.step)

    def book(self, instrument: Instrument) -> Book:
        """The order book of a contract, refreshed to the present price step."""
        book = self.books.get(instrument.key)
        if book is None:
            book = self.books[instrument.key] = Book(instrument)
        if book.step != self.step:
            book.refresh(self.step, self.prices.depth(instrument, self.step), self.last(instrument))
        return book

    def depth(self, instrument: Instrument) -> Depth:
        """Bids and asks now; reading changes nothing."""
        book = self.books.get(instrument.key)
        if book is None:
            return self.prices.depth(instrument, self.step)
        return book.depth(None if book.step == self.step else self.prices.depth(instrument, self.step))

    def note_busy(self, book: Book) -> None:
        """Remember whether orders wait in a book: only such books are looked at when prices move."""
        if book.is_idle:
            self.busy.pop(book.instrument.key, None)
        else:
            self.busy[book.instrument.key] = book

    def restore_order(self, order: Order) -> None:
        """Put an order of an earlier run where it waits: its stages in the queue, what is left of it into the book."""
        for stage in order.stages:
            heapq.heappush(self.stages, stage)
        if not order.is_at_exchange:
            return
        book = self.book(order.instrument)
        if order.waits_for_trigger:
            book.add_stop(order)
        else:
            book.rest(order)
        self.note_busy(book)

    # -- time ---------------------------------------------------------------------------------------------------

    def after(self, seconds: float) -> datetime:
        """A moment `seconds` from now, stretched by the jitter."""
        jitter = self.config.latency.jitter
        if jitter and seconds:
            seconds *= 1 + jitter * self.rng.random()
        return self.now + timedelta(seconds=seconds)

    def schedule(self, due: datetime, what: str, number: str, arguments: tuple[object, ...] = ()) -> None:
        """Let `what` happen to an order at `due`."""
        stage = (due, self.next_number("stage"), what, number, arguments)
        heapq.heappush(self.stages, stage)
        order = self.orders[number]
        order.stages.append(stage)
        self.changed_orders[number] = order

    def push(self, connection: str, text: str, due: datetime) -> None:
        """Send a frame."""
        self.counters["frames"] += 1
        self.outbox.append(Push(connection, text, due))

    def take_outbox(self) -> tuple[Out, ...]:
        """What has been said since the last time."""
        out = tuple(self.outbox)
        self.outbox.clear()
        return out
