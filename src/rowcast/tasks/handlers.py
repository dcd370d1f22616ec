"""What a kind of task is made of. ``kinds.py`` lists those there are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from rowcast.datasets.ports import Progress, Storage
from rowcast.errors import NotFound
from rowcast.tables import Database
from rowcast.tasks.claims import Claim
from rowcast.tasks.ports import Compute

PREDICT = "predict"
"""The lane of predictions, which are worked on many at a time."""

DATA = "data"
"""The lane of short work on tables, which people wait for."""

TRAIN = "train"
"""The lane of trainings, which take as long as they take."""


BATCH = "batch"
"""The lane of predictions for whole files."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What the operator allows a job: seconds for work on tables, for trainings and for files of predictions, and
    processor threads. Tables of more than ``spread_rows`` rows are learned from by several jobs together; None where
    there are no nodes to share them."""

    ingest_timeout_seconds: float = 1800
    training_timeout_seconds: float = 86_400
    threads: int = 1
    file_timeout_seconds: float = 86_400
    spread_rows: int | None = None


@dataclass(frozen=True, slots=True)
class Bench:
    """Where a task is worked on: the storage, a compute for what is heavy, and the limits. ``database`` is for what is
    to outlast an attempt that is killed."""

    database: Database
    storage: Storage
    compute: Compute
    limits: Limits
    report: Callable[[Progress], None]
    cancelled: Callable[[], bool]

    def run(self, job: str, arguments: dict[str, Any], *, timeout: float) -> dict[str, Any]:
        """The result of a job on the compute; see ``Compute.run`` for what else it raises.

        Raises:
            NotFound: the table that it was to read has been deleted meanwhile.
        """
        with _table_there():
            return self.compute.run(job, arguments, report=self.report, cancelled=self.cancelled, timeout=timeout)

    def spread(
        self, library: str, job: str, arguments: dict[str, Any], *, workers: int, timeout: float
    ) -> dict[str, Any]:
        """The result of a job that several processes share; see ``Compute.spread``, and ``run`` for what it raises."""
        with _table_there():
            return self.compute.spread(
                library,
                job,
                arguments,
                workers=workers,
                report=self.report,
                cancelled=self.cancelled,
                timeout=timeout,
            )


@contextmanager
def _table_there() -> Iterator[None]:
    try:
        yield
    except NotFound as error:  # a job reads nothing else from the storage that others delete
        message = "The dataset was deleted before this was done. Add the table again, then start this again."
        raise NotFound("dataset_deleted", message) from error


@dataclass(frozen=True, slots=True)
class Handler:
    """One kind of task.

    ``work`` does it, with no transaction open, and may be repeated after a crash. ``settle`` puts its outcome on record
    in the transaction that ends the task, and gives the task's result. ``tidy`` cleans the storage up after that.
    ``abandon`` does when the task, given by id and payload, ended any other way; it may be called twice.
    """

    work: Callable[[Claim, Bench], Any]
    settle: Callable[[Session, Claim, Any], dict[str, Any]]
    tidy: Callable[[Claim, Storage], None]
    abandon: Callable[[str, dict[str, Any], Database, Storage], None]
