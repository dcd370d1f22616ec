"""A server that mirrors in an MLflow server, and imports from it: everything is looked at by MLflow's own client."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

import httpx2
import numpy as np
import pytest
from services import PrivateMlflow
from services.processes import descendants
from tracked import Tracked, small_table, until

from rowcast.errors import RowcastError

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def tracked(tmp_path_factory, server_class):
    """A Rowcast, what ``rowcast mlflow`` opens on its folder, which it mirrors in, and clients of both."""
    folder = tmp_path_factory.mktemp("tracked")
    mlflow_server = PrivateMlflow(data_dir=folder / "data").start()
    server = server_class(
        folder / "data", tracking_url=mlflow_server.url, public_url="http://127.0.0.1:9", convert_pickles="true"
    ).start()
    table = small_table(folder / "loans.csv")
    with server.client() as client:
        client.datasets.add(table, name="loans")
        result = client.train_and_wait(
            dataset="loans", target="repaid", preset="fast", algorithms=["lightgbm", "linear"], folds=2, optional=["*"]
        )
        yield Tracked(mlflow_server, server, client, table, result)
    server.stop()
    mlflow_server.remove()


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
    until(lambda: tracked.aliases() == {"champion": 1}, "the alias")
    tracked.require_same_answers()


def test_an_analysts_day_as_in_the_example(tracked):
    environment = os.environ | {"ROWCAST_API_KEY": tracked.server.key, "ROWCAST_URL": tracked.server.url}
    program = [sys.executable, str(ROOT / "examples" / "mlflow_cycle.py"), tracked.mlflow_server.url]
    done = subprocess.run(program, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    said = dict(line.split(": ", 1) for line in done.stdout.splitlines() if not line.startswith(" ") and ": " in line)
    assert list(said) == ["train", "promote", "alias", "predict"]
    ours, theirs = said["predict"].removesuffix(" there").split(" here and ")
    assert ours == theirs


def test_aliases_and_deletions_follow(tracked):
    client = tracked.client
    client.models.set_alias("loans", "shadow", 2)
    client.models.promote("loans", 2)
    client.models.delete_version("loans", 1)
    until(lambda: tracked.versions() == [2] and tracked.aliases() == {"champion": 2, "shadow": 2}, "what changed")
    assert {run.data.tags.get("rowcast.version") for run in tracked.runs()} == {None, "2"}


def test_one_that_is_killed_while_it_mirrors_is_followed_by_one_that_makes_nothing_twice(tracked):
    """And a model whose name somebody else has registered gets another."""
    tracked.store.create_registered_model("late", description="another's")
    tracked.client.models.remove_alias("loans", "shadow")
    tracked.client.train_and_wait(
        dataset="loans", model="late", target="repaid", preset="fast", algorithms=["linear", "baseline"], folds=2
    )
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


def test_every_trial_of_a_search_is_a_run_under_that_of_the_search(tracked):
    task = tracked.client.wait(
        tracked.client.tune(dataset="loans", model="tuned", target="repaid", algorithms=["linear"], trials=3, folds=2)
    )
    until(lambda: tracked.versions("tuned") == [1], "a registered version")
    runs = tracked.runs("tuned")
    (search,) = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    (version,) = [run for run in runs if "rowcast.version" in run.data.tags]
    children = {run.data.tags["rowcast.trial"]: run for run in runs if "rowcast.trial" in run.data.tags}
    assert len(runs) == 5
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert {run.data.tags["mlflow.parentRunId"] for run in (version, *children.values())} == {search.info.run_id}
    study = task.result["study"]
    assert search.data.metrics["held_out_roc_auc"] == pytest.approx(study["estimate"][0]["value"])
    for trial in tracked.client.tasks.trials(task):
        run = children[str(trial.number)]
        assert run.data.metrics["roc_auc"] == pytest.approx(trial.score)
        assert run.data.params["algorithm"] == "linear"
        assert set(trial.hyperparameters) <= set(run.data.params)


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


def test_a_pickled_model_becomes_a_version_when_an_administrator_says_so(tracked):
    import mlflow.sklearn
    import pandas as pd
    from mlflow.models import infer_signature
    from sklearn.linear_model import Ridge

    frame = pd.DataFrame(np.random.default_rng(2).normal(10, 3, (100, 2)), columns=["a", "b"])
    model = Ridge().fit(frame, frame["a"] - frame["b"])
    with warnings.catch_warnings(), tracked.mlflow.start_run(experiment_id="0"):
        warnings.simplefilter("ignore")
        mlflow.sklearn.log_model(
            model, name="model", registered_model_name="pickled", input_example=frame.head(5),
            serialization_format="cloudpickle", signature=infer_signature(frame, frame["a"].to_numpy()),
            pip_requirements=["numpy"],
        )  # fmt: skip
    tracked.client.import_model_and_wait("pickled", pickled=True)
    answers = tracked.client.predict("pickled", frame.head(20).to_dict("records")).predictions
    assert np.abs([answer.value for answer in answers] - model.predict(frame.head(20))).max() <= 1e-5


def test_rowcast_opens_mlflows_pages(tracked):
    with httpx2.Client(base_url=tracked.mlflow_server.url) as http:
        assert "<title>MLflow</title>" in http.get("/").text
        found = http.post("/api/2.0/mlflow/experiments/search", json={"max_results": 10}).json()
    assert "rowcast/loans" in {experiment["name"] for experiment in found["experiments"]}
    assert (tracked.server.data_dir / "mlflow" / "mlflow.db").exists()


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
