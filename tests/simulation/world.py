"""One simulated world: a broker, a network, a disk, people, and the processes of the service that come and go in it."""

from __future__ import annotations

import hashlib
import os
import random
import traceback
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import requests

from core.files.instance import AlreadyRunning, InstanceLock
from core.messages import (
    GetGuardSnapshot,
    GetReadiness,
    GetRiskSnapshot,
    GuardSnapshot,
    Readiness,
    RiskSnapshot,
)
from core.messages.envelope import Envelope
from core.model.calendar import INDIA, MARKETS_OPEN
from core.noren import Credentials, FeedValue, NorenClient, profile
from core.paper.config import AccountConfig, ExchangeConfig, HoldingConfig, Latency
from core.process.call_log import CallLog
from core.runtime.clock import VirtualClock
from core.runtime.errors import AskFailed
from core.runtime.trace import TraceEntry, Tracer
from core.settings import Settings
from core.store import check
from core.store.errors import StoreError
from tests.simulation.answers import Answers
from tests.simulation.books import Books
from tests.simulation.callers import Callers
from tests.simulation.disk import CommitMoment, Disk
from tests.simulation.event import Event
from tests.simulation.exchange import ACCOUNT, WatchedExchange
from tests.simulation.fault_injector import FaultInjector
from tests.simulation.feed import SimulatedFeed, Wire
from tests.simulation.laws import Laws, Violation
from tests.simulation.network import Network, OutsideClock
from tests.simulation.phone import Phone
from tests.simulation.plan import Plan
from tests.simulation.runtime import Livelock, ProcessCrashed, SimulatedRuntime
from tests.simulation.schedule import Schedule
from tests.simulation.system import Outside, System
from tests.simulation.tree import broken_trees

__all__ = ["Outcome", "World"]

_HOST = "http://127.0.0.1:1/NorenWClientTP"
_SECRETS = {"password": "Pa55-of-the-simulation", "totp_secret": "KRUGKIDROVUWG2ZA", "api_secret": "s3cr3t-api-key"}
_REST_BOUND_S = 300.0
_LOOK_S = 5.0
# Days of service and broker that begin so far apart are lived through, not slept through.
_LIVED_THROUGH_S = 150.0
_START_AGAIN_S = 2.0


@dataclass(slots=True)
class Outcome:
    """What became of one world.

    Attributes:
        seed: Its seed.
        profile: Its profile's name.
        violations: Laws that did not hold; the world ends at the first.
        digest: Of the whole trace: equal worlds have equal digests.
        counts: Orders, envelopes, crashes, faults and the like.
        faults: Faults by kind.
        checks: Law checks by law.
        virtual_s: How much time passed in it.
        trace: Lines, if they were wanted.
    """

    seed: int
    profile: str
    violations: list[Violation]
    digest: str
    counts: Counter[str]
    faults: Counter[str]
    checks: Counter[str]
    virtual_s: float
    trace: list[str] = field(default_factory=list)


