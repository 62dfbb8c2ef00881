"""What a square-off does not do, said beside what it does (scenario G24): names nobody knows, positions it leaves."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from core.messages import GuardSnapshot
from core.model.positions import Difference, GuardLine

__all__ = ["misnamed", "not_touched", "not_touched_text"]

_MOST_TOLD = 10


def misnamed(
    guard: GuardSnapshot, strategies: Iterable[str], strategy: str | None, symbol: str | None
) -> dict[str, Any] | None:
    """What is wrong with the names of a square-off, with near ones; None when both are known.

    Args:
        guard: What strategies hold and have in flight, and what the broker has beyond.
        strategies: Further strategies that are known, though they hold nothing.
        strategy: Whose positions to exit, if it is to be one strategy's.
        symbol: What to exit, if it is to be one symbol.
    """
    if strategy is not None:
        known = {line.strategy for line in guard.lines} | set(strategies)
        if strategy not in known:
            return _unknown(f"no strategy {strategy} is known", strategy, known)
    if symbol is not None:
        held = {line.symbol for line in guard.lines if line.held or line.reserved}
        held |= {difference.symbol for difference in guard.differences if difference.unattributed}
        if symbol not in held:
            return _unknown(f"nobody holds {symbol} or has an order in it", symbol, held)
    return None


def _unknown(what: str, given: str, known: set[str]) -> dict[str, Any]:
    folded = {name.lower(): name for name in sorted(known)}
    near = [folded[name] for name in difflib.get_close_matches(given.lower(), folded, 5, 0.7)]
    hint = f"did you mean {' or '.join(near)}?" if near else f"there are: {', '.join(sorted(known)[:20]) or 'none'}"
    return {"error": f"{what}, so nothing was exited; {hint}", "near": near}


def not_touched(guard: GuardSnapshot, strategy: str | None, symbol: str | None) -> list[Mapping[str, Any]]:
    """Positions that stay although they lie in the scope: delivery holdings, and what no strategy owns."""
    left: list[Mapping[str, Any]] = [
        {**_place(line), "quantity": line.held, "strategy": line.strategy, "why": "for delivery (CNC): it stays"}
        for line in guard.lines
        if line.held and line.stays and strategy in (None, line.strategy) and symbol in (None, line.symbol)
    ]
    why = "unattributed: no strategy owns it"
    left += [
        {**_place(one), "quantity": one.unattributed, "strategy": None, "why": why}
        for one in guard.differences
        if one.unattributed and symbol in (None, one.symbol)
    ]
    return left


def not_touched_text(left: Sequence[Mapping[str, Any]]) -> str:
    """What `not_touched` found, in words; empty where nothing stays."""
    if not left:
        return ""
    told = ", ".join(f"{one['quantity']:+d} {one['symbol']} ({one['why']})" for one in left[:_MOST_TOLD])
    return f"Not touched: {told}{', ...' * (len(left) > _MOST_TOLD)}"


def _place(of: GuardLine | Difference) -> dict[str, Any]:
    return {"exchange": of.exchange, "symbol": of.symbol, "product": of.product}
