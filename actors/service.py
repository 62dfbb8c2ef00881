"""The service as a process: paper exchange, cast on threads, web server; started in order, stopped in reverse."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC
from pathlib import Path

from loguru import logger
from pydantic import SecretStr

from actors.account_keeper import AccountKeeper
from actors.addresses import STREAM, Addresses
from actors.stream import Stream
from actors.system import STOP_ORDER, Outside, dispatchers, spawn_actors
from core.files.instance import InstanceLock
from core.files.private import OTHERS, tighten
from core.files.room import require_room
from core.instruments import SymbolFileSource, open_for_reading, source_of
from core.messages import Drain, GetReadiness, ServiceStopping
from core.noren import (
    BrokerProfile,
    CodeMemory,
    Credentials,
    FeedValue,
    HistoryClient,
    KeptSession,
    NorenClient,
    PushFeed,
    profile,
)
from core.paper.server import PaperServer
from core.process.account import lock_path, owner_of
from core.process.call_log import CallLog
from core.process.command_key import leave_key, take_key_away
from core.process.descriptors import raise_descriptor_limit
from core.process.log import set_up_logging
from core.rules.order_check import BrokerTerms
from core.runtime import Clock, SystemClock, ThreadRuntime, Tracer, freeze_start, tune_interpreter
from core.runtime.stop_signal import stop_signals
from core.settings import Settings, own_exchange, own_login
from core.settings.secrets import secrets_of
from core.store import Store
from core.store.account_lock import AccountLock
from core.store.database import Engine
from core.web import Bounds, Gateway, WebServer, create_app, create_openalgo_app

__all__ = ["Service", "broker_client", "push_feed", "run_service"]

_MOST_CONNECTIONS = 512
_BARRIER_S = 20.0
_DRAIN_S = 12.0
_STOP_S = 6.0
# Our own paper exchange takes any login, but it wants one, as a broker does.
_PAPER_LOGIN = {"password": "paper", "totp_secret": "PAPERPAPERPAPERP"}
_PAPER_PREFIX = "/NorenWClientTP"


class Service:
    """Everything `run.py run` starts. `start` returns when the actors are there; orders are taken once it is ready."""

    def __init__(self, settings: Settings, *, clock: Clock | None = None) -> None:
        self.settings = settings
        self.clock = clock or SystemClock()
        self.paper: PaperServer | None = None
        self.codes = None if settings.runs_paper_exchange else CodeMemory(settings.service.data_dir / "last-login-code")
        """Which one-time passwords were used; our own exchange does not mind one that is used again."""

        self.web: WebServer | None = None
        self.openalgo: WebServer | None = None
        """The port of the OpenAlgo entry point, where it has one of its own."""
        tracer = Tracer(
            self.clock,
            ring=settings.trace.ring,
            directory=settings.trace_dir,
            keep_days=settings.trace.keep_days,
            timezone=settings.zone,
            secrets=secrets_of(settings),
        )
        self.runtime = ThreadRuntime(
            self.clock,
            tracer,
            mailbox_capacity=settings.limits.mailbox_letters,
            dispatchers=dispatchers(settings),
        )
        self._lock = InstanceLock(lock_path(settings), self.clock.now().astimezone(UTC))
        self._owner = owner_of(settings)
        self._account_lock: AccountLock | None = None
        self._symbol_files: SymbolFileSource | None = None
        self._command_key: SecretStr | None = None

    def start(self) -> None:
        """Start exchange, cast and web server; what was started is stopped again when a part cannot be.

        Raises:
            SettingsError, StoreUnavailable, OSError: with the setting to change.
        """
        tune_interpreter()
        _keep_private(self.settings)
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def _start(self) -> None:
        settings = self.settings
        self._claim()
        host, websocket = settings.broker.host, settings.broker.websocket
        if settings.runs_paper_exchange:
            self.paper = self._start_paper()
            host, websocket = self.paper.rest_url + _PAPER_PREFIX, self.paper.ws_url
        broker = profile(settings.broker.profile.value, host=host, websocket=websocket)
        given = settings.instruments
        self._symbol_files = source_of(given.directory, given.url, broker.host, broker.symbol_files)
        self._ready = self.runtime.open_reply("ready")
        addresses = spawn_actors(
            self.runtime,
            settings,
            Outside(
                open_store=lambda: Store.open(settings.database_url),
                open_record=lambda: Store.open(settings.database_url, read_only=True),
                open_client=lambda: broker_client(settings, broker, self.clock, self.codes),
                read_token=_token_reader(settings),
                open_feed=lambda deliver: push_feed(settings, broker, self.clock, deliver),
                symbol_files=self._symbol_files,
                open_history=lambda: history_client(settings, broker, self.clock),
                broker_terms=_broker_terms(settings, broker),
                halt_file=settings.service.data_dir / "halted",
                square_off_file=settings.service.data_dir / "square-off",
                open_call_log=lambda: CallLog(
                    settings.service.data_dir / "broker-calls", settings.limits.broker_calls_per_min
                ),
            ),
            ready_listener=self._ready.name,
            after_each=lambda name: self.runtime.barrier(name, _BARRIER_S),
        )
        if self._account_lock is not None:
            self.runtime.spawn(AccountKeeper, "account_keeper", addresses=addresses, lock=self._account_lock)
        self._command_key = leave_key(settings.service.data_dir, self.clock)
        self._start_web(addresses)

    def _start_web(self, addresses: Addresses) -> None:
        settings, gateway = self.settings, self._gateway(addresses)
        web, own = settings.web, settings.openalgo
        app = create_app(gateway, settings, self._command_key)
        deliver = app.state.deliver
        # The order's own files and the broker's connections keep the other half, whoever connects.
        bounds = Bounds(in_all=min(_MOST_CONNECTIONS, raise_descriptor_limit() // 2), near=app.state.is_near)
        also = (own.ws_port, "[openalgo] ws_port") if own.enabled and own.ws_port else None
        if own.enabled and own.port:
            apart = create_openalgo_app(gateway, settings)
            deliver = apart.state.deliver
            few = Bounds(in_all=bounds.in_all // 2, near=apart.state.is_near)
            self.openalgo = WebServer(
                apart, web.host, own.port, bounds=few, setting="[openalgo] port", also=also, sockets=True
            )
        shared = own.enabled and not own.port
        self.web = WebServer(
            app,
            web.host,
            web.port,
            before_stop=app.state.close_streams,
            bounds=bounds,
            also=also if shared else None,
            sockets=shared,
        )
        if deliver is not None:
            self.runtime.spawn(Stream, STREAM, addresses=addresses, deliver=deliver)
        self.web.start()
        if self.openalgo is not None:
            self.openalgo.start()

    def _claim(self) -> None:
        """Be the only service of this account, on a database that is this account's (scenarios G16, G17)."""
        url, now = self.settings.database_url, self.clock.now()
        # Opened here first, so that a database that cannot be opened is an error of the start, not of an actor.
        store = Store.open(url)
        try:
            self._lock.acquire()
            if store.database.engine is Engine.POSTGRESQL:
                self._account_lock = AccountLock(url, self._owner, now.astimezone(UTC))
                self._account_lock.acquire()
            with store.transaction():
                taken = store.claim(self._owner, now)
        finally:
            store.close()
        if taken:
            logger.info("the database belongs to {} from now on", self._owner)

    def _gateway(self, addresses: Addresses) -> Gateway:
        return Gateway(
            runtime=self.runtime,
            clock=self.clock,
            command_service=addresses.command_service,
            execution_guard=addresses.execution_guard,
            risk_manager=addresses.risk_manager,
            order_watcher=addresses.order_watcher,
            position_manager=addresses.position_manager,
            order_repo=addresses.order_repo,
            broker_proxy=addresses.broker_proxy,
            notifier=addresses.notifier,
            order_feed=addresses.order_feed,
            instruments=addresses.instruments,
            prices=addresses.prices,
            history=addresses.history,
            open_instruments=lambda: open_for_reading(self.settings.service.data_dir),
            open_record=lambda: Store.open(self.settings.database_url, read_only=True),
            trace=lambda command_id: [asdict(r) for r in self.runtime.tracer.envelopes_of(command_id)],
            timings=self.runtime.tracer.timings,
        )

    def _start_paper(self) -> PaperServer:
        paper = self.settings.paper
        server = PaperServer(
            own_exchange(self.settings),
            clock=self.clock,
            rest_port=paper.rest_port,
            ws_port=paper.ws_port,
            control_port=paper.control_port,
            seed=paper.seed,
            directory=self.settings.service.data_dir,
        )
        server.start()
        return server

    def wait_ready(self, timeout_s: float) -> bool:
        """Wait until orders are taken."""
        try:
            self._ready.future.result(timeout_s)
        except TimeoutError:
            return False
        return True

    def when_ready(self, call: Callable[[], None]) -> None:
        """Call once orders are taken, from the thread that makes it so; never when the service stops before."""
        self._ready.future.add_done_callback(lambda future: None if future.exception() else call())

    def readiness(self) -> object:
        """The `Readiness` of this moment."""
        return self.runtime.ask(self.runtime.address("command_service"), GetReadiness(), 5.0)

    def stop(self, reason: str = "the service is stopping") -> list[str]:
        """Take no new orders, let the call in flight finish, write everything, end (scenario E7).

        Returns:
            Names of actors that did not end in time.
        """
        if self._symbol_files is not None:
            self._symbol_files.stop()
        for server in (self.openalgo, self.web):
            if server is not None:
                server.stop()
        if "broker_proxy" in self.runtime.names():
            self._drain(reason)
        order = [name for name in self.runtime.names() if name.startswith("strategy:")]
        order += [name for name in STOP_ORDER if name in self.runtime.names()]
        alive = self.runtime.stop(_STOP_S, order, settle_s=0.5)
        if self.paper is not None:
            self.paper.stop()
        take_key_away(self.settings.service.data_dir, self._command_key)
        if self._account_lock is not None:
            self._account_lock.release()
        self._lock.release()
        return alive

    def _drain(self, reason: str) -> None:
        """Refuse what is new, fail what was not sent, wait for the answer to what was."""
        stopping = ServiceStopping(reason)
        self.runtime.tell("command_service", stopping)
        self.runtime.tell("broker_proxy", stopping)
        drained = self.runtime.open_reply("drained")
        self.runtime.tell("order_repo", Drain(drained.name))
        try:
            drained.future.result(_DRAIN_S)
        except TimeoutError:
            logger.warning("orders are still on their way after {} s; they are settled at the next start", _DRAIN_S)
        finally:
            drained.close()


