"""GET /metrics: Prometheus' text format, written by hand.

Every figure is read from the service at the moment of the scrape; nothing is counted a second time. prometheus_client
keeps counters of its own, to be bumped on the way to the broker, or else wants a collector as long as this file.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from fastapi import APIRouter
from starlette.responses import Response

from core.messages import FeedStatus
from core.settings import Settings
from core.web.gateway import Gateway, Unanswered
from core.web.reading import Reading
from core.web.state import State

__all__ = ["Metric", "exposition", "metrics_router"]

_KIND = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(slots=True)
class Metric:
    """One name with its samples: labels and value."""

    name: str
    kind: str
    help: str
    samples: list[tuple[Mapping[str, str], float]] = field(default_factory=list)

    def add(self, value: float | bool, **labels: str) -> None:
        """Another sample."""
        self.samples.append((labels, float(value)))


def exposition(metrics: Iterable[Metric]) -> str:
    """The text of a scrape."""
    lines: list[str] = []
    for metric in metrics:
        if metric.samples:
            lines += [f"# HELP {metric.name} {metric.help}", f"# TYPE {metric.name} {metric.kind}"]
            lines += [f"{metric.name}{_labels(labels)} {value!r}" for labels, value in metric.samples]
    return "\n".join(lines) + "\n"


def _labels(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def metrics_router(gateway: Gateway, state: State, reading: Reading, settings: Settings) -> APIRouter:
    """The route; `Lock` guards it as it guards /api."""
    router = APIRouter(tags=["health"])

    @router.get(
        "/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}, "description": "Metrics"}}
    )
    async def metrics() -> Response:
        """Figures for Prometheus: readiness, orders of the day, risk, broker calls, actors and their mailboxes."""
        today = settings.calendar.day(gateway.clock.now())
        try:
            counts = await reading.record(lambda record: list(record.counts(today)))
        except Unanswered:
            counts = []
        feed = await _feed(state, gateway.clock.now())
        found = [*await _service(state), *feed, *_orders(counts), *_actors(gateway)]
        return Response(exposition(found), media_type=_KIND)

    return router


async def _service(state: State) -> list[Metric]:
    readiness, risk, broker = await asyncio.gather(state.readiness(), state.risk(), state.broker())
    ready = Metric("sixstep_ready", "gauge", "1 if orders are taken.")
    ready.add(readiness.ready)
    halted = Metric("sixstep_halted", "gauge", "1 if trading is halted.")
    blocked = Metric("sixstep_entry_blocked", "gauge", "1 if an ENTRY would be refused now.")
    pnl = Metric("sixstep_day_pnl_rupees", "gauge", "The day's P&L; absent while it is not known.")
    age = Metric("sixstep_day_pnl_age_seconds", "gauge", "Seconds since the P&L was read.")
    working = Metric("sixstep_open_orders", "gauge", "Orders past the risk check and not final.")
    if risk is not None:
        halted.add(risk.halt is not None)
        blocked.add(risk.entry_blocked is not None)
        working.add(risk.open_orders)
        if risk.pnl is not None:
            pnl.add(float(risk.pnl))
        if risk.pnl_age_s is not None:
            age.add(risk.pnl_age_s)
    session = Metric("sixstep_broker_session_up", "gauge", "1 if there is a broker session.")
    waiting = Metric("sixstep_broker_waiting", "gauge", "Orders, cancels and reads that wait for the broker.")
    used = Metric("sixstep_broker_calls_in_window", "gauge", "Calls in the last second and minute.")
    calls = Metric("sixstep_broker_calls_total", "counter", "Calls to the broker since the start, by kind.")
    if broker is not None:
        session.add(broker.session_up)
        waiting.add(broker.waiting)
        used.add(broker.last_second, window="second")
        used.add(broker.last_minute, window="minute")
        for kind, count in broker.calls:
            calls.add(count, kind=kind)
    return [ready, halted, blocked, pnl, age, working, session, waiting, used, calls]


async def _feed(state: State, now: datetime) -> list[Metric]:
    connected = Metric(
        "sixstep_push_feed_connected", "gauge", "1 if the push feed is connected; absent while it is off."
    )
    age = Metric("sixstep_push_feed_frame_age_seconds", "gauge", "Seconds since the last frame of the push feed.")
    feed = await state.feed()
    if feed is not None and feed.standing is not FeedStatus.OFF:
        connected.add(feed.standing is FeedStatus.CONNECTED)
        if feed.heard_at is not None:
            age.add((now - feed.heard_at).total_seconds())
    return [connected, age]


def _orders(counts: Sequence[tuple[str, str, str | None, int]]) -> list[Metric]:
    orders = Metric("sixstep_orders_today", "gauge", "Rows of this trading day by strategy, status and tag.")
    for strategy, status, tag, count in counts:
        orders.add(count, strategy=strategy, status=status, tag=tag or "")
    return [orders]


def _actors(gateway: Gateway) -> list[Metric]:
    alive = Metric("sixstep_actor_alive", "gauge", "1 if the actor lives and can work.")
    depth = Metric("sixstep_mailbox_depth", "gauge", "Envelopes waiting.")
    oldest = Metric("sixstep_mailbox_oldest_seconds", "gauge", "Age of the oldest waiting envelope.")
    handled = Metric("sixstep_envelopes_handled_total", "counter", "Envelopes handled since the start.")
    failures = Metric("sixstep_actor_failures_total", "counter", "Handlers that raised since the start.")
    for name, health in gateway.runtime.health().items():
        alive.add(health.alive and health.impaired is None, actor=name)
        depth.add(health.depth, actor=name)
        oldest.add(health.oldest_age_s or 0.0, actor=name)
        handled.add(health.handled, actor=name)
        failures.add(health.failures, actor=name)
    dead = Metric("sixstep_dead_letters_total", "counter", "Envelopes nobody took since the start.")
    dead.add(gateway.runtime.dead_letters.count)
    dropped = Metric("sixstep_trace_dropped_total", "counter", "Envelopes that did not reach the trace file.")
    dropped.add(gateway.runtime.tracer.dropped)
    return [alive, depth, oldest, handled, failures, dead, dropped]
