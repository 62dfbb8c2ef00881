"""Order updates for the clients of the WebSocket: numbered, and kept for those that come back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.model.order import Order
from core.web.openalgo.answers import encoded

__all__ = ["Updates", "row_of"]

_MOST = 10_000
_OF_INTENT = ("exchange", "symbol", "side", "strategy", "order_type", "price", "trigger_price")
_OF_ORDER = (
    *("command_id", "broker_order_id", "status", "unknown", "tag", "reason", "quantity", "filled_quantity"),
    *("average_price", "created_at"),
)


class Updates:
    """What became of orders since this process began, numbered from 1 without a gap.

    Args:
        stream: Names this process; a number is good in its own stream alone.
        about: What every update says.
    """

    def __init__(self, stream: str, about: Mapping[str, object]) -> None:
        self.stream = stream
        self.last = 0
        """The number of the newest."""
        self._about = about
        self._kept: list[str] = []
        self._shown: dict[str, Mapping[str, Any]] = {}

    def add(self, shown: Mapping[str, Any]) -> bool:
        """An order is now as `shown`; False where that was told already."""
        key = str(shown["command_id"] or shown["orderid"])
        if self._shown.get(key) == shown:
            return False
        if len(self._shown) > _MOST:
            self._shown.clear()
        self._shown[key] = shown
        self.last += 1
        self._kept.append(self.text(shown, self.last))
        if len(self._kept) > 2 * _MOST:
            del self._kept[:_MOST]
        return True

    def tells_of(self, command_id: str) -> bool:
        """Whether anything of an order was told."""
        return command_id in self._shown

    def text(self, shown: Mapping[str, Any], sequence: int, **more: object) -> str:
        """The message to a client."""
        told = {"type": "order_update", **self._about, **shown, "stream": self.stream, "sequence": sequence, **more}
        return encoded(told).decode("ascii")

    def has_after(self, stream: object, sequence: object) -> bool:
        """Whether all that came after this one is still kept."""
        is_number = isinstance(sequence, int) and not isinstance(sequence, bool)
        return stream == self.stream and is_number and self.last - len(self._kept) <= int(str(sequence)) <= self.last

    def one(self, sequence: int) -> str:
        """The message of a number.

        Raises:
            LookupError: It is not kept any more.
        """
        place = sequence - 1 - (self.last - len(self._kept))
        if place < 0:
            raise LookupError(sequence)
        return self._kept[place]


def row_of(order: Order) -> dict[str, Any]:
    """An order as its row in the database shows it."""
    return {
        **{name: getattr(order.intent, name) for name in _OF_INTENT},
        **{name: getattr(order, name) for name in _OF_ORDER},
        "product": order.product or order.intent.product,
    }
