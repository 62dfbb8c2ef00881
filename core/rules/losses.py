"""Which figures of the position book are today's, and when a loss may be believed (scenarios G7, G13, G15)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from decimal import Decimal

from core.model.broker import BrokerPosition
from core.model.order import Product

__all__ = ["JUMP", "STRANGE_S", "AgreedPnl", "DayFigures", "Key", "day_pnl", "strange_prices"]

# (exchange, symbol, product)
Key = tuple[str, str, Product | None]

JUMP = Decimal("0.25")
"""How far a price may move from one read of positions to the next before it is judged strange: a quarter."""

STRANGE_S = 10.0
"""Seconds for which a loss that came with a strange price must last before it is believed."""


def day_pnl(positions: Iterable[BrokerPosition]) -> Decimal | None:
    """Sum of realised and unrealised P&L over the position book, without delivery holdings (protocol 7.6).

    None when one row's figures could not be read: a sum without it would be a guess (scenario D8).
    """
    total = Decimal(0)
    for position in positions:
        if position.product is Product.CNC:
            continue
        if position.realised is None or position.unrealised is None:
            return None
        total += position.realised + position.unrealised
    return total


class DayFigures:
    """Tells the rows of today from those of the broker's earlier day, which it may show until the markets open.

    Nothing can be made or lost before they open, so until then a row counts only where a strategy traded today.
    Afterwards every row counts but one that has not changed since the day before: in that nothing happened today.
    """

    def __init__(self) -> None:
        self.last: dict[Key, BrokerPosition] = {}
        """The rows as they were read last."""
        self._left: dict[Key, BrokerPosition] = {}
        self._traded: set[tuple[str, str]] = set()

    def begin(self, *, later: bool) -> None:
        """Another trading day begins; an earlier one only when a clock was ahead, and its figures are today's."""
        self._left = dict(self.last) if later else {}
        self._traded.clear()

    def note_traded(self, exchange: str, symbol: str) -> None:
        """An order of today filled: what the broker shows of this symbol is today's."""
        self._traded.add((exchange, symbol))

    def of_today(
        self, positions: Iterable[BrokerPosition], *, before_markets: bool = False
    ) -> tuple[BrokerPosition, ...]:
        """The rows whose figures count."""
        rows = {_key(position): position for position in positions}
        left = {
            key: row
            for key, row in rows.items()
            if key[:2] not in self._traded and (before_markets or self._left.get(key) == row)
        }
        self._left, self.last = left, rows
        return tuple(row for key, row in rows.items() if key not in left)


def strange_prices(
    positions: Iterable[BrokerPosition], before: Mapping[Key, BrokerPosition], entries: Mapping[Key, Decimal]
) -> Iterator[tuple[BrokerPosition, Decimal]]:
    """The rows whose last price is far from what it was, each with that.

    Args:
        positions: The rows read now.
        before: The rows read before.
        entries: Our own entry prices, for rows that were not read before.
    """
    for position in positions:
        key = _key(position)
        known = before.get(key)
        reference = entries.get(key) if known is None else known.last_price
        price = position.last_price or Decimal(0)
        if position.net_quantity and reference and abs(price - reference) > reference * JUMP:
            yield position, reference


class AgreedPnl:
    """The day's P&L on which two reads in a row agree: the smaller loss of both.

    A loss that comes with a strange price is believed only when it has lasted; until then the loss agreed on can only
    become smaller.
    """

    def __init__(self) -> None:
        self.pnl: Decimal | None = None
        self._last: Decimal | None = None
        self._strange_at: datetime | None = None

    def note(self, pnl: Decimal, asked_at: datetime, *, strange: bool) -> None:
        """A read, asked for at this steady time."""
        if strange:
            self._strange_at = asked_at
        waits = self._strange_at is not None and asked_at - self._strange_at < timedelta(seconds=STRANGE_S)
        last, self._last = self._last, pnl
        if last is None or (waits and self.pnl is None):
            return
        agreed = max(last, pnl)
        self.pnl = agreed if not waits or self.pnl is None else max(agreed, self.pnl)

    def reached(self, threshold: Decimal) -> bool:
        """Whether the loss agreed on is at or beyond this (negative) P&L."""
        return self.pnl is not None and self.pnl <= threshold


def _key(position: BrokerPosition) -> Key:
    return (position.exchange, position.symbol, position.product)
