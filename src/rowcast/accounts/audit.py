"""The audit log: who did what to what, written in the transaction of the deed itself."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from rowcast.accounts.principal import Principal
from rowcast.accounts.tables import AuditRow, UserRow
from rowcast.accounts.views import Deed
from rowcast.paging import page

caller_address: ContextVar[str] = ContextVar("caller_address", default="")
"""The network address of whoever is calling now, set by the door; empty for work that nobody called for."""


def record(
    session: Session,
    action: str,
    subject: str = "",
    *,
    principal: Principal | None = None,
    user_id: str | None = None,
    **details: Any,
) -> None:
    """Write down a deed, to be committed with it or not at all.

    ``action`` is its stable name, as in ``model.promoted``, and ``subject`` what it was done to. It was done by
    ``principal``, or by the user of that id who is signing in at this moment. ``details`` are plain JSON: never a
    secret, never a value of a table.
    """
    session.add(
        AuditRow(
            user_id=user_id if principal is None else principal.id,
            key_id=principal.key_id or None if principal is not None else None,
            action=action,
            subject=subject[:200],
            address=caller_address.get()[:64],
            details=details,
        )
    )


@dataclass(frozen=True, slots=True)
class DeedsWanted:
    """Which deeds: of a user, of one kind, on one subject, from a moment on, before another, only the caller's own."""

    user: str | None = None
    action: str | None = None
    subject: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    mine: bool = False


def list_deeds(
    session: Session, principal: Principal, wanted: DeedsWanted, *, limit: int = 50, after: str | None = None
) -> tuple[list[Deed], str | None]:
    """Deeds, newest first, and the cursor of the next page. An administrator sees all, everyone else their own.

    ``wanted.action`` is the name of a deed, or its first words for all that begin so, as in ``model``.
    """
    query = select(AuditRow, UserRow.name).join(UserRow, UserRow.id == AuditRow.user_id, isouter=True)
    if wanted.mine or not principal.administers:
        query = query.where(AuditRow.user_id == principal.id)
    if wanted.user is not None:
        query = query.where(UserRow.name == wanted.user)
    if wanted.action is not None:
        words = wanted.action.rstrip(".")
        begins = AuditRow.action.startswith(f"{words}.", autoescape=True)
        query = query.where((AuditRow.action == words) | begins)
    if wanted.subject is not None:
        query = query.where(AuditRow.subject == wanted.subject)
    if wanted.since is not None:
        query = query.where(AuditRow.at >= wanted.since)
    if wanted.until is not None:
        query = query.where(AuditRow.at < wanted.until)
    rows, following = page(session, query, [AuditRow.id], limit=limit, after=after, descending=True)
    return [_view(row, name) for row, name in rows], following


def _view(row: AuditRow, user: str | None) -> Deed:
    return Deed(
        id=row.id,
        at=row.at,
        user=user,
        user_id=row.user_id,
        key_id=row.key_id,
        action=row.action,
        subject=row.subject,
        address=row.address,
        details=row.details,
    )
