"""What random events seldom bring together, staged in some worlds: a fault that must meet somebody at the wrong time.

Drawn from a chance of its own, so that a world in which nothing is staged is the one that its seed has always been.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from tests.simulation.event import Event, Value

__all__ = ["scene_of", "staged"]

_SHARE = 0.04
"""How often each scene is played."""

_DOWN_S = ("down_s", 0.5)


def scene_of(profile: str, seed: int) -> str | None:
    """The name of the scene that is played in this world; None for most."""
    number = int(_chance(profile, seed).random() / _SHARE)
    return _SCENES[number].__name__ if number < len(_SCENES) else None


def staged(profile: str, seed: int, active_s: float) -> list[Event]:
    """The events of its scene, or none."""
    name, chance = scene_of(profile, seed), _chance(profile, seed)
    chance.random()
    return [event for scene in _SCENES if scene.__name__ == name for event in scene(chance, active_s)]


def _chance(profile: str, seed: int) -> random.Random:
    return random.Random(f"staged:{profile}:{seed}")


def halted_and_restarted(chance: random.Random, active_s: float) -> list[Event]:
    """The service is started again while trading is halted."""
    at = chance.uniform(0.3, 0.6) * active_s
    kind = chance.choice(("restart", "crash", "crash:power"))
    return [Event(at, "operator:halt"), Event(at + chance.uniform(0.5, 3.0), kind, (_DOWN_S,))]


def power_lost(chance: random.Random, active_s: float) -> list[Event]:
    """The machine loses its power in the midst of trading."""
    return [Event(chance.uniform(0.3, 0.9) * active_s, "crash:power", (_DOWN_S,))]


def second_started(chance: random.Random, active_s: float) -> list[Event]:
    """Somebody starts the service once more while it runs."""
    return [Event(chance.uniform(0.1, 0.9) * active_s, "second")]


def delivered(chance: random.Random, active_s: float) -> list[Event]:
    """Shares are bought for delivery by a strategy that does nothing else, and a night passes."""
    bought = _webhook(chance.uniform(0.2, 0.6) * active_s, "ENTRY", "TCS-EQ", "BUY", "CNC", strategy="delta")
    return [bought, Event(active_s - 0.5, "night", (("clean", chance.randrange(2)),))]


def converted(chance: random.Random, active_s: float) -> list[Event]:
    """What a strategy holds is converted by a person with a phone."""
    at = chance.uniform(0.2, 0.5) * active_s
    symbol = chance.choice(("INFY-EQ", "M&M-EQ"))
    conversions = [
        Event(at + chance.uniform(4.0, 6.0), "phone:convert", (("which", which), ("share", 1.0))) for which in range(2)
    ]
    return [_webhook(at, "ENTRY", symbol, "BUY", "MIS"), *conversions]


def closed_while_an_exit_waits(chance: random.Random, active_s: float) -> list[Event]:
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


def closed_as_an_exit_fills(chance: random.Random, active_s: float) -> list[Event]:
    """A person closes what a resting EXIT is about, and the price jumps to it before it can be cancelled."""
    at = chance.uniform(0.1, 0.4) * active_s
    left = at + chance.uniform(6.0, 8.0)
    closed = left + chance.uniform(3.0, 5.0)
    return [
        _webhook(at, "ENTRY", "TCS-EQ", "BUY", "MIS", strategy="delta"),
        _webhook(left, "EXIT", "TCS-EQ", "SELL", "MIS", strategy="delta", order="AWAY"),
        *(Event(closed, "phone:close", (("which", which), ("share", 1.0))) for which in range(4)),
        Event(closed + 0.1, "market:jump", (("exchange", "NSE"), ("symbol", "TCS-EQ"), ("factor", 1.03))),
    ]


def left_twice_after_a_part_was_closed(chance: random.Random, active_s: float) -> list[Event]:
    """Two strategies hold one symbol, a person closes a part of it, and both leave, one with an EXIT that rests."""
    at = chance.uniform(0.1, 0.4) * active_s
    closed = at + chance.uniform(6.0, 8.0)
    left = closed + chance.uniform(9.0, 10.0)
    sold = (("exchange", "NSE"), ("symbol", "TCS-EQ"), ("side", "S"), ("quantity", chance.randint(11, 18)))
    return [
        *(_webhook(at, "ENTRY", "TCS-EQ", "BUY", "MIS", strategy=name) for name in ("delta", "epsilon")),
        Event(closed, "phone:order", sold),
        _webhook(left, "EXIT", "TCS-EQ", "SELL", "MIS", strategy="delta", order="AWAY"),
        _webhook(left + chance.uniform(0.0, 2.0), "EXIT", "TCS-EQ", "SELL", "MIS", strategy="epsilon"),
    ]


def _webhook(
    at: float, kind: str, symbol: str, side: str, product: str, *, order: str = "MARKET", strategy: str = "alpha"
) -> Event:
    values: tuple[tuple[str, Value], ...] = (
        ("strategy", strategy),
        ("type", kind),
        ("exchange", "NSE"),
        ("symbol", symbol),
        ("quantity", 10),
        ("side", side),
        ("order", order),
        ("product", product),
        ("key", None),
        ("doubled_s", None),
        ("exact", 1),
    )
    return Event(at, "webhook", values)


_SCENES: tuple[Callable[[random.Random, float], list[Event]], ...] = (
    halted_and_restarted,
    power_lost,
    second_started,
    delivered,
    converted,
    closed_while_an_exit_waits,
    closed_as_an_exit_fills,
    left_twice_after_a_part_was_closed,
)
