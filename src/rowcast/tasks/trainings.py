"""The task that trains models on a version of a dataset and registers what comes of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from rowcast.accounts.principal import Principal
from rowcast.datasets import catalogue
from rowcast.datasets.ports import Storage
from rowcast.datasets.schema import FeatureSchema
from rowcast.errors import InvalidInput, Problem
from rowcast.models import registry
from rowcast.models.presets import plan
from rowcast.models.recipe import RetrainRequest, TrainingRequest
from rowcast.models.references import find_version
from rowcast.models.train.columns import check_names
from rowcast.models.tune.views import TuningRequest
from rowcast.tables import Database
from rowcast.tasks.claims import Claim
from rowcast.tasks.failed_trainings import TRAINING
from rowcast.tasks.handlers import TRAIN, Bench, Handler
from rowcast.tasks.submission import submit
from rowcast.tasks.tables import TaskRow
from rowcast.tasks.training_jobs import train

KIND = TRAINING


@dataclass(frozen=True, slots=True)
class Trained:
    """What a training made: the job's outcome, and its bundles as they are in the storage."""

    outcome: dict[str, Any]
    bundles: Sequence[registry.TrainedBundle]


def submit_training(
    session: Session, principal: Principal, request: TrainingRequest, *, task_id: str | None = None
) -> TaskRow:
    """Put a training on record: see ``submit_learning``."""
    return submit_learning(session, principal, KIND, request, task_id=task_id)


def submit_learning(
    session: Session,
    principal: Principal,
    kind: str,
    request: TrainingRequest | TuningRequest,
    *,
    task_id: str | None = None,
) -> TaskRow:
    """Put a training or a search on record, for the version of the dataset that is the newest now unless one is named.

    Raises:
        InvalidInput: the request names columns, algorithms or hyperparameters that there are not, or no model can be
            called so.
        Forbidden: the caller's role may not train.
        NotFound: there is no such dataset, or no such version of it.
        Conflict: the model's name belongs to someone else.
    """
    dataset, version = catalogue.find_version(session, principal, request.dataset, request.dataset_version)
    model = request.model or request.dataset
    registry.check_may_train(session, principal, model)
    schema = FeatureSchema.model_validate(version.schema)
    plan(request.recipe())
    check_names(request.recipe(), schema)
    pinned = request.model_copy(update={"dataset_version": version.number, "model": model})
    payload = {
        "request": pinned.model_dump(mode="json", exclude_defaults=True),
        "dataset_version_id": version.id,
        "dataset_number": version.number,
        "content_hash": version.content_hash,
        "row_count": version.row_count,
        "schema": schema.describe(dataset.dictionary).model_dump(mode="json"),
    }
    return submit(session, principal, kind=kind, lane=TRAIN, subject=model, payload=payload, task_id=task_id)


def submit_retraining(
    session: Session, principal: Principal, name: str, number: int, changes: RetrainRequest
) -> TaskRow:
    """Put on record that a version of a model is to be trained again; see ``registry.retrain_request``.

    Raises:
        InvalidInput: the table lacks a column that the version learned from, or what ``submit_training`` raises.
        NotFound: there is no such model, version or dataset.
        Forbidden: the caller may not change the model.
    """
    request = registry.retrain_request(session, principal, name, number, changes)
    _, table = catalogue.find_version(session, principal, request.dataset, request.dataset_version)
    _, version = find_version(session, principal, name, number, details=True)
    learned_from = FeatureSchema.model_validate(version.schema).names
    _check_features(learned_from, FeatureSchema.model_validate(table.schema))
    return submit_training(session, principal, request)


def _check_features(learned_from: list[str], schema: FeatureSchema) -> None:
    """Pass when a table has every column of a list: the same recipe on fewer columns would be another model."""
    known = set(schema.names)
    lost = [column for column in learned_from if column not in known]
    if lost:
        message = "The table no longer has this column, which the version learned from."
        problems = [Problem(code="feature_lost", message=message, field=column) for column in lost]
        raise InvalidInput(
            "features_lost",
            f"The table lacks {len(lost)} columns that the version learned from. Upload a table that has them, or "
            "start a new training if the model is to do without.",
            problems,
        )


def handler() -> Handler:
    return Handler(_work, _settle, tidy, abandon)


def _work(task: Claim, bench: Bench) -> Trained:
    outcome = train(bench, task.payload, bundle_prefix(task.id, task.attempt))
    return Trained(outcome, registry.read_bundles(bench.storage, outcome))


def _settle(session: Session, task: Claim, trained: Trained) -> dict[str, Any]:
    result = registry.register(
        session,
        task.owner,
        task_id=task.id,
        request=TrainingRequest.model_validate(task.payload["request"]),
        dataset_version_id=task.payload["dataset_version_id"],
        outcome=trained.outcome,
        bundles=trained.bundles,
    )
    return result.model_dump(mode="json")


def tidy(task: Claim, storage: Storage) -> None:
    """Delete the bundles of attempts before the one that succeeded."""
    for attempt in range(1, task.attempt):
        storage.delete(bundle_prefix(task.id, attempt))


def abandon(task_id: str, payload: dict[str, Any], database: Database, storage: Storage) -> None:
    """Delete the bundles of all attempts."""
    storage.delete(f"bundles/{task_id}")


def bundle_prefix(task_id: str, attempt: int) -> str:
    """Each attempt writes apart, for the process of one that was thought dead may be writing still."""
    return f"bundles/{task_id}/{attempt}"
