"""A square-off under way: which exits to send now, when to try again, and when a person must take over (scenario D7).

An exit may be refused, rejected, cancelled or never sent while the loss goes on. So a square-off is not one round of
orders: whatever is still held and not covered by an exit in flight is tried again after a growing pause, a bounded
number of times, and what is left then is handed to a person. Never an endless loop, never a silent stop.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from core.messages import GuardLine
from core.order import ExecutionType, OrderIntent, OrderType, Product, Side, Source

__all__ = ["PAUSES_S", "TIME_LIMIT_S", "Flattening", "Step"]

PAUSES_S = (1.0, 2.0, 5.0, 10.0, 20.0)
"""Seconds before each further exit of one holding; after the last of them it is given up."""

TIME_LIMIT_S = 120.0
"""Seconds after which what is still held is given up although an exit of it works at the broker."""

_Key = tuple[str, str, str, Product]


@dataclass(slots=True)
class _Try:
    attempts: int
    next_at: float


@dataclass(frozen=True, slots=True)
class Step:
    """What to do now: exits to submit, holdings to hand to a person, and whether that was the end."""

    exits: tuple[OrderIntent, ...]
    given_up: tuple[GuardLine, ...]
    done: bool


class Flattening:
    """One square-off, of one strategy or of all. Times are monotonic seconds.

    Args:
        reason: Why, for the alarm at its end.
        source: In whose name exits are submitted.
        strategy: Whose holdings; None for all.
        now: When it begins.
        pauses_s: As `PAUSES_S`.
        symbol: Only this symbol; None for all.
    """

    def __init__(
        self,
        reason: str,
        source: Source,
        strategy: str | None,
        now: float,
        *,
        pauses_s: tuple[float, ...] = PAUSES_S,
        symbol: str | None = None,
    ) -> None:
        self.reason = reason
        self.source = source
        self.strategy = strategy
        self.symbol = symbol
        self._pauses_s = pauses_s
        self._until = now + TIME_LIMIT_S
        self._tries: dict[_Key, _Try] = {}
        self._given_up: set[_Key] = set()

    def step(self, lines: Iterable[GuardLine], now: float) -> Step:
        """What to do, given what strategies hold now. Holdings for delivery are never sold by this (scenario C14)."""
        exits: list[OrderIntent] = []
        given_up: list[GuardLine] = []
        left = False
        for line in lines:
            key = (line.strategy, line.exchange, line.symbol, line.product)
            if not self._concerns(line) or key in self._given_up:
                continue
            left = True
            uncovered = _uncovered(line)
            attempt = self._tries.setdefault(key, _Try(0, now))
            if now >= self._until or (uncovered and attempt.attempts > len(self._pauses_s) and now >= attempt.next_at):
                self._given_up.add(key)
                given_up.append(line)
            elif uncovered and now >= attempt.next_at:
                exits.append(_exit(line, uncovered))
                attempt.next_at = now + self._pauses_s[min(attempt.attempts, len(self._pauses_s) - 1)]
                attempt.attempts += 1
        return Step(tuple(exits), tuple(given_up), done=not left)

    def _concerns(self, line: GuardLine) -> bool:
        meant = self.strategy in (None, line.strategy) and self.symbol in (None, line.symbol)
        return meant and line.held != 0 and line.product is not Product.CNC


def _uncovered(line: GuardLine) -> int:
    """How much of the holding no exit in flight covers."""
    covered = abs(line.reserved) if line.held * line.reserved < 0 else 0
    return max(0, abs(line.held) - covered)


def _exit(line: GuardLine, quantity: int) -> OrderIntent:
    return OrderIntent(
        strategy=line.strategy,
        execution_type=ExecutionType.EXIT,
        exchange=line.exchange,
        symbol=line.symbol,
        side=Side.SELL if line.held > 0 else Side.BUY,
        quantity=quantity,
        product=line.product,
        order_type=OrderType.MARKET,
    )
