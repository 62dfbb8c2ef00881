"""The commands about the keys of the OpenAlgo entry point. They work whether or not the service runs."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC

from core.cli import render
from core.cli.client import CliError
from core.files.instance import AlreadyRunning
from core.process.api_keys import ApiKey, KeysUnreadable, Right, change_keys, digest_of, read_keys
from core.runtime.clock import SystemClock, token
from core.settings import Settings

__all__ = ["listed", "new", "revoke"]

_LENGTH = 40  # of 32 characters: 200 bits
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,32}")


def new(  # noqa: PLR0917 - one parameter an option
    settings: Settings,
    name: str,
    rights: str,
    per_min: int | None,
    orders_per_min: int | None,
    allow_from: str,
    *,
    as_json: bool,
) -> str:
    """Make a key. It is told this once, and kept nowhere.

    Raises:
        CliError: The name is taken, or something does not go.
    """
    if _NAME.fullmatch(name) is None:
        raise CliError(f"NAME must be 1 to 32 of A-Z a-z 0-9 _ . -; got {name!r}")
    clock = SystemClock()
    key = token(clock, _LENGTH)
    made = ApiKey(
        name=name,
        digest=digest_of(key),
        rights=_rights(rights),
        per_min=per_min,
        orders_per_min=orders_per_min,
        allow_from=_networks(allow_from),
        made_at=f"{clock.now().astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
    )

    def add(keys: tuple[ApiKey, ...]) -> tuple[ApiKey, ...]:
        if any(one.name == name for one in keys):
            raise CliError(f"there is a key {name} already; revoke it first, or take another name")
        return (*keys, made)

    _change(settings, add)
    if as_json:
        return render.as_json({**_told(made), "key": key})
    hint = "" if settings.openalgo.enabled else "\n[openalgo] enabled is false: nothing listens for it yet"
    return f"{key}\n\nThis is shown once. {name} may {', '.join(made.rights)}.{hint}"


def listed(settings: Settings, *, as_json: bool) -> str:
    """The keys there are, without the keys."""
    try:
        keys = [_told(key) for key in read_keys(settings.service.data_dir)]
    except KeysUnreadable as error:
        raise CliError(str(error)) from error
    if as_json:
        return render.as_json(keys)
    names = ("name", "rights", "per_min", "orders_per_min", "allow_from", "made_at")
    rows = [
        ["any" if value in (None, ()) else ", ".join(value) if isinstance(value, tuple) else value for value in row]
        for row in ([key[name] for name in names] for key in keys)
    ]
    return render.table(names, rows) if rows else "there are no keys; make one with `run.py keys new NAME`"


def revoke(settings: Settings, name: str) -> str:
    """Take a key away; a service that runs lets it in no more from its next request on.

    Raises:
        CliError: There is none of this name.
    """

    def remove(keys: tuple[ApiKey, ...]) -> tuple[ApiKey, ...]:
        left = tuple(key for key in keys if key.name != name)
        if len(left) == len(keys):
            raise CliError(f"there is no key {name}; `run.py keys list` names them")
        return left

    _change(settings, remove)
    return f"{name} is revoked"


def _change(settings: Settings, change: Callable[[tuple[ApiKey, ...]], tuple[ApiKey, ...]]) -> None:
    try:
        change_keys(settings.service.data_dir, change)
    except (KeysUnreadable, AlreadyRunning) as error:
        raise CliError(str(error)) from error


def _rights(text: str) -> tuple[Right, ...]:
    names = [name.strip() for name in text.split(",")]
    try:
        return tuple(right for right in Right if right in [Right(name) for name in names])
    except ValueError:
        raise CliError(f"--rights must be of read, trade and square-off, with commas between; got {text!r}") from None


def _networks(text: str) -> tuple[str, ...]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    try:
        return tuple(str(ipaddress.ip_network(name, strict=False)) for name in names)
    except ValueError as error:
        raise CliError(
            f"--from must be addresses or networks such as 10.0.0.0/8, with commas between: {error}"
        ) from None


def _told(key: ApiKey) -> dict[str, object]:
    told = asdict(key)
    del told["digest"]
    return told
