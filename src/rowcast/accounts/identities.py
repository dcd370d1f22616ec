"""Signing in with what one is at a provider: which account that is, linking it, and letting go of it."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from rowcast.accounts import attempts, audit, authorizations
from rowcast.accounts.access import Opened, Visitor
from rowcast.accounts.authorizations import Arrival
from rowcast.accounts.links import use_invitation_for
from rowcast.accounts.principal import Principal, Role
from rowcast.accounts.profile import LinkedIdentity
from rowcast.accounts.providers import Authorization, Identity, Provider
from rowcast.accounts.registration import (
    LONGEST_NAME,
    SignUp,
    admit,
    checked_email,
    find_user,
    register,
)
from rowcast.accounts.scripts import is_mixed, same_form
from rowcast.accounts.sessions import open_session
from rowcast.accounts.tables import IdentityRow, UserRow
from rowcast.errors import Conflict, Forbidden, NotFound, RowcastError
from rowcast.licences.standing import Standing
from rowcast.tables import Database, take_turn


class Identities:
    """The ways in by a provider. For threads that may wait."""

    def __init__(self, database: Database, *, sign_up: SignUp, standing: Standing | None = None) -> None:
        self._standing = standing
        self._database = database
        self._sign_up = sign_up

    def leave(
        self,
        provider: Provider,
        browser: str,
        visitor: Visitor,
        *,
        redirect_uri: str,
        following: str,
        principal: Principal | None = None,
    ) -> Authorization:
        """Await somebody back from a provider; a ``principal`` wants to link what they are there.

        Raises:
            TooMany: too many were sent there from their network address.
        """
        user_id = principal.id if principal else None
        with self._database.transaction() as session:
            attempts.take(session, attempts.leaving_from(visitor.address))
            return authorizations.leave(
                session, provider.name, browser, redirect_uri=redirect_uri, following=following, user_id=user_id
            )

    def come_back(self, provider: Provider, browser: str, state: str, *, redirect_uri: str) -> Arrival:
        """Whoever comes back, as they left.

        Raises:
            Unauthenticated: nobody is awaited so.
        """
        with self._database.transaction() as session:
            return authorizations.come_back(session, provider.name, browser, state, redirect_uri=redirect_uri)

    def sign_in(self, provider: Provider, identity: Identity, visitor: Visitor) -> Opened:
        """A session for who is that at the provider: in the account that is linked to it, else in the one with the
        same e-mail address, else in a new one.

        Raises:
            Unauthenticated: the account is blocked.
            Forbidden: their e-mail address is not certain, or accounts are not opened by oneself here.
            Conflict: there is an account with the address, for which it was never confirmed.
        """
        with self._database.transaction() as session:
            take_turn(session, f"identity {provider.issuer} {identity.subject}")
            row = _find(session, provider, identity)
            user = (
                session.get_one(UserRow, row.user_id) if row else self._first_time(session, provider, identity, visitor)
            )
            attempts.take_back(session, attempts.leaving_from(visitor.address))
            token = open_session(session, user.id, address=visitor.address, agent=visitor.agent, how=provider.name)
            return Opened(token, user)

    def link(self, principal: Principal, provider: Provider, identity: Identity) -> None:
        """Let the caller sign in with that from now on.

        Raises:
            Conflict: it is another account's.
        """
        with self._database.transaction() as session:
            take_turn(session, f"identity {provider.issuer} {identity.subject}")
            row = _find(session, provider, identity)
            if row is None:
                _link(session, session.get_one(UserRow, principal.id), provider, identity)
            elif row.user_id != principal.id:
                message = (
                    f"That {provider.title} account belongs to another account here. Sign in with it, and unlink it."
                )
                raise Conflict("identity_taken", message, provider=provider.title)

    def unlink(self, principal: Principal, identity_id: str) -> None:
        """No longer let the caller sign in with that.

        Raises:
            Forbidden: they came with a key that may not do all that they may.
            NotFound: it is none of theirs.
            Conflict: they could not sign in any more.
        """
        principal.require_whole()
        with self._database.transaction() as session:
            take_turn(session, f"identities {principal.id}")
            row = session.get(IdentityRow, identity_id)
            if row is None or row.user_id != principal.id:
                raise NotFound("identity_not_found", "This is not linked to your account, or not any more.")
            others = session.scalar(select(func.count()).where(IdentityRow.user_id == row.user_id)) or 0
            if session.get_one(UserRow, row.user_id).password_hash is None and others < 2:
                raise Conflict("last_way_in", "You could not sign in any more. Choose a password first.")
            session.delete(row)
            audit.record(session, "identity.unlinked", row.name, principal=principal, provider=row.provider)

    def refused(self, provider: Provider, error: RowcastError) -> None:
        """Write down that somebody was not let in, and why."""
        with self._database.transaction() as session:
            audit.record(session, "session.refused", how=provider.name, code=error.code)

    def _first_time(self, session: Session, provider: Provider, identity: Identity, visitor: Visitor) -> UserRow:
        if identity.email is None:
            message = f"{provider.title} knows no verified e-mail address of yours. Verify one there, then come back."
            raise Forbidden("email_unverified", message, provider=provider.title)
        email = checked_email(identity.email)
        take_turn(session, f"e-mail {email}")
        user = session.scalar(select(UserRow).where(UserRow.email == email))
        if user is None:
            user = self._join(session, identity, email)
            user.language = visitor.language
        elif user.email_verified_at is None:
            message = (
                "There is an account with this e-mail address already. Sign in to it, and link the two on its page."
            )
            raise Conflict("email_unconfirmed", message, provider=provider.title)
        _link(session, user, provider, identity)
        return user

    def _join(self, session: Session, identity: Identity, email: str) -> UserRow:
        invitation = use_invitation_for(session, email)
        admit(self._sign_up, invited=invitation is not None)
        role = Role(invitation.role) if invitation and invitation.role else Role.USER
        name = _free_name(session, identity.name)
        return register(session, name, email=email, verified=True, role=role, standing=self._standing)


def linked_of(session: Session, principal: Principal) -> list[LinkedIdentity]:
    """What the caller can sign in with, the oldest first."""
    mine = select(IdentityRow).where(IdentityRow.user_id == principal.id).order_by(IdentityRow.created_at)
    return [
        LinkedIdentity(id=row.id, provider=row.provider, name=row.name, created_at=row.created_at)
        for row in session.scalars(mine)
    ]


def _find(session: Session, provider: Provider, identity: Identity) -> IdentityRow | None:
    same = IdentityRow.issuer == provider.issuer, IdentityRow.subject == identity.subject
    return session.scalar(select(IdentityRow).where(*same))


def _link(session: Session, user: UserRow, provider: Provider, identity: Identity) -> None:
    row = IdentityRow(
        user_id=user.id,
        provider=provider.name,
        issuer=provider.issuer,
        subject=identity.subject,
        name=_printable(identity.name)[:200],
    )
    session.add(row)
    session.flush()
    audit.record(session, "identity.linked", row.name, user_id=user.id, provider=provider.name)


def _free_name(session: Session, wanted: str) -> str:
    """What they are called there, made a name that can be one here and is nobody's."""
    return next(name for name in _names(wanted) if find_user(session, name) is None)


def _names(wanted: str) -> Iterator[str]:
    name = re.sub(r"[\s/]+", " ", same_form(_printable(wanted)).partition("@")[0]).strip()[: LONGEST_NAME - 10].strip()
    if not name or is_mixed(name):
        name = "user"
    yield name
    yield from (f"{name}-{number}" for number in range(2, 10))
    while True:
        yield f"{name}-{secrets.token_hex(4)}"


def _printable(name: str) -> str:
    """A name as it is shown: without signs that act, or that no database takes."""
    return "".join(sign for sign in name if sign.isprintable())
