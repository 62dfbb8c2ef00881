"""The addresses of the pages."""

from __future__ import annotations

from fastapi import APIRouter, HTTPException, Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response, StreamingResponse

from core.web.access import Access
from core.web.gateway import Unanswered
from core.web.pages.actions import actions_router
from core.web.pages.forms import begun, fields_of, hand_over, own_form, safe_next
from core.web.pages.live import Live
from core.web.pages.new_order import new_order_router
from core.web.pages.now import NOW
from core.web.pages.order import ORDER
from core.web.pages.orders import Filters, csv_text, orders_view
from core.web.pages.positions import POSITIONS
from core.web.pages.risk import RISK
from core.web.pages.site import NotThere, Site, View
from core.web.pages.status_bar import status_bar
from core.web.pages.system import SYSTEM
from core.web.plain import plain
from core.web.rate import Flood, RateLimit

__all__ = ["pages_router", "problem_page", "views"]

_CSV_ROWS = 50_000
_LOGINS_PER_MIN = 10
# Tries beyond those, of all addresses together: behind a proxy the owner may have the address of a guesser.
_FURTHER_PER_MIN = 20


def views() -> list[View]:
    """The pages that are live."""
    return [NOW, orders_view(), ORDER, POSITIONS, RISK, SYSTEM]


def pages_router(site: Site, live: Live) -> APIRouter:
    """All pages. `Lock` has let a request in before it comes here."""
    router = APIRouter(include_in_schema=False)
    _add_login(router, site)
    _add_live(router, live)

    @router.get("/orders.csv")
    async def orders_csv(request: Request) -> Response:
        filters = Filters.of(request.query_params)
        rows = await site.reading.record(lambda record: plain(filters.rows(record, _CSV_ROWS)))
        text = await site.reading.run(lambda: csv_text(rows))
        return PlainTextResponse(
            text, media_type="text/csv", headers={"Content-Disposition": 'attachment; filename="orders.csv"'}
        )

    router.include_router(new_order_router(site))
    router.include_router(actions_router(site))

    async def page(request: Request) -> Response:
        return await _page(site, live, request)

    for path in ("/", "/orders", "/orders/{command_id}", "/positions", "/risk", "/system"):
        router.add_api_route(path, page, methods=["GET"], response_model=None)
    return router


async def _page(site: Site, live: Live, request: Request) -> Response:
    query = f"?{request.url.query}" if request.url.query else ""
    found = live.find(request.url.path + query)
    try:
        if found is None:
            raise NotThere("there is no such page")
        view, params = found
        values = await view.read(site, params)
    except NotThere as error:
        return await problem_page(site, request, str(error), 404)
    except Unanswered as error:
        return await problem_page(site, request, str(error), 503)
    session, cookie = begun(request, site)
    return hand_over(request, site, site.html(view.template, values, session), cookie)


async def problem_page(site: Site, request: Request, what: str, status: int) -> Response:
    """The frame of every page, kill switch and all, round what cannot be shown."""
    session, cookie = begun(request, site)
    values = {**await status_bar(site), "page": "", "what": what}
    return hand_over(request, site, site.html("problem.html", values, session, status), cookie)


def _add_live(router: APIRouter, live: Live) -> None:
    @router.get("/live")
    async def stream(request: Request, page: str) -> Response:
        found = live.find(page)
        if found is None:
            raise HTTPException(404, "there is no such page")
        if live.full:
            raise HTTPException(503, "too many pages are open")
        # Proxies must pass each event on at once.
        return StreamingResponse(
            live.stream(*found, request.state.session),
            media_type="text/event-stream",
            headers={"X-Accel-Buffering": "no"},
        )


def _add_login(router: APIRouter, site: Site) -> None:
    access: Access = site.access
    rate = RateLimit(site.gateway.clock, _LOGINS_PER_MIN)
    further = RateLimit(site.gateway.clock, _FURTHER_PER_MIN)

    def take(request: Request) -> None:
        try:
            # Strangers who share an address with the owner cannot use up the tries of a browser that is known.
            rate.take(access.sessions.known(request) or access.source(request))
        except Flood:
            further.take("all")

    @router.get("/login")
    async def form(request: Request) -> Response:
        if access.password is None:
            return RedirectResponse("/", 303)
        wanted = safe_next(request.query_params.get("next", "/"))
        return site.html("login.html", {"wanted": wanted, "problem": None}, None)

    @router.post("/login")
    async def login(request: Request) -> Response:
        access.own_page(request)
        fields = await fields_of(request)
        wanted = safe_next(fields.get("next", "/"))
        password = access.password
        if password is None:
            return RedirectResponse("/", 303)
        try:
            take(request)
        except Flood:
            problem = "Too many tries. Wait a minute."
            return site.html("login.html", {"wanted": wanted, "problem": problem}, None, 429)
        if not await password.matches(fields.get("password", "")):
            access.note_wrong_password(request)
            problem = "That is not the password."
            return site.html("login.html", {"wanted": wanted, "problem": problem}, None, 401)
        cookie, _ = access.sessions.begin(request)
        response = hand_over(request, site, RedirectResponse(wanted, 303), {"cookie": cookie})
        access.sessions.know(response, secure=access.by_tls(request))
        return response

    @router.post("/logout")
    async def logout(request: Request) -> Response:
        _, fields = await own_form(request)
        response = RedirectResponse("/login", 303)
        access.sessions.end(request, response, everywhere=bool(fields.get("everywhere")))
        return response
