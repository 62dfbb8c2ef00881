"""The paper exchange as a server: REST and WebSocket as a Noren broker speaks them, and a control port of its own.

One thread with one event loop owns the exchange; nothing else touches it.

    server = PaperServer(ExchangeConfig(), clock=SystemClock())
    server.start()
    api = NorenApi(host=server.rest_url, websocket=server.ws_url)
    ...
    server.stop()
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from loguru import logger

from core.paper.config import ExchangeConfig
from core.paper.control import ControlFace
from core.paper.driver import Driver
from core.paper.exchange import Exchange
from core.paper.http_connection import HttpConnection, HttpRequest
from core.paper.rest import file_here, foreign_here, refused_here, to_exchange, to_http
from core.paper.state_file import StateFile
from core.paper.websocket_connection import WebSocketConnection
from core.paper.wire import Fate, Reply
from core.runtime.clock import Clock, SystemClock
from core.runtime.stop_signal import stop_signals

START_LIMIT_S = 30.0
"""How long `start` waits for the server to be there."""

STOP_LIMIT_S = 5.0
"""How long `stop` waits for the server's thread."""

BACKLOG = 128
"""How many connections may wait to be accepted."""

T = TypeVar("T")


def _nothing() -> None:
    """Keep nothing."""


class PaperServer:
    """A paper exchange that listens.

    Args:
        exchange_config: The exchange's settings.
        clock: Where the exchange's time comes from. With a `VirtualClock`, call `settle` after moving it.
        rest_port: Port of the REST face; 0 takes a free one.
        ws_port: Port of the WebSocket face; 0 takes a free one.
        control_port: Port of the control API and the live page; 0 takes a free one.
        host: The address to listen on. The control port has no password: keep it on loopback.
        seed: What the exchange's chance is drawn from; the same seed and the same calls give the same replies.
        directory: Where it keeps its state, so that the next one on it goes on; None keeps nothing.
    """

    def __init__(
        self,
        exchange_config: ExchangeConfig,
        *,
        clock: Clock,
        rest_port: int = 0,
        ws_port: int = 0,
        control_port: int = 0,
        host: str = "127.0.0.1",
        seed: int = 1,
        directory: Path | None = None,
    ) -> None:
        self._config = exchange_config
        self._file = StateFile(directory) if directory is not None else None
        self._clock = clock
        self._host = host
        self._wanted = {"rest_port": rest_port, "ws_port": ws_port, "control_port": control_port}
        self._seed = seed
        self._ports: dict[str, int] = {}
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._driver: Driver | None = None
        self._stopping: asyncio.Event | None = None
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._http: set[HttpConnection] = set()
        self._sockets: set[WebSocketConnection] = set()

    @property
    def rest_url(self) -> str:
        """The base URL of the REST face, without a prefix and without a slash at the end; known once started."""
        return f"http://{self._authority('rest_port')}"

    @property
    def ws_url(self) -> str:
        """The URL of the WebSocket face; known once started."""
        return f"ws://{self._authority('ws_port')}/"

    @property
    def control_url(self) -> str:
        """The base URL of the control API; the live page is there. Known once started."""
        return f"http://{self._authority('control_port')}"

    def start(self) -> None:
        """Listen on the three ports; returns when all of them take connections.

        Raises:
            OSError: A port cannot be had, and the message names the setting; or its state cannot be used.
            AlreadyRunning: Another exchange keeps its state in the same directory.
        """
        if self._thread is not None:
            raise RuntimeError("the paper exchange was started before")
        self._exchange = self._open_exchange()
        try:
            listeners = self._bind()
        except OSError:
            self._close_file()
            raise
        self._thread = threading.Thread(target=self._run, args=(listeners,), name="paper-exchange", daemon=True)
        self._thread.start()
        if not self._ready.wait(START_LIMIT_S):
            raise RuntimeError(f"the paper exchange did not start within {START_LIMIT_S:g} s")
        if self._failure is not None:
            self._thread.join(STOP_LIMIT_S)
            raise RuntimeError(f"the paper exchange did not start: {self._failure}") from self._failure

    def stop(self) -> None:
        """Cut all connections, hanging ones too, and end the thread; done at most `STOP_LIMIT_S` seconds later."""
        thread, loop, stopping = self._thread, self._loop, self._stopping
        if thread is None or not thread.is_alive() or loop is None or stopping is None:
            return
        loop.call_soon_threadsafe(stopping.set)
        thread.join(STOP_LIMIT_S)
        if thread.is_alive():
            raise RuntimeError(f"the paper exchange did not stop within {STOP_LIMIT_S:g} s")

    def _open_exchange(self) -> Exchange:
        now = self._clock.now()
        if self._file is None:
            return Exchange(self._config, now=now, seed=self._seed)
        kept = self._file.open()
        try:
            exchange = Exchange(self._config, now=now, seed=self._seed, kept=kept)
            self._file.save(exchange.take_changes())
        except (ValueError, KeyError) as error:
            self._file.close()
            raise self._file.unreadable(error) from error
        return exchange

    def _close_file(self) -> None:
        if self._file is not None:
            self._file.close()

    def control(self, command: str, arguments: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Give a command as the control API takes it, from any thread. Raises ValueError on bad input."""
        return self._call(lambda driver: driver.control(command, arguments or {}))

    def snapshot(self) -> dict[str, Any]:
        """All that can be seen of the exchange, as GET /snapshot gives it, from any thread."""
        return self._call(Driver.snapshot)

    def settle(self) -> None:
        """Act on the time the clock shows now, and return when what is due has been sent; from any thread."""
        self._call(Driver.settle)

    def _authority(self, name: str) -> str:
        if name not in self._ports:
            raise RuntimeError("the paper exchange has no ports before start()")
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{host}:{self._ports[name]}"

    def _call(self, act: Callable[[Driver], T]) -> T:
        """Run `act` on the server's thread and hand back what it returns or raises."""
        loop, driver = self._loop, self._driver
        if loop is None or driver is None:
            raise RuntimeError("the paper exchange is not running")

        async def run() -> T:
            return act(driver)

        return asyncio.run_coroutine_threadsafe(run(), loop).result(START_LIMIT_S)

    def _bind(self) -> dict[str, socket.socket]:
        listeners: dict[str, socket.socket] = {}
        try:
            for name, port in self._wanted.items():
                listeners[name] = _listen(name, self._host, port)
        except OSError:
            for listener in listeners.values():
                listener.close()
            raise
        self._ports = {name: listener.getsockname()[1] for name, listener in listeners.items()}
        return listeners

    def _run(self, listeners: dict[str, socket.socket]) -> None:
        try:
            asyncio.run(self._serve(listeners))
        except BaseException as error:
            self._failure = error
            if self._ready.is_set():
                logger.exception("the paper exchange ended by an error")
        finally:
            for listener in listeners.values():
                listener.close()
            self._loop = self._driver = None
            self._close_file()
            self._ready.set()

    async def _serve(self, listeners: dict[str, socket.socket]) -> None:
        loop = asyncio.get_running_loop()
        file, exchange = self._file, self._exchange
        driver = Driver(exchange, self._clock, _nothing if file is None else lambda: file.save(exchange.take_changes()))
        links = {"REST": self.rest_url, "WebSocket": self.ws_url}
        control = ControlFace(driver, self._host, links)
        rest = RestFace(driver, self._host)
        servers = [
            await loop.create_server(
                lambda: HttpConnection(rest.serve, self._http), sock=listeners["rest_port"], backlog=BACKLOG
            ),
            await loop.create_server(
                lambda: WebSocketConnection(driver, self._sockets, driver.new_name(), self._host),
                sock=listeners["ws_port"],
                backlog=BACKLOG,
            ),
            await loop.create_server(
                lambda: HttpConnection(control.serve, self._http),
                sock=listeners["control_port"],
                backlog=BACKLOG,
            ),
        ]
        self._loop, self._driver, self._stopping = loop, driver, asyncio.Event()
        self._ready.set()
        await self._stopping.wait()
        for server in servers:
            server.close()
        for connection in tuple(self._http):
            connection.drop()
        for socket_connection in tuple(self._sockets):
            socket_connection.drop()
        driver.close()
        await asyncio.sleep(0)  # lets the loop tell the connections that they are gone


class RestFace:
    """Serves the REST port: every request that is a broker's goes to the exchange, and its fate is obeyed.

    Args:
        driver: The exchange.
        host: The address the port is bound to.
    """

    def __init__(self, driver: Driver, host: str) -> None:
        self._driver = driver
        self._host = host

    def serve(self, request: HttpRequest, connection: HttpConnection) -> None:
        """Answer one request, now, later or never."""
        refusal = foreign_here(request, self._host)
        here = refusal or file_here(request, self._driver.symbol_file) or refused_here(request)
        if here is not None:
            connection.answer(here)
            return

        def answer(reply: Reply) -> None:
            if reply.fate is Fate.ANSWER:
                connection.answer(to_http(request, reply))
            elif reply.fate is Fate.CLOSE:
                connection.drop()

        self._driver.handle(to_exchange(request), answer)


def run_paper(
    config: ExchangeConfig,
    *,
    host: str = "127.0.0.1",
    rest_port: int = 0,
    ws_port: int = 0,
    control_port: int = 0,
    seed: int = 1,
    directory: Path | None = None,
    on_ready: Callable[[PaperServer], None] = lambda _: None,
) -> None:
    """Serve a paper exchange until SIGINT or SIGTERM; call it on the main thread.

    Args:
        config: The exchange's settings.
        host: The address to listen on.
        rest_port: As in `PaperServer`, like the other ports.
        ws_port: Port of the WebSocket face.
        control_port: Port of the control API and the live page.
        seed: What the exchange's chance is drawn from.
        directory: As in `PaperServer`.
        on_ready: Called once with the server, when it takes connections.

    Raises:
        OSError, AlreadyRunning: As `PaperServer.start`.
    """
    with stop_signals() as wait_for_signal:
        server = PaperServer(
            config,
            clock=SystemClock(),
            rest_port=rest_port,
            ws_port=ws_port,
            control_port=control_port,
            host=host,
            seed=seed,
            directory=directory,
        )
        try:
            server.start()
            on_ready(server)
            wait_for_signal()
        finally:
            server.stop()


def _listen(name: str, host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(BACKLOG)
        except BaseException:
            listener.close()
            raise
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise OSError(f"[paper] {name}: cannot listen on {host}:{port}: {reason}; set another one, or 0") from error
    return listener
