"""Hears of every failure in the cast: the order in hand gets an outcome, a person is told, too many failures halt."""

from __future__ import annotations

from actors.cast import Cast
from core.messages import ActorDied, ActorFailed, Alert, OrderStranded, SetHalt, Severity
from core.runtime import Actor, Runtime

__all__ = ["Supervisor"]


class Supervisor(Actor):
    """One failure policy for all actors (scenario E4). The failed actor itself goes on, rebuilt in place."""

    def __init__(self, runtime: Runtime, name: str, *, cast: Cast) -> None:
        super().__init__(runtime, name)
        self._cast = cast

    def on_actor_failed(self, message: ActorFailed) -> None:
        if message.command_id is not None:
            reason = f"{message.actor} failed on {type(message.message).__name__}: {message.error}"
            self.tell(self._cast.order_repo, OrderStranded(message.command_id, reason))
        self._alert("actor_failed", f"{message.actor} failed: {message.error}", message.command_id)
        if message.escalate:
            self._halt(f"{message.actor} keeps failing: {message.error}")

    def on_actor_died(self, message: ActorDied) -> None:
        self._alert("actor_died", f"{message.actor} died: {message.reason}", None)
        self._halt(f"{message.actor} died: {message.reason}")

    def _halt(self, reason: str) -> None:
        self.tell(self._cast.order_repo, SetHalt(reason, by="supervisor"))

    def _alert(self, kind: str, text: str, command_id: str | None) -> None:
        self.tell(self._cast.notifier, Alert(Severity.CRITICAL, kind, text, command_id))
