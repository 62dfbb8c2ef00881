"""A connection to PostgreSQL that does not wait for ever.

A server that hangs (a frozen host, a stalled disk) keeps its connections: the network notices nothing, and the one
thread that writes would wait as long as the server does. So it is given up after some seconds, as if it had gone.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import psycopg

__all__ = ["AnsweringConnection", "NoAnswer"]

_LOOK_EVERY_S = 0.1


class NoAnswer(psycopg.OperationalError):
    """The server was silent for too long. Whether it did what it was asked is not known; the connection is closed."""


class AnsweringConnection(psycopg.Connection[tuple[Any, ...]]):
    """Closes itself when the server is silent for `answer_s` during a statement; None: it may take its time."""

    answer_s: float | None = None

    def wait(self, gen: Generator[Any, Any, Any], *_: Any, **__: Any) -> Any:
        """As its base; every statement waits here."""
        bounded = gen if self.answer_s is None else _no_longer_than(self.answer_s, gen)
        try:
            return super().wait(bounded, interval=_LOOK_EVERY_S)
        except NoAnswer:
            self.close()
            raise


def _no_longer_than(seconds: float, gen: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
    """The driver's own steps. It is told at each look whether the connection is ready, and so is this."""
    looks = 0
    try:
        wanted = next(gen)
        while True:
            ready = yield wanted
            looks = 0 if ready else looks + 1
            if looks * _LOOK_EVERY_S >= seconds:
                raise NoAnswer(f"the server has not answered for {seconds:g} s")
            wanted = gen.send(ready)
    except StopIteration as end:
        return end.value
