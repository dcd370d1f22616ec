"""Leftovers: what is in the storage and of no use, because the process was killed before it could clean up."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from sqlalchemy import select
from sqlalchemy.orm import Session

from rowcast.datasets.ports import Storage
from rowcast.datasets.tables import DatasetVersionRow
from rowcast.models.tables import ModelVersionRow
from rowcast.scoring.files.objects import ROOT, parts_key
from rowcast.tables import Database
from rowcast.tasks.imports import delete_unused_content
from rowcast.tasks.tables import TaskRow
from rowcast.tasks.views import TaskState

_BUNDLE_PARTS = 4
"""``bundles/<task>/<attempt>/<algorithm>``: the folder of one bundle."""

_AT_ONCE = 500


def remove_leftovers(database: Database, storage: Storage) -> None:
    """Delete uploads that no task is going to read, bundles that no version has, parts of files that are whole, and
    tables that no dataset has. For the start of the only process: nothing may be uploading."""
    _remove_uploads(database, storage)
    _remove_bundles(database, storage)
    _remove_parts(database, storage)
    for content_hash in _unknown_tables(database, storage):
        delete_unused_content(database, storage, content_hash)


def _remove_uploads(database: Database, storage: Storage) -> None:
    uploads = {_second(key) for key in storage.list("uploads")}
    with database.reading() as session:
        states = _states(session, uploads)
    for task_id in uploads:
        if states.get(task_id, TaskState.FAILED).final:
            storage.delete(f"uploads/{task_id}")


def _remove_bundles(database: Database, storage: Storage) -> None:
    """Only of tasks that have ended. Bundles without a task are not ours to judge."""
    bundles = {"/".join(key.split("/")[:_BUNDLE_PARTS]) for key in storage.list("bundles")}
    with database.reading() as session:
        states = _states(session, {_second(bundle) for bundle in bundles})
        registered = _known(session, bundles)
    for bundle in sorted(bundles - registered):
        state = states.get(_second(bundle))
        if state is not None and state.final:
            storage.delete(bundle)


def _remove_parts(database: Database, storage: Storage) -> None:
    """Of files with predictions whose task has ended."""
    parts = {_second(key) for key in storage.list(ROOT) if key.startswith(parts_key(_second(key)))}
    with database.reading() as session:
        states = _states(session, parts)
    for task_id, state in states.items():
        if state.final:
            storage.delete(parts_key(task_id))


def _unknown_tables(database: Database, storage: Storage) -> list[str]:
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
