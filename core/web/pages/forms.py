"""Forms that come in: read strictly, and only from a page of ours (scenario F5)."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qsl

from fastapi import HTTPException, Request
from starlette.responses import Response

from core.web.pages.site import Site
from core.web.sessions import CSRF_FIELD, Session

__all__ = ["begun", "own_form", "safe_next"]

_FORM = "application/x-www-form-urlencoded"
_MOST_FIELDS = 60


async def own_form(request: Request) -> tuple[Session, dict[str, str]]:
    """The session and the fields of a form that one of our own pages sent.

    Raises:
        HTTPException: 403 without the session's token, 400 where it is no form.
    """
    session: Session | None = request.state.session
    fields = await fields_of(request)
    if session is None or not session.is_own_form(fields.pop(CSRF_FIELD, None)):
        raise HTTPException(403, "this form was not sent by a page of this session; open the page again")
    return session, fields


async def fields_of(request: Request) -> dict[str, str]:
    """The fields of a form, each once.

    Raises:
        HTTPException: 400 where it is no form.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    try:
        body = (await request.body()).decode("utf-8")
        pairs = parse_qsl(body, keep_blank_values=True, strict_parsing=bool(body), max_num_fields=_MOST_FIELDS)
    except ValueError as error:
        raise HTTPException(400, "the form cannot be read") from error
    if kind != _FORM or len(dict(pairs)) != len(pairs):
        raise HTTPException(400, "the form cannot be read")
    return dict(pairs)


def begun(request: Request, site: Site) -> tuple[Session, Mapping[str, str]]:
    """The session of a page's request, begun if there was none; and the cookie to set then."""
    session: Session | None = request.state.session
    if session is not None:
        return session, {}
    cookie, session = site.access.sessions.begin()
    return session, {"cookie": cookie}


def hand_over(request: Request, site: Site, response: Response, begun_with: Mapping[str, str]) -> Response:
    """Set the cookie of a session that has just begun."""
    if "cookie" in begun_with:
        site.access.sessions.hand_over(response, begun_with["cookie"], secure=site.access.by_tls(request))
    return response


def safe_next(wanted: str) -> str:
    """Where to go after the login: an address of ours, never another site's."""
    plain = wanted.isascii() and wanted.isprintable() and "\\" not in wanted
    return wanted if plain and wanted.startswith("/") and not wanted.startswith("//") else "/"
