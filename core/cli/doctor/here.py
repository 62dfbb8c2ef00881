"""What the doctor looks at on this machine, while no service holds it."""

from __future__ import annotations

import os
import platform
import shutil
import socket
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from core.cli.doctor.check import Check, fail, ok, skip, warn
from core.files.room import require_room
from core.instruments.hours import market_hours
from core.noren import PROFILES, LoginStyle
from core.process.account import owner_of
from core.settings import Settings
from core.store import Owner, Store, StoreError
from core.store.check import check
from core.store.database import open_database
from core.store.migrations import MIGRATIONS, schema_version

__all__ = ["backups", "database", "disk", "holidays", "other_user", "port", "python", "token"]

# Before the exchanges publish the next year's list, in December: there is something to plan for.
_HOLIDAYS_AHEAD_DAYS = 45

_SQLITE = "sqlite:///"
_LITTLE_ROOM = 1_000_000_000
_QUICKLY_CHECKED = 64_000_000
_OLD_BACKUP = timedelta(days=2)


def python() -> Check:
    """An older Python is refused before anything else runs."""
    return ok("python", f"{platform.python_version()} ({platform.system()})")


def disk(settings: Settings) -> Iterator[Check]:
    """May the service write where it keeps things, and is there room?"""
    places = {settings.service.data_dir.absolute(): "[service] data_dir"}
    if (file := _file_of(settings)) is not None:
        places.setdefault(file.parent.absolute(), "[database] url")
    for directory, setting in places.items():
        try:
            there = _may_write(directory, setting)
        except OSError as error:
            yield fail("disk", str(error), "then ask again")
            continue
        free = shutil.disk_usage(there).free
        found = f"{directory} can be written, {free / 1e9:.1f} GB free"
        if free < _LITTLE_ROOM:
            yield warn("disk", found, "make room: logs, traces and the database grow each day")
        else:
            yield ok("disk", found)


def _may_write(directory: Path, setting: str) -> Path:
    """The directory, or the nearest above it that exists: a check makes no directory."""
    there = directory
    while not there.exists():
        there = there.parent
    if there == directory:
        require_room(directory, setting)
    elif not there.is_dir():
        raise OSError(f"{setting}: {there} is a file; name a directory")
    elif not os.access(there, os.W_OK | os.X_OK):
        raise OSError(f"{setting}: {directory} cannot be made; let user {os.geteuid()} write in {there}")
    return there


def holidays(today: date) -> Check:
    """Until when are the exchanges' holidays known?"""
    hours = market_hours()
    if (words := hours.runs_out(today, _HOLIDAYS_AHEAD_DAYS)) is not None:
        return warn("holidays", words, "take a version that has the next year's list")
    return ok("holidays", f"known until {hours.listed_until}")


def other_user(settings: Settings) -> Check | None:
    """Another user than the service's sees other rights, and would leave files that the service cannot use."""
    directory = settings.service.data_dir
    if not directory.is_dir() or (owner := directory.stat().st_uid) == os.geteuid():
        return None
    return fail(
        "user",
        f"{directory} belongs to user {owner} and this is user {os.geteuid()}",
        "run doctor as the user the service runs as",
    )


def database(settings: Settings) -> Check:
    """Does it open, is it this account's, and does it tell one story?"""
    url, file = settings.database_url, _file_of(settings)
    if file is not None and not file.exists():
        return ok("database", f"none in {file} yet: the first start makes it")
    try:
        opened = open_database(url, read_only=True)
        try:
            version = schema_version(opened)
        finally:
            opened.close()
        if version < MIGRATIONS[-1].number:
            found = f"has schema {version}; the next start brings it to {MIGRATIONS[-1].number}"
            return warn("database", found, "back it up before that start")
        store = Store.open(url, read_only=True)
        try:
            is_large = file is None or file.stat().st_size > _QUICKLY_CHECKED
            return _record(store, owner_of(settings), is_large=is_large)
        finally:
            store.close()
    except StoreError as error:
        return fail("database", str(error), "mend [database] url, or restore a backup")


