"""Tells a person: Telegram messages, without ever holding up an order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from datetime import datetime

import requests
from loguru import logger

from core.messages import Alert, RecentAlerts, RecentAlertsWanted, Severity, Tick
from core.runtime import Actor, Runtime
from core.telegram import TEXT_LIMIT, TelegramAccount, switch_of

__all__ = ["Notifier", "TelegramAccount"]

_FLUSH = "flush"
_REMEMBERED = 100  # for the pages


class Notifier(Actor):
    """Logs every alert and sends it to Telegram: grouped, at most one message in `interval_s`, oldest dropped first.

    `muted` are switches of `[telegram]` that are off: their alerts are logged, and not sent.
    """

    def __init__(
        self,
        runtime: Runtime,
        name: str,
        *,
        account: TelegramAccount,
        muted: frozenset[str] = frozenset(),
        interval_s: float = 1.0,
        queue_limit: int = 200,
        open_session: Callable[[], requests.Session] = requests.Session,
    ) -> None:
        super().__init__(runtime, name)
        self._account = account
        self._muted = muted
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
        if not self._account.enabled or switch_of(message.kind) in self._muted:
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
            line = f"{alert.severity}: {alert.text}"[:TEXT_LIMIT]
            if lines and sum(map(len, lines)) + len(line) > TEXT_LIMIT:
                break
            lines.append(line)
            taken += 1
        return "\n".join(lines)[:TEXT_LIMIT], taken
