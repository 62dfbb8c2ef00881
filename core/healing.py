"""What strategies hold is corrected from evidence alone: who closed the position at the broker, by which order.

A position book that shows less than strategies hold could be late, or wrong, or the broker's own netting; by itself it
is a difference to be alarmed, not a fact to be booked. Together with a filled order that nobody here placed it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from core.messages import ExternalClose, GuardLine
from core.order import Product
from core.reports import BrokerOrderReport

__all__ = ["PROOF_READS", "external_closes"]

PROOF_READS = 2
"""Successive reads of the positions that must show the shortfall."""


def external_closes(
    lines: Iterable[GuardLine],
    short: Mapping[tuple[str, str, Product], tuple[int, int]],
    externals: Iterable[BrokerOrderReport],
    used: Mapping[str, int],
) -> tuple[ExternalClose, ...]:
    """The closes that positions and external orders prove.

    Args:
        lines: What strategies hold.
        short: Where the broker showed less: its net quantity, and how many reads in a row.
        externals: Orders of today's book that nobody here placed.
        used: How much of each of them has explained a close already.
    """
    held = [line for line in lines if line.held]
    orders = tuple(externals)
    left = dict(used)
    closes: list[ExternalClose] = []
    for account, (broker, reads) in sorted(short.items()):
        losers = _losers([line for line in held if (line.exchange, line.symbol, line.product) == account], broker)
        if reads >= PROOF_READS and losers:
            closes += _explained(losers, orders, left)
    return tuple(closes)


def _losers(holders: list[GuardLine], broker: int) -> list[tuple[GuardLine, int]]:
    """Who lost how much; nobody where it cannot be told: two strategies hold, and a part is left."""
    total = sum(line.held for line in holders)
    if not total:
        return []
    if broker * total <= 0:
        return [(line, abs(line.held)) for line in holders]
    if len(holders) == 1:
        return [(holders[0], abs(total) - abs(broker))]
    return []


def _explained(
    losers: list[tuple[GuardLine, int]], orders: tuple[BrokerOrderReport, ...], left: dict[str, int]
) -> list[ExternalClose]:
    """The losses with the external orders that made them; none at all when those do not suffice."""
    closes: list[ExternalClose] = []
    spent: dict[str, int] = {}
    for line, lost in losers:
        sign, missing = -1 if line.held > 0 else 1, lost
        for order in orders:
            number = order.broker_order_id
            free = (order.filled_quantity or 0) - left.get(number, 0) - spent.get(number, 0)
            took = min(free, missing)
            if not _could_close(order, line, sign) or took <= 0 or order.average_price is None:
                continue
            missing -= took
            spent[number] = spent.get(number, 0) + took
            where = (line.strategy, line.exchange, line.symbol, line.product)
            closes.append(ExternalClose(*where, sign * took, order.average_price, number))
        if missing:
            return []
    for number, quantity in spent.items():
        left[number] = left.get(number, 0) + quantity
    return closes


def _could_close(order: BrokerOrderReport, line: GuardLine, sign: int) -> bool:
    return (
        order.side is not None
        and order.side.sign == sign
        and (order.exchange, order.symbol) == (line.exchange, line.symbol)
    )
