"""Seats: accounts that are not blocked, of which a licence allows so many."""

from __future__ import annotations

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from rowcast.accounts.tables import UserRow
from rowcast.licences.standing import Standing
from rowcast.tables import take_turn


def seats_taken(session: Session) -> int:
    """Accounts that are not blocked."""
    return session.scalar(select(func.count()).select_from(UserRow).where(UserRow.blocked_at.is_(None))) or 0


def require_seat(session: Session, standing: Standing) -> None:
    """Pass when one account more may be used; to be called in the transaction that makes or unblocks it.

    Raises:
        Forbidden: the licence has no more seats.
    """
    if standing.licence is not None:
        take_turn(session, "seats")
        standing.require_seat(seats_taken(session))