def _require_room(settings: Settings) -> None:
    """A full disk is one line of the start, and not the end of each actor that writes."""
    data_dir, url = settings.service.data_dir, settings.database_url
    require_room(data_dir, "[service] data_dir")
    if url.startswith("sqlite:///"):
        beside = Path(url.removeprefix("sqlite:///")).parent
        if beside.absolute() != data_dir.absolute():
            require_room(beside, "[database] url")


def _keep_private(settings: Settings) -> None:
    """Record, traces and logs of an earlier version, or of a copy, may be open to others; what is made anew is not."""
    url = settings.database_url
    file = url.removeprefix("sqlite:///") if url.startswith("sqlite:///") else None
    record = tuple(Path(f"{file}{end}") for end in ("", "-wal", "-shm", ".lock")) if file else ()
    directories = dict.fromkeys((settings.trace_dir, settings.log_dir, settings.service.data_dir))
    for line in dict.fromkeys(line for directory in directories for line in tighten(directory, record)):
        logger.warning("{}", line)


def _broker_terms(settings: Settings, broker: BrokerProfile) -> BrokerTerms:
    """Which orders the broker takes from no program; a MARKET order that goes out as a limit it does not see."""
    refuses = settings.paper.refuse_market_orders if settings.runs_paper_exchange else broker.refuses_market
    return BrokerTerms(broker.name, refuses and not settings.broker.market_as_limit, broker.no_ioc)


