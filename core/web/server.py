"""The web application on a port, on a thread of its own."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from collections.abc import Callable
from typing import Any

import uvicorn
from loguru import logger
from starlette.types import ASGIApp

from core.process.repeats import Repeats
from core.web.connections import Bounds, bounded_by

__all__ = ["WebServer"]

_BACKLOG = 128
_LONGEST_FRAME = 256 * 1024

START_LIMIT_S = 10.0
"""How long `start` waits until requests are served."""

STOP_LIMIT_S = 5.0
"""How long `stop` waits for the thread; requests in progress get about half of it."""


class WebServer:
    """Serves an application by uvicorn.

    Args:
        app: The application.
        host: Address to listen on.
        port: Port to listen on; 0 takes a free one.
        before_stop: Called as soon as it is to stop, for instance to end streams that would be waited for.
        bounds: How many may connect, and how long they may take.
        setting: The setting that `port` is from.
        also: A second port to listen on, and its setting.
        sockets: Whether the application has WebSockets.
    """

    def __init__(
        self,
        app: ASGIApp,
        host: str,
        port: int,
        *,
        before_stop: Callable[[], object] = lambda: None,
        bounds: Bounds | None = None,
        setting: str = "[web] port",
        also: tuple[int, str] | None = None,
        sockets: bool = False,
    ) -> None:
        bounds = bounds or Bounds()
        http, websocket = bounded_by(bounds)
        self._ports = [(port, setting)] if also is None else [(port, setting), also]
        self._host = host
        self._port = port
        self._before_stop = before_stop
        self._serving = threading.Event()
        self._listeners: list[socket.socket] = []
        self._thread: threading.Thread | None = None
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            # A forged X-Forwarded-For must not make a stranger look like this machine (see core.web.access).
            proxy_headers=False,
            server_header=False,
            ws=websocket if sockets else "none",
            ws_max_size=_LONGEST_FRAME,
            ws_per_message_deflate=False,
            http=http,
            backlog=_BACKLOG,
            timeout_keep_alive=round(bounds.idle_s),
            timeout_graceful_shutdown=2,
        )
        # A stranger's line noise is no event, and one warning for each would let strangers fill the log.
        logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
        self._server = _Server(config, self._serving)

    @property
    def port(self) -> int:
        """The port it listens on; known once started."""
        return self._port

    @property
    def url(self) -> str:
        """Its base URL for this machine, without a slash at the end; known once started."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self._host, self._host)
        return f"http://[{host}]:{self._port}" if ":" in host else f"http://{host}:{self._port}"

    def start(self) -> None:
        """Listen and serve; returns when requests are served.

        Raises:
            OSError: The address cannot be had; the message names the setting.
        """
        if self._thread is not None:
            raise RuntimeError("the web server was started before")
        try:
            for port, setting in self._ports:
                self._listeners.append(_listen(self._host, port, setting))
        except OSError:
            self._close()
            raise
        self._port = self._listeners[0].getsockname()[1]
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": self._listeners}, name="web", daemon=True
        )
        self._thread.start()
        if not self._serving.wait(START_LIMIT_S):
            self.stop()
            raise RuntimeError(f"the web server did not start within {START_LIMIT_S:g} s; see the log")

    def stop(self) -> None:
        """Take no further requests, let those in progress end, and close; bounded by `STOP_LIMIT_S`. Idempotent."""
        if self._thread is None:
            return
        self._before_stop()
        self._server.should_exit = True
        self._thread.join(STOP_LIMIT_S)
        self._close()
        if self._thread.is_alive():
            raise RuntimeError(f"the web server did not stop within {STOP_LIMIT_S:g} s")

    def _close(self) -> None:
        for listener in self._listeners:
            listener.close()


class _Server(uvicorn.Server):
    """Says when it serves."""

    def __init__(self, config: uvicorn.Config, serving: threading.Event) -> None:
        super().__init__(config)
        self._serving = serving

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn's, and then the event."""
        # One line a minute, however often something goes wrong: without descriptors each attempt to accept does.
        asyncio.get_running_loop().set_exception_handler(_Troubles())
        await super().startup(sockets)
        self._serving.set()


class _Troubles:
    """Logs what goes wrong below the application; the same again is counted and logged once a minute."""

    def __init__(self) -> None:
        self._repeats = Repeats(every_s=60.0)

    def __call__(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Take what asyncio tells."""
        error = context.get("exception")
        text = f"web server: {context.get('message', 'an error')}: {error!r}"
        line = self._repeats.line(text, loop.time())
        if line is None:
            return
        if isinstance(error, OSError):
            logger.error("{}", line)
        else:
            logger.opt(exception=error).error("{}", line)


def _listen(host: str, port: int, setting: str) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        # asyncio sets TCP_NODELAY only where the protocol is named; without it every answer takes 40 ms longer.
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(_BACKLOG)
        except BaseException:
            listener.close()
            raise
    except OSError as error:
        reason = error.strerror or str(error)
        key = "[web] host" if isinstance(error, socket.gaierror) else setting
        raise OSError(f"{key}: cannot listen on {host}:{port}: {reason}; set another one") from error
    return listener
