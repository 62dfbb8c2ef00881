"""Tells a person: Telegram messages, without ever holding up an order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import requests
from loguru import logger

from core.messages import Alert, GetRecentAlerts, RecentAlerts, Severity, Tick
from core.runtime import Actor, Runtime
from core.telegram.alert_queue import AlertQueue, RecentList
from core.telegram.client import TelegramAccount, TextRefused, plain_trouble

__all__ = ["Notifier", "TelegramAccount"]

_FLUSH = "flush"
_REMEMBERED = 100  # for the pages, of critical ones and of others
_RETRY_S = 30.0
_LAST_TEXTS = 3  # handed over while the service stops


class Notifier(Actor):
    """Logs every alert and sends it to Telegram: critical ones first, grouped, at most one message in `interval_s`.

    `muted` are switches of `[telegram]` that are off: their alerts are logged, and not sent. What could not be
    delivered is in the log, and told with the last alerts.
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
        self._queue = AlertQueue(queue_limit)
        self._quiet_until = 0.0
        self._failure: str | None = None
        self._given_up = 0
        self._open_session = open_session
        self._flush_set = False
        self._recent = RecentList(_REMEMBERED)

    def started(self) -> None:
        self._session = self._open_session()

    def stopping(self) -> None:
        for _ in range(_LAST_TEXTS):
            # Who was asked to wait does not push, not even at the end.
            if self._queue and self.clock.monotonic() >= self._quiet_until and self._failure is None:
                self._send()
        for alert in self._queue.waiting():
            logger.warning("not delivered to Telegram: {}: {}", alert.severity, alert.text)
        self._session.close()

    def on_alert(self, message: Alert) -> None:
        message = replace(message, text=self.runtime.secrets.text(message.text))
        self._recent.add(self.clock.now(), message)
        level = "ERROR" if message.severity is Severity.CRITICAL else message.severity.value
        logger.bind(kind=message.kind, command_id=message.command_id).log(level, message.text)
        if not self._account.enabled or message.kind.switch in self._muted:
            return
        self._queue.add(message)
        self._flush_in(self._interval_s)

    def on_get_recent_alerts(self, _: GetRecentAlerts) -> None:
        self.reply(RecentAlerts(self._recent.newest_first(), self._undelivered()))

    def _undelivered(self) -> str | None:
        parts = []
        if self._failure is not None:
            parts.append(f"{len(self._queue)} alert(s) wait for Telegram: {self._failure}")
        if self._given_up:
            parts.append(f"Telegram refused {self._given_up} alert(s) since the start; they are in the log")
        return "; ".join(parts) or None

    def on_tick(self, _: Tick) -> None:
        self._flush_set = False
        if self._queue:
            self._flush_in(self._send())

    def _flush_in(self, seconds: float) -> None:
        if self._queue and not self._flush_set:
            self._flush_set = True
            self.after(_FLUSH, max(seconds, self._interval_s))

    def _send(self) -> float:
        """Hand the next text over; the seconds until the one after it."""
        try:
            wait = self._account.send(self._session, self._queue.text())
        except TextRefused as error:
            self._refused(self._account.hide(str(error)))
            return self._interval_s
        except (OSError, ValueError) as error:  # requests' errors are OSErrors
            return self._failed(self._account.hide(plain_trouble(error)), _RETRY_S)
        if wait:
            return self._failed(f"Telegram asks to wait {wait:g} s", wait)
        self._queue.delivered()
        if self._failure is not None:
            logger.info("Telegram takes alerts again")
            self._failure = None
        return self._interval_s

    def _refused(self, reason: str) -> None:
        alert = self._queue.refused()
        if alert is not None:
            self._given_up += 1
            logger.warning("not delivered to Telegram ({}): {}: {}", reason, alert.severity, alert.text)

    def _failed(self, reason: str, wait_s: float) -> float:
        """All stays in the queue. One line for one trouble, however often it is met."""
        if reason != self._failure:
            logger.warning("Telegram did not take {} alert(s): {}", len(self._queue), reason)
        self._failure = reason
        self._quiet_until = self.clock.monotonic() + wait_s
        return wait_s
