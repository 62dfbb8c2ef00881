"""Applies migrations: all that are missing in one transaction, or none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from core.store.database import Database, Engine
from core.store.errors import DatabaseNotOpened, StoreError, StoreUnavailable

__all__ = ["Migration", "migrate", "schema_version"]

# Any number will do, as long as nobody else in that database locks the same.
_LOCK = 6_715_001


@dataclass(frozen=True, slots=True)
class Migration:
    """One step from a schema version to the next.

    `statements` gives the SQL for an engine. `drops` names every `table.column` that goes away; a column that
    disappears without being named here makes the migration fail.
    """

    number: int
    name: str
    statements: Callable[[Engine], Sequence[str]]
    drops: frozenset[str] = frozenset()


def schema_version(database: Database) -> int:
    """The number of the last migration applied; 0 for an empty database."""
    if not database.peewee.table_exists("schema_version"):
        return 0
    newest = database.execute("SELECT MAX(version) FROM schema_version").fetchone()[0]
    return int(newest or 0)


def migrate(database: Database, migrations: Sequence[Migration]) -> None:
    """Bring the database to the newest version.

    Raises:
        DatabaseNotOpened: The database is newer than this program, or a migration failed; nothing was changed.
    """
    newest = migrations[-1].number
    version = schema_version(database)
    _refuse_newer(version, newest)
    if version == newest:
        return
    if database.read_only:
        raise DatabaseNotOpened(
            f"the database has schema version {version} and this program needs {newest}; start the service once"
        )
    with database.transaction():
        if database.engine is Engine.POSTGRESQL:
            database.write("SELECT pg_advisory_xact_lock(?)", (_LOCK,))
        # Read again under the lock: another process may have been first.
        version = schema_version(database)
        _refuse_newer(version, newest)
        database.write("CREATE TABLE IF NOT EXISTS schema_version (version INTEGER PRIMARY KEY, name TEXT NOT NULL)")
        for migration in migrations:
            if migration.number > version:
                _apply(database, migration)


def _refuse_newer(version: int, newest: int) -> None:
    if version > newest:
        raise DatabaseNotOpened(
            f"the database has schema version {version}, and this program knows only {newest}; use a newer Sixstep"
        )


def _apply(database: Database, migration: Migration) -> None:
    before = _columns(database)
    try:
        for statement in migration.statements(database.engine):
            database.write(statement)
    except StoreUnavailable:
        raise
    except Exception as error:
        raise DatabaseNotOpened(f"migration {migration.number} ({migration.name}) failed: {error}") from error
    lost = before - _columns(database) - migration.drops
    if lost:
        raise StoreError(f"migration {migration.number} drops {', '.join(sorted(lost))} without saying so")
    database.write("INSERT INTO schema_version (version, name) VALUES (?, ?)", (migration.number, migration.name))


def _columns(database: Database) -> frozenset[str]:
    connections = database.peewee
    return frozenset(
        f"{table}.{column.name}" for table in connections.get_tables() for column in connections.get_columns(table)
    )
