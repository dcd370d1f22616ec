"""Users as administrators see them: listed, made, given roles and limits, blocked, and handed links that work once."""

from __future__ import annotations

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from rowcast.accounts.audit import record
from rowcast.accounts.links import Purpose, make_link, void_links
from rowcast.accounts.principal import Principal, Role, Scope
from rowcast.accounts.registration import checked_email, register
from rowcast.accounts.seats import require_seat
from rowcast.accounts.sessions import end_sessions
from rowcast.accounts.tables import UserRow
from rowcast.accounts.views import NewInvitation, NewUser, User, UserChanges
from rowcast.errors import Conflict, NotFound
from rowcast.licences.standing import Standing
from rowcast.paging import page
from rowcast.tables import now, take_turn

HOURS = {Purpose.RESET: 72.0, Purpose.SIGN_IN: 1.0, Purpose.INVITATION: 168.0}
"""How long a link works that an administrator hands out: it has to reach somebody, who may be away."""


def list_users(
    session: Session, principal: Principal, *, limit: int = 50, after: str | None = None
) -> tuple[list[User], str | None]:
    """Users by name, and the cursor of the next page.

    Raises:
        Forbidden: the caller is no administrator.
    """
    principal.require(scope=Scope.ADMIN)
    rows, following = page(session, select(UserRow), [UserRow.name], limit=limit, after=after)
    return [to_view(user) for (user,) in rows], following


def user_view(session: Session, principal: Principal, name: str) -> User:
    """The user of that name.

    Raises:
        Forbidden: the caller is no administrator.
        NotFound: there is none.
    """
    return to_view(_find(session, principal, name))


def add_user(
    session: Session, principal: Principal, wanted: NewUser, standing: Standing | None = None
) -> tuple[User, str]:
    """A new account, and the secret of the link by which its owner chooses a password.

    Raises:
        Forbidden: the caller is no administrator, or the licence, as ``standing`` has it, leaves no seat.
        InvalidInput: the name or the address cannot be one.
        Conflict: the name or the address is taken.
    """
    principal.require(scope=Scope.ADMIN)
    principal.require_whole()
    user = register(session, wanted.name, email=wanted.email, verified=True, role=wanted.role, standing=standing)
    record(session, "user.added", user.name, principal=principal, role=user.role)
    return to_view(user), _link(session, principal, user, Purpose.RESET)


def change_user(
    session: Session, principal: Principal, name: str, changes: UserChanges, standing: Standing | None = None
) -> User:
    """Give a user another role or other limits, keep them out, or let them in again. What was named is changed; it
    holds everywhere as soon as keys and sessions are looked up anew. Whoever is kept out is signed out.

    Raises:
        Forbidden: the caller is no administrator, or the licence, as ``standing`` has it, leaves no seat.
        NotFound: there is no such user.
        Conflict: nobody would be left to run the server.
    """
    principal.require(scope=Scope.ADMIN)
    take_turn(session, "administrators")
    user = _find(session, principal, name, for_update=True)
    named = changes.model_fields_set
    if changes.role is not None and changes.role.value != user.role:
        principal.require_whole()
        user.role = changes.role.value
        record(session, "user.role", user.name, principal=principal, role=user.role)
    if changes.blocked is not None and changes.blocked != (user.blocked_at is not None):
        if not changes.blocked:
            require_seat(session, standing or Standing())
        _block(session, principal, user, blocked=changes.blocked)
    if limits := named & {"requests_per_second", "rows_per_day"}:
        for limit in sorted(limits):
            setattr(user, limit, getattr(changes, limit))
        record(session, "user.limits", user.name, principal=principal, **changes.model_dump(include=limits))
    session.flush()
    _check_somebody_administers(session)
    return to_view(user)


def make_user_link(session: Session, principal: Principal, name: str, purpose: Purpose) -> str:
    """The secret of a link that lets a user choose a password, or signs them in, once.

    Raises:
        Forbidden: the caller is no administrator.
        NotFound: there is no such user.
        Conflict: the user is blocked.
    """
    principal.require_whole()
    user = _find(session, principal, name)
    if user.blocked_at is not None:
        raise Conflict("user_blocked", "This account is blocked: let it in again before you hand out a link.")
    return _link(session, principal, user, purpose)


def invite(session: Session, principal: Principal, wanted: NewInvitation) -> str:
    """The secret of a link by which somebody makes an account with that role.

    Raises:
        Forbidden: the caller is no administrator.
        InvalidInput: that is no e-mail address.
    """
    principal.require(scope=Scope.ADMIN)
    principal.require_whole()
    email = None if wanted.email is None else checked_email(wanted.email)
    hours = HOURS[Purpose.INVITATION]
    secret = make_link(session, Purpose.INVITATION, email=email, role=wanted.role, hours=hours, made_by=principal.id)
    record(session, "user.invited", email or "", principal=principal, role=wanted.role.value)
    return secret


def to_view(user: UserRow) -> User:
    return User(
        id=user.id,
        name=user.name,
        email=user.email,
        role=Role(user.role),
        created_at=user.created_at,
        blocked_at=user.blocked_at,
        requests_per_second=user.requests_per_second,
        rows_per_day=user.rows_per_day,
    )


def _find(session: Session, principal: Principal, name: str, *, for_update: bool = False) -> UserRow:
    principal.require(scope=Scope.ADMIN)
    query = select(UserRow).where(UserRow.name == name)
    if for_update:
        query = query.with_for_update().execution_options(populate_existing=True)
    user = session.scalar(query) if name.isprintable() else None
    if user is None:
        raise NotFound("user_not_found", "There is no user of this name. List the users to see their names.")
    return user


def _link(session: Session, principal: Principal, user: UserRow, purpose: Purpose) -> str:
    record(session, "user.link", user.name, principal=principal, purpose=purpose.value)
    return make_link(session, purpose, user_id=user.id, hours=HOURS[purpose], made_by=principal.id)


def _block(session: Session, principal: Principal, user: UserRow, *, blocked: bool) -> None:
    user.blocked_at = now() if blocked else None
    if blocked:
        end_sessions(session, user.id)
        void_links(session, user.id, Purpose.RESET, Purpose.SIGN_IN)
    record(session, "user.blocked" if blocked else "user.unblocked", user.name, principal=principal)


def _check_somebody_administers(session: Session) -> None:
    active = select(func.count()).where(UserRow.role == Role.ADMIN.value, UserRow.blocked_at.is_(None))
    if not session.scalar(active):
        message = "This is the last administrator: give somebody else the role first."
        raise Conflict("last_administrator", message)
