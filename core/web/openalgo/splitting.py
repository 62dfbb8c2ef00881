"""A large order as several, one after the other: each is sent once the one before it has filled.

One open order for each strategy and symbol is a law here, so that no two work at the same time.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from core.web.gateway import Unanswered
from core.web.openalgo.answers import Answer, error
from core.web.openalgo.placing import Placing, Wanted

__all__ = ["MOST_CHILDREN", "Splitting"]

MOST_CHILDREN = 100
_LONGEST_S = 60.0
_NOT_SENT = "not sent, and will not be by this request"


class Splitting:
    """Splits orders.

    Args:
        placing: Places each.
    """

    def __init__(self, placing: Placing) -> None:
        self._placing = placing

    async def split(self, wanted: Wanted, size: int) -> Answer:
        """Place `wanted` in orders of at most `size`; what could not be sent in time is told, and never sent later."""
        whole, rest = divmod(wanted.quantity, size)
        quantities = [size] * whole + [rest] * bool(rest)
        if len(quantities) > MOST_CHILDREN:
            return error(f"Total number of orders would exceed maximum limit of {MOST_CHILDREN}")
        key = wanted.key or self._placing.new_key()
        children = [
            replace(wanted, quantity=quantity, key=f"{key}~{number}") for number, quantity in enumerate(quantities, 1)
        ]
        return await self._placing.once(key, (wanted, size), lambda: self._place(wanted, size, key, children))

    async def _place(self, wanted: Wanted, size: int, key: str, children: list[Wanted]) -> Answer:
        try:
            if await self._placing.place_under(key) is not None:
                return error("the idempotency key belongs to another order; nothing was sent", 409)
            known = [await self._placing.place_under(f"{key}~{number}") for number, _ in enumerate(children, 1)]
        except Unanswered as unanswered:
            return error(f"{unanswered}; nothing was sent", 503)
        if any(known):
            # A second request tells what became of the first.
            found = [
                await self._placing.place(child) if place is not None else error(_NOT_SENT)
                for child, place in zip(children, known, strict=True)
            ]
        else:
            found = await self._place_each(children)
        results = [
            {"order_num": number, "quantity": child.quantity, **answer.body}
            for number, (child, answer) in enumerate(zip(children, found, strict=True), 1)
        ]
        every = all(answer.status == "success" for answer in found)
        body: dict[str, Any] = {"total_quantity": wanted.quantity, "split_size": size, "results": results}
        return Answer({"status": "success" if every else "partial", **body})

    async def _place_each(self, children: list[Wanted]) -> list[Answer]:
        loop = asyncio.get_running_loop()
        until = loop.time() + _LONGEST_S
        found: list[Answer] = []
        for number, child in enumerate(children, 1):
            answer = await self._placing.place(child)
            found.append(answer)
            if number == len(children):
                break
            why = ""
            if answer.status != "success":
                why = "the one before it was not placed for certain"
            elif not await self._has_filled(child, str(answer.body["command_id"])):
                why = "the one before it was not seen filled in time"
            elif loop.time() >= until:
                why = f"{_LONGEST_S:g} s had passed"
            if why:
                return found + [error(f"{_NOT_SENT}: {why}")] * (len(children) - number)
        return found

    async def _has_filled(self, child: Wanted, command_id: str) -> bool:
        try:
            return await self._placing.filled(child, command_id) is not None
        except Unanswered:
            return False
