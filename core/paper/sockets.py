"""The push feed: who is connected, what they subscribed, and the frames they get (protocol sections 8 and 9)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from core.paper.faults import FaultKind
from core.paper.instruments import Instrument
from core.paper.orders import Event, Order
from core.paper.replies import Row, dump
from core.paper.rows import money, order_frame
from core.paper.state import ExchangeState
from core.paper.times import epoch
from core.paper.touchline import changed_fields, feed_fields, index_level
from core.paper.wire import Close, Silence

__all__ = ["Socket", "SocketState", "Sockets"]

GOODBYE = 1000
"""The clean close by which a newer socket evicts an older one (protocol 0.1 point 8)."""

_CUT = 1006
"""No close frame at all."""

_MAX_SUBSCRIPTIONS = 1000
"""Of each kind on one socket; brokers and programs go by this number. More are passed over without a word."""

_BARE = ("remarks", "qty", "prc", "uid", "actid")


class SocketState(StrEnum):
    """How far a socket has come."""

    NEW = "new"
    UP = "up"
    REFUSED = "refused"
    SILENT = "silent"


@dataclass(slots=True, eq=False)
class Socket:
    """One connection.

    Attributes:
        connection: Its name.
        uid: Whose it is, once it is up.
        token: The token it came with; what dies with the token is told nothing more.
        orders: Whether it asked for order updates.
        touchline: Contracts it gets prices of, with the last frame's fields.
        depth: Contracts it gets depth of, with the last frame's fields.
    """

    connection: str
    state: SocketState = SocketState.NEW
    uid: str = ""
    token: str = ""
    orders: bool = False
    touchline: dict[tuple[str, str], Row] = field(default_factory=dict)
    depth: dict[tuple[str, str], Row] = field(default_factory=dict)


class Sockets:
    """All sockets of an exchange.

    Args:
        state: The exchange's state; frames go to its outbox.
    """

    def __init__(self, state: ExchangeState) -> None:
        self._state = state
        self._sockets: dict[str, Socket] = {}
        self._up: dict[str, list[Socket]] = {}

    def __iter__(self) -> Iterator[Socket]:
        return iter(self._sockets.values())

    # -- life of a socket ---------------------------------------------------------------------------------------

    def connect(self, connection: str) -> None:
        """A socket has opened."""
        socket = self._sockets[connection] = Socket(connection)
        if self._state.faults.hit(FaultKind.SOCKET_REFUSED):
            self._close(socket, _CUT, "")

    def disconnect(self, connection: str) -> None:
        """A socket is gone."""
        socket = self._sockets.pop(connection, None)
        if socket is not None and socket in (up := self._up.get(socket.uid, [])):
            up.remove(socket)

    def close(self, uid: str | None, code: int, reason: str) -> int:
        """Close all sockets, or those of one user; how many there were."""
        doomed = [s for s in self._sockets.values() if uid is None or s.uid == uid]
        for socket in doomed:
            self._close(socket, code, reason)
        return len(doomed)

    def _close(self, socket: Socket, code: int, reason: str) -> None:
        self._state.outbox.append(Close(socket.connection, code, reason))
        self.disconnect(socket.connection)

    def receive(self, connection: str, text: str) -> None:
        """Act on a text frame; what is no JSON object with a known `t` is ignored, as is all before the handshake."""
        socket = self._sockets.get(connection)
        if socket is None:
            return
        try:
            frame = json.loads(text)
        except (ValueError, RecursionError):
            return
        if not isinstance(frame, dict):
            return
        kind = frame.get("t")
        if kind in ("c", "a"):
            self._hand_shake(socket, frame)
        elif socket.state is SocketState.UP and self._is_alive(socket):
            self._subscribe(socket, str(kind), frame)

    def _hand_shake(self, socket: Socket, frame: Row) -> None:
        """`c` with susertoken or `a` with accesstoken; of more sockets than a user may have, the oldest is closed."""
        uid, kind = str(frame.get("uid")), str(frame["t"])
        token = str(frame.get("susertoken" if kind == "c" else "accesstoken") or frame.get("usertoken"))
        faults = self._state.faults
        if faults.hit(FaultKind.SOCKET_NO_ACK, account=uid):
            socket.state = SocketState.SILENT
            return
        session = self._state.sessions.find(token, self._state.now)
        refused = session is None or session.uid != uid or faults.hit(FaultKind.SOCKET_NOT_OK, account=uid)
        if refused:
            socket.state = SocketState.REFUSED
            self._say(socket, {"t": f"{kind}k", "uid": uid, "s": "Not_Ok"})
            return
        up = self._up.setdefault(uid, [])
        if socket in up:
            up.remove(socket)
        for oldest in up[: len(up) + 1 - self._state.config.sockets_per_user]:
            self._close(oldest, GOODBYE, "goodbye")
        socket.uid, socket.token, socket.state = uid, token, SocketState.UP
        socket.orders = self._state.config.auto_order_updates
        up.append(socket)
        self._say(socket, {"t": f"{kind}k", "uid": uid, "s": "OK"})
        if faults.hit(FaultKind.SOCKET_SILENT, account=uid):
            self._silence(socket)

    def _silence(self, socket: Socket) -> None:
        """Let a socket play dead after what was said on it."""
        socket.state = SocketState.SILENT
        self._state.outbox.append(Silence(socket.connection))

    def _is_alive(self, socket: Socket) -> bool:
        return self._state.sessions.find(socket.token, self._state.now) is not None

    # -- subscriptions ------------------------------------------------------------------------------------------

    def _subscribe(self, socket: Socket, kind: str, frame: Row) -> None:
        if kind == "h":
            self._say(socket, {"t": "hk", "ft": epoch(self._state.now)})
        elif kind == "o":
            socket.orders = True
            if self._state.config.order_ack:
                self._say(socket, {"t": "ok"})
        elif kind == "uo":
            socket.orders = False
            self._say(socket, {"t": "uok"})
        elif kind in ("t", "d"):
            self._add_feeds(socket, kind, frame)
        elif kind in ("u", "ud"):
            self._drop_feeds(socket, kind, frame)

    def _add_feeds(self, socket: Socket, kind: str, frame: Row) -> None:
        feeds = socket.touchline if kind == "t" else socket.depth
        for instrument in self._named(frame):
            if instrument.key in feeds or len(feeds) < _MAX_SUBSCRIPTIONS:
                fields = feed_fields(self._state, instrument, deep=kind == "d")
                named = self._wrong(socket, instrument, fields) or instrument
                feeds[instrument.key] = fields
                head = {"t": f"{kind}k", "e": instrument.exch, "tk": instrument.token, "ts": named.tsym}
                self._say(socket, {**head, **_contract(instrument), **fields, "ft": epoch(self._state.now)})

    def _drop_feeds(self, socket: Socket, kind: str, frame: Row) -> None:
        feeds = socket.touchline if kind == "u" else socket.depth
        for instrument in self._named(frame):
            feeds.pop(instrument.key, None)
        self._say(socket, {"t": f"{kind}k", "k": str(frame.get("k", ""))})

    def _named(self, frame: Row) -> list[Instrument]:
        """The contracts in `k`: `NSE|22#BSE|508123`."""
        found = []
        for name in str(frame.get("k", "")).split("#"):
            exch, _, token = name.partition("|")
            instrument = self._state.master.by_token(exch, token)
            if instrument is not None:
                found.append(instrument)
        return found

    # -- prices -------------------------------------------------------------------------------------------------

    @property
    def wants_prices(self) -> bool:
        """Whether any socket waits for the next price step."""
        return any(s.touchline or s.depth for up in self._up.values() for s in up)

    def price_step(self) -> None:
        """Push to every subscriber what has changed in the contracts it watches."""
        for socket in [socket for up in self._up.values() for socket in up]:
            if socket.state is SocketState.UP and self._is_alive(socket):
                self._push_changes(socket, "tf", socket.touchline)
                self._push_changes(socket, "df", socket.depth)

    def _push_changes(self, socket: Socket, kind: str, feeds: dict[tuple[str, str], Row]) -> None:
        faults = self._state.faults
        for key, before in feeds.items():
            instrument = self._state.master.by_token(*key)
            if instrument is None or (faults and self._is_mute(socket, instrument)):
                continue
            changed = changed_fields(self._state, instrument, before, deep=kind == "df")
            if changed and faults:
                self._wrong(socket, instrument, changed)
            if changed:
                feeds[key] = {**before, **changed}
                head = {"t": kind, "e": instrument.exch, "tk": instrument.token}
                self._say(socket, {**head, **changed, "ft": epoch(self._state.now)})

    def _is_mute(self, socket: Socket, instrument: Instrument) -> bool:
        return self._befalls(FaultKind.FEED_NO_TICKS, socket, instrument)

    def _wrong(self, socket: Socket, instrument: Instrument, fields: Row) -> Instrument | None:
        """By a fault, put the prices of the index into a contract's frame; the index, if so."""
        if not self._befalls(FaultKind.FEED_WRONG_INSTRUMENT, socket, instrument):
            return None
        level = index_level(self._state, instrument)
        fields.update(lp=money(level), bp1=money(level), sp1=money(level))
        return self._state.master.by_token("NSE", "26000")

    def _befalls(self, kind: FaultKind, socket: Socket, instrument: Instrument) -> bool:
        met = self._state.faults.hit(
            kind, lambda rule: rule.text("text", instrument.tsym) == instrument.tsym, account=socket.uid
        )
        return met is not None

    # -- order updates ------------------------------------------------------------------------------------------

    def order_event(self, order: Order, event: Event) -> None:
        """Push the `om` frame of one event, through the faults that befall frames."""
        for socket in tuple(self._up.get(order.account, ())):
            if socket.orders and socket.state is SocketState.UP and self._is_alive(socket):
                self._push(socket, order, event)

    def _push(self, socket: Socket, order: Order, event: Event) -> None:
        state = self._state
        frame = order_frame(order, event, state.faults, state.config.product_key)
        due = max(state.now, event.at) + timedelta(seconds=state.config.latency.push_s)
        if not state.faults:
            state.push(socket.connection, dump(frame), due)
            return
        self._push_through_faults(socket, order, event, frame, due)

    def _push_through_faults(self, socket: Socket, order: Order, event: Event, frame: Row, due: datetime) -> None:
        match = {"account": order.account, "remarks": order.remarks, "report": event.report.value}
        faults = self._state.faults
        if faults.hit(FaultKind.SOCKET_CLOSE, **match):
            self._close(socket, GOODBYE, "goodbye")
            return
        if faults.hit(FaultKind.SOCKET_SILENT, **match):
            self._silence(socket)
            return
        if faults.hit(FaultKind.PUSH_LOST, **match):
            return
        if faults.hit(FaultKind.PUSH_BARE, **match):
            frame = {name: value for name, value in frame.items() if name not in _BARE}
        if rule := faults.hit(FaultKind.PUSH_REORDERED, **match):
            due += timedelta(seconds=rule.number("seconds", 0.25))
        text = dump(frame)
        self._state.push(socket.connection, text, due)
        if faults.hit(FaultKind.PUSH_DOUBLED, **match):
            self._state.push(socket.connection, text, due)

    def _say(self, socket: Socket, frame: Row) -> None:
        self._state.push(socket.connection, dump(frame), self._state.now)


def _contract(instrument: Instrument) -> Row:
    return {"pp": str(instrument.precision), "ti": f"{instrument.tick:f}", "ls": str(instrument.lot)}
