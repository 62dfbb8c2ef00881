"""Commands from Telegram, from a server that speaks its API down to the exchange."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.order import Tag
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


def test_d10_halt_stops_entries_and_resume_lets_them_go(service: Running, telegram: BotApi) -> None:
    telegram.write("/halt news  at noon")
    telegram.wait_sent("Trading is halted by telegram")
    blocked = service.submit(resting())
    assert blocked.tag is Tag.RISK_LIMITS_EXCEEDED
    assert "news at noon" in (blocked.reason or "")
    telegram.write("/resume")
    telegram.wait_sent("Trading goes on.")
    assert service.submit(resting()).success


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
