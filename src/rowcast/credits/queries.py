"""Statements of transfers. Everyone sees their own, an administrator all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.orm import Session, aliased

from rowcast.accounts.principal import Principal
from rowcast.accounts.tables import UserRow
from rowcast.credits.tables import AVAILABLE, HELD, REVENUE, PostingRow, TransferRow
from rowcast.credits.views import Transfer, TransferKind
from rowcast.identifiers import first_id_at, moment_of
from rowcast.paging import page

_Maker = aliased(UserRow)


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which transfers: of a user by name, of a kind, from a moment on, before another, only the caller's own."""

    user: str | None = None
    kind: TransferKind | None = None
    since: datetime | None = None
    until: datetime | None = None
    mine: bool = False


def statement(
    session: Session, principal: Principal, chosen: Chosen, *, limit: int = 50, after: str | None = None
) -> tuple[list[Transfer], str | None]:
    """Transfers, newest first, and the cursor of the next page.

    Raises:
        InvalidInput: ``after`` is no cursor of this list.
    """
    query = transfers(principal, chosen)
    rows, following = page(session, query, [TransferRow.id], limit=limit, after=after, descending=True)
    return views(session, rows), following


def transfers(principal: Principal, chosen: Chosen) -> Select[TransferRow, str, str]:
    """The chosen transfers that the caller may see, each with the names of whose credits they moved and who did it."""
    row = TransferRow
    query = (
        select(row, UserRow.name, _Maker.name)
        .join(UserRow, UserRow.id == row.owner_id, isouter=True)
        .join(_Maker, _Maker.id == row.made_by, isouter=True)
    )
    if chosen.mine or not principal.administers:
        query = query.where(row.owner_id == principal.id)
    if chosen.user is not None:
        query = query.where(UserRow.name == chosen.user)
    if chosen.kind is not None:
        query = query.where(row.kind == chosen.kind.value)
    if chosen.since is not None:
        query = query.where(row.id >= first_id_at(chosen.since))
    if chosen.until is not None:
        query = query.where(row.id < first_id_at(chosen.until))
    return query


def views(session: Session, rows: Iterable[Sequence[Any]]) -> list[Transfer]:
    """Transfers as callers see them, with their postings; each is given with both names."""
    listed = list(rows)
    posted = _posted(session, [row.id for row, *_ in listed])
    return [_view(row, owner, maker, posted.get(row.id, {})) for row, owner, maker in listed]


def transfer_view(session: Session, row: TransferRow) -> Transfer:
    """One transfer as callers see it."""
    names = [session.scalar(select(UserRow.name).where(UserRow.id == id_)) for id_ in (row.owner_id, row.made_by)]
    return views(session, [(row, *names)])[0]


def _posted(session: Session, ids: Sequence[str]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    query = select(PostingRow.transfer_id, PostingRow.account, PostingRow.amount)
    for transfer_id, account, amount in session.execute(query.where(PostingRow.transfer_id.in_(ids))):
        found.setdefault(transfer_id, {})[account] = amount
    return found


def _view(row: TransferRow, owner: str | None, maker: str | None, posted: dict[str, int]) -> Transfer:
    return Transfer(
        id=row.id,
        at=moment_of(row.id),
        kind=TransferKind(row.kind),
        user=owner,
        available=posted.get(AVAILABLE, 0),
        held=posted.get(HELD, 0),
        charged=posted.get(REVENUE, 0),
        balance=row.balance,
        count=row.count,
        reference=row.reference,
        made_by=maker,
        comment=row.comment,
    )
