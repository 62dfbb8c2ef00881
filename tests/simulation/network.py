"""The way between the broker's proxy and the exchange: it takes time, and things get lost on it."""

from __future__ import annotations

import contextlib
import random
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

import requests
from requests.adapters import BaseAdapter

from core.noren.connection import NotWritten
from core.paper.adapter import InMemoryAdapter
from core.runtime.clock import VirtualClock
from tests.simulation.exchange import WatchedExchange
from tests.simulation.runtime import ProcessCrashed, SimulatedRuntime
from tests.simulation.schedule import Schedule

__all__ = ["Network", "NetworkFault", "NetworkTrouble", "OutsideClock"]


_REMARKS = re.compile(rb'"remarks": ?"([^"]*)"')


class NetworkFault(StrEnum):
    """What happens to a call."""

    REFUSED = "refused"
    """No connection: nothing is written."""
    REQUEST_LOST = "request_lost"
    """Written, and never arrives; the caller runs into its timeout."""
    REQUEST_LATE = "request_late"
    """Written, and arrives after the caller has given up."""
    REPLY_LOST = "reply_lost"
    """Arrives; the reply never does."""
    RESET = "reset"
    """Arrives; the connection breaks before the reply."""
    SLOW = "slow"
    """A round trip that takes most of the timeout."""


@dataclass(slots=True)
class NetworkTrouble:
    """`fault` for calls whose path ends in `path` (any if empty), so many times."""

    fault: NetworkFault
    path: str
    times: int


class OutsideClock:
    """The exchange's own clock: steps of the service's machine do not move it."""

    def __init__(self, clock: VirtualClock, start: datetime) -> None:
        self._clock = clock
        self._start = start

    @property
    def rng(self) -> random.Random:
        """Not to be used: the exchange has its own seed."""
        raise RuntimeError("the outside has no chance of ours")

    def now(self) -> datetime:
        """The true time."""
        return self._start + timedelta(seconds=self._clock.monotonic())

    def steady(self) -> datetime:
        """The true time."""
        return self.now()

    def monotonic(self) -> float:
        """Seconds since the simulation began."""
        return self._clock.monotonic()


class Network:
    """Makes the adapters that carry a client's calls; one for each process.

    Args:
        exchange: Where calls end.
        clock: The exchange's clock.
        agenda: Where requests that outlive their caller wait.
        chance: Decides how long a call takes.
        latency_s: Shortest and longest usual time of one way.
    """

    def __init__(
        self,
        exchange: WatchedExchange,
        clock: OutsideClock,
        schedule: Schedule,
        chance: random.Random,
        latency_s: tuple[float, float],
    ) -> None:
        self.troubles: list[NetworkTrouble] = []
        self.fired: Counter[str] = Counter()
        self.down_until = 0.0
        """Until then nobody listens at the far end."""

        self.calls = 0
        self.in_call: str | None = None
        """The endpoint of the call that is under way, if one is."""

        self.on_call: Callable[[str, float, str | None], object] = lambda *_: None
        """Told of each call: the endpoint, when it began, and the `remarks` of an order, before it is on its way."""

        self.on_reply: Callable[[str, bool], object] = lambda *_: None
        """Told of each call's end: the endpoint, and whether the reply says anything of what was asked."""

        self.on_truth: Callable[[str, float], object] = lambda *_: None
        """Told of each reply that shows what is: the endpoint, and when the exchange answered."""

        self.on_overlap: Callable[[str], object] = lambda _: None
        self.exchange = exchange
        self._clock = clock
        self._schedule = schedule
        self._chance = chance
        self._latency_s = latency_s

    def adapter(self, runtime: SimulatedRuntime) -> BaseAdapter:
        """What carries the calls of one process."""
        return _Adapter(self, InMemoryAdapter(self.exchange, self._clock, wait=runtime.wait), runtime)

    def one_way_s(self) -> float:
        """How long one way takes this time: near the shortest as a rule, sometimes far from it."""
        shortest, longest = self._latency_s
        return shortest + (longest - shortest) * self._chance.random() ** 4

    def trouble(self, path: str) -> NetworkFault | None:
        """What goes wrong with this call, if anything; used up by it."""
        if self._clock.monotonic() < self.down_until:
            self.fired[NetworkFault.REFUSED] += 1
            return NetworkFault.REFUSED
        for trouble in self.troubles:
            if path.endswith(trouble.path):
                trouble.times -= 1
                if trouble.times <= 0:
                    self.troubles.remove(trouble)
                self.fired[trouble.fault] += 1
                return trouble.fault
        return None

    def arrives_later(self, request: requests.PreparedRequest, seconds: float) -> None:
        """Let a request that its sender no longer waits for reach the exchange."""
        alone = InMemoryAdapter(self.exchange, self._clock)

        def arrive() -> None:
            # What is under way from a live sender is not this request.
            served = dict(self.exchange.served)
            with contextlib.suppress(requests.RequestException):
                alone.send(request, timeout=(1.0, 1.0))
            self.exchange.served = served

        self._schedule.at(self._clock.monotonic() + seconds, arrive)


