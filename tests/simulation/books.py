"""The laws of rest about the database and the books: 2, 3, 5, 6 and 7.

Once everything has come to rest, our rows, what the guard holds, and the exchange's own books must tell one story.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal

from core.messages import GuardSnapshot, RiskSnapshot
from core.paper.orders import Order as PaperOrder
from core.paper.orders import Status as PaperStatus
from core.paper.orders import average
from tests.simulation.account import Place, command_of
from tests.simulation.disk import Disk
from tests.simulation.exchange import WatchedExchange

__all__ = ["Amiss", "Books", "Row"]

Amiss = tuple[str, str]
"""A law that does not hold yet, and why."""

_CODES = {"MIS": "I", "NRML": "M", "CNC": "C"}
_PRODUCTS = {"I": "MIS", "M": "NRML", "C": "CNC"}
_ROWS = (
    "SELECT command_id, status, tag, strategy, execution_type, idempotency_key, broker_order_id, filled_quantity, "
    "average_price, unknown, reason, symbol, side, requested_quantity, EXISTS (SELECT 1 FROM order_events AS e "
    "WHERE e.command_id = orders.command_id AND e.reason LIKE '%quantity changed at the broker%') FROM orders"
)
_PARTS = (
    "SELECT b.client_order_id, b.status, b.tag, o.strategy, o.execution_type, o.idempotency_key, b.broker_order_id, "
    "b.filled_quantity, b.average_price, b.unknown, b.reason, o.symbol, o.side, b.quantity, FALSE "
    "FROM broker_orders AS b JOIN orders AS o ON o.command_id = b.command_id"
)
_FILLS = (
    "SELECT f.broker_order_id, f.broker_trade_id, f.quantity, o.strategy, o.exchange, o.symbol, o.product, o.side "
    "FROM fills AS f JOIN orders AS o ON o.command_id = f.command_id"
)
_CLOSES = "SELECT strategy, exchange, symbol, product, quantity FROM external_closes"


@dataclass(frozen=True, slots=True)
class Row:
    """A durable row of `orders`; or of `broker_orders`, by its client_order_id."""

    command_id: str
    status: str
    tag: str | None
    strategy: str
    execution_type: str
    key: str | None
    number: str | None
    filled: int
    average: str | None
    unknown: bool
    reason: str | None
    symbol: str
    side: str
    quantity: int
    changed: bool
    """Whether a person changed the quantity at the broker, which its events tell."""

    @property
    def asked(self) -> tuple[str, str, str, str, int]:
        """Strategy, type, symbol, side and quantity, as they were asked for."""
        return self.strategy, self.execution_type, self.symbol, self.side, self.quantity


class Books:
    """Compares the database with the exchange.

    Args:
        exchange: The judge.
        disk: The database as it is durable.
        told: Whether a person was told something that names this.
        forgotten: What of the strategies' own in a place is not held, given what is.
        undisputed: What is the strategies' own in a place where nobody else has traded.
        before_markets: Whether it is past midnight and no exchange has opened yet.
    """

    def __init__(
        self,
        exchange: WatchedExchange,
        disk: Disk,
        *,
        told: Callable[[str], bool],
        forgotten: Callable[[Place, int], str | None],
        undisputed: Callable[[Place], int],
        before_markets: Callable[[], bool],
    ) -> None:
        self._exchange = exchange
        self._disk = disk
        self._told = told
        self._forgotten = forgotten
        self._undisputed = undisputed
        self._before_markets = before_markets

    def rows(self) -> dict[str, Row]:
        """Every row by its command id."""
        return {found[0]: Row(*found) for found in self._disk.read(_ROWS)}

    def amiss(self, rows: dict[str, Row], guard: GuardSnapshot, risk: RiskSnapshot) -> Iterator[Amiss]:
        """What does not hold at this moment; nothing, at rest."""
        yield from self._rows_final(rows)
        parts = {found[0]: Row(*found) for found in self._disk.read(_PARTS)}
        yield from self._rows_agree(parts)
        yield from self._keys_once(rows)
        yield from self._nothing_reserved(rows, guard, risk)
        yield from self._positions_agree(rows, guard)
        yield from self._fills_agree(guard)
        yield from self._given_up_told(parts)

    def _rows_final(self, rows: dict[str, Row]) -> Iterator[Amiss]:
        for row in rows.values():
            if row.status not in ("EXECUTED", "FAILED"):
                if self._is_of_a_cleared_book(row):
                    continue
                yield "3", f"{row.command_id} is {row.status}, number {row.number}, unknown {row.unknown}"
            elif row.status == "FAILED" and row.tag is None:
                yield "7", f"{row.command_id} is FAILED without a tag"
            elif row.status == "EXECUTED" and (row.number is None or not row.filled or row.average is None):
                yield "7", f"{row.command_id} is EXECUTED with {row.number}, {row.filled} at {row.average}"
            if row.execution_type == "EXIT" and row.tag == "RISK_LIMITS_EXCEEDED":
                yield "6", f"{row.command_id}, an EXIT, was blocked by risk"

    def _expired(self, rows: dict[str, Row]) -> set[str]:
        """Symbols of orders whose day ended without a book: what they filled is not known, and told by their id."""
        return {row.symbol for row in rows.values() if row.tag == "BROKER_EXPIRED" and self._told(row.command_id)}

    def missing(self, rows: dict[str, Row]) -> list[Row]:
        """The orders that the broker has cleared away on our day and that are told to be missing.

        They end once the markets are open.
        """
        return [row for row in rows.values() if row.status == "SENT_TO_BROKER" and self._is_of_a_cleared_book(row)]

    def _is_of_a_cleared_book(self, row: Row) -> bool:
        if not self._before_markets():
            return False
        by_tag = self._exchange.by_tag.items()
        orders = [order for tag, found in by_tag if command_of(tag) == row.command_id for order in found]
        gone = bool(orders) and not any(self._exchange.is_today(order) for order in orders)
        return gone and row.number is not None and self._told(row.command_id)

    def _given_up_told(self, rows: dict[str, Row]) -> Iterator[Amiss]:
        """What was given up without proof, or in spite of the broker, is told to a person."""
        for row in rows.values():
            unproven = row.tag == "BROKER_EXPIRED" and row.number is None
            known = row.tag == "BROKER_NOT_FOUND" and bool(self._exchange.by_tag.get(row.command_id))
            if (unproven or known) and not self._told(command_of(row.command_id)):
                yield "3", f"{row.command_id} ended as {row.tag}, which is not proven, and nobody was told"

    def _rows_agree(self, rows: dict[str, Row]) -> Iterator[Amiss]:
        """Each broker order of ours has a row, and the two say the same."""
        for order in self._exchange.ours():
            row = rows.get(order.remarks)
            if row is None:
                yield "2", f"broker order {order.number} has the tag {order.remarks!r}, which is no row's"
            elif self._exchange.is_today(order):
                yield from _row_agrees(row, order)
            elif row.filled != order.filled and not self._told(command_of(row.command_id)):
                text = f"{row.command_id} of a day that is over has {row.filled} filled, the exchange {order.filled}"
                yield "5", f"{text}, and nobody was told"

    def _keys_once(self, rows: dict[str, Row]) -> Iterator[Amiss]:
        orders: dict[str, set[str]] = {}
        for tag in self._exchange.by_tag:
            row = rows.get(command_of(tag))
            if row is not None and row.key is not None:
                orders.setdefault(row.key, set()).add(row.command_id)
        for key, tags in orders.items():
            if len(tags) > 1:
                yield "2", f"idempotency key {key} brought {len(tags)} broker orders: {', '.join(sorted(tags))}"

    def _nothing_reserved(self, rows: dict[str, Row], guard: GuardSnapshot, risk: RiskSnapshot) -> Iterator[Amiss]:
        missing = self.missing(rows)
        where = {(row.strategy, row.symbol) for row in missing}
        for line in guard.lines:
            if (line.reserved or not line.held) and (line.strategy, line.symbol) not in where:
                yield "5", f"at rest the guard holds {line.held} and reserves {line.reserved} {line.symbol}: {line}"
        if risk.open_orders > len(missing):
            yield "5", f"at rest risk counts {risk.open_orders} open orders"

    def _positions_agree(self, rows: dict[str, Row], guard: GuardSnapshot) -> Iterator[Amiss]:
        """Law 5: what the guard holds, and what it calls unattributed, is what the broker has."""
        ours: Counter[tuple[str, str, str]] = Counter()
        for line in guard.lines:
            ours[line.exchange, line.symbol, line.product.value] += line.held
        for difference in guard.differences:
            if difference.product is not None:
                key = (difference.exchange, difference.symbol, difference.product.value)
                ours[key] += difference.unattributed
        held: Counter[tuple[str, str, str]] = Counter()
        for line in guard.lines:
            held[line.exchange, line.symbol, _CODES[line.product.value]] += line.held
        # An order told to be missing counts as in flight, and what is in flight makes the symbol uncertain.
        unsure = {row.symbol for row in self.missing(rows)}
        for exchange, symbol, product in self._exchange.net_positions().keys() | held.keys():
            why = self._forgotten((exchange, symbol, product), held[exchange, symbol, product])
            if why is not None and symbol not in unsure and symbol not in self._expired(rows):
                yield "5", why
        positions = self._exchange.net_positions()
        for exchange, symbol, product in sorted(positions.keys() | {(e, s, _CODES[p]) for e, s, p in ours}):
            place = (exchange, symbol, product)
            found, broker = ours[exchange, symbol, _PRODUCTS[product]], positions.get(place, 0)
            # What was bought for delivery on an earlier day is a holding now, and may still be a strategy's own.
            delivered = self._exchange.holding(place)
            if not broker <= found <= broker + delivered and symbol not in unsure:
                told = f"broker {broker:+d}" + (f" and {delivered} delivered" if delivered else "")
                yield "5", f"{exchange} {symbol} {_PRODUCTS[product]}: held and unattributed {found:+d}, {told}"
            elif max(found, 0) < self._undisputed(place) <= min(delivered, held[place]):
                yield "5", f"{exchange} {symbol}: {delivered} delivered, {held[place]} held, and {found} of that counts"

    def _fills_agree(self, guard: GuardSnapshot) -> Iterator[Amiss]:
        """Law 5, strategy by strategy: every trade of today is booked once, and the guard holds what is booked."""
        held: Counter[tuple[str, str, str, str]] = Counter()
        booked: Counter[tuple[str, str]] = Counter()
        for number, trade, quantity, strategy, exchange, symbol, product, side in self._disk.read(_FILLS):
            sign = 1 if side == "BUY" else -1
            held[strategy, exchange, symbol, product] += sign * int(quantity)
            booked[number, trade] += int(quantity)
        for strategy, exchange, symbol, product, quantity in self._disk.read(_CLOSES):
            held[strategy, exchange, symbol, product] += int(quantity)
        trades = {(o.number, t.flid): (t.qty, o) for o in self._exchange.ours() for t in o.trades}
        for key, count in booked.items():
            if key not in trades or trades[key][0] != count:
                yield "5", f"trade {key} is booked with {count}, the exchange has {trades.get(key, (0,))[0]}"
        for key, (quantity, order) in trades.items():
            if key not in booked and (self._exchange.is_today(order) or not self._told(command_of(order.remarks))):
                yield "5", f"trade {key} of {order.remarks} ({quantity}) is not booked"
        for line in guard.lines:
            held[line.strategy, line.exchange, line.symbol, line.product.value] -= line.held
        for where, difference in held.items():
            if difference:
                yield "5", f"{' '.join(where)}: the guard holds {-difference:+d} more than is booked"


def _row_agrees(row: Row, order: PaperOrder) -> Iterator[Amiss]:
    name = f"{row.command_id} ({row.status} {row.tag}, broker order {order.number} {order.status})"
    if row.number != order.number:
        yield "7", f"{name}: the row has the number {row.number}"
    if row.filled != order.filled:
        yield "5", f"{name}: the row has {row.filled} filled, the exchange {order.filled}"
    complete = order.status is PaperStatus.COMPLETE
    # A fill after the end amends the row, which stays what it was and says so (law 3).
    amended = complete and row.status == "FAILED" and "late fill" in (row.reason or "")
    if order.status.is_final and (row.status == "EXECUTED") != complete and not amended:
        yield "3", f"{name}: the two disagree"
    if order.filled and row.filled == order.filled:
        exact = average(order.value, order.filled, 4)
        if row.average is None or abs(Decimal(row.average) - exact) > Decimal("0.0001"):
            yield "7", f"{name}: the row has the average {row.average}, the exchange {exact}"
