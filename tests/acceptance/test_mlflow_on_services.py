"""Rowcast and MLflow as they are installed for many: both on PostgreSQL, both with their files on S3."""

from __future__ import annotations

import io
import os

import pytest
from services import PrivateMlflow, missing_mlflow_s3
from services.s3 import ACCESS_KEY, SECRET_KEY
from tracked import Tracked, small_table, until

from rowcast.errors import RowcastError
from rowcast.wiring import open_storage

LEARN = {"target": "repaid", "preset": "fast", "folds": 2, "optional": ["*"]}


@pytest.fixture(scope="module")
def artifacts(s3_server):
    return s3_server.new_url()


@pytest.fixture(scope="module")
def databases(postgres_server):
    urls = [postgres_server.create_database() for _ in range(2)]
    yield urls
    for url in urls:
        postgres_server.drop_database(url)


@pytest.fixture(scope="module")
def mlflow_server(databases, artifacts, s3_server):
    if missing := missing_mlflow_s3():
        assert "CI" not in os.environ, missing
        pytest.skip(missing)
    keys = {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY, "AWS_DEFAULT_REGION": "us-east-1"}
    running = PrivateMlflow(
        database=databases[0].replace("postgresql:", "postgresql+psycopg:"),
        artifacts=artifacts,
        environment={**keys, "MLFLOW_S3_ENDPOINT_URL": s3_server.endpoint},
    )
    yield running.start()
    running.remove()


@pytest.fixture(scope="module")
def server(mlflow_server, databases, s3_server, server_class, tmp_path_factory):
    settings = {**s3_server.settings(), "database_url": databases[1], "tracking_url": mlflow_server.url}
    running = server_class(tmp_path_factory.mktemp("on-services") / "data", **settings).start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def tracked(mlflow_server, server, tmp_path_factory):
    """Killed while the run of a training is being made, and begun again when a second training has ended, one has
    failed, one was cancelled and an alias was set."""
    table = small_table(tmp_path_factory.mktemp("table") / "loans.csv")
    with server.client() as client:
        client.datasets.add(table, name="loans")
        client.datasets.add(io.BytesIO(b"amount,same\n" + b"1,2\n3,2\n" * 60), name="same", filename="same.csv")
        result = client.train_and_wait(dataset="loans", algorithms=["lightgbm"], **LEARN)
        both = Tracked(mlflow_server, server, client, table, result)
        until(both.runs, "a run that was begun")
        mlflow_server.kill()
        client.train_and_wait(dataset="loans", model="late", algorithms=["linear"], **LEARN)
        with pytest.raises(RowcastError) as caught:
            client.train_and_wait(dataset="same", model="late", target="same", preset="fast", algorithms=["linear"])
        cancelled = client.train(dataset="loans", model="late", **{**LEARN, "preset": "best"})
        client.tasks.cancel(cancelled.id)
        client.models.set_alias("loans", "shadow", 1)
        mlflow_server.start()
        until(lambda: both.versions("late") == [1] and len(both.ended("late")) == 2, "what was missed")
        until(lambda: both.aliases() == {"champion": 1, "shadow": 1}, "the alias")
        both.failure = caught.value.code
        yield both


def test_every_training_is_there_once_and_whole(tracked):
    assert (tracked.versions(), tracked.versions("late")) == ([1], [1])
    (run,) = tracked.runs()
    assert (run.info.status, run.data.tags["rowcast.version"]) == ("FINISHED", "1")
    for metric in tracked.client.models.version("loans", 1).metrics:
        assert run.data.metrics[metric.name] == pytest.approx(metric.value)
    assert sorted(run.info.status for run in tracked.runs("late")) == ["FAILED", "FINISHED", "KILLED"]


def test_trainings_that_failed_or_were_cancelled_are_runs_too(tracked):
    assert tracked.ended("late") == [("FAILED", tracked.failure), ("KILLED", None)]
    (failed,) = [run for run in tracked.runs("late") if run.info.status == "FAILED"]
    assert failed.data.params == {"target": "same", "preset": "fast", "algorithms": '["linear"]'}
    assert failed.data.tags["rowcast.dataset"] == "same@1"


def test_mlflow_loads_the_champion_from_s3_and_it_predicts_the_same(tracked, artifacts, s3_server):
    kept = list(open_storage(artifacts, s3_server.options()).list(""))
    assert {key.rpartition("/")[2] for key in kept} >= {"MLmodel", "manifest.json", "evaluation.json", "roc.png"}
    tracked.require_same_answers()


def test_nothing_dangles(tracked):
    found = tracked.client.storage.check()
    assert (found.useless, found.missing) == ([], [])
