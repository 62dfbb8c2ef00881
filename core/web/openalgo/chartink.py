"""Alerts of Chartink: a scan names shares, and its name says what is to be done with them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from core.model.order import Side
from core.rules.openalgo_meaning import held_in
from core.web.openalgo.answers import Answer, Refused, error, success
from core.web.openalgo.orders import Orders
from core.web.openalgo.placing import MATCHED, Placing, Wanted

__all__ = ["Chartink"]

# SELL leaves what was bought, COVER what was sold; the others enter.
_WORDS: Mapping[str, tuple[Side, bool]] = {
    "BUY": (Side.BUY, False),
    "SELL": (Side.SELL, True),
    "SHORT": (Side.SELL, False),
    "COVER": (Side.BUY, True),
}


class Chartink:
    """Takes alerts.

    Args:
        orders: Knows strategies and names.
        placing: Places orders.
    """

    def __init__(self, orders: Orders, placing: Placing) -> None:
        self._orders = orders
        self._placing = placing

    async def webhook(self, values: Mapping[str, Any]) -> Answer:
        """An order for each share; all names are known before anything is sent."""
        words = [word for word in _WORDS if word in str(values["scan_name"]).upper()]
        if len(words) != 1:
            raise Refused(str({"scan_name": [f"Must hold one of {', '.join(_WORDS)}, and not more than one."]}))
        side, leaves = _WORDS[words[0]]
        key, names = values["idempotency_key"], values["stocks"]
        wanted = [
            await self._orders.wanted(
                {
                    **{name: values[name] for name in ("strategy", "exchange", "product", "quantity")},
                    **{"symbol": symbol, "action": side, "pricetype": "MARKET", "price": 0, "trigger_price": 0},
                    "idempotency_key": None if key is None else f"{key}~{number}",
                }
            )
            for number, symbol in enumerate(names, 1)
        ]
        placed = await asyncio.gather(*((self._leave if leaves else self._placing.place)(one) for one in wanted))
        results = [{"symbol": name, **answer.body} for name, answer in zip(names, placed, strict=True)]
        done = [name for name, answer in zip(names, placed, strict=True) if answer.status == "success"]
        if len(done) == len(names):
            return success(message=f"Orders queued for symbols: {', '.join(done)}", results=results)
        others = [name for name in names if name not in done]
        message = (
            f"Not all was done: orders placed for {', '.join(done) or 'none'}; see results for {', '.join(others)}"
        )
        every = all(answer.status == "error" for answer in placed)
        return (
            error(message, results=results)
            if every
            else Answer({"status": "partial", "message": message, "results": results})
        )

    async def _leave(self, wanted: Wanted) -> Answer:
        """Leave what is held, if it is held on the side that this leaves."""
        lines = (await self._placing.guard(wanted.strategy)).lines
        place = wanted.place
        held = held_in(lines, wanted.strategy, place.exchange, place.symbol, wanted.product)
        if held.quantity * wanted.side.sign > 0:
            return success(message=MATCHED)
        return await self._placing.place(replace(wanted, target=0, quantity=0))
