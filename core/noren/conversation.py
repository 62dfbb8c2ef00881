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

from core.model.broker import BrokerOrderReport, BrokerStatus, BrokerTrade, Quote
from core.noren import parse
from core.noren.parse import BadRow
from core.noren.profiles import BrokerProfile

__all__ = ["Conversation", "FeedDown", "FeedValue", "Instrument", "ResyncNeeded", "Turn"]

_HEARTBEATS_IN_SILENCE = 3
_INSTRUMENTS_A_FRAME = 100
_ORDERS_REMEMBERED = 10_000
_ACKS = ("ck", "ak")

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


FeedValue = BrokerOrderReport | BrokerTrade | Quote | ResyncNeeded | FeedDown


@dataclass(frozen=True, slots=True)
class Instrument:
    """What a quote is wanted of; `token` is the broker_order_id of it, unique within the exchange only."""

    exchange: str
    symbol: str
    token: str

    @property
    def key(self) -> str:
        return f"{self.exchange}|{self.token}"


@dataclass(frozen=True, slots=True)
class Turn:
    """What one event leads to: frames to send, values to hand on, and why to close, if to close."""

    frames: tuple[str, ...] = ()
    values: tuple[BrokerOrderReport | BrokerTrade | Quote | ResyncNeeded, ...] = ()
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
        self._touchlines: dict[str, dict[str, Any]] = {}
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
        if kind in ("tk", "tf"):
            return Turn(values=self._touchline(frame, at))
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
        return Turn(frames=_subscriptions(fresh) if self.acknowledged else ())

    def _acknowledgement(self, frame: Mapping[str, Any]) -> Turn:
        # Servers write OK, documents Ok; anything else is a refusal, after which the socket may stay open and silent.
        if str(frame.get("s", "")).strip().lower() != "ok":
            said = frame.get("emsg") or frame.get("s")
            return Turn(close=FeedDown(f"the broker refused the push connection: {said}", refused=True))
        self.acknowledged = True
        orders = (json.dumps({"t": "o", "actid": self._user_id}),) if self._profile.subscribe_orders else ()
        return Turn(
            frames=orders + _subscriptions(self._instruments.values()),
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

    def _touchline(self, frame: Mapping[str, Any], at: datetime) -> tuple[Quote, ...]:
        """`tk` carries all fields, `tf` those that changed. Keyed by exchange and token: tokens alone collide."""
        key = f"{frame.get('e')}|{frame.get('tk')}"
        instrument = self._instruments.get(key)
        if instrument is None:
            return ()
        fields = self._touchlines.setdefault(key, {})
        if frame["t"] == "tk":
            fields.clear()
        fields.update(frame)
        try:
            quote = parse.quote(fields, exchange=instrument.exchange, symbol=instrument.symbol, now=at)
        except BadRow:
            # No price yet, or none to trade on: the next frame may have one.
            return ()
        return (replace(quote, at=_feed_time(fields) or at),)


def _subscriptions(instruments: Iterable[Instrument]) -> tuple[str, ...]:
    keys = [instrument.key for instrument in instruments]
    return tuple(
        json.dumps({"t": "t", "k": "#".join(keys[start : start + _INSTRUMENTS_A_FRAME])})
        for start in range(0, len(keys), _INSTRUMENTS_A_FRAME)
    )


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
