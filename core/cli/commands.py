"""The commands that talk to a running service. Each returns what is to be printed."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from core.cli import render
from core.cli.client import CliError, ServiceClient, problems_line
from core.model.order import TAGS, Status
from core.process.account import owner_of
from core.rules.submission import MAX_BODY
from core.settings import Settings, exchange_config
from core.store import Store, StoreError
from core.store.check import check

__all__ = [
    "adopt",
    "cancel",
    "check_settings",
    "db_check",
    "flatten",
    "guard",
    "halt",
    "modify",
    "orders",
    "positions",
    "protect",
    "resume",
    "risk",
    "show",
    "squareoff",
    "submit",
    "tags",
    "trace",
]


_ORDER_FAILED = 3


def submit(settings: Settings, file: Path, *, as_json: bool) -> str:
    """Post the order or basket in `file` (`-` is standard input) and tell what became of it.

    Raises:
        CliError: It was not taken, and every mistake is named; or an order of it FAILED, with an exit code of its own.
    """
    answer = ServiceClient(settings).submit(_read(file))
    text = render.as_json(answer.body) if as_json else ""
    if answer.status == 422:
        raise CliError(f"refused: {problems_line(answer.body)}", text or None)
    text = text or render.answer_text(answer.body)
    legs = answer.body if isinstance(answer.body, list) else [answer.body]
    failed = [leg for leg in legs if leg.get("status") == Status.FAILED]
    if failed:
        told = "; ".join(f"{leg.get('command_id')} FAILED {leg.get('tag')}: {leg.get('reason')}" for leg in failed)
        raise CliError(render.on_one_line(told), text, _ORDER_FAILED)
    return text


def orders(settings: Settings, filters: Mapping[str, str | None], *, as_json: bool) -> str:
    """The rows that pass the filters."""
    query = {name: value for name, value in filters.items() if value is not None}
    rows = ServiceClient(settings).get("/api/orders", query)
    return render.as_json(rows) if as_json else render.orders_text(rows, settings.zone)


def show(settings: Settings, command_id: str, *, as_json: bool) -> str:
    """One order with its events and fills."""
    row = ServiceClient(settings).get(f"/api/orders/{quote(command_id, safe='')}")
    return render.as_json(row) if as_json else render.order_text(row, settings.zone)


def trace(settings: Settings, command_id: str, *, as_mermaid: bool, as_json: bool) -> str:
    """The messages of one order."""
    envelopes = ServiceClient(settings).get(f"/api/trace/{quote(command_id, safe='')}")
    return render.as_json(envelopes) if as_json else render.trace_text(envelopes, settings.zone, as_mermaid=as_mermaid)


def positions(settings: Settings, *, as_json: bool) -> str:
    """The account's positions and whose they are."""
    found = ServiceClient(settings).get("/api/positions")
    return render.as_json(found) if as_json else render.positions_text(found, settings.zone)


def adopt(settings: Settings, wanted: dict[str, object], *, as_json: bool) -> str:
    """Give a position to a strategy, or write it off."""
    found = ServiceClient(settings).post("/api/positions/adopt", {**wanted, "by": "cli"})["recorded"]
    if as_json:
        return render.as_json(found)
    return f"{found['kind']}: {found['quantity']:+d} {found['symbol']} {found['product']}, strategy {found['strategy']}"


def flatten(settings: Settings, wanted: dict[str, object], *, as_json: bool) -> str:
    """Close what EXITs opened in a position."""
    found = ServiceClient(settings).post("/api/positions/flatten", wanted)
    if as_json:
        return render.as_json(found)
    if found["under_way"]:
        return f"it is being closed already: {', '.join(found['under_way'])}"
    sent = [
        f"exit sent: {one['strategy']} {one['side']} {one['quantity']} {one['symbol']} {one['product']}"
        for one in found["exits"]
    ]
    return "\n".join(
        [*sent, "it is sent again while it fails or rests; an alert (square_off_failed) tells if it is given up"]
    )


def protect(
    settings: Settings,
    wanted: Mapping[str, str | None],
    levels: Mapping[str, str],
    cancelled: str | None,
    *,
    as_json: bool,
) -> str:
    """Protect what a strategy holds of a symbol; without one, list what is protected; or end the one `cancelled`.

    Args:
        settings: Where the service is.
        wanted: strategy, exchange, symbol and product; symbol None to list.
        levels: stop, target and trail as typed: `5` points, `2%`, `@95` for a price.
        cancelled: A protection's id.
        as_json: For programs.

    Raises:
        CliError: It is not said what is to be protected, or whose it is.
    """
    client = ServiceClient(settings)
    if cancelled is not None:
        told = client.post(f"/api/protections/{quote(cancelled, safe='')}/cancel", {"by": "cli"})
        return render.as_json(told) if as_json else f"{told['state']}: {told['reason']}"
    if wanted["symbol"] is None:
        if levels or wanted["strategy"]:
            raise CliError("name the SYMBOL that is to be protected", code=2)
        found = client.get("/api/protections")
        return render.as_json(found) if as_json else render.protections_text(found, settings.zone)
    if wanted["strategy"] is None:
        raise CliError("name who holds it: --strategy NAME", code=2)
    body = {name: value for name, value in wanted.items() if value is not None}
    told = client.post("/api/protections", {**body, **{name: _distance(text) for name, text in levels.items()}})
    return render.as_json(told) if as_json else f"protection {told['id']}: {render.levels_line(told)}"


