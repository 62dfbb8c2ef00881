"""Modifying: other terms that were asked for, kept in the row until the order book says whether they hold."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from core.messages import ModifyNotDone, ModifyOrder, ModifyReported, ModifyStatus
from core.model.order import Modification, Order
from core.rules.modifying import Denied, wanted
from core.store.sending import Sending, with_more
from core.store.values import clean_text

__all__ = ["Modifying"]

_PENDING = (ModifyStatus.TAKEN, ModifyStatus.UNKNOWN)


class Modifying(Sending):
    """Operations of a modification."""

    def request_modify(self, asked: ModifyOrder, at: datetime, cause: str) -> tuple[Order | None, Denied | None]:
        """Note what is asked for, before the broker is asked; or why it is not. The row as it stands; None without."""
        if self.order(asked.command_id) is None:
            return None, Denied(ModifyStatus.NO_ORDER, "there is no such order")
        order = self._order_to_change(asked.command_id)
        terms = wanted(order, asked.fields, asked.seen, asked.to)
        if isinstance(terms, Denied):
            return order, terms
        pending = replace(order, modifying=Modification(terms=terms, by=asked.by))
        return self._noted(pending, f"modify wanted by {asked.by}: {order.terms} to {terms}", at, cause), None

    def modify_reported(self, told: ModifyReported, reason: str, at: datetime, cause: str) -> Order:
        """What came of the request: pending still where the broker may have it, and else given up."""
        order = self._order_to_change(told.command_id)
        pending = order.modifying
        if pending is None or pending.terms != told.asked:
            # The book was faster.
            return order
        left = None
        if told.standing in _PENDING:
            left = replace(pending, answered=True, terms=told.sent or pending.terms)
        text = f"modify {told.standing.lower().replace('_', ' ')}: {reason}"
        return self._noted(replace(order, modifying=left), text, at, cause)

    def modify_not_done(self, told: ModifyNotDone, at: datetime, cause: str) -> Order | None:
        """The book shows the old terms, read after read; None where it has shown the new ones meanwhile."""
        order = self._order_to_change(told.command_id)
        if order.modifying is None or order.modifying.terms != told.asked:
            return None
        return self._noted(replace(order, modifying=None), f"modify not carried out: {told.reason}", at, cause)

    def _noted(self, order: Order, text: str, at: datetime, cause: str) -> Order:
        text = clean_text(text)
        noted = replace(order, updated_at=at, reason=with_more(order, text))
        self._amend(noted, order.status, at, cause, note=text)
        return noted
