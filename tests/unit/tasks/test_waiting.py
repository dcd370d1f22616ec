"""Waiting for tasks: what a caller may see, how long they wait, and what wakes them."""

from __future__ import annotations

import asyncio
import threading

import pytest

from rowcast.accounts.principal import Role
from rowcast.entrypoints.rest.outcome import preferred_wait, wishes
from rowcast.errors import InvalidInput, NotFound
from rowcast.grouping import Grouping, Wording
from rowcast.tasks import claims
from rowcast.tasks.lookups import Lookups
from rowcast.tasks.notice import Notices
from rowcast.tasks.tables import TaskRow


@pytest.fixture
def lookups(database):
    lookups = Lookups(database.reader())
    lookups.start()
    yield lookups
    lookups.close()


def test_many_look_at_once_and_each_sees_what_is_theirs(lookups, add_task, join, ann):
    ben, root = join("ben"), join("root", Role.ADMIN)
    mine, his = add_task(), add_task(owner=ben)

    async def look():
        asked = [(ann, mine), (ann, his), (ben, his), (root, mine), (ann, "0" * 32)]
        return await asyncio.gather(*(lookups.get(*one) for one in asked), return_exceptions=True)

    found = asyncio.run(look())

    assert [getattr(one, "id", type(one)) for one in found] == [mine, NotFound, his, mine, NotFound]
    assert found[0].owner == "ann"


def test_who_waits_is_woken_by_a_word_and_finds_the_end_without_one(database, lookups, add_task, ann):
    told, untold = add_task(), add_task()
    notices = Notices()

    async def wait(task_id):
        task = await lookups.get(ann, task_id)
        return await notices.ended(task, 0, lambda: lookups.get(ann, task_id), timeout=30, look_every=0.2)

    async def both():
        waiting = asyncio.gather(wait(told), wait(untold))
        await asyncio.sleep(0.1)
        with database.transaction() as session:
            for task_id in (told, untold):
                claims.cancel(session, task_id)
        notices.announce([told])
        return await waiting

    assert [task.state for task in asyncio.run(both())] == ["cancelled", "cancelled"]


def test_who_has_waited_long_enough_gets_the_task_as_it_is(lookups, add_task, ann):
    notices, task_id = Notices(), add_task()

    async def wait():
        task = await lookups.get(ann, task_id)
        return await notices.ended(task, 0, lambda: lookups.get(ann, task_id), timeout=0.05)

    assert asyncio.run(wait()).state == "queued"


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("wait=20", 20),
        ("respond-async, WAIT = 5", 5),
        ('wait="7"; strict, return=minimal', 7),
        ("wait=100000", 60),
        ("wait=0", 0),
        ("", None),
        ("wait", None),
        ("wait=soon", None),
        ("await=5", None),
        ("wait=-5", None),
    ],
)
def test_a_preference_is_read_or_ignored(header, seconds):
    assert preferred_wait(header) == seconds


def test_headers_of_a_call_past_the_framework_are_read_as_it_would():
    assert wishes([(b"idempotency-key", b"mine"), (b"prefer", b"wait=3")]) == ("mine", 3)
    assert wishes([]) == (None, None)
    with pytest.raises(InvalidInput):
        wishes([(b"idempotency-key", "ü".encode())])


def test_one_request_that_cannot_be_handled_takes_no_other_with_it():
    def handle(take):
        numbers = take()
        if 3 in numbers:
            raise ZeroDivisionError
        return [number * 2 for number in numbers]

    grouping = Grouping("test", handle, Wording(("full", "Full."), ("fault", "Ours.")))
    grouping.start()

    async def all_at_once():
        return await asyncio.gather(*map(grouping.ask, range(5)), return_exceptions=True)

    outcomes = asyncio.run(all_at_once())
    grouping.close()

    assert outcomes[:3] + outcomes[4:] == [0, 2, 4, 8]
    assert (type(outcomes[3]).__name__, outcomes[3].code) == ("Internal", "fault")


def test_nothing_is_done_for_who_gave_up_before_it_began():
    begun, go_on, seen = threading.Event(), threading.Event(), []

    def handle(take):
        begun.set()
        go_on.wait()
        seen.extend(take())
        return [None] * len(take())

    grouping = Grouping("test", handle, Wording(("full", "Full."), ("fault", "Ours.")))
    grouping.start()

    async def one_gives_up():
        patient, hasty = asyncio.ensure_future(grouping.ask("patient")), asyncio.ensure_future(grouping.ask("hasty"))
        await asyncio.to_thread(begun.wait)
        hasty.cancel()
        await asyncio.wait([hasty])
        go_on.set()
        await patient

    asyncio.run(one_gives_up())
    grouping.close()

    assert seen == ["patient"]


def test_a_task_that_waits_for_another_attempt_says_why(database, lookups, add_task, ann):
    task_id = add_task()
    with database.transaction() as session:
        row = session.get_one(TaskRow, task_id)
        row.error = {"code": "away", "message": "Away."}

    task = asyncio.run(lookups.get(ann, task_id))

    assert (task.error, task.last_error["code"]) == (None, "away")
