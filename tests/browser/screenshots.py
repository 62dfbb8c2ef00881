"""Takes a picture of each page of a service that has traded a little, on paper.

python -m tests.browser.screenshots docs/img
"""

from __future__ import annotations

import sys
import tempfile
from decimal import Decimal
from pathlib import Path

from loguru import logger
from playwright.sync_api import Browser, expect

from core.model.order import ExecutionType, OrderIntent, OrderType, Product, Side
from tests.browser.chromium import DESKTOP, PHONE, chromium
from tests.support import wait_until
from tests.support_service import Running, running

_ON_A_PHONE = ("now", "order")


def main(directory: Path) -> None:
    """Write `<page>.png`, and `<page>-phone.png` for some, into `directory`."""
    logger.remove()
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as data, running(Path(data), SIXSTEP_PAPER__WALK_VOLATILITY="0.0004") as service:
        pages = _trade(service)
        with chromium() as browser:
            for name, path in pages.items():
                _take(browser, service, path, directory / f"{name}.png", phone=False)
                if name in _ON_A_PHONE:
                    _take(browser, service, path, directory / f"{name}-phone.png", phone=True)


def _trade(service: Running) -> dict[str, str]:
    """Some orders of each fate; the pages to take, by name."""
    for symbol, price in (("INFY-EQ", "1500"), ("RELIANCE-EQ", "2900"), ("TCS-EQ", "3500"), ("SBIN-EQ", "800")):
        service.control("set_price", exch="NSE", tsym=symbol, price=price)
    filled = service.submit(_order("momentum", "INFY-EQ", 50, "1510"))
    service.submit(_order("breakout", "SBIN-EQ", 400, "805"))
    service.submit(_order("meanrev", "RELIANCE-EQ", 40, "2905"))
    service.wait_for(filled.command_id, "EXECUTED")
    service.submit(_order("momentum", "INFY-EQ", 50, "1495"))
    blocked = service.submit(_order("overnight", "TCS-EQ", 20_000, "3450"))
    service.submit(_order("scalper", "TCS-EQ", 10, "3400"))
    service.control(
        "add_fault", kind="refuse_text", path="PlaceOrder", text="Rejected : RED:Margin Shortfall:INR 203.50"
    )
    service.submit(_order("options", "TCS-EQ", 100, "3400"))
    leave = service.submit(_order("breakout", "SBIN-EQ", 400, "795", kind=ExecutionType.EXIT, side=Side.SELL))
    service.wait_for(leave.command_id, "EXECUTED")
    # The chart needs some readings of the P&L.
    started = service.service.clock.monotonic()
    wait_until(lambda: service.service.clock.monotonic() > started + 40, 60)
    return {
        "now": "/",
        "orders": "/orders",
        "order": f"/orders/{filled.command_id}",
        "order-blocked": f"/orders/{blocked.command_id}",
        "positions": "/positions",
        "risk": "/risk",
        "new-order": "/new",
        "system": "/system",
    }


def _order(
    strategy: str,
    symbol: str,
    quantity: int,
    price: str,
    *,
    kind: ExecutionType = ExecutionType.ENTRY,
    side: Side = Side.BUY,
) -> OrderIntent:
    return OrderIntent(
        strategy=strategy,
        execution_type=kind,
        exchange="NSE",
        symbol=symbol,
        side=side,
        quantity=quantity,
        product=Product.MIS,
        order_type=OrderType.LIMIT,
        price=Decimal(price),
    )


def _take(browser: Browser, service: Running, path: str, file: Path, *, phone: bool) -> None:
    assert service.service.web is not None
    # One picture of each scheme: the phone's are dark.
    context = browser.new_context(
        base_url=service.service.web.url,
        viewport=PHONE if phone else DESKTOP,
        color_scheme="dark" if phone else "light",
    )
    page = context.new_page()
    page.goto(path)
    expect(page.locator("#status-bar")).to_contain_text("Ready")
    if page.locator("body[data-live]").count():
        expect(page.locator(".live")).to_have_text("live")
    page.screenshot(path=file, full_page=not phone, animations="disabled")
    context.close()


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "docs/img"))
