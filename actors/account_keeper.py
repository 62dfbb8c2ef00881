"""Keeps this service the only one of its account: looks each second whether the account's lock is still held.

Owns the `AccountLock`, which the start of the service has taken. Where another service has it, this one sends nothing
any more, exits neither: two senders cannot be told apart by the broker (scenario G16).
"""

from __future__ import annotations

from typing import Protocol

from loguru import logger

from actors.addresses import Addresses
from core.messages import Alert, HaltChanged, RepublishBrokerStatus, ServiceStopping, Severity, Tick
from core.model.alerts import AlertKind
from core.model.risk_state import Halt
from core.runtime import Actor, Runtime
from core.store.account_lock import Standing

__all__ = ["AccountKeeper", "Lock"]

_LOOK = "look"


class Lock(Protocol):
    """What is kept."""

    def look(self) -> tuple[Standing, str]: ...


class AccountKeeper(Actor):
    """Blocks in a question to the database once a second, on a thread of its own."""

    def __init__(self, runtime: Runtime, name: str, *, addresses: Addresses, lock: Lock, every_s: float = 1.0) -> None:
        super().__init__(runtime, name)
        self._addresses = addresses
        self._lock = lock
        self._every_s = every_s
        self._away = False

    def started(self) -> None:
        self.every(_LOOK, self._every_s)

    def on_tick(self, _: Tick) -> None:
        standing, words = self._lock.look()
        if standing is Standing.TAKEN:
            self._stop_sending(words)
        elif standing is Standing.AWAY and not self._away:
            logger.warning("the account's lock is lost, for the database cannot be reached: {}", words)
            # It finds out the same, and says so, although nobody may want to write anything now.
            self.tell(self._addresses.order_repo, RepublishBrokerStatus())
        elif standing is Standing.REGAINED:
            self._alert(Severity.WARNING, "the account's lock was lost with its connection and is held again")
        self._away = standing is Standing.AWAY

    def _stop_sending(self, words: str) -> None:
        self.cancel(_LOOK)
        reason = f"{words}; this service has lost the account and sends nothing any more"
        stopping = ServiceStopping(reason)
        self.tell(self._addresses.broker_proxy, stopping)
        self.tell(self._addresses.command_service, stopping)
        # Told and not recorded: the database is the other service's now, and it may trade.
        self.tell(self._addresses.risk_manager, HaltChanged(Halt(reason, "account lock", self.clock.now())))
        self._alert(Severity.CRITICAL, f"{reason}; stop it")

    def _alert(self, severity: Severity, text: str) -> None:
        self.tell(self._addresses.notifier, Alert(severity, AlertKind.ACCOUNT_LOCK, text))
