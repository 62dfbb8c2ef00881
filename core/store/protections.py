"""Protections of positions, as rows: written whole, since one actor decides all that becomes of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from decimal import Decimal

from core.model.order import Order, Product, Status
from core.model.protect import Protect
from core.model.protection import LIVE, Protection, ProtectionState
from core.rules.protection import in_json, read_protect
from core.store.rows import OrderRows
from core.store.values import clean_text, decimal_from, decimal_text, time_from, time_text

__all__ = ["Protections", "pending"]

_COLUMNS = (
    "id, strategy, exchange, symbol, product, sign, rule, state, anchor, best, trail, count, fired, fired_price, "
    "reason, created_at, updated_at"
)
_SAVE = (
    f"INSERT INTO protections (account, {_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
    "ON CONFLICT (account, id) DO UPDATE SET state = excluded.state, anchor = excluded.anchor, best = excluded.best, "
    "trail = excluded.trail, count = excluded.count, fired = excluded.fired, fired_price = excluded.fired_price, "
    "reason = excluded.reason, updated_at = excluded.updated_at WHERE protections.state NOT IN ('DONE', 'ENDED')"
)
_NOT_OVER = (
    f"SELECT {_COLUMNS} FROM protections WHERE account = ? AND state IN ('PENDING', 'ACTIVE', 'FIRING') "
    "ORDER BY created_at, id"
)
_PROGRESS = (
    "SELECT p.id, o.filled_quantity, o.average_price, o.status FROM protections AS p "
    "JOIN orders AS o ON o.command_id = p.id WHERE p.account = ? AND p.state = 'PENDING'"
)
_RULE_OF = "SELECT rule FROM protections WHERE account = ? AND id = ?"
_REPLACED = (
    "UPDATE protections SET state = 'ENDED', reason = ?, updated_at = ? WHERE account = ? AND strategy = ? "
    "AND exchange = ? AND symbol = ? AND product = ? AND id <> ? AND state IN ('ACTIVE', 'FIRING')"
)


def pending(order: Order) -> Protection:
    """The protection that an order brings, before it has filled."""
    intent = order.intent
    if intent.protect is None or intent.product is None:
        raise ValueError(f"{order.command_id} brings no protection")
    return Protection(
        id=order.command_id,
        strategy=intent.strategy,
        exchange=intent.exchange,
        symbol=intent.symbol,
        product=intent.product,
        sign=intent.side.sign,
        rule=intent.protect,
        state=ProtectionState.PENDING,
        created_at=order.updated_at,
        updated_at=order.updated_at,
    )


class Protections(OrderRows):
    """Operations on protections."""

    def save_protections(self, account: str, protections: Iterable[Protection]) -> None:
        """Write these rows; what is over stays so, and what protects ends the one before it of the same position."""
        for one in protections:
            if one.state in LIVE:
                why = (f"replaced by {one.id}", time_text(one.updated_at))
                self._db.write(_REPLACED, (*why, account, *one.key[:3], one.product.value, one.id))
            self._db.write(_SAVE, (account, *_values(one)))

    def protections(self, account: str) -> tuple[Protection, ...]:
        """Those that are not over, oldest first."""
        return tuple(_protection(*row) for row in self._db.execute(_NOT_OVER, (account,)).fetchall())

    def progress_of_pending(self, account: str) -> Mapping[str, tuple[int, Decimal | None, bool]]:
        """What the orders of pending protections have filled, at what average, and whether they are over."""
        found = self._db.execute(_PROGRESS, (account,)).fetchall()
        over = (Status.EXECUTED.value, Status.FAILED.value)
        return {one: (int(filled), decimal_from(average), status in over) for one, filled, average, status in found}

    def protect_of(self, account: str, command_id: str) -> Protect | None:
        """What an order was to be protected by."""
        found = self._db.execute(_RULE_OF, (account, command_id)).fetchone()
        return None if found is None else _rule(found[0])


def _values(one: Protection) -> tuple[str | int | None, ...]:
    return (
        *(one.id, one.strategy, one.exchange, one.symbol, one.product.value, one.sign, json.dumps(in_json(one.rule))),
        *(one.state.value, decimal_text(one.anchor), decimal_text(one.best), decimal_text(one.trail), one.count),
        *(one.fired, decimal_text(one.fired_price), clean_text(one.reason)),
        *(time_text(one.created_at), time_text(one.updated_at)),
    )


def _protection(  # noqa: PLR0917 - one parameter a column
    protection_id: str,
    strategy: str,
    exchange: str,
    symbol: str,
    product: str,
    sign: int,
    rule: str,
    state: str,
    anchor: str | None,
    best: str | None,
    trail: str | None,
    count: int,
    fired: str | None,
    fired_price: str | None,
    reason: str,
    created_at: str,
    updated_at: str,
) -> Protection:
    return Protection(
        id=protection_id,
        strategy=strategy,
        exchange=exchange,
        symbol=symbol,
        product=Product(product),
        sign=int(sign),
        rule=_rule(rule),
        state=ProtectionState(state),
        anchor=decimal_from(anchor),
        best=decimal_from(best),
        trail=decimal_from(trail),
        count=int(count),
        fired=fired,
        fired_price=decimal_from(fired_price),
        reason=reason,
        created_at=time_from(created_at),
        updated_at=time_from(updated_at),
    )


def _rule(text: str) -> Protect:
    read = read_protect(json.loads(text))
    if isinstance(read, str):
        raise ValueError(f"a protection cannot be read: {read}")
    return read