class World:
    """Runs one plan.

    Args:
        plan: What happens.
        system: The system under simulation.
        directory: An empty directory for its database, preferably in memory.
        trace: Keep the trace as text.
    """

    def __init__(self, plan: Plan, system: System, directory: Path, *, trace: bool = False) -> None:
        self.plan = plan
        self.schedule = Schedule()
        self.clock = VirtualClock(plan.start, plan.seed)
        self.faults: Counter[str] = Counter()
        self.counts: Counter[str] = Counter()
        self.runtime: SimulatedRuntime | None = None
        self.settings = _settings(plan, system)
        self._system = system
        self._chance = random.Random(f"world:{plan.seed}")
        outside_clock = OutsideClock(self.clock, plan.start)
        self.exchange = WatchedExchange(_exchange_config(plan), now=plan.start, seed=plan.seed + 1)
        self.disk = Disk(directory, random.Random(f"disk:{plan.seed}"), self.clock.monotonic)
        self.network = Network(
            self.exchange, outside_clock, self.schedule, random.Random(f"net:{plan.seed}"), plan.profile.latency_s
        )
        self.wire = Wire(self.exchange, outside_clock, self.schedule, self.network.one_way_s)
        limits = self.settings.limits
        self.laws = Laws(
            self.exchange,
            self.disk,
            self.clock,
            calls_per_s=limits.broker_calls_per_s,
            calls_per_min=limits.broker_calls_per_min,
            daily_loss=Decimal(self.settings.risk.max_daily_loss),
            pnl_max_age_s=self.settings.risk.pnl_max_age_s,
            absence_grace_s=0.0
            if any(event.kind == "clock" for event in plan.events)
            else self.settings.broker.absence_grace_s,
            secrets=tuple(_SECRETS.values()),
            slack_s=_slack_s(plan),
            calendar=self.settings.calendar,
            same_day=self.settings.service.day_starts_at == self.exchange.day_roll_time
            and not any(event.kind == "clock" for event in plan.events),
        )
        self.books = Books(
            self.exchange,
            self.disk,
            told=self.laws.was_told,
            forgotten=self.laws.account.forgotten,
            undisputed=self.laws.account.undisputed,
            before_markets=self._before_markets,
        )
        self.answers = Answers(self._broken, self.laws.disk_failed)
        self.callers = Callers(
            self.exchange,
            outside_clock,
            self.schedule,
            chance=self._chance,
            laws=self.laws,
            answers=self.answers,
            process=lambda: self.runtime,
        )
        self.phone = Phone(self.exchange, outside_clock, self.schedule, chance=self._chance)
        self.outside_clock = outside_clock
        self.fault_injector = FaultInjector(self)
        self.network.on_call = self.laws.call_begins
        self.network.on_reply = lambda path, readable: self.laws.reply_comes(path, readable=readable)
        self.network.on_truth = self.laws.account.reply_told
        self.wire.on_frame = self.laws.account.frame_told
        self.network.on_overlap = self.laws.calls_overlap
        self.exchange.on_order = self.laws.order_arrives
        self._digest = hashlib.blake2b(digest_size=16)
        self._keep_trace = trace
        self._trace: list[str] = []
        self.entries: list[TraceEntry] = []
        self._in_hand: dict[str, Envelope] = {}
        """Envelopes put and not over yet; those of a process that died are never over."""

        self._tracer: Tracer | None = None
        self._lock_file = directory / "sixstep.lock"
        self._lock = InstanceLock(self._lock_file)
        # A file that nobody syncs: a killed process leaves it as it was.
        self._call_log = CallLog(None, limits.broker_calls_per_min)

    # The life of a world

    def run(self) -> Outcome:
        """Let everything happen, heal, come to rest, and be judged."""
        for event in self.plan.events:
            self.schedule.at(event.at, lambda event=event: self._happen(event))  # type: ignore[misc]
        try:
            self._live()
            self._judge_the_whole()
        except Livelock as error:
            self._broken("rest", str(error))
        except Exception:  # one world that its own harness cannot run must not end a sweep
            self._broken("harness", traceback.format_exc(limit=-6))
        finally:
            self.disk.close()
            self._lock.release()
        self.counts["orders"] = len(self.exchange.by_tag)
        self.counts["envelopes"] = len(self.entries)
        self.counts["calls"] = self.network.calls
        self.counts["commits"] = self.disk.commits
        return Outcome(
            seed=self.plan.seed,
            profile=self.plan.profile.name,
            violations=list(self.laws.violations),
            digest=self._digest.hexdigest(),
            counts=self.counts,
            faults=self.faults,
            checks=self.laws.checks,
            virtual_s=self.clock.monotonic(),
            trace=self._trace,
        )

    def _live(self) -> None:
        while not self.laws.violations:
            try:
                if self._one_process():
                    return
            except ProcessCrashed:
                self.counts["crashes"] += 1
            self.runtime = None
            self.laws.account.process_ended()
            self._lock.release()
            self._nothing_runs(self.fault_injector.down_s)

    def _one_process(self) -> bool:
        """From the start of a process to its end; whether the world has come to its end too."""
        self._start()
        if self.runtime is None:
            return False
        if self.clock.monotonic() < self.plan.active_s:
            self._go_on(self.plan.active_s)
        if self._is_over():
            return self._stop()
        self.fault_injector.heal()
        if not self._is_over() and not self._day_is_one():
            return self._stop()
        self._come_to_rest()
        if self._is_over() or self._waits_for_markets():
            return self._stop()
        if self._chance.random() < 0.3 and not self.fault_injector.restarted_at_rest:
            # Whatever the actors know must be in the database: a restart changes nothing.
            self.fault_injector.restarted_at_rest = True
            self.fault_injector.down_s = 0.1
            self._stop()
            return False
        return True

    def _is_over(self) -> bool:
        return bool(self.laws.violations) or self.fault_injector.stop_wanted

    def _go_on(self, until: float) -> None:
        assert self.runtime is not None
        self.runtime.run(until, self._is_over)

    def _start(self) -> None:
        """Start a process; it may fail to, as when the disk does not let it."""
        tracer = Tracer(self.clock, ring=1)
        tracer.append = self._note
        self._tracer = tracer
        runtime = SimulatedRuntime(self.clock, self._chance, self.schedule, tracer=tracer, on_put=self._envelope_put)
        self.laws.begin_process()
        self.answers.begin_process()
        self.counts["starts"] += 1
        self.runtime = runtime
        self.fault_injector.begin_process(runtime)
        self._lock.acquire()
        try:
            self.disk.open_store().close()
            self._system.build(runtime, self.settings, self._outside(runtime))
        except (AskFailed, TimeoutError, StoreError):
            self.counts["failed starts"] += 1
            runtime.down = True
            self.disk.crash(CommitMoment.BEFORE)
            self.runtime = None
            self.fault_injector.down_s = _START_AGAIN_S

    def _stop(self) -> bool:
        """Stop the process cleanly. False: the world goes on without it."""
        assert self.runtime is not None
        if self.laws.violations:
            return True
        self.fault_injector.stop_wanted = False
        left = self._system.stop(self.runtime)
        allowed = {"broker_proxy"} if self.network.in_call is not None else set()
        if set(left) - allowed:
            self._broken("rest", f"a clean stop left {', '.join(left)} behind")
        self.counts["stops in a call"] += len(left)
        self.runtime.down = True
        self.counts["clean stops"] += 1
        return False

    def start_a_second(self) -> None:
        """A second service on the record of the one that runs is refused, and names that one (scenario G16)."""
        second = InstanceLock(self._lock_file)
        self.counts["second starts"] += 1
        try:
            second.acquire()
        except AlreadyRunning as refusal:
            if str(os.getpid()) in str(refusal):
                return
            self._broken("G16", f"a second service is refused without the name of the first: {refusal}")
        else:
            second.release()
            self._broken("G16", "a second service starts on the record of the first")

    def _nothing_runs(self, seconds: float) -> None:
        """Time passes without a process."""
        until = self.clock.monotonic() + seconds
        while True:
            due = self.schedule.next_due()
            moment = min(until, max(due, self.clock.monotonic())) if due is not None else until
            self.clock.advance(max(0.0, moment - self.clock.monotonic()))
            if due is None or due > until:
                return
            self.schedule.do_next()

    def _outside(self, runtime: SimulatedRuntime) -> Outside:
        def open_client() -> NorenClient:
            return NorenClient(
                profile("paper", host=_HOST),
                Credentials(user_id=ACCOUNT, vendor_code="V", imei="sim", access_token="", **_SECRETS),
                clock=self.clock,
                connect_timeout_s=self.settings.broker.connect_timeout_s,
                read_timeout_s=self.settings.broker.read_timeout_s,
                adapter=self.network.adapter(runtime),
            )

        def open_feed(deliver: Callable[[FeedValue], object]) -> SimulatedFeed:
            return SimulatedFeed(self.wire, runtime, profile("paper", host=_HOST), ACCOUNT, deliver)

        return Outside(self.disk.open_store, open_client, requests.Session, open_feed, lambda: self._call_log)

    # Events

    def _happen(self, event: Event) -> None:
        if event.is_fault:
            if self.clock.monotonic() <= self.plan.active_s + 1.0:
                self.fault_injector.happen(event)
        else:
            self.counts[event.kind] += 1
            (self.phone if event.kind.startswith(("phone:", "market:")) else self.callers).act(event)

    def _broken(self, law: str, text: str) -> None:
        self.laws.violations.append(Violation(law, text, self.clock.monotonic()))

    # Rest

    def _day_is_one(self) -> bool:
        """Until the service's day and the broker's are the same one, what a cleared book held is not settled.

        Where they differ by a minute the process lives through both changes; where it is hours, it is stopped, and
        started again when both are over. False for that.
        """
        apart = self._days_apart_s()
        if apart > _LIVED_THROUGH_S:
            self.fault_injector.down_s = apart + 1.0
            return False
        if apart:
            self._go_on(self.clock.monotonic() + apart + 1.0)
        return True

    def _days_apart_s(self) -> float:
        """Seconds until service and broker have begun the same day, which lasts until everything has come to rest."""
        now = self.outside_clock.now().astimezone(INDIA)
        starts = [self.settings.service.day_starts_at, self.exchange.day_roll_time]
        for at in (now, now + timedelta(seconds=_REST_BOUND_S)):
            if len({(at - timedelta(hours=start.hour, minutes=start.minute)).date() for start in starts}) > 1:
                return (datetime.combine(at.date(), max(starts), INDIA) - now).total_seconds()
        return 0.0

    def _before_markets(self) -> bool:
        """Whether these are the hours in which brokers clear their books."""
        calendar, now = self.settings.calendar, self.clock.now()
        return calendar.before_markets(now) or calendar.after_midnight(now)

    def _waits_for_markets(self) -> bool:
        """An order that the broker cleared away on our day ends once the markets are open: until then nothing runs."""
        if not self.books.missing(self.books.rows()):
            return False
        now, later = sorted(clock.now().astimezone(INDIA) for clock in (self.clock, self.outside_clock))
        opening = datetime.combine(later.date(), MARKETS_OPEN, INDIA)
        self.fault_injector.down_s = (opening - now).total_seconds() + 1.0
        return True

    def _come_to_rest(self) -> None:
        """When faults stop, everything reaches rest, and all laws of rest hold, within a bound of time."""
        until = self.clock.monotonic() + _REST_BOUND_S
        amiss: Iterable[Violation] = ()
        while self.clock.monotonic() < until:
            self._go_on(self.clock.monotonic() + _LOOK_S)
            if self._is_over():
                return
            for order in self.exchange.open_orders():
                self.phone.control("cancel_order", norenordno=order.number, reason="by phone, at the end")
            if self.laws.needs_person:
                self._person_needed()
                return
            amiss = self._amiss()
            if not amiss:
                return
        self.laws.violations += amiss

    def _person_needed(self) -> None:
        """Scenario E2: nothing is tried again, a person is told, and starts the service anew."""
        if not any(kind == "login" for _, kind, _ in self.laws.told):
            self._broken("E2", "the broker refused the login, and nobody was told")
        self.fault_injector.stop_wanted = True

    def _amiss(self) -> list[Violation]:
        try:
            readiness = self._ask("command_service", GetReadiness())
            guard = self._ask("execution_guard", GetGuardSnapshot())
            risk = self._ask("risk_manager", GetRiskSnapshot())
        except (TimeoutError, AskFailed) as error:
            return [Violation("rest", f"no answer at rest: {error}", self.clock.monotonic())]
        assert isinstance(readiness, Readiness)
        assert isinstance(guard, GuardSnapshot)
        assert isinstance(risk, RiskSnapshot)
        rows = self.books.rows()
        found = [*self.books.amiss(rows, guard, risk), *self.answers.amiss(rows)]
        found += [*self.laws.amiss(), *self.laws.account.amiss()]
        self.laws.checks.update(("3", "5", "6", "7", "8"))
        if not readiness.ready:
            found.append(("rest", f"not ready: {'; '.join(readiness.reasons)}"))
        return [Violation(law, text, self.clock.monotonic()) for law, text in found]

    def _ask(self, name: str, message: Any) -> Any:
        assert self.runtime is not None
        return self.runtime.ask(self.runtime.address(name), message, 20.0)

    def _judge_the_whole(self) -> None:
        """Laws about the whole history, once it is over."""
        if self.laws.violations:
            return
        self.laws.checks["10"] += 1
        for law, text in broken_trees(self.entries, self._in_hand.values()):
            self._broken(law, text)
        store = self.disk.open_store()
        for text in check(store):
            self._broken("3", text)
        store.close()

    # What is seen of envelopes

    def _envelope_put(self, envelope: Envelope) -> None:
        self.laws.put(envelope)
        self.answers.put(envelope)
        self._in_hand[envelope.id] = envelope

    def _note(self, entry: TraceEntry) -> None:
        envelope, taken_at, done_at, outcome = entry
        self.entries.append(entry)
        self._in_hand.pop(envelope.id, None)
        self._digest.update(
            f"{envelope.id}|{envelope.sender}>{envelope.to}|{type(envelope.message).__name__}|{envelope.correlation_id}|"
            f"{envelope.causation_id}|{taken_at}|{done_at}|{outcome}\n".encode()
        )
        self.laws.done(entry)
        if self._keep_trace and self._tracer is not None:
            record = self._tracer.describe(entry)
            self._trace.append(
                f"{done_at:10.6f} {record.id:>12} <- {record.cause or '-':<12} {record.sender} -> {record.to} "
                f"{record.text} [{record.outcome}]"
            )


