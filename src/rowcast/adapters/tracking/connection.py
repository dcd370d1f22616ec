"""MLflow's client on a store, and where a store that is a file has what belongs to it."""

from __future__ import annotations

import mlflow
from mlflow import MlflowClient

from rowcast.adapters.tracking.address import file_of


def connect(url: str) -> MlflowClient:
    """A client of the store at an address; a file is made when there is none."""
    path = file_of(url)
    if path is not None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    mlflow.set_tracking_uri(url)
    mlflow.set_registry_uri(url)
    return MlflowClient()


def artifacts_beside(url: str) -> str | None:
    """The folder of the artifacts of a store that is a file; a server has a place of its own."""
    path = file_of(url)
    return None if path is None else (path.parent / "artifacts").as_uri()
