"""The calls about orders: what a body asks for, and OpenAlgo's form of the answer."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from functools import partial
from typing import Any

from core.messages import CancelStatus, GuardSnapshot, ModifyStatus
from core.model.order import OrderType, Product, Side, Source, Status
from core.settings import OpenAlgoSettings
from core.settings.openalgo import OtherStrategies
from core.web.actions import CancelTold, cancel, misnamed_scope, modify, square_off
from core.web.gateway import Gateway, Record, Unanswered
from core.web.openalgo.answers import NOT_AGAIN, Answer, Refused, error, success, unknown
from core.web.openalgo.books import Books
from core.web.openalgo.placing import Placing, Wanted
from core.web.openalgo.splitting import Splitting
from core.web.openalgo.symbols import Names
from core.web.reading import Reading

__all__ = ["Orders"]

Values = Mapping[str, Any]

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,32}")
_BY = "openalgo"
_CLOSE_S = 10.0
_LOOK_S = 0.1
_MOST_OPEN = 5000
_TAKEN = (CancelStatus.CANCELLED, CancelStatus.TAKEN)
_CANCEL_CODES = {CancelStatus.NO_ORDER: 404, CancelStatus.NOT_SENT: 503, CancelStatus.NO_NUMBER: 409}
_MODIFIED = (ModifyStatus.TAKEN, ModifyStatus.UNCHANGED)
_MODIFY_CODES = {
    ModifyStatus.NO_ORDER: 404,
    ModifyStatus.NOT_SENT: 503,
    ModifyStatus.INVALID: 400,
    ModifyStatus.BLOCKED: 400,
    ModifyStatus.REFUSED: 400,
}


class Orders:
    """Takes orders, cancels and square-offs.

    Args:
        settings: Which strategy a caller's is.
        gateway: The service.
        reading: The database.
        names: OpenAlgo's names.
        placing: Places orders.
        books: Finds orders.
    """

    def __init__(
        self,
        settings: OpenAlgoSettings,
        gateway: Gateway,
        reading: Reading,
        *,
        names: Names,
        placing: Placing,
        books: Books,
    ) -> None:
        self._settings = settings
        self._strategies = settings.strategy_map
        self._gateway = gateway
        self._reading = reading
        self._names = names
        self._placing = placing
        self._splitting = Splitting(placing)
        self._books = books

    def strategy(self, theirs: str) -> str:
        """Our strategy of a caller's.

        Raises:
            Refused: There is none.
        """
        known = self._strategies.get(theirs)
        if known is not None:
            return known
        if self._settings.other_strategies is OtherStrategies.REFUSE:
            raise Refused(str({"strategy": [f"Strategy {theirs} is not among those of [openalgo] strategies."]}), 403)
        name = theirs.replace(" ", "_")
        if _NAME.fullmatch(name) is None:
            message = "Must be 1 to 32 of A-Z a-z 0-9 _ . - and spaces, or be named in [openalgo] strategies."
            raise Refused(str({"strategy": [message]}))
        return name

    async def placeorder(self, values: Values) -> Answer:
        """One order."""
        return await self._placing.place(await self.wanted(values))

    async def placesmartorder(self, values: Values) -> Answer:
        """What takes the strategy to `position_size`."""
        wanted = await self.wanted(values)
        return await self._placing.place(replace(wanted, target=int(values["position_size"])))

    async def basketorder(self, values: Values) -> Answer:
        """Orders that are placed together, those that buy first; each is answered for itself."""
        strategy, key = values["strategy"], values["idempotency_key"]
        legs = []
        # All names are known before anything is sent: half a basket is a position nobody asked for.
        for number, leg in enumerate(values["orders"], 1):
            mine = {**leg, "strategy": strategy, "idempotency_key": None if key is None else f"{key}~{number}"}
            legs.append((leg, await self.wanted(mine)))
        if key is not None and await self.place_under(key) is not None:
            raise Refused("the idempotency key belongs to another order; nothing was sent", 409)
        told: dict[int, Answer] = {}
        for side in (Side.BUY, Side.SELL):
            chosen = [number for number, (_, wanted) in enumerate(legs) if wanted.side is side]
            placed = await asyncio.gather(*(self._placing.place(legs[number][1]) for number in chosen))
            told |= dict(zip(chosen, placed, strict=True))
        results = [_leg_told(leg, told[number]) for number, (leg, _) in enumerate(legs)]
        every = all(one["status"] == "success" for one in results)
        # "error" would make the stock client throw the results away.
        return Answer({"status": "success" if every else "partial", "results": results})

    async def splitorder(self, values: Values) -> Answer:
        """One order in several."""
        return await self._splitting.split(await self.wanted(values), int(values["splitsize"]))

    async def place_under(self, key: str) -> tuple[str, str] | None:
        """The exchange and symbol of the order under a key; None while the key is free."""
        return await self._placing.place_under(key)

    async def cancelorder(self, values: Values) -> Answer:
        """Cancel one order."""
        order_id = str(values["orderid"])
        told = await cancel(self._gateway, str((await self._books.row(order_id))["command_id"]), _BY)
        if told.standing in _TAKEN:
            return success(orderid=order_id, command_id=told.command_id)
        if told.standing is CancelStatus.UNKNOWN:
            return unknown(f"Whether it is cancelled is not known yet: {told.reason}.", orderid=order_id)
        code = _CANCEL_CODES.get(told.standing, 400)
        return error(told.reason, code, orderid=order_id, command_id=told.command_id)

    async def modifyorder(self, values: Values) -> Answer:
        """Other terms for one order; what it is besides must be as the caller says, so that no other is meant."""
        order_id = str(values["orderid"])
        row = await self._books.row(order_id)
        wanted = await self.wanted({**values, "idempotency_key": None})
        place = wanted.place
        own = {"symbol": place.symbol, "exchange": place.exchange, "product": wanted.product, "action": wanted.side}
        other = {
            name: [f"The order {order_id} has {row[column]}."]
            for name, column in (
                ("symbol", "symbol"),
                ("exchange", "exchange"),
                ("product", "product"),
                ("action", "side"),
            )
            if row[column] != own[name]
        }
        if other:
            raise Refused(str(other))
        terms = {name: getattr(wanted, name) for name in ("quantity", "order_type", "price", "trigger_price")}
        told = await modify(self._gateway, str(row["command_id"]), terms, _BY)
        about = {"orderid": order_id, "command_id": told.command_id}
        if told.standing in _MODIFIED:
            return success(**about)
        if told.standing in (ModifyStatus.UNKNOWN, ModifyStatus.UNDER_WAY):
            return unknown(f"Whether it has these terms is not known yet: {told.reason}.", **about)
        return error(told.reason, _MODIFY_CODES.get(told.standing, 409), **about)

    async def cancelallorder(self, values: Values) -> Answer:
        """Cancel the open orders of the strategy, or of all strategies where the settings say so."""
        strategy = await self._scope(values)

        def read(record: Record) -> list[Mapping[str, Any]]:
            found = (
                record.rows(status=status, strategy=strategy, limit=_MOST_OPEN)
                for status in (Status.CREATED, Status.SENT_TO_BROKER)
            )
            return [row for rows in found for row in rows]

        rows = await self._reading.record(read)
        told = await asyncio.gather(*(cancel(self._gateway, str(row["command_id"]), _BY) for row in rows))
        done = [_number(row) for row, one in zip(rows, told, strict=True) if one.standing in _TAKEN]
        failed = [(_number(row), one) for row, one in zip(rows, told, strict=True) if one.standing not in _TAKEN]
        return success(
            message=f"Canceled {len(done)} orders. Failed to cancel {len(failed)} orders.",
            canceled_orders=[{"orderid": number} for number in done],
            failed_cancellations=[{"orderid": number, "reason": _why(one)} for number, one in failed],
        )

    async def closeposition(self, values: Values) -> Answer:
        """Close what the strategy holds, or what all strategies hold where the settings say so."""
        strategy = await self._scope(values)
        held = await self._left(strategy, 0.0)
        reason = f"closeposition of {strategy or 'all strategies'} over OpenAlgo"
        begun = await square_off(self._gateway, reason=reason, source=Source.WEBHOOK, strategy=strategy, symbol=None)
        if begun is None:
            return unknown("Whether the square-off has begun is not known: the guard does not answer.")
        try:
            left = await self._left(strategy, _CLOSE_S)
        except Unanswered:
            left = ["what nobody says now"]
        if not left:
            return success(message="All Open Positions Squared Off" if held else "No Open Positions Found")
        exits = [f"{one.side} {one.quantity} {one.symbol}" for one in begun.exits]
        exits += [f"{one.side} {one.quantity} {one.symbol}" for one, _ in begun.waiting]
        message = (
            f"The square-off has begun and is not finished: held still {', '.join(left)}; exits: {', '.join(exits)}."
        )
        return unknown(message)

    async def held(self, theirs: str) -> GuardSnapshot | None:
        """The guard's view, if the strategy is known here; None if it never had an order or a holding."""
        name = self.strategy(theirs)
        guard = await self._placing.guard(name)
        if guard.lines:
            return guard
        rows = await self._reading.record(lambda record: record.rows(strategy=name, limit=1))
        return guard if rows else None

    async def _scope(self, values: Values) -> str | None:
        """The strategy a call is about; None for all of them.

        Raises:
            Refused: Nobody knows it. Its caller must not believe that all is closed.
        """
        if self._settings.whole_account:
            return None
        name = self.strategy(str(values["strategy"]))
        wrong = await misnamed_scope(self._reading, await self._placing.guard(), (), name, None)
        if wrong is not None:
            raise Refused(wrong["error"].replace("nothing was exited", "nothing was done"), 404)
        return name

    async def _left(self, strategy: str | None, wait_s: float) -> list[str]:
        """What is held, as soon as that is nothing, or at the end of a while."""
        loop = asyncio.get_running_loop()
        until = loop.time() + wait_s
        while True:
            lines = (await self._placing.guard()).lines
            mine = [one for one in lines if one.held and not one.stays and strategy in (None, one.strategy)]
            if not mine or loop.time() >= until:
                return [f"{one.held:+d} {one.symbol} {one.product}" for one in mine]
            await asyncio.sleep(_LOOK_S)

    async def wanted(self, values: Values) -> Wanted:
        """What a request asks for, in our names.

        Raises:
            Refused: It cannot be asked for so.
        """
        strategy = self.strategy(str(values["strategy"]))
        order_type = OrderType(str(values["pricetype"]))
        price, trigger = values["price"], values["trigger_price"]
        missing = {
            name: ["Must be above 0 for this pricetype."]
            for name, given, needed in (
                ("price", price, order_type.has_price),
                ("trigger_price", trigger, order_type.has_trigger),
            )
            if needed and not given
        }
        if missing:
            raise Refused(str(missing))
        guard = partial(self._placing.guard, strategy)
        place = await self._names.tradable(str(values["exchange"]), str(values["symbol"]), guard)
        return Wanted(
            strategy=strategy,
            place=place,
            side=Side(values["action"]),
            quantity=int(values["quantity"]),
            product=Product(str(values["product"])),
            order_type=order_type,
            price=_taken(price, order_type.has_price),
            trigger_price=_taken(trigger, order_type.has_trigger),
            key=values["idempotency_key"],
        )


def _taken(price: Decimal, takes: bool) -> Decimal | None:
    """Many callers send a price with every order; one that the type does not take means nothing, as in OpenAlgo."""
    return price if takes else None


def _leg_told(leg: Values, answer: Answer) -> dict[str, Any]:
    shown = {name: leg[name] for name in ("symbol", "exchange", "product")}
    return {**shown, **answer.body}


def _number(row: Mapping[str, Any]) -> str:
    return str(row["broker_order_id"] or row["command_id"])


def _why(told: CancelTold) -> str:
    if told.standing is CancelStatus.UNKNOWN:
        return f"whether it is cancelled is not known yet: {told.reason}. {NOT_AGAIN}"
    return told.reason
