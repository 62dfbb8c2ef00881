"""`python run.py candles`, answered by the running service."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.cli import render
from core.cli.client import CliError, ServiceClient
from core.settings import Settings

__all__ = ["candles"]

_FIGURES = ("open", "high", "low", "close", "volume")


def candles(settings: Settings, wanted: Mapping[str, str], *, as_json: bool) -> str:
    """The candles of one instrument, oldest first.

    Raises:
        CliError: There are none.
    """
    found = ServiceClient(settings).get("/api/candles", {name: said for name, said in wanted.items() if said})
    if as_json:
        return render.as_json(found)
    if not found["candles"]:
        begin, end = (found[name][:16].replace("T", " ") for name in ("from", "to"))
        raise CliError(f"{found['symbol']} has no candles from {begin} to {end}; name a day with trading: --from DAY")
    return render.table(("begin", *_FIGURES, "note"), [_line(one) for one in found["candles"]])


def _line(candle: Mapping[str, Any]) -> list[object]:
    gap = candle["gap_before"]
    notes = (f"{gap} missing before" if gap else "", "" if candle["over"] else "not over")
    figures = ["" if candle[name] is None else candle[name] for name in _FIGURES]
    return [candle["begin"][:16].replace("T", " "), *figures, ", ".join(filter(None, notes))]
