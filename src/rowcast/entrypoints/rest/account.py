"""Signing in and one's own account on REST: what the pages do, for programs."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Depends, Path, Request, Response

from rowcast.accounts.access import SIGN_IN_HOURS, Opened
from rowcast.accounts.audit import caller_address
from rowcast.accounts.identities import linked_of
from rowcast.accounts.links import Purpose
from rowcast.accounts.oneself import account_of, profile_of, sessions_of
from rowcast.accounts.principal import Principal
from rowcast.accounts.profile import (
    Account,
    BrowserSession,
    Credentials,
    LinkedIdentity,
    LinkToken,
    NewAccount,
    NewEmail,
    NewPassword,
    PasswordChange,
    ResetWanted,
)
from rowcast.accounts.sessions import end_session
from rowcast.accounts.views import Link
from rowcast.entrypoints.rest import browsers
from rowcast.entrypoints.rest.bodies import JsonRoute
from rowcast.entrypoints.rest.browsers import address_of, require_own_site, visitor
from rowcast.entrypoints.rest.pages.languages import language_of
from rowcast.entrypoints.rest.pages.letters import link_address, post
from rowcast.entrypoints.rest.problems import documented
from rowcast.entrypoints.rest.security import Account as Owner
from rowcast.entrypoints.rest.security import Wired
from rowcast.entrypoints.services import Services
from rowcast.errors import Conflict
from rowcast.tables import now


async def guest(services: Wired, request: Request) -> None:
    """Take in a call of which it is not known whose it is: never one that a page elsewhere makes a browser send."""
    caller_address.set(address_of(request.scope))
    require_own_site(request.scope, services.settings, proof=False)


public = APIRouter(tags=["accounts"], route_class=JsonRoute, dependencies=[Depends(guest)])
"""For who is not signed in yet."""

router = APIRouter(tags=["accounts"], route_class=JsonRoute)

SessionId = Annotated[str, Path(max_length=32, description="Id of the session.")]
IdentityId = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$", description="Id of the linked identity.")]


@public.post("/session", status_code=201, responses=documented(401, 403, 429, 503))
async def sign_in(services: Wired, request: Request, response: Response, credentials: Credentials) -> Account:
    """Open a session by name and password: the answer sets its cookie, `rowcast_session`.

    Requests with the cookie that change something also need the header `X-Rowcast-Client`, with any value, unless a
    browser sends them from a page of this server.
    """
    enter = partial(services.access.sign_in, credentials.name, credentials.password, visitor(request))
    return _entered(services, request, response, await services.passwords.run(enter))


@public.post("/session/link", status_code=201, responses=documented(401, 403))
async def follow_link(services: Wired, request: Request, response: Response, link: LinkToken) -> Account:
    """Open a session by a link that signs in, which is used up by this."""
    opened = await to_thread.run_sync(services.access.follow, link.token, visitor(request))
    return _entered(services, request, response, opened)


@public.post("/sign-up", status_code=201, responses=documented(403, 409, 429, 503))
async def sign_up(services: Wired, request: Request, response: Response, account: NewAccount) -> Account:
    """Open an account, where the server lets one or with an invitation, and a session like `POST /session`."""
    join = partial(services.access.sign_up, account.name, account.password, visitor(request, language_of(request)))
    opened, letter = await services.passwords.run(partial(join, email=account.email, invitation=account.invitation))
    if letter is not None:
        post(services, letter)
    return _entered(services, request, response, opened)


@public.post("/password-reset", status_code=202, responses=documented(403, 409, 429))
async def ask_password_reset(services: Wired, request: Request, wanted: ResetWanted) -> None:
    """Have a letter sent with a link to set a new password. The answer is the same when there is no such account."""
    person = visitor(request, language_of(request))
    letter = await to_thread.run_sync(services.access.ask_reset, wanted.name, person)
    if letter is not None:
        post(services, letter)


@public.put("/password-reset", responses=documented(401, 403, 503))
async def reset_password(services: Wired, request: Request, response: Response, wanted: NewPassword) -> Account:
    """Set a password by a link, end all sessions, and open one like `POST /session`."""
    work = partial(services.access.reset, wanted.token, wanted.password, visitor(request))
    opened = await services.passwords.run(work)
    services.sessions.forget()
    return _entered(services, request, response, opened)


@router.delete("/session", status_code=204, responses=documented(401, 403, 404, 409))
def sign_out(services: Wired, principal: Owner, response: Response) -> None:
    """End the session that the call is made in."""
    if not principal.session_id:
        raise Conflict(
            "session_missing", "This call was made with an API key, not in a session: revoke the key instead."
        )
    _end(services, principal, principal.session_id)
    browsers.drop(response)


@router.get("/account", responses=documented(401, 403))
def get_account(services: Wired, principal: Owner) -> Account:
    """One's own account."""
    with services.database.reading() as session:
        return profile_of(session, principal)


