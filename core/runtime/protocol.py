"""Which method of an actor handles which type of message."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any

from core.messages.base import Message

__all__ = ["handlers_of"]

_PYKKAS_OWN = frozenset({"on_start", "on_stop", "on_failure", "on_receive"})


def handlers_of(cls: type, inherited: Mapping[type[Message], str], hooks: frozenset[str]) -> dict[type[Message], str]:
    """The table of message types and method names of `cls`, built once, when the class is made.

    A handler is a method named `on_…` with one parameter annotated with a message type or a union of them. A method
    that overrides an inherited handler may leave the annotation out and keeps its types.

    Args:
        cls: the class being made.
        inherited: the table of its bases.
        hooks: names of `on_…` methods that are no handlers.

    Raises:
        TypeError: a handler's annotation is missing, is no message type or cannot be resolved, or two handlers of this
            class claim one type.
    """
    own: dict[type[Message], str] = {}
    rewritten: set[str] = set()
    for name, method in vars(cls).items():
        if not name.startswith("on_") or name in _PYKKAS_OWN or name in hooks or not inspect.isfunction(method):
            continue
        kinds = _message_types(cls, name, method)
        if not kinds:
            if name in inherited.values():
                continue
            raise TypeError(f"{cls.__name__}.{name}: annotate its parameter with a message type, or list it in `hooks`")
        rewritten.add(name)
        for kind in kinds:
            if kind in own:
                raise TypeError(f"{cls.__name__}: both {own[kind]} and {name} handle {kind.__name__}")
            own[kind] = name
    kept = {kind: name for kind, name in inherited.items() if name not in rewritten}
    return kept | own


def _message_types(cls: type, name: str, method: Callable[..., Any]) -> tuple[type[Message], ...]:
    parameters = list(inspect.signature(method).parameters.values())[1:]
    if len(parameters) != 1:
        raise TypeError(f"{cls.__name__}.{name}: a handler takes one message, this takes {len(parameters)} parameters")
    if parameters[0].annotation is inspect.Parameter.empty:
        return ()
    try:
        annotation = typing.get_type_hints(method)[parameters[0].name]
    except NameError as error:
        raise TypeError(
            f"{cls.__name__}.{name}: {error}; the message types of a handler must be importable at module level"
        ) from error
    union = typing.get_origin(annotation) in (typing.Union, types.UnionType)
    kinds = typing.get_args(annotation) if union else (annotation,)
    for kind in kinds:
        if not (isinstance(kind, type) and issubclass(kind, Message)):
            raise TypeError(f"{cls.__name__}.{name}: {kind!r} is no message type")
    return kinds
