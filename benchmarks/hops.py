"""What our runtime costs per hop, beside plain Pykka and beside bare threads, in one run.

    python benchmarks/hops.py [--chains 5000] [--rounds 5]

A chain is one message told through six actors, from the first tell to the sixth actor's handler. "Back to back": the
next chain starts when the one before has ended. "5 ms idle": all threads sleep before each chain, the real case of an
order. Variants take turns in rounds, so that a slow moment of the machine falls on all of them. "Pykka, our mailbox" is
ours without envelopes, ids, dispatch and trace. "1 thread" is six hops without any switching, on the stepping runtime.

Left out: durable commits, the broker, other busy threads, mailboxes with many envelopes in them.
"""

from __future__ import annotations

import argparse
import platform
import queue
import statistics
import sys
import threading
import time
import timeit
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import pykka

from core.runtime import (
    Actor,
    Address,
    Envelope,
    Lane,
    Mailbox,
    Message,
    Runtime,
    StepRuntime,
    SystemClock,
    ThreadRuntime,
    VirtualClock,
)
from core.runtime.inbox import Inbox

HOPS = 6
IDLE_S = 0.005
SWITCH_INTERVAL_S = 0.0005

Chain = Callable[[], float]


def say(text: str) -> None:
    sys.stdout.write(text + "\n")


@dataclass(frozen=True, slots=True)
class Parcel(Message):
    """What is passed on, the same object in all variants."""

    command_id: str
    quantity: int


PARCEL = Parcel("c-1", 50)


class Arrival:
    """Where the last of a chain says that it has the parcel, and when."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()
        self.at = 0.0

    def arrived(self) -> None:
        self.at = time.perf_counter()
        self._lock.release()

    def wait(self) -> float:
        self._lock.acquire()
        return self.at


class OurHop(Actor):
    """Tells the next, or that it has arrived."""

    def __init__(self, runtime: Runtime, name: str, following: Address[Parcel] | None, arrival: Arrival) -> None:
        super().__init__(runtime, name)
        self._following = following
        self._arrival = arrival

    def on_parcel(self, parcel: Parcel) -> None:
        if self._following is None:
            self._arrival.arrived()
        else:
            self.tell(self._following, parcel)


class PlainHop(pykka.ThreadingActor):
    """The same on Pykka alone."""

    use_daemon_thread = True

    def __init__(self, following: pykka.ActorRef[Any] | None, arrival: Arrival) -> None:
        super().__init__()
        self._following = following
        self._arrival = arrival

    def on_receive(self, message: Any) -> None:
        if self._following is None:
            self._arrival.arrived()
        else:
            self._following.tell(message)


class SimpleQueueHop(PlainHop):
    """Pykka over `SimpleQueue`."""

    @staticmethod
    def _create_actor_inbox() -> Any:
        return queue.SimpleQueue()


@contextmanager
def ours() -> Iterator[Chain]:
    arrival = Arrival()
    runtime = ThreadRuntime(SystemClock())
    address: Address[Parcel] | None = None
    for number in reversed(range(HOPS)):
        address = runtime.spawn(OurHop, f"hop{number}", address, arrival)
        runtime.barrier(address.name, 5)
    assert address is not None
    first = address

    def chain() -> float:
        start = time.perf_counter()
        first.tell(PARCEL)
        return arrival.wait() - start

    yield chain
    assert runtime.stop(5) == []


@contextmanager
def plain(hop: type[PlainHop]) -> Iterator[Chain]:
    arrival = Arrival()
    ref: pykka.ActorRef[Any] | None = None
    refs = []
    for _ in range(HOPS):
        ref = hop.start(ref, arrival)
        refs.append(ref)
    assert ref is not None
    first = ref

    def chain() -> float:
        start = time.perf_counter()
        first.tell(PARCEL)
        return arrival.wait() - start

    yield chain
    for each in refs:
        each.stop()


class EnvelopeHop(pykka.ThreadingActor):
    """Our mailbox under Pykka's loop, and nothing else: one envelope for all, no ids, no dispatch, no trace."""

    use_daemon_thread = True

    def __init__(self, following: Mailbox | None, arrival: Arrival) -> None:
        super().__init__()
        self._following = following
        self._arrival = arrival

    @staticmethod
    def _create_actor_inbox() -> Any:
        return Inbox(Mailbox())

    def on_receive(self, message: Any) -> None:
        if self._following is None:
            self._arrival.arrived()
        else:
            self._following.put(message)


