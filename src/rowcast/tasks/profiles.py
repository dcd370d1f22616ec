"""The task that looks a table over again: for a target, or with its columns read in another way."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from rowcast.accounts.principal import Principal
from rowcast.datasets import catalogue
from rowcast.datasets.ports import Storage
from rowcast.datasets.schema import FeatureSchema
from rowcast.tables import Database
from rowcast.tasks.claims import Claim
from rowcast.tasks.columns import check_columns, check_kinds
from rowcast.tasks.handlers import DATA, Bench, Handler
from rowcast.tasks.imports import upload_key
from rowcast.tasks.submission import submit
from rowcast.tasks.tables import TaskRow

KIND = "profile"

_CHOSEN = "set by a person"
"""The reason that an import gives for a kind that it was told."""


def submit_profile(
    session: Session,
    principal: Principal,
    *,
    dataset: str,
    number: int | None = None,
    target: str | None = None,
    task_id: str | None = None,
) -> TaskRow:
    """Put on record that a version, the newest by default, is to be profiled for a target; nothing is stored but the
    task's result.

    Raises:
        NotFound: there is no such dataset, or no such version of it.
        InvalidInput: the table has no such target.
    """
    _, version = catalogue.find_version(session, principal, dataset, number)
    schema = FeatureSchema.model_validate(version.schema)
    if target is not None:
        check_columns(schema, [("target", target)])
    payload = {
        "dataset": dataset,
        "number": version.number,
        "content_hash": version.content_hash,
        "target": target,
        "kinds": None,
        "schema": version.schema,
    }
    return submit(session, principal, kind=KIND, lane=DATA, subject=dataset, payload=payload, task_id=task_id)


def submit_kinds(
    session: Session,
    principal: Principal,
    *,
    dataset: str,
    number: int | None = None,
    kinds: dict[str, str],
    limits: dict[str, Any] | None = None,
    task_id: str | None = None,
) -> TaskRow:
    """Put on record that these columns of a version are to be read as other kinds from now on, beside those whose
    kinds were chosen before.

    Raises:
        NotFound: there is no such dataset, or no such version of it.
        Forbidden: the caller may not change it.
        InvalidInput: the table has no such column, or there is no such kind.
    """
    row, version = catalogue.find_version(session, principal, dataset, number)
    catalogue.check_may_change(principal, row)
    schema = FeatureSchema.model_validate(version.schema)
    check_columns(schema, ((column, column) for column in kinds))
    payload = {
        "dataset": dataset,
        "number": version.number,
        "content_hash": version.content_hash,
        "filename": version.filename,
        "target": None,
        "kinds": _chosen_before(schema) | check_kinds(kinds),
        "limits": limits or {},
    }
    return submit(session, principal, kind=KIND, lane=DATA, subject=dataset, payload=payload, task_id=task_id)


def handler() -> Handler:
    return Handler(_work, _settle, _tidy, _abandon)


def _chosen_before(schema: FeatureSchema) -> dict[str, str]:
    return {feature.name: feature.kind.value for feature in schema.features if feature.reason == _CHOSEN}


def _work(task: Claim, bench: Bench) -> dict[str, Any]:
    job, arguments = _profile(task) if task.payload["kinds"] is None else _reading(task)
    return bench.run(job, arguments, timeout=bench.limits.ingest_timeout_seconds)


def _profile(task: Claim) -> tuple[str, dict[str, Any]]:
    return "profile", {name: task.payload[name] for name in ("content_hash", "schema", "target")}


def _reading(task: Claim) -> tuple[str, dict[str, Any]]:
    """Another kind means other categories, dates and ranges, so the table is imported anew: there is no upload of this
    task's, and the job then takes the source that was kept."""
    kept = {name: task.payload[name] for name in ("content_hash", "filename", "kinds", "limits")}
    return "import", {"source_key": upload_key(task.id), **kept}


def _settle(session: Session, task: Claim, outcome: dict[str, Any]) -> dict[str, Any]:
    payload = task.payload
    if payload["kinds"] is None:
        return outcome
    schema, profile = outcome["schema"], outcome["profile"]
    catalogue.replace_schema(session, task.owner, payload["dataset"], payload["number"], schema=schema, profile=profile)
    return dict(profile)


def _tidy(task: Claim, storage: Storage) -> None:
    """A profile leaves nothing in the storage."""


def _abandon(task_id: str, payload: dict[str, Any], database: Database, storage: Storage) -> None:
    """A profile leaves nothing in the storage."""
