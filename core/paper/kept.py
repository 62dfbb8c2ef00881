"""The values of an exchange as JSON and back: orders, events, positions, contracts, sessions."""

from __future__ import annotations

import json
from dataclasses import fields
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from core.paper.instruments import Instrument
from core.paper.orders import Entry, Event, Order, Report, Stage, Status, Trade
from core.paper.positions import Position
from core.paper.sessions import LoginCode, Session, Sessions

__all__ = [
    "dump",
    "event_from",
    "event_text",
    "instrument_from",
    "instrument_text",
    "order_from",
    "order_text",
    "position_from",
    "position_text",
    "sessions_from",
    "sessions_text",
]

_AMOUNTS = tuple(
    name
    for name in (field.name for field in fields(Position))
    if name.endswith(("_qty", "_amt")) or name in {"cost", "original_cost"}
)


# Made once: json.dumps makes an encoder for each call, and an order is written several times.
dump = json.JSONEncoder(separators=(",", ":")).encode


def _time(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()


def _time_from(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _entry(entry: Entry) -> list[object]:
    prices = (str(entry.prc), str(entry.trgprc))
    return [entry.side, entry.qty, entry.prctyp, *prices, entry.ret, entry.prd, entry.dscqty]


def _entry_from(values: list[Any]) -> Entry:
    side, qty, prctyp, prc, trgprc, ret, prd, dscqty = values
    return Entry(side, qty, prctyp, Decimal(prc), Decimal(trgprc), ret, prd, dscqty)


def _stage(stage: Stage) -> list[object]:
    due, number, what, _, arguments = stage
    return [due.isoformat(), number, what, [_entry(a) if isinstance(a, Entry) else a for a in arguments]]


def _stage_from(values: list[Any], order: str) -> Stage:
    due, number, what, arguments = values
    taken = tuple(_entry_from(a) if isinstance(a, list) else a for a in arguments)
    return datetime.fromisoformat(due), number, what, order, taken


def order_text(order: Order) -> str:
    """An order without its events and trades."""
    return dump(
        {
            "account": order.account,
            "instrument": order.instrument.key,
            "entry": _entry(order.entry),
            "original": _entry(order.original),
            "remarks": order.remarks,
            "source": order.source,
            "amo": order.amo,
            "entered_at": order.entered_at.isoformat(),
            "priority": order.priority,
            "status": order.status,
            "filled": order.filled,
            "value": str(order.value),
            "cancelqty": order.cancelqty,
            "exchordid": order.exchordid,
            "exch_at": _time(order.exch_at),
            "triggered": order.triggered,
            "unit_margin": str(order.unit_margin),
            "margin_units": order.margin_units,
            "reserved": order.reserved,
            "reserved_price": str(order.reserved_price),
            "next_stage_at": _time(order.next_stage_at),
            "parked": order.parked,
            "fill_before_cancel": order.fill_before_cancel,
            "stages": [_stage(stage) for stage in order.stages],
        }
    )


def order_from(number: str, row: dict[str, Any], instrument: Instrument) -> Order:
    """An order without its events and trades."""
    return Order(
        number,
        row["account"],
        instrument,
        _entry_from(row["entry"]),
        _entry_from(row["original"]),
        row["remarks"],
        row["source"],
        row["amo"],
        datetime.fromisoformat(row["entered_at"]),
        priority=row["priority"],
        status=Status(row["status"]),
        filled=row["filled"],
        value=Decimal(row["value"]),
        cancelqty=row["cancelqty"],
        exchordid=row["exchordid"],
        exch_at=_time_from(row["exch_at"]),
        triggered=row["triggered"],
        unit_margin=Decimal(row["unit_margin"]),
        margin_units=row["margin_units"],
        reserved=row["reserved"],
        reserved_price=Decimal(row["reserved_price"]),
        next_stage_at=_time_from(row["next_stage_at"]),
        parked=row["parked"],
        fill_before_cancel=row["fill_before_cancel"],
        stages=[_stage_from(stage, number) for stage in row["stages"]],
    )


def event_text(event: Event) -> str:
    """An event with its trade."""
    trade = event.trade
    return dump(
        [
            event.at.isoformat(),
            event.report,
            event.status,
            _entry(event.entry),
            event.filled,
            str(event.value),
            event.cancelqty,
            event.rejreason,
            event.rejby,
            event.exchordid,
            _time(event.exch_at),
            trade and [trade.flid, trade.at.isoformat(), trade.qty, str(trade.prc), trade.filled, str(trade.value)],
        ]
    )


def event_from(values: list[Any]) -> Event:
    """An event with its trade."""
    at, report, status, entry, filled, value, cancelqty, rejreason, rejby, exchordid, exch_at, trade = values
    return Event(
        datetime.fromisoformat(at),
        Report(report),
        Status(status),
        _entry_from(entry),
        filled,
        Decimal(value),
        cancelqty,
        rejreason,
        rejby,
        exchordid,
        _time_from(exch_at),
        _trade_from(trade) if trade else None,
    )


def _trade_from(values: list[Any]) -> Trade:
    flid, at, qty, prc, filled, value = values
    return Trade(flid, datetime.fromisoformat(at), qty, Decimal(prc), filled, Decimal(value))


def position_text(position: Position) -> str:
    """A position; contract and product are in its row's name."""
    amounts = {name: getattr(position, name) for name in _AMOUNTS}
    told = {name: str(value) if isinstance(value, Decimal) else value for name, value in amounts.items()}
    return dump({**told, "traded": position.traded})


def position_from(row: dict[str, Any], instrument: Instrument, prd: str) -> Position:
    """A position."""
    position = Position(instrument, prd, traded=row["traded"])
    for name in _AMOUNTS:
        value = row[name]
        setattr(position, name, Decimal(value) if isinstance(value, str) else value)
    return position


def instrument_text(i: Instrument) -> str:
    """A contract."""
    row = {field.name: getattr(i, field.name) for field in fields(i)}
    return dump({**row, "tick": str(i.tick), "strike": str(i.strike), "expiry": i.expiry and i.expiry.isoformat()})


def instrument_from(row: dict[str, Any]) -> Instrument:
    """A contract."""
    expiry = date.fromisoformat(row["expiry"]) if row["expiry"] else None
    return Instrument(**{**row, "tick": Decimal(row["tick"]), "strike": Decimal(row["strike"]), "expiry": expiry})


def sessions_text(sessions: Sessions) -> str:
    """All tokens and one-time codes."""
    return dump(
        {
            "tokens": {
                token: [s.uid, s.source, s.issued_at.isoformat(), _time(s.expires_at)]
                for token, s in sessions.tokens.items()
            },
            "codes": {code: [c.uid, c.client_id, c.expires_at.isoformat()] for code, c in sessions.codes.items()},
        }
    )


def sessions_from(row: dict[str, Any]) -> tuple[dict[str, Session], dict[str, LoginCode]]:
    """All tokens and one-time codes."""
    tokens = {
        token: Session(uid, source, datetime.fromisoformat(issued), _time_from(expires))
        for token, (uid, source, issued, expires) in row["tokens"].items()
    }
    codes = {
        code: LoginCode(uid, client_id, datetime.fromisoformat(expires))
        for code, (uid, client_id, expires) in row["codes"].items()
    }
    return tokens, codes
