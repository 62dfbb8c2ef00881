"""The service itself: ready, stopping, alerts."""

from __future__ import annotations

from collections.abc import Sized
from dataclasses import dataclass
from datetime import datetime

from core.messages.base import Lane, Message
from core.model.alerts import AlertKind, Severity

__all__ = [
    "Alert",
    "Drain",
    "Drained",
    "GetReadiness",
    "GetRecentAlerts",
    "Readiness",
    "RecentAlerts",
    "RecordWritable",
    "ServiceReady",
    "ServiceStopping",
    "Severity",
]


_SHOWN = 5


def _count(rows: Sized, name: str) -> str:
    return f"{len(rows)} {name}{'' if len(rows) == 1 else 's'}"


@dataclass(frozen=True, slots=True)
class RecordWritable(Message):
    """From OrderRepo to CommandService: the database takes changes again, or has been away for more than a moment."""

    writable: bool
    reason: str


@dataclass(frozen=True, slots=True)
class ServiceReady(Message):
    """From CommandService: orders are accepted. To strategies and the composition root."""


@dataclass(frozen=True, slots=True)
class ServiceStopping(Message):
    """To CommandService: take no new orders. To BrokerProxy: send none of those still waiting."""

    lane = Lane.URGENT
    reason: str


@dataclass(frozen=True, slots=True)
class Drain(Message):
    """To OrderRepo: tell the name `reply_to` once no order stands between registration and step 5 (scenario E7)."""

    reply_to: str


@dataclass(frozen=True, slots=True)
class Drained(Message):
    """From OrderRepo: every order taken has its outcome recorded."""


@dataclass(frozen=True, slots=True)
class GetReadiness(Message):
    """Asked by the entry points; answered with `Readiness`."""


@dataclass(frozen=True, slots=True)
class Readiness(Message):
    """`reasons` says what is missing; empty when ready. `notes` says what is worse than it should be meanwhile."""

    ready: bool
    reasons: tuple[str, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class GetRecentAlerts(Message):
    """Asked of Notifier; answered with `RecentAlerts`."""


@dataclass(frozen=True, slots=True)
class RecentAlerts(Message):
    """The last alerts with their times, newest first, and what Telegram did not take; None when it took all."""

    alerts: tuple[tuple[datetime, Alert], ...]
    undelivered: str | None = None


@dataclass(frozen=True, slots=True)
class Alert(Message):
    """To Notifier: something a person should know. `kind` groups alerts of one sort."""

    severity: Severity
    kind: AlertKind
    text: str
    command_id: str | None = None
