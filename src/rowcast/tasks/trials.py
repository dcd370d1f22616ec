"""Finished trials of searches for the best model, on record as they come in."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from rowcast.accounts.principal import Principal
from rowcast.models.tune.views import TrialResult
from rowcast.paging import page
from rowcast.tasks import claims, queries
from rowcast.tasks.claims import Claim
from rowcast.tasks.tables import TrialRow


def add(session: Session, task: Claim, trial: TrialResult, spent_seconds: float) -> None:
    """Put a finished trial on record; one that is there already stays as it is.

    Raises:
        ClaimLost: the task is no longer held: whoever has it now does the trial, too.
    """
    claims.require(session, task)
    if session.get(TrialRow, (task.id, trial.number)) is not None:
        return
    content = trial.model_dump(mode="json")
    session.add(TrialRow(task_id=task.id, number=trial.number, content=content, spent_seconds=spent_seconds))


def finished(session: Session, task_id: str) -> tuple[list[TrialResult], float]:
    """The finished trials of a task by number, and the seconds that its search has used."""
    rows = session.scalars(select(TrialRow).where(TrialRow.task_id == task_id).order_by(TrialRow.number)).all()
    spent = max((row.spent_seconds for row in rows), default=0.0)
    return [TrialResult.model_validate(row.content) for row in rows], spent


def list_trials(
    session: Session, principal: Principal, task_id: str, *, limit: int = 50, after: str | None = None
) -> tuple[list[TrialResult], str | None]:
    """Finished trials of a task by number, and the cursor of the next page; none of a task that is no search.

    Raises:
        NotFound: there is no such task, or it belongs to someone else.
        InvalidInput: ``after`` is no cursor of this list.
    """
    queries.get_task(session, principal, task_id)
    query = select(TrialRow).where(TrialRow.task_id == task_id)
    rows, following = page(session, query, [TrialRow.number], limit=limit, after=after)
    return [TrialResult.model_validate(row.content) for (row,) in rows], following
