"""The laws of order execution, checked from both databases of truth: the exchange's books and our record."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from core.model.broker import BrokerOrderReport, BrokerPosition, BrokerStatus
from core.model.order import Tag
from core.rules.order_matching import our_tag_of
from core.store import Store
from core.store.check import check

__all__ = ["Answered", "check_always", "check_at_rest"]

_GONE = frozenset({BrokerStatus.CANCELLED, BrokerStatus.REJECTED, BrokerStatus.EXPIRED})


@dataclass(frozen=True, slots=True)
class Answered:
    """What one caller was told."""

    key: str
    body: Mapping[str, Any]


def check_always(book: Iterable[BrokerOrderReport], store: Store, answers: Iterable[Answered]) -> list[str]:
    """What must hold at every moment; `book` was read before this is called."""
    wrong = [f"record: {line}" for line in check(store)]
    orders = [order for order in book if our_tag_of(order)]
    for tag, count in Counter(order.client_tag for order in orders).items():
        if count > 1:
            wrong.append(f"law 2: {count} broker orders for {tag}")
    for order in orders:
        row = store.row(order.client_tag or "")
        if row is None:
            wrong.append(f"law 1: the broker has {order.client_tag} and the database does not")
        elif "SENT_TO_BROKER" not in [event["to_status"] for event in row["events"]]:
            wrong.append(f"law 1: {order.client_tag} is at the broker and was never SENT_TO_BROKER")
    for answer in answers:
        wrong += _check_answer(answer, store)
    return wrong


def _check_answer(answer: Answered, store: Store) -> Iterator[str]:
    """Law 8: what a caller was told agrees with the row, then and for ever."""
    told = answer.body
    row = store.row(told["command_id"])
    if row is None:
        if told["tag"] != Tag.DATABASE_ERROR:
            yield f"law 8: {answer.key} was answered as {told['command_id']}, which the database lacks"
        return
    if told["broker_order_id"] is not None and told["broker_order_id"] != row["broker_order_id"]:
        yield f"law 8: {answer.key} was told number {told['broker_order_id']}, its row says {row['broker_order_id']}"
    if told["status"] in ("FAILED", "EXECUTED") and (told["status"], told["tag"]) != (row["status"], row["tag"]):
        yield f"law 8: {answer.key} was told {told['status']} {told['tag']}, its row says {row['status']} {row['tag']}"


def check_at_rest(
    book: Iterable[BrokerOrderReport], positions: Iterable[BrokerPosition], store: Store, guard: Mapping[str, Any]
) -> list[str]:
    """What must hold once nothing is on its way: row by row the same story, and law 5."""
    orders = {order.client_tag: order for order in book if our_tag_of(order)}
    wrong: list[str] = []
    for row in store.rows(limit=1_000_000):
        wrong += _check_row(row, orders.get(row["command_id"]))
    wrong += _check_law_5(positions, guard)
    return wrong


def _check_row(row: Mapping[str, Any], order: BrokerOrderReport | None) -> Iterator[str]:
    name, status = row["command_id"], row["status"]
    if status == "CREATED" or row["unknown"]:
        yield f"law 3: {name} is {status}, unknown {row['unknown']}, at rest"
    if order is None:
        if row["broker_order_id"] is not None or status == "EXECUTED":
            yield f"{name} is {status} as {row['broker_order_id']}, and the broker does not have it"
        return
    if row["broker_order_id"] != order.broker_order_id:
        yield f"{name} has number {row['broker_order_id']}, the broker says {order.broker_order_id}"
    if row["filled_quantity"] != (order.filled_quantity or 0):
        yield f"{name} has {row['filled_quantity']} filled, the broker says {order.filled_quantity}"
    expected = (
        "EXECUTED" if order.status is BrokerStatus.COMPLETE else "FAILED" if order.status in _GONE else "SENT_TO_BROKER"
    )
    if status != expected:
        yield f"{name} is {status}, the broker says {order.status}"


def _check_law_5(positions: Iterable[BrokerPosition], guard: Mapping[str, Any]) -> Iterator[str]:
    held: Counter[str] = Counter()
    for line in guard["lines"]:
        held[line["symbol"]] += line["held"]
    unattributed = {difference["symbol"]: difference["unattributed"] for difference in guard["differences"]}
    broker: Counter[str] = Counter()
    for position in positions:
        broker[position.symbol] += position.net_quantity
    for symbol in held.keys() | broker.keys():
        if held[symbol] + unattributed.get(symbol, 0) != broker[symbol]:
            yield f"law 5: {symbol}: guard {held[symbol]:+d}, broker {broker[symbol]:+d}"
    for symbol, quantity in unattributed.items():
        yield f"law 5: {quantity:+d} {symbol} is unattributed, and every order is ours"
