"""Live prices through the whole service: from the exchange's socket to a strategy, the API and the command line."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import requests

from core.messages import FeedState, FeedStatus, GetFeedState, GetInstrumentFiles, SubscribePrices
from core.model.broker import PriceSource, Quote
from core.model.order import ExecutionType, OrderIntent, OrderResult, OrderType, Side, Tag
from core.store.check import check
from tests.factories import an_intent
from tests.scenarios.strategies import Follower, with_strategy
from tests.support import wait_until
from tests.support_process import run_py
from tests.support_service import Running, running

INFY, SBIN = "INFY-EQ", "SBIN-EQ"
ON_PAPER = {"SIXSTEP_INSTRUMENTS__EXCHANGES": "NSE"}


def told(name: str = "follower", symbol: str = INFY) -> list[Quote]:
    return [quote for quote in Follower.told[name] if quote.symbol == symbol]


def wait_for_price(rupees: str, symbol: str = INFY, source: PriceSource = PriceSource.FEED) -> Quote:
    """The first tick with this price from this source."""

    def found() -> list[Quote]:
        return [one for one in told(symbol=symbol) if f"{one.last_price}" == rupees and one.source is source]

    wait_until(lambda: bool(found()))
    return found()[0]


def wait_for_ticks(count: int, symbol: str = INFY) -> None:
    """Wait for so many ticks more."""
    before = len(told(symbol=symbol))
    wait_until(lambda: len(told(symbol=symbol)) >= before + count)


def quotes(service: Running, *symbols: str) -> list[dict[str, Any]]:
    assert service.service.web is not None
    url = f"{service.service.web.url}/api/quotes"
    reply = requests.get(url, params={"symbols": ",".join(symbols)}, timeout=30)
    assert reply.status_code == 200, reply.text
    found: list[dict[str, Any]] = reply.json()["quotes"]
    return found


def asked_quotes(service: Running) -> int:
    """How many quotes the broker was asked for."""
    return sum(1 for record in service.service.runtime.tracer.recent() if record.type == "ReadQuote")


@pytest.fixture(autouse=True)
def _nothing_told() -> Iterator[None]:
    Follower.told.clear()
    Follower.busy.clear()
    yield
    Follower.busy.clear()


@pytest.fixture
def followed(tmp_path: Path, engine: str) -> Iterator[Running]:  # noqa: ARG001 - chooses the database
    """A service whose strategy follows two shares, and takes no instrument for silent."""
    yield from _following(tmp_path, silence_s=600)


@pytest.fixture
def watchful(tmp_path: Path, engine: str) -> Iterator[Running]:  # noqa: ARG001 - chooses the database
    """The same, but that an instrument without ticks counts as silent soon."""
    yield from _following(tmp_path, silence_s=3)


def _following(directory: Path, silence_s: int) -> Iterator[Running]:
    given = {**ON_PAPER, "SIXSTEP_PRICES__SILENCE_S": str(silence_s)}
    with running(directory, settings=with_strategy("follower", "Follower"), **given) as service:
        for symbol in (INFY, SBIN):
            wait_until(lambda symbol=symbol: bool(told(symbol=symbol)))  # type: ignore[misc]
        yield service


def test_pushed_prices_reach_a_strategy_whole_and_cost_no_call(followed: Running) -> None:
    followed.set_price("1520")
    tick = wait_for_price("1520.00")
    assert None not in (tick.bid, tick.ask)
    # The frame of a change has the price alone; these came with the first one.
    assert None not in (tick.open, tick.close, tick.volume, tick.tick_size)
    assert tick.age_s < 60
    assert asked_quotes(followed) == 0
    kinds = {record.type for record in followed.service.runtime.tracer.recent()}
    assert not kinds & {"TicksPushed", "TicksTold", "MoreTicks"}


def test_depth_has_five_levels_on_each_side(followed: Running) -> None:
    followed.service.runtime.tell("prices", SubscribePrices("NSE", (INFY,), "strategy:follower", depth=True))
    wait_until(lambda: len(told()[-1].bids) == 5)
    tick = told()[-1]
    assert (tick.bids[0][0], tick.asks[0][0], len(tick.asks)) == (tick.bid, tick.ask, 5)


def test_e3_prices_are_subscribed_anew_after_each_reconnect(followed: Running) -> None:
    for rupees in ("1521", "1522"):
        followed.control("close_sockets")
        wait_until(lambda: _standing(followed) is FeedStatus.DOWN)
        wait_until(lambda: _standing(followed) is FeedStatus.CONNECTED)
        followed.set_price(rupees)
        assert wait_for_price(f"{rupees}.00").source is PriceSource.FEED


def _standing(service: Running) -> FeedStatus:
    state = service.ask("order_feed", GetFeedState())
    assert isinstance(state, FeedState)
    return state.standing


def test_heartbeats_without_ticks_are_noticed_and_quotes_fill_in(watchful: Running) -> None:
    watchful.control("add_fault", kind="feed_no_ticks", text=INFY, count=0)
    watchful.set_price("1530")
    assert wait_for_price("1530.00", source=PriceSource.QUOTE).age_s < 60
    wait_until(lambda: any(f"silent of NSE:{INFY}" in text for text in watchful.alerts("prices")))
    assert not any(SBIN in text for text in watchful.alerts("prices"))


def test_g11_the_prices_of_another_instrument_are_not_used_and_said(watchful: Running) -> None:
    watchful.set_price("1540")
    wait_for_price("1540.00")
    watchful.control("add_fault", kind="feed_wrong_instrument", text=INFY, count=0)
    watchful.set_price("1541")
    wait_until(lambda: any("is not used" in text or "not used" in text for text in watchful.alerts("prices")))
    assert wait_for_price("1541.00", source=PriceSource.QUOTE)
    assert max(quote.last_price for quote in told()) < 2000
    watchful.control("clear_faults")
    watchful.set_price("1542")
    wait_for_price("1542.00")


def test_g11_a_quote_of_another_instrument_is_not_used_and_said(followed: Running) -> None:
    followed.control("add_fault", kind="quote_index_level", path="GetQuotes", count=0)
    (wrong,) = quotes(followed, "RELIANCE")
    assert "is not used: it lies outside the day's band" in wrong["error"]
    assert "last_price" not in wrong


def market(symbol: str, kind: ExecutionType = ExecutionType.ENTRY, strategy: str = "market") -> OrderIntent:
    side = Side.BUY if kind is ExecutionType.ENTRY else Side.SELL
    return an_intent(kind, side, 5, strategy=strategy, symbol=symbol, order_type=OrderType.MARKET, price=None)


def priced_by(service: Running, result: OrderResult) -> str:
    """What the record tells of the price of a market order."""

    def told() -> list[str]:
        events = service.row(result.command_id)["events"]
        return [event["reason"] for event in events if "sent as" in (event["reason"] or "")]

    wait_until(lambda: bool(told()))
    return str(told()[0])


def test_t23_a_market_order_is_priced_by_the_feed_and_costs_no_quote(followed: Running) -> None:
    """The feed's price is a moment old: the broker is asked for none."""
    followed.control("add_fault", kind="refuse_text", path="GetQuotes", count=0)
    followed.set_price("1520")
    wait_for_price("1520.00")
    bought = followed.submit(market(INFY))
    assert followed.wait_for(bought.command_id, "EXECUTED")["quantity"] == 5
    assert asked_quotes(followed) == 0
    text = priced_by(followed, bought)
    assert "sent as LIMIT at 152" in text
    assert "last 1520.00 (push feed, 0." in text


