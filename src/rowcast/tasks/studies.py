"""The task that searches for the best model of a dataset and registers it as a version."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sqlalchemy.orm import Session

from rowcast.accounts.principal import Principal
from rowcast.datasets.ports import Progress, Storage
from rowcast.models import registry
from rowcast.models.recipe import Source, TrainingRequest
from rowcast.models.tune.views import TuningRequest, TuningResult
from rowcast.tables import Database
from rowcast.tasks import trainings
from rowcast.tasks.claims import Claim
from rowcast.tasks.failed_trainings import STUDY
from rowcast.tasks.handlers import Bench, Handler
from rowcast.tasks.searching import Search, scores_prefix
from rowcast.tasks.tables import TaskRow
from rowcast.tasks.trainings import Trained, bundle_prefix, submit_learning

KIND = STUDY


def submit_study(session: Session, principal: Principal, request: TuningRequest) -> TaskRow:
    """Put a search on record: see ``trainings.submit_learning``."""
    return submit_learning(session, principal, KIND, request)


def handler() -> Handler:
    return Handler(_work, _settle, _tidy, _abandon)


def _work(task: Claim, bench: Bench) -> Trained:
    search = Search(task, bench)
    search.run()
    return _conclude(task, bench, search)


def _conclude(task: Claim, bench: Bench, search: Search) -> Trained:
    """Have the model made that the trials come to."""
    begun = search.fraction()

    def report(progress: Progress) -> None:
        fraction = begun + (1 - begun) * progress.fraction
        bench.report(progress.model_copy(update={"fraction": fraction}))

    payload = task.payload
    arguments = {
        "request": payload["request"],
        "content_hash": payload["content_hash"],
        "dataset_number": payload["dataset_number"],
        "schema": payload["schema"],
        "trials": [trial.model_dump(mode="json") for trial in search.trials],
        "bundle_prefix": bundle_prefix(task.id, task.attempt),
        "scores_prefix": scores_prefix(task.id),
        "threads": bench.limits.threads,
    }
    timeout = bench.limits.training_timeout_seconds
    outcome = replace(bench, report=report).run("conclude", arguments, timeout=timeout)
    return Trained(outcome, registry.read_bundles(bench.storage, outcome))


def _settle(session: Session, task: Claim, trained: Trained) -> dict[str, Any]:
    """The version's recipe is that of what was chosen, so that it can be trained again like any other."""
    asked = TuningRequest.model_validate(task.payload["request"])
    recipe = trained.bundles[0].manifest["recipe"]
    result = registry.register(
        session,
        task.owner,
        task_id=task.id,
        request=TrainingRequest.model_validate({**recipe, **asked.model_dump(include=set(Source.model_fields))}),
        dataset_version_id=task.payload["dataset_version_id"],
        outcome=trained.outcome,
        bundles=trained.bundles,
    )
    found = {**result.model_dump(mode="json"), "study": trained.outcome["study"]}
    return TuningResult.model_validate(found).model_dump(mode="json")


def _tidy(task: Claim, storage: Storage) -> None:
    trainings.tidy(task, storage)
    storage.delete(scores_prefix(task.id))


def _abandon(task_id: str, payload: dict[str, Any], database: Database, storage: Storage) -> None:
    trainings.abandon(task_id, payload, database, storage)
    storage.delete(scores_prefix(task_id))
