"""A server that mirrors in an MLflow server, and imports from it: everything is looked at by MLflow's own client."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
from services import PrivateMlflow
from services.processes import descendants

from rowcast.errors import RowcastError

PATIENCE = 90


@pytest.fixture(scope="module")
def tracked(tmp_path_factory, server_class):
    """An MLflow, a Rowcast that mirrors in it, and clients of both."""
    mlflow_server = PrivateMlflow().start()
    folder = tmp_path_factory.mktemp("tracked")
    server = server_class(folder / "data", tracking_url=mlflow_server.url, public_url="http://127.0.0.1:9").start()
    table = small_table(folder / "loans.csv")
    with server.client() as client:
        client.datasets.add(table, name="loans")
        result = client.train_and_wait(
            dataset="loans", target="repaid", preset="fast", algorithms=["lightgbm", "linear"], folds=2, optional=["*"]
        )
        yield Tracked(mlflow_server, server, client, table, result)
    server.stop()
    mlflow_server.remove()


class Tracked:
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

    def aliases(self, model="loans"):
        found = self.store.search_registered_models(f"name='{model}'")
        return {name: int(number) for name, number in found[0].aliases.items()} if found else None

    def versions(self, model="loans"):
        found = self.store.search_model_versions(f"name='{model}'")
        return sorted(int(one.version) for one in found)


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


def test_every_version_is_a_run_with_all_that_is_known_of_it(tracked):
    until(lambda: tracked.versions() == [1, 2], "two registered versions")
    runs = {run.data.tags.get("rowcast.version"): run for run in tracked.runs()}
    assert set(runs) == {None, "1", "2"}
    detail = tracked.client.models.version("loans", 1)
    run = runs["1"]
    assert run.info.status == "FINISHED"
    assert run.data.tags["mlflow.parentRunId"] == runs[None].info.run_id
    assert run.data.tags["rowcast.url"] == "http://127.0.0.1:9/api/v1/models/loans/versions/1"
    assert run.data.params["algorithm"] == detail.algorithm
    for metric in detail.metrics:
        assert run.data.metrics[metric.name] == pytest.approx(metric.value)
        folds = tracked.store.get_metric_history(run.info.run_id, f"{metric.name}_fold")
        assert [fold.value for fold in sorted(folds, key=lambda one: one.step)] == pytest.approx(metric.folds)
    (used,) = run.inputs.dataset_inputs
    assert json.loads(used.dataset.source)["version"] == 1
    kept = {found.path for found in tracked.store.list_artifacts(run.info.run_id)}
    assert kept == {"evaluation.json", "model", "model_card.md", "plots"}
    plots = {found.path for found in tracked.store.list_artifacts(run.info.run_id, "plots")}
    assert {"plots/roc.png", "plots/importance.png", "plots/calibration.png"} <= plots
    bundle = tracked.store.list_artifacts(run.info.run_id, "model/artifacts/bundle")
    assert "model/artifacts/bundle/manifest.json" in {found.path for found in bundle}


def test_the_champion_loads_and_predicts_the_same(tracked):
    import pandas as pd

    until(lambda: tracked.aliases() == {"champion": 1}, "the alias")
    model = tracked.mlflow.pyfunc.load_model("models:/loans@champion")
    frame = pd.read_csv(tracked.table, dtype={"town": str}, keep_default_na=True).drop(columns="repaid").head(60)
    frame["insured"] = frame["insured"].astype(bool)
    found = model.predict(frame)
    rows = json.loads(frame.to_json(orient="records"))
    answers = tracked.client.predict("loans", rows).predictions
    assert list(found["prediction"]) == [answer.value for answer in answers]
    for label in ("yes", "no"):
        served = [answer.probabilities[label] for answer in answers]
        assert np.abs(found[f"probability_{label}"] - served).max() <= 1e-6
    assert [column.name for column in model.metadata.signature.inputs.inputs] == list(frame.columns)
    assert len(model.input_example) == 5


def test_aliases_and_deletions_follow(tracked):
    client = tracked.client
    client.models.set_alias("loans", "shadow", 2)
    client.models.promote("loans", 2)
    client.models.delete_version("loans", 1)
    until(lambda: tracked.versions() == [2] and tracked.aliases() == {"champion": 2, "shadow": 2}, "what changed")
    assert {run.data.tags.get("rowcast.version") for run in tracked.runs()} == {None, "2"}


def test_a_mirror_that_was_behind_catches_up_without_doubles(tracked):
    """MLflow is away while a training ends, whoever mirrors it afterwards is killed, and the model's name is taken by a
    model that somebody else registered."""
    tracked.store.create_registered_model("late", description="another's")
    tracked.mlflow_server.kill()
    try:
        tracked.client.models.remove_alias("loans", "shadow")
        tracked.client.train_and_wait(
            dataset="loans", model="late", target="repaid", preset="fast", algorithms=["linear", "baseline"], folds=2
        )
    finally:
        tracked.mlflow_server.start()
    until(lambda: tracked.runs("late"), "a first run")
    for pid in descendants(tracked.server.process.pid):
        if b"wiring import job" in Path(f"/proc/{pid}/cmdline").read_bytes():
            os.kill(pid, 9)
    (name,) = until(lambda: [m.name for m in tracked.store.search_registered_models() if "late-" in m.name], "a model")
    until(lambda: tracked.versions(name) == [1, 2] and tracked.aliases(name) == {"champion": 1}, "all of it")
    runs = tracked.runs("late")
    assert sorted(run.data.tags.get("rowcast.version", "") for run in runs) == ["", "1", "2"]
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert (tracked.versions("late"), tracked.aliases()) == ([], {"champion": 2})
    tracked.client.models.delete("late")
    until(lambda: tracked.aliases(name) is None and not tracked.runs("late"), "a model that went")
    assert tracked.aliases("late") == {}


def test_a_model_of_mlflow_becomes_a_version_that_predicts_the_same(tracked):
    import lightgbm
    import mlflow.lightgbm
    import pandas as pd
    from mlflow.models import infer_signature

    frame = pd.DataFrame(np.random.default_rng(1).normal(10, 3, (300, 4)), columns=["a", "b b", "c", "d"])
    booster = lightgbm.train({"objective": "regression", "verbosity": -1}, lightgbm.Dataset(frame, frame["a"]), 20)
    with warnings.catch_warnings(), tracked.mlflow.start_run(experiment_id="0"):
        warnings.simplefilter("ignore")
        mlflow.lightgbm.log_model(
            booster, name="model", registered_model_name="priced", input_example=frame.head(5),
            signature=infer_signature(frame, frame["a"].to_numpy()), pip_requirements=["numpy"],
        )  # fmt: skip
    result = tracked.client.import_model_and_wait("priced/1", model="prices")
    assert (result.model, result.best_version, result.promoted) == ("prices", 1, True)
    rows = frame.head(50).to_dict("records")
    answers = tracked.client.predict("prices", rows, explain=2).predictions
    assert np.abs([answer.value for answer in answers] - booster.predict(frame.head(50))).max() <= 1e-5
    shown = tracked.client.models.version("prices", 1)
    assert (shown.metrics, shown.dataset, shown.evaluation) == ([], "mlflow:priced", {})
    with pytest.raises(RowcastError) as caught:
        tracked.client.retrain("prices", 1)
    assert caught.value.code == "version_imported"


def test_the_server_imports_nothing_of_mlflow(tmp_path):
    program = (
        "import sys; from contextlib import ExitStack; from pathlib import Path\n"
        "from rowcast.settings import Settings; from rowcast.wiring import assemble\n"
        "with ExitStack() as stack:\n"
        "    _, worker, _ = assemble(Settings(data_dir=Path(sys.argv[1])), stack)\n"
        "    worker.start(); worker.stop()\n"
        "assert not {'mlflow', 'pandas', 'matplotlib'} & sys.modules.keys()\n"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path / "data")], check=True, timeout=60)
