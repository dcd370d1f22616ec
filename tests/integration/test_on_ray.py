"""The product with a Ray cluster as its compute: what is asked, told and made is the same as on this machine alone."""

from __future__ import annotations

import os
import signal
import time

import pytest

from rowcast.client import Client

SPREAD = 10_000
"""Rows beyond which the nodes learn together."""

ASKED = {"dataset": "loans", "target": "MIS_Status", "algorithms": ["lightgbm"], "folds": 2}


@pytest.fixture(scope="module")
def small(example, tmp_path_factory):
    path = tmp_path_factory.mktemp("table") / "loans.csv"
    path.write_text("".join(example.read_text().splitlines(keepends=True)[:400]))
    return path


@pytest.fixture(scope="module")
def ray_server(server_class, ray_nodes, tmp_path_factory):
    """A server whose jobs run on the nodes."""
    settings = {"compute_url": "ray://auto", "threads": "1", "workers": "2", "spread_rows": str(SPREAD)}
    running = server_class(tmp_path_factory.mktemp("ray") / "data", **settings)
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("RAY_ADDRESS", ray_nodes.address)
        running.start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def on_ray(ray_server, small):
    with ray_server.client() as client:
        client.datasets.add(small, name="loans")
        yield client


@pytest.fixture(scope="module")
def here(client, small):
    """The server whose jobs run beside it."""
    client.datasets.add(small, name="loans")
    return client


@pytest.fixture(scope="module")
def trained(on_ray: Client, here: Client):
    """A model of both, with the folds' figures of each, and what was told of the training on the nodes."""
    told, metrics = [], []
    for each in (on_ray, here):
        done = each.wait(each.train(**ASKED, optional=["*"], promote=True), told.append)
        metrics.append({metric.name: metric.folds for metric in each.result(done).candidates[0].metrics})
    return told, metrics


def test_a_training_gives_the_same_model_as_on_one_machine(trained):
    told, metrics = trained

    assert metrics[0] == metrics[1]
    assert told


def test_it_is_told_which_fold_is_learned(on_ray: Client):
    long = {"lightgbm": {"n_estimators": 15_000, "early_stopping_rounds": 1000, "learning_rate": 0.001}}
    told = []
    on_ray.wait(on_ray.train(**ASKED, optional=["*"], hyperparameters=long), told.append)

    assert any("fold" in progress.message for progress in told)


def test_a_search_finds_the_same_as_on_one_machine(on_ray: Client, here: Client):
    asked = {"dataset": "loans", "target": "MIS_Status", "algorithms": ["linear"], "folds": 2, "trials": 3}
    tried, chosen = [], []
    for each in (on_ray, here):
        done = each.wait(each.tune(**asked))
        tried.append([(one.number, one.algorithm, one.state, one.fold_scores) for one in each.tasks.trials(done)])
        chosen.append(done.result["study"]["chosen"])

    assert len(tried[0]) == 3
    assert tried[0] == tried[1]
    assert chosen[0] == chosen[1]


@pytest.fixture(scope="module")
def large(example, tmp_path_factory):
    """400,000 loans: 68 MB, nine parts."""
    path = tmp_path_factory.mktemp("large") / "large.csv"
    header, rows = example.read_text().split("\n", 1)
    path.write_text(f"{header}\n{rows * 80}")
    return path


def test_all_nodes_help_with_a_large_file_and_one_may_be_lost(
    trained, on_ray: Client, here: Client, ray_server, ray_nodes, large, tmp_path
):
    made = here.files.predict("loans", large, tmp_path / "here.csv")

    task = on_ray.files.submit("loans", large)
    until((ray_server.data_dir / "storage" / "scored" / task.id / "parts" / "plan").exists)  # now others may help
    ray_nodes.kill()
    ray_nodes.add()
    done = on_ray.wait(task)
    on_ray.files.download(done, tmp_path / "ray.csv")

    assert (tmp_path / "ray.csv").read_bytes() == (tmp_path / "here.csv").read_bytes()
    assert on_ray.files.result(done).row_count == made.row_count == 400_000
    assert done.attempts == 1


@pytest.fixture(scope="module")
def many(on_ray: Client, example, tmp_path_factory):
    """The name of a dataset with some 15,000 loans."""
    path = tmp_path_factory.mktemp("many") / "many.csv"
    header, rows = example.read_text().split("\n", 1)
    path.write_text(f"{header}\n{rows * 3}")
    return on_ray.datasets.add(path, name="many").dataset


def test_nodes_learn_a_large_table_together_one_model_after_the_other_and_a_process_may_be_lost(
    on_ray: Client, ray_nodes, many
):
    grown = {"n_estimators": 250, "learning_rate": 0.01}
    asked = {"algorithms": ["xgboost"], "hyperparameters": {"xgboost": grown}, "optional": ["*"], "promote": True}
    two = [on_ray.train(dataset=many, target="MIS_Status", **asked) for _ in range(2)]
    until(lambda: "fit" in [stage(on_ray, task) for task in two])
    first, second = sorted(two, key=lambda task: stage(on_ray, task) != "fit")

    # Who finds no room for both processes says so, and has it when the other is cancelled.
    until(lambda: "waiting for free processors of the Ray cluster: 2" in message(on_ray, second))
    on_ray.tasks.cancel(first)
    until(lambda: on_ray.tasks.get(first).state == "cancelled")

    until(lambda: stage(on_ray, second) == "fit")
    lost, _ = ray_nodes.processes("RayTrainWorker")
    os.kill(lost, signal.SIGKILL)
    done = on_ray.wait(second)

    version = on_ray.models.version(many)
    shares, rows = version.evaluation["shares"], on_ray.result(done).row_count
    assert done.attempts == 1
    assert shares["processes"] == 2
    assert shares["rows"] == rows > 11_000
    assert (version.runtime, version.parity["passed"]) == ("onnx", True)
    assert "By 2 processes together" in version.card
    assert next(one.value for one in version.metrics if one.name == "roc_auc") > 0.8
    assert on_ray.predict(many, {"NoEmp": 3}, explain=2).predictions[0].explanation


def message(client, task):
    progress = client.tasks.get(task).progress
    return progress.message if progress else ""


def stage(client, task):
    progress = client.tasks.get(task).progress
    return progress and progress.stage


def until(condition):
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.02)
