"""Recovery: silent workers, lost messages, the start after a crash."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from sqlalchemy import select

from rowcast.adapters.broker.local import LocalBroker
from rowcast.datasets import catalogue
from rowcast.models.tables import ModelRow, ModelVersionRow
from rowcast.tables import now
from rowcast.tasks import claims
from rowcast.tasks.imports import submit_import
from rowcast.tasks.leftovers import Leftovers, remove_leftovers
from rowcast.tasks.recovery import release_all, sweep
from rowcast.tasks.retention import delete_old_tasks
from rowcast.tasks.submission import dispatch
from rowcast.tasks.tables import TaskRow


def look(database):
    return sweep(database, max_attempts=2, redispatch_seconds=60)


def take(database, task_id, lease_seconds=30):
    with database.transaction() as session:
        return claims.claim(session, task_id, worker="one", lease_seconds=lease_seconds)


def row(database, task_id):
    with database.reading() as session:
        return session.get_one(TaskRow, task_id)


def alter(database, task_id, **values):
    with database.transaction() as session:
        task = session.get_one(TaskRow, task_id)
        for name, value in values.items():
            setattr(task, name, value)


def test_a_task_that_no_worker_was_told_of_is_due_until_it_was(database, add_task):
    task_id, broker = add_task(lane="train"), LocalBroker()

    assert look(database).due == [("train", task_id)]
    dispatch(database, broker, look(database).due)

    assert look(database).due == []
    assert [each.task_id for each in broker.consume("train", 0)] == [task_id]


def test_a_broker_that_is_away_loses_nothing(database, add_task):
    task_id, broker = add_task(), LocalBroker()
    broker.close()

    dispatch(database, broker, [("data", task_id)])

    assert look(database).due == [("data", task_id)]


def test_a_message_without_effect_is_sent_again(database, add_task):
    task_id = add_task()
    alter(database, task_id, dispatched_at=now() - timedelta(seconds=61))

    assert look(database).due == [("data", task_id)]


def test_a_retry_is_due_in_its_time(database, add_task):
    task_id = add_task()
    alter(database, task_id, due_at=now() + timedelta(seconds=60))
    assert look(database).due == []

    alter(database, task_id, due_at=now() - timedelta(seconds=1))
    assert look(database).due == [("data", task_id)]


def test_a_silent_worker_loses_its_task(database, add_task):
    held = take(database, add_task(), lease_seconds=-1)

    found = look(database)

    assert found.due == [("data", held.id)]
    assert found.ended == []
    assert row(database, held.id).attempts == 1
    assert take(database, held.id).attempt == 2


def test_a_worker_with_a_lease_keeps_its_task(database, add_task):
    held = take(database, add_task())

    assert look(database).due == []
    assert row(database, held.id).state == "running"


def test_a_task_that_kills_its_worker_every_time_fails(database, add_task):
    task_id = add_task(name="loans")
    take(database, task_id, lease_seconds=-1)
    look(database)
    take(database, task_id, lease_seconds=-1)

    found = look(database)

    assert found.due == []
    assert [(task.id, task.payload) for task in found.ended] == [(task_id, {"name": "loans"})]
    stored = row(database, task_id)
    assert (stored.state, stored.error["code"]) == ("failed", "task_lost")
    assert stored.finished_at is not None


def test_a_cancelled_task_of_a_silent_worker_is_cancelled(database, add_task):
    held = take(database, add_task(), lease_seconds=-1)
    with database.transaction() as session:
        claims.cancel(session, held.id)

    assert [task.id for task in look(database).ended] == [held.id]
    assert row(database, held.id).state == "cancelled"


def test_at_the_only_processs_start_everything_is_released(database, add_task):
    running, told, worn, done = add_task(), add_task(), add_task(), add_task()
    with database.transaction() as session:
        claims.succeed(session, take_in(session, done))
    take(database, running)
    take(database, worn)
    alter(database, worn, attempts=2)
    alter(database, told, dispatched_at=now())

    with database.transaction() as session:
        ended = release_all(session, max_attempts=2)

    assert [task.id for task in ended] == [worn]
    assert {task_id for _, task_id in look(database).due} == {running, told}
    assert row(database, running).attempts == 1
    assert row(database, done).state == "succeeded"


def take_in(session, task_id):
    return claims.claim(session, task_id, worker="one", lease_seconds=30)


@pytest.mark.parametrize(
    ("state", "upload", "bundle"),
    [
        ("queued", True, True),
        ("running", True, True),
        ("succeeded", False, False),
        ("failed", False, False),
        ("cancelled", False, False),
    ],
)
def test_leftovers_of_killed_processes_are_removed(database, storage, add_task, state, upload, bundle):
    task_id = add_task()
    alter(database, task_id, state=state)
    storage.put(f"uploads/{task_id}", b"table")
    storage.put(f"bundles/{task_id}/1/lightgbm/manifest.json", b"{}")
    storage.put(f"searches/{task_id}/0.npz", b"scores")

    remove_leftovers(database, storage)

    assert storage.exists(f"uploads/{task_id}") is upload
    assert storage.exists(f"searches/{task_id}/0.npz") is bundle
    assert storage.exists(f"bundles/{task_id}/1/lightgbm/manifest.json") is bundle


def test_leftovers_that_belong_to_no_task(database, storage, ann):
    storage.put("uploads/unknown", b"table")
    storage.put("bundles/unknown/manifest.json", b"{}")

    remove_leftovers(database, storage)

    assert list(storage.list("")) == ["bundles/unknown/manifest.json", "owner"]


def test_bundles_of_versions_stay_and_those_of_deleted_versions_go(database, storage, add_task, ann):
    task_id = add_task()
    alter(database, task_id, state="succeeded")
    for bundle in ("1/linear", "2/linear", "2/lightgbm"):  # an attempt that died, a version, a deleted version
        storage.put(f"bundles/{task_id}/{bundle}/manifest.json", b"{}")
    add_version(database, ann, task_id, f"bundles/{task_id}/2/linear")

    remove_leftovers(database, storage)

    assert list(storage.list("bundles")) == [f"bundles/{task_id}/2/linear/manifest.json"]


def test_tables_of_deleted_datasets_go_unless_an_import_needs_them(database, storage, add_task):
    add_task(kind="import", content_hash="needed")
    for content_hash in ("needed", "deleted"):
        storage.put(f"datasets/{content_hash}/source", b"table")

    remove_leftovers(database, storage)

    assert list(storage.list("datasets")) == ["datasets/needed/source"]


@pytest.mark.parametrize(("days", "there"), [(0, False), (1, True)])
def test_an_upload_may_be_waiting_for_its_task_while_servers_are_at_work(database, storage, ann, days, there):
    storage.put("uploads/unknown", b"table")
    leftovers = Leftovers(storage)

    for _ in range(2):
        leftovers.remove(database, days=days, stopping=threading.Event())

    assert storage.exists("uploads/unknown") is there


def test_what_servers_leave_behind_goes_while_they_are_at_work(database, storage, add_task, ann):
    ended, running = add_task(), add_task()
    alter(database, ended, state="failed")
    alter(database, running, state="running")
    for task_id in (ended, running):
        storage.put(f"uploads/{task_id}", b"table")
        storage.put(f"bundles/{task_id}/1/linear/manifest.json", b"{}")
        storage.put(f"scored/{task_id}/parts/1", b"")
    storage.put("datasets/unknown/source", b"table")

    assert Leftovers(storage).remove(database, days=1, stopping=threading.Event()) == 4

    assert [key for key in storage.list("") if running not in key] == ["owner"]
    assert len([key for key in storage.list("") if running in key]) == 3


def test_a_table_that_comes_in_meanwhile_stays(database, storage, ann):
    """Imports and sweeps of several servers at the same time."""
    stopping = threading.Event()

    def sweep_on():
        while not stopping.is_set():
            Leftovers(storage).remove(database, days=1, stopping=stopping)

    sweepers = [threading.Thread(target=sweep_on) for _ in range(2)]
    for thread in sweepers:
        thread.start()
    try:
        for number in range(20):
            content_hash, task_id = f"hash{number}", f"{number:032}"
            storage.put(f"uploads/{task_id}", b"table")
            with database.transaction() as session:
                details = {"filename": "t.csv", "content_hash": content_hash}
                submit_import(session, ann, task_id=task_id, name="loans", **details)
            storage.put(f"datasets/{content_hash}/table.parquet", b"rows")
            assert storage.exists(f"uploads/{task_id}")
            with database.transaction() as session:
                shape = {"size_bytes": 1, "row_count": 1, "schema": {"features": []}, "profile": {}}
                catalogue.add_version(session, ann, "loans", **details, **shape)
                task = session.get(TaskRow, task_id)
                task.state, task.finished_at = "succeeded", now()
            assert storage.exists(f"datasets/{content_hash}/table.parquet")
    finally:
        stopping.set()
        for thread in sweepers:
            thread.join()
    Leftovers(storage).remove(database, days=1, stopping=threading.Event())
    assert len(list(storage.list("datasets"))) == 20


def add_version(database, owner, task_id, bundle_key):
    told = {name: {} for name in ("metrics", "recipe", "manifest", "schema", "evaluation")}
    told |= dict.fromkeys(("algorithm", "problem", "target", "dataset", "dataset_version_id", "card"), "x")
    with database.transaction() as session:
        model = ModelRow(name="loans", owner_id=owner.id)
        session.add(model)
        session.flush()
        session.add(
            ModelVersionRow(
                model_id=model.id,
                number=1,
                training_task_id=task_id,
                dataset_number=1,
                bundle_key=bundle_key,
                bundle_hash="x",
                created_by=owner.id,
                **told,
            )
        )


def test_tasks_that_ended_long_ago_are_deleted_and_no_others(database, add_task):
    old, recent, waiting = add_task(), add_task(), add_task()
    long_ago = now() - timedelta(days=100)
    with database.transaction() as session:
        for task_id, finished_at in ((old, long_ago), (recent, now()), (waiting, None)):
            row = session.get_one(TaskRow, task_id)
            row.created_at, row.finished_at = long_ago, finished_at

    assert delete_old_tasks(database, days=90) == 1

    with database.reading() as session:
        assert set(session.scalars(select(TaskRow.id))) == {recent, waiting}
