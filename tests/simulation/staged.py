"""What random events seldom bring together, staged in some worlds: a fault that must meet somebody at the wrong time.

Drawn from a chance of its own, so that a world in which nothing is staged is the one that its seed has always been.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from tests.simulation.event import Event, Value

__all__ = ["staged"]

_SHARE = 0.04
"""How often each scene is played."""

_DOWN_S = ("down_s", 0.5)


def staged(chance: random.Random, active_s: float) -> list[Event]:
    """The events of one scene, or none."""
    drawn = chance.random()
    for number, scene in enumerate(_SCENES, 1):
        if drawn < number * _SHARE:
            return scene(chance, active_s)
    return []


def _halted_and_restarted(chance: random.Random, active_s: float) -> list[Event]:
    """The service is started again while trading is halted."""
    at = chance.uniform(0.3, 0.6) * active_s
    kind = chance.choice(("restart", "crash", "crash:power"))
    return [Event(at, "operator:halt"), Event(at + chance.uniform(0.5, 3.0), kind, (_DOWN_S,))]


def _power_lost(chance: random.Random, active_s: float) -> list[Event]:
    """The machine loses its power in the midst of trading."""
    return [Event(chance.uniform(0.3, 0.9) * active_s, "crash:power", (_DOWN_S,))]


def _second_started(chance: random.Random, active_s: float) -> list[Event]:
    """Somebody starts the service once more while it runs."""
    return [Event(chance.uniform(0.1, 0.9) * active_s, "second")]


def _delivered(chance: random.Random, active_s: float) -> list[Event]:
    """Shares are bought for delivery, and a night passes."""
    symbol = chance.choice(("INFY-EQ", "M&M-EQ"))
    bought = _webhook(active_s - chance.uniform(7.0, 12.0), "ENTRY", symbol, "BUY", "CNC")
    return [bought, Event(active_s - 0.5, "night", (("clean", chance.randrange(2)),))]


def _converted(chance: random.Random, active_s: float) -> list[Event]:
    """What a strategy holds is converted by a person with a phone."""
    at = chance.uniform(0.2, 0.5) * active_s
    symbol = chance.choice(("INFY-EQ", "M&M-EQ"))
    conversions = [
        Event(at + chance.uniform(4.0, 6.0), "phone:convert", (("which", which), ("share", 1.0))) for which in range(2)
    ]
    return [_webhook(at, "ENTRY", symbol, "BUY", "MIS"), *conversions]


def _closed_while_an_exit_waits(chance: random.Random, active_s: float) -> list[Event]:
    """A person closes what an EXIT is about, while that EXIT waits for the quote that it is priced by."""
    at = chance.uniform(0.1, 0.4) * active_s
    symbol = chance.choice(("INFY-EQ", "M&M-EQ"))
    left = at + chance.uniform(7.0, 9.0)
    return [
        _webhook(at, "ENTRY", symbol, "BUY", "MIS"),
        Event(left - 0.1, "broker:reply_delay", (("count", 2), ("path", "GetQuotes"), ("seconds", 3.5))),
        _webhook(left, "EXIT", symbol, "SELL", "MIS"),
        *(Event(left + 1.5, "phone:close", (("which", which), ("share", 1.0))) for which in range(4)),
    ]


def _closed_as_an_exit_arrives(chance: random.Random, active_s: float) -> list[Event]:
    """A person closes what an EXIT is about, while that EXIT is on its way to the exchange."""
    at = chance.uniform(0.1, 0.4) * active_s
    symbol = chance.choice(("INFY-EQ", "M&M-EQ"))
    left = at + chance.uniform(7.0, 9.0)
    closed = left + chance.uniform(0.1, 0.5)
    return [
        _webhook(at, "ENTRY", symbol, "BUY", "MIS"),
        _webhook(left, "EXIT", symbol, "SELL", "MIS"),
        *(Event(closed, "phone:close", (("which", which), ("share", 1.0))) for which in range(4)),
    ]


def _webhook(at: float, kind: str, symbol: str, side: str, product: str) -> Event:
    values: tuple[tuple[str, Value], ...] = (
        ("strategy", "alpha"),
        ("type", kind),
        ("exchange", "NSE"),
        ("symbol", symbol),
        ("quantity", 10),
        ("side", side),
        ("order", "MARKET"),
        ("product", product),
        ("key", None),
        ("doubled_s", None),
        ("exact", 1),
    )
    return Event(at, "webhook", values)


_SCENES: tuple[Callable[[random.Random, float], list[Event]], ...] = (
    _halted_and_restarted,
    _power_lost,
    _second_started,
    _delivered,
    _converted,
    _closed_while_an_exit_waits,
    _closed_as_an_exit_arrives,
)
