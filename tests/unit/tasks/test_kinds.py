"""The kinds of tasks, from the desk to their end, with the real jobs in real child processes."""

from __future__ import annotations

import hashlib
import sys
from functools import partial

import pytest

from rowcast.accounts.principal import Role
from rowcast.accounts.views import Sharing, Visibility
from rowcast.adapters.broker.local import LocalBroker
from rowcast.adapters.compute.local import LocalCompute
from rowcast.datasets import catalogue
from rowcast.datasets.schema import Feature, FeatureSchema
from rowcast.datasets.sharing import share
from rowcast.datasets.views import TableProfile
from rowcast.errors import Conflict, Forbidden, InvalidInput, NotFound
from rowcast.models.recipe import TrainingRequest
from rowcast.tasks.desk import Desk
from rowcast.tasks.handlers import Limits
from rowcast.tasks.imports import upload_key
from rowcast.tasks.kinds import handlers
from rowcast.tasks.runner import Runner
from rowcast.tasks.submission import dispatch
from rowcast.tasks.views import TaskState

LIMITS = {"max_columns": 100, "max_cell_bytes": 10_000}
TABLE = b"age,town,code,bought\n" + b"".join(
    b"%d,%s,%d,%s\n" % (20 + n % 50, b"Riga" if n % 3 else b"Oslo", n % 4, b"yes" if n % 2 else b"no")
    for n in range(200)
)


class House:
    """The desk, and a worker that is told when to work."""

    def __init__(self, database, storage, url):
        self.database = database
        self.storage = storage
        self.broker = LocalBroker()
        shared = {"database": database, "storage": storage, "broker": self.broker, "handlers": handlers()}
        self.desk = Desk(**shared, dispatch=partial(dispatch, database, self.broker))
        command = (sys.executable, "-c", "from rowcast.wiring import job; job()")
        compute = LocalCompute(url, command=command, threads=1)
        self.runner = Runner(compute=compute, limits=Limits(), worker="one", **shared)

    def upload(self, principal, data=TABLE, task_id="0" * 32, name="people", **details):
        self.storage.put(upload_key(task_id), data)
        content_hash = hashlib.sha256(data).hexdigest()
        details = {"filename": "people.csv", "limits": LIMITS, **details}
        return self.desk.submit_import(principal, task_id=task_id, name=name, content_hash=content_hash, **details)

    def work(self, lane="data"):
        held = self.runner.take(self.broker.consume(lane, timeout=0)[0].task_id)
        self.runner.carry_out(held, lambda: False)

    def after_work(self, principal, task):
        self.work()
        return self.desk.get(principal, task.id)

    def version(self, principal, name="people"):
        with self.database.reading() as session:
            return catalogue.version_view(session, principal, name)


@pytest.fixture
def house(database, storage, tmp_path):
    return House(database, storage, (tmp_path / "storage").as_uri())


@pytest.fixture
def people(house, ann):
    """A dataset of that name, on record and in the storage."""
    kinds = {"age": "number", "town": "category", "code": "number", "bought": "flag"}
    content_hash = hashlib.sha256(TABLE).hexdigest()
    schema = FeatureSchema(features=tuple(Feature(name=name, kind=kind) for name, kind in kinds.items()))
    for name in ("source", "table.parquet"):
        house.storage.put(f"datasets/{content_hash}/{name}", TABLE)
    with house.database.transaction() as session:
        catalogue.add_version(
            session,
            ann,
            "people",
            content_hash=content_hash,
            filename="people.csv",
            size_bytes=len(TABLE),
            row_count=200,
            schema=schema.model_dump(mode="json"),
            profile=TableProfile(row_count=200, columns=[]).model_dump(mode="json"),
        )


def test_an_upload_becomes_a_version_and_its_kinds_can_be_changed(house, ann):
    done = house.after_work(ann, house.upload(ann, kinds={"code": "category"}, description="People."))

    assert (done.state, done.error) == (TaskState.SUCCEEDED, None)
    assert done.result == {"dataset": "people", "version": 1, "created": True}
    version = house.version(ann)
    assert version.row_count == 200
    assert version.table_schema.feature("code").kind == "category"
    assert [key.rsplit("/")[-1] for key in house.storage.list("")] == ["preview.json", "source", "table.parquet"]

    again = house.after_work(ann, house.upload(ann, task_id="1" * 32))
    assert again.result == {"dataset": "people", "version": 1, "created": False}
    assert list(house.storage.list("uploads")) == []

    task = house.desk.submit_kinds(ann, dataset="people", kinds={"age": "text"}, limits=LIMITS)
    assert TableProfile.model_validate(house.after_work(ann, task).result).row_count == 200
    schema = house.version(ann).table_schema
    assert [schema.feature(name).kind for name in ("age", "code", "town")] == ["text", "category", "category"]

    profile = house.after_work(ann, house.desk.submit_profile(ann, dataset="people", target="bought"))
    assert profile.result["target"] == "bought"


