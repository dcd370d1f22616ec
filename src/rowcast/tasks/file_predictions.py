"""The task that predicts for every row of a file."""

from __future__ import annotations

from functools import partial
from pathlib import PurePath
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from rowcast.accounts.principal import Principal
from rowcast.credits.allowances import spend, uses_of
from rowcast.credits.prices import price_of
from rowcast.credits.statements import on_session
from rowcast.credits.tariff import Tariff, cost
from rowcast.datasets import catalogue
from rowcast.datasets.objects import table_key
from rowcast.datasets.ports import Storage
from rowcast.errors import Conflict, InvalidInput, NotFound
from rowcast.models.policies import policies_in_force
from rowcast.models.references import resolve
from rowcast.models.tables import ModelVersionRow
from rowcast.monitoring.file_receipts import ScoredFile, keep_receipt
from rowcast.scoring.files.objects import errors_key, folder_key, parts_key, predictions_key
from rowcast.scoring.version_key import VersionKey
from rowcast.scoring.views import FilePredictions
from rowcast.tables import Database
from rowcast.tasks import holds
from rowcast.tasks.claims import Claim
from rowcast.tasks.file_jobs import FileJobs
from rowcast.tasks.handlers import BATCH, Bench, Handler
from rowcast.tasks.imports import upload_key
from rowcast.tasks.submission import submit
from rowcast.tasks.tables import TaskRow
from rowcast.tasks.views import Task

KIND = "score"


def submit_upload(
    session: Session,
    principal: Principal,
    reference: str,
    *,
    task_id: str,
    filename: str,
    content_hash: str,
    rows: int | None,
    tariff: Tariff,
    **asked: Any,
) -> TaskRow:
    """Put on record that the rows of a file are to be predicted, whose bytes are in the storage at
    ``upload_key(task_id)`` already. What is asked is ``output``, ``columns`` and ``limits``: see
    ``scoring.files.job.score_file``.

    The version that the reference stands for, and the policy in force, are those of this moment. ``task_id`` is made
    by ``identifiers.new_timed_id``: the receipt gets the same one, and so there is only one. The file has no more than
    ``rows`` rows, None where nobody counts them; what they cost by the tariff is to be set aside.

    Raises:
        InvalidInput: what follows '@' in the reference is neither an alias nor a version number.
        NotFound: there is no such model, alias or version.
    """
    source = {"source_key": upload_key(task_id), "is_table": False}
    task = _submit(
        session, principal, reference, task_id, filename, content_hash, {**source, **asked, "most_rows": rows}
    )
    return _accepted(session, principal, task, rows or 0, tariff)


def submit_dataset(
    session: Session,
    principal: Principal,
    reference: str,
    *,
    task_id: str,
    dataset: str,
    number: int | None,
    tariff: Tariff,
    **asked: Any,
) -> TaskRow:
    """The same for a version of a dataset, the newest by default.

    Raises:
        NotFound: also when there is no such dataset or version of it.
    """
    _, version = catalogue.find_version(session, principal, dataset, number)
    content_hash = version.content_hash
    source = {"source_key": table_key(content_hash), "is_table": True}
    if asked["output"] is None and PurePath(version.filename).suffix.lower() == ".parquet":
        asked["output"] = "parquet"
    task = _submit(
        session,
        principal,
        reference,
        task_id,
        version.filename,
        content_hash,
        {**source, **asked, "most_rows": version.row_count},
    )
    return _accepted(session, principal, task, version.row_count, tariff)


def stored_file(task: Task, which: str) -> tuple[str, str]:
    """The key in the storage of one of a finished task's files, ``predictions`` or ``errors``, and the name it goes by.

    Raises:
        Conflict: the task has not ended yet.
        NotFound: the task makes no files, or did not succeed.
    """
    if task.kind == KIND and not task.state.final:
        raise Conflict("task_not_finished", "The predictions are not done yet. Wait for the task to succeed.")
    if task.kind != KIND or task.result is None:
        raise NotFound(
            "file_not_found", "This task has no files: only one that predicted for a file has, when it succeeded."
        )
    stem = PurePath(task.result["filename"]).stem or "file"
    if which == "errors":
        return errors_key(task.id), f"{stem}-errors.csv"
    return predictions_key(task.id), f"{stem}-predictions.{task.result['format']}"