def _record(store: Store, wanted: Owner, *, is_large: bool) -> Check:
    owner = store.owner()
    whose = f"of {owner or 'nobody yet'}"
    if owner is not None and owner != wanted:
        return _foreign(owner, wanted)
    if is_large:
        return ok("database", f"opens, {whose}; its rows were not checked", "python run.py db check")
    if wrong := check(store):
        found = f"{len(wrong)} contradiction(s), the first: {wrong[0]}"
        return fail("database", found, "python run.py db check names all")
    return ok("database", f"sound, {whose}")


def _foreign(owner: Owner, wanted: Owner) -> Check:
    moved = (owner.profile, owner.account) == (wanted.profile, wanted.account)
    fix = "python run.py db move, if the broker moved" if moved else "name another [database] url or [service] data_dir"
    return fail("database", f"belongs to {owner}, and the settings name {wanted}", fix)


def port(settings: Settings) -> Check:
    """Can the service listen?"""
    web = settings.web
    place = f"{web.host}:{web.port}"
    if web.port == 0:
        return ok("web port", "the start takes a free one")
    try:
        family, kind, _, _, address = socket.getaddrinfo(web.host, web.port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        told = f"{place}: {error.strerror or error}"
        return fail("web port", told, "end the program that listens there, or name another [web] host or port")
    return ok("web port", f"{place} is free")


def token(settings: Settings, now: datetime, missing: str) -> Check:
    """The session's token: where it is and of which day; `missing` says what the settings lack without it."""
    if missing:
        return fail("token", missing, "python run.py login")
    broker, style = settings.broker, PROFILES[settings.broker.profile.value].login
    if settings.runs_paper_exchange:
        return ok("token", "paper needs none")
    if broker.access_token_file is not None:
        return _aged(broker.access_token_file, settings, now, "python run.py login")
    if broker.access_token is not None:
        return warn("token", "it stands in the settings, so its age is not known", "name [broker] access_token_file")
    kept = settings.service.data_dir / "broker-session"
    if style is LoginStyle.QUICKAUTH and kept.exists():
        return ok("token", f"kept since {_told(kept, settings)[1]}; the service logs in by itself when it has ended")
    return ok("token", "none kept; the service logs in by itself")


def _aged(file: Path, settings: Settings, now: datetime, to_do: str) -> Check:
    made, text = _told(file, settings)
    if settings.calendar.day(made) < settings.calendar.day(now):
        return warn("token", f"{file} is of {text}, before this trading day: the broker has ended it, or will", to_do)
    return ok("token", f"{file} is of {text}; brokers end it with the day")


def _told(file: Path, settings: Settings) -> tuple[datetime, str]:
    made = datetime.fromtimestamp(file.stat().st_mtime, UTC)
    return made, f"{made.astimezone(settings.zone):%Y-%m-%d %H:%M %Z}"


def backups(folder: Path | None, settings: Settings, now: datetime) -> Check:
    """How old is the newest?"""
    if folder is None:
        return skip("backups", "no setting says where they are", "--backups FOLDER looks at the newest file in it")
    try:
        files = [path for path in folder.iterdir() if path.is_file() and path.stat().st_size]
        newest = max(files, key=lambda path: path.stat().st_mtime, default=None)
    except OSError as error:
        return fail("backups", f"{folder}: {error.strerror}", "name the folder that backups are put into")
    if newest is None:
        return fail("backups", f"there is none in {folder}", "make one: see docs/backup.md")
    made, text = _told(newest, settings)
    if now - made > _OLD_BACKUP:
        return warn("backups", f"the newest, {newest}, is of {text}", "look why none is made each day")
    return ok("backups", f"the newest, {newest}, is of {text}")


def _file_of(settings: Settings) -> Path | None:
    url = settings.database_url
    return Path(url.removeprefix(_SQLITE)) if url.startswith(_SQLITE) else None
