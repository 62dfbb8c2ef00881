"""Whether a database tells one story: rows against events, fills and positions, and laws 3, 4 and 7 (`db check`).

The database's own constraints forbid most of what is looked for here. The check does not trust them: a file may have
been edited, restored or written by an older program.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from itertools import groupby
from typing import Any

from core.model.order import FINAL, Side, Status, legal
from core.store.positions import Lot, after_fill, weighted_average
from core.store.reporting import PRICE_PLACES
from core.store.store import Store
from core.store.tables import EventRow, OrderRow

__all__ = ["check"]

_UNREADABLE = (ValueError, ArithmeticError, TypeError)

_OPEN_TWICE = (
    "SELECT account, strategy, exchange, symbol, COUNT(*) FROM orders WHERE status = 'SENT_TO_BROKER' "
    "GROUP BY account, strategy, exchange, symbol HAVING COUNT(*) > 1"
)
# What no two rows may share, with the words for it.
_SHARED = (
    (
        "SELECT idempotency_key, COUNT(*) FROM orders WHERE idempotency_key IS NOT NULL "
        "GROUP BY account, idempotency_key HAVING COUNT(*) > 1",
        "idempotency key",
    ),
    (
        "SELECT broker_order_id, COUNT(*) FROM broker_orders WHERE broker_order_id IS NOT NULL "
        "GROUP BY account, trading_day, broker_order_id HAVING COUNT(*) > 1",
        "broker_order_id",
    ),
)
_ORPHANS = (
    "SELECT DISTINCT command_id FROM {table} AS t "
    "WHERE NOT EXISTS (SELECT 1 FROM orders AS o WHERE o.command_id = t.command_id)"
)
# A fill belongs to a number that its broker order has, or that an event of its row tells of (scenario A14).
_FOREIGN_FILLS = (
    "SELECT f.command_id, f.broker_trade_id FROM fills AS f JOIN orders AS o ON o.command_id = f.command_id "
    "WHERE f.account <> o.account OR f.exchange <> o.exchange OR f.trading_day <> o.trading_day "
    "OR NOT EXISTS (SELECT 1 FROM broker_orders AS b WHERE b.command_id = f.command_id AND b.part = f.part "
    "AND b.broker_order_id = f.broker_order_id) AND NOT EXISTS (SELECT 1 FROM order_events AS e "
    "WHERE e.command_id = f.command_id AND e.other_number = f.broker_order_id) ORDER BY f.id"
)
# What its broker orders amount to is what the row of a command says; one that was sent has at least one.
_AMOUNTS = (
    "SELECT o.command_id, o.status, o.parts, o.quantity, o.filled_quantity, COUNT(b.part), SUM(b.quantity), "
    "SUM(b.filled_quantity), SUM(CASE WHEN b.status IN ('CREATED', 'SENT_TO_BROKER') THEN 1 ELSE 0 END) "
    "FROM orders AS o LEFT JOIN broker_orders AS b ON b.command_id = o.command_id "
    "GROUP BY o.command_id, o.status, o.parts, o.quantity, o.filled_quantity "
    "HAVING COUNT(b.part) > 0 OR o.status IN ('SENT_TO_BROKER', 'EXECUTED') ORDER BY o.command_id"
)
_FILLS = (
    "SELECT f.command_id, f.quantity, f.price, o.account, o.strategy, o.exchange, o.symbol, "
    "COALESCE(o.product, o.requested_product), o.side, o.basket FROM fills AS f "
    "JOIN orders AS o ON o.command_id = f.command_id ORDER BY f.id"
)
_POSITIONS = "SELECT account, strategy, exchange, symbol, product, quantity, average_price, basket FROM positions"


def check(store: Store) -> list[str]:
    """What is wrong with this database, one line each; empty when nothing is."""
    database = store.database
    with database.snapshot():
        wrong: list[str] = []
        filled: dict[str, list[tuple[int, Decimal]]] = {}
        held: dict[tuple[str, ...], Lot | None] = {}
        for command_id, quantity, price, *where, side, basket in database.execute(_FILLS).fetchall():
            try:
                units, rupees, signed = int(quantity), Decimal(price), Side(side).sign * int(quantity)
            except _UNREADABLE:
                wrong.append(f"{command_id}: a fill of it cannot be read: {side} {quantity} at {price}")
                continue
            filled.setdefault(command_id, []).append((units, rupees))
            held[tuple(where)] = after_fill(held.get(tuple(where)), signed, rupees, basket)
        wrong += [line for row, events in _rows_with_events(store) for line in _check_row(row, events, filled)]
        wrong += _open_twice(store)
        wrong += _check_belonging(store)
        wrong += _check_amounts(store)
        wrong += _check_positions(store, held)
    return wrong


def _rows_with_events(store: Store) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Each row with its events, read a thousand rows at a time: a database may hold millions."""
    after = ""
    while True:
        page = OrderRow.select().where(OrderRow.command_id > after).order_by(OrderRow.command_id).limit(1000)
        rows = store.database.rows(page)
        if not rows:
            return
        last = rows[-1]["command_id"]
        told = EventRow.select().where(EventRow.command_id > after, EventRow.command_id <= last)
        events = store.database.rows(told.order_by(EventRow.command_id, EventRow.seq))
        of = {key: list(group) for key, group in groupby(events, key=lambda event: event["command_id"])}
        for row in rows:
            yield row, of.get(row["command_id"], [])
        after = last


