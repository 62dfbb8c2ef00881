"""Step 6 as pure decisions: what a row of the broker's book, or its absence, says of one order."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from core.model.broker import BrokerOrderReport, BrokerStatus
from core.model.order import Order, Tag
from core.rules.modifying import agrees, terms_of

__all__ = [
    "LONG_GRACES",
    "PROOF_READS",
    "Absent",
    "Looked",
    "absence",
    "as_changed",
    "at_least",
    "counted",
    "expired",
    "is_news",
    "needs_trades",
    "our_tag_of",
]

PROOF_READS = 2
"""Successful reads that must miss an order before its absence is believed (scenario A2)."""

LONG_GRACES = 4
"""Grace periods that an absence must last where no row of the order book speaks for the book (scenario G12)."""

_OUR_TAG = re.compile(r"^(\d{6})-[0-9a-z]{5}-\d+(\.\d+)?$")


@dataclass(frozen=True, slots=True)
class Looked:
    """Where an order of unknown outcome was looked for in vain. Times are by the steady clock.

    Attributes:
        missed: Successful reads of the order book after the grace period.
        asked_at: When the last of them was asked for.
        bare: Whether the order book shows no order at all of today: it may as well not have been read by the broker.
        elsewhere_at: When trade book and position book, the earlier of the two, were asked for last; None if never.
        moved: Whether the position in the symbol has changed today.
        cleared: Whether the broker may have cleared its books since the order was sent.
    """

    missed: int
    asked_at: datetime
    bare: bool
    elsewhere_at: datetime | None
    moved: bool
    cleared: bool


@dataclass(frozen=True, slots=True)
class Absent:
    """An order without a number is not at the broker: proven, or beyond proof as no book of its day is left."""

    tag: Tag
    reason: str


def counted(order: Order, report: BrokerOrderReport) -> int:
    """How much the broker counts as filled; for a row that is silent, what its status means (scenario B4)."""
    if report.filled_quantity is not None:
        return report.filled_quantity
    return order.quantity if report.status is BrokerStatus.COMPLETE else 0


def needs_trades(order: Order, report: BrokerOrderReport) -> bool:
    """Whether the trade book must say what was filled: the order book's figures are totals, or absent (B4)."""
    filled = report.filled_quantity
    if filled is not None and filled > order.filled_quantity:
        return True
    if order.is_final:
        return False
    return report.status is BrokerStatus.COMPLETE or (
        report.status in (BrokerStatus.CANCELLED, BrokerStatus.EXPIRED) and filled is None
    )


def as_changed(order: Order, report: BrokerOrderReport, last: BrokerOrderReport | None) -> BrokerOrderReport:
    """The report, with its terms only where those are what the order has at the broker now (scenario C12).

    They are where we asked for them. Else somebody may have changed them there: two reads must agree on others, or
    another quantity must be filled. `last` is the read before.
    """
    if order.modifying is not None and agrees(order.modifying, report):
        return report
    if last is None or (last.price, last.trigger_price) != (report.price, report.trigger_price):
        report = replace(report, price=None, trigger_price=None)
    filled = report.status is BrokerStatus.COMPLETE and report.quantity == report.filled_quantity
    if report.quantity == order.quantity or filled or (last is not None and last.quantity == report.quantity):
        return report
    return replace(report, quantity=None)


def is_news(order: Order, report: BrokerOrderReport, last: BrokerOrderReport | None) -> bool:
    """Whether the database should hear of `report`; `last` is what was heard of the order before.

    Of an order whose number is known, only fills (`needs_trades`), other terms and its end change the row:
    thousands of resting orders, each once told to be open, would cost as many transactions that write nothing.
    """
    if order.is_final:
        # Its end is known. That the broker has it although it was given up is news.
        return order.broker_order_id is None and report != last
    asked = order.modifying is not None and agrees(order.modifying, report)
    return asked or order.broker_order_id is None or report.status.is_final or terms_of(order, report) != order.terms


def absence(order: Order, looked: Looked, *, unknown_since: datetime, grace: timedelta, today: date) -> Absent | None:
    """What it comes to that an order of unknown outcome was looked for in vain; None is no verdict yet.

    An order book that shows other orders of today needs two reads after the grace period (scenarios A2, B17). A bare
    one is no proof alone: trade book and positions must agree after `LONG_GRACES` (G12). A book
    that may have been cleared since the order was sent proves nothing: the order may have filled before.
    """
    if looked.missed < PROOF_READS:
        return None
    before = order.reason or "outcome unknown"
    if order.trading_day < today:
        return Absent(
            Tag.BROKER_EXPIRED,
            f"{before}; its trading day {order.trading_day} is over, and no book tells any more whether the broker had "
            "it: compare positions",
        )
    if looked.bare and (
        looked.moved or looked.elsewhere_at is None or looked.elsewhere_at < unknown_since + LONG_GRACES * grace
    ):
        return None
    if looked.cleared:
        return Absent(
            Tag.BROKER_EXPIRED,
            f"{before}; the broker may have cleared its books since it was sent, and so no book tells whether the "
            "broker had it: compare positions",
        )
    waited = (looked.asked_at - unknown_since).total_seconds()
    also = ", nor do trade book and positions" if looked.bare else ""
    return Absent(
        Tag.BROKER_NOT_FOUND,
        f"{before}; {looked.missed} successful reads of the order book, the last {waited:.0f} s after sending, do not "
        f"show it{also}",
    )


def expired(order: Order, today: date) -> BrokerOrderReport:
    """The report of an order that had a number and ended with the broker's day, which today's book is not of (B7)."""
    over = f"its trading day {order.trading_day} is over" if order.trading_day < today else "sent before markets opened"
    return BrokerOrderReport(
        broker_order_id=order.broker_order_id or "",
        client_tag=order.client_tag,
        exchange=order.exchange,
        symbol=order.symbol,
        side=order.side,
        quantity=order.quantity,
        status=BrokerStatus.EXPIRED,
        raw_status="",
        filled_quantity=order.filled_quantity,
        reason=f"{over}, and the book of the broker's day does not show it: what it filled since it was last seen is "
        "not known; compare positions",
    )


def at_least(report: BrokerOrderReport, filled: int) -> BrokerOrderReport:
    """The report with a fill count that never goes back: reports may come out of order (protocol 6.3)."""
    return report if (report.filled_quantity or 0) >= filled else replace(report, filled_quantity=filled)


def our_tag_of(report: BrokerOrderReport) -> str | None:
    """The day (YYMMDD) of the command id in `remarks`; None for an order that no Sixstep sent."""
    found = _OUR_TAG.match(report.client_tag or "")
    return found.group(1) if found else None
