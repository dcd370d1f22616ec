"""What callers see of themselves."""

from __future__ import annotations

from sqlalchemy.orm import Session

from rowcast.accounts.principal import Principal, Role
from rowcast.accounts.profile import Account, BrowserSession
from rowcast.accounts.sessions import Sessions
from rowcast.accounts.tables import UserRow
from rowcast.errors import NotFound


def profile_of(session: Session, principal: Principal) -> Account:
    """The caller's account.

    Raises:
        NotFound: it is gone.
    """
    user = session.get(UserRow, principal.id)
    if user is None:
        raise NotFound("user_not_found", "The account that asked for this no longer exists.")
    return account_of(user)


def account_of(user: UserRow) -> Account:
    """What that user sees of their account."""
    return Account(
        id=user.id,
        name=user.name,
        role=Role(user.role),
        email=user.email,
        language=user.language,
        has_password=user.password_hash is not None,
        created_at=user.created_at,
    )


def sessions_of(session: Session, sessions: Sessions, principal: Principal) -> list[BrowserSession]:
    """The caller's sessions, those used last first."""
    return [
        BrowserSession(
            id=row.id,
            created_at=row.created_at,
            seen_at=row.seen_at,
            address=row.address,
            agent=row.agent,
            how=row.how,
            current=row.id == principal.session_id,
        )
        for row in sessions.of(session, principal.id)
    ]