def _check_row(
    row: dict[str, Any], events: list[dict[str, Any]], filled: dict[str, list[tuple[int, Decimal]]]
) -> Iterator[str]:
    name = row["command_id"]
    if not events:
        yield f"{name}: has no events"
        return
    yield from _check_chain(name, events)
    yield from _check_sum(name, row, events)
    yield from _check_law_7(name, row)
    parts = tuple(filled.get(name, ()))
    total = sum(quantity for quantity, _ in parts)
    if row["filled_quantity"] != total:
        yield f"{name}: filled_quantity is {row['filled_quantity']}, its fills sum to {total}"
    elif parts and _decimal(row["average_price"]) != weighted_average(parts, PRICE_PLACES):
        yield f"{name}: average_price is {row['average_price']}, not the average of its fills"


def _check_chain(name: str, events: list[dict[str, Any]]) -> Iterator[str]:
    """Law 3: from nothing to the end by legal steps; what follows the end is an amendment. Nothing known is unsaid."""
    if [event["seq"] for event in events] != list(range(1, len(events) + 1)):
        yield f"{name}: law 3: an event is missing, they are numbered {[event['seq'] for event in events]}"
    before: str | None = None
    number, filled = None, 0
    for event in events:
        came, went = event["from_status"], event["to_status"]
        if came != before:
            yield f"{name}: law 3: an event begins at {came}, the one before it ended at {before}"
        if came != went and not _is_legal(came, went):
            yield f"{name}: law 3: {came} to {went} is not a legal transition"
        if went == Status.FAILED and not event["tag"]:
            yield f"{name}: law 7: an event says FAILED without a tag"
        if event["filled_quantity"] < filled:
            yield f"{name}: law 3: filled_quantity goes back from {filled} to {event['filled_quantity']}"
        if number not in (None, event["broker_order_id"]):
            yield f"{name}: law 3: the broker_order_id {number} becomes {event['broker_order_id']}"
        before, filled, number = went, event["filled_quantity"], event["broker_order_id"]


def _is_legal(came: str | None, went: str) -> bool:
    known = set(Status)
    if went not in known or came not in (None, *known):
        return False
    return legal(None if came is None else Status(came), Status(went))


def _decimal(text: str | None) -> Decimal | None:
    """The number a text says; None when it says none."""
    try:
        return Decimal(text or "")
    except _UNREADABLE:
        return None


