"""What happens in one simulated world, drawn from its seed before it begins: who asks for what, and what goes wrong.

A plan is a list, so that a failing one can be shortened (`tests.simulation.shrink`). How threads interleave and how
long calls take is not part of it; that is drawn as the world goes on.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

from tests.simulation.event import Event
from tests.simulation.staged import staged
from tests.simulation.troubles import draw_fault
from tests.simulation.wants import draw_act, draw_phone, draw_webhook

__all__ = ["PROFILES", "Plan", "Profile", "draw_plan", "profile_of"]


@dataclass(frozen=True, slots=True)
class Profile:
    """How rough a world is.

    Attributes:
        name: calm, fresh, rough or hostile.
        active_s: Shortest and longest time before everything heals, in seconds.
        latency_s: Shortest and longest usual time of one way to the broker.
        webhooks_per_min: How many orders come from outside.
        acts_per_min: How often an operator does something.
        phone_per_min: How often a person with a phone does something.
        faults_per_min: How many faults there are.
    """

    name: str
    active_s: tuple[float, float]
    latency_s: tuple[float, float]
    webhooks_per_min: float
    acts_per_min: float
    phone_per_min: float
    faults_per_min: float


PROFILES: Mapping[str, Profile] = {
    profile.name: profile
    for profile in (
        Profile("calm", (20, 60), (0.005, 0.08), 30, 1, 3, 0),
        Profile("fresh", (20, 60), (0.005, 0.3), 30, 3, 6, 6),
        Profile("rough", (20, 60), (0.005, 0.8), 40, 5, 6, 15),
        Profile("hostile", (20, 60), (0.005, 2.0), 40, 6, 6, 35),
    )
}
_MIX = ("calm", "fresh", "fresh", "rough", "rough", "rough", "hostile", "hostile")

# India's time. The middle of a session, its end, midnight, and the moments at which a broker's day may begin.
_STARTS: tuple[tuple[timedelta, float], ...] = (
    (timedelta(hours=9, minutes=30), 6),
    (timedelta(hours=15, minutes=10), 2),
    (timedelta(hours=23, minutes=59, seconds=30), 1),
)
_ROLLS = ("00:00", "05:30", "06:00", "07:30")
_INDIA = timezone(timedelta(hours=5, minutes=30))
_MONDAY = datetime(2026, 11, 23, tzinfo=_INDIA)


@dataclass(frozen=True, slots=True)
class Plan:
    """One world's events, and what it is like.

    Attributes:
        seed: What it was drawn from.
        profile: How rough it is.
        start: The true time when it begins.
        active_s: When faults stop and everything must come to rest.
        limits: Settings that differ from world to world, by section and key.
        volatility: How much prices move.
        depth: How much stands at one level of a book; with little, orders fill in part.
        exchange: What else differs at the exchange: when its day begins, what the account holds from before.
        events: In the order of time.
    """

    seed: int
    profile: Profile
    start: datetime
    active_s: float
    limits: Mapping[str, Mapping[str, object]]
    volatility: float
    depth: int
    exchange: Mapping[str, object]
    events: tuple[Event, ...]


def profile_of(seed: int) -> Profile:
    """The profile a seed has unless one is named."""
    return PROFILES[random.Random(f"profile:{seed}").choice(_MIX)]


def draw_plan(seed: int, profile: Profile | None = None) -> Plan:
    """The plan of a seed; the same one each time."""
    profile = profile or profile_of(seed)
    chance = random.Random(f"plan:{profile.name}:{seed}")
    active_s = chance.uniform(*profile.active_s)
    roll = chance.choice(_ROLLS)
    start = (_MONDAY + timedelta(days=chance.randrange(5)) + _hour(chance, roll)).astimezone(UTC)
    events = _draw(chance, active_s, profile.webhooks_per_min, draw_webhook)
    events += _draw(chance, active_s, profile.acts_per_min, draw_act)
    events += _draw(chance, active_s, profile.phone_per_min, draw_phone)
    events += _draw(chance, active_s, profile.faults_per_min * chance.uniform(0.2, 1.0), draw_fault)
    if profile.faults_per_min:
        events += staged(profile.name, seed, active_s)
    return Plan(
        seed=seed,
        profile=profile,
        start=start,
        active_s=active_s,
        limits=_limits(chance, roll, seed),
        volatility=chance.choice((0.00005, 0.0003, 0.002)),
        depth=chance.choice((4, 60)),
        exchange={"day_roll_time": roll, "holding": _holding(chance)},
        events=tuple(sorted(events, key=lambda event: (event.at, event.kind))),
    )


def _hour(chance: random.Random, roll: str) -> timedelta:
    """When it begins: at any time of a session, or shortly before the day changes, here or at the broker."""
    starts = list(_STARTS)
    hour, minute = map(int, roll.split(":"))
    starts.append((timedelta(hours=24 + hour, minutes=minute, seconds=-25), 1.5))
    return chance.choices([hour for hour, _ in starts], [weight for _, weight in starts])[0]


def _holding(chance: random.Random) -> int:
    """Shares that the account has from before, and that no strategy bought."""
    return chance.choice((0, 0, 0, 40))


def _day_starts_at(chance: random.Random, roll: str) -> str:
    """What the settings say of the broker's day: as a rule the truth, or a minute off, or hours."""
    hour, minute = map(int, roll.split(":"))
    beside = hour * 60 + minute + chance.choice((1, -1 if roll != "00:00" else 1))
    return chance.choice((roll, roll, roll, f"{beside // 60:02}:{beside % 60:02}", "06:00"))


def _limits(chance: random.Random, roll: str, seed: int) -> dict[str, dict[str, object]]:
    return {
        "service": {"day_starts_at": _day_starts_at(chance, roll)},
        "risk": {
            "max_daily_loss": chance.choice((0, 100, 1_000, 10_000)),
            "max_loss": chance.choice((0, 0, 300, 20_000)),
            "square_off_on_max_loss": chance.random() < 0.5,
            "cooldown_s": chance.choice((0, 0, 5, 60)),
            "max_consecutive_losses": chance.choice((0, 3)),
            "max_orders_per_day": chance.choice((0, 2_000, 30)),
            "max_open_orders": chance.choice((100, 4)),
            "pnl_max_age_s": chance.choice((8, 15, 40)),
        },
        "limits": {
            "broker_calls_per_s": chance.choice((5, 10, 10)),
            "broker_calls_per_min": chance.choice((120, 200, 600)),
            "send_deadline_s": chance.choice((3, 30)),
            # By a chance of its own: the plans of seeds stay what they were.
            "slices": random.Random(f"slices:{seed}").choice(("in_turn", "in_turn", "parallel")),
        },
        "broker": {
            "read_timeout_s": chance.choice((4, 10)),
            "absence_grace_s": 15,
            "push_feed": chance.random() < 0.7,
        },
        "exits": {"when_unverified": chance.choice(("send", "hold"))},
        "watcher": {"interval_s": chance.choice((1, 1, 0.5)), "positions_interval_s": chance.choice((2, 5))},
    }


def _draw(
    chance: random.Random, active_s: float, per_min: float, one: Callable[[random.Random, float], Event]
) -> list[Event]:
    count = round(per_min * active_s / 60)
    return [one(chance, chance.uniform(0.0, active_s)) for _ in range(count)]