def _token_reader(settings: Settings) -> Callable[[], str | None] | None:
    """Reads the access token of the day from its file; None where no file is named."""
    file = settings.broker.access_token_file
    if file is None:
        return None

    def read() -> str | None:
        # What cannot be read now is looked for again; a token is written whole or not at all.
        with contextlib.suppress(OSError, ValueError):
            return file.read_text(encoding="utf-8").strip() or None
        return None

    return read


def broker_client(settings: Settings, broker: BrokerProfile, clock: Clock, codes: CodeMemory | None) -> NorenClient:
    """The client of the account in these settings, with their secrets and the session kept in data_dir."""
    given, login = settings.broker, _credentials(settings)
    # Our own exchange takes a login at any time.
    kept = KeptSession(
        settings.service.data_dir / "broker-session", profile=broker.name, host=broker.host, user_id=login.user_id
    )
    return NorenClient(
        broker,
        login,
        clock=clock,
        connect_timeout_s=given.connect_timeout_s,
        read_timeout_s=given.read_timeout_s,
        codes=codes,
        kept=None if settings.runs_paper_exchange else kept,
    )


def history_client(settings: Settings, broker: BrokerProfile, clock: Clock) -> HistoryClient:
    """The reader of candles of the account in these settings; it shares the session of the `broker_client`."""
    given = settings.broker
    return HistoryClient(
        broker,
        _credentials(settings),
        clock=clock,
        connect_timeout_s=given.connect_timeout_s,
        read_timeout_s=given.read_timeout_s,
    )


