"""The product with a Ray cluster as its compute: what is asked, told and made is the same as on this machine alone."""

from __future__ import annotations

import pytest

from rowcast.client import Client

ASKED = {"dataset": "loans", "target": "MIS_Status", "algorithms": ["lightgbm"], "folds": 2}


@pytest.fixture(scope="module")
def small(example, tmp_path_factory):
    path = tmp_path_factory.mktemp("table") / "loans.csv"
    path.write_text("".join(example.read_text().splitlines(keepends=True)[:400]))
    return path


@pytest.fixture(scope="module")
def on_ray(server_class, ray_nodes, small, tmp_path_factory):
    """A server whose jobs run on the nodes."""
    settings = {"compute_url": "ray://auto", "threads": "1"}
    running = server_class(tmp_path_factory.mktemp("ray") / "data", **settings)
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("RAY_ADDRESS", ray_nodes.address)
        running.start()
    with running.client() as client:
        client.datasets.add(small, name="loans")
        yield client
    running.stop()


@pytest.fixture(scope="module")
def here(client, small):
    """The server whose jobs run beside it."""
    client.datasets.add(small, name="loans")
    return client


def test_a_training_gives_the_same_model_as_on_one_machine(on_ray: Client, here: Client):
    told, metrics = [], []
    for each in (on_ray, here):
        done = each.wait(each.train(**ASKED), told.append)
        metrics.append({metric.name: metric.folds for metric in each.result(done).candidates[0].metrics})

    assert metrics[0] == metrics[1]
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
