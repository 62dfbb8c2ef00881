"""Hands prices, and what became of orders, to the programs that follow them over the web server's sockets.

It stands for all of them: Prices sees one follower, whose subscriptions the web server counts. Takes `TicksTold`,
`OrderUpdate`, `ExternalOrders` and `MoreTicks`, and keeps nothing.
"""

from __future__ import annotations

from collections.abc import Callable

from actors.addresses import Addresses
from core.messages import ExternalOrders, Message, MoreTicks, OrderUpdate, TicksTold
from core.runtime import Actor, Runtime

__all__ = ["Stream"]


class Stream(Actor):
    """There only where an entry point has such sockets.

    Args:
        deliver: Takes each message at once, on this actor's thread; `MoreTicks` comes once it wants more prices.
    """

    def __init__(
        self, runtime: Runtime, name: str, *, addresses: Addresses, deliver: Callable[[Message], object]
    ) -> None:
        super().__init__(runtime, name)
        self._addresses = addresses
        self._deliver = deliver

    def rebuild(self) -> None:
        """Whatever was in hand, Prices is told that more may come."""
        self.tell(self._addresses.prices, MoreTicks())

    def on_news(self, message: TicksTold | OrderUpdate | ExternalOrders) -> None:
        self._deliver(message)

    def on_more_ticks(self, _: MoreTicks) -> None:
        if self.knows(self._addresses.prices.name):
            # While the service stops, it is gone already.
            self.tell(self._addresses.prices, MoreTicks())
