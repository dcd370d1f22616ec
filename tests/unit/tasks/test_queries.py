"""Looking at tasks: each their own, page by page, with the time that is left."""

from __future__ import annotations

from datetime import timedelta

import pytest

from rowcast.accounts.principal import Role
from rowcast.errors import InvalidInput, NotFound
from rowcast.tables import now
from rowcast.tasks import claims
from rowcast.tasks.queries import get_task, list_tasks
from rowcast.tasks.tables import TaskRow
from rowcast.tasks.views import TaskState


def alter(database, task_id, **values):
    with database.transaction() as session:
        task = session.get_one(TaskRow, task_id)
        for name, value in values.items():
            setattr(task, name, value)


def test_a_task_is_its_owners_and_the_administrators(database, join, ann, add_task):
    task_id = add_task()
    bob, admin = join("bob"), join("root", Role.ADMIN)

    with database.reading() as session:
        task = get_task(session, ann, task_id)
        assert (task.id, task.owner, task.state) == (task_id, "ann", TaskState.QUEUED)
        assert get_task(session, admin, task_id) == task
        for caller, wanted in ((bob, task_id), (ann, "no such task")):
            with pytest.raises(NotFound):
                get_task(session, caller, wanted)
        assert list_tasks(session, bob) == ([], None)


def test_pages_go_back_in_time_and_miss_nothing(database, ann, add_task):
    moment, ids = now(), [add_task() for _ in range(7)]
    for number, task_id in enumerate(ids):
        alter(database, task_id, created_at=moment + timedelta(seconds=number // 3))

    seen, after = [], None
    with database.reading() as session:
        while True:
            tasks, after = list_tasks(session, ann, limit=2, after=after)
            seen += tasks
            if after is None:
                break

    assert len(seen) == 7
    assert {task.id for task in seen} == set(ids)
    assert [task.created_at for task in seen] == sorted((task.created_at for task in seen), reverse=True)


def test_a_list_keeps_to_a_state_and_kind(database, ann, add_task):
    one, _, three = add_task(kind="train"), add_task(kind="train"), add_task(kind="import")
    for task_id in (one, three):
        alter(database, task_id, state="failed")

    with database.reading() as session:
        tasks, _ = list_tasks(session, ann, state=TaskState.FAILED, kind="train")
        assert [task.id for task in tasks] == [one]
        with pytest.raises(InvalidInput):
            list_tasks(session, ann, after="no cursor")


@pytest.mark.parametrize(
    ("progress", "left"),
    [
        ({"fraction": 0.25, "message": ""}, 30),
        ({"fraction": 0.001, "message": ""}, None),
        ({"fraction": 0, "message": ""}, None),
        ({"fraction": 1, "message": ""}, 0),
        ({"fraction": 0.25, "message": "", "eta_seconds": 7}, 7),
    ],
)
def test_the_time_left_is_in_proportion_unless_the_job_knows_better(database, ann, add_task, progress, left):
    task_id = add_task()
    alter(database, task_id, state="running", started_at=now() - timedelta(seconds=10), progress=progress)

    with database.reading() as session:
        eta = get_task(session, ann, task_id).progress.eta_seconds

    assert eta == (None if left is None else pytest.approx(left, abs=5))


def test_a_task_that_is_done_is_all_done(database, ann, add_task):
    task_id = add_task()
    alter(database, task_id, state="succeeded", progress={"fraction": 0.9, "message": "nearly"})

    with database.reading() as session:
        assert get_task(session, ann, task_id).progress.fraction == 1


def test_a_session_sees_what_a_claim_changed(database, ann, add_task):
    task_id = add_task()

    with database.transaction() as session:
        get_task(session, ann, task_id)
        claims.cancel(session, task_id)
        assert get_task(session, ann, task_id).state is TaskState.CANCELLED
