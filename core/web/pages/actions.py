"""What a person does on the pages: halt, resume, cancel, modify, exit. Each is confirmed on a page of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, HTTPException, Request
from pydantic import ValidationError
from starlette.responses import RedirectResponse, Response

from core.messages import (
    CancelStatus,
    ClearHalt,
    GuardSnapshot,
    HaltChanged,
    Message,
    ModifyStatus,
    ResumeRefused,
    Seen,
    SetHalt,
)
from core.model.order import Source
from core.rules.square_off import follows_text
from core.rules.square_off_scope import not_touched, not_touched_text
from core.web.account import adopt, flatten
from core.web.actions import COMMAND_ID, cancel, misnamed_scope, modify, square_off
from core.web.gateway import Unanswered
from core.web.pages.forms import begun, hand_over, own_form
from core.web.pages.site import Site
from core.web.pages.status_bar import status_bar
from core.web.schemas import AdoptRequest, FlattenRequest, SquareOffRequest
from core.web.sessions import Session

__all__ = ["actions_router"]

_BY = "dashboard"
_WHAT = ("strategy", "symbol")
_MOST_REASON = 200


def actions_router(site: Site) -> APIRouter:
    """The pages of confirmation, and what they do."""
    router = APIRouter(include_in_schema=False)
    _add_halt(router, site)
    _add_cancel(router, site)
    _add_modify(router, site)
    _add_adopt(router, site)
    _add_flatten(router, site)
    _add_square_off(router, site)
    return router


def _add_halt(router: APIRouter, site: Site) -> None:
    @router.get("/halt")
    async def halt(request: Request) -> Response:
        return await _confirm(site, request, "halt")

    @router.get("/resume")
    async def resume(request: Request) -> Response:
        return await _confirm(site, request, "resume")

    @router.post("/halt")
    async def do_halt(request: Request) -> Response:
        session, fields = await own_form(request)
        reason = " ".join(fields.get("reason", "").split())[:_MOST_REASON] or "halted by a person"
        await _change_halt(site, session, lambda name: SetHalt(reason, _BY, name))
        return RedirectResponse("/", 303)

    @router.post("/resume")
    async def do_resume(request: Request) -> Response:
        session, _ = await own_form(request)
        await _change_halt(site, session, lambda name: ClearHalt(_BY, name))
        return RedirectResponse("/", 303)


async def _change_halt(site: Site, session: Session, make: Callable[[str], Message]) -> None:
    try:
        found = await site.gateway.ask(site.gateway.order_repo, make)
    except Unanswered as error:
        session.note("bad", f"Not known whether trading is halted: {error}")
        return
    if isinstance(found, ResumeRefused):
        session.note("bad", f"Trading is not resumed: {found.reason}. Ask for it again.")
    if isinstance(found, HaltChanged):
        halted = found.halt is not None
        text = "Trading is halted: no ENTRY and no ADJUST is sent; EXITs are." if halted else "Trading goes on."
        if found.still_open:
            text += f" Still open at the broker and not cancelled: {', '.join(found.still_open)}."
        if found.before is not None:
            text += f" It was halted already by {found.before.by}: {found.before.reason}"
        session.note("info" if halted else "good", text)


def _add_cancel(router: APIRouter, site: Site) -> None:
    @router.get("/orders/{command_id}/cancel")
    async def confirm_cancel(request: Request, command_id: str) -> Response:
        return await _confirm(site, request, "cancel", command_id=command_id)

    @router.post("/orders/{command_id}/cancel")
    async def do_cancel(request: Request, command_id: str) -> Response:
        session, _ = await own_form(request)
        answer = await cancel(site.gateway, command_id, _BY)
        session.note(_MOOD.get(answer.standing, "bad"), f"Cancel: {answer.reason}")
        return RedirectResponse(f"/orders/{answer.command_id}" if answer.found else "/orders", 303)


def _add_modify(router: APIRouter, site: Site) -> None:
    @router.get("/orders/{command_id}/modify")
    async def confirm_modify(request: Request, command_id: str) -> Response:
        row = (
            await site.reading.record(lambda record: record.row(command_id))
            if COMMAND_ID.fullmatch(command_id)
            else None
        )
        if row is None:
            raise HTTPException(404, f"there is no order {command_id[:64]}")
        about = {name: str(row[name] or "") for name in ("symbol", "side", "filled_quantity", *_TERMS)}
        return await _confirm(site, request, "modify", command_id=command_id, **about)

    @router.post("/orders/{command_id}/modify")
    async def do_modify(request: Request, command_id: str) -> Response:
        session, fields = await own_form(request)
        # What the page showed and the person left as it was does not change, whatever it is by now.
        given = {
            name: fields[name] for name in _TERMS if fields.get(name) and fields[name] != fields.get(f"was_{name}")
        }
        was = fields.get("was_filled_quantity", "")
        seen = (
            Seen(filled_quantity=int(was)) if was.isdecimal() and was.isascii() and len(was) < _MOST_DIGITS else Seen()
        )
        answer = await modify(site.gateway, command_id, given, _BY, seen)
        session.note(_MODIFY_MOOD.get(answer.standing, "bad"), f"Modify: {answer.reason}")
        return RedirectResponse(f"/orders/{answer.command_id}" if answer.command_id else "/orders", 303)


_TERMS = ("quantity", "order_type", "price", "trigger_price")
_MOST_DIGITS = 12
_MODIFY_MOOD = {
    ModifyStatus.TAKEN: "good",
    ModifyStatus.UNDER_WAY: "info",
    ModifyStatus.UNCHANGED: "info",
    ModifyStatus.UNKNOWN: "info",
    ModifyStatus.OVER: "info",
}
_MOOD = {
    CancelStatus.CANCELLED: "good",
    CancelStatus.TAKEN: "good",
    CancelStatus.UNKNOWN: "info",
    CancelStatus.OVER: "info",
}


def _add_adopt(router: APIRouter, site: Site) -> None:
    @router.get("/positions/adopt")
    async def confirm(request: Request) -> Response:
        names = ("exchange", "symbol", "product", "quantity", "strategy")
        return await _confirm(site, request, "adopt", **{name: request.query_params.get(name, "") for name in names})

    @router.post("/positions/adopt")
    async def do(request: Request) -> Response:
        session, fields = await own_form(request)
        given = {name: value for name, value in fields.items() if name in AdoptRequest.model_fields and value}
        try:
            wanted = AdoptRequest.model_validate(
                {**given, "quantity": int(given.get("quantity", "0")), "write_off": "write_off" in given, "by": _BY}
            )
        except ValueError as error:
            session.note("bad", f"Nothing was recorded: {_first_line(error)}")
            return RedirectResponse("/positions", 303)
        try:
            told = await adopt(site.gateway, wanted)
        except Unanswered as error:
            session.note("bad", f"Not known whether it was recorded: {error}")
            return RedirectResponse("/positions", 303)
        done = told.correction
        if done is None:
            session.note("bad", f"Nothing was recorded: {told.reason}")
        else:
            session.note("good", f"Recorded: {done.quantity:+d} {done.symbol} for {done.strategy} ({done.kind}).")
        return RedirectResponse("/positions", 303)


def _add_flatten(router: APIRouter, site: Site) -> None:
    @router.get("/positions/flatten")
    async def confirm(request: Request) -> Response:
        names = FlattenRequest.model_fields
        return await _confirm(site, request, "flatten", **{name: request.query_params.get(name, "") for name in names})

    @router.post("/positions/flatten")
    async def do(request: Request) -> Response:
        session, fields = await own_form(request)
        try:
            given = {name: fields.get(name, "") for name in FlattenRequest.model_fields}
            wanted = FlattenRequest.model_validate({**given, "quantity": int(given["quantity"])})
            told = await flatten(site.gateway, wanted, Source.DASHBOARD)
        except ValueError as error:
            session.note("bad", f"Nothing was sent: {_first_line(error)}")
        except Unanswered as error:
            session.note("bad", f"Not known whether an order was sent: {error}")
        else:
            if told.reason:
                session.note("bad", f"{told.reason[:1].upper()}{told.reason[1:]}")
            elif told.under_way:
                session.note("info", f"It is being closed already: {', '.join(told.under_way)}.")
            else:
                sent = ", ".join(f"{one.side} {one.quantity} {one.symbol}" for one in told.exits)
                session.note(
                    "good",
                    f"Exit sent: {sent}. It is sent again while it fails or rests; an alert tells if it is given up.",
                )
        return RedirectResponse("/positions", 303)


def _first_line(error: ValueError) -> str:
    if isinstance(error, ValidationError):
        return ", ".join(f"{problem['loc'][0]}: {problem['msg']}" for problem in error.errors())
    return "quantity is no whole number"


def _add_square_off(router: APIRouter, site: Site) -> None:
    @router.get("/squareoff")
    async def confirm(request: Request, strategy: str = "", symbol: str = "") -> Response:
        return await _confirm(site, request, "squareoff", strategy=strategy, symbol=symbol)

    @router.post("/squareoff")
    async def do(request: Request) -> Response:
        session, fields = await own_form(request)
        try:
            wanted = SquareOffRequest.model_validate({name: fields[name] for name in _WHAT if fields.get(name)})
        except ValidationError as error:
            wrong = ", ".join(str(problem["loc"][0]) for problem in error.errors())
            session.note("bad", f"Nothing was exited: {wrong} cannot be read.")
            return RedirectResponse("/positions", 303)
        before = await site.state.guard()
        unknown = await _wrong_scope(site, before, wanted.strategy, wanted.symbol)
        if unknown is not None:
            session.note("bad", unknown)
            return RedirectResponse("/positions", 303)
        begun_now = await square_off(
            site.gateway,
            reason="asked for on the dashboard",
            source=Source.DASHBOARD,
            strategy=wanted.strategy,
            symbol=wanted.symbol,
        )
        if begun_now is None:
            session.note("bad", "Not known whether the exits were sent: the guard does not answer.")
        elif begun_now.cancels and not begun_now.exits:
            orders = f"{len(begun_now.cancels)} order{'s' * (len(begun_now.cancels) > 1)}"
            session.note("good", f"Cancelling {orders} first; exits follow where something is held.")
        elif begun_now.waiting and not begun_now.exits:
            told = "; ".join(
                f"{one.side} {one.quantity} {one.symbol} {follows_text(ids)}" for one, ids in begun_now.waiting
            )
            session.note("good", f"Exits follow: {told}.")
        elif not begun_now.exits:
            session.note("info", "There was nothing to exit that is not being exited already.")
        else:
            told = ", ".join(f"{one.side} {one.quantity} {one.symbol}" for one in begun_now.exits)
            session.note("good", f"Exits sent: {told}.")
        left = _left(before, wanted.strategy, wanted.symbol)
        if left:
            session.note("info", left)
        return RedirectResponse("/positions", 303)


async def _confirm(site: Site, request: Request, deed: str, **about: str) -> Response:
    session, cookie = begun(request, site)
    values: dict[str, Any] = {**await status_bar(site), "page": "", "deed": deed, "about": about}
    if deed == "squareoff":
        guard = values["guard"] = await site.state.guard()
        scope = (about["strategy"] or None, about["symbol"] or None)
        values |= {"wrong": await _wrong_scope(site, guard, *scope), "left": _left(guard, *scope)}
    return hand_over(request, site, site.html("confirm.html", values, session), cookie)


async def _wrong_scope(site: Site, guard: GuardSnapshot | None, strategy: str | None, symbol: str | None) -> str | None:
    """What is wrong with the names of a square-off; a guard that does not answer keeps none back."""
    if guard is None:
        return None
    strategies = [one.name for one in site.settings.strategies]
    wrong = await misnamed_scope(site.reading, guard, strategies, strategy, symbol)
    return None if wrong is None else f"{wrong['error'][:1].upper()}{wrong['error'][1:]}"


def _left(guard: GuardSnapshot | None, strategy: str | None, symbol: str | None) -> str:
    return "" if guard is None else not_touched_text(not_touched(guard, strategy, symbol))
