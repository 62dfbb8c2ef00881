"""An order's way in a real browser, on a desk and on a phone."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

from playwright.sync_api import Locator, Page, expect

from core.model.order import Order
from core.model.outcomes import OrderOutcome
from tests.support_service import Running

_numbers = count(1)


def fill_in(page: Page, **changes: str) -> str:
    """The form, with a strategy of its own; its name."""
    strategy = f"s{next(_numbers)}"
    given = {"strategy": strategy, "symbol": "INFY-EQ", "quantity": "50", "price": "1450", **changes}
    page.goto("/new")
    page.select_option("#side", changes.pop("side", "BUY"))
    for name, value in given.items():
        if name in ("order_type", "execution_type", "side"):
            page.select_option(f"#{name}", value)
    for name, value in given.items():
        if name not in ("order_type", "execution_type", "side"):
            page.fill(f"#{name}", value)
    return strategy


def submit(page: Page) -> str:
    """Send the form; the command id of the order whose page it leads to."""
    page.click("text=Submit order")
    page.wait_for_url(re.compile(r"/orders/[0-9]{6}-"))
    return page.url.rpartition("/")[2]


def step(page: Page, number: int) -> Locator:
    return page.locator(f".steps > li:nth-child({number})")


@contextmanager
def held_before_the_broker(service: Running) -> Iterator[None]:
    """Within the block, an order's call to the broker waits; it goes out when the block ends."""
    client = service.service.runtime._actors["broker_proxy"]._client  # type: ignore[attr-defined]
    release = threading.Event()
    place = client.place_order

    def late(order: Order) -> OrderOutcome:
        release.wait(20)
        outcome: OrderOutcome = place(order)
        return outcome

    client.place_order = late
    try:
        yield
    finally:
        client.place_order = place
        release.set()


def test_an_order_from_the_form_is_seen_live_passing_its_steps(page: Page, service: Running) -> None:
    with held_before_the_broker(service):
        fill_in(page)
        command_id = submit(page)
        expect(step(page, 3)).to_have_class("done")
        expect(step(page, 4)).to_have_class("now")
        expect(page.locator("#order-head .badge")).to_have_text("sending")
        expect(page.locator(".live")).to_have_text("live")
    # Nothing on the page is touched from here on: it follows by itself.
    expect(step(page, 5)).to_have_class("done")
    expect(page.locator("#order-head .badge")).to_have_text("working")
    number = service.row(command_id)["broker_order_id"]
    service.control("fill_order", norenordno=number, qty=20, prc="1450")
    expect(page.locator("#order-head .badge")).to_have_text("partly filled")
    expect(page.locator("#order-fills")).to_contain_text("1450.00")
    service.control("fill_order", norenordno=number, qty=30, prc="1450")
    expect(page.locator("#order-head .badge")).to_have_text("filled")
    expect(step(page, 6)).to_have_class("done")


def test_a_blocked_order_shows_where_and_why(page: Page) -> None:
    fill_in(page, quantity="20000")
    submit(page)
    expect(step(page, 2)).to_have_class("stopped")
    expect(step(page, 3)).to_have_class("skipped")
    expect(page.locator(".checks .blocked")).to_contain_text("quantity 20000, limit 10000")
    expect(page.locator(".note.bad")).to_contain_text("RISK_LIMITS_EXCEEDED")


def test_errors_stand_beside_their_fields_and_what_was_written_stays(cell: Page) -> None:
    fill_in(cell, quantity="1.5", price="")
    cell.click("text=Submit order")
    expect(cell.locator("#wrong-quantity")).to_contain_text("must be a whole number of units")
    expect(cell.locator("#wrong-price")).to_contain_text("is missing")
    assert cell.input_value("#symbol") == "INFY-EQ"
    cell.fill("#quantity", "50")
    cell.fill("#price", "1450")
    submit(cell)


