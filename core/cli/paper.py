"""`run.py paper --reset`: clears the paper exchange, and puts the service's record of it aside.

A broker that has forgotten an account contradicts each row about it: what was bought is not there, and books that had
rows today are empty, which the service takes for a bad answer. Nothing of that may be corrected by invented trades. So
the record of before is kept as it is, under another name, and the next start begins with an empty one.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from core.cli.client import CliError
from core.files.instance import AlreadyRunning, InstanceLock
from core.paper.state_file import Cleared, StateFile, clear_state
from core.settings import Settings

__all__ = ["reset"]

_SQLITE = "sqlite:///"


def reset(settings: Settings, directory: Path | None, now: datetime, *, as_json: bool) -> str:
    """Clear the state of the paper exchange, put the database of its account aside, and say what was done.

    Args:
        settings: Whose exchange it is.
        directory: Where the exchange keeps its state; None for that of the settings.
        now: What the database that is put aside is named by.
        as_json: Whether to say it as JSON.

    Raises:
        CliError: An exchange or a service runs on it, or a file cannot be used. Asked again, it goes on.
    """
    where = directory or settings.service.data_dir
    own = settings.runs_paper_exchange and where == settings.service.data_dir
    file = Path(settings.database_url.removeprefix(_SQLITE))
    has_file = settings.database_url.startswith(_SQLITE) and file.exists()
    try:
        with _held(file) if own and has_file else contextlib.nullcontext():
            # Before anything is touched: with an exchange on it, both are left as they are.
            StateFile(where).check_free()
            aside = _put_aside(file, now) if own and has_file else None
            cleared = clear_state(where)
    except (AlreadyRunning, OSError, sqlite3.Error) as error:
        raise CliError(str(error)) from error
    if as_json:
        return json.dumps(_as_json(cleared, aside))
    return "\n".join([_told(cleared), *_told_of_database(settings, own=own, aside=aside)])


@contextlib.contextmanager
def _held(database: Path) -> Iterator[None]:
    """With the lock of the service that works on this database."""
    lock = InstanceLock(Path(f"{database}.lock"))
    lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _put_aside(database: Path, now: datetime) -> Path:
    """Rename a database that nobody has open; its new name."""
    aside = database.with_name(f"{database.stem}-until-{now:%Y%m%dT%H%M%S}{database.suffix}")
    with contextlib.closing(sqlite3.connect(database)) as connection:
        # What stands in the log beside it goes into the file itself, which is then all there is.
        busy, *_ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    log = Path(f"{database}-wal")
    if busy or (log.exists() and log.stat().st_size):
        raise CliError(f"{database} is open in another program; end it, and ask again")
    for left in ("-wal", "-shm"):
        Path(f"{database}{left}").unlink(missing_ok=True)
    database.rename(aside)
    return aside


def _as_json(cleared: Cleared, aside: Path | None) -> dict[str, object]:
    names = ("account", "exchange", "symbol", "product", "quantity")
    return {
        "file": str(cleared.path),
        "orders": cleared.orders,
        "trades": cleared.trades,
        "positions": [dict(zip(names, position, strict=True)) for position in cleared.positions],
        "holdings": cleared.holdings,
        "database_put_aside": None if aside is None else str(aside),
    }


def _told(cleared: Cleared) -> str:
    open_ones = ", ".join(f"{a} {e}:{s} {p} {q:+}" for a, e, s, p, q in cleared.positions)
    return (
        f"cleared {cleared.path}: {cleared.orders} orders and {cleared.trades} trades of the day, "
        f"{len(cleared.positions)} open positions{f' ({open_ones})' if open_ones else ''}, "
        f"{cleared.holdings} holdings; order and trade numbers go on"
    )


def _told_of_database(settings: Settings, *, own: bool, aside: Path | None) -> list[str]:
    if aside is not None:
        return [f"the record of before is kept in {aside}; the next start begins with an empty database"]
    if own and settings.database_url.startswith(_SQLITE):
        return []
    return [
        "no database was touched: a service that traded at this exchange needs an empty one for its next start, "
        "because its old rows and this exchange contradict each other from now on"
    ]
