"""Reading settings: file, then environment, then secret files; every mistake reported at once, with its place."""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Iterable, Mapping, MutableMapping
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from core.files.private import loose_mode
from core.settings.checks import CHECKS, repeated_names
from core.settings.models import DatabaseSettings, Section, ServiceSettings, Settings, SettingsProblem, StrategySettings
from core.settings.places import forgotten_record, in_folder, paths_in_folder
from core.settings.sanity import doubts
from core.settings.values import rows_of

__all__ = ["SettingsError", "SettingsProblem", "load_for_login", "load_settings"]

_PREFIX = "SIXSTEP_"
_SECTIONS: Mapping[str, type[Section]] = {
    name: field.annotation
    for name, field in Settings.model_fields.items()
    if isinstance(field.annotation, type) and issubclass(field.annotation, Section)
}
_VARIABLES = tuple(
    f"{_PREFIX}{section}__{key}".upper() for section, model in _SECTIONS.items() for key in model.model_fields
)
_LARGEST_SECRET_FILE = 10_000
_NO_VALUE = object()


class SettingsError(Exception):
    """The settings cannot be used; `problems` holds every mistake found."""

    def __init__(self, problems: Iterable[SettingsProblem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


def load_settings(
    path: Path | None = None, environ: Mapping[str, str] | None = None, base: Path | None = None
) -> Settings:
    """The settings of `path`, overridden by `SIXSTEP_<SECTION>__<KEY>` in `environ`.

    Args:
        path: The settings file; None takes the defaults.
        environ: The environment; None takes the process's own.
        base: The folder that relative paths are in where no file is given, whatever the working directory; None leaves
            them relative. With a file they are in the file's folder.

    Raises:
        SettingsError: With all mistakes of file, environment and secret files.
    """
    reading = _Reading(base)
    if path is not None:
        reading.file(path)
    reading.environment(os.environ if environ is None else environ)
    reading.secret_files()
    return reading.settings()


def load_for_login(
    path: Path | None = None, environ: Mapping[str, str] | None = None, base: Path | None = None
) -> tuple[Settings, Path | None]:
    """The settings before the day's token is there, and the file it belongs into; None where none is named.

    Args:
        path: As for `load_settings`.
        environ: As for `load_settings`.
        base: As for `load_settings`.

    Raises:
        SettingsError: With all other mistakes.
    """
    reading = _Reading(base)
    if path is not None:
        reading.file(path)
    reading.environment(os.environ if environ is None else environ)
    token_file = reading.before_login()
    reading.secret_files()
    return reading.settings(), token_file


class _Reading:
    """What has been read so far: values with the place each came from, and the mistakes."""

    def __init__(self, base: Path | None) -> None:
        self._base = base.absolute() if base is not None else None
        self._values: dict[str, dict[str, Any]] = {name: {} for name in _SECTIONS}
        self._places: dict[tuple[str, str], str] = {}
        self._strategies: list[tuple[str, dict[str, Any]]] = []
        self._problems: list[SettingsProblem] = []
        self._warnings: list[SettingsProblem] = []
        self._read_secrets: list[tuple[Path, str]] = []
        self._credentials: Path | None = None
        self._file = "settings"

    def file(self, path: Path) -> None:
        self._file = str(path)
        # Not resolved: a link to a settings file stands where its owner wants it to stand.
        self._base = path.absolute().parent
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            self._problem(str(path), f"cannot be read ({_cause(error)}); name another file with --settings")
            return
        try:
            document = tomllib.loads(text, parse_float=_exact)
        except (ValueError, ArithmeticError, RecursionError) as error:
            self._problem(str(path), f"is no valid TOML: {error}")
            return
        for section, table in document.items():
            if section == "strategies":
                self._strategy_tables(table)
            elif section not in _SECTIONS:
                self._problem(f"{path}:{_shown(section)}", _unknown_section(section, table))
            elif not isinstance(table, dict):
                self._problem(f"{path}:{section}", f"must be a table: write [{section}] and its keys below it")
            else:
                for key, value in table.items():
                    self._take(section, key, value, f"{path}:{section}.{_shown(key)}")

    def environment(self, environ: Mapping[str, str]) -> None:
        if named := environ.get("CREDENTIALS_DIRECTORY"):
            self._credentials = Path(named)
        for name in sorted(environ):
            if not name.startswith(_PREFIX):
                continue
            section, separator, key = name.removeprefix(_PREFIX).lower().partition("__")
            if separator and section in _SECTIONS:
                # A container platform passes an unset variable as "": then the file's value stands.
                if environ[name] or key not in _SECTIONS[section].model_fields:
                    self._take(section, key, environ[name], name)
            else:
                close = difflib.get_close_matches(name, _VARIABLES, 1, 0.8)
                hint = f"did you mean {close[0]}?" if close else f"variables are {_PREFIX}<SECTION>__<KEY>"
                self._problem(_shown(name), f"is no setting; {hint}")

    def before_login(self) -> Path | None:
        """Do without `[broker] access_token`, which the login is there to bring; the file it belongs into."""
        named = self._values["broker"].pop("access_token_file", "")
        # Only that there is one is checked, by all that follows.
        self._values["broker"]["access_token"] = "not there yet"
        self._places["broker", "access_token"] = "broker.access_token"
        return in_folder(self._base, Path(named)) if isinstance(named, str) and named else None

    def secret_files(self) -> None:
        """Read each secret named by a `…_file` key into the key itself."""
        for section, values in self._values.items():
            places = {key: self._places[section, key] for key in values}
            for key, tables in values.items():
                if rows_of(_SECTIONS[section].model_fields[key]) is not None:
                    for number, row in enumerate(tables, 1):
                        self._secret_files_of(row, {name: f"{places[key]}[{number}].{name}" for name in row})
            self._secret_files_of(values, places)
            self._places.update({(section, key): place for key, place in places.items()})

    def _secret_files_of(self, values: MutableMapping[str, Any], places: MutableMapping[str, str]) -> None:
        for file_key in [key for key in values if key.endswith("_file")]:
            named, key, place = values[file_key], file_key.removesuffix("_file"), places[file_key]
            if named == "":
                continue
            if values.get(key, "") != "":
                self._problem(place, f"is set, and so is {key} ({places[key]}): keep one of them")
            elif isinstance(named, str) and (secret := self._secret_file(named, place)) is not None:
                values[key], places[key] = secret, place

    def settings(self) -> Settings:
        """The settings, or `SettingsError` with everything found on the way."""
        sections: dict[str, Section] = {}
        for name, model in _SECTIONS.items():
            try:
                sections[name] = model.model_validate(self._values[name])
            except ValidationError as error:
                for details in error.errors():
                    self._bad_value(name, model, details)
        for needed, check in CHECKS:
            if all(name in sections for name in needed):
                for conflict in check(sections):
                    place = self._places.get(conflict[:2], f"{self._file}:{conflict.section}.{conflict.key}")
                    self._problem(place, conflict.message)
        self._look_for_the_record(sections)
        placed = {name: paths_in_folder(self._base, section) for name, section in sections.items()}
        self._look_for_doubts(placed)
        strategies = tuple(self._strategy(place, table) for place, table in self._strategies)
        known = tuple(strategy for strategy in strategies if strategy is not None)
        for name in repeated_names(known):
            self._problem(f"{self._file}:strategies", f"name {name!r} is used more than once; names must differ")
        if self._problems:
            raise SettingsError(self._problems)
        return Settings.model_validate({**placed, "strategies": known}).with_warnings(self._warnings)

    def _look_for_the_record(self, sections: Mapping[str, Section]) -> None:
        service, database = sections.get("service"), sections.get("database")
        if isinstance(service, ServiceSettings) and isinstance(database, DatabaseSettings):
            problem = forgotten_record(self._base, service, database)
            if problem is not None:
                place = self._places.get(("service", "data_dir"), f"{self._file}:service.data_dir")
                self._problem(place, problem)

    def _look_for_doubts(self, sections: Mapping[str, Section]) -> None:
        for doubt in doubts(sections):
            found = self._problems if doubt.refused else self._warnings
            place = self._places.get((doubt.section, doubt.key), f"{self._file}:{doubt.section}.{doubt.key}")
            found.append(SettingsProblem(place, doubt.message))
        if self._holds_secrets() and (mode := loose_mode(Path(self._file))):
            self._warn_of(Path(self._file), self._file, mode)
        for file, place in self._read_secrets:
            # What systemd hands to a service is for it alone, whatever the mode says.
            if (mode := loose_mode(file)) and file.parent != self._credentials:
                self._warn_of(file, place, mode)

    def _warn_of(self, file: Path, place: str, mode: str) -> None:
        named = "" if place == str(file) else f"{_shown(str(file))} "
        message = f"{named}holds secrets and can be read by others (mode {mode}): chmod 600 {file}"
        self._warnings.append(SettingsProblem(place, message))

    def _holds_secrets(self) -> bool:
        """Whether the settings file itself holds any."""
        return any(
            self._places[section, key].startswith(f"{self._file}:")
            and _is_secret(field)
            and _is_secret_value(key, value)
            for section, values in self._values.items()
            for key, value in values.items()
            if (field := _SECTIONS[section].model_fields.get(key)) is not None
        )

    def _problem(self, place: str, message: str) -> None:
        self._problems.append(SettingsProblem(place, message))

    def _take(self, section: str, key: str, value: object, place: str) -> None:
        fields = _SECTIONS[section].model_fields
        if key not in fields:
            self._problem(place, _unknown_key(section, key, in_environment=place.startswith(_PREFIX)))
            return
        if rows_of(fields[key]) is not None:
            if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
                self._problem(place, f"must be written in the settings file: [[{section}.{key}]] and its keys below it")
                return
            # As everywhere, an empty text is a key that is not set.
            value = [{name: item for name, item in row.items() if item != ""} for row in value]
        self._values[section][key] = value
        self._places[section, key] = place

    def _secret_file(self, named: str, place: str) -> str | None:
        file = in_folder(self._base, Path(named))
        try:
            with file.open(encoding="utf-8") as stream:
                text = stream.read(_LARGEST_SECRET_FILE + 1)
        except (OSError, ValueError) as error:
            self._problem(place, f"{_shown(str(file))} cannot be read ({_cause(error)})")
            return None
        self._read_secrets.append((file, place))
        secret = text.strip("\r\n")
        if not secret or len(text) > _LARGEST_SECRET_FILE:
            self._problem(place, f"{_shown(str(file))} must hold the secret and nothing else")
            return None
        return secret

    def _bad_value(self, section: str, model: type[Section], details: ErrorDetails) -> None:
        key = str(details["loc"][0])
        found = _Found(
            f"[{section}]", self._places[section, key], model, key, self._values[section].get(key, _NO_VALUE)
        )
        for part in details["loc"][1:]:
            found = found.entry(part) if isinstance(part, int) else found.key(f"[[{section}.{key}]]", part)
        self._problem(found.place, found.told(details))

    def _strategy_tables(self, tables: object) -> None:
        if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
            self._problem(f"{self._file}:strategies", "must be written as [[strategies]] with class and name below it")
            return
        self._strategies = [(f"{self._file}:strategies[{number}]", table) for number, table in enumerate(tables, 1)]

    def _strategy(self, place: str, table: Mapping[str, Any]) -> StrategySettings | None:
        parameters = {key: _ordinary(value) for key, value in table.items() if key not in ("class", "name")}
        given = {key: table[source] for key, source in (("class_path", "class"), ("name", "name")) if source in table}
        try:
            return StrategySettings.model_validate({**given, "parameters": parameters})
        except ValidationError as error:
            fixes = {
                "class": "the strategy's class by dotted path, such as actors.strategies.round_trip.RoundTrip",
                "name": "1 to 32 of the characters A-Z a-z 0-9 _ . -",
            }
            for details in error.errors():
                key = str(details["loc"][0]).removesuffix("_path")
                missing = details["type"] == "missing"
                what = "is missing" if missing else "must be"
                joint = ": give " if missing else " "
                got = "" if missing else _got(table.get(key, _NO_VALUE))
                self._problem(f"{place}.{key}", f"{what}{joint}{fixes.get(key, 'readable')}{got}")
            return None


@dataclass(frozen=True, slots=True)
class _Found:
    """Where a mistake is: a key of a section, or of a table in a list of tables.

    Attributes:
        table: The table's name, as it is written.
        place: The place, for the person.
        model: What the table may hold.
        name: The key.
        value: What was given.
    """

    table: str
    place: str
    model: type[BaseModel]
    name: str
    value: Any

    @property
    def field(self) -> FieldInfo | None:
        """The key's field; None for a key that does not exist."""
        return next((f for name, f in self.model.model_fields.items() if self.name == (f.alias or name)), None)

    def entry(self, index: int) -> _Found:
        """One entry of a list."""
        return replace(self, place=f"{self.place}[{index + 1}]", value=self.value[index])

    def key(self, table: str, name: str) -> _Found:
        """One key of an entry."""
        model = rows_of(self.field) if self.field is not None else None
        assert model is not None, "only tables have keys"
        return _Found(table, f"{self.place}.{name}", model, name, self.value.get(name, _NO_VALUE))

    def told(self, details: ErrorDetails) -> str:
        """What is wrong, what was given unless it is a secret, and what belongs there."""
        field = self.field
        if field is None:
            return _no_such_key(self.table, self.name, [f.alias or n for n, f in self.model.model_fields.items()])
        if details["type"] == "missing":
            return f"is missing. {field.description}"
        message = _must(details["msg"])
        if _is_secret(field):
            return message
        default = "" if field.default is None or field.is_required() else f" Default: {_plain(field.default)}."
        return f"{message}{_got(self.value)}. {field.description}{default}"


def _no_such_key(table: str, name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, 1)
    return f"is no setting of {table}; " + (f"did you mean {close[0]}?" if close else f"it has {', '.join(known)}")


def _exact(text: str) -> Decimal:
    """Money must not pass through a float."""
    return Decimal(text)


def _ordinary(value: Any) -> Any:
    """A strategy's own parameter as TOML means it: numbers with a point are floats."""
    if isinstance(value, dict):
        return {key: _ordinary(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_ordinary(item) for item in value]
    return float(value) if isinstance(value, Decimal) else value


def _unknown_key(section: str, key: str, *, in_environment: bool) -> str:
    def written(in_section: str, a_key: str) -> str:
        if in_environment:
            return f"{_PREFIX}{in_section}__{a_key}".upper()
        return a_key if in_section == section else f"{in_section}.{a_key}"

    if close := difflib.get_close_matches(key, _SECTIONS[section].model_fields, 1):
        return f"is no setting; did you mean {written(section, close[0])}?"
    for other, model in _SECTIONS.items():
        if key in model.model_fields:
            return f"is no setting of [{section}]; did you mean {written(other, key)}?"
    return f"is no setting; [{section}] has {', '.join(_SECTIONS[section].model_fields)}"


def _unknown_section(name: str, value: object) -> str:
    if not isinstance(value, dict):
        homes = [section for section, model in _SECTIONS.items() if name in model.model_fields]
        if homes:
            return f"stands outside its section; put it below [{homes[0]}]"
    close = difflib.get_close_matches(name, [*_SECTIONS, "strategies"], 1)
    hint = f"did you mean {close[0]}?" if close else f"sections are {', '.join([*_SECTIONS, 'strategies'])}"
    return f"is no section; {hint}"


def _is_secret(field: FieldInfo) -> bool:
    return SecretStr.__name__ in str(field.annotation)


def _is_secret_value(key: str, value: object) -> bool:
    # The URL of a database is one only with a password in it.
    return isinstance(value, str) and value != "" and (key != "url" or "@" in value)


def _must(message: str) -> str:
    message = re.sub(r"^(Input|Value|String|Decimal input|Number) should ", "must ", message)
    message = re.sub(r"^must match pattern .*$", "is not written as it must be", message)
    message = message.replace("must be a valid string", "must be a text in quotes")
    return message[:1].lower() + message[1:]


def _got(value: object) -> str:
    return "" if value is _NO_VALUE else f"; got {_shown(_plain(value))}"


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value) if isinstance(value, str) and not hasattr(value, "value") else str(value)


def _shown(text: str) -> str:
    """Text from outside as it may stand in a message: printable, bounded."""
    text = text if text.isprintable() else ascii(text)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _cause(error: Exception) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else "not UTF-8 text"
