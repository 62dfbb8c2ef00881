"""The record meets a broker that begins empty: the paper exchange inside the service lives as long as the process."""

from __future__ import annotations

from datetime import datetime

from core.calendar import trading_day
from core.messages import ExternalClose
from core.order import Status, Tag
from core.store.store import Store

__all__ = ["begin_anew"]

_REASON = "the paper exchange it was sent to ended with the process; a new one begins empty"
_CAUSE = "start"


def begin_anew(store: Store, account: str, at: datetime) -> None:
    """End what the account has open and holds: no order of an earlier paper exchange can fill, no position is left.

    Orders end as BROKER_EXPIRED, or BROKER_NOT_FOUND while their outcome was unknown. Holdings are closed at their
    entry price, as closed by others. Called inside the caller's transaction.
    """
    for order in store.open_orders(account=account):
        tag = Tag.BROKER_NOT_FOUND if order.broker_order_id is None else Tag.BROKER_EXPIRED
        store.fail(order.command_id, Status.SENT_TO_BROKER, tag, _REASON, at, _CAUSE)
    day = trading_day(at)
    for number, (holding, price) in enumerate(store.held(account)):
        close = ExternalClose(
            strategy=holding.strategy,
            exchange=holding.exchange,
            symbol=holding.symbol,
            product=holding.product,
            quantity=-holding.quantity,
            price=price,
            broker_order_id=f"anew-{at:%Y%m%dT%H%M%S}-{number}",
        )
        store.close_externally(account, close, day, at)
