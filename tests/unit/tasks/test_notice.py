"""Notices: who waits is woken, from any thread, and a change is not missed."""

from __future__ import annotations

import asyncio
import threading

from rowcast.tables import now
from rowcast.tasks.notice import Notices
from rowcast.tasks.views import Task, TaskState


def task(state):
    return Task(
        id="t", kind="test", state=state, owner="ann", subject="", attempts=0, cancel_requested=False, created_at=now()
    )


def test_a_change_before_the_wait_is_not_missed():
    notices = Notices()
    seen = notices.seen("t")
    notices.announce(["t"])

    assert asyncio.run(notices.changed("t", seen, timeout=0))


def test_nothing_new_is_nothing():
    notices = Notices()
    notices.announce(["t"])
    seen = notices.seen("t")
    notices.announce(["another"])

    assert not asyncio.run(notices.changed("t", seen, timeout=0.01))


def test_a_thousand_coroutines_are_woken_by_another_thread():
    notices = Notices()

    async def wait():
        seen = notices.seen("t")
        waiting = [asyncio.ensure_future(notices.changed("t", seen, timeout=30)) for _ in range(1000)]
        await asyncio.sleep(0)
        threading.Thread(target=notices.announce, args=(["t"],)).start()
        return await asyncio.gather(*waiting)

    assert asyncio.run(wait()) == [True] * 1000
    notices.announce(["t"])


def test_following_shows_each_change_to_the_end():
    notices = Notices()
    states = [TaskState.QUEUED, TaskState.RUNNING, TaskState.RUNNING, TaskState.SUCCEEDED]

    async def follow():
        tasks = [task(state) for state in states]
        for later in tasks[1:]:
            later.created_at = tasks[0].created_at
        left = iter(tasks)

        async def fetch():
            asyncio.get_running_loop().call_later(0.01, notices.announce, ["t"])
            return next(left)

        return [each.state async for each in notices.follow("t", fetch, timeout=30)]

    assert asyncio.run(follow()) == [TaskState.QUEUED, TaskState.RUNNING, TaskState.SUCCEEDED]


def test_following_looks_for_changes_that_nobody_announced_and_ends_in_time():
    notices = Notices()
    looks = []

    async def follow():
        waiting = task(TaskState.QUEUED)

        async def fetch():
            looks.append(waiting)
            return waiting

        return [each async for each in notices.follow("t", fetch, timeout=0.1, look_every=0.02)]

    assert len(asyncio.run(follow())) == 1
    assert len(looks) > 1
