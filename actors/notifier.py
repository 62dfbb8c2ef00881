"""Tells a person: Telegram messages, without ever holding up an order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from datetime import datetime

import requests
from loguru import logger

from core.messages import Alert, RecentAlerts, RecentAlertsWanted, Severity, Tick
from core.runtime import Actor, Runtime

__all__ = ["Notifier", "TelegramAccount"]

_FLUSH = "flush"
_REMEMBERED = 100  # for the pages
_TEXT_LIMIT = 4000  # Telegram's own limit is 4096 characters a message


class TelegramAccount:
    """Where alerts go. `base_url` is the Bot API's host; a token of None switches Telegram off."""

    def __init__(self, *, token: str | None, chat_id: str | None, base_url: str) -> None:
        self._token = token
        self._chat_id = chat_id
        self._base_url = base_url.rstrip("/")

    @property
    def enabled(self) -> bool:
        return bool(self._token and self._chat_id)

    def send(self, session: requests.Session, text: str) -> float:
        """Send one text. Returns how many seconds Telegram asks to wait; raises `OSError` when it was not taken."""
        response = session.post(
            f"{self._base_url}/bot{self._token}/sendMessage",
            json={"chat_id": self._chat_id, "text": text},
            timeout=(3.0, 10.0),
        )
        if response.status_code == 429:
            return float(response.json().get("parameters", {}).get("retry_after", 30))
        if response.status_code != 200:
            raise OSError(f"Telegram answered HTTP {response.status_code}")
        return 0.0

    def hide(self, text: str) -> str:
        """`text` without the token, which stands in every URL of the Bot API (law 11)."""
        return text.replace(self._token, "***") if self._token else text


class Notifier(Actor):
    """Logs every alert and sends it to Telegram: grouped, at most one message in `interval_s`, oldest dropped first."""

    def __init__(
        self,
        runtime: Runtime,
        name: str,
        *,
        account: TelegramAccount,
        interval_s: float = 1.0,
        queue_limit: int = 200,
        open_session: Callable[[], requests.Session] = requests.Session,
    ) -> None:
        super().__init__(runtime, name)
        self._account = account
        self._interval_s = interval_s
        self._queue: deque[Alert] = deque(maxlen=queue_limit)
        self._dropped = 0
        self._open_session = open_session
        self._flush_set = False
        self._recent: deque[tuple[datetime, Alert]] = deque(maxlen=_REMEMBERED)

    def started(self) -> None:
        self._session = self._open_session()

    def stopping(self) -> None:
        if self._queue:
            self._send()
        self._session.close()

    def on_alert(self, message: Alert) -> None:
        self._recent.appendleft((self.clock.now(), message))
        level = "ERROR" if message.severity is Severity.CRITICAL else message.severity.value
        logger.bind(kind=message.kind, command_id=message.command_id).log(level, message.text)
        if not self._account.enabled:
            return
        if len(self._queue) == self._queue.maxlen:
            self._dropped += 1
        self._queue.append(message)
        self._flush_in(self._interval_s)

    def on_recent_alerts_wanted(self, _: RecentAlertsWanted) -> None:
        self.reply(RecentAlerts(tuple(self._recent)))

    def on_tick(self, _: Tick) -> None:
        self._flush_set = False
        if self._queue:
            self._flush_in(self._send())

    def _flush_in(self, seconds: float) -> None:
        if self._queue and not self._flush_set:
            self._flush_set = True
            self.after(_FLUSH, max(seconds, self._interval_s))

    def _send(self) -> float:
        """Send what stands in the queue as one message; keep it when Telegram does not take it."""
        text, taken = self._text()
        try:
            wait = self._account.send(self._session, text)
        except (OSError, ValueError) as error:  # requests' errors are OSErrors
            logger.warning("Telegram did not take {} alert(s): {}", taken, self._account.hide(str(error)))
            return 30.0
        if wait:
            return wait
        for _ in range(taken):
            self._queue.popleft()
        self._dropped = 0
        return self._interval_s

    def _text(self) -> tuple[str, int]:
        lines = [f"({self._dropped} older alerts dropped)"] if self._dropped else []
        taken = 0
        for alert in self._queue:
            line = f"{alert.severity}: {alert.text}"[:_TEXT_LIMIT]
            if lines and sum(map(len, lines)) + len(line) > _TEXT_LIMIT:
                break
            lines.append(line)
            taken += 1
        return "\n".join(lines)[:_TEXT_LIMIT], taken
