"""Leftovers: what is in the storage and of no use, because the process was killed before it could clean up."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from rowcast.datasets.objects import folder_key
from rowcast.datasets.ports import Storage
from rowcast.datasets.tables import DatasetVersionRow
from rowcast.errors import Conflict, Unavailable
from rowcast.models.tables import ModelVersionRow
from rowcast.scoring.files.objects import ROOT, parts_key
from rowcast.tables import Database
from rowcast.tasks.imports import delete_unused_content, in_use
from rowcast.tasks.owner import require_own
from rowcast.tasks.searching import SEARCHES, scores_prefix
from rowcast.tasks.tables import TaskRow
from rowcast.tasks.views import TaskState

_BUNDLE_PARTS = 4
"""``bundles/<task>/<attempt>/<algorithm>``: the folder of one bundle."""

_AT_ONCE = 500
_DAY_SECONDS = 86_400

Forsaken = Callable[[set[str]], set[str]]
"""Those of uploads that no task names that none will."""


class Leftover(NamedTuple):
    """An object, or a folder of objects, that is of no use, and why it never will be."""

    key: str
    why: str


def remove_leftovers(database: Database, storage: Storage) -> None:
    """Delete uploads that no task is going to read, bundles that no version has, parts of files that are whole, and
    tables that no dataset has. For the start of the only process: nothing may be uploading.

    Raises:
        Conflict: the storage is another database's.
    """
    _sweep(database, storage, lambda unclaimed: unclaimed, threading.Event())


class Leftovers:
    """The same while any number of servers and workers are at work: what is deleted can come into use no more.

    Objects of a task that has ended are of use only where the same transaction said so that ended it, and tables are
    looked up and deleted in one turn with imports. An upload comes before its task: of one that no task names it is
    known only after a while, longer than any submission takes, that there will be none. The while is counted here, by
    one clock, however others are set.
    """

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._seen: dict[str, float] = {}

    def remove(self, database: Database, *, days: float, stopping: threading.Event) -> int:
        """Delete them, uploads that no task names once they were seen for so many days; returns how many.

        Raises:
            Unavailable: the database or the storage does not answer, or the storage is another database's; what was
                deleted so far stays so.
        """

        def seen_for_long(unclaimed: set[str]) -> set[str]:
            moment = time.monotonic()
            self._seen = {task_id: self._seen.get(task_id, moment) for task_id in unclaimed}
            return {task_id for task_id, since in self._seen.items() if moment - since >= days * _DAY_SECONDS}

        try:
            return len(_sweep(database, self._storage, seen_for_long, stopping))
        except Conflict as error:  # whoever corrects the settings starts anew
            raise Unavailable(error.code, error.message) from None


def collect(database: Database, storage: Storage) -> list[Leftover]:
    """Delete what is certain to be of no use, while others may be at work; uploads that no task names yet stay.

    Raises:
        Conflict: the storage is another database's.
    """
    return _sweep(database, storage, lambda unclaimed: set(), threading.Event())


def find(database: Database, storage: Storage) -> list[Leftover]:
    """What ``collect`` would delete now.

    Raises:
        Conflict: the storage is another database's.
    """
    require_own(database, storage)
    found = list(_useless(database, storage, lambda unclaimed: set()))
    unknown = _unknown_tables(database, storage)
    with database.reading() as session:
        return found + [_unused_table(content_hash) for content_hash in unknown if not in_use(session, content_hash)]


def _sweep(database: Database, storage: Storage, forsaken: Forsaken, stopping: threading.Event) -> list[Leftover]:
    removed: list[Leftover] = []
    if not require_own(database, storage):
        return removed
    for leftover in _useless(database, storage, forsaken):
        if stopping.is_set():
            return removed
        storage.delete(leftover.key)
        removed.append(leftover)
    for content_hash in _unknown_tables(database, storage):
        if stopping.is_set():
            return removed
        if delete_unused_content(database, storage, content_hash):
            removed.append(_unused_table(content_hash))
    return removed


def _useless(database: Database, storage: Storage, forsaken: Forsaken) -> Iterator[Leftover]:
    # What there is comes first, and what is known of it after: the other way round it could have come in between.
    yield from _uploads(database, storage, forsaken)
    yield from _bundles(database, storage)
    yield from _parts(database, storage)
    yield from _searches(database, storage)


def _uploads(database: Database, storage: Storage, forsaken: Forsaken) -> Iterator[Leftover]:
    uploads = {_second(key) for key in storage.list("uploads")}
    with database.reading() as session:
        states = _states(session, uploads)
    for task_id in sorted(task_id for task_id in uploads & states.keys() if states[task_id].final):
        yield Leftover(f"uploads/{task_id}", "its task has ended")
    for task_id in sorted(forsaken(uploads - states.keys())):
        yield Leftover(f"uploads/{task_id}", "it never became a task")


def _bundles(database: Database, storage: Storage) -> Iterator[Leftover]:
    """Only of tasks that have ended. Bundles without a task are not ours to judge."""
    bundles = {"/".join(key.split("/")[:_BUNDLE_PARTS]) for key in storage.list("bundles")}
    with database.reading() as session:
        states = _states(session, {_second(bundle) for bundle in bundles})
        registered = _known(session, bundles)
    for bundle in sorted(bundles - registered):
        if _second(bundle) in states and states[_second(bundle)].final:
            yield Leftover(bundle, "its training has ended, and no version has it")


def _parts(database: Database, storage: Storage) -> Iterator[Leftover]:
    """Of files with predictions whose task has ended."""
    parts = {_second(key) for key in storage.list(ROOT) if key.startswith(parts_key(_second(key)))}
    with database.reading() as session:
        states = _states(session, parts)
    for task_id, state in sorted(states.items()):
        if state.final:
            yield Leftover(parts_key(task_id), "its task has ended, and the whole file is beside it")


def _searches(database: Database, storage: Storage) -> Iterator[Leftover]:
    """What trials left for the conclusion of a search that has ended."""
    searches = {_second(key) for key in storage.list(SEARCHES)}
    with database.reading() as session:
        states = _states(session, searches)
    for task_id, state in sorted(states.items()):
        if state.final:
            yield Leftover(scores_prefix(task_id), "its search has ended")


def _unused_table(content_hash: str) -> Leftover:
    return Leftover(folder_key(content_hash), "no dataset has this table, and no import is about to")


def _unknown_tables(database: Database, storage: Storage) -> list[str]:
    """No version has them; an import may be about to make one."""
    stored = {_second(key) for key in storage.list("datasets")}
    with database.reading() as session:
        known = set(session.scalars(select(DatasetVersionRow.content_hash).distinct()))
    return sorted(stored - known)


def _states(session: Session, task_ids: Collection[str]) -> dict[str, TaskState]:
    states: dict[str, TaskState] = {}
    for some in _in_parts(task_ids):
        rows = session.execute(select(TaskRow.id, TaskRow.state).where(TaskRow.id.in_(some)))
        states.update({task_id: TaskState(state) for task_id, state in rows})
    return states


def _known(session: Session, bundles: Collection[str]) -> set[str]:
    known: set[str] = set()
    for some in _in_parts(bundles):
        known.update(session.scalars(select(ModelVersionRow.bundle_key).where(ModelVersionRow.bundle_key.in_(some))))
    return known


def _in_parts(keys: Collection[str]) -> Iterable[list[str]]:
    """As many as one query takes."""
    ordered = sorted(keys)
    return (ordered[start : start + _AT_ONCE] for start in range(0, len(ordered), _AT_ONCE))


def _second(key: str) -> str:
    return key.split("/")[1]
