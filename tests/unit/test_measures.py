"""What a process counts, and how it is shown."""

from __future__ import annotations

import asyncio
import threading

import pytest
from prometheus_client.parser import text_string_to_metric_families

from rowcast.adapters.broker.local import LocalBroker
from rowcast.adapters.database.engine import open_database
from rowcast.adapters.database.schema import upgrade
from rowcast.adapters.storage.local import LocalStorage
from rowcast.entrypoints import exposition, measures
from rowcast.entrypoints.exposition import Exposition
from rowcast.entrypoints.measures import Measures
from rowcast.errors import Unavailable


def answer(counted, operation, status):
    async def sent(message):
        """Nobody is there."""

    async def call():
        send = counted.timed(lambda scope: scope["operation"], {"operation": operation}, sent)
        await send({"type": "http.response.start", "status": status})
        await send({"type": "http.response.body", "body": b"x"})

    asyncio.run(call())


def samples(text):
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.fixture
def parts(tmp_path):
    database = open_database(f"sqlite:///{tmp_path / 'rowcast.db'}")
    upgrade(database.engine)
    yield database, LocalBroker(), LocalStorage(tmp_path / "storage")
    database.dispose()


def shown(counted, parts):
    text, content_type = Exposition(counted, *parts).text("")
    assert content_type.startswith("text/plain")
    return samples(text)


def test_answers_are_counted_by_operation_and_status(parts):
    counted = Measures()
    for status in (200, 200, 503):
        answer(counted, "GET /x", status)

    found = shown(counted, parts)

    by = ("operation", "GET /x")
    assert found["rowcast_requests_total", by, ("status", "200")] == 2
    assert found["rowcast_requests_total", by, ("status", "503")] == 1
    assert found["rowcast_request_seconds_count", by] == 3
    assert found["rowcast_request_seconds_bucket", ("le", "+Inf"), by] == 3
    assert 0 < found["rowcast_request_seconds_sum", by] < 60


def test_a_time_on_a_bound_belongs_to_the_bucket_below():
    counted = Measures()
    for seconds in (0.0, 0.001, 0.0011, 60.0, 61.0):
        counted._answered("x", 200, seconds)

    seen = counted.own()["requests"]["200 x"]
    assert seen[:-1] == [2, 1, *[0] * (len(measures.BOUNDS) - 3), 1, 1]
    assert seen[-1] == pytest.approx(121.0021)


def test_attempts_at_tasks_are_counted(parts):
    counted = Measures()
    counted.attempted("train", "failed")
    counted.attempted("predict", "succeeded", 128)
    counted.attempted("predict", "succeeded")

    found = shown(counted, parts)

    assert found["rowcast_task_attempts_total", ("kind", "train"), ("outcome", "failed")] == 1
    assert found["rowcast_task_attempts_total", ("kind", "predict"), ("outcome", "succeeded")] == 129


def test_figures_of_several_processes_add_up_and_totals_outlive_a_process(monkeypatch):
    first, second = Measures(), Measures()
    second.follow(lambda: {"receipts": 5}, lambda: {"journal_waiting": 7})
    first.follow(lambda: {"receipts": 1}, lambda: {"journal_waiting": 1})
    answer(first, "GET /x", 200)
    answer(second, "GET /x", 200)
    answer(second, "GET /y", 404)

    first.hear(4711, second.own())
    first.hear(4711, second.own())  # the same process: its figures replace what it said before

    together = first.all()
    assert together["requests"]["200 GET /x"][:-1] == [2.0, *[0.0] * len(measures.BOUNDS)]
    assert "404 GET /y" in together["requests"]
    assert (together["totals"], together["now"]) == ({"receipts": [6]}, {"journal_waiting": [8]})

    monkeypatch.setattr(measures, "STALE_SECONDS", 0)
    gone = first.all()
    assert (gone["totals"], gone["now"]) == ({"receipts": [6]}, {"journal_waiting": [1]})


def test_all_lanes_are_shown_though_nothing_waits(parts):
    found = shown(Measures(), parts)
    assert {dict(labels)["lane"] for name, *labels in found if name == "rowcast_tasks"} == set(exposition.LANES)
    assert all(found["rowcast_up", ("part", part)] == 1 for part in ("database", "broker", "storage"))


class Hanging(LocalBroker):
    """A broker that does not answer until it is let."""

    def __init__(self):
        super().__init__()
        self.looks = 0
        self.let = threading.Event()

    def depths(self):
        self.looks += 1
        self.let.wait(timeout=60)
        return super().depths()


def test_a_part_that_hangs_takes_nothing_else_with_it(parts, monkeypatch):
    monkeypatch.setattr(exposition, "LOOK_SECONDS", 0.2)
    database, _, storage = parts
    broker = Hanging()
    shown_again = Exposition(Measures(), database, broker, storage)

    for _ in range(3):
        found = samples(shown_again.text("")[0])
        assert found["rowcast_up", ("part", "broker")] == 0
        assert found["rowcast_up", ("part", "database")] == 1
        assert ("rowcast_dead_letters",) not in found
    assert broker.looks == 1  # one that hangs is not asked again and again

    broker.let.set()
    assert any(samples(shown_again.text("")[0])["rowcast_up", ("part", "broker")] for _ in range(100))


class Away(LocalBroker):
    """A broker that is away."""

    def depths(self):
        raise Unavailable("broker_unavailable", "It is away.")


def test_a_part_that_is_away_is_down(parts):
    database, _, storage = parts
    assert shown(Measures(), (database, Away(), storage))["rowcast_up", ("part", "broker")] == 0
