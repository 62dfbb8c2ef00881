"""The orders that are, or may be, at the broker, and which row of its books is whose."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime

from core.messages.envelope import Envelope
from core.model.broker import BrokerOrderReport
from core.model.calendar import TradingCalendar
from core.model.order import Order
from core.rules.order_matching import our_tag_of

__all__ = ["IdleRows", "Watch", "Watched"]


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
    filled: int = 0  # the most that the broker ever counted as filled
    fruitless: int = 0  # trade book reads in a row that did not explain what the order book says was filled
    # Further broker orders under this order's tag (scenario A14): number to the last report that was recorded.
    doubles: dict[str, BrokerOrderReport] = field(default_factory=dict)


class IdleRows:
    """Rows of the order book that said nothing new of an order that is over: most of a day's book, each second.

    Such a row is passed over as long as it is the very report that was compared, and the order is as it was then.
    """

    def __init__(self) -> None:
        self._rows: dict[str, tuple[BrokerOrderReport, Watch, Order]] = {}

    def get(self, report: BrokerOrderReport) -> Watch | None:
        """The order of a row that need not be compared again."""
        found = self._rows.get(report.broker_order_id)
        return found[1] if found is not None and found[0] is report and found[1].order is found[2] else None

    def note(self, watch: Watch, report: BrokerOrderReport, today: date) -> None:
        """A row was compared, and nothing is to be done about it."""
        order = watch.order
        if order.is_final and order.broker_order_id == report.broker_order_id and order.trading_day == today:
            self._rows[report.broker_order_id] = report, watch, watch.order

    def clear(self) -> None:
        """A new day: numbers are used again."""
        self._rows.clear()


class Watched:
    """Owned by the OrderWatcher actor. `open` are the orders without an end, by command id."""

    def __init__(self, calendar: TradingCalendar) -> None:
        self._calendar = calendar
        self.open: dict[str, Watch] = {}
        # Settled today or yesterday: a fill may still come after the end of an order (scenario B12).
        self._settled: dict[str, Watch] = {}
        self._numbers: dict[str, str] = {}

    def add(self, order: Order, envelope: Envelope, steady: datetime) -> None:
        """Watch an order, or take what has become of it."""
        watch = self.open.setdefault(order.command_id, Watch(order, envelope))
        watch.order, watch.envelope = order, envelope
        if order.broker_order_id is not None:
            self._numbers[order.broker_order_id] = order.command_id
            watch.unknown_since = None
            watch.missed = 0
        elif order.unknown and watch.unknown_since is None:
            watch.unknown_since = steady

    def settle(self, order: Order, envelope: Envelope) -> None:
        """The order is over; it is still looked for: it may fill late (B12), or turn up although it was given up."""
        watch = self.open.pop(order.command_id, None)
        if not order.may_be_at_broker:
            return
        watch = watch or self._settled.get(order.command_id) or Watch(order, envelope)
        watch.order, watch.envelope = order, envelope
        self._settled[order.command_id] = watch
        if order.broker_order_id is not None:
            self._numbers[order.broker_order_id] = order.command_id

    def forget_before(self, day: date) -> None:
        """Look no longer for orders that ended on an earlier trading day."""
        for command_id in [c for c, watch in self._settled.items() if watch.order.trading_day < day]:
            number = self._settled.pop(command_id).order.broker_order_id or ""
            # A later order may have the same number.
            if self._numbers.get(number) == command_id:
                del self._numbers[number]

    def get(self, command_id: str) -> Watch | None:
        """The order of this id."""
        return self.open.get(command_id) or self._settled.get(command_id)

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
