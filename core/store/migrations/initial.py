"""Version 1: orders, their events and fills, positions, and what risk must remember.

Written as SQL and not made from the models: this is what version 1 was, whatever becomes of the models later. For the
same reason the legal transitions stand here as text; a test holds them against `core.model.order.TRANSITIONS`.
"""

from __future__ import annotations

from collections.abc import Sequence

from core.store.database import Engine
from core.store.migrations.runner import Migration

__all__ = ["INITIAL"]

_STATUSES = "('CREATED', 'SENT_TO_BROKER', 'EXECUTED', 'FAILED')"

# A refused intent has only what could be read. COALESCE, because a CHECK that comes out NULL passes.
_REFUSED = "COALESCE(tag, '') = 'VALIDATION_FAILED'"

_ORDERS = f"""
CREATE TABLE orders (
    command_id TEXT NOT NULL PRIMARY KEY,
    idempotency_key TEXT,
    account TEXT NOT NULL,
    strategy TEXT,
    source TEXT NOT NULL,
    execution_type TEXT,
    exchange TEXT,
    symbol TEXT,
    side TEXT,
    quantity {{integer}},
    requested_quantity {{integer}},
    product TEXT,
    requested_product TEXT,
    order_type TEXT,
    price TEXT,
    trigger_price TEXT,
    validity TEXT,
    basket TEXT,
    deadline TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN {_STATUSES}),
    tag TEXT,
    reason TEXT,
    unknown BOOLEAN NOT NULL CHECK (unknown IN (TRUE, FALSE)),
    broker_order_id TEXT,
    filled_quantity {{integer}} NOT NULL CHECK (filled_quantity >= 0),
    average_price TEXT,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    trading_day TEXT NOT NULL,
    run TEXT,
    CONSTRAINT refused_or_complete CHECK ({_REFUSED} OR (
        strategy IS NOT NULL AND execution_type IS NOT NULL AND exchange IS NOT NULL AND symbol IS NOT NULL
        AND side IS NOT NULL AND quantity IS NOT NULL AND requested_quantity IS NOT NULL
        AND order_type IS NOT NULL AND validity IS NOT NULL
    )),
    CONSTRAINT known_words CHECK ({_REFUSED} OR (
        execution_type IN ('ENTRY', 'EXIT', 'ADJUST') AND side IN ('BUY', 'SELL')
        AND order_type IN ('LIMIT', 'MARKET', 'SL', 'SL-M') AND validity IN ('DAY', 'IOC')
        AND COALESCE(product, 'MIS') IN ('MIS', 'NRML', 'CNC')
    )),
    CONSTRAINT sensible_quantity CHECK ({_REFUSED} OR (quantity > 0 AND requested_quantity >= quantity)),
    CONSTRAINT product_known_once_sent CHECK (status IN ('CREATED', 'FAILED') OR product IS NOT NULL),
    CONSTRAINT product_open_only_for_exit CHECK ({_REFUSED} OR product IS NOT NULL OR execution_type = 'EXIT'),
    CONSTRAINT failed_has_tag CHECK ((status = 'FAILED') = (tag IS NOT NULL)),
    CONSTRAINT executed_is_told CHECK (
        status <> 'EXECUTED' OR (broker_order_id IS NOT NULL AND filled_quantity > 0 AND average_price IS NOT NULL)
    ),
    CONSTRAINT filled_has_price CHECK ((filled_quantity > 0) = (average_price IS NOT NULL)),
    CONSTRAINT unknown_is_open CHECK (
        unknown = FALSE OR (status = 'SENT_TO_BROKER' AND broker_order_id IS NULL)
    )
){{clustered}}
"""

# The partial indexes are named by their condition in the statements that use them, as text and not as a parameter:
# only then does SQLite choose them. Each stays as small as what is going on now.
_ORDER_INDEXES = (
    "CREATE UNIQUE INDEX orders_idempotency_key ON orders (account, idempotency_key) WHERE idempotency_key IS NOT NULL",
    "CREATE UNIQUE INDEX orders_one_open ON orders (account, strategy, exchange, symbol) "
    "WHERE status = 'SENT_TO_BROKER'",
    "CREATE UNIQUE INDEX orders_broker_order_id ON orders (account, trading_day, broker_order_id) "
    "WHERE broker_order_id IS NOT NULL",
    "CREATE INDEX orders_created ON orders (created_at) WHERE status = 'CREATED'",
    "CREATE INDEX orders_newest ON orders (trading_day, created_at, command_id)",
)

_EVENTS = f"""
CREATE TABLE order_events (
    command_id TEXT NOT NULL REFERENCES orders (command_id),
    seq INTEGER NOT NULL,
    at TEXT NOT NULL,
    from_status TEXT CHECK (from_status IN {_STATUSES}),
    to_status TEXT NOT NULL CHECK (to_status IN {_STATUSES}),
    tag TEXT,
    reason TEXT,
    cause TEXT NOT NULL,
    quantity {{integer}},
    product TEXT,
    unknown BOOLEAN NOT NULL,
    broker_order_id TEXT,
    other_number TEXT,
    filled_quantity {{integer}} NOT NULL,
    average_price TEXT,
    PRIMARY KEY (command_id, seq)
){{clustered}}
"""

