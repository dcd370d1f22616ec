"""Signing in and out."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from urllib.parse import urlencode

from anyio import to_thread
from fastapi import APIRouter, Request, Response

from rowcast.accounts.access import Opened
from rowcast.accounts.links import Purpose, look_at
from rowcast.accounts.profile import LANGUAGE_COOKIE
from rowcast.accounts.sessions import end_session
from rowcast.accounts.tables import UserRow
from rowcast.entrypoints.rest import browsers
from rowcast.entrypoints.rest.browsers import own_path, visitor
from rowcast.entrypoints.rest.pages import languages
from rowcast.entrypoints.rest.pages.rendering import PageRoute, fields, go, show, who
from rowcast.entrypoints.rest.pages.texts import LANGUAGES
from rowcast.entrypoints.rest.security import services_of
from rowcast.entrypoints.services import Services
from rowcast.errors import NotFound, RowcastError

router = APIRouter(route_class=PageRoute, include_in_schema=False)


@router.get("/sign-in")
async def sign_in_page(request: Request, next: str = "/", done: str = "", how: str = "") -> Response:
    """Ask for name and password, or go on: when somebody is signed in, or to the provider that most come from."""
    if await who(request) is not None:
        return go(own_path(next))
    provider = services_of(request).settings.sign_in
    if provider and not done and not how:
        return go(f"/sign-in/{provider}?{urlencode({'next': own_path(next)})}")
    return show_sign_in(request, notice="done_signed_out" if done == "signed_out" else "", following=own_path(next))


@router.post("/sign-in")
async def sign_in(request: Request) -> Response:
    """Open a session and go on."""
    services, form = services_of(request), await fields(request)
    name, following = form.get("name", ""), own_path(form.get("next"))
    work = partial(services.access.sign_in, name, form.get("password", ""), visitor(request))
    try:
        opened = await services.passwords.run(work)
    except RowcastError as error:
        return show_sign_in(request, error=error, following=following, name=name[:200])
    return await entered(request, opened, following)


@router.post("/sign-out")
async def sign_out(request: Request) -> Response:
    """End the session of this browser."""
    await leave(request)
    response = go("/sign-in?done=signed_out")
    browsers.drop(response)
    return response


@router.get("/link")
async def link_page(request: Request, token: str = "", next: str = "/") -> Response:
    """Show whom the link signs in. Following it takes a button: what looks into mails must not use it up."""
    user = await to_thread.run_sync(_owner, services_of(request), token)
    return show(request, "link.html", token=token, name=user.name, next=own_path(next))


@router.post("/link")
async def follow_link(request: Request) -> Response:
    """Open a session by a link and go on."""
    services, form = services_of(request), await fields(request)
    opened = await to_thread.run_sync(services.access.follow, form.get("token", ""), visitor(request))
    return await entered(request, opened, own_path(form.get("next")))


@router.post("/language")
async def choose_language(request: Request) -> Response:
    """Remember the language, in the browser and with the account, and show the same page in it."""
    form = await fields(request)
    response = go(own_path(form.get("next")))
    language = form.get("language", "")
    if language in LANGUAGES:
        languages.keep(response, language)
        await to_thread.run_sync(_remember, services_of(request), await _user_id(request), language)
    return response


async def entered(request: Request, opened: Opened, path: str) -> Response:
    """On to that page with the session that was opened; the one that the browser had before is over."""
    services = services_of(request)
    await leave(request)
    response = go(path)
    browsers.keep(response, opened.token, request, services.settings)
    chosen = opened.user.language
    if chosen in LANGUAGES and LANGUAGE_COOKIE not in request.cookies:
        languages.keep(response, str(chosen))
    return response


async def leave(request: Request) -> None:
    """End the session that the browser has, if it has one."""
    principal, services = await who(request), services_of(request)
    if principal is None:
        return

    def end() -> None:
        with services.database.transaction() as session:
            end_session(session, principal, principal.session_id)

    with suppress(NotFound):  # it has ended a moment ago
        await to_thread.run_sync(end)
    services.sessions.forget()


def show_sign_in(
    request: Request, *, error: RowcastError | None = None, notice: str = "", following: str = "/", name: str = ""
) -> Response:
    """The sign-in page, with what went wrong or well on it."""
    services = services_of(request)
    here = "/sign-in?" + urlencode({"next": following, "how": "password"})
    ways = {"open": services.settings.sign_up == "open", "providers": services.providers.values()}
    return show(request, "sign_in.html", error=error, notice=notice, here=here, next=following, name=name, **ways)


def _owner(services: Services, secret: str) -> UserRow:
    with services.database.reading() as session:
        return session.get_one(UserRow, look_at(session, Purpose.SIGN_IN, secret).user_id)


async def _user_id(request: Request) -> str:
    principal = await who(request)
    return principal.id if principal else ""


def _remember(services: Services, user_id: str, language: str) -> None:
    if not user_id:
        return
    with services.database.transaction() as session:
        session.get_one(UserRow, user_id).language = language
