"""Step 1: a row for every intent that comes, taken or refused."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime

from core.model.order import Order, OrderIntent, OrderResult, Source, Status, Tag
from core.rules.keys import earlier_use, is_same, keys_beside
from core.rules.modifying import with_terms
from core.store.errors import CommandIdTaken, KeyTaken
from core.store.protections import Protections, pending
from core.store.rows import ALL, Evidence
from core.store.values import COLUMNS, SqlValue, clean_text, day_text, order_values, terms_from, time_text

__all__ = ["Registering"]

_INSERT = f"INSERT INTO orders ({ALL}) VALUES ({', '.join('?' * len(COLUMNS))}) ON CONFLICT DO NOTHING"
_BY_KEY = f"SELECT {ALL} FROM orders WHERE account = ? AND idempotency_key = ?"
# A key, and where it was used for a basket or with other words, what else it may stand under.
_BY_KEYS = f"SELECT {ALL} FROM orders WHERE account = ? AND idempotency_key IN (KEYS)"
_ASKED_FOR = "SELECT quantity FROM order_events WHERE command_id = ? ORDER BY seq LIMIT 1"
_FIRST_TERMS = "SELECT first_terms FROM orders WHERE command_id = ?"
_STATUS_OF = "SELECT status FROM orders WHERE command_id = ?"

_TEXTS = (
    "idempotency_key",
    "strategy",
    "execution_type",
    "exchange",
    "symbol",
    "side",
    "product",
    "order_type",
    "price",
    "trigger_price",
    "validity",
    "basket",
)
_MAX_REASON = 1000  # a refusal costs its sender nothing, so what it may store is bounded
_LARGEST = 2**63 - 1


class Registering(Protections):
    """Operations of step 1."""

    def register(self, order: Order, at: datetime, cause: str) -> Order:
        """Insert the row CREATED, or find the same order under its idempotency key (scenarios A13, G8).

        Returns:
            The order as it stands. Another `command_id` than the given one means: known already, and unchanged.

        Raises:
            CommandIdTaken: A row with this command_id exists.
            KeyTaken: The key belongs to another order.
        """
        if order.status is not Status.CREATED:
            raise ValueError(f"{order.command_id} is {order.status}: a row begins as CREATED")
        known = self.order_under_key(order.account, order.intent)
        if known is not None and known.command_id != order.command_id:
            return known
        inserted = self._db.write(_INSERT, order_values(order, time_text(at), self._run))
        if inserted.rowcount == 1:
            registered = order if order.updated_at == at else replace(order, updated_at=at)
            self._write_event(registered, None, at, cause)
            if order.intent.protect is not None:
                self.save_protections(order.account, (pending(registered),))
            return registered
        known = self.order_under_key(order.account, order.intent)
        if known is None or known.command_id == order.command_id:
            raise CommandIdTaken(order.command_id)
        return known

    def order_under_key(self, account: str, intent: OrderIntent) -> Order | None:
        """The row of the same order under the key of `intent`; None while the key is free, or without one.

        Raises:
            KeyTaken: The key belongs to another order.
        """
        keys = keys_beside(intent)
        if not keys:
            return None
        found = self._db.execute(_BY_KEYS.replace("KEYS", ", ".join("?" * len(keys))), (account, *keys)).fetchall()
        known = earlier_use(intent, [self._loaded(values) for values in found])
        if known is not None and not self.asked_the_same(known, intent):
            raise KeyTaken(known)
        return known

    def asked_the_same(self, order: Order, intent: OrderIntent) -> bool:
        """Whether a row was asked for by the same intent, whatever its terms at the broker are now."""
        terms = self._db.execute(_FIRST_TERMS, (order.command_id,)).fetchone()
        if terms is not None and terms[0]:
            order = with_terms(order, terms_from(terms[0]))
        first = self._db.execute(_ASKED_FOR, (order.command_id,)).fetchone()
        asked = order.intent if first is None else replace(order.intent, quantity=first[0])
        return is_same(asked, intent) and self.protect_of(order.account, order.command_id) == intent.protect

    def order_by_key(self, account: str, key: str) -> Order | None:
        """The order that was registered under this idempotency key."""
        values = self._db.execute(_BY_KEY, (account, key)).fetchone()
        return None if values is None else self._loaded(values)

    def register_refusal(  # noqa: PLR0917
        self,
        command_id: str,
        account: str,
        source: Source,
        fields: tuple[tuple[str, str | int], ...],
        tag: Tag,
        reason: str,
        at: datetime,
        trading_day: date,
        cause: str,
    ) -> OrderResult:
        """Insert a row that is FAILED from the start, with what could be read of the intent (scenarios D4, F1).

        An idempotency key among the fields is not stored: nothing was done under it, and the sender may correct the
        intent and use it again.

        Raises:
            CommandIdTaken: A row with this command_id exists.
        """
        reason = clean_text(reason if len(reason) <= _MAX_REASON else f"{reason[: _MAX_REASON - 3]}...")
        row = _refused_row(dict(fields))
        row.update(
            command_id=command_id,
            account=account,
            source=source.value,
            status=Status.FAILED.value,
            tag=tag.value,
            reason=reason,
            unknown=False,
            filled_quantity=0,
            deadline=time_text(at),
            created_at=time_text(at),
            updated_at=time_text(at),
            trading_day=day_text(trading_day),
            run=self._run,
            parts=1,
        )
        inserted = self._db.write(_INSERT, tuple(row.get(name) for name in COLUMNS))
        if inserted.rowcount != 1:
            raise CommandIdTaken(command_id)
        self.newest_event = Evidence(command_id, cause)
        self._db.write(
            "INSERT INTO order_events (command_id, seq, at, to_status, tag, reason, cause, quantity, product, "
            "unknown, filled_quantity) VALUES (?, 1, ?, 'FAILED', ?, ?, ?, ?, ?, FALSE, 0)",
            (command_id, time_text(at), tag.value, reason, cause, row.get("quantity"), row.get("product")),
        )
        return OrderResult(success=False, command_id=command_id, status=Status.FAILED, tag=tag, reason=reason)


def _refused_row(fields: dict[str, str | int]) -> dict[str, SqlValue]:
    """The columns for what could be read; what no column can hold is left out, and told by the reason."""
    row: dict[str, SqlValue] = {}
    for name in _TEXTS:
        value = fields.get(name)
        if value is not None and name != "idempotency_key":
            row[name] = clean_text(str(value))
    quantity = fields.get("quantity")
    if isinstance(quantity, int) and abs(quantity) <= _LARGEST:
        row["quantity"] = row["requested_quantity"] = int(quantity)
    row["requested_product"] = row.get("product")
    return row
