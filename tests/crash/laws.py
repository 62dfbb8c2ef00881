"""The laws of order execution, checked from both databases of truth: the exchange's books and our record."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from core.model.broker import BrokerOrderReport, BrokerPosition, BrokerStatus, BrokerTrade
from core.model.order import Side, Tag
from core.rules.order_matching import our_tag_of
from core.store import Store
from core.store.check import check
from core.store.values import time_from

__all__ = ["Account", "Answered", "account_of", "check_always", "check_at_rest"]

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


@dataclass(slots=True)
class Account:
    """Whose the account's positions are, by the exchange's trades in their order; all strategies are long.

    What a phone sells closes what the strategies hold first; what it buys is nobody's to touch.
    """

    own: Counter[str] = field(default_factory=Counter)
    others: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)


def account_of(trades: Iterable[BrokerTrade], store: Store, sold: Mapping[str, datetime]) -> Account:
    """Law 6: no EXIT takes more than was the strategies' own when it was sent.

    `sold` says when a phone sold: an EXIT that was on its way then may be overtaken.
    """
    account = Account()
    last_sale: dict[str, datetime] = {}
    for trade in sorted(trades, key=lambda trade: int(trade.broker_trade_id)):
        row = store.row(trade.client_tag) if trade.client_tag else None
        symbol, quantity = trade.symbol, trade.quantity
        if row is not None:
            account.own[symbol] += quantity if trade.side is Side.BUY else -quantity
            if trade.side is Side.SELL and account.own[symbol] < 0 and not _overtaken(row, last_sale.get(symbol)):
                account.wrong.append(
                    f"law 6: {row['command_id']} took {symbol} to {account.own[symbol]:+d} of what is the strategies'"
                )
        elif trade.side is Side.BUY:
            account.others[symbol] += quantity
        else:
            closed = max(0, min(quantity, account.own[symbol]))
            account.own[symbol] -= closed
            account.others[symbol] -= quantity - closed
            last_sale[symbol] = sold[trade.broker_order_id]
    return account


def _overtaken(row: Mapping[str, Any], sale: datetime | None) -> bool:
    sent = [time_from(event["at"]) for event in row["events"] if event["to_status"] == "SENT_TO_BROKER"]
    return sale is not None and bool(sent) and sent[0] < sale


def check_at_rest(
    book: Iterable[BrokerOrderReport],
    positions: Iterable[BrokerPosition],
    store: Store,
    guard: Mapping[str, Any],
    account: Account,
) -> list[str]:
    """What must hold once nothing is on its way: row by row the same story, law 5, and whose the positions are."""
    orders = {order.client_tag: order for order in book if our_tag_of(order)}
    wrong = list(account.wrong)
    for row in store.rows(limit=1_000_000):
        wrong += _check_row(row, orders.get(row["command_id"]))
    wrong += _check_law_5(positions, guard, account)
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


def _check_law_5(positions: Iterable[BrokerPosition], guard: Mapping[str, Any], account: Account) -> Iterator[str]:
    held: Counter[str] = Counter()
    holders: Counter[str] = Counter()
    working: set[str] = set()
    for line in guard["lines"]:
        held[line["symbol"]] += line["held"]
        holders[line["symbol"]] += line["held"] != 0
        if line["reserved"]:
            working.add(line["symbol"])
    unattributed = {difference["symbol"]: difference["unattributed"] for difference in guard["differences"]}
    broker: Counter[str] = Counter()
    for position in positions:
        broker[position.symbol] += position.net_quantity
    for symbol in held.keys() | broker.keys():
        # While an order of ours works in a symbol, no difference is named.
        if symbol not in working and held[symbol] + unattributed.get(symbol, 0) != broker[symbol]:
            yield f"law 5: {symbol}: guard {held[symbol]:+d}, broker {broker[symbol]:+d}"
        # Of a part that was sold while several held, nobody can say whose it was.
        if held[symbol] != account.own[symbol] and not (holders[symbol] > 1 and held[symbol] > account.own[symbol]):
            yield f"{symbol}: guard {held[symbol]:+d}, by the trades the strategies have {account.own[symbol]:+d}"
