"""Holds: what a task may cost is set aside when it is submitted, and let go of in the transaction that ends it.

A task that there are no credits for is put on record as rejected, so that whoever submitted it can look it up.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from rowcast.accounts.principal import Principal
from rowcast.credits.allowances import Use, give_back
from rowcast.credits.ledger import Asked, Ended, Ledger, key_limit_of, settle
from rowcast.credits.statements import Run, on_session
from rowcast.credits.tariff import cost
from rowcast.errors import PaymentRequired
from rowcast.tasks.tables import TaskRow
from rowcast.tasks.views import TaskState


class Wanted(NamedTuple):
    """A task that is being submitted, by whom, what it may cost, and for whom its rows are counted."""

    id: str
    owner: Principal
    held: int
    uses: tuple[Use, ...] = ()


def hold(run: Run, ledger: Ledger, wanted: Iterable[Wanted]) -> dict[str, PaymentRequired]:
    """Set aside what tasks may cost; by their ids, why some are rejected, whose rows are then not counted."""
    priced = [one for one in wanted if one.held]
    if not priced:
        return {}
    asked = [Asked(one.owner.id, one.id, one.held, key_limit_of(one.owner)) for one in priced]
    outcomes = zip(priced, ledger.hold(run, asked), strict=True)
    refused = [(one, outcome) for one, outcome in outcomes if isinstance(outcome, PaymentRequired)]
    give_back(run, (use for one, _ in refused for use in one.uses))
    return {one.id: outcome for one, outcome in refused}


def reject(task: TaskRow, error: PaymentRequired, moment: datetime) -> None:
    """Make it a task that there are no credits for."""
    task.state, task.error, task.finished_at = TaskState.REJECTED.value, error.to_dict(), moment
    task.held, task.body = 0, None


def release(session: Session, task_ids: Collection[str]) -> None:
    """Let go of what was set aside for tasks that this transaction has ended without a result."""
    row = TaskRow
    query = select(row.owner_id, row.id, row.held).where(row.id.in_(task_ids), row.held != 0)
    ended = [Ended(owner_id, task_id, held) for owner_id, task_id, held in session.execute(query)]
    if ended:
        settle(on_session(session), ended)


def pay(session: Session, task_id: str, rows: int) -> tuple[int, str | None]:
    """Let go of what was set aside for a task that this transaction has ended well, and pay of it for so many rows:
    the price, and the transfer that paid it, None where it costs nothing."""
    row = TaskRow
    owner_id, held, rate = session.execute(select(row.owner_id, row.held, row.rate).where(row.id == task_id)).one()
    if not held:
        return 0, None
    price = min(cost(rate, rows), held)
    return price, settle(on_session(session), [Ended(owner_id, task_id, held, price)]).get(owner_id)
