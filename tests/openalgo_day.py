"""A day with OpenAlgo's own Python client, unchanged: `day` is handed a client, and knows nothing of Sixstep.

It stands on the standard library and on what the client brings, so that every version of the client can be tried:
`python tests/openalgo_day.py HOST WS_PORT KEY` runs it against a service on paper whose prices stand still.
"""

from __future__ import annotations

import json
import sys
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import websocket

PATIENCE_S = 60.0
INFY = {"symbol": "INFY", "exchange": "NSE"}
TCS = {"symbol": "TCS", "exchange": "NSE"}
SBIN = {"symbol": "SBIN", "exchange": "NSE"}
RELIANCE = {"symbol": "RELIANCE", "exchange": "NSE"}
NIFTY = {"symbol": "NIFTY", "exchange": "NSE_INDEX"}
_OVER = ("complete", "cancelled", "rejected")


class Updates:
    """Order updates, which clients before 2.0 have no method for; it connects again where it was when it is cut off."""

    def __init__(self, address: str, key: str) -> None:
        self.told: list[dict[str, Any]] = []
        self._address, self._key = address, key
        self._socket: Any = None
        self._ended = False
        self._listening = threading.Event()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()
        assert self._listening.wait(PATIENCE_S), "order updates are subscribed"

    def cut(self) -> None:
        """End the connection, as a network does."""
        self._listening.clear()
        self._socket.shutdown()

    def await_again(self) -> None:
        """Wait until it listens once more."""
        assert self._listening.wait(PATIENCE_S), "order updates are resumed"

    def end(self) -> None:
        self._ended = True
        self._socket.shutdown()
        self._thread.join(PATIENCE_S)

    def latest(self) -> dict[str, dict[str, Any]]:
        """The newest of each order."""
        return {str(one["orderid"]): one for one in tuple(self.told)}

    def _listen(self) -> None:
        while not self._ended:
            with suppress(OSError, websocket.WebSocketException):
                self._socket = websocket.create_connection(self._address, timeout=PATIENCE_S)
                self._say(action="authenticate", api_key=self._key)
                last = {"stream": self.told[-1]["stream"], "after": self.told[-1]["sequence"]} if self.told else {}
                self._say(action="subscribe_orders", **last)
                while True:
                    self._take(json.loads(self._socket.recv()))

    def _say(self, **fields: object) -> None:
        self._socket.send(json.dumps(fields))

    def _take(self, message: dict[str, Any]) -> None:
        if message.get("type") == "order_update":
            self.told.append(message)
        elif message.get("type") == "subscribe_orders":
            self._listening.set()