def _credentials(settings: Settings) -> Credentials:
    given = settings.broker
    on_paper = settings.runs_paper_exchange

    def revealed(key: str) -> str:
        secret = getattr(given, key)
        if secret is not None:
            return str(secret.get_secret_value())
        return (own_login(settings, key) or _PAPER_LOGIN.get(key, "")) if on_paper else ""

    return Credentials(
        user_id=given.user_id or settings.account,
        password=revealed("password"),
        totp_secret=revealed("totp_secret"),
        vendor_code=given.vendor_code or (own_login(settings, "vendor_code") if on_paper else ""),
        api_secret=revealed("api_secret"),
        imei=given.imei,
        access_token=revealed("access_token"),
    )


def push_feed(
    settings: Settings, broker: BrokerProfile, clock: Clock, deliver: Callable[[FeedValue], object]
) -> PushFeed:
    """The push feed of the account in these settings."""
    given = settings.broker
    return PushFeed(
        broker,
        given.user_id or settings.account,
        clock=clock,
        deliver=deliver,
        connect_timeout_s=given.connect_timeout_s,
        ack_timeout_s=given.ws_ack_timeout_s,
        silence_s=given.ws_silence_s,
    )


def run_service(settings: Settings) -> int:
    """Run until SIGINT or SIGTERM. Returns the exit code."""
    # Record, traces, logs and whatever else is made are nobody else's to read.
    os.umask(OTHERS)
    _require_room(settings)
    with stop_signals() as wait_for_signal:
        set_up_logging(settings)
        service = Service(settings)
        service.start()
        freeze_start()
        _tell_start(service)
        service.when_ready(lambda: logger.info("ready"))
        logger.info("{} received, stopping", wait_for_signal().name)
        alive = service.stop()
        logger.info("stopped" if not alive else f"stopped; did not end in time: {', '.join(alive)}")
        logger.complete()
    return 1 if alive else 0


def _tell_start(service: Service) -> None:
    settings = service.settings
    logger.info("account {}, broker {}", settings.account, settings.broker.profile.value)
    for warning in settings.warnings:
        logger.warning("settings: {}", warning)
    logger.info("record, traces and logs: {}", settings.service.data_dir.absolute())
    if service.paper is not None:
        logger.info("paper exchange: {} (live page: {})", service.paper.rest_url, service.paper.control_url)
    if service.web is not None:
        logger.info("dashboard, API and webhook: {}", service.web.url)
