"""From `[[strategies]]` to classes: every mistake in a strategy's file or table is a line that says what to mend."""

from __future__ import annotations

import difflib
import importlib
import inspect
import typing
from collections.abc import Iterator

from actors.strategy import Strategy
from core.settings import Profile, Settings, SettingsError, SettingsProblem, StrategySettings

__all__ = ["addresses_keyword", "strategy_classes", "unusable"]

# What the service itself hands in.
_GIVEN = frozenset({"self", "runtime", "name", "addresses", "cast", "strategy"})
_PLAIN = (bool, int, float, str)


def strategy_classes(settings: Settings) -> list[tuple[StrategySettings, type[Strategy]]]:
    """The strategies of the settings with their classes.

    Raises:
        SettingsError: A class cannot be loaded or is no `Strategy`, or does not take its parameters; all are named.
    """
    found: list[tuple[StrategySettings, type[Strategy]]] = []
    problems: list[SettingsProblem] = []
    for entry in settings.strategies:
        loaded = _loaded(entry, settings)
        if isinstance(loaded, SettingsProblem):
            problems.append(loaded)
        else:
            problems += tuple(_wrong_parameters(entry, loaded)) or (
                SettingsProblem(f"{_place(entry)}: {key}", message)
                for key, message in loaded.mistakes(entry.parameters)
            )
            found.append((entry, loaded))
    if problems:
        raise SettingsError(problems)
    return found


def addresses_keyword(strategy_class: type[Strategy]) -> str:
    """The parameter that takes the addresses: a strategy written for version 0.1 calls it `cast`."""
    taken = inspect.signature(strategy_class.__init__).parameters
    return "cast" if "cast" in taken and "addresses" not in taken else "addresses"


def unusable(entry: StrategySettings, error: Exception) -> SettingsError:
    """What to say of a strategy that could not be made or started."""
    told = f"{type(error).__name__}: {error}".replace("\n", " ")
    return SettingsError([SettingsProblem(_place(entry), f"{entry.class_path} cannot be started: {told}")])


def _place(entry: StrategySettings) -> str:
    return f"[[strategies]] {entry.name}"


def _loaded(entry: StrategySettings, settings: Settings) -> type[Strategy] | SettingsProblem:
    module_name, _, class_name = entry.class_path.rpartition(".")
    place = f"{_place(entry)}: class"
    try:
        module = importlib.import_module(module_name)
    except SyntaxError as error:
        where = f"{error.filename}, line {error.lineno}"
        return SettingsProblem(place, f"{entry.class_path} cannot be loaded: {error.msg} ({where})")
    except (Exception, SystemExit) as error:
        return SettingsProblem(place, f"{entry.class_path} cannot be loaded: {type(error).__name__}: {error}")
    candidate = getattr(module, class_name, None)
    if candidate is None:
        close = difflib.get_close_matches(class_name, vars(module), 1)
        hint = f"; did you mean {module_name}.{close[0]}?" if close else ""
        return SettingsProblem(place, f"{entry.class_path} cannot be loaded: {module_name} has no {class_name}{hint}")
    if not (isinstance(candidate, type) and issubclass(candidate, Strategy)):
        return SettingsProblem(place, f"{entry.class_path} is not a subclass of actors.strategy.Strategy")
    if candidate.paper_only and settings.broker.profile is not Profile.PAPER:
        text = f"{entry.class_path} is an example for paper; remove it before trading with real money"
        return SettingsProblem(place, text)
    return candidate


def _wrong_parameters(entry: StrategySettings, strategy_class: type[Strategy]) -> Iterator[SettingsProblem]:
    taken = inspect.signature(strategy_class.__init__).parameters
    named = {key: parameter for key, parameter in taken.items() if parameter.kind in _BY_NAME and key not in _GIVEN}
    takes_any = any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in taken.values())
    for key, value in entry.parameters.items():
        if key in named:
            yield from _wrong_type(entry, strategy_class, key, value)
        elif not takes_any or key in _GIVEN:
            close = difflib.get_close_matches(key, named, 1)
            known = f"it takes {', '.join(named)}" if named else "it takes none"
            hint = f"did you mean {close[0]}?" if close else known
            yield SettingsProblem(f"{_place(entry)}: {key}", f"is no parameter of {entry.class_path}; {hint}")
    for key, parameter in named.items():
        if parameter.default is parameter.empty and key not in entry.parameters:
            yield SettingsProblem(f"{_place(entry)}: {key}", f"is missing: {entry.class_path} needs it")


_BY_NAME = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def _wrong_type(
    entry: StrategySettings, strategy_class: type[Strategy], key: str, value: object
) -> Iterator[SettingsProblem]:
    """A value that is not what a plain annotation says; other annotations are the strategy's own affair."""
    try:
        wanted = typing.get_type_hints(strategy_class.__init__).get(key)
    except Exception:  # a name that only a type checker knows
        return
    if wanted not in _PLAIN or type(value) is wanted or (wanted is float and type(value) is int):
        return
    message = f"must be {_WORDS[wanted]}, not {_WORDS.get(type(value), type(value).__name__)}"
    yield SettingsProblem(f"{_place(entry)}: {key}", message)


_WORDS: dict[type, str] = {bool: "true or false", int: "a whole number", float: "a number", str: "a text in quotes"}