class _Adapter(BaseAdapter):
    def __init__(self, network: Network, inner: InMemoryAdapter, runtime: SimulatedRuntime) -> None:
        super().__init__()
        self._network = network
        self._inner = inner
        self._runtime = runtime
        self._in_call: str | None = None

    def send(  # noqa: PLR0917 - the signature is requests' own
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: float | tuple[float, float] | tuple[float, None] | None = None,
        verify: bool | str = True,
        cert: bytes | str | tuple[bytes | str, bytes | str] | None = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        path = (request.url or "").rpartition("/")[2]
        if self._in_call is not None:
            self._network.on_overlap(f"{path} begins while {self._in_call} is under way")
        self._in_call = self._network.in_call = path
        readable = False
        try:
            response = self._carry(request, path, timeout)
            readable = _is_readable(response.content)
        finally:
            self._in_call = self._network.in_call = None
            self._network.on_reply(path, readable)
        answered_at, truly = self._network.exchange.served.get(path, (0.0, False))
        if readable and truly:
            self._network.on_truth(path, answered_at)
        return response

    def close(self) -> None:
        pass

    def _carry(self, request: requests.PreparedRequest, path: str, timeout: object) -> requests.Response:
        network, runtime = self._network, self._runtime
        patience = float(timeout[1]) if isinstance(timeout, tuple) else 10.0
        runtime.wait(0.0)
        network.calls += 1
        network.on_call(path, runtime.clock.monotonic(), _tag(request) if path == "PlaceOrder" else None)
        fault = network.trouble(path)
        if fault is NetworkFault.REFUSED:
            runtime.wait(network.one_way_s())
            raise NotWritten("connection refused", request=request)
        if fault in (NetworkFault.REQUEST_LOST, NetworkFault.REQUEST_LATE):
            if fault is NetworkFault.REQUEST_LATE:
                network.arrives_later(request, patience + network.one_way_s())
            runtime.wait(patience)
            raise requests.exceptions.ReadTimeout("read timed out", request=request)
        way = patience * 0.4 if fault is NetworkFault.SLOW else network.one_way_s()
        self._travel(request, way)
        response = self._inner.send(request, timeout=(1.0, max(0.01, patience - way)))
        if fault is NetworkFault.REPLY_LOST:
            runtime.wait(patience - way)
            raise requests.exceptions.ReadTimeout("read timed out", request=request)
        runtime.wait(way if fault is NetworkFault.SLOW else network.one_way_s())
        if fault is NetworkFault.RESET:
            raise requests.exceptions.ConnectionError("connection reset by peer", request=request)
        return response

    def _travel(self, request: requests.PreparedRequest, seconds: float) -> None:
        """The request is on its way. It goes on without its sender, if that dies meanwhile."""
        arrival = self._runtime.clock.monotonic() + seconds
        try:
            self._runtime.wait(seconds)
        except ProcessCrashed:
            left = max(0.0, arrival - self._runtime.clock.monotonic())
            self._network.arrives_later(request, left)
            raise


def _tag(request: requests.PreparedRequest) -> str | None:
    body = request.body or b""
    found = _REMARKS.search(body.encode() if isinstance(body, str) else body)
    return found.group(1).decode() if found else None


def _is_readable(body: bytes) -> bool:
    """Rows, or the word that there are none; anything else a book answers says nothing."""
    return body.lstrip().startswith(b"[") or b"no data" in body
