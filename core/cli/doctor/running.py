"""What the doctor asks a service that runs, instead of touching what it holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from core.cli.client import CliError, ServiceClient
from core.cli.doctor.check import Check, fail, ok, skip, warn
from core.settings import Settings

__all__ = ["of_service"]


def of_service(settings: Settings, holder: str) -> Iterator[Check]:
    """Readiness, database, trading and push feed, as the service that `holder` names tells them."""
    client = ServiceClient(settings)
    try:
        ready = client.answer("/readyz").body
        reasons, notes = ready["reasons"], ready.get("notes") or ()
    except (CliError, KeyError, TypeError) as error:
        told = error if isinstance(error, CliError) else f"what answers at {client.url} is not Sixstep"
        found = f"{holder} works on this record, but: {told}"
        yield fail("service", found, "look into its log, and whether [web] port is the one it was started with")
        return
    where = f"{holder} answers at {client.url}"
    if not ready["ready"]:
        yield fail("service", f"{where}: no orders are taken: {'; '.join(reasons)}", "look at its log and at *System*")
    elif notes:
        yield warn("service", f"{where}, ready; {'; '.join(notes)}", "see docs/operating.md, Watching it")
    else:
        yield ok("service", f"{where}, ready")
    for name, path, judge in _QUESTIONS:
        try:
            yield judge(client.get(path))
        except CliError as error:
            yield warn(name, str(error), "run doctor as the service's own user, with its settings")


def _database(_: Any) -> Check:
    return ok("database", "in use by the service, which reads it", "python run.py db check")


def _trading(found: Any) -> Check:
    if found["halt"]:
        return warn("trading", f"halted: {found['halt']['reason']}", "python run.py resume, when it may go on")
    if found["entry_blocked"]:
        return warn("trading", f"an ENTRY would be refused: {found['entry_blocked']}", "python run.py risk")
    return ok("trading", "on")


def _feed(found: Any) -> Check:
    standing = str(found["standing"])
    if standing == "CONNECTED":
        return ok("push feed", "connected")
    if standing == "OFF":
        return skip("push feed", "off by [broker] push_feed")
    return warn("push feed", standing.lower(), "fills are known a second later meanwhile; look into the log")


_QUESTIONS: tuple[tuple[str, str, Callable[[Any], Check]], ...] = (
    ("database", "/api/orders?limit=1", _database),
    ("trading", "/api/risk", _trading),
    ("push feed", "/api/feed", _feed),
)
