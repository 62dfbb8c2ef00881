"""`run.py watch`: state, open orders, positions and the last alerts of the running service, once a second."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Mapping
from datetime import tzinfo
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from core.cli import render
from core.cli.client import CliError, ServiceClient
from core.settings import Settings

__all__ = ["read", "screen", "watch"]

_INTERVAL_S = 1.0
_ALERTS = 5
_SENT, _WAITING = "SENT_TO_BROKER", "CREATED"


def watch(settings: Settings, *, once: bool, as_json: bool) -> str:
    """Show it until Ctrl-C, or once: as JSON, when asked to, and where standard output is no terminal.

    Returns:
        What is left to print.

    Raises:
        CliError: The service is not there at the first look; later it is waited for.
    """
    client = ServiceClient(settings)
    found = read(client)
    if as_json:
        return render.as_json(found)
    if once or not sys.stdout.isatty():
        return render.text_of(screen(found, settings.zone))
    with (
        contextlib.suppress(KeyboardInterrupt),
        Live(screen(found, settings.zone), console=Console(highlight=False), screen=True, auto_refresh=False) as live,
    ):
        pause = threading.Event()
        while not pause.wait(_INTERVAL_S):
            live.update(_look(client, settings.zone), refresh=True)
    return ""


def read(client: ServiceClient) -> dict[str, Any]:
    """What is shown; a part that the service cannot tell is the reason why, as text.

    Raises:
        CliError: The service is not there, or lets nobody in.
    """
    ready = client.answer("/readyz").body
    return {
        "ready": ready["ready"],
        "reasons": ready["reasons"],
        "notes": ready.get("notes", []),
        "risk": client.get("/api/risk"),
        "orders": [row for status in (_WAITING, _SENT) for row in client.get("/api/orders", {"status": status})],
        "positions": _part(client, "/api/positions"),
        "alerts": client.get("/api/alerts")["alerts"][:_ALERTS],
    }


def screen(found: Mapping[str, Any], zone: tzinfo) -> RenderableType:
    """As tables, what needs a person first."""
    positions = found["positions"]
    told = Text(render.on_one_line(positions)) if isinstance(positions, str) else render.positions_grid(positions)
    return Group(
        _state(found, zone),
        *_section("open orders", render.orders_grid(found["orders"], zone), bool(found["orders"])),
        *_section("positions", told, isinstance(positions, str) or bool(positions["positions"])),
        *_section("last alerts", render.alerts_grid(found["alerts"], zone), bool(found["alerts"])),
    )


def _look(client: ServiceClient, zone: tzinfo) -> RenderableType:
    try:
        return screen(read(client), zone)
    except CliError as error:
        return Text(f"{error}; still looking", "bold red")


def _part(client: ServiceClient, path: str) -> Any:
    answer = client.answer(path)
    return answer.body if answer.status == 200 else str(answer.body.get("error") or f"HTTP {answer.status}")


def _section(title: str, drawn: RenderableType, there: bool) -> tuple[RenderableType, ...]:
    return Text(""), Text(title, "bold"), drawn if there else Text("none")


def _state(found: Mapping[str, Any], zone: tzinfo) -> Text:
    risk, reasons = found["risk"], "; ".join(found["reasons"])
    state = ("ready", "green") if found["ready"] else (f"not ready: {render.on_one_line(reasons)}", "bold red")
    halt = (render.halt_text(risk, zone), "bold red" if risk["halt"] else "green")
    blocked = f"an ENTRY would be refused: {risk['entry_blocked']}" if risk["entry_blocked"] else "an ENTRY would pass"
    pnl = "not known" if risk["pnl"] is None else risk["pnl"]
    notes = f"\n{render.on_one_line('; '.join(found['notes']))}" if found["notes"] else ""
    return Text.assemble(
        state,
        "\n",
        halt,
        f"\nday P&L {pnl} · orders today {risk['orders_today']} · ",
        render.on_one_line(blocked),
        notes,
    )
