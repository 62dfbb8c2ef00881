"""External orders by their reports: what a book lists, and what pushes told of before a book showed it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from core.messages import AccountRead
from core.model.broker import BrokerOrderReport
from core.model.order import Product
from core.model.positions import ExternalFill

__all__ = ["Account", "PushedFills", "external_fills"]

Account = tuple[str, str, Product]

# Of so many external orders it is kept when they filled.
_TIMED = 500
# So long after a push a book may still lack what it told.
_BOOK_LAGS = timedelta(seconds=10)


class PushedFills:
    """What a push told and no book has shown yet: it counts for what an EXIT may close, and for nothing else.

    When it filled is kept in mind beyond that: a book may give the time of the order instead.
    """

    def __init__(self) -> None:
        self._told: dict[str, tuple[Account, ExternalFill, datetime]] = {}
        # Of external orders: how much had filled by the last trade that a push told of, and the time of that trade.
        self._traded: dict[str, tuple[int, datetime]] = {}

    def note(self, report: BrokerOrderReport, at: datetime, traded_at: datetime | None = None) -> None:
        """A push told of an external order that filled; `at` is now, by the steady clock."""
        number = report.broker_order_id
        if (found := _external_fill(report)) is not None:
            self._told[number] = (*found, at)
        if traded_at is not None:
            filled, last = self._traded.pop(number, (0, traded_at))
            self._traded[number] = max(filled, report.filled_quantity or 0), max(last, traded_at)
            if len(self._traded) > _TIMED:
                del self._traded[next(iter(self._traded))]

    def timed(self, fill: ExternalFill) -> ExternalFill:
        """What a book shows of an external order, with the time of its last trade where pushes told of them all."""
        filled, at = self._traded.get(fill.number, (0, fill.at))
        return replace(fill, at=at) if fill.quantity and abs(fill.quantity) <= filled else fill

    def forget(self, shown: Iterable[str], asked_at: datetime) -> None:
        """Both books were read: what they show, or ought to show by now, is known by them."""
        numbers = set(shown)
        self._told = {
            number: told
            for number, told in self._told.items()
            if number not in numbers and asked_at < told[2] + _BOOK_LAGS
        }

    def beside(self, account: Account, fills: Iterable[ExternalFill]) -> list[ExternalFill]:
        """The external fills of a position: those known by the book, or as a push told of them since."""
        known = {fill.number: fill for fill in fills}
        known |= {number: fill for number, (where, fill, _) in self._told.items() if where == account}
        return list(known.values())


def external_fills(message: AccountRead) -> dict[Account, list[ExternalFill]]:
    """The external orders of a read, by position; what rests and has not filled yet too, to know when it does."""
    found: dict[Account, list[ExternalFill]] = {}
    for report in message.externals:
        if (one := _external_fill(report)) is not None and (report.filled_quantity or not report.status.is_final):
            found.setdefault(one[0], []).append(one[1])
    return found


def _external_fill(report: BrokerOrderReport) -> tuple[Account, ExternalFill] | None:
    if report.side is None or report.product is None:
        return None
    quantity = report.side.sign * (report.filled_quantity or 0)
    fill = ExternalFill(report.broker_order_id, quantity, report.at, report.average_price)
    return (report.exchange, report.symbol, report.product), fill
