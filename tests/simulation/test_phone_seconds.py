"""G1 in the seconds after: a person closes by phone, and the strategy's EXIT comes 1, 3, 6 and 10 s later."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from core.model.order import Tag
from tests.simulation.composition import SYSTEM
from tests.simulation.event import Event, Value
from tests.simulation.guards import guarded
from tests.simulation.plan import PROFILES, Plan, draw_plan
from tests.simulation.world import World

_HELD = 50
_ALONE = replace(SYSTEM, strategies=lambda _: ())
_CLOSED_AT_S = 15.0
_SLOW_S = 5.0


def plan_of(feed: str, sold: int, later_s: float) -> Plan:
    """alpha buys 50, a person sells of them, alpha exits so many seconds later, at the market's prices all of them."""
    drawn = draw_plan(7, PROFILES["calm"])
    slow = (("seconds", _SLOW_S),) if feed == "slow" else ()
    trouble = {"up": "", "down": "broker:push_lost", "slow": "broker:push_reordered"}[feed]
    phone = (("exchange", "NSE"), ("symbol", "INFY-EQ"), ("side", "S"), ("quantity", sold))
    events = [
        webhook(5.0, "ENTRY", "BUY"),
        *([Event(_CLOSED_AT_S - 1, trouble, (("count", 0), *slow))] if trouble else []),
        Event(_CLOSED_AT_S, "phone:order", phone),
        webhook(_CLOSED_AT_S + later_s, "EXIT", "SELL"),
    ]
    limits = {name: dict(section) for name, section in drawn.limits.items()}
    limits["risk"] = {"max_daily_loss": 0, "max_loss": 0, "cooldown_s": 0}
    limits["limits"] |= {"send_deadline_s": 30}
    limits["broker"] |= {"push_feed": True}
    return replace(
        drawn,
        start=drawn.start.replace(hour=5, minute=0),
        active_s=_CLOSED_AT_S + later_s + 5,
        limits=limits,
        volatility=0.0,
        depth=60,
        exchange={**drawn.exchange, "holding": 0},
        events=tuple(events),
    )


def webhook(at: float, kind: str, side: str) -> Event:
    values: dict[str, Value] = {"strategy": "alpha", "type": kind, "exchange": "NSE", "symbol": "INFY-EQ"}
    values |= {"quantity": _HELD, "side": side, "order": "LIMIT", "product": "MIS", "key": kind, "doubled_s": None}
    return Event(at, "webhook", tuple(values.items()))


@pytest.mark.parametrize("later_s", [1.0, 3.0, 6.0, 10.0])
@pytest.mark.parametrize(("feed", "sold"), [("up", 50), ("down", 50), ("slow", 50), ("slow", 30)])
def test_g1_an_exit_some_seconds_after_the_phone_never_leaves_the_account_short(
    feed: str, sold: int, later_s: float
) -> None:
    plan = plan_of(feed, sold, later_s)
    with tempfile.TemporaryDirectory(prefix="sixstep-") as directory, guarded():
        world = World(plan, _ALONE, Path(directory))
        outcome = world.run()
        [(command_id, status, tag, filled)] = world.disk.read(
            "SELECT command_id, status, tag, filled_quantity FROM orders WHERE execution_type = 'EXIT'"
        )
        [(reason,)] = world.disk.read(
            "SELECT reason FROM order_events WHERE command_id = ? AND from_status = 'CREATED'", (command_id,)
        )
    assert outcome.violations == []
    assert world.exchange.net_positions().get(("NSE", "INFY-EQ", "I"), 0) == 0
    ours = {order.number for order in world.exchange.ours()}
    [external] = {order.number for order in world.exchange.orders} - ours
    assert f"external order {external} " in reason, "the record tells whose order it was"
    if sold == _HELD:
        assert (status, tag, filled) == ("FAILED", Tag.POSITION_ALREADY_FLAT, 0)
    else:
        assert (status, tag, filled) == ("EXECUTED", None, _HELD - sold)
        assert f"cut to {_HELD - sold}" in reason
