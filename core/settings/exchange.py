"""From `[paper]` to the paper exchange's own configuration: the files it names are read, and checked, here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from zipfile import BadZipFile

from pydantic import SecretStr, ValidationError

from core.paper.config import AccountConfig, ExchangeConfig, HoldingConfig, Latency, Tick
from core.paper.instruments import Instrument, load_master, shipped_master
from core.paper.ticks import parse_ticks
from core.settings.load import SettingsError, SettingsProblem
from core.settings.models import Settings
from core.settings.paper import PaperAccountSettings, PaperSettings

__all__ = ["exchange_config", "own_exchange", "own_login"]

_TURNED = {"accounts", "prefixes", "rate_per_s", "rate_per_min"}
_SAME = (set(PaperSettings.model_fields) & set(ExchangeConfig.model_fields)) - _TURNED
_LOGIN = ("password", "totp_secret", "api_secret", "vendor_code")

_ANY_DAY = date(2026, 1, 1)
"""The contracts that are shipped are the same on every day but for the names and expiries of derivatives."""


def exchange_config(paper: PaperSettings) -> ExchangeConfig:
    """The exchange that `[paper]` describes.

    Raises:
        SettingsError: Files that cannot be read, with the row at fault, and names that are not listed; all at once.
    """
    problems: list[SettingsProblem] = []
    instruments = [i for path in paper.symbol_files for i in _symbols(path, problems)]
    ticks = _ticks(paper.recording, problems) if paper.recording is not None else ()
    accounts = tuple(_accounts(paper, problems))
    if not problems:
        problems.extend(_unlisted(paper, instruments or shipped_master(_ANY_DAY), ticks))
    if problems:
        raise SettingsError(problems)
    return ExchangeConfig(
        **{name: getattr(paper, name) for name in _SAME},
        prefixes=(*paper.prefixes, ""),
        instruments=tuple(instruments),
        ticks=ticks,
        rate_per_s=paper.rate_per_s or None,
        rate_per_min=paper.rate_per_min or None,
        latency=Latency(
            risk_s=paper.risk_delay_s,
            exchange_s=paper.exchange_delay_s,
            push_s=paper.push_delay_s,
            jitter=paper.delay_jitter,
        ),
        accounts=accounts,
    )


def own_exchange(settings: Settings) -> ExchangeConfig:
    """The exchange inside the service, which the service must be able to log in to.

    Raises:
        SettingsError: As `exchange_config`; or the broker's login is none of the accounts that are named.
    """
    config = exchange_config(settings.paper)
    problems = list(_login_problems(settings))
    if problems:
        raise SettingsError(problems)
    return config


def own_login(settings: Settings, key: str) -> str:
    """A part of the login that the named account knows, so that it need not be written twice; empty for none."""
    account = _own_account(settings)
    return _plain(getattr(account, key)) if account is not None and key in _LOGIN else ""


def _own_account(settings: Settings) -> PaperAccountSettings | None:
    uid = settings.broker.user_id or settings.account
    return next((account for account in settings.paper.accounts if account.uid == uid), None)


def _login_problems(settings: Settings) -> Iterator[SettingsProblem]:
    accounts = settings.paper.accounts
    if not accounts:
        return
    if _own_account(settings) is None:
        uid, known = settings.broker.user_id or settings.account, ", ".join(account.uid for account in accounts)
        yield SettingsProblem(
            "broker.user_id",
            f"is {uid}, and [[paper.accounts]] names only {known}: make user_id one of them, add {uid} there, or take "
            "all accounts away, and any login is taken",
        )
        return
    for key in _LOGIN:
        ours, theirs = _plain(getattr(settings.broker, key)), own_login(settings, key)
        if ours and theirs and ours != theirs:
            yield SettingsProblem(
                f"broker.{key}",
                "is not that of the account in [[paper.accounts]]: leave it empty here, and theirs is used",
            )


def _accounts(paper: PaperSettings, problems: list[SettingsProblem]) -> Iterator[AccountConfig]:
    for number, account in enumerate(paper.accounts, 1):
        given = {key: _plain(getattr(account, key)) for key in _LOGIN}
        holdings = tuple(HoldingConfig(**holding.model_dump()) for holding in account.holdings)
        try:
            yield AccountConfig(
                uid=account.uid,
                cash=account.cash,
                holdings=holdings,
                registered_ips=account.registered_ips,
                **given,
            )
        except ValidationError as error:
            # Only the secret of the one-time passwords can be wrong by now, and it is not to be shown.
            key = str(error.errors()[0]["loc"][0])
            problems.append(SettingsProblem(f"paper.accounts[{number}].{key}", "must be a base 32 text: A-Z and 2-7"))


def _plain(value: SecretStr | str | None) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else value or ""


def _symbols(path: Path, problems: list[SettingsProblem]) -> list[Instrument]:
    try:
        return load_master(path)
    except (OSError, ValueError, BadZipFile) as error:
        problems.append(_unreadable("paper.symbol_files", path, error))
        return []


def _ticks(path: Path, problems: list[SettingsProblem]) -> tuple[Tick, ...]:
    try:
        return parse_ticks(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        problems.append(_unreadable("paper.recording", path, error))
        return ()


def _unreadable(place: str, path: Path, error: Exception) -> SettingsProblem:
    cause = (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
    return SettingsProblem(place, f"{path}: {cause}")


def _unlisted(paper: PaperSettings, listed: Sequence[Instrument], ticks: Sequence[Tick]) -> Iterator[SettingsProblem]:
    """Names that mean nothing to the exchange: a typing error, or symbol files that do not go with the rest."""
    hint = "take it from the symbol files, or from the list that comes with the exchange where none are named"
    shares = {(i.exch, i.tsym) for i in listed if i.is_cash and i.is_tradable}
    for number, account in enumerate(paper.accounts, 1):
        for share in account.holdings:
            if (share.exch, share.tsym) not in shares:
                place = f"paper.accounts[{number}].holdings"
                yield SettingsProblem(place, f"{share.exch}:{share.tsym} is no share listed here; {hint}")
    unknown = {(tick.exch, tick.token) for tick in ticks} - {i.key for i in listed}
    if unknown:
        exch, token = min(unknown)
        yield SettingsProblem(
            "paper.recording",
            f"{paper.recording}: {len(unknown)} contracts are not listed here, such as token "
            f"{token} of {exch}; name the symbol files that the recording was made with",
        )
