"""Commands from Telegram, from a server that speaks its API down to the exchange."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.messages import SetHalt
from core.model.order import Product, Tag
from tests.scenarios.orders import marketable, resting
from tests.support import wait_until
from tests.support_service import Running, running
from tests.telegram.bot_api import CHAT, TOKEN, BotApi, bot_api

STRANGER = 666


@pytest.fixture
def telegram() -> Iterator[BotApi]:
    with bot_api() as api:
        yield api


@pytest.fixture
def service(tmp_path: Path, telegram: BotApi) -> Iterator[Running]:
    with running(tmp_path, **environ(telegram)) as run:
        run.set_price("1500")
        yield run


def environ(telegram: BotApi, **more: str) -> dict[str, str]:
    return {
        "SIXSTEP_TELEGRAM__TOKEN": TOKEN,
        "SIXSTEP_TELEGRAM__CHAT_ID": str(CHAT),
        "SIXSTEP_TELEGRAM__BASE_URL": telegram.url,
        "SIXSTEP_TELEGRAM__COMMAND_CHATS": f"{CHAT}, -100200",
        "SIXSTEP_TELEGRAM__POLL_S": "0.05",
        **{f"SIXSTEP_TELEGRAM__{name}": value for name, value in more.items()},
    }


def test_status_pnl_orders_and_positions_are_told(service: Running, telegram: BotApi) -> None:
    entry = service.submit(marketable(quantity=10))
    service.wait_for(entry.command_id, "EXECUTED")
    service.submit(resting(strategy="beta"))
    telegram.write("/status")
    assert "Orders are taken." in telegram.wait_sent("An ENTRY would pass")
    telegram.write("/orders")
    told = telegram.wait_sent("Today 1 filled")
    assert "beta: BUY 0/50 INFY-EQ LIMIT 1450" in told
    telegram.write("/positions")
    told = telegram.wait_sent("Held by strategies")
    assert "INFY-EQ MIS +10" in told
    assert "alpha: +10 INFY-EQ" in told
    telegram.write("/pnl@sixstep_bot")
    telegram.wait_sent("Day P&L")
    telegram.write("/dance")
    assert "/squareoff" in telegram.wait_sent("/halt reason")


@pytest.mark.parametrize(
    "text", ["/halt", "/HALT", "/halt!", "/halt\nat once", "/halt\t\u0928\u0930 \ud83d\ude00", "/halt " + "x" * 3000]
)
def test_g25_a_halt_in_any_form_halts(service: Running, telegram: BotApi, text: str) -> None:
    telegram.write(text)
    telegram.wait_sent("Trading is halted by telegram")
    assert service.store.current_halt("PAPER") is not None


def test_d10_halt_stops_entries_and_resume_lets_them_go(service: Running, telegram: BotApi) -> None:
    telegram.write("/halt news  at noon")
    telegram.wait_sent("Trading is halted by telegram")
    blocked = service.submit(resting())
    assert blocked.tag is Tag.RISK_LIMITS_EXCEEDED
    assert "news at noon" in (blocked.reason or "")
    telegram.write("/resume")
    telegram.wait_sent("Trading goes on.")
    telegram.wait_sent("INFO: trading resumed by")
    entry = service.submit(resting())
    assert entry.success
    telegram.write(f"/modify {entry.command_id} quantity=40")
    telegram.wait_sent("TAKEN: the broker took the request")
    wait_until(lambda: service.row(entry.command_id)["quantity"] == 40)
    telegram.write(f"/modify {entry.command_id} price=much")
    telegram.wait_sent("INVALID: price: must be a number of rupees")
    telegram.write(f"/cancel {entry.command_id}")
    assert service.wait_for(entry.command_id, "FAILED")["tag"] == Tag.BROKER_CANCELLED


def test_a_square_off_needs_its_code(service: Running, telegram: BotApi) -> None:
    for strategy in ("alpha", "beta"):
        entry = service.submit(marketable(strategy=strategy, quantity=10))
        service.wait_for(entry.command_id, "EXECUTED")
    telegram.write("/squareoff alpha")
    told = telegram.wait_sent("/confirm")
    assert "everything strategy alpha holds" in told
    code = re.findall(r"/confirm (\d{4})", told)[0]
    telegram.write(f"/confirm {(int(code) + 1) % 10000:04d}")
    telegram.wait_sent("There is nothing to confirm")
    telegram.write(f"/confirm {code}")
    telegram.wait_sent("There is nothing to confirm", times=2)
    assert [line[2] for line in service.guard_lines()] == [10, 10], "a wrong try spends the code"
    telegram.write("/squareoff alpha")
    code = re.findall(r"/confirm (\d{4})", telegram.wait_sent("/confirm", times=2))[0]
    telegram.write(f"/confirm {code}")
    telegram.wait_sent("alpha: SELL 10 INFY-EQ")
    service.wait_for_guard([("beta", "INFY-EQ", 10, 0)])
    assert {row["source"] for row in service.rows() if row["execution_type"] == "EXIT"} == {"TELEGRAM"}


def test_g24_a_square_off_of_an_unknown_strategy_is_told_near_names(service: Running, telegram: BotApi) -> None:
    entry = service.submit(marketable(quantity=10))
    service.wait_for(entry.command_id, "EXECUTED")
    telegram.write("/squareoff alhpa")
    told = telegram.wait_sent("No strategy alhpa is known")
    assert "did you mean alpha?" in told
    assert "/confirm" not in told
    telegram.write("/confirm 0000")
    telegram.wait_sent("There is nothing to confirm")
    assert service.guard_lines() == [("alpha", "INFY-EQ", 10, 0)]


def test_g24_a_square_off_tells_before_and_after_what_it_leaves(service: Running, telegram: BotApi) -> None:
    entry = service.submit(marketable(quantity=10))
    delivery = service.submit(marketable(strategy="beta", quantity=7, product=Product.CNC))
    for order in (entry, delivery):
        service.wait_for(order.command_id, "EXECUTED")
    telegram.write("/squareoff")
    told = telegram.wait_sent("/confirm")
    assert "Not touched: +7 INFY-EQ (for delivery (CNC): it stays)" in told
    code = re.findall(r"/confirm (\d{4})", told)[0]
    telegram.write(f"/confirm {code}")
    told = telegram.wait_sent("alpha: SELL 10 INFY-EQ")
    assert "Not touched: +7 INFY-EQ (for delivery (CNC): it stays)" in told
    # Of a strategy that is flat by then the database knows the name.
    service.wait_for_guard([("beta", "INFY-EQ", 7, 0)])
    telegram.write("/squareoff alpha")
    telegram.wait_sent("everything strategy alpha holds")


def test_chats_that_are_not_allowed_are_not_even_answered(service: Running, telegram: BotApi) -> None:
    for text in ("/halt", "/status", "/squareoff", "/confirm 0000"):
        telegram.write(text, chat=STRANGER)
    telegram.wait_fetched()
    telegram.write("/status", chat=-100200)
    telegram.wait_sent("Orders are taken.")
    assert [chat for chat, _ in telegram.sent] == ["-100200"]
    assert service.store.current_halt("PAPER") is None


def test_what_was_written_while_the_service_was_down_is_not_done_later(service: Running, telegram: BotApi) -> None:
    telegram.write("/halt", age_s=120)
    assert "Write it again" in telegram.wait_sent("Ignored")
    assert service.store.current_halt("PAPER") is None


@pytest.mark.parametrize(
    "update",
    [
        {},
        {"message": None},
        {"message": {"text": 5, "chat": {"id": CHAT}, "date": 1}},
        {"message": {"text": "/halt"}},
        {"message": {"text": "/halt", "chat": {"id": str(CHAT)}, "date": "now"}},
        {"edited_message": {"text": "/halt", "chat": {"id": CHAT}, "date": 9_999_999_999}},
    ],
)
def test_updates_that_are_no_commands_pass(service: Running, telegram: BotApi, update: dict[str, object]) -> None:
    telegram.update(update)
    telegram.wait_fetched()
    telegram.write("/pnl")
    telegram.wait_sent("Day P&L")
    assert service.store.current_halt("PAPER") is None


# S1: a command is obeyed once, by the run it was written to.


def halt(run: Running, reason: str) -> None:
    box = run.service.runtime.open_reply()
    run.service.runtime.tell("order_repo", SetHalt(reason, "test", box.name))
    box.future.result(5)


def halted(run: Running) -> str | None:
    found = run.store.current_halt("PAPER")
    return found.reason if found is not None else None


def test_s1_a_resume_delivered_again_after_a_restart_clears_no_newer_halt(tmp_path: Path, telegram: BotApi) -> None:
    with running(tmp_path, **environ(telegram)) as service:
        telegram.write("/halt first")
        telegram.wait_sent("Trading is halted")
        telegram.write("/resume")
        telegram.wait_sent("Trading goes on.")
        halt(service, "the newer one")
    with running(tmp_path, **environ(telegram)) as service:
        telegram.wait_fetched()
        telegram.write("/status")
        telegram.wait_sent("Halted by")
        assert halted(service) == "the newer one"


def test_s1_nothing_is_obeyed_before_telegram_has_acknowledged_it(service: Running, telegram: BotApi) -> None:
    """Else the next start is given it again: the fetch that acknowledges it fails while the service lives."""
    halt(service, "by hand")
    telegram.wait_fetched()
    telegram.unreachable_from = 101
    telegram.write("/resume")
    telegram.wait_fetched()
    assert halted(service) == "by hand"
    telegram.unreachable_from = None
    telegram.wait_sent("Trading goes on.")
    assert halted(service) is None


def test_s1_a_resume_fetched_and_not_acknowledged_is_dead_after_the_restart(tmp_path: Path, telegram: BotApi) -> None:
    with running(tmp_path, **environ(telegram)) as service:
        halt(service, "by hand")
        telegram.wait_fetched()
        telegram.unreachable_from = 101
        telegram.write("/resume")
        telegram.wait_fetched()
    telegram.unreachable_from = None
    with running(tmp_path, **environ(telegram)) as service:
        assert "written before the service started" in telegram.wait_sent("Ignored")
        assert halted(service) == "by hand"


def test_s1_what_waits_at_the_start_is_not_obeyed_even_if_the_clocks_differ(tmp_path: Path, telegram: BotApi) -> None:
    """Telegram's clock is 20 s ahead of ours: by their dates these were written after the start."""
    for _ in range(30):
        telegram.write("/resume", age_s=-20)
    with running(tmp_path, **environ(telegram)) as service:
        halt(service, "by hand")
        assert "written before the service started" in telegram.wait_sent("Ignored", times=30)
        assert halted(service) == "by hand"
        telegram.write("/resume", age_s=-20)
        telegram.wait_sent("Trading goes on.")


