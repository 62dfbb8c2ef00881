"""Who is who: the addresses the actors speaks to. Actors hold addresses, never each other."""

from __future__ import annotations

from dataclasses import dataclass

from core.messages import Message
from core.runtime import Address, Runtime

__all__ = ["STREAM", "Addresses", "strategy_name", "strategy_of"]

STREAM = "stream"
"""Who hands news to programs outside; only some services have it."""

_STRATEGY = "strategy:"


@dataclass(frozen=True, slots=True)
class Addresses:
    """The addresses of the actors."""

    command_service: Address[Message]
    trading_bot: Address[Message]
    risk_manager: Address[Message]
    execution_guard: Address[Message]
    position_manager: Address[Message]
    order_repo: Address[Message]
    broker_proxy: Address[Message]
    order_watcher: Address[Message]
    order_feed: Address[Message]
    instruments: Address[Message]
    prices: Address[Message]
    history: Address[Message]
    notifier: Address[Message]
    supervisor: Address[Message]

    @classmethod
    def of(cls, runtime: Runtime) -> Addresses:
        """The actors of one runtime; an address is good before its actor is spawned."""
        return cls(**{name: runtime.address(name) for name in cls.__dataclass_fields__})


def strategy_name(strategy: str) -> str:
    """The actor's name of a strategy."""
    return f"{_STRATEGY}{strategy}"


def strategy_of(actor: str) -> str | None:
    """The strategy that an actor of this name is; None for every other actor."""
    return actor.removeprefix(_STRATEGY) if actor.startswith(_STRATEGY) else None
