"""The commands about instruments, answered by the running service. Each returns what is to be printed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from core.cli import render
from core.cli.client import CliError, ServiceClient
from core.settings import Settings

__all__ = ["chain", "quotes", "refresh", "search", "show"]

_HEAD = ("exchange", "symbol", "kind", "underlying", "expiry", "strike", "option", "lot", "tick")


def refresh(settings: Settings, *, as_json: bool) -> str:
    """Which symbol files are in use after they were read anew.

    Raises:
        CliError: One of them cannot be used; the last good one stays.
    """
    found = ServiceClient(settings).post("/api/instruments/refresh", {})
    names = ("exchange", "rows", "read_at", "source")
    files = render.table(names, [[file[name] for name in names] for file in found["files"]])
    text = render.as_json(found) if as_json else files
    if found["problems"]:
        raise CliError(render.on_one_line("; ".join(found["problems"])), text)
    return text if as_json or found["done"] else f"{text}\n\nthe files are still being read; ask again in a while"


def search(settings: Settings, text: str, exchange: str, limit: int, *, as_json: bool) -> str:
    """The instruments that hold every word.

    Raises:
        CliError: There are none.
    """
    query = {"q": text, "exchange": exchange, "limit": str(limit)}
    found = ServiceClient(settings).get("/api/instruments", query)
    if as_json:
        return render.as_json(found)
    if not found["instruments"]:
        names = ", ".join(one["symbol"] for one in found["near"])
        why = f"; near it: {names}" if names else f" ({found['problem']})" if found["problem"] else ""
        raise CliError(f"nothing is named {text}{why}")
    return _lines(found["instruments"])


def show(settings: Settings, symbol: str, exchange: str, *, as_json: bool) -> str:
    """One instrument."""
    if not symbol.strip():
        raise CliError("name a trading symbol; `run.py instruments search TEXT` looks for one")
    found = ServiceClient(settings).get(f"/api/instruments/{quote(symbol, safe='')}", {"exchange": exchange})
    if as_json:
        return render.as_json(found)
    market = found.pop("market")
    facts = {name: "not known" if value in (None, "") else value for name, value in found.items()}
    return render.pairs_text({**facts, "market today": _hours(market)})


def chain(settings: Settings, underlying: str, wanted: Mapping[str, object], *, as_json: bool) -> str:
    """The options of one expiry."""
    query = {name: str(value) for name, value in wanted.items() if value is not None}
    found = ServiceClient(settings).get(f"/api/instruments/{quote(underlying, safe='')}/chain", query)
    if as_json:
        return render.as_json(found)
    head = f"{found['underlying']}, expiry {found['expiry']}"
    if found["price"] is not None:
        head += f", at {found['price']}, strike at the money {found['at_the_money']}"
    parts = [head, _lines(found["options"])]
    if found["nearest"] is not None:
        parts.append(f"nearest to the premium: {found['nearest']['symbol']} at {found['nearest']['price']}")
    return "\n\n".join(parts)


def quotes(settings: Settings, symbols: Sequence[str], exchange: str, *, as_json: bool) -> str:
    """The last prices.

    Raises:
        CliError: One of them is not known, or its price is not believed.
    """
    found = ServiceClient(settings).get("/api/quotes", {"symbols": ",".join(symbols), "exchange": exchange})["quotes"]
    names = ("exchange", "symbol", "last_price", "bid", "ask", "age_s", "source", "second")
    lines = [[render.on_one_line(one[name]) for name in names] for one in found if not one["error"]]
    text = render.as_json(found) if as_json else render.table(names, lines)
    if problems := [one["error"] for one in found if one["error"]]:
        raise CliError(render.on_one_line("; ".join(problems)), text if as_json or lines else "")
    return text


def _lines(found: Sequence[Mapping[str, Any]]) -> str:
    names = ("exchange", "symbol", "kind", "underlying", "expiry", "strike", "option", "lot_size", "tick_size")
    lines = [["" if one[name] is None else one[name] for name in names] for one in found]
    return render.table(_HEAD, lines)


def _hours(market: Mapping[str, Any] | None) -> str:
    if market is None:
        return "not known"
    doubt = "" if market["certain"] else " (not certain)"
    reason = f": {market['reason']}" if market["reason"] else ""
    if market["opens"] is None:
        return f"closed{reason}{doubt}"
    return f"{market['opens'][:5]} to {market['closes'][:5]}{reason}{doubt}"
