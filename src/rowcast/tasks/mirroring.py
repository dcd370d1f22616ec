"""Bringing MLflow up to date, a few versions at a time, each time in a child process that ends when that is done.

Nothing waits for MLflow, and nothing of it is ever imported here.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from rowcast.errors import Unavailable
from rowcast.models import mirroring
from rowcast.models.mirroring import Behind, Mirrored, milliseconds
from rowcast.scoring.directory import mark_of
from rowcast.tables import Database
from rowcast.tasks import failed_trainings
from rowcast.tasks.ports import Compute
from rowcast.tasks.tables import TaskRow, TrialRow

AT_ONCE = 20
"""New versions that one child process mirrors."""

TIMEOUT_SECONDS = 900.0
TURN_SECONDS = 30.0
RENEW_SECONDS = 10.0
PASS_OVER_SECONDS = 600.0
"""How long a version or training that MLflow refused is left alone."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Tracking:
    """A store of MLflow. ``url`` may hold a password, ``store`` names it in the database; ``ping`` raises Unavailable
    when it does not answer, and imports nothing."""

    url: str
    store: str
    ping: Callable[[], None]


class Mirror:
    """Keeps one store of MLflow like the registry, from one process at a time. For one thread."""

    def __init__(
        self, database: Database, compute: Compute, tracking: Tracking, *, holder: str, public_url: str = ""
    ) -> None:
        self._database = database
        self._compute = compute
        self._tracking = tracking
        self._holder = holder
        self._public_url = public_url
        self._mark: tuple[Any, ...] | None = None
        self._refused: dict[str, float] = {}
        self._renewed = 0.0

    def step(self, stopping: Callable[[], bool]) -> bool:
        """Have MLflow told of some of what it lacks; whether there may be more to tell.

        Raises:
            Unavailable: MLflow, the database or the storage does not answer; what was confirmed is on record.
            RowcastError: the child process failed otherwise, or was stopped because ``stopping`` said so.
        """
        moment = time.monotonic()
        self._refused = {version_id: until for version_id, until in self._refused.items() if until > moment}
        with self._database.reading() as session:
            mark = (*mark_of(session), mirroring.count_owed(session))
            if mark == self._mark:
                return False
            told = self._behind(session)
        if not told:
            self._mark = None if self._refused else mark
            return False
        self._tracking.ping()
        if not self._hold_turn():
            return False
        self._record(told, self._told(told, stopping))
        return True

    def _behind(self, session: Session) -> Behind:
        store = self._tracking.store
        told = mirroring.behind(session, store, most=AT_ONCE, passed_over=self._refused)
        failed = failed_trainings.behind(session, store, most=AT_ONCE, passed_over=self._refused)
        return replace(told, failed=failed)

    def _told(self, told: Behind, stopping: Callable[[], bool]) -> dict[str, Any]:
        arguments = {
            "tracking_url": self._tracking.url,
            "public_url": self._public_url,
            "began_ms": self._beginnings(told),
            "trials": self._trials(told),
            **asdict(told),
        }
        return self._compute.run(
            "mirror",
            arguments,
            report=lambda progress: None,
            cancelled=lambda: stopping() or not self._keeps_turn(),
            timeout=TIMEOUT_SECONDS,
        )

    def _beginnings(self, told: Behind) -> dict[str, int]:
        """When the trainings began whose versions are new; those of long ago are no longer known."""
        trainings = {change.made.training_id for change in told.changes if change.made is not None}
        query = select(TaskRow.id, TaskRow.started_at).where(TaskRow.id.in_(trainings))
        with self._database.reading() as session:
            found = session.execute(query).all()
        return {task_id: milliseconds(moment) for task_id, moment in found if moment is not None}

    def _trials(self, told: Behind) -> dict[str, list[dict[str, Any]]]:
        """Of the searches among what is new."""
        searches = [change.made.training_id for change in told.changes if change.made is not None]
        searches += [failed.training_id for failed in told.failed]
        query = select(TrialRow).where(TrialRow.task_id.in_(searches)).order_by(TrialRow.task_id, TrialRow.number)
        found: dict[str, list[dict[str, Any]]] = {}
        with self._database.reading() as session:
            for row in session.scalars(query):
                trial = {**row.content, "ended_ms": milliseconds(row.finished_at)}
                found.setdefault(row.task_id, []).append(trial)
        return found

    def _record(self, told: Behind, outcome: dict[str, Any]) -> None:
        done = {version_id: Mirrored(**found) for version_id, found in outcome["done"].items()}
        whole = outcome["stopped"] is None
        with self._database.transaction() as session:
            confirmed = told if whole else Behind(changes=told.changes)
            mirroring.record(session, self._tracking.store, confirmed, done, outcome["runs"])
        for id_, why in outcome["refused"].items():
            self._refused[id_] = time.monotonic() + PASS_OVER_SECONDS
            log.warning("version or training %s is not mirrored in MLflow for now: %s", id_, why)
        if not whole:
            raise Unavailable("mlflow_unavailable", f"MLflow does not answer as it should ({outcome['stopped']}).")

    def _keeps_turn(self) -> bool:
        """Asked all the time. A child that worked on without a turn could make what another makes, too."""
        age = time.monotonic() - self._renewed
        if age < RENEW_SECONDS:
            return True
        try:
            return self._hold_turn()
        except Unavailable:
            return age < TURN_SECONDS / 2

    def _hold_turn(self) -> bool:
        moment = time.monotonic()
        with self._database.transaction() as session:
            held = mirroring.hold_turn(session, self._tracking.store, self._holder, seconds=TURN_SECONDS)
        if held:
            self._renewed = moment
        return held
