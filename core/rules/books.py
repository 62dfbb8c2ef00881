"""What the broker's books showed on this trading day: rows cannot vanish from them before it ends (scenario G12).

Brokers answer "no data" in mid-day, and books that lack rows. Such an answer is no news: it proves no order absent, no
position flat and no P&L zero. In the hours in which brokers clear their books, positions that every read has lacked for
long are gone. `BookMemory` is owned by the OrderWatcher actor and tested without one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from core.messages import Alert, BrokerReadable, Message
from core.model.alerts import AlertKind
from core.model.broker import BrokerPosition
from core.model.calendar import TradingCalendar
from core.model.outcomes import Book

__all__ = ["BookMemory", "Doubt", "Readability", "position_key"]

_NAMED = 5


@dataclass(frozen=True, slots=True)
class Doubt:
    """A book lacks rows that it showed today.

    `unreadable`: it lacks all or most of them, so that it counts as not read at all. `cleared`: the broker may have
    cleared its books since it showed them: nobody need be alarmed, and nothing follows at once.
    """

    reason: str
    unreadable: bool
    cleared: bool


class BookMemory:
    """The keys of the rows that each book showed on the current trading day.

    Args:
        calendar: The trading days.
        gone_after: How long reads must lack a position that the broker may have cleared, until it counts as cleared.
    """

    def __init__(self, calendar: TradingCalendar, gone_after: timedelta = timedelta(seconds=60)) -> None:
        self.cleared = False
        """Whether the broker has cleared positions ahead of the trading day's end: their P&L is this day's no more."""

        self._calendar = calendar
        self._gone_after = gone_after
        self._day: date | None = None
        self._seen: dict[Book, set[str]] = {book: set() for book in Book}
        self._rows: dict[str, tuple[BrokerPosition, ...]] = {}
        # Net quantities that the position book showed first since the markets opened.
        self._first: Counter[str] | None = None
        # Symbols that filled, with the steady time from which on a read must show them.
        self._filled: dict[str, datetime] = {}
        # Symbols shown before the markets opened and not since, and the first of the reads that lack a symbol.
        self._early: set[str] = set()
        self._lacking: dict[str, datetime] = {}

    def begin(self, now: datetime) -> bool:
        """Begin the trading day of `now`. Whether it is another than before."""
        day = self._calendar.day(now)
        if day == self._day:
            return False
        self._day = day
        self._seen = {book: set() for book in Book}
        self._rows.clear()
        self._first = None
        self._filled.clear()
        self._early.clear()
        self._lacking.clear()
        self.cleared = False
        return True

    def note(self, book: Book, keys: Iterable[str], now: datetime) -> None:
        """Rows that a book showed, or that it must show by our own record of this time of today.

        Until the markets open the broker may yet clear its books: what they show before is not kept in mind.
        """
        if not self._calendar.before_markets(now):
            self._seen[book].update(keys)

    def doubt(self, book: Book, shown: Iterable[str], now: datetime) -> Doubt | None:
        """Why a book that shows these rows is not the whole book; None when it may be."""
        seen = self._seen[book]
        missing = seen.difference(shown)
        if not missing:
            return None
        cleared = self._calendar.after_midnight(now)
        named = ", ".join(sorted(missing)[:_NAMED]) + (", …" if len(missing) > _NAMED else "")
        reason = f"the {book} lacks {len(missing)} of {len(seen)} rows of today: {named}"
        return Doubt(reason, 2 * len(missing) > len(seen), cleared)

    # Positions

    def note_filled(self, exchange: str, symbol: str, steady: datetime, now: datetime) -> None:
        """An order of today filled: whoever asks for positions from now on must be shown this symbol."""
        if not self._calendar.before_markets(now):
            self._filled.setdefault(f"{exchange} {symbol}", steady)

    def completed(
        self, positions: tuple[BrokerPosition, ...], asked_at: datetime, now: datetime
    ) -> tuple[BrokerPosition, ...] | Doubt:
        """The position book with what it lacks, or why it says nothing. `asked_at` is by the steady clock.

        A symbol that was flat and is not shown any more is put back as it was shown last: its P&L was made. One that
        was held is neither held nor flat by such a read.
        """
        self.note(Book.POSITIONS, [key for key, since in self._filled.items() if since < asked_at], now)
        shown = {position_key(position) for position in positions}
        self._forget_cleared(shown, asked_at, now)
        doubt = self.doubt(Book.POSITIONS, shown, now)
        if doubt is None:
            return positions
        missing = self._lacking.keys()
        doubt = replace(doubt, cleared=doubt.cleared or missing <= self._early)
        rows = tuple(row for key in sorted(missing) for row in self._rows.get(key, ()))
        flat = all(key in self._rows and not any(row.net_quantity for row in self._rows[key]) for key in missing)
        return (*positions, *rows) if flat and positions and not doubt.cleared else doubt

    def _forget_cleared(self, shown: set[str], asked_at: datetime, now: datetime) -> None:
        """Between midnight and the opening the broker clears its books: what all reads lack for long is gone."""
        seen, past_midnight = self._seen[Book.POSITIONS], self._calendar.after_midnight(now)
        self._lacking = {key: self._lacking.get(key, asked_at) for key in seen - shown}
        for key, since in tuple(self._lacking.items()):
            if (past_midnight or key in self._early) and asked_at - since >= self._gone_after:
                self.cleared = self.cleared or past_midnight
                seen.discard(key)
                del self._lacking[key]
                self._filled.pop(key, None)
                self._rows.pop(key, None)

    def note_positions(self, positions: tuple[BrokerPosition, ...], now: datetime) -> None:
        """The position book as it was taken."""
        rows: dict[str, list[BrokerPosition]] = {}
        for position in positions:
            rows.setdefault(position_key(position), []).append(position)
        if self._calendar.before_markets(now):
            self._early |= rows.keys()
        else:
            self._early -= rows.keys()
            self._first = _nets(positions) if self._first is None else self._first
        self._seen[Book.POSITIONS] |= rows.keys()
        self._rows |= {key: tuple(found) for key, found in rows.items()}

    def moved(self, exchange: str, symbol: str, positions: tuple[BrokerPosition, ...]) -> bool:
        """Whether the position in a symbol is another than the position book showed first on this day."""
        key = f"{exchange} {symbol}"
        return self._first is not None and _nets(positions)[key] != self._first[key]


class Readability:
    """Whether the broker can be read: order book and positions were, and no book keeps failing."""

    def __init__(self, alarm_after: int) -> None:
        self.failures: Counter[Book] = Counter()
        self.told: BrokerReadable | None = None
        self._alarm_after = alarm_after
        self._read_once: set[Book] = set()

    def failed(self, book: Book, reason: str) -> list[Message]:
        """A read brought nothing. What is to be told of it."""
        self.failures[book] += 1
        if self.failures[book] != self._alarm_after:
            return []
        kind = AlertKind.UNREADABLE
        alert = Alert(kind.severity, kind, f"{book} unreadable {self._alarm_after} times: {reason}")
        return [alert, *self._turn(readable=False, reason=f"the {book} cannot be read: {reason}")]

    def read(self, book: Book, *, explained: bool) -> list[Message]:
        """A book was read, and what it says is on its way to the database; `explained`: down to the last fill."""
        self.failures[book] = 0
        self._read_once.add(book)
        if not {Book.ORDERS, Book.POSITIONS} <= self._read_once or (self.told is None and not explained):
            # Orders wait until the fills of the time before the start are booked and told (scenario B10).
            return []
        failing = any(count >= self._alarm_after for count in self.failures.values())
        return [] if failing else self._turn(readable=True, reason="")

    def _turn(self, *, readable: bool, reason: str) -> list[Message]:
        if self.told is not None and self.told.readable is readable:
            return []
        self.told = BrokerReadable(readable, reason)
        return [self.told]


def _nets(positions: tuple[BrokerPosition, ...]) -> Counter[str]:
    """The net quantity of each symbol, all products together: a conversion is no trade."""
    nets: Counter[str] = Counter()
    for position in positions:
        nets[position_key(position)] += position.net_quantity
    return nets


def position_key(position: BrokerPosition) -> str:
    """A row of the position book: by its symbol, since a conversion moves it from one product to another."""
    return f"{position.exchange} {position.symbol}"
