"""What people want of the service, and do in its account, drawn from a seed: webhooks, an operator, a phone."""

from __future__ import annotations

import random

from tests.simulation.event import Event, Value
from tests.simulation.exchange import FUTURE

__all__ = ["HOOKS", "SYMBOLS", "draw_act", "draw_phone", "draw_webhook"]

SYMBOLS = (
    ("NSE", "INFY-EQ", 1),
    ("NSE", "SBIN-EQ", 1),
    ("NSE", "M&M-EQ", 1),
    ("NFO", FUTURE, 65),
)
"""What is traded: exchange, symbol, lot."""

HOOKS = ("alpha", "beta", "gamma")
"""Strategies that live outside and send webhooks."""


_FREEZE = 100_000
"""An order of this size is above any freeze quantity."""


def draw_webhook(chance: random.Random, at: float) -> Event:
    """An order from outside; what exactly is decided when it is sent, since it depends on the price then."""
    exchange, symbol, lot = chance.choice(SYMBOLS)
    times = chance.choices((1, 2, 10, 50, _FREEZE), (8, 8, 8, 8, 1))[0]
    return Event(
        at,
        "webhook",
        (
            ("strategy", chance.choice(HOOKS)),
            ("type", chance.choice(("ENTRY", "ENTRY", "EXIT", "EXIT", "ADJUST"))),
            ("exchange", exchange),
            ("symbol", symbol),
            ("quantity", lot * times),
            ("side", chance.choice(("BUY", "SELL"))),
            ("order", chance.choice(("MARKET", "MARKET", "LIMIT", "AWAY", "AWAY", "IOC", "SL"))),
            ("product", chance.choice(("MIS", "MIS", "CNC" if exchange == "NSE" else "NRML", None))),
            ("key", _key(chance)),
            ("doubled_s", chance.choice((None, None, 0.0, 0.5))),
        ),
    )


def _key(chance: random.Random) -> str | None:
    """As a rule one of its own; of some senders the same for other orders too."""
    drawn = chance.random()
    if drawn < 0.2:
        return None
    if drawn < 0.26:
        return f"k{chance.randrange(4)}"
    return f"k{chance.randrange(10**6)}"


_ACTS = (
    "operator:halt",
    "operator:resume",
    "operator:resume",
    "operator:resume",
    "operator:resume",
    "operator:square_off",
    "operator:cancel",
    "operator:cancel",
    "phone:cancel",
    "phone:partial_fill",
    "phone:partial_fill",
    "phone:late_fill",
)


def draw_act(chance: random.Random, at: float) -> Event:
    """Something an operator does, or that happens to an order of ours at the exchange."""
    kind = chance.choice(_ACTS)
    values: tuple[tuple[str, Value], ...] = ()
    if kind not in ("operator:halt", "operator:resume", "operator:square_off"):
        values = (("which", chance.randrange(100)),)
    return Event(at, kind, values)


_PHONE = (
    ("phone:order", 3),
    ("phone:close", 8),
    ("phone:trip", 3),
    ("phone:convert", 2),
    ("phone:modify", 2),
    ("market:circuit", 0.7),
    ("market:jump", 0.7),
)


def draw_phone(chance: random.Random, at: float) -> Event:
    """Something a person with a phone does in the account, or the market with its prices."""
    kind = chance.choices([name for name, _ in _PHONE], [weight for _, weight in _PHONE])[0]
    exchange, symbol, lot = chance.choice(SYMBOLS)
    where: tuple[tuple[str, Value], ...] = (("exchange", exchange), ("symbol", symbol))
    what: tuple[tuple[str, Value], ...] = (
        ("side", chance.choice(("B", "S"))),
        ("quantity", lot * chance.choice((1, 5, 20))),
    )
    which = ("which", chance.randrange(100))
    values = {
        "phone:order": (*where, *what),
        "phone:close": (which, ("share", chance.choice((1.0, 1.0, 1.0, 0.5, 0.5, 1.5, -0.5)))),
        "phone:trip": (*where, *what, ("seconds", chance.choice((0.2, 1.0, 4.0)))),
        "phone:convert": (which, ("share", chance.choice((1.0, 0.5)))),
        "phone:modify": (which,),
        "market:circuit": (*where, what[0], ("seconds", chance.choice((3.0, 15.0)))),
        "market:jump": (*where, ("factor", chance.choice((0.97, 1.03)))),
    }
    return Event(at, kind, values[kind])
