"""A server on this machine that speaks the three calls of the Bot API, with what goes wrong there on demand."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any
from urllib.parse import parse_qs, urlsplit

from core.runtime import SystemClock
from tests.support import wait_until

__all__ = ["CHAT", "TOKEN", "BotApi", "bot_api"]

TOKEN = "123456:bot-token-secret"
CHAT = 4711


class BotApi:
    """What was sent by the bot, and what people write to it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.sent: list[tuple[str, str]] = []
        self.failures: list[tuple[int, dict[str, Any]]] = []
        self.refuses: Callable[[str], tuple[int, dict[str, Any]] | None] | None = None
        """What is answered to a text instead of taking it."""
        self.refused: list[str] = []
        self.username = "Sixstep_Bot"
        self.unreachable_from: int | None = None
        """Fetches that would acknowledge an update before this number fail."""
        self.fetches = 0
        self._waiting: list[dict[str, Any]] = []
        self._numbers = count(100)
        self.lock = threading.Lock()

    def write(self, text: object, *, chat: int = CHAT, age_s: float = 0.0, **more: object) -> None:
        """Somebody writes to the bot."""
        self.update({"message": self.message(text, chat=chat, age_s=age_s, **more)})

    def message(self, text: object, *, chat: int = CHAT, age_s: float = 0.0, **more: object) -> dict[str, object]:
        """A message as the Bot API tells it."""
        return {"text": text, "chat": {"id": chat}, "date": int(SystemClock().now().timestamp() - age_s), **more}

    def update(self, update: dict[str, Any]) -> None:
        with self.lock:
            self._waiting.append({"update_id": next(self._numbers), **update})

    def wait_sent(self, words: str, times: int = 1) -> str:
        """The text that holds these words, once it was sent so often."""

        def found() -> list[str]:
            return [text for _, text in self.sent if words in text]

        wait_until(lambda: len(found()) >= times)
        return found()[-1]

    def wait_fetched(self) -> None:
        """Wait until everything written so far was fetched and acknowledged."""
        before = self.fetches
        wait_until(lambda: self.fetches >= before + 2)

    def answer(self, method: str, fields: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        with self.lock:
            if method == "getUpdates":
                self.fetches += 1
                offset = int(fields["offset"])
                if self.unreachable_from is not None and offset >= self.unreachable_from:
                    return 502, {"ok": False}
                self._waiting = [update for update in self._waiting if update["update_id"] >= offset]
                return 200, {"ok": True, "result": list(self._waiting)}
            if method == "getMe":
                return 200, {"ok": True, "result": {"id": 1, "is_bot": True, "username": self.username}}
            if self.refuses is not None and (refusal := self.refuses(fields["text"])) is not None:
                self.refused.append(fields["text"])
                return refusal
            if self.failures:
                return self.failures.pop(0)
            self.sent.append((str(fields["chat_id"]), fields["text"]))
            return 200, {"ok": True, "result": {}}


@contextmanager
def bot_api() -> Iterator[BotApi]:
    """Serve until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            split = urlsplit(self.path)
            self._serve(split.path, {name: values[0] for name, values in parse_qs(split.query).items()})

        def do_POST(self) -> None:
            self._serve(self.path, json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

        def _serve(self, path: str, fields: dict[str, Any]) -> None:
            prefix, _, method = path.rpartition("/")
            status, body = api.answer(method, fields) if prefix == f"/bot{TOKEN}" else (404, {"ok": False})
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    api = BotApi(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield api
    finally:
        server.shutdown()
        thread.join(5)
        server.server_close()
