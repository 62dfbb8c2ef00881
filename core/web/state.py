"""What the actors says of itself, read once for all pages that want to know it at the same moment."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, cast

from core.messages import (
    BrokerUse,
    ExternalOrders,
    FeedState,
    GetBrokerUse,
    GetExternalOrders,
    GetFeedState,
    GetGuardSnapshot,
    GetPositions,
    GetProtections,
    GetReadiness,
    GetRecentAlerts,
    GetRiskSnapshot,
    GuardSnapshot,
    Message,
    PositionsRead,
    ProtectionsSnapshot,
    Readiness,
    RecentAlerts,
    RiskSnapshot,
)
from core.runtime import ActorHealth, Address
from core.web.gateway import Gateway, Unanswered
from core.web.reading import Reading

__all__ = ["Shared", "State"]

T = TypeVar("T")
M = TypeVar("M", bound=Message)

_FRESH_S = 0.9


class Shared:
    """Values that many want at once: made once, good for a moment, waited for together."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._values: dict[object, tuple[float, asyncio.Future[Any]]] = {}

    async def get(self, key: object, make: Callable[[], Awaitable[T]], fresh_s: float = _FRESH_S) -> T:
        """The value of `key`, made anew if it is older than `fresh_s`."""
        now = self._monotonic()
        known = self._values.get(key)
        if known is None or now >= known[0] or known[1].cancelled():
            if len(self._values) > 500:
                self._values = {k: v for k, v in self._values.items() if v[0] > now}
            known = self._values[key] = (now + fresh_s, asyncio.ensure_future(make()))
        # Shielded: who stops waiting must not take the value away from the others.
        return cast("T", await asyncio.shield(known[1]))


class State:
    """The actors's answers, at most a second old. None stands for an actor that does not answer."""

    def __init__(self, gateway: Gateway, reading: Reading, shared: Shared) -> None:
        self._gateway = gateway
        self._reading = reading
        self._shared = shared

    async def readiness(self) -> Readiness:
        """Whether orders are taken; an actor that does not answer is a reason why not."""
        found = await self._ask(self._gateway.command_service, GetReadiness(), Readiness)
        return found or Readiness(False, ("the command service does not answer",))

    async def risk(self) -> RiskSnapshot | None:
        """Limits and their use."""
        return await self._ask(self._gateway.risk_manager, GetRiskSnapshot(), RiskSnapshot)

    async def guard(self) -> GuardSnapshot | None:
        """What strategies hold."""
        return await self._ask(self._gateway.execution_guard, GetGuardSnapshot(), GuardSnapshot)

    async def protections(self) -> ProtectionsSnapshot | None:
        """Stops, targets and trails, and how long positions stood without."""
        return await self._ask(self._gateway.position_manager, GetProtections(), ProtectionsSnapshot)

    async def positions(self) -> PositionsRead | None:
        """The broker's position book; None too before it was read."""
        return await self._ask(self._gateway.order_watcher, GetPositions(), PositionsRead)

    async def external_orders(self) -> ExternalOrders | None:
        """Orders of today's book that nobody here placed."""
        return await self._ask(self._gateway.order_watcher, GetExternalOrders(), ExternalOrders)

    async def broker(self) -> BrokerUse | None:
        """Session, queue and rates."""
        return await self._ask(self._gateway.broker_proxy, GetBrokerUse(), BrokerUse)

    async def feed(self) -> FeedState | None:
        """The push feed."""
        return await self._ask(self._gateway.order_feed, GetFeedState(), FeedState)

    async def alerts(self) -> RecentAlerts:
        """The last alerts."""
        return await self._ask(self._gateway.notifier, GetRecentAlerts(), RecentAlerts) or RecentAlerts(())

    def health(self) -> dict[str, ActorHealth]:
        """How each actor is doing."""
        return self._gateway.runtime.health()

    def changes(self) -> int:
        """A number that grows whenever anything may have been written to the database."""
        repo = self.health().get(self._gateway.order_repo.name)
        return repo.handled if repo is not None else -1

    async def _ask(self, address: Address[Any], message: Message, wanted: type[M]) -> M | None:
        async def ask() -> M | None:
            try:
                found = await self._gateway.ask(address, lambda _: message)
            except Unanswered:
                return None
            return found if isinstance(found, wanted) else None

        return await self._shared.get(wanted, ask)
