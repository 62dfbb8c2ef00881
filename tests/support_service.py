"""The whole service for tests: real cast, real NorenRestApiPy, real paper exchange over HTTP, real database."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from actors.service import Service
from core.messages import (
    GetGuardSnapshot,
    GetRiskSnapshot,
    Message,
    OrderAnswer,
    RiskSnapshot,
    SubmitOrder,
)
from core.model.order import OrderIntent, OrderResult, RawIntent, Source
from core.paper.server import PaperServer
from core.runtime import Clock, SystemClock
from core.settings import Settings, load_settings
from core.store import Store
from tests.support import PATIENCE_S, paper_day, wait_until

ANSWER_S = PATIENCE_S

# Prices stand still, so that a test alone decides what fills; the books are read ten times as often.
_CALM = {
    "SIXSTEP_PAPER__WALK_VOLATILITY": "0",
    "SIXSTEP_WATCHER__INTERVAL_S": "0.1",
    "SIXSTEP_WATCHER__POSITIONS_INTERVAL_S": "0.5",
    "SIXSTEP_LIMITS__BROKER_CALLS_PER_S": "1000",
    "SIXSTEP_LIMITS__BROKER_CALLS_PER_MIN": "50000",
    "SIXSTEP_BROKER__READ_TIMEOUT_S": "1",
    "SIXSTEP_BROKER__ABSENCE_GRACE_S": "1.5",
    "SIXSTEP_RISK__COOLDOWN_S": "0",
    "SIXSTEP_WEB__PORT": "0",
    # No symbol files, but where a test is about them: stand-ins for exchanges have none.
    "SIXSTEP_INSTRUMENTS__EXCHANGES": " ",
    # Tests run at any hour.
    "SIXSTEP_INSTRUMENTS__MARKET_CLOSED": "pass",
}


class Databases:
    """Which database a test's service uses; replaced where the tests run on PostgreSQL."""

    url_of: Callable[[Path], str | None] = staticmethod(lambda _: None)
    """Names the database of a test's directory; None is SQLite in it."""


class SettableClock(SystemClock):
    """The machine's clock, with a wall clock that a test sets forward and back."""

    def __init__(self) -> None:
        self._ahead = timedelta()
        super().__init__()

    def now(self) -> datetime:
        return super().now() + self._ahead

    def step(self, ahead: timedelta) -> None:
        """Set the wall clock so far ahead of the machine's; monotonic time stays."""
        self._ahead = ahead


class Running:
    """A started service and the means to look at it from outside."""

    def __init__(self, service: Service, exchange: PaperServer | None = None) -> None:
        self.service = service
        self.exchange = exchange or service.paper
        self.store = Store.open(service.settings.database_url, read_only=True)

    # Acting

    def submit(self, intent: OrderIntent | RawIntent, source: Source = Source.WEBHOOK) -> OrderResult:
        """Submit and wait for the one answer."""
        return self.answer(self.begin(intent, source))

    def begin(self, intent: OrderIntent | RawIntent, source: Source = Source.WEBHOOK) -> Any:
        """Submit without waiting; `answer` waits."""
        box = self.service.runtime.open_reply()
        self.service.runtime.tell("command_service", SubmitOrder(intent, source, box.name))
        return box

    def answer(self, box: Any) -> OrderResult:
        message = box.future.result(ANSWER_S)
        assert isinstance(message, OrderAnswer)
        return message.result

    def ask(self, name: str, message: Message) -> Any:
        return self.service.runtime.ask(self.service.runtime.address(name), message, ANSWER_S)

    def control(self, command: str, **arguments: object) -> dict[str, Any]:
        """Give the paper exchange a command."""
        assert self.exchange is not None
        return self.exchange.control(command, arguments)

    def set_price(self, price: str, symbol: str = "INFY-EQ") -> None:
        """Put the price of a share somewhere and hold it there."""
        self.control("set_price", exch="NSE", tsym=symbol, price=price)
        self.control("hold_price", exch="NSE", tsym=symbol, hold=True)

    def mute(self) -> None:
        """Let the push feed lose everything: what a test then sees came from the books."""
        self.control("add_fault", kind="push_lost", count=0)

    def snapshot(self) -> dict[str, Any]:
        assert self.exchange is not None
        return self.exchange.snapshot()

    # Looking

    def row(self, command_id: str) -> dict[str, Any]:
        row = self.store.row(command_id)
        assert row is not None, f"no row {command_id}"
        return dict(row)

    def rows(self) -> list[dict[str, Any]]:
        return [dict(row) for row in self.store.rows()]

    def wait_for(self, command_id: str, status: str, timeout_s: float = PATIENCE_S) -> dict[str, Any]:
        """The row once it has this status."""
        wait_until(lambda: self.row(command_id)["status"] == status, timeout_s)
        return self.row(command_id)

    def path(self, command_id: str) -> list[str]:
        """The statuses the row went through, by its events."""
        return [event["to_status"] for event in self.row(command_id)["events"]]

    def sent(self) -> list[dict[str, Any]]:
        """The orders the exchange has."""
        return list(self.snapshot()["orders"])

    def wait_for_key(self, key: str, status: str) -> dict[str, Any]:
        """The row of an idempotency key once it has this status."""

        def found() -> list[dict[str, Any]]:
            return [row for row in self.rows() if row["idempotency_key"] == key and row["status"] == status]

        wait_until(lambda: bool(found()), ANSWER_S)
        return found()[0]

    def wait_for_number(self, command_id: str) -> None:
        wait_until(lambda: self.row(command_id)["broker_order_id"] is not None, ANSWER_S)

    def wait_for_guard(self, lines: list[tuple[str, str, int, int]]) -> None:
        wait_until(lambda: self.guard_lines() == lines, ANSWER_S)

    def wait_for_risk(self, predicate: Callable[[RiskSnapshot], bool]) -> None:
        wait_until(lambda: predicate(self.ask("risk_manager", GetRiskSnapshot())), ANSWER_S)

    def wait_for_polls(self, count: int) -> None:
        """Wait until the order book was read so many times more."""

        def polls() -> int:
            recent = self.service.runtime.tracer.recent()
            return sum(1 for record in recent if record.type == "OrderBookRead")

        before = polls()
        wait_until(lambda: polls() >= before + count, ANSWER_S)

    def alerts(self, kind: str) -> list[str]:
        """The alerts of one kind so far."""
        recent = self.service.runtime.tracer.recent()
        named = f"kind={kind.upper()},"
        told = [record.text for record in recent if record.type == "Alert"]
        return [text for text in told if named in text or kind in text]

    def wait_at_exchange(self, broker_order_id: str | None) -> None:
        """Wait until the exchange has confirmed an order: its pipeline takes some milliseconds."""
        wait_until(
            lambda: any(o["norenordno"] == broker_order_id and o["status"] == "OPEN" for o in self.sent()), ANSWER_S
        )

    def guard_lines(self) -> list[tuple[str, str, int, int]]:
        snapshot = self.ask("execution_guard", GetGuardSnapshot())
        return [(line.strategy, line.symbol, line.held, line.reserved) for line in snapshot.lines]