def test_g11_a_market_exit_goes_although_its_quote_is_another_s_and_an_entry_does_not(followed: Running) -> None:
    followed.set_price("300", "TCS-EQ")
    held = an_intent(quantity=5, strategy="market", symbol="TCS-EQ", price=Decimal(301))
    followed.wait_for(followed.submit(held).command_id, "EXECUTED")
    followed.control("add_fault", kind="quote_index_level", path="GetQuotes", count=0)
    refused = followed.submit(market("TCS-EQ", strategy="another"))
    assert (refused.tag, "is not used: it lies outside the day's band" in str(refused.reason)) == (
        Tag.BROKER_NOT_SENT,
        True,
    )
    sold = followed.submit(market("TCS-EQ", ExecutionType.EXIT))
    followed.wait_for(sold.command_id, "EXECUTED")
    assert "by the day's band, as the broker's quote tells it" in priced_by(followed, sold)
    # The actor that has the call tells it after the call, which the feed may overtake.
    wait_until(lambda: any(sold.command_id in text for text in followed.alerts("prices")))
    (alert,) = [text for text in followed.alerts("prices") if sold.command_id in text]
    assert "outside the day's band" in alert
    assert "; the EXIT goes at " in alert
    assert check(followed.store) == []


def test_a_slow_strategy_gets_the_newest_price_and_the_count_of_those_it_missed(followed: Running) -> None:
    Follower.busy.set()
    wait_for_ticks(1)
    for rupees in range(1550, 1570):
        followed.set_price(str(rupees))
    # Prices have their own place to wait in: the strategy's mailbox stays empty, and orders go on.
    wait_until(lambda: _price(followed, INFY) == "1569.00")
    assert followed.service.runtime.health()["strategy:follower"].depth <= 1
    Follower.busy.clear()
    newest = wait_for_price("1569.00")
    assert newest.missed >= 15
    assert len([one for one in told() if 1550 <= one.last_price < 1569]) <= 4


