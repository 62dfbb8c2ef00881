"""A client's view of one exchange in virtual time, for the tests of the core."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from core.paper.config import ExchangeConfig, PriceSource
from core.paper.exchange import Exchange
from core.paper.times import IST
from core.paper.wire import Close, Out, Push, Reply, Request, Silence, Step

START = datetime(2026, 11, 3, 10, 0, tzinfo=IST)
"""A Tuesday morning in the session."""

INFY = Decimal("1518.60")
"""What INFY-EQ costs at the start when prices are set by hand; its token is 1594."""


class World:
    """One exchange whose prices stand still unless told otherwise, a clock, and what came over the sockets."""

    def __init__(self, *, now: datetime = START, seed: int = 1, **config: Any) -> None:
        config.setdefault("price_source", PriceSource.MANUAL)
        self.now = now
        self.exchange = Exchange(ExchangeConfig(**config), now=now, seed=seed)
        self.tokens: dict[str, str] = {}
        self.pushes: list[Push] = []
        self.closes: list[Close] = []
        self.silences: list[Silence] = []

    def raw(self, path: str, body: str | bytes, *, authorization: str | None = None, peer: str = "127.0.0.1") -> Reply:
        """Post a body as it is."""
        data = body if isinstance(body, bytes) else body.encode()
        step = self.exchange.handle(Request(path, data, authorization, peer), self.now)
        self._collect(step)
        assert step.reply is not None
        return step.reply

    def reply(self, endpoint: str, uid: str = "U1", **fields: Any) -> Reply:
        """Call an endpoint as NorenRestApiPy does, logging in first if need be."""
        if uid not in self.tokens:
            self.log_in(uid)
        data = {"ordersource": "API", "uid": uid, **fields}
        return self.raw(f"/NorenWClientTP//{endpoint}", f"jData={json.dumps(data)}&jKey={self.tokens[uid]}")

    def call(self, endpoint: str, uid: str = "U1", **fields: Any) -> Any:
        """Call an endpoint and read its JSON."""
        return json.loads(self.reply(endpoint, uid, **fields).body)

    def log_in(self, uid: str = "U1", **fields: Any) -> dict[str, Any]:
        """QuickAuth with anything for password and TOTP."""
        data = {"source": "API", "uid": uid, "pwd": "x", "factor2": "1", "appkey": "x", "vc": "", **fields}
        answer = json.loads(self.raw("/NorenWClientTP//QuickAuth", f"jData={json.dumps(data)}").body)
        if answer["stat"] == "Ok":
            self.tokens[uid] = answer["susertoken"]
        return dict(answer)

    def order(self, uid: str = "U1", **fields: Any) -> dict[str, Any]:
        """PlaceOrder with what NorenRestApiPy 0.0.22 sends, changed by `fields`; its answer."""
        data = {
            "actid": uid,
            "trantype": "B",
            "prd": "I",
            "exch": "NSE",
            "tsym": "INFY-EQ",
            "qty": "10",
            "dscqty": "0",
            "prctyp": "LMT",
            "prc": "1530.00",
            "trgprc": "None",
            "ret": "DAY",
            "remarks": None,
            "amo": "NO",
        }
        return dict(self.call("PlaceOrder", uid, **{**data, **fields}))

    def place(self, uid: str = "U1", **fields: Any) -> str:
        """An order that must be taken; its number."""
        answer = self.order(uid, **fields)
        assert answer["stat"] == "Ok", answer
        return str(answer["norenordno"])

    def placed(self, uid: str = "U1", **fields: Any) -> str:
        """An order, and the time for all its stages."""
        number = self.place(uid, **fields)
        self.wait(0.05)
        return number

    def resting(self, **fields: Any) -> str:
        """A buy far below the market, confirmed by the exchange."""
        return self.placed(**{"prc": "1400.00", **fields})

    def modify(self, number: str, uid: str = "U1", **fields: Any) -> dict[str, Any]:
        """ModifyOrder with what NorenRestApiPy 0.0.22 sends."""
        row = self.row(number, uid)
        data = {name: row[name] for name in ("exch", "tsym", "qty", "prctyp", "prc")}
        return dict(self.call("ModifyOrder", uid, actid=uid, norenordno=number, **{**data, **fields}))

    def cancel(self, number: str, uid: str = "U1") -> dict[str, Any]:
        """CancelOrder."""
        return dict(self.call("CancelOrder", uid, norenordno=number))

    def row(self, number: str, uid: str = "U1") -> dict[str, Any]:
        """The row of one order in the book."""
        return next(row for row in self.call("OrderBook", uid) if row["norenordno"] == number)

    def history(self, number: str, uid: str = "U1") -> list[str]:
        """What happened to an order, oldest first, as `report/status`."""
        rows = self.call("SingleOrdHist", uid, norenordno=number)
        return [f"{row['rpt']}/{row['status']}" for row in reversed(rows)]

    def position(self, tsym: str = "INFY-EQ", prd: str = "I", uid: str = "U1") -> dict[str, Any]:
        """One row of PositionBook."""
        rows = self.call("PositionBook", uid, actid=uid)
        return next(row for row in rows if row["tsym"] == tsym and row["prd"] == prd)

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.now += timedelta(seconds=seconds)
        self._take(self.exchange.advance(self.now))

    def control(self, command: str, **arguments: Any) -> dict[str, Any]:
        """Give a command, and take at once what it causes."""
        answer = self.exchange.control(command, arguments, self.now)
        self._take(self.exchange.advance(self.now))
        return answer

    def fault(self, kind: str, **arguments: Any) -> int:
        """Put a fault in force."""
        return int(self.control("add_fault", kind=kind, **arguments)["id"])

    def set_price(self, price: str, tsym: str = "INFY-EQ", exch: str = "NSE") -> None:
        """Move a price."""
        self.control("set_price", exch=exch, tsym=tsym, price=price)

    def socket(self, uid: str = "U1", connection: str = "ws-1", orders: bool = True) -> str:
        """A socket that is up."""
        if uid not in self.tokens:
            self.log_in(uid)
        self._collect(self.exchange.connect(connection, self.now))
        self.say(connection, t="c", uid=uid, actid=uid, source="API", susertoken=self.tokens[uid])
        if orders:
            self.say(connection, t="o", actid=uid)
        return connection

    def say(self, connection: str, **frame: str) -> None:
        """Send a frame."""
        self._collect(self.exchange.receive(connection, json.dumps(frame), self.now))

    def frames(self, connection: str = "ws-1", kind: str | None = None) -> list[dict[str, Any]]:
        """What a socket was sent so far, in the order in which it arrives."""
        mine = sorted((p for p in self.pushes if p.connection == connection), key=lambda p: p.due)
        found = [json.loads(p.text) for p in mine]
        return [frame for frame in found if kind is None or frame["t"] == kind]

    def reports(self, connection: str = "ws-1") -> list[str]:
        """The order updates of a socket as `report/status`."""
        return [f"{frame['reporttype']}/{frame['status']}" for frame in self.frames(connection, "om")]

    def _collect(self, step: Step) -> None:
        self._take(step.out)

    def _take(self, out: tuple[Out, ...]) -> None:
        for item in out:
            if isinstance(item, Push):
                self.pushes.append(item)
            elif isinstance(item, Close):
                self.closes.append(item)
            else:
                self.silences.append(item)
