"""What people are told of: a closed list of kinds, each with its severity and its switch in `[telegram]`."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["AlertKind", "AlertSwitch", "Severity"]


class Severity(StrEnum):
    """How soon a person should act: CRITICAL now, WARNING before long, INFO not at all."""

    INFO = "INFO"
    WARNING = "WARNING"
    CRITICAL = "CRITICAL"


class AlertSwitch(StrEnum):
    """The switches of `[telegram]`."""

    FILLS = "fills"
    REJECTIONS = "rejections"
    UNKNOWN_OUTCOMES = "unknown_outcomes"
    BREACHES = "breaches"
    HALTS = "halts"
    SESSION = "session"
    EXTERNAL_ORDERS = "external_orders"
    TROUBLE = "trouble"


_INFO, _WARNING, _CRITICAL = Severity.INFO, Severity.WARNING, Severity.CRITICAL
_Switch = AlertSwitch


class AlertKind(StrEnum):
    """The kinds of alerts.

    Attributes:
        severity: Of an alert that says it has happened. That it is over is told as INFO or WARNING.
        switch: Which switch keeps it from Telegram.
    """

    severity: Severity
    switch: AlertSwitch

    def __new__(cls, value: str, severity: Severity, switch: AlertSwitch) -> AlertKind:
        kind = str.__new__(cls, value)
        kind._value_ = value
        kind.severity, kind.switch = severity, switch
        return kind

    # Orders
    EXECUTED = "executed", _INFO, _Switch.FILLS
    FAILED = "failed", _WARNING, _Switch.REJECTIONS
    UNKNOWN = "unknown", _WARNING, _Switch.UNKNOWN_OUTCOMES  # the books settle it; else `never_resolved`
    NEVER_RESOLVED = "never_resolved", _CRITICAL, _Switch.TROUBLE
    NEVER_SENT = "never_sent", _WARNING, _Switch.TROUBLE
    SLICE_FAILED = "slice_failed", _CRITICAL, _Switch.REJECTIONS  # of an order that went out as several
    ORDER_CHANGED = "order_changed", _CRITICAL, _Switch.EXTERNAL_ORDERS  # its quantity, by a person at the broker
    KEY_REUSED = "key_reused", _CRITICAL, _Switch.TROUBLE  # an order that somebody wanted is not there
    # Exits and positions
    EXIT_CUT = "exit_cut", _WARNING, _Switch.TROUBLE
    EXIT_UNVERIFIED = "exit_unverified", _CRITICAL, _Switch.TROUBLE
    EXIT_OVERFILLED = "exit_overfilled", _CRITICAL, _Switch.TROUBLE
    EXIT_EXCESS = "exit_excess", _CRITICAL, _Switch.TROUBLE
    EXIT_OPENED = "exit_opened", _CRITICAL, _Switch.TROUBLE
    EXIT_FAILED = "exit_failed", _CRITICAL, _Switch.TROUBLE  # ended by the broker, and something is held still
    LEFT_BEHIND = "left_behind", _CRITICAL, _Switch.TROUBLE  # at the market, unfilled, not chased further
    SQUARE_OFF_WAITS = "square_off_waits", _CRITICAL, _Switch.TROUBLE
    SQUARE_OFF_FAILED = "square_off_failed", _CRITICAL, _Switch.BREACHES
    POSITION_DIFFERENCE = "position_difference", _WARNING, _Switch.EXTERNAL_ORDERS
    POSITION_CORRECTED = "position_corrected", _WARNING, _Switch.TROUBLE
    PROTECTION_FIRED = "protection_fired", _WARNING, _Switch.BREACHES
    PROTECTION_BLIND = "protection_blind", _CRITICAL, _Switch.TROUBLE
    NAKED = "naked", _CRITICAL, _Switch.BREACHES  # a position without stop or trail, where settings want to know
    EXTERNAL_ORDER = "external_order", _WARNING, _Switch.EXTERNAL_ORDERS
    EXTERNAL_CLOSE = "external_close", _WARNING, _Switch.EXTERNAL_ORDERS
    # Limits and halts
    DAILY_LOSS = "daily_loss", _WARNING, _Switch.BREACHES  # ENTRY is refused, and nothing else happens
    MAX_LOSS = "max_loss", _CRITICAL, _Switch.BREACHES
    PNL_UNREADABLE = "pnl_unreadable", _WARNING, _Switch.BREACHES
    HALT = "halt", _CRITICAL, _Switch.HALTS
    STRATEGY_HALTED = "strategy_halted", _CRITICAL, _Switch.TROUBLE
    # What the broker says
    SESSION = "session", _WARNING, _Switch.SESSION  # logged in again by itself; else `login`
    LOGIN = "login", _CRITICAL, _Switch.SESSION
    UNREADABLE = "unreadable", _CRITICAL, _Switch.SESSION
    UNREADABLE_ROW = "unreadable_row", _WARNING, _Switch.TROUBLE
    PUSH_FEED = "push_feed", _WARNING, _Switch.TROUBLE
    PRICES = "prices", _WARNING, _Switch.TROUBLE  # what is doubted is not used
    CALL_BUDGET = "call_budget", _WARNING, _Switch.TROUBLE
    BOOK_LACKS = "book_lacks", _WARNING, _Switch.TROUBLE  # such a read proves nothing; else `order_missing`
    BOOKS_CLEARED = "books_cleared", _INFO, _Switch.TROUBLE
    ORDER_MISSING = "order_missing", _CRITICAL, _Switch.TROUBLE
    ORDER_CLEARED = "order_cleared", _WARNING, _Switch.TROUBLE
    TRADES_MISSING = "trades_missing", _WARNING, _Switch.TROUBLE
    UNRECORDED_ORDER = "unrecorded_order", _CRITICAL, _Switch.TROUBLE  # ours by its tag; trading is halted
    TWO_ORDERS = "two_orders", _CRITICAL, _Switch.EXTERNAL_ORDERS
    TWO_NUMBERS = "two_numbers", _CRITICAL, _Switch.TROUBLE
    ODD_STATUS = "odd_status", _WARNING, _Switch.TROUBLE
    BROKER_REPORT = "broker_report", _WARNING, _Switch.TROUBLE
    # The service itself
    ACTOR_FAILED = "actor_failed", _WARNING, _Switch.TROUBLE  # its order is answered; if it goes on, `halt`
    ACTOR_DIED = "actor_died", _CRITICAL, _Switch.TROUBLE
    LATE = "late", _WARNING, _Switch.TROUBLE
    DATABASE = "database", _CRITICAL, _Switch.TROUBLE
    ACCOUNT_LOCK = "account_lock", _CRITICAL, _Switch.TROUBLE
    INSTRUMENTS = "instruments", _WARNING, _Switch.TROUBLE  # the last good symbol file stays in use
    CLOCK = "clock", _WARNING, _Switch.TROUBLE
