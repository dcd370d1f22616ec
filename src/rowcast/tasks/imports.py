"""The task that makes an uploaded file a version of a dataset."""

from __future__ import annotations

from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from rowcast.accounts.principal import Principal
from rowcast.datasets import catalogue
from rowcast.datasets.objects import folder_key
from rowcast.datasets.ports import Storage
from rowcast.datasets.tables import DatasetVersionRow
from rowcast.tables import Database, take_turn
from rowcast.tasks.claims import Claim
from rowcast.tasks.columns import check_kinds
from rowcast.tasks.handlers import DATA, Bench, Handler
from rowcast.tasks.submission import submit
from rowcast.tasks.tables import TaskRow, in_state
from rowcast.tasks.views import TaskState

KIND = "import"


def upload_key(task_id: str) -> str:
    """Where the uploaded bytes wait in the storage for the task of that id."""
    return f"uploads/{task_id}"


def submit_import(
    session: Session,
    principal: Principal,
    *,
    task_id: str,
    name: str,
    filename: str,
    content_hash: str,
    description: str | None = None,
    kinds: dict[str, str] | None = None,
    limits: dict[str, Any] | None = None,
) -> TaskRow:
    """Put the import of a file on record, whose bytes are in the storage at ``upload_key(task_id)`` already.

    Raises:
        InvalidInput: no dataset can be called so, or there is no such kind of column.
        Forbidden: the caller's role may not add datasets.
        Conflict: the name belongs to someone else.
    """
    catalogue.check_may_add(session, principal, name)
    take_turn(session, content_hash)
    payload = {
        "name": name,
        "description": description,
        "filename": filename,
        "content_hash": content_hash,
        "kinds": check_kinds(kinds or {}),
        "source_key": upload_key(task_id),
        "limits": limits or {},
    }
    return submit(session, principal, kind=KIND, lane=DATA, subject=name, payload=payload, task_id=task_id)


def delete_unused_content(database: Database, storage: Storage, content_hash: str) -> bool:
    """Delete a stored table that no version has and no import is about to need; whether it was so.

    The look and the deed are one turn, which keeps other imports of the same bytes from starting in between.
    """
    with database.transaction() as session:
        take_turn(session, content_hash)
        unused = not in_use(session, content_hash)
        if unused:
            storage.delete(folder_key(content_hash))
    return unused


def handler() -> Handler:
    return Handler(_work, _settle, _tidy, _abandon)


def _work(task: Claim, bench: Bench) -> dict[str, Any]:
    payload = task.payload
    arguments = {name: payload[name] for name in ("source_key", "content_hash", "filename", "kinds", "limits")}
    return bench.run("import", arguments, timeout=bench.limits.ingest_timeout_seconds)


def _settle(session: Session, task: Claim, outcome: dict[str, Any]) -> dict[str, Any]:
    payload = task.payload
    version, created = catalogue.add_version(
        session,
        task.owner,
        payload["name"],
        content_hash=payload["content_hash"],
        filename=payload["filename"],
        size_bytes=outcome["size_bytes"],
        row_count=outcome["row_count"],
        schema=outcome["schema"],
        profile=outcome["profile"],
        description=payload["description"],
    )
    return {"dataset": payload["name"], "version": version.number, "created": created}


def _tidy(task: Claim, storage: Storage) -> None:
    storage.delete(task.payload["source_key"])


def _abandon(task_id: str, payload: dict[str, Any], database: Database, storage: Storage) -> None:
    storage.delete(payload["source_key"])
    delete_unused_content(database, storage, payload["content_hash"])


def in_use(session: Session, content_hash: str) -> bool:
    """Whether a version has this content, or an import is about to make one."""
    active = select(TaskRow.payload).where(
        TaskRow.kind == KIND, or_(in_state(TaskState.QUEUED), in_state(TaskState.RUNNING))
    )
    if any(payload["content_hash"] == content_hash for payload in session.scalars(active)):
        return True
    # In this order: an import that ends between the two looks has made its version by the second.
    versions = select(DatasetVersionRow.id).where(DatasetVersionRow.content_hash == content_hash).limit(1)
    return session.scalar(versions) is not None
