"""A Rowcast that mirrors in an MLflow, looked at by MLflow's own client: what the tests of both have in common."""

from __future__ import annotations

import csv
import os
import time
from pathlib import Path

import numpy as np

PATIENCE = 90


class Tracked:
    """A server, its client, and clients of the MLflow that it mirrors in."""

    def __init__(self, mlflow_server, server, client, table, result):
        self.mlflow_server, self.server, self.client = mlflow_server, server, client
        self.table, self.result = table, result
        import mlflow

        mlflow.set_tracking_uri(mlflow_server.url)
        mlflow.set_registry_uri(mlflow_server.url)
        os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
        self.mlflow, self.store = mlflow, mlflow.MlflowClient()

    def runs(self, model="loans"):
        found = self.store.get_experiment_by_name(f"rowcast/{model}")
        return [] if found is None else list(self.store.search_runs([found.experiment_id]))

    def ended(self, model):
        """How the runs of trainings without a version ended, and why."""
        told = [run for run in self.runs(model) if "rowcast.training" in run.data.tags]
        return sorted((run.info.status, run.data.tags.get("rowcast.error")) for run in told)

    def aliases(self, model="loans"):
        found = self.store.search_registered_models(f"name='{model}'")
        return {name: int(number) for name, number in found[0].aliases.items()} if found else None

    def versions(self, model="loans"):
        found = self.store.search_model_versions(f"name='{model}'")
        return sorted(int(one.version) for one in found)

    def require_same_answers(self, model="loans"):
        """The champion as MLflow loads it answers what is served, to 1e-6."""
        import pandas as pd

        loaded = self.mlflow.pyfunc.load_model(f"models:/{model}@champion")
        frame = pd.read_csv(self.table, dtype={"town": str}, keep_default_na=True).drop(columns="repaid").head(60)
        frame["insured"] = frame["insured"].astype(bool)
        found = loaded.predict(frame)
        answers = self.client.predict(model, frame.to_dict("records")).predictions
        assert list(found["prediction"]) == [answer.value for answer in answers]
        for label in ("yes", "no"):
            served = [answer.probabilities[label] for answer in answers]
            assert np.abs(found[f"probability_{label}"] - served).max() <= 1e-6
        assert [column.name for column in loaded.metadata.signature.inputs.inputs] == list(frame.columns)
        assert len(loaded.input_example) == 5


def small_table(path: Path, rows: int = 400) -> Path:
    """Numbers, texts, dates and flags, some of them missing."""
    rng = np.random.default_rng(0)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["amount", "town", "since", "insured", "repaid"])
        for _ in range(rows):
            amount, town = round(float(rng.normal(100, 30)), 2), rng.choice(["Bonn", "Kiel", "Ulm", ""])
            day = f"20{rng.integers(10, 24)}-0{rng.integers(1, 10)}-1{rng.integers(0, 10)}"
            insured = rng.choice(["true", "false"])
            chance = 1 / (1 + np.exp(-(amount - 100) / 20 - (town == "Kiel")))
            empty = rng.random() < 0.1
            writer.writerow(["" if empty else amount, town, day, insured, "yes" if rng.random() < chance else "no"])
    return path


def until(condition, what, seconds=PATIENCE):
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.3)
    return found
