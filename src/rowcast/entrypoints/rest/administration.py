"""Users on REST, for administrators; and the audit log, of which everyone sees what they did themselves."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Body, Depends, Path, Query, Request
from pydantic import AwareDatetime

from rowcast.accounts import users
from rowcast.accounts.access import Letter, LetterKind
from rowcast.accounts.audit import DeedsWanted, list_deeds
from rowcast.accounts.links import Purpose
from rowcast.accounts.views import (
    Deed,
    Link,
    NewInvitation,
    NewLink,
    NewUser,
    NewUserLink,
    User,
    UserChanges,
)
from rowcast.entrypoints.rest.bodies import JsonRoute
from rowcast.entrypoints.rest.browsers import base_of
from rowcast.entrypoints.rest.pages.languages import language_of
from rowcast.entrypoints.rest.pages.letters import link_address, post
from rowcast.entrypoints.rest.paging import After, Limit, Page
from rowcast.entrypoints.rest.problems import documented
from rowcast.entrypoints.rest.references import WRITABLE
from rowcast.entrypoints.rest.security import Administrator, Anyone, Wired
from rowcast.entrypoints.services import Services
from rowcast.tables import now

router = APIRouter(tags=["accounts"], route_class=JsonRoute)

UserName = Annotated[str, Path(max_length=200, description="Name of the user.", examples=["anna"])]


@router.get("/users", responses=documented(401, 403, 422))
def list_users(services: Wired, principal: Administrator, limit: Limit = 50, after: After = None) -> Page[User]:
    """All accounts, by name."""
    with services.database.reading() as session:
        items, following = users.list_users(session, principal, limit=limit, after=after)
    return Page(items=items, next=following)


@router.get("/users/{name}", responses=documented(401, 403, 404))
def get_user(services: Wired, principal: Administrator, name: UserName) -> User:
    """One account."""
    with services.database.reading() as session:
        return users.user_view(session, principal, name)


@router.post("/users", status_code=201, responses=documented(401, 403, 409, 422))
def add_user(
    request: Request,
    services: Wired,
    principal: Administrator,
    wanted: Annotated[NewUser, Body(examples=[{"name": "anna", "role": "analyst"}])],
) -> NewUserLink:
    """Make an account. The link in the answer, which works once, lets its owner choose a password."""
    with services.database.transaction() as session:
        user, secret = users.add_user(session, principal, wanted, services.installation.standing)
    return NewUserLink(**user.model_dump(), link=_link(request, services, Purpose.RESET, secret))


@router.patch("/users/{name}", responses=documented(401, 403, 404, 409, 422))
def change_user(
    services: Wired,
    principal: Administrator,
    name: UserName,
    changes: Annotated[UserChanges, Body(examples=[{"role": "analyst"}])],
) -> User:
    """Give a user another role or other limits, keep them out, or let them in again: everywhere within five seconds.

    What is left out stays; a limit that is null is taken away. Whoever is kept out is signed out.
    """
    with services.database.transaction() as session:
        user = users.change_user(session, principal, name, changes, services.installation.standing)
    services.keyring.forget()
    services.sessions.forget()
    return user


@router.post("/users/{name}/link", status_code=201, responses=documented(401, 403, 404, 409, 422))
def make_user_link(
    request: Request,
    services: Wired,
    principal: Administrator,
    name: UserName,
    wanted: Annotated[NewLink, Body(examples=[{"purpose": "reset"}])],
) -> Link:
    """A link for a user, which works once: to choose a new password, or to be signed in."""
    purpose = Purpose(wanted.purpose.value)
    with services.database.transaction() as session:
        secret = users.make_user_link(session, principal, name, purpose)
    return _link(request, services, purpose, secret)


@router.post("/invitations", status_code=201, responses=documented(401, 403, 422))
def make_invitation(
    request: Request,
    services: Wired,
    principal: Administrator,
    wanted: Annotated[NewInvitation, Body(examples=[{"role": "user"}])],
) -> Link:
    """A link by which somebody makes an account with a name of their own choice; it works once. Where the server sends
    mail, it is also sent to the address."""
    with services.database.transaction() as session:
        secret = users.invite(session, principal, wanted)
    if wanted.email is not None:
        post(services, Letter(LetterKind.INVITATION, wanted.email, "", language_of(request), secret))
    return _link(request, services, Purpose.INVITATION, secret)


def wanted_deeds(
    user: Annotated[str | None, Query(max_length=200, pattern=WRITABLE, description="Only what they did.")] = None,
    action: Annotated[
        str | None,
        Query(
            max_length=50,
            pattern=WRITABLE,
            description="Only this, or with its first word alone all of these: `model`.",
        ),
    ] = None,
    subject: Annotated[
        str | None, Query(max_length=200, pattern=WRITABLE, description="Only what was done to this.")
    ] = None,
    since: Annotated[AwareDatetime | None, Query(description="Only from this moment on, with its zone.")] = None,
    until: Annotated[AwareDatetime | None, Query(description="Only before this moment.")] = None,
    mine: Annotated[bool, Query(description="Only your own, for an administrator; others see no more anyway.")] = False,
) -> DeedsWanted:
    return DeedsWanted(user, action, subject, since, until, mine)


@router.get("/audit", responses=documented(401, 422))
def list_audit(
    services: Wired,
    principal: Anyone,
    chosen: Annotated[DeedsWanted, Depends(wanted_deeds)],
    limit: Limit = 50,
    after: After = None,
) -> Page[Deed]:
    """Who did what to what, newest first: an administrator sees everyone's deeds, everyone else their own."""
    with services.database.reading() as session:
        items, following = list_deeds(session, principal, chosen, limit=limit, after=after)
    return Page(items=items, next=following)


def _link(request: Request, services: Services, purpose: Purpose, secret: str) -> Link:
    url = link_address(base_of(request, services.settings), purpose, secret)
    return Link(url=url, expires_at=now() + timedelta(hours=users.HOURS[purpose]))