def _check_sum(name: str, row: dict[str, Any], events: list[dict[str, Any]]) -> Iterator[str]:
    """The row is what its events amount to."""
    last = events[-1]
    keeps_reason = last["to_status"] == Status.FAILED or bool(last["unknown"])
    told = {
        "status": last["to_status"],
        "tag": last["tag"],
        "reason": last["reason"] if keeps_reason else None,
        "unknown": bool(last["unknown"]),
        "quantity": last["quantity"],
        "product": last["product"],
        "broker_order_id": last["broker_order_id"],
        "filled_quantity": last["filled_quantity"],
        "average_price": last["average_price"],
        "updated_at": last["at"],
    }
    for column, value in told.items():
        stands = bool(row[column]) if column == "unknown" else row[column]
        if stands != value:
            yield f"{name}: {column} is {stands!r}, its events say {value!r}"


def _check_law_7(name: str, row: dict[str, Any]) -> Iterator[str]:
    status = row["status"]
    if status == Status.FAILED and not row["tag"]:
        yield f"{name}: law 7: FAILED without a tag"
    if status == Status.EXECUTED and not (row["broker_order_id"] and row["filled_quantity"] and row["average_price"]):
        yield f"{name}: law 7: EXECUTED without the broker_order_id, filled quantity or average price"
    if row["unknown"] and status in FINAL:
        yield f"{name}: {status} and unknown at once"


def _open_twice(store: Store) -> Iterator[str]:
    for account, strategy, exchange, symbol, count in store.database.execute(_OPEN_TWICE).fetchall():
        yield f"law 4: {count} open orders of {strategy} in {exchange}:{symbol} (account {account})"


def _check_belonging(store: Store) -> Iterator[str]:
    """Nothing without its row, no fill of another order, nothing twice that there is once."""
    database = store.database
    for table in ("order_events", "fills", "broker_orders"):
        for (command_id,) in database.execute(_ORPHANS.format(table=table)).fetchall():
            yield f"{command_id}: {table} has it, and it has no row"
    for command_id, trade in database.execute(_FOREIGN_FILLS).fetchall():
        yield f"{command_id}: the fill {trade} is of another account, exchange, day or broker_order_id"
    for sql, what in _SHARED:
        for shared, count in database.execute(sql).fetchall():
            yield f"law 2: {count} rows share the {what} {shared}"


def _check_amounts(store: Store) -> Iterator[str]:
    for command_id, status, parts, quantity, filled, *of_broker in store.database.execute(_AMOUNTS).fetchall():
        found, quantities, fills, going = (int(value or 0) for value in of_broker)
        if found != parts:
            yield f"{command_id}: has {parts} broker orders, and {found} are there"
        elif (quantities, fills) != (quantity, filled):
            yield f"{command_id}: {filled} of {quantity} filled, its broker orders say {fills} of {quantities}"
        elif bool(going) == (status in FINAL):
            yield f"{command_id}: is {status}, and {going} of its broker orders are open"


def _check_positions(store: Store, held: dict[tuple[str, ...], Lot | None]) -> Iterator[str]:
    expected = {key: lot for key, lot in held.items() if lot is not None}
    stored: dict[tuple[str, ...], Lot] = {}
    for *key, quantity, average, basket in store.database.execute(_POSITIONS).fetchall():
        price = _decimal(average)
        if price is None or not str(quantity).lstrip("-").isdigit():
            yield f"position {'/'.join(map(str, key))}: cannot be read: {quantity} at {average}"
        else:
            stored[tuple(key)] = Lot(int(quantity), price, basket)
    for found in sorted(expected.keys() | stored.keys(), key=str):
        if expected.get(found) != stored.get(found):
            place = "/".join(str(part) for part in found)
            yield f"position {place}: stored {stored.get(found)}, its fills say {expected.get(found)}"
