"""The orders that are, or may be, at the broker, and which row of its books is whose."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta

from core.messages import Alert, Message, ModifyNotDone, RecordAbsent, RecordReport, SetHalt
from core.messages.envelope import Envelope
from core.model.alerts import AlertKind
from core.model.broker import BrokerOrderReport, BrokerStatus, BrokerTrade
from core.model.calendar import TradingCalendar
from core.model.order import Fill, Modification, Order, Tag
from core.model.positions import OwnFill
from core.rules.order_matching import (
    LONG_GRACES,
    PROOF_READS,
    Looked,
    absence,
    as_changed,
    at_least,
    counted,
    expired,
    is_news,
    needs_trades,
    our_tag_of,
)

__all__ = ["BookSaid", "Externals", "IdleRows", "Told", "Watch", "Watched"]


# How long after it was wanted a modification may yet be asked for that nothing was heard of.
_UNANSWERED = timedelta(seconds=60)


@dataclass(slots=True)
class Watch:
    """One order that is, or may be, at the broker."""

    order: Order
    envelope: Envelope  # the last word of OrderRepo about it: what is told of the order later is an effect of that
    unknown_since: datetime | None = None
    missed: int = 0
    # Reads since the markets opened that miss an order with a number from before, and when the first was asked for.
    missed_open: int = 0
    missed_open_since: datetime | None = None
    cleared: bool = False  # whether it was told that the broker cleared its book before the order had ended
    ended: bool = False  # whether it was told that no book tells any more what it filled at its end
    last: BrokerOrderReport | None = None
    # Since when other terms are asked for, and how many reads since then show the old ones.
    modifying_since: datetime | None = None
    unmodified: int = 0
    filled: int = 0  # the most that the broker ever counted as filled
    fruitless: int = 0  # trade book reads in a row that did not explain what the order book says was filled
    # Further broker orders under this order's tag (scenario A14): number to the last report that was recorded.
    doubles: dict[str, BrokerOrderReport] = field(default_factory=dict)


class IdleRows:
    """Rows of the order book that said nothing new of an order that is over: most of a day's book, each second.

    Such a row is passed over as long as it is the very report that was compared, and nothing was heard of its order.
    """

    def __init__(self) -> None:
        # By the identity of the report, which is kept here, so that no other report can have it.
        self._rows: dict[int, BrokerOrderReport] = {}
        self._by_tag: dict[str, int] = {}

    def others(self, reports: Sequence[BrokerOrderReport]) -> list[BrokerOrderReport]:
        """The rows that must be compared."""
        rows = self._rows
        return [report for report in reports if id(report) not in rows]

    def note(self, order: Order, report: BrokerOrderReport, today: date) -> None:
        """A row was compared, and nothing is to be done about it."""
        one = order.is_final and order.broker_order_id == report.broker_order_id and order.parts == 1
        if one and order.trading_day == today:
            self.forget(order.client_tag)
            self._rows[id(report)], self._by_tag[order.client_tag] = report, id(report)

    def forget(self, tag: str) -> None:
        """The order is another than the one that was compared."""
        self._rows.pop(self._by_tag.pop(tag, 0), None)

    def clear(self) -> None:
        """A new day: numbers are used again."""
        self._rows.clear()
        self._by_tag.clear()


Told = list[tuple[Watch, Message]]
"""What is to be told of orders, in this order: alerts, and what OrderRepo is to record."""


@dataclass(slots=True)
class BookSaid:
    """What an order book says: orders of ours it shows, all open ones among them, and what they filled; the rows of
    nobody here; what to tell."""

    seen: set[str] = field(default_factory=set)
    own: dict[str, OwnFill] = field(default_factory=dict)
    externals: dict[str, BrokerOrderReport] = field(default_factory=dict)
    told: Told = field(default_factory=list)


class Externals:
    """Orders nobody here placed: shown, counted in positions, never touched (scenario B9)."""

    def __init__(self, calendar: TradingCalendar) -> None:
        self.shown: dict[str, BrokerOrderReport] = {}
        self._calendar = calendar
        self._known: set[str] = set()
        # The words of the halts over which a person has resumed trading today.
        self._settled: frozenset[str] = frozenset()

    def begin_day(self, settled_halts: Sequence[str] = ()) -> None:
        """A trading day begins; over these halts a person has resumed trading already."""
        self._settled = frozenset(re.findall(r"\w+", " ".join(settled_halts)))

    def is_new(self, number: str) -> bool:
        """Whether this order was not heard of before; it is from now on."""
        known = number in self._known
        self._known.add(number)
        return not known

    def note(self, rows: Mapping[str, BrokerOrderReport], now: datetime) -> list[Message]:
        """What is to be told of the rows of an order book that no order here is in."""
        today = f"{self._calendar.day(now):%y%m%d}"
        # Under a tag of ours and of another day it is an order of that day in a book not cleared yet.
        self.shown = {number: report for number, report in rows.items() if our_tag_of(report) in (None, today)}
        if self._calendar.before_markets(now):
            # The broker clears its book in these hours, and then gives the numbers to other orders.
            self._known &= rows.keys()
        new = [report for number, report in self.shown.items() if self.is_new(number)]
        told: list[Message] = [
            _alert(AlertKind.EXTERNAL_ORDER, f"external order {report.broker_order_id}: {_shown(report)}")
            for report in new
            if our_tag_of(report) is None
        ]
        return told + self._halts([report for report in new if our_tag_of(report) is not None])

    def _halts(self, reports: list[BrokerOrderReport]) -> list[Message]:
        """Orders under tags of ours that the database has not sent, but for those a person resumed over already.

        The database is older than the broker's day, or another service trades here: a key used again would double.
        """
        left = [report for report in reports if report.broker_order_id not in self._settled]
        left.sort(key=lambda report: report.broker_order_id)
        if not left:
            return []
        numbers = ", ".join(report.broker_order_id for report in left)
        which = "; ".join(f"{_shown(report)} under {report.client_tag}" for report in left)
        halt = SetHalt(
            f"orders under tags of ours that the database has not sent: {numbers}",
            by="order watcher",
            alert=AlertKind.UNRECORDED_ORDER,
            details=f" ({which}); it was restored from an older copy, or another service trades here; see to "
            "these orders, then resume trading",
        )
        return [halt]


class Watched:
    """Owned by the OrderWatcher actor. `open` are the broker orders without an end, by client_order_id.

    Args:
        calendar: The trading days.
        grace: How long an order may be missing from books before that means anything.
        alarm_after: After how many reads in a row that miss it, or do not explain its fills, a person is told.
    """

    def __init__(self, calendar: TradingCalendar, grace: timedelta, alarm_after: int) -> None:
        self._calendar = calendar
        self._grace = grace
        self._alarm_after = alarm_after
        self.open: dict[str, Watch] = {}
        self.idle = IdleRows()
        self.externals = Externals(calendar)
        # Reports by the broker_order_id that wait for the trade book, with the client_order_id they belong to.
        self.explaining: dict[str, tuple[str, BrokerOrderReport]] = {}
        self._odd: set[tuple[str, str]] = set()
        # Settled today or yesterday: a fill may still come after the end of an order (scenario B12).
        self._settled: dict[str, Watch] = {}
        self._numbers: dict[str, str] = {}

    def add(self, order: Order, envelope: Envelope, steady: datetime) -> None:
        """Watch an order, or take what has become of it."""
        self.idle.forget(order.client_tag)
        watch = self.open.setdefault(order.client_tag, Watch(order, envelope))
        if order.modifying != watch.order.modifying or watch.modifying_since is None:
            watch.modifying_since, watch.unmodified = steady if order.modifying else None, 0
        watch.order, watch.envelope = order, envelope
        if order.broker_order_id is not None:
            self._numbers[order.broker_order_id] = order.client_tag
            watch.unknown_since = None
            watch.missed = 0
        elif order.unknown:
            # Told again, it was called unknown before its call ended: reads of before prove nothing.
            watch.unknown_since, watch.missed = steady, 0

    def settle(self, order: Order, envelope: Envelope) -> None:
        """The order is over; it is still looked for: it may fill late (B12), or turn up although it was given up."""
        self.idle.forget(order.client_tag)
        watch = self.open.pop(order.client_tag, None)
        if not order.may_be_at_broker:
            return
        watch = watch or self._settled.get(order.client_tag) or Watch(order, envelope)
        watch.order, watch.envelope = order, envelope
        self._settled[order.client_tag] = watch
        if order.broker_order_id is not None:
            self._numbers[order.broker_order_id] = order.client_tag

    def forget_before(self, day: date) -> None:
        """Look no longer for orders that ended on an earlier trading day."""
        for tag in [name for name, watch in self._settled.items() if watch.order.trading_day < day]:
            number = self._settled.pop(tag).order.broker_order_id or ""
            # A later order may have the same number.
            if self._numbers.get(number) == tag:
                del self._numbers[number]

    def get(self, tag: str) -> Watch | None:
        """The broker order of this client_order_id."""
        return self.open.get(tag) or self._settled.get(tag)

    def find(self, report: BrokerOrderReport, now: datetime) -> Watch | None:
        """The order of this row: by its tag; by its number where the row has no tag of ours.

        Brokers use their numbers again on another day, so a number names an order of today; of yesterday only until
        the broker has cleared its books, which it has when the markets open.
        """
        watch = self.get(report.client_tag or "")
        if watch is not None or our_tag_of(report) is not None:
            return watch
        watch = self.get(self._numbers.get(report.broker_order_id, ""))
        if watch is None or watch.order.trading_day >= self._calendar.day(now) or self._calendar.before_markets(now):
            return watch
        return None

    # The order book

    def of_today(self, reports: Sequence[BrokerOrderReport], today: date) -> set[str]:
        """The numbers of a book, without those of our orders of another day: the broker may clear it later than us."""
        day = f"{today:%y%m%d}"
        other = {id(report) for report in self.idle.others(reports) if our_tag_of(report) not in (None, day)}
        return {report.broker_order_id for report in reports if id(report) not in other}

    def read(self, reports: Sequence[BrokerOrderReport], now: datetime, asked_at: datetime | None = None) -> BookSaid:
        """An order book was read, which was asked for at `asked_at`, by the steady clock."""
        said, today, asked_at = BookSaid(), self._calendar.day(now), asked_at or now
        own: dict[str, OwnFill] = {}
        for report in self.idle.others(reports):
            watch = self.find(report, now)
            if watch is None:
                said.externals[report.broker_order_id] = report
                continue
            said.seen.add(watch.order.client_tag)
            _list_own(own, watch.order, report)
            said.told += self._compare(watch, report, asked_at)
            tag = watch.order.client_tag
            if not (tag in self.open or tag in own or report.broker_order_id in self.explaining):
                self.idle.note(watch.order, report, today)
        for command_id in dict.fromkeys(one.command_id for one in own.values()):
            if (whole := self._of_command(command_id, own)) is not None:
                said.own[command_id] = whole
        return said

    def _of_command(self, command_id: str, own: Mapping[str, OwnFill]) -> OwnFill | None:
        """What the broker counts of a command: of several slices the sum, as a command has one position and one room.

        A slice that the book does not show counts as it is booked, and is named.
        """
        watches = list(self._slices(command_id))
        if len(watches) <= 1:
            return next(one for one in own.values() if one.command_id == command_id)
        filled: int | None = 0
        booked, unlisted, number = 0, [], None
        for tag, watch in watches:
            order, one = watch.order, own.get(tag)
            if one is None and not order.is_final:
                unlisted.append(tag)
            more = order.filled_quantity if one is None else one.filled
            filled = None if filled is None or more is None else filled + more
            booked, number = booked + order.filled_quantity, number or order.broker_order_id
        if not any(tag in self.open for tag, _ in watches) and (filled or 0) <= booked:
            return None
        order = watches[0][1].order
        assert order.product is not None, "one without a product is not listed"
        where = (order.exchange, order.symbol, order.product)
        return OwnFill(command_id, *where, order.side.sign, filled, booked, number, tuple(unlisted))

    def _slices(self, command_id: str) -> Iterator[tuple[str, Watch]]:
        """The broker orders of a command that are watched, with their client_order_ids."""
        first = self.get(command_id)
        for part in range(1, 1 + (first.order.parts if first is not None else 1)):
            tag = command_id if part == 1 else f"{command_id}.{part}"
            if (watch := self.get(tag)) is not None:
                yield tag, watch

    def _compare(self, watch: Watch, report: BrokerOrderReport, asked_at: datetime) -> Told:
        order, told = watch.order, Told()
        watch.missed = watch.missed_open = 0
        if report.status is BrokerStatus.UNKNOWN and (order.client_tag, report.raw_status) not in self._odd:
            self._odd.add((order.client_tag, report.raw_status))
            text = f"unknown status {report.raw_status!r}; it is read again"
            told.append(_alert_of(watch, AlertKind.ODD_STATUS, text))
        if order.broker_order_id not in (None, report.broker_order_id):
            return told + self._compare_double(watch, report)
        watch.filled = max(watch.filled, report.filled_quantity or 0)
        if watch.modifying_since is not None and asked_at < watch.modifying_since:
            # What it shows may be what the order once was: without its type it agrees with nothing that is asked for.
            report = replace(report, order_type=None)
        known = as_changed(order, report, watch.last)
        if needs_trades(order, known):
            self.explaining[report.broker_order_id] = (order.client_tag, known)
        elif is_news(order, known, watch.last):
            told.append((watch, RecordReport(order.command_id, known, (), order.part)))
        elif order.modifying is not None:
            told += self._not_modified(watch, order.modifying, report, asked_at)
        watch.last = report
        return told

    def _not_modified(self, watch: Watch, pending: Modification, report: BrokerOrderReport, asked_at: datetime) -> Told:
        """A read shows the old terms in force: the exchange refused the others, or the broker never had the request."""
        grace = self._grace if pending.answered else self._grace + _UNANSWERED
        shown = report.status in (BrokerStatus.OPEN, BrokerStatus.TRIGGER_PENDING)
        if not shown or watch.modifying_since is None or asked_at < watch.modifying_since + grace:
            return []
        watch.unmodified += 1
        if watch.unmodified < PROOF_READS:
            return []
        waited = (asked_at - watch.modifying_since).total_seconds()
        order = watch.order
        text = f"{watch.unmodified} reads of the order book, the last {waited:.0f} s after, show it as {order.terms}"
        if report.reason:
            text += f"; the broker says: {report.reason}"
        return [(watch, ModifyNotDone(order.command_id, pending.terms, text))]

    def _compare_double(self, watch: Watch, report: BrokerOrderReport) -> Told:
        """A second broker order under the tag: its fills are as real as those of the first (scenario A14)."""
        order, number, told = watch.order, report.broker_order_id, Told()
        if number not in watch.doubles and self.externals.is_new(number):
            numbers = f"{order.broker_order_id} and {number} ({report.raw_status})"
            told.append(_alert_of(watch, AlertKind.TWO_ORDERS, f"two broker orders carry its tag: {numbers}"))
        if report != watch.doubles.get(number) and report.filled_quantity:
            self.explaining[number] = (order.client_tag, report)
        elif report != watch.doubles.get(number):
            told.append((watch, RecordReport(order.command_id, report, (), order.part)))
            watch.doubles[number] = report
        return told

    def explained(self, trades: Sequence[BrokerTrade], read_at: datetime, *, lacking: bool) -> Told:
        """The trade book was read; one that is `lacking` explains nothing of orders that it does not show."""
        found: dict[str, list[Fill]] = {}
        for trade in trades:
            found.setdefault(trade.broker_order_id, []).append(_fill_of(trade, read_at))
        told: Told = []
        waiting, self.explaining = self.explaining, {}
        for number, (tag, report) in waiting.items():
            watch = self.get(tag)
            if lacking and number not in found:
                self.explaining[number] = tag, report
            elif watch is not None:
                told += self.explain(watch, report, tuple(found.get(number, ())))
        return told

    def explain(self, watch: Watch, report: BrokerOrderReport, fills: tuple[Fill, ...]) -> Told:
        """Record what the order book says of an order together with the trades that explain it."""
        traded, expected, told = sum(fill.quantity for fill in fills), counted(watch.order, report), Told()
        watch.fruitless = watch.fruitless + 1 if traded < expected else 0
        if watch.fruitless == self._alarm_after:
            text = f"the order book says {expected} filled, the trades {traded}"
            told.append(_alert_of(watch, AlertKind.TRADES_MISSING, text))
        is_double = watch.order.broker_order_id not in (None, report.broker_order_id)
        if is_double and traded >= (report.filled_quantity or 0):
            watch.doubles[report.broker_order_id] = report
        # The trade book was read later than the order book: what it shows beyond that is true as well.
        order = watch.order
        told.append((watch, RecordReport(order.command_id, at_least(report, traded), fills, order.part)))
        return told

    def pushed(self, watch: Watch, report: BrokerOrderReport, trade: BrokerTrade | None, now: datetime) -> Told:
        """The push feed told of an order of ours."""
        watch.filled = max(watch.filled, report.filled_quantity or 0)
        order = watch.order
        report = as_changed(order, at_least(report, watch.filled), None)
        if trade is not None:
            return [(watch, RecordReport(order.command_id, report, (_fill_of(trade, now),), order.part))]
        settles = order.broker_order_id is None or report.status.is_final
        if settles and not order.is_final and not needs_trades(order, report):
            # What was filled without a trade told here, the next read of the books explains.
            return [(watch, RecordReport(order.command_id, report, (), order.part))]
        return []

    # Orders that a successful read did not show

    def is_overdue(self, watch: Watch, asked_at: datetime, graces: int = 1) -> bool:
        """Whether a read that began at `asked_at` must show an order of unknown outcome."""
        since = watch.unknown_since
        return since is not None and asked_at >= since + graces * self._grace

    def absent(self, watch: Watch, looked: Looked, today: date) -> Told:
        """What follows where an order of unknown outcome was looked for in vain (scenarios A2, B17)."""
        since = watch.unknown_since
        if since is None:
            return []
        verdict = absence(watch.order, looked, unknown_since=since, grace=self._grace, today=today)
        if verdict is None:
            return []
        order = watch.order
        told: Told = [(watch, RecordAbsent(order.command_id, verdict.reason, verdict.tag, order.part))]
        if verdict.tag is not Tag.BROKER_NOT_FOUND:
            told.insert(0, _alert_of(watch, AlertKind.NEVER_RESOLVED, verdict.reason))
        return told

    def missing(self, watch: Watch, asked_at: datetime, now: datetime) -> Told:
        """A book does not show an order that has a number."""
        order, today, told = watch.order, self._calendar.day(now), Told()
        watch.missed += 1
        # Another day's book cannot show it: a DAY order ended with its trading day (scenario B7).
        over = order.trading_day < today
        if watch.missed >= PROOF_READS if over else self._ended_before_markets(watch, asked_at, now):
            report = expired(order, today)
            if not watch.ended:
                watch.ended = True
                told.append(_alert_of(watch, AlertKind.NEVER_RESOLVED, f"{order.symbol}: {report.reason}"))
            told.append((watch, RecordReport(order.command_id, report, (), order.part)))
        elif watch.missed == self._alarm_after:
            text = f"the broker's book does not show order {order.broker_order_id}"
            told.append(_alert_of(watch, AlertKind.ORDER_MISSING, text))
        return told

    def _ended_before_markets(self, watch: Watch, asked_at: datetime, now: datetime) -> bool:
        """Whether an order of today, sent before the markets opened, ended with the broker's earlier day.

        The broker has cleared its books by now, and the books since do not show it; for so long, that a broker which
        cannot read them yet is not mistaken for one that has cleared them.
        """
        calendar = self._calendar
        if not calendar.before_markets(watch.order.created_at) or calendar.before_markets(now):
            return False
        if watch.missed_open == 0 or watch.missed_open_since is None:
            watch.missed_open_since = asked_at
        watch.missed_open += 1
        return watch.missed_open >= PROOF_READS and asked_at >= watch.missed_open_since + LONG_GRACES * self._grace

    def cleared(self, watch: Watch) -> Told:
        """The broker cleared its book before the order had ended: told once."""
        if watch.cleared:
            return []
        watch.cleared = True
        text = "not in the book that the broker has cleared; it ends with its trading day"
        return [_alert_of(watch, AlertKind.ORDER_CLEARED, text)]


def _list_own(own: dict[str, OwnFill], order: Order, report: BrokerOrderReport) -> None:
    """Note what the broker counts as filled of an order of ours that is open, or has fills not booked yet."""
    filled: int | None = counted(order, report)
    if report.filled_quantity is None and report.status in (BrokerStatus.CANCELLED, BrokerStatus.EXPIRED):
        filled = None
    if order.is_final and order.parts > 1:
        # It counts as long as another slice of its command is open.
        filled = max(filled or 0, order.filled_quantity)
    elif order.is_final and (filled or 0) <= order.filled_quantity:
        return
    if order.product is None:
        return
    before, number = own.get(order.client_tag), report.broker_order_id
    if before is not None:
        # A second broker order under one tag (scenario A14).
        filled = None if filled is None or before.filled is None else filled + before.filled
    where = (order.exchange, order.symbol, order.product)
    own[order.client_tag] = OwnFill(order.command_id, *where, order.side.sign, filled, order.filled_quantity, number)


def _shown(report: BrokerOrderReport) -> str:
    return f"{report.side} {report.quantity} {report.symbol} {report.raw_status}"


def _fill_of(trade: BrokerTrade, seen_at: datetime) -> Fill:
    return Fill(trade.broker_trade_id, trade.quantity, trade.price, trade.at or seen_at)


def _alert_of(watch: Watch, kind: AlertKind, text: str) -> tuple[Watch, Message]:
    return watch, _alert(kind, f"{watch.order.client_tag}: {text}", watch.order.command_id)


def _alert(kind: AlertKind, text: str, command_id: str | None = None) -> Alert:
    return Alert(kind.severity, kind, text, command_id)