def settings_for(directory: Path, environ: Mapping[str, str]) -> Settings:
    """Settings of a test's own service: calm prices, fast polling, everything below `directory`."""
    url = Databases.url_of(directory)
    database = {} if url is None else {"SIXSTEP_DATABASE__URL": url}
    calm = {**_CALM, **paper_day()}
    return load_settings(None, {**calm, "SIXSTEP_SERVICE__DATA_DIR": str(directory / "data"), **database, **environ})


class ExchangeUrls(Protocol):
    """Where an exchange listens."""

    @property
    def rest_url(self) -> str: ...
    @property
    def ws_url(self) -> str: ...


def broker_at(exchange: ExchangeUrls) -> dict[str, str]:
    """Settings of a service that trades at an exchange of the test's own, as at any Noren broker."""
    return {
        "SIXSTEP_BROKER__PROFILE": "noren-gen1",
        "SIXSTEP_BROKER__HOST": f"{exchange.rest_url}/NorenWClientTP",
        "SIXSTEP_BROKER__WEBSOCKET": exchange.ws_url,
        "SIXSTEP_BROKER__USER_ID": "FA00001",
        "SIXSTEP_BROKER__PASSWORD": "secret-password",
        "SIXSTEP_BROKER__TOTP_SECRET": "JBSWY3DPEHPK3PXP",
        "SIXSTEP_BROKER__VENDOR_CODE": "FA00001_U",
        "SIXSTEP_BROKER__API_SECRET": "api-secret",
    }


@contextmanager
def running(
    directory: Path,
    failing: tuple[str, ...] = (),
    *,
    clock: Clock | None = None,
    exchange: PaperServer | None = None,
    wait_ready: bool = True,
    settings: Callable[[Settings], Settings] = lambda settings: settings,
    **environ: str,
) -> Iterator[Running]:
    """Start a service, wait until it takes orders, and stop it; dead letters fail the test.

    Args:
        directory: Where its data is; a second service on the same directory is a restart.
        failing: The message types whose handler the test makes raise.
        clock: Its time.
        exchange: The exchange it trades at, if that is to outlive it; by default one of its own.
        wait_ready: Whether to wait until it takes orders.
        settings: What the test changes of its settings.
        environ: Settings as in the environment.
    """
    if exchange is not None:
        environ = {**broker_at(exchange), **environ}
    service = Service(settings(settings_for(directory, environ)), clock=clock)
    # A broker takes each one-time password once, so that a restart waits up to half a minute; ours does not mind.
    service.codes = None
    service.start()
    try:
        assert not wait_ready or service.wait_ready(PATIENCE_S), service.readiness()
        run = Running(service, exchange)
        yield run
        run.store.close()
        dead = [
            (dead.envelope.to, type(dead.envelope.message).__name__, dead.reason)
            for dead in service.runtime.dead_letters
        ]
        assert [(to, kind, reason) for to, kind, reason in dead if kind not in failing] == []
    finally:
        alive = service.stop()
        assert alive == []
