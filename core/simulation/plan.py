"""What happens in one simulated world, drawn from its seed before it begins: who asks for what, and what goes wrong.

A plan is a list, so that a failing one can be shortened (`core.simulation.shrink`). How threads interleave and how long
calls take is not part of it; that is drawn as the world goes on.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from core.paper.faults import FaultKind
from core.simulation.disk import CommitMoment, DiskFault
from core.simulation.network import NetworkFault

__all__ = ["FUTURE", "PROFILES", "SYMBOLS", "Event", "Plan", "Profile", "draw_plan", "profile_of"]

Value = str | int | float | None

FUTURE = "NIFTY-FUTURE"
"""Stands for whichever index future is listed on the day."""

SYMBOLS = (
    ("NSE", "INFY-EQ", 1),
    ("NSE", "SBIN-EQ", 1),
    ("NSE", "M&M-EQ", 1),
    ("NFO", FUTURE, 65),
)
"""What is traded: exchange, symbol, lot."""

HOOKS = ("alpha", "beta", "gamma")
"""Strategies that live outside and send webhooks."""


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happens at a moment, by somebody's will or by fate.

    Attributes:
        at: Seconds since the world began.
        kind: `webhook`, `operator:…`, `phone:…`, or a fault: `broker:…`, `network:…`, `disk:…`, `crash`, `crash:…`,
            `restart`, `night`, `clock`, `raise`, `freeze`.
        values: What it takes besides.
    """

    at: float
    kind: str
    values: tuple[tuple[str, Value], ...] = ()

    @property
    def is_fault(self) -> bool:
        """Whether something goes wrong, rather than somebody wanting something."""
        return self.kind.partition(":")[0] not in ("webhook", "operator", "phone")

    def value(self, name: str) -> Value:
        """One of the values; None if it is not given."""
        return dict(self.values).get(name)

    def number(self, name: str) -> float:
        """One of the values, a number."""
        found = self.value(name)
        if not isinstance(found, (int, float)):
            raise TypeError(f"{self.kind}: {name} is {found!r}")
        return float(found)

    def __str__(self) -> str:
        told = " ".join(f"{name}={value}" for name, value in self.values)
        return f"{self.at:8.3f} {self.kind} {told}".rstrip()


@dataclass(frozen=True, slots=True)
class Profile:
    """How rough a world is.

    Attributes:
        name: calm, fresh, rough or hostile.
        active_s: Shortest and longest time before everything heals, in seconds.
        latency_s: Shortest and longest usual time of one way to the broker.
        webhooks_per_min: How many orders come from outside.
        acts_per_min: How often an operator, or a person with a phone, does something.
        faults_per_min: How many faults there are.
    """

    name: str
    active_s: tuple[float, float]
    latency_s: tuple[float, float]
    webhooks_per_min: float
    acts_per_min: float
    faults_per_min: float


PROFILES: Mapping[str, Profile] = {
    profile.name: profile
    for profile in (
        Profile("calm", (20, 60), (0.005, 0.08), 30, 1, 0),
        Profile("fresh", (20, 60), (0.005, 0.3), 30, 3, 6),
        Profile("rough", (20, 60), (0.005, 0.8), 40, 5, 15),
        Profile("hostile", (20, 60), (0.005, 2.0), 40, 6, 35),
    )
}
_MIX = ("calm", "fresh", "fresh", "rough", "rough", "rough", "hostile", "hostile")