class Day:
    """One client's day.

    Args:
        client: OpenAlgo's `api`.
        move: Moves the price of a share at the exchange.
    """

    def __init__(self, client: Any, move: Callable[[str, str], object]) -> None:
        self.client = client
        self.move = move
        self.ticks: list[dict[str, Any]] = []
        self.updates = Updates(client.ws_url, client.api_key)
        self.asked: list[tuple[str, dict[str, str]]] = []

    def follow(self) -> None:
        """Prices in three modes."""
        until(self.client.connect)
        assert self.client.subscribe_ltp([INFY, TCS, NIFTY], on_data_received=self.ticks.append)
        assert self.client.subscribe_quote([INFY], on_data_received=self.ticks.append)
        assert self.client.subscribe_depth([INFY], on_data_received=self.ticks.append)
        wanted = {(1, "INFY"), (1, "TCS"), (1, "NIFTY"), (2, "INFY"), (3, "INFY")}
        until(lambda: wanted <= {(one["mode"], one["symbol"]) for one in tuple(self.ticks)})
        quote = self.client.get_quotes(exchange="NSE", symbol="INFY")["quote"]["NSE"]["INFY"]
        assert min(quote[name] for name in ("open", "high", "low", "close", "ltp")) > 0
        book = self.client.get_depth()["depth"]["NSE"]["INFY"]
        assert book["buyBook"]["1"]["price"] < book["sellBook"]["1"]["price"]

    def follow_a_move(self, to: str) -> None:
        """The price moves, and the client is told."""
        self.move("TCS-EQ", to)
        until(lambda: self.client.get_ltp()["ltp"]["NSE"]["TCS"]["ltp"] == float(to))
        assert self.client.quotes(**TCS)["data"]["ltp"] == float(to)

    def smart(self, strategy: str, *targets: int) -> None:
        """To each of these positions in turn, through zero."""
        for target in targets:
            held = self.held(strategy, INFY)
            action = "BUY" if target > held else "SELL"
            order = {**INFY, "action": action, "price_type": "MARKET", "product": "MIS", "quantity": 1}
            self.done(self.client.placesmartorder(strategy=strategy, **order, position_size=target))
            until(lambda target=target: self.held(strategy, INFY) == target)  # type: ignore[misc]

    def basket(self, strategy: str) -> None:
        """Two shares at once."""
        legs = [{**SBIN, "action": "BUY", "quantity": 3}, {**RELIANCE, "action": "SELL", "quantity": 2}]
        told = self.client.basketorder(strategy=strategy, orders=[{**leg, "product": "MIS"} for leg in legs])
        assert told["status"] == "success", told
        for leg in told["results"]:
            self.done(leg)
        assert (self.held(strategy, SBIN), self.held(strategy, RELIANCE)) == (3, -2)

    def split(self, strategy: str) -> None:
        """One order in three pieces."""
        told = self.client.splitorder(strategy=strategy, **TCS, action="BUY", quantity=25, splitsize=10)
        assert told["status"] == "success", told
        assert [one["quantity"] for one in told["results"]] == [10, 10, 5]
        self.done(told["results"][-1])
        assert self.held(strategy, TCS) == 25

    def options(self, strategy: str) -> None:
        """A call by its offset, and a spread of puts."""
        days = self.client.expiry(symbol="NIFTY", exchange="NFO", instrumenttype="options")["data"]
        nifty = {"underlying": "NIFTY", "exchange": "NSE_INDEX", "expiry_date": days[0].replace("-", "")}
        lot = self.client.optionsymbol(**nifty, offset="ATM", option_type="CE")["lotsize"]
        call = self.client.optionsorder(
            strategy=strategy, **nifty, offset="OTM1", option_type="CE", action="BUY", quantity=lot
        )
        self.done(call)
        assert self.held(strategy, {"symbol": call["symbol"], "exchange": "NFO"}) == lot
        legs = [
            {"offset": "OTM1", "option_type": "PE", "action": "SELL", "quantity": lot},
            {"offset": "OTM3", "option_type": "PE", "action": "BUY", "quantity": lot},
        ]
        told = self.client.optionsmultiorder(strategy=strategy, **nifty, legs=legs)
        for leg, quantity in zip(told["results"], (-lot, lot), strict=True):
            self.done(leg)
            assert self.held(strategy, {"symbol": leg["symbol"], "exchange": "NFO"}) == quantity

    def rest(self, strategy: str) -> None:
        """Orders that rest: one follows the market until it fills, the others are cancelled, the last with all."""
        order = {"action": "BUY", "product": "MIS", "quantity": 4, "price_type": "LIMIT"}
        sbin = self.client.quotes(**SBIN)["data"]["ltp"]
        first = self.resting(self.client.placeorder(strategy=strategy, **SBIN, **order, price=round(sbin * 0.97)))
        for to in (round(sbin * 0.98), round(sbin * 1.01)):
            self.modified(first, strategy=strategy, **SBIN, **order, price=to)
        until(lambda: self.status(first) == "complete")
        assert self.held(strategy, SBIN) == 4
        one = self.resting(self.client.placeorder(strategy=strategy, **TCS, **order, price=2900))
        self.cancelled(one, lambda: self.client.cancelorder(order_id=one, strategy=strategy))
        last = self.resting(self.client.placeorder(strategy=strategy, **TCS, **order, price=2890))
        told = self.cancelled(last, lambda: self.client.cancelallorder(strategy=strategy))
        assert told["message"].startswith("Canceled 1 orders."), told

    def modified(self, order_id: str, **order: Any) -> None:
        """An order that the exchange may not have confirmed yet is changed."""
        until(lambda: self.client.modifyorder(order_id=order_id, **order)["status"] == "success")
        price = order["price"]
        until(lambda: any((one["orderid"], one["price"]) == (order_id, price) for one in self.orders()))
        until(lambda: self.updates.latest()[order_id]["price"] == price)

    def cancelled(self, order_id: str, cancel: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """An order that the exchange may not have confirmed yet is cancelled."""
        answers = []

        def taken() -> bool:
            answers.append(cancel())
            return order_id in json.dumps({**answers[-1], "failed_cancellations": []})

        until(taken)
        until(lambda: self.status(order_id) == "cancelled")
        return answers[-1]

    # What it stands on

    def done(self, answer: dict[str, Any]) -> None:
        """The order was taken, and has filled."""
        assert answer["status"] == "success", answer
        until(lambda: self.status(answer["orderid"]) == "complete")

    def resting(self, answer: dict[str, Any]) -> str:
        """The number of an order that was taken, once it rests."""
        assert answer["status"] == "success", answer
        until(lambda: self.updates.latest().get(answer["orderid"], {}).get("order_status") == "open")
        return str(answer["orderid"])

    def status(self, order_id: str) -> str:
        return str(self.client.orderstatus(order_id=order_id, strategy="Python")["data"]["order_status"])

    def held(self, strategy: str, place: dict[str, str]) -> int:
        if (strategy, place) not in self.asked:
            self.asked.append((strategy, place))
        return int(self.client.openposition(strategy=strategy, **place, product="MIS")["quantity"])

    # The end

    def compare(self) -> None:
        """Orders, trades, positions, strategies and updates say the same."""
        until(lambda: all(one["order_status"] in _OVER for one in self.orders()))
        traded: Counter[str] = Counter()
        for one in self.client.tradebook()["data"]:
            traded[one["symbol"]] += one["quantity"] if one["action"] == "BUY" else -one["quantity"]
        filled: Counter[str] = Counter()
        for one in self.orders():
            filled[one["symbol"]] += one["filled_quantity"] if one["action"] == "BUY" else -one["filled_quantity"]
        strategies: Counter[str] = Counter()
        for strategy, place in self.asked:
            strategies[place["symbol"]] += self.held(strategy, place)
        until(lambda: +self.positions() == +traded and -self.positions() == -traded)
        assert (+filled, -filled) == (+traded, -traded)
        assert (+strategies, -strategies) == (+traded, -traded)
        until(lambda: self.shown(self.updates.latest().values()) == self.shown(self.orders()))
        numbers = [one["sequence"] for one in self.updates.told]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers))), "none is missing, and none comes twice"

    def orders(self) -> list[dict[str, Any]]:
        return list(self.client.orderbook()["data"]["orders"])

    def positions(self) -> Counter[str]:
        return Counter({one["symbol"]: one["quantity"] for one in self.client.positionbook()["data"]})

    @staticmethod
    def shown(orders: Any) -> dict[str, tuple[Any, ...]]:
        """What became of each order."""
        names = (
            "symbol",
            "action",
            "quantity",
            "order_status",
            "filled_quantity",
            "average_price",
            "strategy",
            "price",
        )
        return {one["orderid"]: tuple(one[name] for name in names) for one in orders}


