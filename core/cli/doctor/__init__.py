"""`run.py doctor`: is everything there that a trading day needs, and what to do where it is not.

Nothing is changed, and nothing called but what the settings name; on paper nothing outside this machine. Where a
service runs on the same record it is asked, and what it holds is left alone. A login and a message to a person happen
only when asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from core.cli.client import CliError
from core.cli.doctor import here, outside
from core.cli.doctor.check import Check, Verdict, fail, ok, report, skip, warn
from core.cli.doctor.running import of_service
from core.files.instance import InstanceLock
from core.noren import BrokerProfile, FeedValue, NorenClient, PushFeed, profile
from core.process.account import lock_path
from core.runtime.clock import Clock
from core.settings import Settings, SettingsError, exchange_config, load_for_login, load_settings

__all__ = ["Asked", "Makers", "doctor"]


@dataclass(frozen=True, slots=True)
class Asked:
    """What the person wants looked at beyond the harmless."""

    login: bool = False
    telegram: bool = False
    backups: Path | None = None


@dataclass(frozen=True, slots=True)
class Makers:
    """What the service itself would use."""

    client: Callable[[Settings, BrokerProfile], NorenClient]
    feed: Callable[[Settings, BrokerProfile, Callable[[FeedValue], object]], PushFeed]
    strategies: Callable[[Settings], object]
    """Raises SettingsError."""


def doctor(file: Path | None, base: Path, makers: Makers, asked: Asked, clock: Clock, *, as_json: bool) -> str:
    """All checks.

    Raises:
        CliError: One failed; with the whole report.
    """
    checks = list(_checks(file, base, makers, asked, clock))
    text = report(checks, as_json=as_json)
    failed = [check.name for check in checks if check.verdict is Verdict.FAIL]
    if failed:
        raise CliError(f"{len(failed)} of {len(checks)} checks failed: {', '.join(dict.fromkeys(failed))}", text)
    return text


def _checks(file: Path | None, base: Path, makers: Makers, asked: Asked, clock: Clock) -> Iterator[Check]:
    yield here.python()
    settings, missing = None, ""
    try:
        settings = load_settings(file, base=base)
    except SettingsError as error:
        try:
            # All but the day's token, which a login is there to bring.
            settings, missing = load_for_login(file, base=base)[0], str(error)
        except SettingsError:
            yield from _mistakes(error)
    if settings is None:
        return
    yield from _settings(settings, makers)
    if (held_by := here.other_user(settings)) is not None:
        yield held_by
        return
    now = clock.now()
    holder = InstanceLock(lock_path(settings)).holder()
    if holder is not None:
        yield from of_service(settings, holder)
        yield from here.disk(settings)
    else:
        yield ok("service", "none runs on this record", "python run.py run")
        yield from here.disk(settings)
        yield here.database(settings)
        yield here.port(settings)
    yield here.token(settings, now, missing)
    yield from _broker(settings, makers, asked, clock, running=holder is not None, has_token=not missing)
    yield here.holidays(settings.calendar.day(now))
    yield outside.telegram(settings, send=asked.telegram)
    yield here.backups(asked.backups, settings, now)


def _settings(settings: Settings, makers: Makers) -> Iterator[Check]:
    try:
        makers.strategies(settings)
        exchange_config(settings.paper)
    except SettingsError as error:
        yield from _mistakes(error)
    else:
        real = "paper, no money" if settings.broker.profile.value == "paper" else "real money"
        yield ok("settings", f"valid: account {settings.account}, broker {settings.broker.profile.value} ({real})")
    for doubt in settings.warnings:
        yield warn("settings", str(doubt), "python run.py check-settings")


def _mistakes(error: SettingsError) -> Iterator[Check]:
    for problem in error.problems:
        yield fail("settings", str(problem), "mend it; python run.py check-settings tells the same")


def _broker(
    settings: Settings, makers: Makers, asked: Asked, clock: Clock, *, running: bool, has_token: bool
) -> Iterator[Check]:
    if settings.runs_paper_exchange:
        yield ok("network", "none is used: the paper exchange is inside the service, and has this machine's clock")
        return
    broker = profile(settings.broker.profile.value, host=settings.broker.host, websocket=settings.broker.websocket)
    yield from outside.network(settings, broker, clock)
    if running:
        yield skip("login", "the service has the session, and a second login could end it")
    elif has_token:
        yield from outside.session(
            settings,
            lambda: makers.client(settings, broker),
            lambda deliver: makers.feed(settings, broker, deliver),
            login=asked.login,
        )
