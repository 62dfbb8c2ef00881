"""The last prices of instruments: from the push feed where it has them, else from the broker."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.responses import Response

from core.messages import GetQuote, QuoteRead, QuoteUnreadable
from core.model.broker import Quote
from core.web.gateway import Gateway, Unanswered
from core.web.instruments import Lookup
from core.web.plain import PlainResponse, plain
from core.web.reading import Reading

__all__ = ["add_quotes"]

_ANSWER_S = 8.0
_MOST = 50


def add_quotes(router: APIRouter, gateway: Gateway, reading: Reading) -> None:
    """GET /quotes."""
    lookup = Lookup(gateway, reading)

    @router.get("/quotes", tags=["instruments"])
    async def quotes(
        symbols: Annotated[str, Query(min_length=1, max_length=3000)],
        exchange: Annotated[str, Query(pattern=r"^[A-Za-z_]{0,10}$")] = "",
    ) -> Response:
        """The last prices of up to 50 instruments, named as for /instruments and parted by commas.

        `source` is `feed` for what a strategy follows, and `quote` for what was asked from the broker now, which counts
        in the call budget. `age_s` is how old the price is, `second` what else speaks for it: the other of feed and
        quote, the `last` price, the day's `band`, or `none`. A price that is not believed is no price: `error` says
        why.
        """
        names = list(dict.fromkeys(name.strip() for name in symbols.split(",") if name.strip()))
        found = await asyncio.gather(*(_quote(gateway, lookup, name, exchange) for name in names[:_MOST]))
        refused = [{"asked": name, "error": f"at most {_MOST} are told at a time"} for name in names[_MOST:]]
        return PlainResponse({"quotes": [*found, *refused]})


async def _quote(gateway: Gateway, lookup: Lookup, name: str, exchange: str) -> dict[str, Any]:
    one = await lookup.one(name, exchange)
    if one is None:
        near = await lookup.near(name, exchange)
        hint = f"; near it: {', '.join(other.place for other in near)}" if near else ""
        return {"asked": name, "error": f"there is no instrument {name}{hint}"}
    try:
        told = await gateway.ask(gateway.prices, lambda box: GetQuote(one.exchange, one.symbol, box), _ANSWER_S)
    except Unanswered as error:
        return {"asked": name, "exchange": one.exchange, "symbol": one.symbol, "error": str(error)}
    if isinstance(told, QuoteRead):
        return {"asked": name, **_told(told.quote), "error": None}
    reason = told.reason if isinstance(told, QuoteUnreadable) else "nobody gave an answer"
    return {"asked": name, "exchange": one.exchange, "symbol": one.symbol, "error": reason}


def _told(quote: Quote) -> dict[str, Any]:
    return {**plain(quote), "age_s": round(quote.age_s, 3)}
