"""Alerts to Telegram: grouped, sent again when they were not taken, and bounded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from actors.notifier import Notifier
from core.messages import Alert, GetRecentAlerts, RecentAlerts
from core.model.alerts import AlertKind, AlertSwitch, Severity
from core.runtime import SystemClock, ThreadRuntime
from core.settings.models import TelegramSettings
from core.telegram.client import TelegramAccount
from tests.support import no_dead_letters, wait_until
from tests.telegram.bot_api import CHAT, TOKEN, BotApi, bot_api


@contextmanager
def notifier(api: BotApi, **more: object) -> Iterator[ThreadRuntime]:
    account = TelegramAccount(token=TOKEN, chat_id=str(CHAT), base_url=api.url)
    with no_dead_letters(ThreadRuntime(SystemClock())) as runtime:
        runtime.spawn(Notifier, "notifier", account=account, **{"interval_s": 0.4, **more})
        runtime.barrier("notifier", 5)
        yield runtime


def alert(text: str, kind: AlertKind = AlertKind.FAILED) -> Alert:
    return Alert(Severity.WARNING, kind, text)


def test_alerts_that_come_together_are_one_message() -> None:
    with bot_api() as api, notifier(api) as addresses:
        for number in range(5):
            addresses.tell("notifier", alert(f"number {number}"))
        api.wait_sent("number 4")
        assert len(api.sent) == 1
        assert api.sent[0][0] == str(CHAT)
        assert api.sent[0][1].splitlines() == [f"WARNING: number {number}" for number in range(5)]


@pytest.mark.parametrize("failure", [(429, {"ok": False, "parameters": {"retry_after": 0.2}})])
def test_what_telegram_did_not_take_is_sent_again(failure: tuple[int, dict[str, object]]) -> None:
    with bot_api() as api, notifier(api) as addresses:
        api.failures.append(failure)
        addresses.tell("notifier", alert("first"))
        addresses.tell("notifier", alert("second"))
        assert api.wait_sent("first") == "WARNING: first\nWARNING: second"
        assert api.failures == []


def test_a_flood_drops_the_oldest_and_says_so() -> None:
    with bot_api() as api, notifier(api, queue_limit=3) as addresses:
        for number in range(10):
            addresses.tell("notifier", alert(f"number {number}"))
        told = api.wait_sent("number 9")
        assert "(7 older alerts dropped)" in told
        assert "number 6" not in told


def test_g27_a_critical_alert_goes_before_a_flood_of_small_ones() -> None:
    with bot_api() as api, notifier(api, queue_limit=5) as addresses:
        for number in range(20):
            addresses.tell("notifier", alert(f"small {number}"))
        addresses.tell("notifier", Alert(Severity.CRITICAL, AlertKind.MAX_LOSS, "the loss"))
        for number in range(20, 40):
            addresses.tell("notifier", alert(f"small {number}"))
        assert api.wait_sent("the loss").startswith("CRITICAL: the loss\n")


@pytest.mark.parametrize("reason", ["Bad Request: can't parse entities", "Bad Request: message is too long"])
def test_g27_a_text_telegram_refuses_does_not_block_those_after_it(reason: str) -> None:
    with bot_api() as api, notifier(api, interval_s=0.05) as addresses:
        refusal = (400, {"ok": False, "description": reason})
        api.refuses = lambda text: refusal if "poison" in text else None
        for text in ("one", "poison", "two"):
            addresses.tell("notifier", Alert(Severity.CRITICAL, AlertKind.ODD_STATUS, text))
        api.wait_sent("two")
        assert [line for _, text in api.sent for line in text.splitlines()] == ["CRITICAL: one", "CRITICAL: two"]
        assert api.refused.count("CRITICAL: poison") == 2, "once more as plain text, and then no more"
        found = addresses.ask(addresses.address("notifier"), GetRecentAlerts(), 5)
        assert isinstance(found, RecentAlerts)
        assert found.undelivered == "Telegram refused 1 alert(s) since the start; they are in the log"


def test_g27_an_alert_is_kept_while_the_chat_or_telegram_is_wrong_and_the_page_says_so() -> None:
    with bot_api() as api, notifier(api, interval_s=0.05) as addresses:
        refusal = (400, {"ok": False, "description": "Bad Request: chat not found"})
        api.refuses = lambda _: refusal
        addresses.tell("notifier", Alert(Severity.CRITICAL, AlertKind.ODD_STATUS, "kept"))
        wait_until(lambda: bool(api.refused))
        found = addresses.ask(addresses.address("notifier"), GetRecentAlerts(), 5)
        assert isinstance(found, RecentAlerts)
        assert "1 alert(s) wait for Telegram: Telegram answered HTTP 400: Bad Request: chat not" in str(
            found.undelivered
        )


def test_g27_nothing_is_sent_before_the_time_telegram_asks_for_is_over() -> None:
    with bot_api() as api:
        with notifier(api, interval_s=0.05) as addresses:
            api.failures.append((429, {"ok": False, "parameters": {"retry_after": 60}}))
            addresses.tell("notifier", alert("first"))
            wait_until(lambda: not api.failures)
            addresses.tell("notifier", Alert(Severity.CRITICAL, AlertKind.ODD_STATUS, "second"))
        assert api.sent == [], "not even at the end"


def test_what_waits_is_sent_before_the_end() -> None:
    with bot_api() as api:
        with notifier(api, interval_s=60.0) as addresses:
            addresses.tell("notifier", alert("last words"))
        assert [text for _, text in api.sent] == ["WARNING: last words"]


def test_a_switch_mutes_its_kinds_and_nothing_else() -> None:
    with bot_api() as api, notifier(api, muted=frozenset({"fills", "trouble"})) as addresses:
        addresses.tell("notifier", alert("a fill", AlertKind.EXECUTED))
        addresses.tell("notifier", alert("an error", AlertKind.ACTOR_FAILED))
        addresses.tell("notifier", alert("a refusal", AlertKind.FAILED))
        api.wait_sent("a refusal")
        assert [text for _, text in api.sent] == ["WARNING: a refusal"]


def test_every_switch_has_its_kinds_and_its_setting() -> None:
    assert {kind.switch for kind in AlertKind} == set(AlertSwitch)
    assert [switch for switch in AlertSwitch if switch not in TelegramSettings.model_fields] == []


def test_what_nobody_has_to_act_on_now_is_not_critical() -> None:
    critical = {kind for kind in AlertKind if kind.severity is Severity.CRITICAL}
    assert critical >= {AlertKind.EXIT_OPENED, AlertKind.EXIT_UNVERIFIED, AlertKind.KEY_REUSED, AlertKind.LOGIN}
    assert not critical & {AlertKind.EXTERNAL_ORDER, AlertKind.SESSION, AlertKind.UNKNOWN, AlertKind.DAILY_LOSS}


def test_the_last_alerts_are_kept_for_the_pages_newest_first() -> None:
    with bot_api() as api, notifier(api) as addresses:
        addresses.tell("notifier", alert("one"))
        addresses.tell("notifier", alert("two"))
        found = addresses.ask(addresses.address("notifier"), GetRecentAlerts(), 5)
        assert isinstance(found, RecentAlerts)
        assert [told.text for _, told in found.alerts] == ["two", "one"]
