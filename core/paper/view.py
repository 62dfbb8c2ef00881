"""What the live page shows of the exchange."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from itertools import islice

from core.paper.commands import SWITCHES
from core.paper.instruments import Instrument
from core.paper.orders import Order, average
from core.paper.prices import Level
from core.paper.rows import money
from core.paper.sockets import Sockets
from core.paper.state import ExchangeState

__all__ = ["view"]

_FEATURED = 14
_MAX_ORDERS = 200
_DEPTH = 5


def view(state: ExchangeState, sockets: Sockets, now: datetime) -> dict[str, object]:
    """The snapshot that `core.paper.exchange` describes."""
    used = _in_use(state, sockets)
    return {
        "now": now.isoformat(),
        "day": f"{state.day:%d-%m-%Y}",
        "source": state.config.price_source.value,
        "switches": {name: getattr(state.config, name) for name in SWITCHES},
        "prices": [_price(state, i) for i in _featured(state, used)],
        "books": [_book(state, i) for i in used if i.is_tradable],
        "orders": [_order(o) for o in list(reversed(state.orders.values()))[:_MAX_ORDERS]],
        "positions": _positions(state),
        "accounts": [_account(state, uid) for uid in state.accounts],
        "sockets": _sockets(sockets),
        "faults": _faults(state),
        "counters": {name: state.counters[name] for name in ("requests", "orders", "trades", "frames")},
    }


def _in_use(state: ExchangeState, sockets: Sockets) -> list[Instrument]:
    keys = [order.instrument.key for order in state.orders.values()]
    keys += [p.instrument.key for a in state.accounts.values() for p in a.positions.values()]
    keys += [key for socket in sockets for key in (*socket.touchline, *socket.depth)]
    return [i for key in dict.fromkeys(keys) if (i := state.master.by_token(*key)) is not None]


def _featured(state: ExchangeState, used: Iterable[Instrument]) -> list[Instrument]:
    # A broker's whole symbol files hold a hundred thousand: no further than needed.
    indices = list(islice((i for i in state.master if not i.is_tradable), 4))
    shares = islice((i for i in state.master if i.is_cash and i.is_tradable), _FEATURED - len(indices))
    return list(dict.fromkeys([*indices, *shares, *used]))


def _price(state: ExchangeState, instrument: Instrument) -> dict[str, object]:
    last, close = state.last(instrument), state.prices.close(instrument)
    bids, asks = state.depth(instrument) if instrument.is_tradable else ([], [])
    return {
        "exch": instrument.exch,
        "token": instrument.token,
        "tsym": instrument.tsym,
        "lp": money(last),
        "c": money(close),
        "change_pct": f"{(last - close) * 100 / close:.2f}" if close else "0.00",
        "bid": money(bids[0][0]) if bids else "",
        "bq": bids[0][1] if bids else 0,
        "ask": money(asks[0][0]) if asks else "",
        "sq": asks[0][1] if asks else 0,
        "held": state.prices.is_held(instrument),
    }


def _book(state: ExchangeState, instrument: Instrument) -> dict[str, object]:
    bids, asks = state.depth(instrument)
    return {
        "exch": instrument.exch,
        "token": instrument.token,
        "tsym": instrument.tsym,
        "bids": _levels(bids),
        "asks": _levels(asks),
    }


def _levels(levels: list[Level]) -> list[list[object]]:
    return [[money(price), quantity] for price, quantity in levels[:_DEPTH]]


def _order(order: Order) -> dict[str, object]:
    entry = order.entry
    return {
        "norenordno": order.number,
        "account": order.account,
        "exch": order.instrument.exch,
        "tsym": order.instrument.tsym,
        "side": entry.side,
        "qty": entry.qty,
        "prc": money(entry.prc),
        "trgprc": money(entry.trgprc),
        "prctyp": entry.prctyp,
        "prd": entry.prd,
        "ret": entry.ret,
        "status": order.status.value,
        "filled": order.filled,
        "avg": money(average(order.value, order.filled)),
        "remarks": order.remarks,
        "reason": order.history[-1].rejreason,
        "source": order.source,
        "at": order.history[-1].at.isoformat(),
    }


def _positions(state: ExchangeState) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for account in state.accounts.values():
        for position in account.positions.values():
            if not position.traded:
                continue
            last = state.last(position.instrument)
            rows.append(
                {
                    "account": account.uid,
                    "exch": position.instrument.exch,
                    "tsym": position.instrument.tsym,
                    "prd": position.prd,
                    "netqty": position.net_qty,
                    "netavg": money(position.net_average),
                    "lp": money(last),
                    "rpnl": money(position.realised),
                    "urmtom": money(position.unrealised(last)),
                }
            )
    return rows


def _account(state: ExchangeState, uid: str) -> dict[str, object]:
    account = state.accounts[uid]
    return {
        "uid": uid,
        "cash": money(account.cash),
        "marginused": money(account.margin_used),
        "available": money(account.available),
        "sessions": state.sessions.count(uid, state.now),
    }


def _sockets(sockets: Sockets) -> list[dict[str, object]]:
    return [
        {
            "connection": socket.connection,
            "uid": socket.uid,
            "state": socket.state.value,
            "orders": socket.orders,
            "touchline": len(socket.touchline),
            "depth": len(socket.depth),
        }
        for socket in sockets
    ]


def _faults(state: ExchangeState) -> list[dict[str, object]]:
    return [
        {
            "id": rule.id,
            "kind": rule.kind.value,
            "path": rule.path,
            "account": rule.account,
            "remarks": rule.remarks,
            "report": rule.report,
            "count": rule.count,
            "probability": rule.probability,
            "fired": rule.fired,
            "parameters": dict(rule.parameters),
        }
        for rule in state.faults
    ]
