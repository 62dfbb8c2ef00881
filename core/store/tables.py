"""The tables as peewee models, for the queries that people's questions make.

No database is bound to them: several stores may be open in one process, so each query is executed on a database
handed in. The schema itself is made by `core.store.migrations`; a test holds these models against it.
"""

from __future__ import annotations

import peewee

__all__ = ["BrokerOrderRow", "EventRow", "FillRow", "OrderRow", "PositionRow"]


class OrderRow(peewee.Model):
    """One order."""

    command_id = peewee.TextField(primary_key=True)
    idempotency_key = peewee.TextField(null=True)
    account = peewee.TextField()
    strategy = peewee.TextField(null=True)
    source = peewee.TextField()
    execution_type = peewee.TextField(null=True)
    exchange = peewee.TextField(null=True)
    symbol = peewee.TextField(null=True)
    side = peewee.TextField(null=True)
    quantity = peewee.BigIntegerField(null=True)
    requested_quantity = peewee.BigIntegerField(null=True)
    product = peewee.TextField(null=True)
    requested_product = peewee.TextField(null=True)
    order_type = peewee.TextField(null=True)
    price = peewee.TextField(null=True)
    trigger_price = peewee.TextField(null=True)
    validity = peewee.TextField(null=True)
    basket = peewee.TextField(null=True)
    deadline = peewee.TextField()
    status = peewee.TextField()
    tag = peewee.TextField(null=True)
    reason = peewee.TextField(null=True)
    unknown = peewee.BooleanField()
    broker_order_id = peewee.TextField(null=True)
    filled_quantity = peewee.BigIntegerField()
    average_price = peewee.TextField(null=True)
    created_at = peewee.TextField()
    updated_at = peewee.TextField()
    trading_day = peewee.TextField()
    run = peewee.TextField(null=True)
    parts = peewee.IntegerField()
    modifying = peewee.TextField(null=True)
    first_terms = peewee.TextField(null=True)

    class Meta:
        table_name = "orders"


class BrokerOrderRow(peewee.Model):
    """One order at the broker: a command has one or several."""

    client_order_id = peewee.TextField(primary_key=True)
    command_id = peewee.TextField()
    part = peewee.IntegerField()
    account = peewee.TextField()
    trading_day = peewee.TextField()
    quantity = peewee.BigIntegerField()
    status = peewee.TextField()
    tag = peewee.TextField(null=True)
    reason = peewee.TextField(null=True)
    unknown = peewee.BooleanField()
    broker_order_id = peewee.TextField(null=True)
    filled_quantity = peewee.BigIntegerField()
    average_price = peewee.TextField(null=True)
    updated_at = peewee.TextField()

    class Meta:
        table_name = "broker_orders"


class EventRow(peewee.Model):
    """One transition or amendment of an order, and what the row amounted to after it.

    `other_number` is a broker_order_id that did not fit the row, which this event tells of.
    """

    command_id = peewee.TextField()
    seq = peewee.IntegerField()
    at = peewee.TextField()
    from_status = peewee.TextField(null=True)
    to_status = peewee.TextField()
    tag = peewee.TextField(null=True)
    reason = peewee.TextField(null=True)
    cause = peewee.TextField()
    quantity = peewee.BigIntegerField(null=True)
    product = peewee.TextField(null=True)
    unknown = peewee.BooleanField()
    broker_order_id = peewee.TextField(null=True)
    other_number = peewee.TextField(null=True)
    filled_quantity = peewee.BigIntegerField()
    average_price = peewee.TextField(null=True)

    class Meta:
        table_name = "order_events"
        primary_key = peewee.CompositeKey("command_id", "seq")


class FillRow(peewee.Model):
    """One trade of one order."""

    id = peewee.BigAutoField()
    command_id = peewee.TextField()
    account = peewee.TextField()
    trading_day = peewee.TextField()
    exchange = peewee.TextField()
    broker_trade_id = peewee.TextField()
    broker_order_id = peewee.TextField()
    quantity = peewee.BigIntegerField()
    price = peewee.TextField()
    at = peewee.TextField()
    booked_at = peewee.TextField()
    part = peewee.IntegerField()

    class Meta:
        table_name = "fills"


class PositionRow(peewee.Model):
    """What a strategy holds of one instrument in one product."""

    account = peewee.TextField()
    strategy = peewee.TextField()
    exchange = peewee.TextField()
    symbol = peewee.TextField()
    product = peewee.TextField()
    quantity = peewee.BigIntegerField()
    average_price = peewee.TextField()
    basket = peewee.TextField(null=True)
    updated_at = peewee.TextField()
    opened_at = peewee.TextField(null=True)

    class Meta:
        table_name = "positions"
        primary_key = peewee.CompositeKey("account", "strategy", "exchange", "symbol", "product")