def handler(usage_key: bytes = b"") -> Handler:
    return Handler(_work, partial(_settle, usage_key), _tidy, _abandon)


def _submit(
    session: Session,
    principal: Principal,
    reference: str,
    task_id: str,
    filename: str,
    content_hash: str,
    job: dict[str, Any],
) -> TaskRow:
    model, version, alias = resolve(session, principal, reference)
    policy = policies_in_force(session).get(model.id)
    payload = {
        "model": {  # no more of a VersionKey than the release before knows
            "id": version.id,
            "model": model.name,
            "number": version.number,
            "bundle_key": version.bundle_key,
            "bundle_hash": version.bundle_hash,
        },
        "alias": alias,
        "policy": policy and {
            "number": policy.number,
            "content": policy.policy.model_dump(mode="json"),
            "columns": policy.columns.model_dump(mode="json"),
        },
        "filename": filename,
        "content_hash": content_hash,
        **job,
    }  # fmt: skip
    return submit(session, principal, kind=KIND, lane=BATCH, subject=model.name, payload=payload, task_id=task_id)


def _accepted(session: Session, principal: Principal, task: TaskRow, rows: int, tariff: Tariff) -> TaskRow:
    """The task with what so many rows may cost, once they are counted for the day.

    Raises:
        TooMany: they are more than the caller has left.
    """
    if uses := uses_of(principal, rows):
        (beyond,) = spend(on_session(session), [uses])
        if beyond is not None:
            raise beyond
    if tariff.paid:
        model_id = select(ModelVersionRow.model_id).where(ModelVersionRow.id == task.payload["model"]["id"])
        task.rate = tariff.rate(price_of(session, session.scalars(model_id).one()), file=True)
        task.held = cost(task.rate, rows)
    return task


def _work(task: Claim, bench: Bench) -> dict[str, Any]:
    given = ("source_key", "content_hash", "is_table", "model", "policy", "output", "columns", "limits")
    arguments = {name: task.payload[name] for name in given}
    return FileJobs(bench, {"task_id": task.id, **arguments}).run()


def _settle(usage_key: bytes, session: Session, task: Claim, outcome: dict[str, Any]) -> dict[str, Any]:
    payload = task.payload
    model = VersionKey(**payload["model"])
    most = payload.get("most_rows")
    if most is not None and outcome["row_count"] > most:
        message = "The file has more rows than its own figures say. Write it again with a tool that counts them right."
        raise InvalidInput("file_miscounted", message)
    price, transfer_id = holds.pay(session, task.id, outcome["row_count"] - outcome["skipped"])
    scored = ScoredFile(
        id=task.id,
        model=model,
        alias=payload["alias"],
        policy=outcome["policy"],
        row_count=outcome["row_count"],
        skipped=outcome["skipped"],
        content_hash=payload["content_hash"],
        price=price,
        transfer_id=transfer_id,
    )
    keep_receipt(session, task.owner, scored, usage_key)
    result = FilePredictions(
        model=model.model,
        version=model.number,
        alias=payload["alias"],
        filename=payload["filename"],
        receipt=task.id,
        **outcome,
    )
    return result.model_dump(mode="json")


def _tidy(task: Claim, storage: Storage) -> None:
    storage.delete(upload_key(task.id))
    storage.delete(parts_key(task.id))


def _abandon(task_id: str, payload: dict[str, Any], database: Database, storage: Storage) -> None:
    storage.delete(upload_key(task_id))
    storage.delete(folder_key(task_id))
