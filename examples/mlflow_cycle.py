"""An analyst's day with MLflow: train, look at the runs, compare the versions, promote one, load it by its alias.

rowcast up                                   # in another terminal
ROWCAST_API_KEY=rc_... python examples/mlflow_cycle.py sqlite:////home/anne/rowcast-data/mlflow/mlflow.db

Where ROWCAST_TRACKING_URL names an MLflow server, give its address instead.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from importlib.resources import as_file, files
from pathlib import Path
from typing import TypeVar

import mlflow
import pandas as pd
from mlflow import MlflowClient

from rowcast.client import Client
from rowcast.errors import RowcastError

NAME = "mlflow_cycle"
TARGET = "MIS_Status"
MIRROR_SECONDS = 120
_T = TypeVar("_T")


def cycle(client: Client, store: MlflowClient, table: Path) -> None:
    """Go through it all with the table, and print what happened."""
    client.datasets.add(table, name=NAME)
    result = client.train_and_wait(
        dataset=NAME, target=TARGET, preset="fast", algorithms=["lightgbm", "linear"], folds=2, promote=True
    )
    print(f"train: {result.model}, {len(result.candidates)} versions, the best is {result.best_version}")

    numbers = [candidate.version for candidate in result.candidates if candidate.version is not None]
    runs = mirrored(lambda: runs_of(numbers))
    columns = {"tags.rowcast.version": "version", "params.algorithm": "algorithm", "metrics.roc_auc": "roc_auc"}
    print("runs:", *runs[list(columns)].rename(columns=columns).to_string(index=False).splitlines(), sep="\n  ")

    best = runs.sort_values("metrics.log_loss").iloc[0]
    number = int(best["tags.rowcast.version"])
    client.models.promote(NAME, number)
    print(f"promote: version {number}, whose chances are the most honest (log loss {best['metrics.log_loss']:.3f})")

    served = mirrored(lambda: registered(store, number))
    print(f"alias: champion is version {served} in MLflow")

    model = mlflow.pyfunc.load_model(f"models:/{NAME}@champion")
    row = model.input_example.head(1)
    theirs = model.predict(row).iloc[0]
    ours = client.predict(NAME, row.astype(object).where(row.notna(), None).to_dict("records")).predictions[0]
    print(f"predict: {ours.value} here and {theirs['prediction']} there")


def runs_of(numbers: list[int]) -> pd.DataFrame | None:
    """The finished runs of these versions, None until they are all there."""
    query = "attributes.status = 'FINISHED' and tags.`rowcast.version` != ''"
    found = mlflow.search_runs(experiment_names=[f"rowcast/{NAME}"], filter_string=query)
    if found.empty:
        return None
    runs = found[found["tags.rowcast.version"].astype(int).isin(numbers)]
    return runs if len(runs) == len(numbers) else None


def registered(store: MlflowClient, number: int) -> str | None:
    """The version that 'champion' is in MLflow, None until it is the one of that number here."""
    version = store.get_model_version_by_alias(NAME, "champion")
    return version.version if version.tags["rowcast.version"] == str(number) else None


def mirrored(look: Callable[[], _T | None]) -> _T:
    """What MLflow has, once it has it: the mirror is some seconds behind."""
    deadline = time.monotonic() + MIRROR_SECONDS
    while time.monotonic() < deadline:
        found = look()
        if found is not None:
            return found
        time.sleep(1)
    sys.exit("MLflow is not told of it: does the server mirror in this one? See ROWCAST_TRACKING_URL.")


def main() -> None:
    key = os.environ.get("ROWCAST_API_KEY")
    if not key or len(sys.argv) != 2:
        sys.exit("Give the address of MLflow, and set ROWCAST_API_KEY to an API key of an analyst.")
    mlflow.set_tracking_uri(sys.argv[1])
    mlflow.set_registry_uri(sys.argv[1])
    url = os.environ.get("ROWCAST_URL", "http://127.0.0.1:8000")
    try:
        with Client(url, key) as client, as_file(files("rowcast.examples") / "sba_loans.csv") as table:
            cycle(client, MlflowClient(), table)
    except RowcastError as error:
        sys.exit(f"error: {error.message}")


if __name__ == "__main__":
    main()
