"""Step 6 as pure decisions: what a row of the broker's book, or its absence, says of one order."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import date, datetime

from core.model.broker import BrokerOrderReport, BrokerStatus
from core.model.order import Order, Tag

__all__ = [
    "PROOF_READS",
    "Absent",
    "absence",
    "at_least",
    "counted",
    "expired",
    "is_news",
    "needs_trades",
    "our_tag_of",
]

PROOF_READS = 2
"""Successful reads that must miss an order before its absence is believed (scenario A2)."""

_OUR_TAG = re.compile(r"^(\d{6})-[0-9a-z]{5}-\d+$")


@dataclass(frozen=True, slots=True)
class Absent:
    """An order without a number is not at the broker: proven, or beyond proof because its trading day is over."""

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


def is_news(order: Order, report: BrokerOrderReport, last: BrokerOrderReport | None) -> bool:
    """Whether the database should hear of `report`; `last` is what was heard of the order before.

    Of an order whose number is known, only fills (`needs_trades`) and its end change the row: thousands of resting
    orders, each once told to be open, would cost as many transactions that write nothing.
    """
    if order.is_final:
        # Its end is known. That the broker has it although it was given up is news.
        return order.broker_order_id is None and report != last
    return order.broker_order_id is None or report.status.is_final


def absence(order: Order, *, unknown_since: datetime, missed: int, asked_at: datetime, today: date) -> Absent | None:
    """What it comes to that `missed` successful reads after the grace period do not show an order of unknown outcome.

    `asked_at` is when the last of them was asked for. None is no verdict yet (scenarios A2, B17).
    """
    if missed < PROOF_READS:
        return None
    before = order.reason or "outcome unknown"
    if order.trading_day < today:
        return Absent(
            Tag.BROKER_EXPIRED,
            f"{before}; its trading day {order.trading_day} is over, and no book tells any more whether the broker had "
            "it: compare positions",
        )
    waited = (asked_at - unknown_since).total_seconds()
    return Absent(
        Tag.BROKER_NOT_FOUND,
        f"{before}; {missed} successful reads of the order book, the last {waited:.0f} s after sending, do not show it",
    )


def expired(order: Order) -> BrokerOrderReport:
    """The report of an order that had a number and whose trading day is over: it ended with its day (scenario B7)."""
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
        reason=f"its trading day {order.trading_day} is over and today's book does not show it",
    )


def at_least(report: BrokerOrderReport, filled: int) -> BrokerOrderReport:
    """The report with a fill count that never goes back: reports may come out of order (protocol 6.3)."""
    return report if (report.filled_quantity or 0) >= filled else replace(report, filled_quantity=filled)


def our_tag_of(report: BrokerOrderReport) -> str | None:
    """The day (YYMMDD) of the command id in `remarks`; None for an order that no Sixstep sent."""
    found = _OUR_TAG.match(report.client_tag or "")
    return found.group(1) if found else None
