"""Where relative paths are: in the folder of the settings file, whatever directory a command is started in.

A service that looked for its record in the working directory would have no memory when it is started from another one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import SecretStr

from core.settings.models import DatabaseSettings, Section, ServiceSettings

__all__ = ["forgotten_record", "in_folder", "paths_in_folder"]

_SQLITE = "sqlite:///"
_RECORD = "sixstep.db"


def in_folder(base: Path | None, path: Path) -> Path:
    """A path, in `base` if it is relative; as it is without a base."""
    return path if base is None else base / path


def paths_in_folder(base: Path | None, section: Section) -> Section:
    """The section with every relative path of it, a SQLite database's too, in `base`."""
    if base is None:
        return section
    given = {name: getattr(section, name) for name in type(section).model_fields}
    placed = {name: _placed(base, value) for name, value in given.items()}
    return section.model_copy(update={name: value for name, value in placed.items() if value != given[name]})


def forgotten_record(base: Path | None, service: ServiceSettings, database: DatabaseSettings) -> str | None:
    """What is wrong where a relative data_dir holds no record, but the place an earlier version took it for does."""
    if base is None or database.url is not None or service.data_dir.is_absolute():
        return None
    data_dir, earlier = base / service.data_dir, service.data_dir.absolute()
    if (data_dir / _RECORD).exists() or not (earlier / _RECORD).exists():
        return None
    return (
        f"there is no record in {data_dir}, but one in {earlier}. A relative path is in the folder of the settings "
        f'file, no longer in the working directory: write data_dir = "{earlier}" to go on with that record, or move '
        "it; to begin without it, start in another working directory"
    )


def _placed(base: Path, value: Any) -> Any:
    if isinstance(value, Path):
        return base / value
    if isinstance(value, tuple):
        return tuple(_placed(base, item) for item in value)
    if isinstance(value, SecretStr) and value.get_secret_value().startswith(_SQLITE):
        file = value.get_secret_value().removeprefix(_SQLITE)
        # What is no file (nothing, or `:memory:`) is refused where the database is opened.
        return value if not file or file.startswith(":") else SecretStr(f"{_SQLITE}{base / file}")
    return value