def _distance(text: str) -> dict[str, str]:
    if text.endswith("%"):
        return {"percent": text[:-1]}
    return {"price": text[1:]} if text.startswith("@") else {"points": text}


def guard(settings: Settings, *, as_json: bool) -> str:
    """What strategies hold."""
    found = ServiceClient(settings).get("/api/guard")
    return render.as_json(found) if as_json else render.guard_text(found, settings.zone)


def risk(settings: Settings, *, as_json: bool) -> str:
    """Limits and their use."""
    found = ServiceClient(settings).get("/api/risk")
    return render.as_json(found) if as_json else render.risk_text(found, settings.zone)


def halt(settings: Settings, reason: str, *, as_json: bool) -> str:
    """Halt trading."""
    found = ServiceClient(settings).post("/api/halt", {"reason": reason or "halted at the command line", "by": "cli"})
    return render.as_json(found) if as_json else render.halt_text(found, settings.zone)


def resume(settings: Settings, *, as_json: bool) -> str:
    """Let trading go on."""
    found = ServiceClient(settings).post("/api/resume", {"by": "cli"})
    return render.as_json(found) if as_json else render.halt_text(found, settings.zone)


def cancel(settings: Settings, command_id: str, *, as_json: bool) -> str:
    """Cancel an order."""
    found = ServiceClient(settings).post(f"/api/orders/{quote(command_id, safe='')}/cancel", {"by": "cli"})
    return render.as_json(found) if as_json else f"{found['standing']}: {found['reason']}"


def modify(settings: Settings, command_id: str, wanted: Mapping[str, object], *, as_json: bool) -> str:
    """Have an order at the broker changed."""
    path = f"/api/orders/{quote(command_id, safe='')}/modify"
    found = ServiceClient(settings).post(path, {**wanted, "by": "cli"})
    return render.as_json(found) if as_json else f"{found['standing']}: {found['reason']}"


def squareoff(settings: Settings, strategy: str | None, symbol: str | None, *, as_json: bool) -> str:
    """Exit what strategies hold."""
    wanted = {"reason": "asked for on the command line", "strategy": strategy, "symbol": symbol}
    found = ServiceClient(settings).post("/api/squareoff", wanted)
    return render.as_json(found) if as_json else render.square_off_text(found)


def check_settings(settings: Settings, *, as_json: bool) -> str:
    """The settings in force; secrets are shown as stars.

    Raises:
        SettingsError: A file that [paper] names cannot be used.
    """
    exchange_config(settings.paper)
    found: dict[str, Any] = settings.model_dump(mode="json")
    strategies = found.pop("strategies")
    # A strategy's own parameters may hold a secret nobody here knows of.
    found["strategies"] = [{"class": one["class_path"], "name": one["name"]} for one in strategies]
    warnings = [str(warning) for warning in settings.warnings]
    if as_json:
        return render.as_json(found | {"warnings": warnings})
    named = {f"strategies.{one['name']}": one["class"] for one in found.pop("strategies")}
    flat = {f"{section}.{key}": value for section, keys in found.items() for key, value in keys.items()}
    doubtful = "".join(f"warning: {warning}\n" for warning in warnings)
    return f"{render.pairs_text(flat | named)}\n\n{doubtful}the settings are valid"


def db_check(settings: Settings, *, as_json: bool) -> str:
    """What is wrong with the database of the settings, one line each; it may be in use meanwhile.

    Raises:
        CliError: It cannot be read, or something is wrong with it.
    """
    try:
        store = Store.open(settings.database_url, read_only=True)
    except StoreError as error:
        raise CliError(str(error)) from error
    try:
        wrong = check(store)
    except StoreError as error:
        raise CliError(f"the database cannot be read: {error}") from error
    finally:
        store.close()
    text = render.as_json({"wrong": wrong}) if as_json else "\n".join(wrong)
    if wrong:
        raise CliError(f"{len(wrong)} contradiction(s) in the database", text)
    return text or "the database is sound"


def db_move(settings: Settings, *, as_json: bool) -> str:
    """The broker of this account listens elsewhere now; its database stays its own.

    Raises:
        CliError: It cannot be written, or belongs to another broker or account.
    """
    owner = owner_of(settings)
    try:
        store = Store.open(settings.database_url)
        try:
            with store.transaction():
                before = store.move(owner)
        finally:
            store.close()
    except StoreError as error:
        raise CliError(str(error)) from error
    if as_json:
        return render.as_json({"before": None if before is None else str(before), "owner": str(owner)})
    if before is None:
        return "the database has no owner yet; start the service"
    return f"the database belongs to {owner} {'already' if before == owner else 'from now on'}"


def tags(*, as_json: bool, as_markdown: bool) -> str:
    """Every tag with its meaning and the operator's next step."""
    if as_json:
        return render.as_json([{"tag": tag, **note._asdict()} for tag, note in TAGS.items()])
    return render.tags_markdown() if as_markdown else render.tags_text()


def _read(file: Path) -> bytes:
    try:
        if str(file) == "-":
            body = sys.stdin.buffer.read(MAX_BODY + 1)
        else:
            with file.open("rb") as stream:
                body = stream.read(MAX_BODY + 1)
    except OSError as error:
        raise CliError(f"{file} cannot be read: {error.strerror}") from error
    if len(body) > MAX_BODY:
        raise CliError(f"{file} is over {MAX_BODY} bytes")
    return body