@router.put("/account/password", status_code=204, responses=documented(401, 403, 429, 503))
async def change_password(services: Wired, request: Request, principal: Owner, change: PasswordChange) -> None:
    """Set another password, or a first one; all sessions end but the one that the call is made in."""
    work = partial(services.access.change_password, principal, change.current, change.new, visitor(request))
    await services.passwords.run(work)
    services.sessions.forget()


@router.put("/account/email", status_code=202, responses=documented(401, 403, 409, 429))
def change_email(services: Wired, request: Request, principal: Owner, wanted: NewEmail) -> None:
    """Have a letter sent to a new e-mail address; following its link makes it one's own."""
    post(services, services.access.ask_email(principal, wanted.email, visitor(request)))


@router.post("/email-confirmation", status_code=204, responses=documented(401, 403, 409))
def confirm_email(services: Wired, principal: Owner, link: LinkToken) -> None:
    """Take one's new e-mail address as proven, by the link in a letter."""
    services.access.confirm_email(principal, link.token)


@router.get("/account/sessions", responses=documented(401, 403))
def list_sessions(services: Wired, principal: Owner) -> list[BrowserSession]:
    """The browsers that one is signed in with, those used last first."""
    with services.database.reading() as session:
        return sessions_of(session, services.sessions, principal)


@router.delete("/account/sessions/{session_id}", status_code=204, responses=documented(401, 403, 404))
def end_other_session(services: Wired, principal: Owner, session_id: SessionId) -> None:
    """Sign a browser out. Servers notice within five seconds."""
    _end(services, principal, session_id)


@router.get("/account/identities", responses=documented(401, 403))
def list_identities(services: Wired, principal: Owner) -> list[LinkedIdentity]:
    """What one can sign in with at GitHub and other providers, the oldest first. The page `/account` links others."""
    with services.database.reading() as session:
        return linked_of(session, principal)


@router.delete("/account/identities/{identity_id}", status_code=204, responses=documented(401, 403, 404, 409))
def unlink_identity(services: Wired, principal: Owner, identity_id: IdentityId) -> None:
    """No longer sign in with that: refused with 409 `last_way_in` where there is no password and no other."""
    services.identities.unlink(principal, identity_id)


@router.post("/account/link", status_code=201, responses=documented(401, 403))
def make_sign_in_link(services: Wired, request: Request, principal: Owner) -> Link:
    """A link that signs a browser in as oneself, once, within a quarter of an hour."""
    secret = services.access.link_for(principal)
    base = browsers.base_of(request, services.settings)
    url = link_address(base, Purpose.SIGN_IN, secret)
    return Link(url=url, expires_at=now() + timedelta(hours=SIGN_IN_HOURS))


def _entered(services: Services, request: Request, response: Response, opened: Opened) -> Account:
    browsers.keep(response, opened.token, request, services.settings)
    return account_of(opened.user)


def _end(services: Services, principal: Principal, session_id: str) -> None:
    with services.database.transaction() as session:
        end_session(session, principal, session_id)
    services.sessions.forget()
