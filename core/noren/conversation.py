"""What is said on one push connection, without the connection (protocol 8, 9).

A `Conversation` is told what happened and when, and answers with frames to send and values to hand on. It holds no
socket and no thread, so every order of events can be tested, and the simulator can speak it too.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from core.model.broker import (
    BrokerOrderReport,
    BrokerStatus,
    BrokerTrade,
    PriceSource,
    Quote,
    Ticks,
    WrongQuote,
)
from core.noren import parse
from core.noren.parse import BadRow
from core.noren.profiles import BrokerProfile
from core.rules.touchlines import Touchlines

__all__ = ["Conversation", "FeedDown", "FeedValue", "Instrument", "ResyncNeeded", "Turn"]

_HEARTBEATS_IN_SILENCE = 3
_INSTRUMENTS_A_FRAME = 100
_ORDERS_REMEMBERED = 10_000
_TICKS_A_TURN = 100
"""So that an order update waits for a hundred prices to be read, and not for a thousand."""

_ACKS = ("ck", "ak")
_PRICE_FRAMES = ("tk", "tf", "dk", "df")
_SUBSCRIBE, _UNSUBSCRIBE = ("t", "d"), ("u", "ud")
"""Touchline, and depth, which has all that a touchline has."""

# What a frame says of an order once and may leave out later: missing means unchanged (protocol 9.3 rule 4).
_IDENTITY = ("exch", "tsym", "trantype", "qty", "remarks")

# Only these, and only where the status is not known; never for a fill (protocol 9.3 rule 3).
_STATUS_BY_REPORT: Mapping[str, BrokerStatus] = {
    "REJECTED": BrokerStatus.REJECTED,
    "CANCELED": BrokerStatus.CANCELLED,
    "CANCELLED": BrokerStatus.CANCELLED,
}


@dataclass(frozen=True, slots=True)
class ResyncNeeded:
    """Frames may have been missed: read order book and trade book (protocol 9.3 rule 5).

    Comes after each acknowledgement, since there is no replay, and when a frame could not be understood.
    """

    reason: str


@dataclass(frozen=True, slots=True)
class FeedDown:
    """The connection is gone. `refused` means that the broker did not accept the token: a new one is wanted."""

    reason: str
    refused: bool = False


FeedValue = BrokerOrderReport | BrokerTrade | Ticks | ResyncNeeded | FeedDown


@dataclass(frozen=True, slots=True)
class Instrument:
    """What a price is wanted of; `token` is the broker's number of it, unique within the exchange only.

    `depth`: five levels of the order book are wanted too.
    """

    exchange: str
    symbol: str
    token: str
    depth: bool = False

    @property
    def key(self) -> str:
        return f"{self.exchange}|{self.token}"


@dataclass(frozen=True, slots=True)
class Turn:
    """What one event leads to: frames to send, values to hand on, and why to close, if to close."""

    frames: tuple[str, ...] = ()
    values: tuple[BrokerOrderReport | BrokerTrade | ResyncNeeded, ...] = ()
    close: FeedDown | None = None


class Conversation:
    """One connection, from the moment it is open.

    Args:
        profile: Dialect, and whether order updates are subscribed.
        user_id: The account.
        token: The session's token.
        ack_timeout_s: How long the broker may take to acknowledge; some keep a refused socket open and silent.
        silence_s: How long there may be no frame at all, pongs included. A heartbeat goes out three times in it.
        instruments: What quotes are wanted of from the start.
    """

    def __init__(
        self,
        profile: BrokerProfile,
        user_id: str,
        token: str,
        *,
        ack_timeout_s: float,
        silence_s: float,
        instruments: Iterable[Instrument] = (),
    ) -> None:
        self._profile = profile
        self._user_id = user_id
        self._token = token
        self._ack_timeout_s = ack_timeout_s
        self._silence_s = silence_s
        self._instruments = {instrument.key: instrument for instrument in instruments}
        self._touchlines = Touchlines()
        self._orders: dict[str, dict[str, Any]] = {}
        self._opened_at = 0.0
        self._heard_at = 0.0
        self._spoke_at = 0.0
        self.acknowledged = False

    def opened(self, now: float) -> Turn:
        """The socket is open. `now`, here and below, is monotonic seconds."""
        self._opened_at = self._heard_at = self._spoke_at = now
        key = "accesstoken" if self._profile.socket_dialect == "a" else "susertoken"
        connect = {
            "t": self._profile.socket_dialect,
            "uid": self._user_id,
            "actid": self._user_id,
            "source": "API",
            key: self._token,
        }
        return Turn(frames=(json.dumps(connect),))

    def heard(self, now: float) -> None:
        """A frame without text came in: a pong is a sign of life too."""
        self._heard_at = now

    def received(self, text: str, now: float, at: datetime) -> Turn:
        """A text frame came in; `at` is the time of day, for quotes that have none."""
        self._heard_at = now
        try:
            frame = json.loads(text)
        except (ValueError, RecursionError):
            frame = None
        if not isinstance(frame, dict) or not isinstance(frame.get("t"), str):
            return Turn(values=(ResyncNeeded("a push frame could not be read"),))
        kind = frame["t"]
        if kind in _ACKS:
            return self._acknowledgement(frame)
        if kind == "om":
            return Turn(values=self._order_update(frame))
        if kind in _PRICE_FRAMES:
            self._price_frame(frame, at)
        return Turn()

    def ticked(self, now: float) -> Turn:
        """Time has passed: keep the connection alive, or give it up."""
        if not self.acknowledged and now - self._opened_at >= self._ack_timeout_s:
            return Turn(close=FeedDown(f"no acknowledgement within {self._ack_timeout_s:g} s"))
        if now - self._heard_at >= self._silence_s:
            return Turn(close=FeedDown(f"no frame for {self._silence_s:g} s"))
        if now - self._spoke_at >= self._silence_s / _HEARTBEATS_IN_SILENCE:
            self._spoke_at = now
            return Turn(frames=('{"t": "h"}',))
        return Turn()

    def watch(self, instruments: Iterable[Instrument]) -> Turn:
        """Quotes are wanted of these too."""
        fresh = [instrument for instrument in instruments if instrument.key not in self._instruments]
        self._instruments.update((instrument.key, instrument) for instrument in fresh)
        return Turn(frames=_subscriptions(_SUBSCRIBE, fresh) if self.acknowledged else ())

    def unwatch(self, instruments: Iterable[Instrument]) -> Turn:
        """Quotes of these are not wanted any more."""
        known = [self._instruments.pop(instrument.key, None) for instrument in instruments]
        gone = [instrument for instrument in known if instrument is not None]
        for instrument in gone:
            self._touchlines.forget(instrument.key)
        return Turn(frames=_subscriptions(_UNSUBSCRIBE, gone) if self.acknowledged else ())

    @property
    def has_ticks(self) -> bool:
        """Whether prices have come in that `ticks` would hand over."""
        return self._touchlines.waiting

    def ticks(self) -> Ticks:
        """The newest prices of instruments that changed since this was last asked; a part of them where many did."""
        quotes: list[Quote] = []
        wrong: list[WrongQuote] = []
        for merged in self._touchlines.take(_TICKS_A_TURN):
            instrument = self._instruments[merged.key]
            named = parse.text(merged.fields, "ts")
            if named is not None and named != instrument.symbol:
                reason = f"the push feed has {named} under the number of {instrument.symbol}"
                wrong.append(WrongQuote(instrument.exchange, instrument.symbol, reason))
                continue
            try:
                quote = parse.quote(
                    merged.fields,
                    exchange=instrument.exchange,
                    symbol=instrument.symbol,
                    now=merged.heard_at,
                    at=_feed_time(merged.fields) or merged.heard_at,
                    source=PriceSource.FEED,
                    missed=merged.missed,
                )
            except BadRow:
                # No price yet, or none to trade on: the next frame may have one.
                continue
            quotes.append(quote)
        return Ticks(tuple(quotes), tuple(wrong))

    def _acknowledgement(self, frame: Mapping[str, Any]) -> Turn:
        # Servers write OK, documents Ok; anything else is a refusal, after which the socket may stay open and silent.
        if str(frame.get("s", "")).strip().lower() != "ok":
            said = frame.get("emsg") or frame.get("s")
            return Turn(close=FeedDown(f"the broker refused the push connection: {said}", refused=True))
        self.acknowledged = True
        orders = (json.dumps({"t": "o", "actid": self._user_id}),) if self._profile.subscribe_orders else ()
        return Turn(
            frames=orders + _subscriptions(_SUBSCRIBE, self._instruments.values()),
            values=(ResyncNeeded("the push connection is up"),),
        )

    def _order_update(self, frame: dict[str, Any]) -> tuple[BrokerOrderReport | BrokerTrade | ResyncNeeded, ...]:
        """The order as it stands after the event, the trade if the event is one, and a resync if either is doubtful."""
        unreadable: list[str] = []
        completed = self._completed(frame)
        values: list[BrokerOrderReport | BrokerTrade] = []
        try:
            values.append(_with_report_type(parse.order_report(completed, unreadable), frame))
            if parse.text(frame, "flid") is not None:
                values.append(parse.trade(completed, unreadable))
        except BadRow as error:
            unreadable.append(str(error))
        return (*values, *(ResyncNeeded(f"an order update could not be read: {told}") for told in unreadable[:1]))

    def _completed(self, frame: dict[str, Any]) -> dict[str, Any]:
        """The frame with what an earlier one said of the same order, in the fields that do not change."""
        order_id = parse.text(frame, "norenordno", "norenoordno") or ""
        said = {name: frame[name] for name in _IDENTITY if parse.text(frame, name) is not None}
        known = {**self._orders.pop(order_id, {}), **said}
        self._orders[order_id] = known
        if len(self._orders) > _ORDERS_REMEMBERED:
            del self._orders[next(iter(self._orders))]
        return {**frame, **known}

    def _price_frame(self, frame: dict[str, Any], at: datetime) -> None:
        """`tk` and `dk` carry all fields, `tf` and `df` those that changed.

        Keyed by exchange and token: tokens alone collide.
        """
        key = f"{frame.get('e')}|{frame.get('tk')}"
        if key not in self._instruments:
            return
        # The depth of one that is followed by its touchline alone is an answer to what is not wanted any more.
        if (frame["t"][0] == "d") is not self._instruments[key].depth:
            return
        if frame["t"][1] == "k":
            self._touchlines.snapshot(key, frame, at)
        else:
            self._touchlines.change(key, frame, at)


def _subscriptions(kinds: tuple[str, str], instruments: Iterable[Instrument]) -> tuple[str, ...]:
    frames = []
    wanted = tuple(instruments)
    for kind, depth in zip(kinds, (False, True), strict=True):
        keys = [instrument.key for instrument in wanted if instrument.depth is depth]
        for start in range(0, len(keys), _INSTRUMENTS_A_FRAME):
            frames.append(json.dumps({"t": kind, "k": "#".join(keys[start : start + _INSTRUMENTS_A_FRAME])}))
    return tuple(frames)


def _with_report_type(report: BrokerOrderReport, frame: Mapping[str, Any]) -> BrokerOrderReport:
    if report.status is not BrokerStatus.UNKNOWN:
        return report
    kind = (parse.text(frame, "reporttype", "rpt") or "").upper()
    return replace(report, status=_STATUS_BY_REPORT.get(kind, report.status))


def _feed_time(fields: Mapping[str, Any]) -> datetime | None:
    try:
        seconds = parse.whole(fields, "ft")
        return datetime.fromtimestamp(seconds, UTC) if seconds else None
    except (BadRow, ValueError, OverflowError, OSError):
        return None
