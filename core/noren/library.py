"""A private copy of NorenRestApiPy for each client.

The library keeps its host in a class attribute, calls the module `requests` by its global name, logs whole bodies with
tokens, and prints (protocol 3.2). So each client executes the library's file once more, as a module of its own that
nobody else can import, and puts its transport in the place of `requests`. Several accounts, and the simulator, then
live in one process with the library unchanged.
"""

from __future__ import annotations

import importlib.util
from importlib.machinery import ModuleSpec
from itertools import count
from types import ModuleType
from typing import Any

__all__ = ["load_library"]

_MODULE = "NorenRestApiPy.NorenApi"
_numbers = count(1)


class _Silence:
    """Stands where the library's logger was: it takes everything and keeps nothing."""

    def __getattr__(self, name: str) -> Any:
        return _nothing


def _nothing(*_args: object, **_kwargs: object) -> None:
    """Stands where the library's `print` was."""


def _installed() -> ModuleSpec:
    found = importlib.util.find_spec(_MODULE)
    if found is None or found.origin is None:
        raise ModuleNotFoundError(f"{_MODULE} is not installed")
    return found


def load_library(transport: object) -> Any:
    """A fresh module of NorenRestApiPy that posts through `transport`, logs nothing and prints nothing.

    Args:
        transport: Has `post(url, data=...)` as `requests` does, returning something with `text` and `status_code`.

    Raises:
        ModuleNotFoundError: NorenRestApiPy, or websocket-client which it does not declare, is not installed.
    """
    origin = _installed().origin
    name = f"core.noren.library_copy_{next(_numbers)}"
    spec = importlib.util.spec_from_file_location(name, origin)
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError(f"{_MODULE} cannot be loaded from {origin}")
    module: ModuleType = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    replaced: dict[str, object] = {"requests": transport, "logger": _Silence(), "print": _nothing}
    vars(module).update(replaced)
    return module
