"""The proof of the ledger: what was taken is what balances, tasks and receipts say, to the last credit."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from itertools import islice
from typing import Any

from sqlalchemy import ColumnElement, Select, func, or_, select
from sqlalchemy.orm import Session

from rowcast.credits.tables import AVAILABLE, HELD, ISSUED, REVENUE, BalanceRow, PostingRow, TransferRow
from rowcast.credits.views import LedgerCheck
from rowcast.identifiers import first_id_at
from rowcast.monitoring.tables import ReceiptRow
from rowcast.tables import now
from rowcast.tasks.tables import TaskRow, in_state
from rowcast.tasks.views import TaskState

MOST_FAULTS = 100


def check_ledger(session: Session, *, receipt_days: float) -> LedgerCheck:
    """Whether every transfer sums to zero, balances are what their postings are, what is held is what open tasks hold,
    and receipts and transfers agree about what was paid. Looks at everything, in one view of the database.

    Receipts are deleted after ``receipt_days``, if that is not 0; what they paid for is then not asked about.
    """
    sums = select(PostingRow.account, _sum(PostingRow.amount)).group_by(PostingRow.account)
    totals = dict(session.execute(sums).all())
    oldest = first_id_at(now() - timedelta(days=receipt_days)) if receipt_days else ""
    checks = (_uneven(session), _balances(session), _holds(session), _receipts(session), _unreceipted(session, oldest))
    faults = (fault for check in checks for fault in check)
    return LedgerCheck(
        transfers=_count(session, select(func.count()).select_from(TransferRow)),
        receipts=_count(session, select(func.count()).select_from(ReceiptRow).where(ReceiptRow.price != 0)),
        issued=-int(totals.get(ISSUED, 0)),
        revenue=int(totals.get(REVENUE, 0)),
        available=int(totals.get(AVAILABLE, 0)),
        held=int(totals.get(HELD, 0)),
        faults=list(islice(faults, MOST_FAULTS)),
    )


def _uneven(session: Session) -> Iterator[str]:
    """Transfers that do not sum to zero or have no postings, and postings without a transfer."""
    sums = select(PostingRow.transfer_id, _sum(PostingRow.amount).label("total")).group_by(PostingRow.transfer_id)
    posted = sums.subquery()
    both = select(TransferRow.id, posted.c.total).join(posted, posted.c.transfer_id == TransferRow.id, isouter=True)
    for id_, total in session.execute(both.where(or_(posted.c.total.is_(None), posted.c.total != 0))):
        yield f"transfer {id_}: " + ("has no postings" if total is None else f"sums to {total}")
    known = select(TransferRow.id)
    for id_ in session.scalars(select(PostingRow.transfer_id).where(PostingRow.transfer_id.not_in(known)).distinct()):
        yield f"postings of transfer {id_}, which is not there"


def _balances(session: Session) -> Iterator[str]:
    """Balances below zero, or other than the sum of their postings."""
    posted: dict[str, dict[str, int]] = {}
    query = (
        select(TransferRow.owner_id, PostingRow.account, _sum(PostingRow.amount))
        .join(PostingRow, PostingRow.transfer_id == TransferRow.id)
        .where(PostingRow.account.in_([AVAILABLE, HELD]))
        .group_by(TransferRow.owner_id, PostingRow.account)
    )
    for owner, account, amount in session.execute(query):
        posted.setdefault(owner, {})[account] = int(amount)
    for row in session.scalars(select(BalanceRow).order_by(BalanceRow.owner_id)):
        found = posted.pop(row.owner_id, {})
        for account, balance in ((AVAILABLE, row.available), (HELD, row.held)):
            if balance != found.get(account, 0) or balance < 0:
                yield f"user {row.owner_id}: {account} is {balance}, its postings {found.get(account, 0)}"
    yield from (f"user {owner}: has postings and no balance" for owner in posted)


def _holds(session: Session) -> Iterator[str]:
    """Users of whom more or less is held than for their tasks that have not ended."""
    is_open = or_(in_state(TaskState.QUEUED), in_state(TaskState.RUNNING))
    query = select(TaskRow.owner_id, _sum(TaskRow.held)).where(is_open, TaskRow.held != 0).group_by(TaskRow.owner_id)
    tasks = {owner: int(held) for owner, held in session.execute(query)}
    balances = dict(session.execute(select(BalanceRow.owner_id, BalanceRow.held).where(BalanceRow.held != 0)).all())
    for owner in sorted(tasks.keys() | balances.keys()):
        if tasks.get(owner, 0) != balances.get(owner, 0):
            yield f"user {owner}: {balances.get(owner, 0)} held, {tasks.get(owner, 0)} for open tasks"


def _receipts(session: Session) -> Iterator[str]:
    """Receipts with a price that no transfer paid, or that somebody else paid, and the other way round."""
    row = ReceiptRow
    joined = select(row.id, row.price).join(TransferRow, TransferRow.id == row.transfer_id, isouter=True)
    unpaid = joined.where(row.price != 0, or_(TransferRow.id.is_(None), TransferRow.owner_id != row.principal_id))
    for id_, price in session.execute(unpaid):
        yield f"receipt {id_}: no transfer of its owner paid its {price} credits"
    for id_ in session.scalars(select(row.id).where(row.price == 0, row.transfer_id.is_not(None))):
        yield f"receipt {id_}: costs nothing and names a transfer"


def _unreceipted(session: Session, oldest: str) -> Iterator[str]:
    """Transfers that took something else than their receipts cost. Of those that began before ``oldest``, receipts may
    be missing."""
    row = ReceiptRow
    priced = (
        select(row.transfer_id, func.count().label("count"), _sum(row.price).label("total"))
        .where(row.transfer_id.is_not(None))
        .group_by(row.transfer_id)
        .subquery()
    )
    paid = (
        select(TransferRow.id, TransferRow.reference, TransferRow.count, PostingRow.amount)
        .add_columns(func.coalesce(priced.c.count, 0), func.coalesce(priced.c.total, 0))
        .join(PostingRow, (PostingRow.transfer_id == TransferRow.id) & (PostingRow.account == REVENUE))
        .join(priced, priced.c.transfer_id == TransferRow.id, isouter=True)
    )
    differing = or_(priced.c.total.is_(None), priced.c.total != PostingRow.amount, priced.c.count != TransferRow.count)
    for id_, reference, count, amount, found, total in session.execute(paid.where(differing)):
        if found >= count or (reference or "") >= oldest:
            yield f"transfer {id_}: {count} receipts paid {amount}, {found} are there for {total}"


def _sum(column: Any) -> ColumnElement[int]:
    return func.coalesce(func.sum(column), 0)


def _count(session: Session, query: Select[int]) -> int:
    return session.scalar(query) or 0
