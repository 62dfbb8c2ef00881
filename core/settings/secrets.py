"""Which values of the settings are secret."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel, SecretStr

from core.rules.secrets import Secrets

__all__ = ["secrets_of"]


def secrets_of(settings: BaseModel) -> Secrets:
    """Every secret of the settings, to be kept out of log, trace, record, alerts and pages."""
    return Secrets(_secrets(settings))


def _secrets(model: BaseModel) -> Iterable[str]:
    for name in type(model).model_fields:
        value = getattr(model, name)
        for item in value if isinstance(value, tuple) else (value,):
            if isinstance(item, SecretStr):
                yield from _parts(item.get_secret_value())
            elif isinstance(item, BaseModel):
                yield from _secrets(item)


def _parts(secret: str) -> Iterable[str]:
    """A secret, and of a database's URL the password too, which errors of the driver name alone."""
    if "://" not in secret:
        yield secret
        return
    try:
        password = urlsplit(secret).password
    except ValueError:
        password = None
    if password is not None:
        yield from (secret, password, unquote(password))