def _slack_s(plan: Plan) -> float:
    """How long the service may take to act upon what it was told: longer where threads stand still or handlers fail."""
    return 8.0 if any(event.kind in ("freeze", "raise") for event in plan.events) else 1.0


def _settings(plan: Plan, system: System) -> Settings:
    sections: dict[str, Any] = {name: dict(values) for name, values in plan.limits.items()}
    sections["service"] = {**sections.get("service", {}), "account": ACCOUNT}
    sections["strategies"] = system.strategies(plan.active_s)
    return Settings.model_validate(sections)


def _exchange_config(plan: Plan) -> ExchangeConfig:
    slow = plan.profile.name != "calm"
    holding = int(str(plan.exchange.get("holding", 0)))
    held = (HoldingConfig(exch="NSE", tsym="SBIN-EQ", quantity=holding, cost=Decimal(800)),) if holding else ()
    return ExchangeConfig(
        accounts=(AccountConfig(uid=ACCOUNT, holdings=held),),
        day_roll_time=time.fromisoformat(str(plan.exchange.get("day_roll_time", "06:00"))),
        walk_volatility=plan.volatility,
        depth_quantity=plan.depth,
        latency=Latency(risk_s=0.02, exchange_s=0.03, jitter=3.0 if slow else 0.0),
    )
