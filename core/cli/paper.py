"""`run.py paper --reset`: what it clears, and what the database of the account still says afterwards."""

from __future__ import annotations

import json
from pathlib import Path

from core.cli.client import CliError
from core.instance import AlreadyRunning
from core.paper.state_file import Cleared, clear_state
from core.settings import Settings
from core.store import Store, StoreError

__all__ = ["reset"]


def reset(settings: Settings, directory: Path | None, *, as_json: bool) -> str:
    """Clear the state of the paper exchange and say what was cleared.

    Raises:
        CliError: An exchange runs on it, or it is none.
    """
    try:
        cleared = clear_state(directory or settings.service.data_dir)
    except (AlreadyRunning, OSError) as error:
        raise CliError(str(error)) from error
    holdings, open_orders = _recorded(settings)
    if as_json:
        return json.dumps(
            {
                "file": str(cleared.path),
                "orders": cleared.orders,
                "trades": cleared.trades,
                "positions": [
                    {"account": a, "exchange": e, "symbol": s, "product": p, "quantity": q}
                    for a, e, s, p, q in cleared.positions
                ],
                "holdings": cleared.holdings,
                "database": {"positions": holdings, "open_orders": open_orders},
            }
        )
    return "\n".join([_told(cleared), *_warning(settings, holdings, open_orders)])


def _told(cleared: Cleared) -> str:
    open_ones = ", ".join(f"{a} {e}:{s} {p} {q:+}" for a, e, s, p, q in cleared.positions)
    return (
        f"cleared {cleared.path}: {cleared.orders} orders and {cleared.trades} trades of the day, "
        f"{len(cleared.positions)} open positions{f' ({open_ones})' if open_ones else ''}, "
        f"{cleared.holdings} holdings; order and trade numbers go on"
    )


def _recorded(settings: Settings) -> tuple[list[str], int]:
    """What strategies hold and how many orders are open by the database of a paper account."""
    url = settings.database_url
    file = Path(url.removeprefix("sqlite:///"))
    if not settings.runs_paper_exchange or (url.startswith("sqlite:///") and not file.exists()):
        return [], 0
    try:
        store = Store.open(url, read_only=True)
    except StoreError:
        return [], 0
    held = [
        f"{h.strategy} {h.quantity:+} {h.exchange}:{h.symbol} {h.product.value}"
        for h, _ in store.held(settings.account)
    ]
    open_orders = len(store.open_orders(account=settings.account))
    store.close()
    return held, open_orders


def _warning(settings: Settings, holdings: list[str], open_orders: int) -> list[str]:
    if not holdings and not open_orders:
        return []
    what = "; ".join([*holdings, *([f"{open_orders} open orders"] if open_orders else [])])
    return [
        f"the database {settings.database_url} is left as it is. It still has: {what}.",
        "At the next start the broker shows none of it. Open orders end FAILED once the broker's books have shown "
        "that they are not there. Positions stay with their strategies, as a difference that is shown and alarmed, "
        "until a person writes them off.",
        "To begin with an empty database as well, move [service] data_dir and the database away before the start.",
    ]
