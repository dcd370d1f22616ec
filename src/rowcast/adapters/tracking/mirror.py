"""The job that brings a store of MLflow up to date. Whatever it makes is looked for first, by tags: one that was killed
between making something and telling of it is followed by one that finds it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from mlflow.exceptions import MlflowException, RestException
from mlflow.protos.databricks_pb2 import RESOURCE_ALREADY_EXISTS, RESOURCE_DOES_NOT_EXIST, ErrorCode

from rowcast.adapters.tracking.connection import artifacts_beside, connect
from rowcast.adapters.tracking.runs import MODEL_ID, Training, failed_run_of, run_of
from rowcast.datasets.ports import Storage
from rowcast.errors import RowcastError, Unavailable

_GONE = ErrorCode.Name(RESOURCE_DOES_NOT_EXIST)
_NO_LONGER_THERE = frozenset({_GONE, "INVALID_PARAMETER_VALUE", "INVALID_STATE"})
"""How MLflow answers to who deletes something again."""

_TAKEN = ErrorCode.Name(RESOURCE_ALREADY_EXISTS)
_OURS_TO_SOLVE = frozenset({_GONE, _TAKEN, "INVALID_PARAMETER_VALUE", "BAD_REQUEST", "INVALID_STATE"})
"""Errors that are about one version; any other is about MLflow, and nothing else is tried."""

log = logging.getLogger(__name__)


def mirror(
    storage: Storage,
    tracking_url: str,
    *,
    public_url: str,
    began_ms: dict[str, int],
    trials: dict[str, list[dict[str, Any]]],
    gone: list[dict[str, Any]],
    freed: list[tuple[str, str]],
    changes: list[dict[str, Any]],
    failed: list[dict[str, Any]],
) -> dict[str, Any]:
    """Do what ``models.mirroring.Behind`` says, of trainings that began then and of searches with these trials, both by
    the id of their task. ``done`` are versions as MLflow has them now, ``runs`` the runs of
    trainings without one; ``refused`` are those that it will not have, each with a word why; ``stopped`` says why the
    rest was left, None when all was done.

    Raises:
        Unavailable: MLflow does not answer.
    """
    try:
        client = connect(tracking_url)
        mirroring = _Mirroring(client, storage, artifacts_beside(tracking_url), public_url, began_ms, trials)
        mirroring.remove(gone, freed)
    except Exception as error:
        raise Unavailable("mlflow_unavailable", f"MLflow does not answer as it should ({_word(error)}).") from error
    outcome: dict[str, Any] = {"done": {}, "runs": {}, "refused": {}, "stopped": None}
    work: list[tuple[str, str, Callable[[], Any]]] = [
        ("done", change["version_id"], partial(mirroring.apply, change)) for change in changes
    ]
    work += [("runs", one["training_id"], partial(mirroring.tell_failed, one)) for one in failed]
    for kind, id_, do in work:
        try:
            outcome[kind][id_] = do()
        except Exception as error:  # noqa: BLE001  (what is done is told in any case)
            if not _about_one(error):
                return {**outcome, "stopped": _word(error)}
            outcome["refused"][id_] = _word(error)
    return outcome


class _Mirroring:
    def __init__(
        self,
        client: Any,
        storage: Storage,
        artifacts: str | None,
        public_url: str,
        began_ms: dict[str, int],
        trials: dict[str, list[dict[str, Any]]],
    ) -> None:
        self._client = client
        self._storage = storage
        self._artifacts = artifacts
        self._public_url = public_url
        self._began_ms = began_ms
        self._trials = trials

    def remove(self, gone: list[dict[str, Any]], freed: list[tuple[str, str]]) -> None:
        """Remove versions, whole models, and aliases that point nowhere."""
        for one in gone:
            with _unless_gone():
                self._client.delete_model_version(one["known"]["name"], str(one["known"]["registered"]))
            with _unless_gone():
                self._client.delete_run(one["known"]["run_id"])
        whole = {one["known"]["name"]: one["model_id"] for one in gone if one["whole"]}
        for name, model_id in whole.items():
            self._remove_model(name, model_id)
        for name, alias in freed:
            with _unless_gone():
                self._client.delete_registered_model_alias(name, alias)

    def apply(self, change: dict[str, Any]) -> dict[str, Any]:
        """Have a version registered, with its aliases."""
        known = change["known"] or self._register(change)
        for alias in change["aliases"]:
            if alias not in known["aliases"]:
                self._point(known, alias)
        return {**known, "aliases": change["aliases"]}

    def tell_failed(self, failed: dict[str, Any]) -> str:
        """Have a run of a training that made no version; its id."""
        where = failed["model_id"] or failed["training_id"]
        training = self._training(where, failed["began_ms"], failed)
        return failed_run_of(training, failed)

    def _training(self, model_id: str, began_ms: int, made: dict[str, Any]) -> Training:
        trials = self._trials.get(made["training_id"], [])
        return Training(self._client, self._artifacts, self._public_url, model_id, began_ms, made, trials)

    def _register(self, change: dict[str, Any]) -> dict[str, Any]:
        made, model_id = change["made"], change["model_id"]
        with self._storage.local_folder(made["bundle_key"]) as bundle:
            began = self._began_ms.get(made["training_id"], made["created_ms"])
            run_id = run_of(self._training(model_id, began, made), change["version_id"], bundle)
        name = self._registered_model(model_id, made)
        found = self._client.search_model_versions(f"name='{name}' and run_id='{run_id}'")
        version = found[0] if found else self._registered_version(name, run_id, change)
        return {"name": name, "registered": int(version.version), "run_id": run_id, "aliases": []}

    def _registered_version(self, name: str, run_id: str, change: dict[str, Any]) -> Any:
        made = change["made"]
        tags = {"rowcast.version_id": change["version_id"], "rowcast.version": str(made["number"])}
        told = f"Version {made['number']} of the model {made['model']} in Rowcast, whose card is with the run."
        return self._client.create_model_version(name, f"runs:/{run_id}/model", run_id, tags=tags, description=told)

    def _registered_model(self, model_id: str, made: dict[str, Any]) -> str:
        """The name that the model has in MLflow: its own, unless that is somebody else's there."""
        for name in (made["model"], f"{made['model']}-rowcast-{model_id[:8]}"):
            if self._is_ours(name, model_id, made):
                return name
        raise MlflowException("both names are taken", error_code=RESOURCE_ALREADY_EXISTS)

    def _is_ours(self, name: str, model_id: str, made: dict[str, Any]) -> bool:
        try:
            found = self._client.get_registered_model(name)
        except MlflowException as error:
            if error.error_code != _GONE:
                raise
            tags = {MODEL_ID: model_id, "rowcast.owner": made["owner"]}
            found = self._client.create_registered_model(name, tags=tags, description=made["description"])
        return bool(found.tags.get(MODEL_ID) == model_id)

    def _point(self, known: dict[str, Any], alias: str) -> None:
        try:
            self._client.set_registered_model_alias(known["name"], alias, str(known["registered"]))
        except MlflowException as error:
            if not _about_one(error) or error.error_code == _GONE:
                raise
            log.warning("MLflow takes no alias %r", alias)  # it keeps some words for itself, such as latest

    def _remove_model(self, name: str, model_id: str) -> None:
        """With all runs of it; the model only if nobody added versions of their own."""
        experiments = [found.experiment_id for found in self._client.search_experiments()]
        for run in self._client.search_runs(experiments, f"tags.`{MODEL_ID}` = '{model_id}'"):
            with _unless_gone():
                self._client.delete_run(run.info.run_id)
        if not self._client.search_model_versions(f"name='{name}'"):
            with _unless_gone():
                self._client.delete_registered_model(name)


@contextmanager
def _unless_gone() -> Iterator[None]:
    """Passes over what is not there any more."""
    try:
        yield
    except MlflowException as error:
        if error.error_code not in _NO_LONGER_THERE:
            raise


def _about_one(error: Exception) -> bool:
    if isinstance(error, MlflowException):
        return error.error_code in _OURS_TO_SOLVE
    return not isinstance(error, (OSError, Unavailable))


def _word(error: Exception) -> str:
    """Why, in a word that holds nothing of what was sent or stored."""
    if isinstance(error, RowcastError):
        return error.code
    if isinstance(error, (MlflowException, RestException)):
        return str(error.error_code).lower()
    return type(error).__name__
