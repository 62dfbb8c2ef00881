"""/docs: the OpenAPI description as a plain page, without a script and without anything from elsewhere."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from fastapi import APIRouter, FastAPI
from starlette.responses import HTMLResponse, Response

from core.web.pages.templating import Templates

__all__ = ["Call", "calls_of", "docs_router"]

_METHODS = ("get", "post", "put", "patch", "delete")


@dataclass(frozen=True, slots=True)
class Field:
    """A parameter, or a field of a body."""

    name: str
    place: str
    kind: str
    what: str
    required: bool


@dataclass(slots=True)
class Call:
    """One operation, ready to be shown."""

    id: str
    method: str
    path: str
    text: list[str]
    parameters: list[Field] = field(default_factory=list)
    fields: list[Field] = field(default_factory=list)
    examples: list[tuple[str, str]] = field(default_factory=list)
    answers: list[tuple[str, str]] = field(default_factory=list)


def docs_router(app: FastAPI, templates: Templates) -> APIRouter:
    """The page."""
    router = APIRouter(include_in_schema=False)

    @router.get("/docs")
    async def docs() -> Response:
        description = app.openapi()
        values = {"description": description["info"]["description"], "calls": list(calls_of(description))}
        return HTMLResponse(templates.render("docs.html", values))

    return router


def calls_of(description: Mapping[str, Any]) -> Iterator[Call]:
    """The operations of an OpenAPI description, in its order."""
    for path, methods in description["paths"].items():
        for method in _METHODS:
            if method in methods:
                yield _call(path, method, methods[method], description)


def _call(path: str, method: str, told: Mapping[str, Any], description: Mapping[str, Any]) -> Call:
    name = re.sub(r"[^a-z0-9]+", "-", f"{method}-{path}".lower()).strip("-")
    text = [" ".join(part.split()) for part in str(told.get("description", "")).split("\n\n") if part.strip()]
    call = Call(name, method.upper(), path, text)
    for one in told.get("parameters", ()):
        kind = _kind(one.get("schema", {}), description)
        what = one.get("description", "") or one.get("schema", {}).get("description", "")
        call.parameters.append(Field(one["name"], one["in"], kind, what, one.get("required", False)))
    body = told.get("requestBody", {}).get("content", {}).get("application/json", {})
    schema = _resolved(body.get("schema", {}), description)
    wanted = schema.get("required", ())
    for field_name, value in schema.get("properties", {}).items():
        kind = _kind(value, description)
        call.fields.append(Field(field_name, "body", kind, value.get("description", ""), field_name in wanted))
    for title, example in body.get("examples", {}).items():
        call.examples.append((title, json.dumps(example["value"], indent=2)))
    call.answers = [(status, answer.get("description", "")) for status, answer in told["responses"].items()]
    return call


def _resolved(schema: Mapping[str, Any], description: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a reference points to; of several possibilities, the first that is something."""
    if "$ref" in schema:
        found: Any = description
        for part in schema["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        return _resolved(found, description)
    for several in ("anyOf", "oneOf"):
        if several in schema:
            return _resolved(next(one for one in schema[several] if one.get("type") != "null"), description)
    return schema


def _kind(schema: Mapping[str, Any], description: Mapping[str, Any]) -> str:
    schema = _resolved(schema, description)
    if "enum" in schema:
        return ", ".join(str(value) for value in schema["enum"])
    return str(schema.get("format", schema.get("type", "")))
