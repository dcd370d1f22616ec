"""How the queue is doing: lanes from the rows, dead letters from the broker."""

from __future__ import annotations

from datetime import timedelta

import pytest

from rowcast.adapters.broker.local import LocalBroker
from rowcast.errors import NotFound
from rowcast.tables import now
from rowcast.tasks import claims, figures
from rowcast.tasks.tables import TaskRow


def alter(database, task_id, **values):
    with database.transaction() as session:
        task = session.get_one(TaskRow, task_id)
        for name, value in values.items():
            setattr(task, name, value)


def take(database, task_id, lease_seconds=30):
    with database.transaction() as session:
        return claims.claim(session, task_id, worker="one", lease_seconds=lease_seconds)


def test_nothing_to_do(database):
    found = figures.figures(database, LocalBroker())

    assert (found.lanes, found.messages, found.dead) == ([], {}, [])


def test_what_waits_and_what_runs_by_lane(database, add_task):
    old, again, running, silent, done = (add_task() for _ in range(5))
    add_task(lane="train")
    alter(database, old, created_at=now() - timedelta(hours=1))
    alter(database, again, attempts=1, due_at=now() + timedelta(minutes=1))
    alter(database, running, attempts=1)
    take(database, running)
    take(database, silent, lease_seconds=-60)
    with database.transaction() as session:
        claims.succeed(session, claims.claim(session, done, worker="one", lease_seconds=30))

    data, train = figures.figures(database, LocalBroker()).lanes

    assert (data.lane, data.queued, data.delayed, data.running, data.retried) == ("data", 2, 1, 2, 2)
    assert 3600 <= data.oldest_seconds < 3700
    assert -120 < data.lease_seconds <= -60
    assert (train.lane, train.queued, train.running, train.lease_seconds) == ("train", 1, 0, None)


def test_dead_letters_are_shown_and_revived(database):
    broker = LocalBroker()
    broker.publish("data", ["one"])
    (delivery,) = broker.consume("data", timeout=0)
    delivery.refuse("task_unknown")

    (dead,) = figures.figures(database, broker).dead
    assert (dead.id, dead.lane, dead.reason) == ("one", "data", "task_unknown")

    figures.revive(broker, "one")
    assert figures.figures(database, broker).messages == {"data": 1}
    with pytest.raises(NotFound):
        figures.revive(broker, "one")


class Away(LocalBroker):
    """A broker that does not answer."""

    def dead(self, limit):
        self.close()
        self._require_open()


def test_a_broker_that_is_away_leaves_what_the_rows_say(database, add_task):
    add_task()

    found = figures.figures(database, Away())

    assert [lane.queued for lane in found.lanes] == [1]
    assert (found.messages, found.dead) == (None, None)
