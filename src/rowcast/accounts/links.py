"""Links that work once: whoever has the secret in its address may do one thing, for some hours."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import Select, delete, select, update
from sqlalchemy.orm import Session

from rowcast.accounts.principal import Role
from rowcast.accounts.tables import LinkRow
from rowcast.errors import InvalidInput
from rowcast.tables import now


class Purpose(StrEnum):
    INVITATION = "invitation"
    """Open an account."""
    RESET = "reset"
    """Set a password without the old one."""
    EMAIL = "email"
    """Confirm an e-mail address."""
    SIGN_IN = "sign_in"


def make_link(
    session: Session,
    purpose: Purpose,
    *,
    user_id: str | None = None,
    email: str | None = None,
    role: Role | None = None,
    hours: float,
    made_by: str | None = None,
) -> str:
    """A new link's secret, 256 random bits, to be shown or sent once: only its SHA-256 is kept."""
    secret = secrets.token_urlsafe(32)
    session.add(
        LinkRow(
            purpose=purpose.value,
            secret_hash=_hash(secret),
            user_id=user_id,
            email=email.lower() if email else None,
            role=role.value if role else None,
            made_by=made_by,
            expires_at=now() + timedelta(hours=hours),
        )
    )
    session.flush()
    return secret


def look_at(session: Session, purpose: Purpose, secret: str, moment: datetime | None = None) -> LinkRow:
    """The link, which stays as it is.

    Raises:
        InvalidInput: there is none for that, it was used, or it is too old.
    """
    return _valid(session.scalar(_query(purpose, secret)), moment or now())


def use_link(session: Session, purpose: Purpose, secret: str, moment: datetime | None = None) -> LinkRow:
    """Use the link up: of several who try at once, one succeeds.

    Raises:
        InvalidInput: there is none for that, it was used, or it is too old.
    """
    moment = moment or now()
    row = _valid(session.scalar(_query(purpose, secret)), moment)
    unused = update(LinkRow).where(LinkRow.id == row.id, LinkRow.used_at.is_(None)).values(used_at=moment)
    if session.scalar(unused.returning(LinkRow.id)) is None:
        raise InvalidInput(*_USED)
    return row


def use_invitation_for(session: Session, email: str, moment: datetime | None = None) -> LinkRow | None:
    """Use up the newest invitation that was made for that address and holds; None when there is none."""
    moment = moment or now()
    held = LinkRow.used_at.is_(None), LinkRow.expires_at > moment
    made = select(LinkRow).where(LinkRow.purpose == Purpose.INVITATION.value, LinkRow.email == email, *held)
    row = session.scalars(made.order_by(LinkRow.created_at.desc()).limit(1)).one_or_none()
    if row is None:
        return None
    unused = update(LinkRow).where(LinkRow.id == row.id, LinkRow.used_at.is_(None)).values(used_at=moment)
    return row if session.scalar(unused.returning(LinkRow.id)) is not None else None


def void_links(session: Session, user_id: str, *purposes: Purpose) -> None:
    """Make the user's unused links for these purposes useless."""
    mine = LinkRow.user_id == user_id
    session.execute(delete(LinkRow).where(mine, LinkRow.purpose.in_(purposes), LinkRow.used_at.is_(None)))


def delete_old_links(session: Session, before: datetime) -> int:
    """Delete what ran out before that moment; how many."""
    return len(session.scalars(delete(LinkRow).where(LinkRow.expires_at < before).returning(LinkRow.id)).all())


_UNKNOWN = ("link_unknown", "This link is not known. Check that its address is complete, or ask for a new one.")
_USED = ("link_used", "This link was used before. Ask for a new one.")
_EXPIRED = ("link_expired", "This link is too old. Ask for a new one.")


def _query(purpose: Purpose, secret: str) -> Select[LinkRow]:
    return select(LinkRow).where(LinkRow.secret_hash == _hash(secret), LinkRow.purpose == purpose.value)


def _valid(row: LinkRow | None, moment: datetime) -> LinkRow:
    if row is None:
        raise InvalidInput(*_UNKNOWN)
    if row.used_at is not None:
        raise InvalidInput(*_USED)
    if row.expires_at <= moment:
        raise InvalidInput(*_EXPIRED)
    return row


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
