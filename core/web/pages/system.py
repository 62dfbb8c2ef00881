"""System: the actors and their mailboxes, how long the steps take, broker calls and the rates they use."""

from __future__ import annotations

import asyncio
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from core.runtime.trace import EnvelopeTimes
from core.web.pages.site import Params, Site, View
from core.web.pages.status_bar import FRAGMENT, status_bar

__all__ = ["SYSTEM", "Latency", "latencies"]

_FRESH_S = 3.0
_MOST_DEAD = 10


@dataclass(frozen=True, slots=True)
class Latency:
    """One stretch of an order's way, over the orders whose envelopes are in memory. Milliseconds."""

    name: str
    count: int
    p50_ms: float
    p99_ms: float


# Each stretch: the envelope it begins with, and those that end it.
_STRETCHES: Sequence[tuple[str, str, frozenset[str]]] = (
    ("1 Register", "RegisterOrder", frozenset({"OrderRegistered"})),
    ("2A Risk", "CheckRisk", frozenset({"RiskPassed", "RiskBlocked"})),
    ("2B Guard", "CheckGuard", frozenset({"GuardPassed", "GuardBlocked"})),
    ("2C, 3 Mark", "MarkSent", frozenset({"OrderMarkedSent"})),
    (
        "4 Execute",
        "PlaceOrder",
        frozenset({"OrderAccepted", "OrderRefused", "OrderNotSent", "OrderOutcomeUnknown"}),
    ),
    ("5 Result", "RecordAccepted", frozenset({"OrderAnswer"})),
    ("Submit to broker", "SubmitOrder", frozenset({"PlaceOrder"})),
    ("Submit to answer", "SubmitOrder", frozenset({"OrderAnswer"})),
    ("Cancel", "CancelAtBroker", frozenset({"CancelReported"})),
    ("Modify", "ModifyAtBroker", frozenset({"ModifyReported"})),
)


def latencies(envelopes: Iterable[EnvelopeTimes]) -> list[Latency]:
    """How long each stretch took, from the sending of its first envelope to the sending of its last."""
    submits: dict[str, float] = {}
    begun: dict[tuple[str | None, str], float] = {}
    took: dict[str, list[float]] = defaultdict(list)
    for envelope in sorted(envelopes, key=lambda one: one.sent_at):
        if envelope.type == "SubmitOrder":
            # It carries no command yet: it is known as the cause of the envelope that does.
            submits[envelope.id] = envelope.sent_at
        elif envelope.type == "RegisterOrder" and envelope.cause in submits:
            begun[envelope.command, "SubmitOrder"] = submits[envelope.cause]
        begun.setdefault((envelope.command, envelope.type), envelope.sent_at)
        for name, first, ends in _STRETCHES:
            if envelope.type in ends and (envelope.command, first) in begun:
                took[name].append((envelope.sent_at - begun[envelope.command, first]) * 1000)
    return [_latency(name, took[name]) for name, _, _ in _STRETCHES if took[name]]


def _latency(name: str, values: list[float]) -> Latency:
    values.sort()
    return Latency(name, len(values), values[len(values) // 2], values[min(len(values) - 1, len(values) * 99 // 100)])


async def _read(site: Site, _: Params) -> dict[str, Any]:
    top, feed = await asyncio.gather(status_bar(site), site.state.feed())
    runtime = site.gateway.runtime
    spent = await site.shared.get(
        "latencies", lambda: site.reading.run(lambda: latencies(site.gateway.timings())), _FRESH_S
    )
    dead = runtime.dead_letters.recent(_MOST_DEAD)
    return {
        **top,
        "page": "system",
        "feed": feed,
        "actors": list(site.state.health().values()),
        "latencies": spent,
        "dead": [(one.envelope.to, type(one.envelope.message).__name__, one.reason.value) for one in dead],
        "dead_count": runtime.dead_letters.count,
        "trace_dropped": runtime.tracer.dropped,
        "limits": site.settings.limits,
    }


SYSTEM = View(
    name="system",
    pattern=re.compile("/system"),
    template="system.html",
    fragments=FRAGMENT
    | {
        "system-actors": "system_actors.html",
        "system-times": "system_times.html",
        "system-broker": "system_broker.html",
    },
    read=_read,
)
