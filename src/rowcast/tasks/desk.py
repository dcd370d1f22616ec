"""The desk: what a door calls for tasks. Each method is one unit of work: it commits, then tells whoever waits."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy.orm import Session, undefer

from rowcast.accounts import audit
from rowcast.accounts.principal import Principal
from rowcast.credits.allowances import uses_of
from rowcast.credits.ledger import Ledger
from rowcast.credits.statements import on_session
from rowcast.datasets.ports import Storage
from rowcast.errors import RowcastError
from rowcast.licences.standing import Standing
from rowcast.models.importing.request import ImportRequest
from rowcast.models.recipe import RetrainRequest, TrainingRequest
from rowcast.models.tune.views import TrialResult, TuningRequest
from rowcast.tables import Database, new_id, now
from rowcast.tasks import claims, file_predictions, holds, model_imports, queries, studies, trainings, trials
from rowcast.tasks.admission import MOST_QUEUED, Applicant, Once, admit
from rowcast.tasks.cleanup import Ended, clean_up
from rowcast.tasks.file_predictions import submit_dataset, submit_upload
from rowcast.tasks.handlers import Handler
from rowcast.tasks.imports import submit_import
from rowcast.tasks.model_imports import submit_model_import
from rowcast.tasks.ports import Publisher
from rowcast.tasks.profiles import submit_kinds, submit_profile
from rowcast.tasks.studies import submit_study
from rowcast.tasks.tables import TaskRow
from rowcast.tasks.trainings import submit_retraining, submit_training
from rowcast.tasks.views import Task, TaskState

NEED_A_MODEL = frozenset({trainings.KIND, studies.KIND, model_imports.KIND, file_predictions.KIND})
"""Kinds of tasks whose subject is a model that a licence has to allow."""


class SubmittedBefore(Exception):
    """The same call was made before, under the same idempotency key, and this is the task that it made."""

    def __init__(self, task: Task) -> None:
        super().__init__(task.id)
        self.task = task


class Desk:
    """Takes tasks in, shows them and cancels them. Safe to use from any thread; every call blocks on the database.

    With ``once`` a submission raises ``SubmittedBefore`` when it was made before, and ``Conflict`` when something else
    was under its key; any may raise ``TooMany``, and ``Forbidden`` when the licence does not allow its model. One that
    there are no credits for gives a task that is rejected.
    """

    def __init__(
        self,
        *,
        database: Database,
        broker: Publisher,
        storage: Storage,
        handlers: Mapping[str, Handler],
        dispatch: Callable[[Sequence[tuple[str, str]]], None],
        most_queued: int = MOST_QUEUED,
        ledger: Ledger | None = None,
        standing: Standing | None = None,
    ) -> None:
        """``dispatch`` tells workers of committed tasks, given as (lane, id), without waiting for the broker."""
        self._database = database
        self._broker = broker
        self._storage = storage
        self._handlers = handlers
        self._dispatch = dispatch
        self._most_queued = most_queued
        self._ledger = ledger or Ledger()
        self._standing = standing or Standing()

    def submit_import(self, principal: Principal, *, once: Once | None = None, **details: Any) -> Task:
        """See ``imports.submit_import`` for the details and errors."""
        return self._submit(principal, lambda session: submit_import(session, principal, **details), once)

    def submit_profile(self, principal: Principal, *, once: Once | None = None, **details: Any) -> Task:
        """See ``profiles.submit_profile`` for the details and errors."""
        return self._submit(principal, lambda session: submit_profile(session, principal, **details), once)

    def submit_kinds(self, principal: Principal, *, once: Once | None = None, **details: Any) -> Task:
        """See ``profiles.submit_kinds`` for the details and errors."""
        return self._submit(principal, lambda session: submit_kinds(session, principal, **details), once)

    def submit_training(self, principal: Principal, request: TrainingRequest, *, once: Once | None = None) -> Task:
        """See ``trainings.submit_training`` for the errors."""
        return self._submit(principal, lambda session: submit_training(session, principal, request), once)

    def submit_study(self, principal: Principal, request: TuningRequest, *, once: Once | None = None) -> Task:
        """See ``studies.submit_study`` for the errors."""
        return self._submit(principal, lambda session: submit_study(session, principal, request), once)

    def submit_retraining(
        self, principal: Principal, name: str, number: int, changes: RetrainRequest, *, once: Once | None = None
    ) -> Task:
        """See ``trainings.submit_retraining`` for the errors."""
        return self._submit(
            principal, lambda session: submit_retraining(session, principal, name, number, changes), once
        )

    def submit_model_import(self, principal: Principal, request: ImportRequest, *, once: Once | None = None) -> Task:
        """See ``model_imports.submit_model_import`` for the errors."""
        return self._submit(principal, lambda session: submit_model_import(session, principal, request), once)

    def submit_file(self, principal: Principal, reference: str, *, once: Once | None = None, **details: Any) -> Task:
        """See ``file_predictions.submit_upload`` for the details and errors."""
        return self._submit(principal, lambda session: submit_upload(session, principal, reference, **details), once)

    def submit_dataset(self, principal: Principal, reference: str, *, once: Once | None = None, **details: Any) -> Task:
        """See ``file_predictions.submit_dataset`` for the details and errors."""
        return self._submit(principal, lambda session: submit_dataset(session, principal, reference, **details), once)

    def get(self, principal: Principal, task_id: str) -> Task:
        """The task of that id.

        Raises:
            NotFound: there is none, or it belongs to someone else.
        """
        with self._database.reading() as session:
            return queries.get_task(session, principal, task_id)

    def list(
        self,
        principal: Principal,
        *,
        state: TaskState | None = None,
        kind: str | None = None,
        limit: int = 50,
        after: str | None = None,
    ) -> tuple[list[Task], str | None]:
        """Tasks, newest first, and the cursor of the next page.

        Raises:
            InvalidInput: ``after`` is no cursor of this list.
        """
        with self._database.reading() as session:
            return queries.list_tasks(session, principal, state=state, kind=kind, limit=limit, after=after)

    def trials(
        self, principal: Principal, task_id: str, *, limit: int = 50, after: str | None = None
    ) -> tuple[Sequence[TrialResult], str | None]:
        """Finished trials of a search by number, and the cursor of the next page.

        Raises:
            NotFound: there is no such task, or it belongs to someone else.
            InvalidInput: ``after`` is no cursor of this list.
        """
        with self._database.reading() as session:
            return trials.list_trials(session, principal, task_id, limit=limit, after=after)

    def cancel(self, principal: Principal, task_id: str) -> Task:
        """The task after it was asked to stop: a queued one has ended, a running one will within seconds, and one that
        had ended is as it was.

        Raises:
            NotFound: there is none, or it belongs to someone else.
        """
        with self._database.transaction() as session:
            before = queries.get_task(session, principal, task_id)
            state = claims.cancel(session, task_id)
            if not before.state.final:
                audit.record(session, "task.cancelled", task_id, principal=principal, kind=before.kind)
            task = queries.get_task(session, principal, task_id)
            row = session.get_one(TaskRow, task_id, options=[undefer(TaskRow.payload)])
        self._broker.announce([(None, task_id)])
        if state is TaskState.CANCELLED and not before.state.final:
            clean_up(Ended(row.id, row.kind, row.payload), self._handlers, self._database, self._storage)
        return task

    def _submit(self, principal: Principal, submit: Callable[[Session], TaskRow], once: Once | None = None) -> Task:
        applicant = Applicant(new_id(), principal.id, once)
        with self._database.transaction() as session:
            admitted = admit(session, [applicant], most_queued=self._most_queued)[0]
            if isinstance(admitted, RowcastError):
                raise admitted
            if admitted != applicant.id:
                raise SubmittedBefore(queries.get_task(session, principal, admitted))
            row = submit(session)
            if row.kind in NEED_A_MODEL:
                self._standing.require_model(row.subject.partition("@")[0])
            row.idempotency_key, row.request_hash = once or (None, None)
            self._hold(session, principal, row)
            task = queries.to_view(row, principal.name)
        if task.state is TaskState.REJECTED:
            clean_up(Ended(row.id, row.kind, row.payload), self._handlers, self._database, self._storage)
        else:
            self._dispatch([(row.lane, row.id)])
        return task

    def _hold(self, session: Session, principal: Principal, row: TaskRow) -> None:
        """Set aside what the task may cost, or reject it."""
        wanted = holds.Wanted(row.id, principal, row.held, uses_of(principal, row.payload.get("most_rows") or 0))
        for refused in holds.hold(on_session(session), self._ledger, [wanted]).values():
            holds.reject(row, refused, now())
            session.flush()
