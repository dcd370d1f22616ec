"""The task that makes a model registered in MLflow a version here."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy.orm import Session

from rowcast.accounts import audit
from rowcast.accounts.principal import Principal, Scope
from rowcast.errors import Conflict
from rowcast.models import registry
from rowcast.models.importing.request import ImportRequest
from rowcast.models.recipe import TrainingRequest
from rowcast.tasks.claims import Claim
from rowcast.tasks.handlers import TRAIN, Bench, Handler
from rowcast.tasks.submission import submit
from rowcast.tasks.tables import TaskRow
from rowcast.tasks.trainings import Trained, abandon, bundle_prefix, tidy

KIND = "import_model"


def submit_model_import(session: Session, principal: Principal, request: ImportRequest) -> TaskRow:
    """Put the import of a model on record.

    Raises:
        InvalidInput: no model can be called so here.
        Forbidden: the caller's role may not add models, or not pickled ones.
        Conflict: the name belongs to someone else.
    """
    registry.check_may_train(session, principal, request.name)
    if request.pickled:
        principal.require(scope=Scope.ADMIN)
        audit.record(session, "model.pickle_imported", request.name, principal=principal, source=request.source)
    payload = request.model_dump(mode="json")
    return submit(session, principal, kind=KIND, lane=TRAIN, subject=request.name, payload=payload)


@dataclass(frozen=True, slots=True)
class Source:
    """The MLflow that models are imported from, and whether pickles of it may be opened, in the sandbox."""

    url: str = ""
    pickles: bool = False


def handler(source: Source) -> Handler:
    return Handler(partial(_work, source), _settle, tidy, abandon)


def _work(source: Source, task: Claim, bench: Bench) -> Trained:
    if not source.url:
        message = "The workers know of no MLflow: the operator has to set ROWCAST_TRACKING_URL."
        raise Conflict("tracking_off", message)
    pickled = ImportRequest.model_validate(task.payload).pickled
    if pickled and not source.pickles:
        message = "The workers open no pickles: the operator has to set ROWCAST_CONVERT_PICKLES. Or log it as skops."
        raise Conflict("pickles_off", message)
    arguments = {
        "tracking_url": source.url,
        "pickled": pickled,
        "reference": task.payload["source"],
        "bundle_prefix": bundle_prefix(task.id, task.attempt),
    }
    outcome = bench.compute.run(
        "import_model",
        arguments,
        report=bench.report,
        cancelled=bench.cancelled,
        timeout=bench.limits.ingest_timeout_seconds,
    )
    return Trained(outcome, registry.read_bundles(bench.storage, outcome))


def _settle(session: Session, task: Claim, imported: Trained) -> dict[str, Any]:
    asked = ImportRequest.model_validate(task.payload)
    manifest = imported.bundles[0].manifest
    result = registry.register(
        session,
        task.owner,
        task_id=task.id,
        request=TrainingRequest(
            dataset=manifest["dataset"]["name"], target=manifest["target"], model=asked.name, promote=asked.promote
        ),
        dataset_version_id="",
        outcome=imported.outcome,
        bundles=imported.bundles,
    )
    return result.model_dump(mode="json")
