"""The desk: what a door calls for tasks. Each method is one unit of work: it commits, then tells whoever waits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy.orm import Session, undefer

from rowcast.accounts.principal import Principal
from rowcast.datasets.ports import Storage
from rowcast.models.recipe import RetrainRequest, TrainingRequest
from rowcast.tables import Database
from rowcast.tasks import claims, queries
from rowcast.tasks.cleanup import Ended, clean_up
from rowcast.tasks.handlers import Handler
from rowcast.tasks.imports import submit_import
from rowcast.tasks.notice import Notices
from rowcast.tasks.ports import Broker
from rowcast.tasks.profiles import submit_kinds, submit_profile
from rowcast.tasks.submission import dispatch
from rowcast.tasks.tables import TaskRow
from rowcast.tasks.trainings import submit_retraining, submit_training
from rowcast.tasks.views import Task, TaskState


class Desk:
    """Takes tasks in, shows them and cancels them. Safe to use from any thread; every call blocks on the database."""

    def __init__(
        self,
        *,
        database: Database,
        broker: Broker,
        storage: Storage,
        notices: Notices,
        handlers: Mapping[str, Handler],
    ) -> None:
        self._database = database
        self._broker = broker
        self._storage = storage
        self._notices = notices
        self._handlers = handlers

    def submit_import(self, principal: Principal, **details: Any) -> Task:
        """See ``imports.submit_import`` for the details and errors."""
        return self._submit(principal, lambda session: submit_import(session, principal, **details))

    def submit_profile(self, principal: Principal, **details: Any) -> Task:
        """See ``profiles.submit_profile`` for the details and errors."""
        return self._submit(principal, lambda session: submit_profile(session, principal, **details))

    def submit_kinds(self, principal: Principal, **details: Any) -> Task:
        """See ``profiles.submit_kinds`` for the details and errors."""
        return self._submit(principal, lambda session: submit_kinds(session, principal, **details))

    def submit_training(self, principal: Principal, request: TrainingRequest) -> Task:
        """See ``trainings.submit_training`` for the errors."""
        return self._submit(principal, lambda session: submit_training(session, principal, request))

    def submit_retraining(self, principal: Principal, name: str, number: int, changes: RetrainRequest) -> Task:
        """See ``trainings.submit_retraining`` for the errors."""
        return self._submit(principal, lambda session: submit_retraining(session, principal, name, number, changes))

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

    def cancel(self, principal: Principal, task_id: str) -> Task:
        """The task after it was asked to stop: a queued one has ended, a running one will within seconds, and one that
        had ended is as it was.

        Raises:
            NotFound: there is none, or it belongs to someone else.
        """
        with self._database.transaction() as session:
            before = queries.get_task(session, principal, task_id)
            state = claims.cancel(session, task_id)
            task = queries.get_task(session, principal, task_id)
            row = session.get_one(TaskRow, task_id, options=[undefer(TaskRow.payload)])
        self._notices.announce(task_id)
        if state is TaskState.CANCELLED and not before.state.final:
            clean_up(Ended(row.id, row.kind, row.payload), self._handlers, self._database, self._storage)
        return task

    def _submit(self, principal: Principal, submit: Callable[[Session], TaskRow]) -> Task:
        with self._database.transaction() as session:
            row = submit(session)
            task = queries.to_view(row, principal.name)
        dispatch(self._database, self._broker, [(row.lane, row.id)])
        return task
