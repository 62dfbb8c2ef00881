"""Prices for the clients of the WebSocket: who follows what, and each price as OpenAlgo's market data."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple

from core.messages import Message, SubscribePrices, UnsubscribePrices
from core.model.broker import Quote
from core.web.openalgo.answers import encoded

__all__ = ["FOLLOWER", "LEVELS", "MODES", "MOST_FOLLOWED", "Client", "Followed", "Subscription"]

FOLLOWER = "stream"
"""Who follows prices for all clients together."""

MODES = {"LTP": 1, "QUOTE": 2, "DEPTH": 3}
LEVELS = 5
MOST_FOLLOWED = 1000
"""Instruments of all clients together: the broker's socket carries no more."""

_DEPTH = MODES["DEPTH"]


class Subscription(NamedTuple):
    """What one client follows, in its own words."""

    exchange: str
    symbol: str
    mode: int


class _Told:
    """A price, and the texts that were made of it: each is made once, for however many clients."""

    __slots__ = ("_texts", "quote")

    def __init__(self, quote: Quote) -> None:
        self.quote = quote
        self._texts: dict[tuple[Subscription, int], str] = {}

    def text(self, subscription: Subscription, missed: int, broker: str) -> str:
        """The message to a client."""
        text = self._texts.get((subscription, missed))
        if text is None:
            told = {
                "type": "market_data",
                **subscription._asdict(),
                "data": _data(self.quote, subscription.mode),
                "missed": missed,
                "broker": broker,
            }
            text = self._texts[subscription, missed] = encoded(told).decode("ascii")
        return text


class Client:
    """What waits for one client: of each instrument the newest price, and how many it did not get before it.

    Attributes:
        followed: Where each of its subscriptions leads: exchange and symbol of the broker.
        next_update: The order update that it gets next; None while it wants none.
        news: Set when there is something for it.
    """

    def __init__(self) -> None:
        self.followed: dict[Subscription, tuple[str, str]] = {}
        self.next_update: int | None = None
        self.news = asyncio.Event()
        self._waiting: dict[Subscription, tuple[_Told, int]] = {}

    def put(self, subscription: Subscription, told: _Told) -> None:
        """A newer price."""
        before = self._waiting.get(subscription)
        self._waiting[subscription] = (told, told.quote.missed + (0 if before is None else before[1] + 1))
        self.news.set()

    def begin(self, subscription: Subscription, told: _Told) -> None:
        """The price that others have had already."""
        self._waiting[subscription] = (told, 0)
        self.news.set()

    def forget(self, subscription: Subscription) -> None:
        """It does not follow this any more."""
        self.followed.pop(subscription, None)
        self._waiting.pop(subscription, None)

    def next_price(self, broker: str) -> str | None:
        """The message that has waited longest."""
        if not self._waiting:
            return None
        subscription = next(iter(self._waiting))
        told, missed = self._waiting.pop(subscription)
        return told.text(subscription, missed, broker)


@dataclass(slots=True)
class _Line:
    """One instrument that somebody follows."""

    depth: bool = False
    last: _Told | None = None
    followers: dict[Subscription, set[Client]] = field(default_factory=dict)


class Followed:
    """All instruments that clients follow; Prices is told of the first follower and of the last.

    Args:
        tell: Sends to Prices.
    """

    def __init__(self, tell: Callable[[Message], object]) -> None:
        self._tell = tell
        self._lines: dict[tuple[str, str], _Line] = {}

    def has_room(self, place: tuple[str, str]) -> bool:
        """Whether one more client may follow this."""
        return place in self._lines or len(self._lines) < MOST_FOLLOWED

    def follow(self, client: Client, wanted: Iterable[tuple[Subscription, tuple[str, str]]]) -> None:
        """Begin to hand these prices to a client, with the last one that is known."""
        fresh: dict[tuple[str, bool], list[str]] = {}
        for subscription, place in wanted:
            line, known = self._lines.setdefault(place, _Line()), subscription in client.followed
            client.followed[subscription] = place
            depth = subscription.mode == _DEPTH and not line.depth
            if depth or not line.followers:
                line.depth = line.depth or depth
                fresh.setdefault((place[0], depth), []).append(place[1])
            line.followers.setdefault(subscription, set()).add(client)
            if not known and line.last is not None and _tells(line.last.quote, subscription):
                client.begin(subscription, line.last)
        for (exchange, depth), symbols in fresh.items():
            self._tell(SubscribePrices(exchange, tuple(symbols), FOLLOWER, depth))

    def unfollow(self, client: Client, gone: Iterable[Subscription]) -> None:
        """A client does not want these any more."""
        unwanted: dict[str, list[str]] = {}
        for subscription in gone:
            place = client.followed.get(subscription)
            client.forget(subscription)
            line = None if place is None else self._lines.get(place)
            if place is None or line is None:
                continue
            clients = line.followers.get(subscription, set())
            clients.discard(client)
            if not clients:
                line.followers.pop(subscription, None)
            if not line.followers:
                del self._lines[place]
                unwanted.setdefault(place[0], []).append(place[1])
        for exchange, symbols in unwanted.items():
            self._tell(UnsubscribePrices(exchange, tuple(symbols), FOLLOWER))

    def take(self, quotes: Iterable[Quote]) -> None:
        """Newer prices came."""
        for quote in quotes:
            line = self._lines.get((quote.exchange, quote.symbol))
            if line is None:
                continue
            line.last = told = _Told(quote)
            for subscription, clients in line.followers.items():
                for client in clients if _tells(quote, subscription) else ():
                    client.put(subscription, told)


def _tells(quote: Quote, subscription: Subscription) -> bool:
    """Whether there is anything in it for this mode."""
    return subscription.mode != _DEPTH or bool(quote.bids or quote.asks)


def _data(quote: Quote, mode: int) -> dict[str, Any]:
    """What is not known is left out: OpenAlgo's client stumbles over null."""
    at = round(quote.at.timestamp() * 1000)
    told: dict[str, Any] = {"ltp": quote.last_price, "timestamp": at}
    if mode == MODES["LTP"]:
        return told
    close = quote.close
    change = None if close is None else quote.last_price - close
    figures = {
        **{name: getattr(quote, name) for name in ("open", "high", "low", "close", "volume")},
        "last_trade_quantity": quote.last_quantity,
        "oi": quote.open_interest,
        "change": change,
        "change_percent": None if change is None or not close else round(change * 100 / close, 2),
        "bid": quote.bid,
        "ask": quote.ask,
    }
    told |= {name: figure for name, figure in figures.items() if figure is not None}
    if mode == _DEPTH:
        told["depth"] = {"buy": _levels(quote.bids), "sell": _levels(quote.asks)}
    return told


def _levels(levels: Iterable[tuple[Decimal, int]]) -> list[dict[str, Any]]:
    # The broker does not tell how many orders there are; the client takes what is missing for 0.
    return [{"price": price, "quantity": quantity} for price, quantity in levels]
