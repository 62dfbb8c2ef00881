"""Hears of every failure in the actors: the order in hand gets an outcome, a person is told, too many failures halt.

An actor on the way of every order halts everything; a strategy halts itself alone (scenario E9).
"""

from __future__ import annotations

from collections.abc import Mapping

from actors.addresses import Addresses, strategy_of
from core.messages import (
    ActorDied,
    ActorFailed,
    Alert,
    HaltStrategy,
    OrderAbandoned,
    OrderAnswer,
    SetHalt,
    SubmitOrder,
    Tick,
)
from core.model.alerts import AlertKind
from core.model.order import OrderResult, Status, Tag
from core.rules.watchdog import lateness
from core.runtime import Actor, Runtime

__all__ = ["Supervisor"]


_LOOK = "look"
_LOOK_EVERY_S = 0.5


class Supervisor(Actor):
    """One failure policy for all actors (scenario E4). The failed actor itself goes on, rebuilt in place.

    It also looks whether all of them keep up (scenario E9): one that does not is alarmed once until it has caught up.

    Args:
        patience_s: Seconds an envelope may wait, or be in hand, before that is an alarm.
        slow: Actors with a patience of their own, because they block by design.
    """

    def __init__(
        self,
        runtime: Runtime,
        name: str,
        *,
        addresses: Addresses,
        patience_s: float = 2.0,
        slow: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__(runtime, name)
        self._addresses = addresses
        self._patience_s = patience_s
        self._slow = dict(slow or {})
        self._late: set[str] = set()

    def started(self) -> None:
        self.every(_LOOK, _LOOK_EVERY_S)

    def on_tick(self, _: Tick) -> None:
        for name, health in self.runtime.health().items():
            words = lateness(health, self._slow.get(name, self._patience_s))
            if words is None:
                self._late.discard(name)
            elif name not in self._late:
                self._late.add(name)
                self._alert(AlertKind.LATE, f"{name} {words}", None)

    def on_actor_failed(self, message: ActorFailed) -> None:
        strategy = strategy_of(message.actor)
        if strategy is not None:
            self._strategy_failed(strategy, message)
            return
        if message.command_id is not None:
            reason = f"{message.actor} failed on {type(message.message).__name__}: {message.error}"
            self.tell(self._addresses.order_repo, OrderAbandoned(message.command_id, reason))
        if isinstance(message.message, SubmitOrder):
            self._answer(message.message, message.error)
        self._alert(AlertKind.ACTOR_FAILED, f"{message.actor} failed: {message.error}", message.command_id)
        if message.escalate:
            self._halt(f"{message.actor} keeps failing: {message.error}")

    def _strategy_failed(self, strategy: str, message: ActorFailed) -> None:
        """No order is in its hand, and nobody else is to suffer: too many failures halt this strategy alone."""
        if message.escalate:
            # Each failure is in the log. Alarms at its pace would push those of others out; the halt is one.
            self.tell(self._addresses.risk_manager, HaltStrategy(strategy, f"it keeps failing: {message.error}"))
        else:
            self._alert(AlertKind.ACTOR_FAILED, f"{message.actor} failed: {message.error}", message.command_id)

    def _answer(self, submission: SubmitOrder, error: str) -> None:
        """A submission that failed before it had a row: nobody else would answer it (law 8)."""
        reply_to = submission.reply_to
        # A reply box has learnt of the failure from the runtime, and is closed.
        if reply_to is not None and self.knows(reply_to):
            reason = f"an error in Sixstep before the order was registered: {error}"
            result = OrderResult(
                success=False, command_id="", status=Status.FAILED, tag=Tag.INTERNAL_ERROR, reason=reason
            )
            self.tell_name(reply_to, OrderAnswer(result))

    def on_actor_died(self, message: ActorDied) -> None:
        self._alert(AlertKind.ACTOR_DIED, f"{message.actor} died: {message.reason}", None)
        strategy = strategy_of(message.actor)
        if strategy is not None:
            self.tell(self._addresses.risk_manager, HaltStrategy(strategy, f"its actor died: {message.reason}"))
            return
        self._halt(f"{message.actor} died: {message.reason}")

    def _halt(self, reason: str) -> None:
        self.tell(self._addresses.order_repo, SetHalt(reason, by="supervisor"))

    def _alert(self, kind: AlertKind, text: str, command_id: str | None) -> None:
        self.tell(self._addresses.notifier, Alert(kind.severity, kind, text, command_id))
