"""Futures that refuse to block an actor's thread."""

from __future__ import annotations

import concurrent.futures
from typing import Any

import pykka

from core.messages.base import Message
from core.runtime.current import forbid_blocking

__all__ = ["GuardedFuture", "ReplyFuture"]


class ReplyFuture(concurrent.futures.Future[Message]):
    """The answer of an ask. Fit for `asyncio.wrap_future`; waiting for it on an actor's thread raises."""

    def result(self, timeout: float | None = None) -> Message:
        """The answer, waiting up to `timeout` seconds.

        Raises:
            BlockingCallError: not done yet, and called on an actor's thread.
            AskFailed: there is no answer and never will be.
            TimeoutError: not answered in time; the work may still be done later.
        """
        if not self.done():
            forbid_blocking("waiting for an answer")
        return super().result(timeout)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """The reason why there is no answer, waiting up to `timeout` seconds; raises as `result` does."""
        if not self.done():
            forbid_blocking("waiting for an answer")
        return super().exception(timeout)


class GuardedFuture(pykka.ThreadingFuture[Any]):
    """Pykka's own future for actors, with the same guard: `ask`, `stop` and proxies end here."""

    def get(self, *, timeout: float | None = None) -> Any:
        """The value, as in Pykka; raises `BlockingCallError` on an actor's thread."""
        forbid_blocking("future.get()")
        return super().get(timeout=timeout)
