"""EXITs whose quantity is to be raised at the broker: they wait for a read of the account that began after that.

Refusing one costs nothing, since the EXIT works on as it is. So one read that shows less is enough, and an account that
cannot be read in time too.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from core.messages import AccountRead, CheckModify
from core.rules.exit_cap import ExitCap
from core.rules.guard import GuardBook
from core.rules.modifying import as_asked, raises

__all__ = ["Raises"]


class Raises:
    """Those that wait. Times are steady; `within_s` is how long one may wait."""

    def __init__(self, within_s: float) -> None:
        self._within_s = within_s
        self._waiting: dict[str, tuple[CheckModify, datetime]] = {}

    @property
    def waiting(self) -> bool:
        """Whether one waits."""
        return bool(self._waiting)

    def begin(self, message: CheckModify, book: GuardBook, now: datetime) -> str | None:
        """Why it cannot be, by what its strategy holds; "" when it may be at once, None when it waits for a read."""
        order = message.order
        if not raises(order) or not book.closes(order):
            return ""
        assert order.product is not None
        account = (order.exchange, order.symbol, order.product)
        stakes = book.stakes(account, order.side.sign, frozenset())
        held, leaving = next(((s.quantity, s.leaving) for s in stakes if s.strategy == order.strategy), (0, 0))
        if leaving > held:
            return f"strategy {order.strategy} holds {held} {order.symbol}, and its orders would close {leaving} of it"
        self._waiting[order.command_id] = (message, now)
        return None

    def drop(self, command_id: str) -> None:
        """The order is over."""
        self._waiting.pop(command_id, None)

    def step(
        self, cap: ExitCap, book: GuardBook, now: datetime, read: AccountRead | None
    ) -> list[tuple[CheckModify, str]]:
        """Those decided by a read that `cap` has taken in, or by waiting too long: with why they cannot be, or ""."""
        found = []
        for command_id, (message, since) in tuple(self._waiting.items()):
            why: str | None = None
            if read is not None and min(read.asked_at, read.orders_asked_at) >= since:
                asked = as_asked(message.order)
                rest = replace(asked, quantity=asked.quantity - asked.filled_quantity)
                room = cap.judge(rest, book, frozenset({command_id}))
                short = room.quantity < rest.quantity
                why = f"only {room.quantity} {asked.symbol} are left to close: {room.reason}" if short else ""
            elif (now - since).total_seconds() >= self._within_s:
                why = f"the account could not be read within {self._within_s:g} s"
            if why is not None:
                del self._waiting[command_id]
                found.append((message, why))
        return found