def until(holds: Callable[[], object]) -> None:
    """Wait until something holds."""
    pause = threading.Event()
    for _ in range(round(PATIENCE_S / 0.05)):
        if holds():
            return
        pause.wait(0.05)
    raise AssertionError("it did not come to that in time")


def day(client: Any, move: Callable[[str, str], object]) -> Day:
    """All of it, in order; what was held at the end is still held."""
    one = Day(client, move)
    own: list[dict[str, Any]] = []
    # Clients from 2.0 on have a method of their own.
    has_orders = hasattr(client, "subscribe_orders")
    one.follow()
    if has_orders:
        assert client.subscribe_orders(on_order_update=own.append)
    one.smart("Day Trend", 10, -5, 8, 0, -6)
    one.follow_a_move("3030")
    one.basket("Day Basket")
    one.updates.cut()
    one.split("Day Split")
    one.updates.await_again()
    one.options("Day Options")
    one.rest("Day Rest")
    assert client.closeposition(strategy="Day Split")["status"] == "success"
    assert one.held("Day Split", TCS) == 0
    one.follow_a_move("3040")
    one.compare()
    if has_orders:
        until(lambda: one.shown(own) == one.shown(one.orders()))
    client.unsubscribe_ltp([INFY, TCS, NIFTY])
    client.disconnect()
    one.updates.end()
    return one


if __name__ == "__main__":
    from openalgo import api

    host, port, key = sys.argv[1:4]
    ended = day(api(api_key=key, host=host, ws_port=int(port)), lambda *place: (print(*place, flush=True), input()))  # noqa: T201
    print(len(ended.updates.told), "order updates,", len(ended.ticks), "prices", file=sys.stderr)  # noqa: T201