def _price(service: Running, symbol: str) -> str:
    return str(quotes(service, f"NSE:{symbol}")[0]["last_price"])


def test_t23_quotes_asked_for_five_times_a_second_come_from_the_feed(tmp_path: Path, monkeypatch: Any) -> None:
    """Each second one, they overran the call budget, and books and positions were unread for 11 s of a minute."""
    symbols = ("INFY-EQ", "SBIN-EQ", "RELIANCE-EQ", "TCS-EQ", "ITC-EQ")
    monkeypatch.setattr(Follower, "symbols", symbols)
    monkeypatch.setattr(Follower, "every_s", 0.2)
    given = {**ON_PAPER, "SIXSTEP_PRICES__SILENCE_S": "600"}
    with running(tmp_path, settings=with_strategy("follower", "Follower"), **given) as service:
        wait_until(lambda: {quote.symbol for quote in Follower.told["follower"]} == set(symbols))
        wait_until(lambda: len(service.ask("instruments", GetInstrumentFiles()).files) == 1)
        wait_until(
            lambda: {q.symbol for q in Follower.told["follower"] if q.source is PriceSource.FEED} == set(symbols)
        )
        before, asked = len(Follower.told["follower"]), asked_quotes(service)
        wait_until(lambda: len(Follower.told["follower"]) >= before + 50)
        assert asked_quotes(service) == asked


def test_prices_are_told_by_the_api_and_the_command_line(followed: Running) -> None:
    followed.set_price("1525")
    wait_for_price("1525.00")
    assert followed.service.web is not None
    by_feed, by_quote, unknown = quotes(followed, "INFY", "NSE:TCS-EQ", "NOSUCHTHING")
    assert (by_feed["symbol"], by_feed["last_price"], by_feed["source"]) == (INFY, "1525.00", "feed")
    assert (by_feed["error"], by_quote["error"]) == (None, None)
    assert (by_quote["symbol"], by_quote["source"], by_quote["second"]) == ("TCS-EQ", "quote", "band")
    assert by_feed["age_s"] is not None
    assert unknown["error"].startswith("there is no instrument NOSUCHTHING")
    environ = {"SIXSTEP_WEB__PORT": str(followed.service.web.port)}
    done = run_py("quote", "INFY", environ=environ)
    assert done.returncode == 0, done.stderr
    assert all(word in done.stdout for word in ("INFY-EQ", "1525.00", "feed"))
    wrong = run_py("quote", "INFY", "NOSUCHTHING", environ=environ)
    assert wrong.returncode == 1
    assert "INFY-EQ" in wrong.stdout
    assert "there is no instrument NOSUCHTHING" in wrong.stderr
