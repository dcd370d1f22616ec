"""Whether the storage and the database agree: what is in the storage and of no use, and what is named and not there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from rowcast.accounts.audit import record
from rowcast.accounts.principal import Principal
from rowcast.datasets.objects import preview_key, source_key, table_key
from rowcast.datasets.ports import Storage
from rowcast.datasets.tables import DatasetRow, DatasetVersionRow
from rowcast.models.bundle.contents import MANIFEST
from rowcast.models.tables import ModelRow, ModelVersionRow
from rowcast.tables import Database
from rowcast.tasks import leftovers
from rowcast.tasks.tables import TaskRow, in_state
from rowcast.tasks.views import Collected, MissingObject, StorageCheck, TaskState, UselessObjects

Named = dict[str, str]
"""Keys that the database names, and what of it does."""


def check(database: Database, storage: Storage) -> StorageCheck:
    """Hold the storage against the database. Nothing is changed; others may be at work meanwhile.

    Raises:
        Conflict: the storage is another database's.
    """
    stored = set(storage.list(""))
    useless = leftovers.find(database, storage)
    return StorageCheck(
        objects=len(stored),
        useless=[UselessObjects(**leftover._asdict()) for leftover in useless],
        missing=_missing(database, storage, stored),
    )


def collect(database: Database, storage: Storage, principal: Principal) -> Collected:
    """Delete what is of no use. Each is looked up once more as it is deleted, in one turn with what could need it.

    Raises:
        Conflict: the storage is another database's.
    """
    deleted = leftovers.collect(database, storage)
    with database.transaction() as session:
        record(session, "storage.collected", principal=principal, deleted=len(deleted))
    return Collected(deleted=[UselessObjects(**leftover._asdict()) for leftover in deleted])


def _missing(database: Database, storage: Storage, stored: set[str]) -> list[MissingObject]:
    """What came or went between the looks is no fault: so both are looked at once more."""
    suspected = _named(database).keys() - stored
    gone = {key for key in suspected if not storage.exists(key)}
    named = _named(database) if gone else {}
    return [MissingObject(key=key, needed_by=named[key]) for key in sorted(gone & named.keys())]


def _named(database: Database) -> Named:
    with database.reading() as session:
        return {**dict(_of_datasets(session)), **dict(_of_models(session)), **dict(_of_tasks(session))}


def _of_datasets(session: Session) -> Iterator[tuple[str, str]]:
    version = DatasetVersionRow
    rows = select(DatasetRow.name, version.number, version.content_hash).join(
        DatasetRow, DatasetRow.id == version.dataset_id
    )
    for name, number, content_hash in session.execute(rows):
        for key_of in (source_key, table_key, preview_key):
            yield key_of(content_hash), f"dataset {name}@{number}"


def _of_models(session: Session) -> Iterator[tuple[str, str]]:
    version = ModelVersionRow
    rows = select(ModelRow.name, version.number, version.bundle_key, version.manifest).join(
        ModelRow, ModelRow.id == version.model_id
    )
    for name, number, bundle_key, manifest in session.execute(rows):
        for file in (MANIFEST, *manifest.get("files", ())):
            yield f"{bundle_key}/{file}", f"model {name}@{number}"


def _of_tasks(session: Session) -> Iterator[tuple[str, str]]:
    """Uploads that wait for a worker."""
    rows = select(TaskRow.id, TaskRow.payload).where(in_state(TaskState.QUEUED), TaskRow.kind.in_(("import", "score")))
    payload: dict[str, Any]
    for task_id, payload in session.execute(rows):
        yield payload["source_key"], f"task {task_id}"
