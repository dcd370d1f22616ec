"""Opening an account, confirming an address, setting a forgotten password anew."""

from __future__ import annotations

from functools import partial

from anyio import to_thread
from fastapi import APIRouter, Request, Response

from rowcast.accounts.links import Purpose, look_at
from rowcast.accounts.registration import SignUp, admit
from rowcast.accounts.tables import UserRow
from rowcast.entrypoints.rest.browsers import visitor
from rowcast.entrypoints.rest.pages.languages import language_of
from rowcast.entrypoints.rest.pages.letters import post
from rowcast.entrypoints.rest.pages.rendering import PageRoute, fields, go, show, to_sign_in, who
from rowcast.entrypoints.rest.pages.signing import entered
from rowcast.entrypoints.rest.security import services_of
from rowcast.entrypoints.services import Services
from rowcast.errors import RowcastError

router = APIRouter(route_class=PageRoute, include_in_schema=False)


@router.get("/sign-up")
async def sign_up_page(request: Request) -> Response:
    """Ask for what an account needs, where anyone may open one."""
    services = services_of(request)
    admit(SignUp(services.settings.sign_up), invited=False)
    return show(request, "sign_up.html", token="", invited="", name="", email="", mails=services.mail is not None)


@router.get("/invitation")
async def invitation_page(request: Request, token: str = "") -> Response:
    """The same for who is invited."""
    services = services_of(request)
    admit(SignUp(services.settings.sign_up), invited=True)
    invited = await to_thread.run_sync(_address_of, services, Purpose.INVITATION, token)
    return show(request, "sign_up.html", token=token, invited=invited, name="", email="", mails=False)


@router.post("/sign-up")
async def sign_up(request: Request) -> Response:
    """Open an account and a session."""
    services, form = services_of(request), await fields(request)
    token, name, email = form.get("token", ""), form.get("name", ""), form.get("email", "")
    person = visitor(request, language_of(request))
    join = partial(services.access.sign_up, name, form.get("password", ""), person)
    try:
        opened, letter = await services.passwords.run(partial(join, email=email or None, invitation=token or None))
    except RowcastError as error:
        kept = {"token": token, "name": name[:200], "email": email[:254]}
        return show(request, "sign_up.html", error=error, invited="", mails=_asks_email(services, token), **kept)
    if letter is not None:
        post(services, letter)
    return await entered(request, opened, "/account?done=email_asked" if letter else "/")


@router.get("/forgot")
async def forgot_page(request: Request) -> Response:
    """Ask whose password is forgotten."""
    return show(request, "forgot.html", mails=services_of(request).mail is not None, sent=False)


@router.post("/forgot")
async def forgot(request: Request) -> Response:
    """Send a letter, if there is an account to send it to: the page says the same either way."""
    services, form = services_of(request), await fields(request)
    person = visitor(request, language_of(request))
    try:
        letter = await to_thread.run_sync(services.access.ask_reset, form.get("name", ""), person)
    except RowcastError as error:
        return show(request, "forgot.html", error=error, mails=services.mail is not None, sent=False)
    if letter is not None:
        post(services, letter)
    return show(request, "forgot.html", notice="forgot_sent", mails=True, sent=True)


@router.get("/reset")
async def reset_page(request: Request, token: str = "") -> Response:
    """Ask for a new password."""
    name = await to_thread.run_sync(_name_of, services_of(request), Purpose.RESET, token)
    return show(request, "reset.html", token=token, name=name)


@router.post("/reset")
async def reset(request: Request) -> Response:
    """Set the new password and open a session."""
    services, form = services_of(request), await fields(request)
    token = form.get("token", "")
    name = await to_thread.run_sync(_name_of, services, Purpose.RESET, token)
    work = partial(services.access.reset, token, form.get("password", ""), visitor(request))
    try:
        opened = await services.passwords.run(work)
    except RowcastError as error:
        return show(request, "reset.html", error=error, token=token, name=name)
    services.sessions.forget()
    return await entered(request, opened, "/")


@router.get("/confirm")
async def confirm_page(request: Request, token: str = "") -> Response:
    """Show which address the link confirms, to who asked for it."""
    if await who(request) is None:
        return to_sign_in(request)
    email = await to_thread.run_sync(_address_of, services_of(request), Purpose.EMAIL, token)
    return show(request, "confirm.html", token=token, email=email)


@router.post("/confirm")
async def confirm(request: Request) -> Response:
    """Take the address as proven."""
    principal = await who(request)
    if principal is None:
        return go("/sign-in")
    services, form = services_of(request), await fields(request)
    await to_thread.run_sync(services.access.confirm_email, principal, form.get("token", ""))
    return go("/account?done=email")


def _address_of(services: Services, purpose: Purpose, secret: str) -> str:
    with services.database.reading() as session:
        return look_at(session, purpose, secret).email or ""


def _name_of(services: Services, purpose: Purpose, secret: str) -> str:
    with services.database.reading() as session:
        return session.get_one(UserRow, look_at(session, purpose, secret).user_id).name


def _asks_email(services: Services, token: str) -> bool:
    return services.mail is not None and not token