def test_a_halt_stops_the_next_entry_until_somebody_resumes(page: Page) -> None:
    page.goto("/")
    page.click("text=Halt trading…")
    page.fill("#reason", "lunch")
    page.click("button:text-is('Halt trading')")
    expect(page.locator("#status-bar")).to_contain_text("Halted")
    expect(page.locator("#now-state")).to_contain_text("lunch")
    fill_in(page)
    submit(page)
    expect(step(page, 2)).to_have_class("stopped")
    expect(page.locator(".checks .blocked")).to_contain_text("lunch")
    page.goto("/resume")
    page.click("button:text-is('Resume trading')")
    expect(page.locator("#status-bar")).to_contain_text("Ready")
    fill_in(page)
    submit(page)
    expect(step(page, 5)).to_have_class("done")


def test_the_order_page_draws_its_messages(page: Page) -> None:
    fill_in(page)
    submit(page)
    expect(step(page, 5)).to_have_class("done")
    diagram = page.locator("svg.sequence")
    expect(diagram).to_be_visible()
    for words in ("command_service", "broker_proxy", "CheckRisk", "MarkSent", "PlaceOrder", "OrderAccepted"):
        expect(diagram).to_contain_text(words)
    # Drawn by the style sheet of this page, not left in black.
    assert page.evaluate("getComputedStyle(document.querySelector('svg.sequence .arrow')).stroke") != "none"
    page.click("text=As Mermaid text")
    expect(page.locator("details pre")).to_contain_text("sequenceDiagram")


def test_an_order_is_cancelled_on_its_page(cell: Page) -> None:
    fill_in(cell)
    submit(cell)
    expect(step(cell, 5)).to_have_class("done")
    cell.click("text=Cancel…")
    cell.click("text=Cancel the order")
    expect(cell.locator("#order-head .badge")).to_have_text("cancelled")
    expect(cell.locator("#order-head")).not_to_contain_text("Cancel…")


def test_the_table_follows_and_keeps_its_filters(cell: Page) -> None:
    strategy = fill_in(cell)
    cell.goto(f"/orders?strategy={strategy}")
    expect(cell.locator(".live")).to_have_text("live")
    expect(cell.locator("#orders-body tr")).to_have_count(0)
    other = cell.context.new_page()
    fill_in(other, strategy=strategy)
    command_id = submit(other)
    row = cell.locator(f"#o-{command_id}")
    expect(row).to_contain_text("working")
    other.goto(f"/orders?strategy={strategy}")
    other.click("text=Cancel…")
    other.click("text=Cancel the order")
    expect(row).to_contain_text("cancelled")
    other.close()
    cell.click("text=Clear")
    assert "strategy=" not in cell.url


def test_a_position_is_exited_on_its_page(cell: Page) -> None:
    strategy = fill_in(cell, symbol="RELIANCE-EQ", price="1510")
    submit(cell)
    expect(cell.locator("#order-head .badge")).to_have_text("filled")
    cell.goto("/positions")
    expect(cell.locator("#positions-table")).to_contain_text(f"{strategy} +50")
    cell.click(f"text=Exit {strategy}…")
    expect(cell.locator(".confirm")).to_contain_text(f"{strategy}: +50 RELIANCE-EQ MIS")
    cell.click("text=Exit now")
    expect(cell.locator(".note.good")).to_contain_text("SELL 50 RELIANCE-EQ")
    expect(cell.locator("#positions-table")).not_to_contain_text(f"{strategy} +50")


def test_symbols_are_found_while_they_are_typed(cell: Page) -> None:
    cell.goto("/new")
    cell.locator("#symbol").press_sequentially("infy")
    expect(cell.locator("#found option").first).to_have_attribute("value", "INFY-EQ")
    cell.select_option("#order_type", "MARKET")
    expect(cell.locator("#price")).to_be_disabled()
    cell.select_option("#order_type", "SL")
    expect(cell.locator("#trigger_price")).to_be_enabled()