# The day is part of the key because brokers may begin their numbers anew each morning.
_FILLS = """
CREATE TABLE fills (
    id {identity},
    command_id TEXT NOT NULL REFERENCES orders (command_id),
    account TEXT NOT NULL,
    trading_day TEXT NOT NULL,
    exchange TEXT NOT NULL,
    broker_trade_id TEXT NOT NULL,
    broker_order_id TEXT NOT NULL,
    quantity {integer} NOT NULL CHECK (quantity > 0),
    price TEXT NOT NULL,
    at TEXT NOT NULL,
    booked_at TEXT NOT NULL,
    UNIQUE (account, trading_day, exchange, broker_trade_id, broker_order_id)
)
"""

_POSITIONS = """
CREATE TABLE positions (
    account TEXT NOT NULL,
    strategy TEXT NOT NULL,
    exchange TEXT NOT NULL,
    symbol TEXT NOT NULL,
    product TEXT NOT NULL,
    quantity {integer} NOT NULL CHECK (quantity <> 0),
    average_price TEXT NOT NULL,
    basket TEXT,
    updated_at TEXT NOT NULL,
    PRIMARY KEY (account, strategy, exchange, symbol, product)
)
"""

_HALTS = """
CREATE TABLE halts (
    id {identity},
    reason TEXT NOT NULL,
    halted_by TEXT NOT NULL,
    at TEXT NOT NULL,
    cleared_by TEXT,
    cleared_at TEXT
)
"""

_RISK_AND_RUNS = (
    "CREATE UNIQUE INDEX halts_one_active ON halts ((cleared_at IS NULL)) WHERE cleared_at IS NULL",
    "CREATE TABLE breaches (trading_day TEXT NOT NULL PRIMARY KEY, pnl TEXT NOT NULL, loss_limit TEXT NOT NULL)",
    "CREATE TABLE loss_runs (strategy TEXT NOT NULL PRIMARY KEY, losses {integer} NOT NULL CHECK (losses >= 0), "
    "cooldown_until TEXT)",
    "CREATE TABLE runs (id {identity}, run_id TEXT NOT NULL, started_at TEXT NOT NULL, ended_at TEXT)",
)

# From a status to itself is an amendment, and allowed to every row.
_LEGAL = (
    "OLD.status = NEW.status"
    " OR (OLD.status = 'CREATED' AND NEW.status IN ('SENT_TO_BROKER', 'FAILED'))"
    " OR (OLD.status = 'SENT_TO_BROKER' AND NEW.status IN ('EXECUTED', 'FAILED'))"
)
_BORN = "NEW.status IN ('CREATED', 'FAILED')"

_APPEND_ONLY = ("order_events", "fills")


def _sqlite_triggers() -> list[str]:
    triggers = [
        f"CREATE TRIGGER orders_transition BEFORE UPDATE OF status ON orders WHEN NOT ({_LEGAL}) "
        "BEGIN SELECT RAISE(ABORT, 'illegal status transition'); END",
        f"CREATE TRIGGER orders_born BEFORE INSERT ON orders WHEN NOT ({_BORN}) "
        "BEGIN SELECT RAISE(ABORT, 'illegal first status'); END",
    ]
    triggers += [
        f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
        f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
        for table in _APPEND_ONLY
        for verb in ("UPDATE", "DELETE")
    ]
    return triggers


def _postgresql_triggers() -> list[str]:
    def refusing(name: str, text: str) -> str:
        return (
            f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ "
            f"BEGIN RAISE EXCEPTION '{text}' USING ERRCODE = 'check_violation'; END $$"
        )

    triggers = [
        refusing("refuse_transition", "illegal status transition"),
        refusing("refuse_birth", "illegal first status"),
        f"CREATE TRIGGER orders_transition BEFORE UPDATE OF status ON orders FOR EACH ROW WHEN (NOT ({_LEGAL})) "
        "EXECUTE FUNCTION refuse_transition()",
        f"CREATE TRIGGER orders_born BEFORE INSERT ON orders FOR EACH ROW WHEN (NOT ({_BORN})) "
        "EXECUTE FUNCTION refuse_birth()",
    ]
    for table in _APPEND_ONLY:
        triggers += [
            refusing(f"refuse_{table}_change", f"{table} is append-only"),
            f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW "
            f"EXECUTE FUNCTION refuse_{table}_change()",
            f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} FOR EACH STATEMENT "
            f"EXECUTE FUNCTION refuse_{table}_change()",
        ]
    return triggers


def _statements(engine: Engine) -> Sequence[str]:
    if engine is Engine.SQLITE:
        # No AUTOINCREMENT: it writes a second table at every insert, and nothing is ever deleted here. WITHOUT ROWID
        # keeps a table in its primary key's tree: every commit then writes a page less for each such table.
        words = {"integer": "INTEGER", "identity": "INTEGER PRIMARY KEY", "clustered": " WITHOUT ROWID"}
        triggers = _sqlite_triggers()
    else:
        identity = "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY"
        words = {"integer": "BIGINT", "identity": identity, "clustered": ""}
        triggers = _postgresql_triggers()
    tables = [
        _ORDERS,
        *_ORDER_INDEXES,
        _EVENTS,
        _FILLS,
        "CREATE INDEX fills_of ON fills (command_id)",
        _POSITIONS,
        _HALTS,
        *_RISK_AND_RUNS,
    ]
    return [statement.format(**words) for statement in tables] + triggers


INITIAL = Migration(1, "orders, events, fills, positions, risk, runs", _statements)
