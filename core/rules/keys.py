"""Idempotency keys: one key means one submission, for ever (scenario G8).

The same submission again gets the first answer. Another one under a key that is taken is neither recorded nor sent: its
sender would otherwise be told of an order that it did not ask for, and its own would be lost. What a row was asked to
be stands in its columns, so rows of every age can be compared.

The legs of a basket are rows of their own, with the keys `<key>.1`, `<key>.2` and so on. Their basket id says which key
they came under and what the whole basket was, so that a basket with one leg more is another submission too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import fields, replace

from core.model.order import Order, OrderIntent

__all__ = ["MADE_HERE", "MAX_LEGS", "asked_for", "basket_under", "earlier_use", "is_same", "keys_beside", "sealed"]

MAX_LEGS = 20
"""Legs of one basket."""

MADE_HERE = "auto-"
"""How keys begin that are made for senders who give none: nobody else can use the same."""

_ASKED = tuple(
    field.name for field in fields(OrderIntent) if field.name not in ("idempotency_key", "basket", "protect")
)


def asked_for(intent: OrderIntent) -> str:
    """What an intent asks for, in a few words."""
    price = "" if intent.price is None else f" at {intent.price}"
    what = f"{intent.execution_type} {intent.side} {intent.quantity} {intent.symbol} {intent.order_type}{price}"
    return f"{intent.strategy} {what}"


def basket_under(key: str) -> str:
    """What the basket id of all legs under `key` begins with."""
    return hashlib.sha256(key.encode("utf-8", "backslashreplace")).hexdigest()[:16]


def sealed(legs: Sequence[OrderIntent]) -> list[OrderIntent]:
    """The legs of one basket, with a basket id that tells this basket from any other under the same key."""
    # As it was before there were protections, for legs without one.
    content = repr([[_plain(leg, name) for name in _ASKED] + [str(leg.protect)] * bool(leg.protect) for leg in legs])
    digest = hashlib.sha256(content.encode()).hexdigest()[:12]
    return [replace(leg, basket=f"{leg.basket}-{digest}") for leg in legs]


def is_same(known: OrderIntent, wanted: OrderIntent) -> bool:
    """Whether two intents under one key ask for the same order; protections are compared where they are kept."""
    return _one_basket(known, wanted) and all(getattr(known, name) == getattr(wanted, name) for name in _ASKED)


def keys_beside(intent: OrderIntent) -> tuple[str, ...]:
    """The keys of rows that another submission under the key of this intent may have left, its own key first."""
    key = intent.idempotency_key
    if key is None:
        return ()
    if key.startswith(MADE_HERE):
        return (key,)
    root = _root(intent)
    legs = tuple(f"{root or key}.{number}" for number in range(1, MAX_LEGS + 1))
    return (key, *legs) if root is None else (key, root, *legs)


def earlier_use(intent: OrderIntent, rows: Iterable[Order]) -> Order | None:
    """The order that has the key of `intent`, the same (`is_same`) or another; None while the key is free.

    Args:
        intent: What is wanted now.
        rows: The orders under `keys_beside(intent)`.
    """
    by_key = {row.intent.idempotency_key: row for row in rows}
    own = by_key.pop(intent.idempotency_key, None)
    if own is not None:
        return own
    root = _root(intent)
    for key, row in sorted(by_key.items(), key=lambda item: item[0] or ""):
        if key == root:
            return row
        if _root(row.intent) == (root or intent.idempotency_key) and not _one_basket(row.intent, intent):
            return row
    return None


def _one_basket(known: OrderIntent, wanted: OrderIntent) -> bool:
    if known.basket == wanted.basket:
        return True
    root = _root(wanted)
    # Legs registered by earlier versions have a basket id without the digest of the whole.
    return root is not None and known.basket == basket_under(root)


def _root(intent: OrderIntent) -> str | None:
    """The key of the whole basket of which this is a leg; None for an order of its own."""
    root, dot, _ = (intent.idempotency_key or "").rpartition(".")
    return root if dot and intent.basket is not None and intent.basket.startswith(basket_under(root)) else None


def _plain(leg: OrderIntent, name: str) -> str:
    value = getattr(leg, name)
    # 100 and 100.00 are one price.
    return "" if value is None else str(value.normalize() if name in ("price", "trigger_price") else value)
