"""Cancelling: what was wished, and what the broker said of it. Neither ends an order that was sent; the book does."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from core.model.order import Order, Status, Tag
from core.store.sending import Sending, with_more

__all__ = ["Cancelling"]


_WANTED = "SELECT 1 FROM order_events WHERE command_id = ? AND reason LIKE ? LIMIT 1"


class Cancelling(Sending):
    """Operations of a cancel."""

    def cancel_wanted(self, command_id: str) -> bool:
        """Whether somebody here asked the broker to cancel it."""
        return self._db.execute(_WANTED, (command_id, "%cancel wanted by %")).fetchone() is not None

    def request_cancel(self, command_id: str, by: str, at: datetime, cause: str) -> Order | None:
        """End a row, and slices, that were not sent; note the wish on one that the broker has a number for.

        Returns:
            The row as it stands now: FAILED with CANCELLED_BEFORE_SENDING if this ended it. None without a row.
        """
        order = self.order(command_id)
        if order is None:
            return None
        if order.status is Status.CREATED:
            reason = f"cancelled by {by}"
            failed = self.fail(command_id, Status.CREATED, Tag.CANCELLED_BEFORE_SENDING, reason, at, cause)
            return failed or self.order(command_id)
        self.stop_rest(command_id, Tag.CANCELLED_BEFORE_SENDING, f"cancelled by {by}", at, cause)
        if order.broker_order_id is not None:
            self.note(command_id, f"cancel wanted by {by}", at, cause)
        return self.order(command_id)

    def note(self, command_id: str, text: str, at: datetime, cause: str) -> None:
        """Add an event that leaves a row at the broker as it is; a final row is left alone (law 3)."""
        order = self._order_to_change(command_id)
        if not order.is_final:
            noted = replace(order, updated_at=at, reason=with_more(order, text))
            self._amend(noted, order.status, at, cause, note=text)
