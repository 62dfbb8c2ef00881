"""One open database: SQLite or PostgreSQL by URL, the same statements, one way to fail.

Statements on the hot path are plain text sent straight to the driver, because building a query costs as much as
running it. They are written with `?` and translated once for PostgreSQL. Everything a person looks at goes through
peewee's queries (`Database.rows`).
"""

from __future__ import annotations

import importlib.util
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeAlias, TypeVar
from urllib.parse import parse_qsl, quote, urlsplit

import peewee

from core.store.errors import ConstraintViolated, DatabaseNotOpened, StoreError, StoreUnavailable
from core.store.values import SqlValue

__all__ = ["NOTICE_DEATH", "Database", "Engine", "Savepoint", "Transaction", "open_database"]

_SQLITE = "sqlite:///"
_POSTGRESQL = ("postgresql://", "postgres://")

# RETURNING came with this version.
_OLDEST_SQLITE = (3, 35, 0)

# The server learns within half a minute that a machine has gone, and with it what its sessions have locked.
NOTICE_DEATH = (
    "SET tcp_keepalives_idle = 10",
    "SET tcp_keepalives_interval = 5",
    "SET tcp_keepalives_count = 3",
    "SET tcp_user_timeout = 20000",
)

# Primary result codes that say "not now" or "not here", and not "wrong statement".
_SQLITE_UNAVAILABLE = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_NOTADB,
    }
)


_T = TypeVar("_T")

# Process and start of a session at the server: processes' numbers come again, the pair does not.
_Session: TypeAlias = tuple[int, str]

_OWN_SESSION = "SELECT pid, backend_start::text FROM pg_stat_activity WHERE pid = pg_backend_pid()"
_END_SESSION = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = ? AND backend_start = ?::timestamptz"


class Engine(StrEnum):
    """The two databases Sixstep runs on."""

    SQLITE = "SQLite"
    POSTGRESQL = "PostgreSQL"


