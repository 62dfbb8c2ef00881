"""What goes wrong in a world, drawn from a seed: broker, network, disk, process, threads, handlers, clock."""

from __future__ import annotations

import random
from collections.abc import Callable

from core.paper.faults import FaultKind
from tests.simulation.disk import CommitMoment, DiskFault
from tests.simulation.event import Event, Value
from tests.simulation.network import NetworkFault

__all__ = ["ACTORS", "BROKER_FAULTS", "draw_fault"]


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
    FaultKind.QUOTE_ONE_SIDED,
    FaultKind.QUOTE_STALE,
    FaultKind.QUOTE_WRONG,
    FaultKind.POSITION_UNPARSABLE,
    FaultKind.POSITION_MISSING,
    FaultKind.POSITION_FALSE,
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
"""Every fault the exchange knows but one: the service changes no order that it has placed."""

_BOOKS = ("OrderBook", "OrderBook", "TradeBook", "PositionBook")


def draw_fault(chance: random.Random, at: float) -> Event:
    """One thing that goes wrong."""
    maker = chance.choices(_FAULTS, _FAULT_WEIGHTS)[0]
    return maker(chance, at)


def _broker_fault(chance: random.Random, at: float) -> Event:
    kind = chance.choice(BROKER_FAULTS)
    values: list[tuple[str, Value]] = [("count", chance.choice((1, 1, 2, 5)))]
    if kind.value.startswith("book_"):
        values.append(("path", chance.choice(_BOOKS)))
    if kind is FaultKind.REFUSE_TEXT:
        values.append(("path", chance.choice(("PlaceOrder", *_BOOKS))))
    if kind is FaultKind.REPLY_DELAY:
        values.append(("seconds", chance.choice((0.3, 2.0, 12.0))))
    if kind in (FaultKind.PUSH_REORDERED, FaultKind.PUSH_BEFORE_REPLY):
        values.append(("seconds", chance.choice((0.25, 1.5))))
    if kind is FaultKind.QUOTE_ONE_SIDED:
        values.append(("text", chance.choice(("bids", "asks"))))
    if kind is FaultKind.QUOTE_STALE:
        values.append(("seconds", chance.choice((5.0, 90.0))))
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


_LOST = (DiskFault.LOST_DONE, DiskFault.LOST_UNDONE)


def _disk_fault(chance: random.Random, at: float) -> Event:
    where = chance.choices(("COMMIT", "BEGIN", "INSERT", "UPDATE", "SELECT", "OPEN"), (6, 3, 2, 2, 1, 1))[0]
    fault = chance.choice(tuple(fault for fault in DiskFault if fault not in _LOST))
    return Event(at, f"disk:{fault.value}", (("where", where), ("times", chance.choice((1, 1, 2, 6)))))


def _lost_commit(chance: random.Random, at: float) -> Event:
    """A commit is answered with an error, and nobody can tell whether it was done."""
    fault = chance.choice(_LOST)
    return Event(at, f"disk:{fault.value}", (("where", "COMMIT"), ("times", chance.choice((1, 1, 2)))))


def _crash(chance: random.Random, at: float) -> Event:
    down = ("down_s", chance.choice((0.05, 0.5, 3.0, 20.0)))
    if chance.random() < 0.4:
        return Event(at, "crash", (down,))
    if chance.random() < 0.25:
        return Event(at, "crash:power", (down,))
    moment = chance.choice((CommitMoment.BEFORE, CommitMoment.TORN, CommitMoment.AFTER))
    return Event(at, f"crash:{moment.value}", (("commits", chance.randrange(1, 6)), down))


def _second(_: random.Random, at: float) -> Event:
    """Somebody starts the service once more on the same record."""
    return Event(at, "second")


def _exchange(chance: random.Random, at: float) -> Event:
    """The broker's servers start again."""
    return Event(at, "exchange", (("down_s", chance.choice((0.0, 0.5, 4.0))),))


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
            ("envelope", chance.randrange(1, 4)),
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
    _lost_commit,
    _crash,
    _restart,
    _second,
    _exchange,
    _night,
    _clock_step,
    _raise,
    _freeze,
)
_FAULT_WEIGHTS = (34, 14, 4, 3, 6, 1.5, 0.7, 1, 0.7, 4, 6, 8)
