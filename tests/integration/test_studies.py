"""Searches for the best model on a real server: from the first trial to a version that serves, through a kill."""

from __future__ import annotations

import time

import pytest

from rowcast.errors import InvalidInput, RowcastError
from rowcast.models.tune.views import TuningResult
from rowcast.tasks.views import TaskState

ASKED = {"dataset": "loans", "target": "MIS_Status", "algorithms": ["linear"], "folds": 2}
ROWS = 600


@pytest.fixture(scope="module")
def server(server_class, example, tmp_path_factory):
    folder = tmp_path_factory.mktemp("studies")
    table = folder / "loans.csv"
    table.write_text("\n".join(example.read_text().splitlines()[: ROWS + 1]))
    running = server_class(folder / "data").start()
    with running.client() as client:
        client.datasets.add(table, name="loans")
    yield running
    running.stop()


@pytest.fixture(scope="module")
def study(server):
    """A search whose server was killed in the middle of it: the task, and the trials that were on record by then."""
    with server.client() as client:
        task = client.tune(**ASKED, trials=9, seed=3)
        while len(client.tasks.trials(task)) < 2:
            time.sleep(0.05)
        server.kill()
    server.start()
    with server.client() as client:
        before = client.tasks.trials(task)
        return client.tasks.wait(task), before


@pytest.fixture
def client(server, study):
    with server.client() as connected:
        yield connected


def test_a_killed_server_goes_on_from_the_last_finished_trial(client, study):
    task, before = study

    trials = client.tasks.trials(task)

    assert task.attempts == 2
    assert [trial.number for trial in trials] == list(range(9))
    assert [trial for trial in trials if trial.number in {one.number for one in before}] == before
    result = TuningResult.model_validate(task.result)
    assert result.study.trials == 9
    assert result.study.held_out_rows + result.study.searched_rows == result.row_count == ROWS
    assert {share.trial for share in result.study.chosen} <= set(range(9))
    best = max((trial for trial in trials if trial.state == "done"), key=lambda trial: trial.score)
    assert result.study.best_trial == best.number


def test_the_same_search_finds_the_same_without_a_kill(client, study):
    task, _ = study

    again = client.tune_and_wait(**ASKED, trials=9, seed=3, model="again")

    assert again.study == TuningResult.model_validate(task.result).study


def test_what_was_found_serves_and_can_be_trained_again(client, study):
    table, schema = client.datasets.preview("loans", limit=3), client.models.schema("loans")
    rows = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
    learned = [{name: row[name] for name in schema.names} for row in rows]
    assert len(client.predict("loans", learned).predictions) == 3

    task = client.wait(client.retrain("loans", 1))
    retrained = client.models.version("loans", client.result(task).best_version)
    version = client.models.version("loans", 1)

    assert retrained.algorithm == version.algorithm
    assert retrained.hyperparameters == version.hyperparameters
    assert retrained.recipe.algorithms == version.recipe.algorithms


def test_a_cancelled_search_registers_nothing(client):
    task = client.tune(**ASKED, trials=900, model="stopped")
    while not client.tasks.trials(task):
        time.sleep(0.05)

    client.tasks.cancel(task)

    assert client.tasks.wait(task, check=False).state is TaskState.CANCELLED
    assert client.tasks.trials(task)
    assert "stopped" not in [model.name for model in client.models.list()]


@pytest.mark.parametrize(
    ("wrong", "code"),
    [({"target": "nothing"}, "column_unknown"), ({"algorithms": ["oracle"]}, "algorithm_unknown")],
)
def test_what_is_wrong_is_said_before_any_work(client, wrong, code):
    with pytest.raises(InvalidInput) as caught:
        client.tune(**{**ASKED, **wrong})
    assert caught.value.code == code


def test_a_task_that_is_no_search_has_no_trials(client):
    profile = client.tasks.list(kind="import")[0]

    assert client.tasks.trials(profile) == []
    with pytest.raises(RowcastError, match="no such task"):
        client.tasks.trials("0" * 32)