class Database:
    """A connection per thread, transactions, and errors by name. The writer uses one thread; readers may use many."""

    def __init__(self, engine: Engine, connections: peewee.Database, *, read_only: bool) -> None:
        self.engine = engine
        self.read_only = read_only
        self.peewee = connections
        self._in_transaction = False
        self._lasting = True
        # The savepoints that are set, and whether nothing was written since the last of them (or since BEGIN).
        self._points: list[str] = []
        self._clean = False
        self._lost: str | None = None
        self._translated: dict[str, str] = {}
        # A session of ours at the server that may not have ended although its connection is gone (scenario G6).
        self._lost_session: _Session | None = None

    # Statements

    def execute(self, sql: str, parameters: Sequence[SqlValue] = ()) -> Any:
        """Run one statement, written with `?`, and return the driver's cursor."""
        return self._once_more_if_lost(lambda: self._execute(sql, parameters))

    def _execute(self, sql: str, parameters: Sequence[SqlValue]) -> Any:
        connection = self._connection()
        if self.engine is Engine.SQLITE:
            return connection.execute(sql, parameters)
        return connection.execute(self._for_postgresql(sql), parameters or None)

    def _once_more_if_lost(self, run: Callable[[], _T]) -> _T:
        """Run; on a new connection again where one was lost on which nothing was under way.

        A connection that died while nothing was asked of it costs nobody anything.
        """
        idle = self._is_idle()
        try:
            return run()
        except Exception as error:
            named = self._named(error)
            silent = type(error).__name__ == "NoAnswer"
            if silent or not (idle and isinstance(named, StoreUnavailable) and self.peewee.is_closed()):
                raise named from error
        try:
            return run()
        except Exception as error:
            raise self._named(error) from error

    def _is_idle(self) -> bool:
        """Whether there is a connection to PostgreSQL, and no transaction on it."""
        if self.engine is Engine.SQLITE or self._in_transaction or self.peewee.is_closed():
            return False
        return bool(self._connection().info.transaction_status == 0)

    def write(self, sql: str, parameters: Sequence[SqlValue] = ()) -> Any:
        """`execute`, for a statement that changes something: refused outside a transaction."""
        if not self._in_transaction:
            raise self._no_transaction()
        self._clean = False
        return self.execute(sql, parameters)

    def rows(self, query: Any) -> list[dict[str, Any]]:
        """The result of a peewee query, as dicts."""
        return self._once_more_if_lost(lambda: list(query.dicts().execute(self.peewee)))

    def _connection(self) -> Any:
        return self.peewee.connection()  # type: ignore[no-untyped-call]

    def _for_postgresql(self, sql: str) -> str:
        translated = self._translated.get(sql)
        if translated is None:
            translated = self._translated[sql] = sql.replace("?", "%s")
        return translated

    # Transactions

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction of `transaction()` is open and alive."""
        return self._in_transaction

    def transaction(self, *, lasting: bool = True) -> Transaction:
        """One commit when the block ends, nothing at all when it raises; see `Store.transaction`."""
        return Transaction(self, lasting=lasting)

    def savepoint(self) -> Savepoint:
        """Inside a transaction: a block that undoes only itself when it raises."""
        return Savepoint(self)

    def recoverable(self) -> AbstractContextManager[object]:
        """For a statement that may break a constraint: PostgreSQL would otherwise give up the whole transaction."""
        return nullcontext() if self.engine is Engine.SQLITE else Savepoint(self)

    def begin(self, *, lasting: bool = True) -> None:
        if self.read_only:
            raise StoreError("this store was opened read-only")
        if self._in_transaction:
            raise StoreError("a transaction is open already; use savepoint()")
        self.end_lost_session()
        if self.engine is Engine.SQLITE and lasting is not self._lasting:
            # FULL syncs the log with the commit, and with it every commit before; NORMAL leaves that to a later one.
            self.execute(f"PRAGMA synchronous = {'FULL' if lasting else 'NORMAL'}")
        self._lasting = lasting
        # IMMEDIATE takes the write lock at once: a later upgrade could fail halfway, without waiting.
        self.execute("BEGIN IMMEDIATE" if self.engine is Engine.SQLITE else "BEGIN")
        if self.engine is Engine.POSTGRESQL and not lasting:
            self.execute("SET LOCAL synchronous_commit = off")
        self._in_transaction = True
        self._points = []
        self._clean = True
        self._lost = None

    def commit(self) -> None:
        if not self._in_transaction:
            raise self._no_transaction()
        cursor = self.execute("COMMIT")
        self._in_transaction = False
        # PostgreSQL answers COMMIT of a failed transaction with a ROLLBACK, and not with an error.
        if self.engine is Engine.POSTGRESQL and cursor.statusmessage != "COMMIT":
            raise StoreError("the transaction had failed before its commit, and was rolled back")

    def expect_answers(self, within_s: float) -> None:
        """From now on a PostgreSQL server that is silent for so long during a statement counts as gone.

        Not so while the schema is made: a migration may take its time.
        """
        if isinstance(self.peewee, _PostgresqlConnections):
            self.peewee.answer_s = self._connection().answer_s = within_s

    def end_lost_session(self) -> None:
        """Make sure that nothing of a transaction whose connection was lost is still under way at the server.

        A server that did not see the connection go keeps the transaction open, and its locks; one that was about to
        commit it may still do so. Only when that session has ended do the rows say what became of it.

        Raises:
            StoreUnavailable: It has not ended yet.
        """
        lost = self._lost_session
        if lost is None:
            return
        self._connection_or_named()
        if lost != self._session() and self.execute(_END_SESSION, lost).fetchone() is not None:
            raise StoreUnavailable("the session whose connection was lost has not ended yet")
        self._lost_session = None

    def _connection_or_named(self) -> None:
        try:
            self._connection()
        except Exception as error:
            raise self._named(error) from error

    def _session(self) -> _Session | None:
        return getattr(self.peewee, "session_of_writer", None)

    def set_point(self) -> tuple[str | None, bool]:
        """A point to undo to: its name, None for the beginning, and whether it was made for this call.

        Where nothing was written since the last point, that one serves: the first savepoint of a transaction, which is
        all that an order alone needs, costs no statement.
        """
        if not self._in_transaction:
            raise self._no_transaction()
        if self._clean:
            return (self._points[-1] if self._points else None), False
        name = f"s{len(self._points)}"
        self.execute(f"SAVEPOINT {name}")
        self._points.append(name)
        self._clean = True
        return name, True

    def release_point(self, name: str) -> None:
        """Forget the last point made; what was written since stays."""
        self._points.pop()
        self.write(f"RELEASE SAVEPOINT {name}")

    def undo_to_point(self, name: str | None) -> None:
        """Undo everything since the point."""
        if name is None:
            self.rollback()
            self.begin(lasting=self._lasting)
        else:
            self.execute(f"ROLLBACK TO SAVEPOINT {name}")
        self._clean = True

    def rollback(self) -> None:
        """Undo the open transaction, if there is one; afterwards the connection is usable, or a new one is made."""
        self._in_transaction = False
        connection = None if self.peewee.is_closed() else self._connection()
        if connection is None:
            return
        try:
            if self.engine is Engine.SQLITE:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
            elif not connection.closed:
                connection.execute("ROLLBACK")
        except Exception:
            self._disconnect()
        else:
            if self.engine is Engine.POSTGRESQL and connection.closed:
                self._disconnect()

    def _disconnect(self) -> None:
        """Drop a connection that cannot be trusted; the next statement opens a new one."""
        try:
            self.peewee.close()
        except Exception:
            self.peewee.dispose()

    def _no_transaction(self) -> StoreError:
        if self._lost is not None:
            return StoreUnavailable(f"the transaction was rolled back: {self._lost}")
        return StoreError("no transaction is open")

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Several reads that see one state. Inside the writer's transaction they do so anyway."""
        if self._in_transaction:
            yield
            return
        self.execute("BEGIN" if self.engine is Engine.SQLITE else "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        try:
            yield
        finally:
            self.rollback()

    def close(self) -> None:
        """Close this thread's connection. A transaction still open is rolled back."""
        self.rollback()
        self.peewee.close()

    # Errors

    def _named(self, error: Exception) -> Exception:
        """The error to raise for what a driver raised; after "not now", the transaction is gone and undone."""
        if isinstance(error, StoreError):
            return error
        cause = getattr(error, "orig", None) or error.__cause__ or error
        reason = self._unavailable(cause)
        if reason is None:
            broken = _broken_constraint(cause)
            return broken or error
        if self._in_transaction:
            self._lost = reason
            self._lost_session = self._session()
        self.rollback()
        return StoreUnavailable(reason)

    def _unavailable(self, error: BaseException) -> str | None:
        if isinstance(error, sqlite3.Error):
            code = getattr(error, "sqlite_errorcode", None)
            if code is not None and code & 0xFF in _SQLITE_UNAVAILABLE:
                return str(error)
            return None
        if self.engine is Engine.POSTGRESQL:
            from psycopg import InterfaceError, OperationalError, errors

            # A server that became a standby refuses writes with an InternalError.
            if isinstance(error, (OperationalError, InterfaceError, errors.ReadOnlySqlTransaction)):
                return " ".join(str(error).split()) or type(error).__name__
        return None


def _broken_constraint(error: BaseException) -> ConstraintViolated | None:
    if isinstance(error, sqlite3.IntegrityError):
        code = getattr(error, "sqlite_errorcode", None)
        unique = code in (sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY)
        return ConstraintViolated(str(error), unique=unique)
    state = getattr(error, "sqlstate", None)
    if isinstance(state, str) and state.startswith("23"):
        return ConstraintViolated(str(error), unique=state == "23505")
    return None


class Transaction:
    """One commit. A class and not a generator: an abandoned generator would roll back whatever is open then."""

    __slots__ = ("_database", "_lasting")

    def __init__(self, database: Database, *, lasting: bool) -> None:
        self._database = database
        self._lasting = lasting

    def __enter__(self) -> None:
        self._database.begin(lasting=self._lasting)

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        if kind is not None:
            self._database.rollback()
            return
        try:
            self._database.commit()
        except BaseException:
            self._database.rollback()
            raise


class Savepoint:
    """A part of a transaction that undoes only itself when it raises."""

    __slots__ = ("_database", "_made", "_point")

    def __init__(self, database: Database) -> None:
        self._database = database

    def __enter__(self) -> None:
        self._point, self._made = self._database.set_point()

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        database = self._database
        if kind is not None:
            if not database.in_transaction:
                # The whole transaction is gone already: the database became unavailable.
                return
            database.undo_to_point(self._point)
        if self._made and self._point is not None:
            database.release_point(self._point)


# Opening


def open_database(url: str, *, read_only: bool = False, busy_timeout_s: float = 5.0) -> Database:
    """Connect to the database that `url` names.

    Args:
        url: `sqlite:///path/to/file.db` or `postgresql://user:password@host/name`.
        read_only: Refuse every write; the database must exist.
        busy_timeout_s: Seconds to wait for another writer before `StoreUnavailable`.

    Raises:
        DatabaseNotOpened: The URL is wrong, the driver is missing, or the database does not answer.
    """
    if url.startswith(_SQLITE):
        return _open_sqlite(url.removeprefix(_SQLITE), read_only=read_only, busy_timeout_s=busy_timeout_s)
    if url.startswith(_POSTGRESQL):
        return _open_postgresql(url, read_only=read_only, busy_timeout_s=busy_timeout_s)
    scheme = url.partition(":")[0]
    raise DatabaseNotOpened(
        f"{scheme!r} is not a database Sixstep knows; write sqlite:///path/to/file.db or postgresql://user@host/name"
    )


def _open_sqlite(path: str, *, read_only: bool, busy_timeout_s: float) -> Database:
    if sqlite3.sqlite_version_info < _OLDEST_SQLITE:
        raise DatabaseNotOpened(f"SQLite 3.35 or newer is needed, this Python has {sqlite3.sqlite_version}")
    if path in ("", ":memory:"):
        raise DatabaseNotOpened(
            "a file is needed, for the database must survive the process: sqlite:///path/to/file.db"
        )
    file = Path(path)
    if read_only and not (file.exists() and file.stat().st_size):
        raise DatabaseNotOpened(f"there is no database {path} yet; start the service once")
    if not read_only:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DatabaseNotOpened(f"the directory of {path} cannot be made: {error.strerror}") from error
    pragmas: list[tuple[str, object]] = [
        ("busy_timeout", round(busy_timeout_s * 1000)),
        ("foreign_keys", 1),
        # FULL syncs the log at every commit that is to last (see `begin`).
        # `fullfsync` makes macOS do it down to the platter; others ignore it.
        ("synchronous", "FULL"),
        ("fullfsync", 1),
    ]
    pragmas.append(("query_only", 1) if read_only else ("journal_mode", "WAL"))
    connections = peewee.SqliteDatabase(
        f"file:{quote(str(file.absolute()))}?mode={'ro' if read_only else 'rwc'}",
        pragmas=pragmas,
        timeout=busy_timeout_s,
        uri=True,
    )
    database = Database(Engine.SQLITE, connections, read_only=read_only)
    mode = _first_answer(database, "PRAGMA journal_mode", f"{path} cannot be opened")
    if mode != "wal":
        raise DatabaseNotOpened(f"{path} cannot keep a write-ahead log (journal mode {mode}); use a local disk")
    return database


def _open_postgresql(url: str, *, read_only: bool, busy_timeout_s: float) -> Database:
    if importlib.util.find_spec("psycopg") is None:
        raise DatabaseNotOpened('PostgreSQL needs the driver psycopg: pip install "sixstep[postgres]"')
    if "\0" in url:
        raise DatabaseNotOpened("the URL holds a NUL character")
    place = _without_password(url)
    connections = _PostgresqlConnections(
        "postgresql://" + url.partition("://")[2],
        prefer_psycopg3=True,
        # Bounds on silence: the caller is the one thread that writes (scenario A9).
        connect_timeout=2,
        tcp_user_timeout=10_000,
        application_name="sixstep",
    )
    connections.is_writer = not read_only
    connections.session = [
        *NOTICE_DEATH,
        # Whatever the server's default is, a commit that was answered is on disk.
        "SET synchronous_commit = on",
        f"SET lock_timeout = {round(busy_timeout_s * 1000)}",
        "SET statement_timeout = 60000",
        "SET idle_in_transaction_session_timeout = 60000",
        # Plans are kept per connection; one made while a table was small must not read it whole when it has grown.
        "SET enable_seqscan = off",
    ]
    if read_only:
        connections.session.append("SET default_transaction_read_only = on")
    database = Database(Engine.POSTGRESQL, connections, read_only=read_only)
    _first_answer(database, "SELECT 1", f"{place} cannot be opened")
    return database


class _PostgresqlConnections(peewee.PostgresqlDatabase):
    """Sets every new connection up; also one made after the server had gone away."""

    session: list[str]
    is_writer: bool
    session_of_writer: _Session | None = None
    answer_s: float | None = None

    def _connect(self) -> Any:
        from core.store.answering import AnsweringConnection

        connection = AnsweringConnection.connect(self.database, autocommit=True, **self.connect_params)
        connection.answer_s = self.answer_s
        return connection

    def _initialize_connection(self, connection: Any) -> None:
        for statement in self.session:
            connection.execute(statement)
        if self.is_writer:
            pid, start = connection.execute(_OWN_SESSION).fetchone()
            self.session_of_writer = (int(pid), str(start))


def _first_answer(database: Database, sql: str, trouble: str) -> object:
    try:
        return database.execute(sql).fetchone()[0]
    except Exception as error:
        database._disconnect()
        words = " ".join(str(error).split())
        raise DatabaseNotOpened(f"{trouble}: {words}") from error


def _without_password(url: str) -> str:
    try:
        parts = urlsplit(url)
        named, host = dict(parse_qsl(parts.query)).get("host"), parts.hostname
    except ValueError:
        return "the PostgreSQL database"
    if host is None and named is not None:
        return f"PostgreSQL database {parts.path.lstrip('/') or 'without a name'} at {named}"
    return f"postgresql://{host or 'localhost'}{parts.path}"