# UTC. The middle of a session, its end, and the minute before the trading day ends (midnight in India).
_STARTS: tuple[tuple[timedelta, int], ...] = (
    (timedelta(hours=4), 6),
    (timedelta(hours=9, minutes=40), 2),
    (timedelta(hours=18, minutes=29, seconds=30), 1),
)
_MONDAY = datetime(2026, 11, 23, tzinfo=UTC)


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
        events: In the order of time.
    """

    seed: int
    profile: Profile
    start: datetime
    active_s: float
    limits: Mapping[str, Mapping[str, object]]
    volatility: float
    depth: int
    events: tuple[Event, ...]


def profile_of(seed: int) -> Profile:
    """The profile a seed has unless one is named."""
    return PROFILES[random.Random(f"profile:{seed}").choice(_MIX)]


def draw_plan(seed: int, profile: Profile | None = None) -> Plan:
    """The plan of a seed; the same one each time."""
    profile = profile or profile_of(seed)
    chance = random.Random(f"plan:{profile.name}:{seed}")
    active_s = chance.uniform(*profile.active_s)
    hour = chance.choices(_STARTS, [weight for _, weight in _STARTS])[0][0]
    start = _MONDAY + timedelta(days=chance.randrange(5)) + hour
    events = _draw(chance, active_s, profile.webhooks_per_min, _webhook)
    events += _draw(chance, active_s, profile.acts_per_min, _act)
    events += _draw(chance, active_s, profile.faults_per_min * chance.uniform(0.2, 1.0), _fault)
    return Plan(
        seed=seed,
        profile=profile,
        start=start,
        active_s=active_s,
        limits=_limits(chance),
        volatility=chance.choice((0.00005, 0.0003, 0.002)),
        depth=chance.choice((4, 60)),
        events=tuple(sorted(events, key=lambda event: (event.at, event.kind))),
    )


def _limits(chance: random.Random) -> dict[str, dict[str, object]]:
    return {
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
        },
        "broker": {
            "read_timeout_s": chance.choice((4, 10)),
            "absence_grace_s": 15,
            "push_feed": chance.random() < 0.7,
        },
        "watcher": {"interval_s": chance.choice((1, 1, 0.5)), "positions_interval_s": chance.choice((2, 5))},
    }


def _draw(
    chance: random.Random, active_s: float, per_min: float, one: Callable[[random.Random, float], Event]
) -> list[Event]:
    count = round(per_min * active_s / 60)
    return [one(chance, chance.uniform(0.0, active_s)) for _ in range(count)]


# What is wanted


def _webhook(chance: random.Random, at: float) -> Event:
    """An order from outside; what exactly is decided when it is sent, since it depends on the price then."""
    exchange, symbol, lot = chance.choice(SYMBOLS)
    return Event(
        at,
        "webhook",
        (
            ("strategy", chance.choice(HOOKS)),
            ("type", chance.choice(("ENTRY", "ENTRY", "EXIT", "EXIT", "ADJUST"))),
            ("exchange", exchange),
            ("symbol", symbol),
            ("quantity", lot * chance.choice((1, 2, 10, 50))),
            ("side", chance.choice(("BUY", "SELL"))),
            ("order", chance.choice(("MARKET", "MARKET", "LIMIT", "AWAY", "AWAY", "IOC", "SL"))),
            ("product", chance.choice(("MIS", "MIS", "CNC" if exchange == "NSE" else "NRML", None))),
            ("key", f"k{chance.randrange(10**6)}" if chance.random() < 0.8 else None),
            ("doubled_s", chance.choice((None, None, 0.0, 0.5))),
        ),
    )


def _act(chance: random.Random, at: float) -> Event:
    kind = chance.choice(
        (
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
            "phone:order",
        )
    )
    exchange, symbol, lot = chance.choice(SYMBOLS)
    side, quantity = chance.choice(("B", "S")), lot * chance.choice((1, 5))
    values: tuple[tuple[str, Value], ...] = ()
    if kind == "phone:order":
        values = (("exchange", exchange), ("symbol", symbol), ("side", side), ("quantity", quantity))
    if kind in ("phone:cancel", "phone:partial_fill", "phone:late_fill", "operator:cancel"):
        values = (("which", chance.randrange(100)),)
    return Event(at, kind, values)


# What goes wrong

BROKER_FAULTS = (
    FaultKind.ACCEPT_HANG,
    FaultKind.ACCEPT_CLOSE,
    FaultKind.ACCEPT_502,
    FaultKind.ACCEPT_EMPTY,
    FaultKind.ACCEPT_SERVER_TIMEOUT,
    FaultKind.ACCEPT_NO_NUMBER,
    FaultKind.DROP_502,
    FaultKind.DROP_CLOSE,
    FaultKind.DROP_HANG,
    FaultKind.DROP_SERVER_TIMEOUT,
    FaultKind.REPLY_DELAY,
    FaultKind.RATE_LIMIT_SECOND,
    FaultKind.RATE_LIMIT_MINUTE,
    FaultKind.HTTP_429,
    FaultKind.BOOK_LAG,
    FaultKind.BOOK_MISSING_ORDER,
    FaultKind.BOOK_NO_DATA,
    FaultKind.BOOK_SESSION_EXPIRED,
    FaultKind.BOOK_SERVER_TIMEOUT,
    FaultKind.BOOK_502,
    FaultKind.BOOK_HANG,
    FaultKind.TOKEN_KILLED,
    FaultKind.REJECT_ORDER,
    FaultKind.EXCHANGE_REJECT,
    FaultKind.LATE_FILL_AFTER_CANCEL,
    FaultKind.CANCEL_OK_THEN_FILL,
    FaultKind.CANCEL_REFUSED_WHILE_OPEN,
    FaultKind.ROW_WITHOUT_FILL,
    FaultKind.UNKNOWN_STATUS,
    FaultKind.UNKNOWN_REPORT,
    FaultKind.STATUS_SPELLING,
    FaultKind.QUOTE_ZERO,
    FaultKind.QUOTE_INDEX_LEVEL,
    FaultKind.POSITION_UNPARSABLE,
    FaultKind.REFUSE_TEXT,
    FaultKind.PUSH_LOST,
    FaultKind.PUSH_DOUBLED,
    FaultKind.PUSH_REORDERED,
    FaultKind.PUSH_BEFORE_REPLY,
    FaultKind.PUSH_BARE,
    FaultKind.SOCKET_REFUSED,
    FaultKind.SOCKET_NO_ACK,
    FaultKind.SOCKET_NOT_OK,
    FaultKind.SOCKET_SILENT,
    FaultKind.SOCKET_CLOSE,
)
"""Every fault the exchange knows but one: nothing here changes an order that it has placed."""

_BOOKS = ("OrderBook", "OrderBook", "TradeBook", "PositionBook")
# A book that shows too little is a lie that nobody can see through for ever: shorter than the grace period, and not
# twice in a row at its end.
_LIES = (FaultKind.BOOK_LAG, FaultKind.BOOK_MISSING_ORDER, FaultKind.BOOK_NO_DATA)


def _fault(chance: random.Random, at: float) -> Event:
    maker = chance.choices(_FAULTS, _FAULT_WEIGHTS)[0]
    return maker(chance, at)


def _broker_fault(chance: random.Random, at: float) -> Event:
    kind = chance.choice(BROKER_FAULTS)
    values: list[tuple[str, Value]] = [("count", 1 if kind in _LIES else chance.choice((1, 1, 2, 5)))]
    if kind.value.startswith("book_"):
        values.append(("path", chance.choice(_BOOKS)))
    if kind is FaultKind.REFUSE_TEXT:
        values.append(("path", chance.choice(("PlaceOrder", *_BOOKS))))
    if kind is FaultKind.REPLY_DELAY:
        values.append(("seconds", chance.choice((0.3, 2.0, 12.0))))
    if kind in (FaultKind.PUSH_REORDERED, FaultKind.PUSH_BEFORE_REPLY):
        values.append(("seconds", chance.choice((0.25, 1.5))))
    if kind is FaultKind.BOOK_LAG:
        values.append(("seconds", chance.choice((1.0, 5.0))))
    if kind is FaultKind.LATE_FILL_AFTER_CANCEL:
        values.append(("seconds", chance.choice((0.1, 2.0, 10.0))))
    if kind is FaultKind.UNKNOWN_STATUS:
        values.append(("text", "INVALID_STATUS_TYPE"))
    return Event(at, f"broker:{kind.value}", tuple(values))


def _network_fault(chance: random.Random, at: float) -> Event:
    path = chance.choice(("PlaceOrder", "PlaceOrder", "", "QuickAuth", *_BOOKS))
    fault = chance.choice(tuple(NetworkFault))
    return Event(at, f"network:{fault.value}", (("path", path), ("times", chance.choice((1, 1, 3, 10)))))


def _disk_fault(chance: random.Random, at: float) -> Event:
    where = chance.choices(("COMMIT", "BEGIN", "INSERT", "UPDATE", "SELECT", "OPEN"), (6, 3, 2, 2, 1, 1))[0]
    fault = chance.choice(tuple(DiskFault))
    return Event(at, f"disk:{fault.value}", (("where", where), ("times", chance.choice((1, 1, 2, 6)))))


def _crash(chance: random.Random, at: float) -> Event:
    down = ("down_s", chance.choice((0.05, 0.5, 3.0, 20.0)))
    if chance.random() < 0.4:
        return Event(at, "crash", (down,))
    moment = chance.choice(tuple(CommitMoment))
    return Event(at, f"crash:{moment.value}", (("commits", chance.randrange(1, 6)), down))


def _restart(chance: random.Random, at: float) -> Event:
    return Event(at, "restart", (("down_s", chance.choice((0.05, 2.0))),))


def _night(chance: random.Random, at: float) -> Event:
    return Event(at, "night", (("clean", int(chance.random() < 0.6)),))


def _clock_step(chance: random.Random, at: float) -> Event:
    return Event(at, "clock", (("seconds", chance.choice((-40.0, -5.0, -0.5, 0.5, 5.0, 20.0, 60.0))),))


def _raise(chance: random.Random, at: float) -> Event:
    return Event(
        at,
        "raise",
        (
            ("actor", chance.choice(ACTORS)),
            ("letter", chance.randrange(1, 4)),
            ("when", chance.choice(("before", "between", "after"))),
        ),
    )


def _freeze(chance: random.Random, at: float) -> Event:
    return Event(
        at, "freeze", (("actor", chance.choice((*ACTORS, "timer"))), ("seconds", chance.choice((0.01, 0.1, 1.0, 5.0))))
    )


ACTORS = (
    "command_service",
    "trading_bot",
    "risk_manager",
    "execution_guard",
    "order_repo",
    "broker_proxy",
    "order_watcher",
    "order_feed",
)
"""Whose threads may stand still, and whose handlers may raise."""

_FAULTS: tuple[Callable[[random.Random, float], Event], ...] = (
    _broker_fault,
    _network_fault,
    _disk_fault,
    _crash,
    _restart,
    _night,
    _clock_step,
    _raise,
    _freeze,
)
_FAULT_WEIGHTS = (34, 14, 6, 6, 1.5, 0.7, 4, 6, 8)
