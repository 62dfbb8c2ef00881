"""Settings: a TOML file, overridden by the environment, checked as a whole before anything starts."""

from __future__ import annotations

from core.settings.exchange import exchange_config, own_exchange, own_login
from core.settings.instruments import ClosedCheck, OrderCheck
from core.settings.load import SettingsError, load_for_login, load_settings
from core.settings.models import (
    BrokerSettings,
    DatabaseSettings,
    LimitSettings,
    LogSettings,
    PaperSettings,
    Profile,
    RiskSettings,
    ServiceSettings,
    Settings,
    SettingsProblem,
    Slices,
    StrategySettings,
    TelegramSettings,
    TraceSettings,
    WatcherSettings,
    WebSettings,
    WhenUnverified,
)
from core.settings.openalgo import OpenAlgoSettings
from core.settings.template import settings_template

__all__ = [
    "ClosedCheck",
    "BrokerSettings",
    "DatabaseSettings",
    "LimitSettings",
    "LogSettings",
    "OpenAlgoSettings",
    "OrderCheck",
    "PaperSettings",
    "Profile",
    "RiskSettings",
    "ServiceSettings",
    "Settings",
    "SettingsError",
    "SettingsProblem",
    "StrategySettings",
    "TelegramSettings",
    "TraceSettings",
    "WatcherSettings",
    "WebSettings",
    "Slices",
    "WhenUnverified",
    "exchange_config",
    "load_for_login",
    "load_settings",
    "own_exchange",
    "own_login",
    "settings_template",
]