def test_a_table_that_cannot_be_read_leaves_nothing_behind(house, ann):
    done = house.after_work(ann, house.upload(ann, b"\x00\x01\x02" * 1000))

    assert done.state is TaskState.FAILED
    assert done.error["kind"] == "invalid_input"
    assert list(house.storage.list("")) == []


def test_a_cancelled_upload_leaves_nothing_behind(house, ann, join):
    task = house.upload(ann)

    with pytest.raises(NotFound):
        house.desk.cancel(join("bob"), task.id)
    assert house.desk.cancel(ann, task.id).state is TaskState.CANCELLED
    assert house.desk.cancel(ann, task.id).state is TaskState.CANCELLED
    assert house.runner.take(task.id) is None
    assert list(house.storage.list("")) == []


def test_giving_an_import_up_keeps_what_another_version_uses(house, people, ann):
    task = house.upload(ann, task_id="1" * 32, name="again")

    house.desk.cancel(ann, task.id)

    assert len(list(house.storage.list("datasets"))) == 2
    assert list(house.storage.list("uploads")) == []


def test_what_is_wrong_with_an_upload_is_said_before_any_work(house, people, ann, join):
    for caller, details, error in (
        (ann, {"name": "no name"}, InvalidInput),
        (ann, {"kinds": {"age": "colour"}}, InvalidInput),
        (join("bob"), {}, Conflict),
        (join("eve", Role.USER), {}, Forbidden),
    ):
        with pytest.raises(error):
            house.upload(caller, task_id="1" * 32, **details)


def test_what_is_wrong_with_a_profile_is_said_before_any_work(house, people, ann, join):

    with pytest.raises(InvalidInput) as caught:
        house.desk.submit_profile(ann, dataset="people", target="Bought")
    assert "'bought'" in caught.value.problems[0].message
    with pytest.raises(NotFound):
        house.desk.submit_profile(ann, dataset="people", number=9)
    with pytest.raises(InvalidInput):
        house.desk.submit_kinds(ann, dataset="people", kinds={"height": "number"})
    with pytest.raises(NotFound):
        house.desk.submit_kinds(bob := join("bob"), dataset="people", kinds={"age": "number"})
    with house.database.transaction() as session:
        share(session, ann, "people", Sharing(visibility=Visibility.EVERYONE))
    with pytest.raises(Forbidden):
        house.desk.submit_kinds(bob, dataset="people", kinds={"age": "number"})


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"target": "Bought"}, "column_unknown"),
        ({"features": ["height"]}, "column_unknown"),
        ({"algorithms": ["oracle"]}, "algorithm_unknown"),
        ({"hyperparameters": {"lightgbm": {"trees": "many"}}, "algorithms": ["lightgbm"]}, "hyperparameter_invalid"),
        ({"dataset": "persons"}, "dataset_not_found"),
    ],
)
def test_what_is_wrong_with_a_training_is_said_before_any_work(house, people, ann, wrong, code):

    with pytest.raises((InvalidInput, NotFound)) as caught:
        house.desk.submit_training(ann, TrainingRequest(**{"dataset": "people", "target": "bought", **wrong}))
    assert caught.value.code == code


def test_a_training_keeps_to_the_version_that_was_the_newest(house, people, ann):
    task = house.desk.submit_training(ann, TrainingRequest(dataset="people", target="bought"))
    held = house.runner.take(task.id)

    assert (task.subject, held.lane) == ("people", "train")
    assert held.payload["request"]["dataset_version"] == held.payload["dataset_number"] == 1
    assert held.payload["content_hash"] == hashlib.sha256(TABLE).hexdigest()


def test_a_cancelled_training_leaves_no_bundle(house, people, ann):
    task = house.desk.submit_training(ann, TrainingRequest(dataset="people", target="bought"))
    house.storage.put(f"bundles/{task.id}/1/lightgbm/manifest.json", b"{}")

    house.desk.cancel(ann, task.id)

    assert list(house.storage.list("bundles")) == []


def test_work_on_a_dataset_that_is_deleted_meanwhile_says_so(house, ann, people):
    tasks = [
        house.desk.submit_training(ann, TrainingRequest(dataset="people", target="bought", algorithms=["baseline"])),
        house.desk.submit_profile(ann, dataset="people", target="bought"),
    ]
    house.storage.delete("datasets")

    for lane in ("train", "data"):
        house.work(lane)
    for task in tasks:
        done = house.desk.get(ann, task.id)
        assert (done.state, done.error["code"]) == (TaskState.FAILED, "dataset_deleted")
        assert "datasets/" not in done.error["message"]