def test_s1_a_square_off_asked_for_before_a_restart_cannot_be_confirmed_after_it(
    tmp_path: Path, telegram: BotApi
) -> None:
    with running(tmp_path, **environ(telegram)):
        telegram.write("/squareoff")
        code = re.findall(r"/confirm (\d{4})", telegram.wait_sent("/confirm"))[0]
    with running(tmp_path, **environ(telegram)):
        telegram.wait_fetched()
        telegram.write(f"/confirm {code}")
        telegram.wait_sent("There is nothing to confirm")


# S10: only what somebody wrote to this bot, here and now.


@pytest.mark.parametrize(
    "more",
    [
        {"forward_origin": {"type": "user"}},
        {"forward_date": 1},
        {"edit_date": 1},
        {"via_bot": {"id": 5}},
        {"from": {"id": 5, "is_bot": True}},
        {"age_s": -3600},
    ],
)
def test_s10_forwarded_and_future_dated_commands_are_not_obeyed(
    service: Running, telegram: BotApi, more: dict[str, object]
) -> None:
    halt(service, "by hand")
    telegram.wait_fetched()
    telegram.write("/resume", **more)
    telegram.wait_sent("Ignored")
    assert halted(service) == "by hand"


def test_s10_a_command_to_another_bot_is_not_ours(service: Running, telegram: BotApi) -> None:
    halt(service, "by hand")
    telegram.wait_fetched()
    telegram.write("/resume@another_bot")
    telegram.update({"edited_message": telegram.message("/resume")})
    telegram.write("/status")
    telegram.wait_sent("Halted by")
    assert len(telegram.sent) == 1
    telegram.write("/resume@sixstep_bot")
    telegram.wait_sent("Trading goes on.")
    telegram.write("/halt@SIXSTEP_BOT news")
    telegram.wait_sent("Trading is halted")
    assert halted(service) == "news"