@contextmanager
def our_mailbox() -> Iterator[Chain]:
    arrival = Arrival()
    envelope = Envelope("k3f9a:1", "c-1", None, "edge", "hop", PARCEL, Lane.NORMAL, 0.0)
    first: Mailbox | None = None
    refs = []
    for _ in range(HOPS):
        ref = EnvelopeHop.start(first, arrival)
        refs.append(ref)
        inbox = ref.actor_inbox
        assert isinstance(inbox, Inbox)
        first = inbox.mailbox
    assert first is not None
    mailbox = first

    def chain() -> float:
        start = time.perf_counter()
        mailbox.put(envelope)
        return arrival.wait() - start

    yield chain
    for each in refs:
        each.stop()


@contextmanager
def bare() -> Iterator[Chain]:
    arrival = Arrival()
    queues: list[queue.SimpleQueue[Parcel | None]] = [queue.SimpleQueue() for _ in range(HOPS)]

    def run(number: int) -> None:
        following = queues[number + 1] if number + 1 < HOPS else None
        while (parcel := queues[number].get()) is not None:
            if following is None:
                arrival.arrived()
            else:
                following.put(parcel)

    for number in range(HOPS):
        threading.Thread(target=run, args=(number,), daemon=True).start()

    def chain() -> float:
        start = time.perf_counter()
        queues[0].put(PARCEL)
        return arrival.wait() - start

    yield chain
    for each in queues:
        each.put(None)


VARIANTS: dict[str, Callable[[], Any]] = {
    "bare SimpleQueue threads": bare,
    "plain Pykka": lambda: plain(PlainHop),
    "Pykka, SimpleQueue inbox": lambda: plain(SimpleQueueHop),
    "Pykka, our mailbox": our_mailbox,
    "ours": ours,
}


def measure(chains: int, rounds: int, idle_s: float) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {name: [] for name in VARIANTS}
    pause = threading.Event()
    for _ in range(rounds):
        for name, variant in VARIANTS.items():
            with variant() as chain:
                for _ in range(50):
                    chain()
                for _ in range(chains // rounds):
                    if idle_s:
                        pause.wait(idle_s)
                    times[name].append(chain() * 1e6)
    return times


def report(title: str, times: dict[str, list[float]]) -> None:
    say(f"\n{title}: chain of {HOPS}, µs")
    say(f"{'':28}{'p50':>8}{'p99':>8}{'p50 / bare':>12}{'p50 / Pykka':>13}")
    bare_p50 = statistics.median(times["bare SimpleQueue threads"])
    pykka_p50 = statistics.median(times["plain Pykka"])
    for name, values in times.items():
        p50 = statistics.median(values)
        p99 = statistics.quantiles(values, n=100)[98]
        say(f"{name:28}{p50:8.0f}{p99:8.0f}{p50 / bare_p50:12.2f}{p50 / pykka_p50:13.2f}")


def one_thread() -> None:
    """The work of our hops without thread switches."""
    arrival = Arrival()
    runtime = StepRuntime(VirtualClock(datetime(2024, 1, 1, tzinfo=UTC)))
    address: Address[Parcel] | None = None
    for number in reversed(range(HOPS)):
        address = runtime.spawn(OurHop, f"hop{number}", address, arrival)
    assert address is not None
    first = address
    runtime.run_until_idle()

    def chain() -> None:
        first.tell(PARCEL)
        runtime.run_until_idle()
        arrival.wait()

    count = 20_000
    each = min(timeit.repeat(chain, number=count, repeat=3)) / count * 1e6
    say(f"\n1 thread: chain of {HOPS} on the stepping runtime {each:.1f} µs")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chains", type=int, default=5_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    say(f"{platform.platform()}, Python {platform.python_version()}, pykka {version('pykka')}")
    say(f"{SystemClock().now():%Y-%m-%d}, switch interval {SWITCH_INTERVAL_S * 1000} ms")
    report("back to back", measure(options.chains, options.rounds, 0.0))
    report("5 ms idle", measure(options.chains // 5, options.rounds, IDLE_S))
    one_thread()


if __name__ == "__main__":
    main()
