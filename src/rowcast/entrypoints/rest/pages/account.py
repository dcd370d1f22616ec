"""The page about oneself: password, e-mail address, sessions."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from anyio import to_thread
from fastapi import APIRouter, Request, Response

from rowcast.accounts.identities import linked_of
from rowcast.accounts.oneself import profile_of, sessions_of
from rowcast.accounts.principal import Principal
from rowcast.accounts.profile import LinkedIdentity
from rowcast.accounts.providers import Provider
from rowcast.accounts.sessions import end_session
from rowcast.entrypoints.agents import browser_of
from rowcast.entrypoints.rest.browsers import visitor
from rowcast.entrypoints.rest.pages.letters import post
from rowcast.entrypoints.rest.pages.rendering import SIGN_IN_AGAIN, PageRoute, fields, go, show, to_sign_in, who
from rowcast.entrypoints.rest.security import services_of
from rowcast.entrypoints.services import Services
from rowcast.errors import RowcastError

router = APIRouter(route_class=PageRoute, include_in_schema=False)

DONE = frozenset({"password", "email", "email_asked", "session", "linked", "unlinked"})


@router.get("/account")
async def account_page(request: Request, done: str = "") -> Response:
    """Who one is, and what can be changed about it."""
    principal = await who(request)
    if principal is None:
        return to_sign_in(request)
    return await show_account(request, principal, notice=f"done_{done}" if done in DONE else "")


@router.post("/account/password")
async def change_password(request: Request) -> Response:
    """Set another password, and end all other sessions."""
    principal = await who(request)
    if principal is None:
        return go(SIGN_IN_AGAIN)
    services, form = services_of(request), await fields(request)
    change = partial(services.access.change_password, principal, form.get("current", ""), form.get("new", ""))
    try:
        await services.passwords.run(partial(change, visitor(request)))
    except RowcastError as error:
        return await show_account(request, principal, error=error)
    services.sessions.forget()
    return go("/account?done=password")


@router.post("/account/email")
async def change_email(request: Request) -> Response:
    """Send a link that confirms a new e-mail address."""
    principal = await who(request)
    if principal is None:
        return go(SIGN_IN_AGAIN)
    services, form = services_of(request), await fields(request)
    ask = partial(services.access.ask_email, principal, form.get("email", ""), visitor(request))
    try:
        post(services, await to_thread.run_sync(ask))
    except RowcastError as error:
        return await show_account(request, principal, error=error)
    return go("/account?done=email_asked")


@router.post("/account/sessions/{session_id}/end")
async def end_one(request: Request, session_id: str) -> Response:
    """End another session of one's own."""
    principal, services = await who(request), services_of(request)
    if principal is None:
        return go(SIGN_IN_AGAIN)
    await to_thread.run_sync(_end, services, principal, session_id)
    return go("/account?done=session")


async def show_account(
    request: Request, principal: Principal, *, error: RowcastError | None = None, notice: str = ""
) -> Response:
    """The page, with what went wrong or well on it."""
    services = services_of(request)

    def look() -> dict[str, object]:
        with services.database.reading() as session:
            sessions = sessions_of(session, services.sessions, principal)
            linked = linked_of(session, principal)
            return {
                "linked": [(each, _title(services, each.provider)) for each in linked],
                "linkable": _linkable(services, linked),
                "account": profile_of(session, principal),
                "sessions": [(each, browser_of(each.agent)) for each in sessions],
            }

    shown = await to_thread.run_sync(look)
    minutes = f"{services.settings.session_minutes:g}"
    mails = services.mail is not None
    return show(
        request, "account.html", here="/account", error=error, notice=notice, minutes=minutes, mails=mails, **shown
    )


def _end(services: Services, principal: Principal, session_id: str) -> None:
    with services.database.transaction() as session:
        end_session(session, principal, session_id)
    services.sessions.forget()


def _title(services: Services, name: str) -> str:
    provider = services.providers.get(name)
    return provider.title if provider else name


def _linkable(services: Services, linked: Sequence[LinkedIdentity]) -> list[Provider]:
    """Providers at which the account is not known yet."""
    names = {each.provider for each in linked}
    return [provider for name, provider in services.providers.items() if name not in names]