def test_s10_a_bot_that_cannot_learn_its_name_still_halts_and_does_not_resume(
    service: Running, telegram: BotApi
) -> None:
    telegram.wait_fetched()
    telegram.username = ""
    telegram.write("/halt@sixstep_bot news")
    telegram.wait_sent("Trading is halted")
    telegram.write("/resume@sixstep_bot")
    telegram.write("/status")
    telegram.wait_sent("Halted by")
    assert halted(service) == "news"


def test_fills_and_rejections_are_told_unless_their_switch_is_off(tmp_path: Path, telegram: BotApi) -> None:
    with running(tmp_path, **environ(telegram, FILLS="false")) as service:
        service.set_price("1500")
        entry = service.submit(marketable(quantity=10))
        service.wait_for(entry.command_id, "EXECUTED")
        service.submit(marketable())
        told = telegram.wait_sent("EXECUTION_GUARD_BLOCKED")
        assert "exit first" in told
        assert "filled at" not in str(telegram.sent)


def test_law11_the_token_is_in_no_log_when_telegram_is_gone(
    tmp_path: Path, telegram: BotApi, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = {**environ(telegram), "SIXSTEP_TELEGRAM__BASE_URL": "http://127.0.0.1:9"}
    with running(tmp_path, **gone) as service:
        service.submit(resting(quantity=20000))
        wait_until(lambda: service.alerts("failed"))
    assert TOKEN not in capsys.readouterr().err


@pytest.mark.usefixtures("service")
def test_an_update_that_is_delivered_twice_is_obeyed_once(telegram: BotApi) -> None:
    first: dict[str, object] = {"message": telegram.message("/halt one"), "update_id": 5000}
    telegram.update(first)
    telegram.update(first)
    telegram.wait_sent("Trading is halted")
    telegram.update(first)
    telegram.wait_fetched()
    telegram.update({"message": telegram.message("/pnl"), "update_id": 5001})
    telegram.wait_sent("Day P&L")
    assert sum("Trading is halted by telegram" in text for _, text in telegram.sent) == 1
