"""A whole day with OpenAlgo's own client, orders and prices, that ends with equal books."""

from __future__ import annotations

from pathlib import Path

import pytest
from openalgo import api

from core.messages import GetPositions
from core.store import check
from tests.openalgo_day import day
from tests.support import wait_until
from tests.support_openalgo import FILES, KEY, OPENALGO, begun
from tests.support_process import lasting_ports
from tests.support_service import Running, running


@pytest.mark.usefixtures("engine")
def test_a_day_with_the_client_as_it_is_sold_ends_with_equal_books(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.web.openalgo.placing._FILL_S", 60)
    monkeypatch.setattr("core.web.openalgo.orders._CLOSE_S", 60)
    port, ws_port = lasting_ports(2)
    own = {"SIXSTEP_OPENALGO__PORT": str(port), "SIXSTEP_OPENALGO__WS_PORT": str(ws_port)}
    with running(tmp_path, **FILES, **{**OPENALGO, **own}) as service:
        begun(service)
        client = api(api_key=KEY, host=f"http://127.0.0.1:{port}", ws_port=ws_port)
        ended = day(client, lambda symbol, price: service.set_price(price, symbol))
        assert {one["mode"] for one in ended.ticks} == {1, 2, 3}
        books_are_equal(service)


def books_are_equal(service: Running) -> None:
    """What strategies hold is what the broker shows, and the record is sound."""

    def equal() -> bool:
        held: dict[str, int] = {}
        for _, symbol, quantity, _ in service.guard_lines():
            held[symbol] = held.get(symbol, 0) + quantity
        read = service.ask("order_watcher", GetPositions()).positions
        shown = {one.symbol: one.net_quantity for one in read if one.net_quantity}
        return {symbol: quantity for symbol, quantity in held.items() if quantity} == shown

    wait_until(equal)
    assert check(service.store) == []
