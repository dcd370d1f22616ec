"""Searches: trials on record as they come in, whatever ends the search, with real child processes."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path

import pytest

from rowcast.adapters.compute.local import LocalCompute
from rowcast.errors import Cancelled, Internal, InvalidInput, NotFound, Unavailable
from rowcast.tasks import claims, trials
from rowcast.tasks.claims import ClaimLost
from rowcast.tasks.handlers import Bench, Limits
from rowcast.tasks.searching import Search

JOBS = Path(__file__).with_name("trial_jobs.py")


class Study:
    """A search that somebody asked for, and a worker that has it in hand."""

    def __init__(self, database, storage, folder, task_id):
        self.database = database
        self.storage = storage
        self.folder = folder
        self.told = []
        self.cancelled = threading.Event()
        self.claim = self.take(task_id)

    def take(self, task_id):
        with self.database.transaction() as session:
            return claims.claim(session, task_id, worker="one", lease_seconds=60)

    def search(self, threads=2):
        command = (sys.executable, str(JOBS))
        compute = LocalCompute((self.folder / "storage").as_uri(), command=command, threads=threads)
        report, limits = self.told.append, Limits(threads=threads)
        return Search(self.claim, Bench(self.database, self.storage, compute, limits, report, self.cancelled.is_set))

    def begun(self):
        """What was begun, in order: the trial, how many were finished, and its threads."""
        lines = (self.folder / "begun").read_text().splitlines()
        return [tuple(map(int, line.split())) for line in lines]

    def wait_for(self, count):
        """Until so many trials are on record."""
        deadline = time.monotonic() + 60
        while len(self.on_record()) < count:
            assert time.monotonic() < deadline, "it did not come"
            time.sleep(0.02)

    def on_record(self):
        with self.database.reading() as session:
            return [trial.number for trial in trials.finished(session, self.claim.id)[0]]


@pytest.fixture
def study(database, storage, add_task, tmp_path):
    def study(dataset="easy", rows=1000, **asked):
        payload = {
            "request": {"dataset": dataset, "target": "y", **asked},
            "content_hash": str(tmp_path),
            "dataset_number": 1,
            "row_count": rows,
            "schema": {},
        }
        return Study(database, storage, tmp_path, add_task(kind="tune", lane="train", **payload))

    return study


def test_it_ends_with_the_trials_asked_for_and_tells_how_far_it_is(study):
    found = study(trials=11)

    search = found.search()
    search.run()

    assert [trial.number for trial in search.trials] == found.on_record() == list(range(11))
    assert {number for number, _, _ in found.begun()} == set(range(11))
    assert {finished for number, finished, _ in found.begun() if number < 8} == {0}
    assert {finished for number, finished, _ in found.begun() if number >= 8} <= {*range(4, 11)}
    assert {threads for _, _, threads in found.begun()} == {1}
    last = found.told[-1]
    assert last.stage == "search"
    assert last.score == 0.9
    assert last.message == "trial 11 of 11: best roc_auc 0.9000 (linear)"
    assert last.fraction == pytest.approx(0.8)


def test_a_large_table_has_all_threads_for_one_trial_at_a_time(study):
    found = study(trials=3, rows=200_000)

    found.search(threads=2).run()

    assert found.begun() == [(0, 0, 2), (1, 0, 2), (2, 0, 2)]


def test_who_is_done_first_does_what_others_have_not_begun(study):
    found = study("slow", trials=8)
    search = found.search(threads=2)
    running = threading.Thread(target=search.run)

    running.start()
    found.wait_for(7)
    (found.folder / "gate").touch()
    running.join(20)

    assert found.on_record() == list(range(8))


def test_nobody_waits_for_the_last_of_a_generation(study):
    found = study("late", trials=16)
    search = found.search(threads=2)
    running = threading.Thread(target=search.run)

    running.start()
    found.wait_for(15)
    assert 5 not in found.on_record()
    (found.folder / "gate").touch()
    running.join(20)

    assert found.on_record() == list(range(16))


def test_it_goes_on_from_what_is_on_record(study):
    found = study(trials=11)
    with found.database.transaction() as session:
        for number in (0, 1, 5):
            trials.add(session, found.claim, trial_of(number), 3.0)

    search = found.search()
    search.run()

    assert sorted(number for number, _, _ in found.begun()) == [2, 3, 4, 6, 7, 8, 9, 10]
    assert found.on_record() == list(range(11))
    assert search.trials[5].seconds == 5


def test_the_time_that_was_used_before_counts(study):
    found = study(seconds=10)
    with found.database.transaction() as session:
        trials.add(session, found.claim, trial_of(0), 9.0)

    found.search().run()

    assert found.on_record() == [0]


def test_when_the_time_is_over_what_runs_is_stopped(study):
    found = study("slow", seconds=10)
    with found.database.transaction() as session:
        trials.add(session, found.claim, trial_of(0), 4.0)
        trials.add(session, found.claim, trial_of(1), 4.5)

    found.search(threads=1).run()

    assert found.on_record() == [0, 1]


def test_no_more_time_is_kept_for_the_end_than_it_needs(study):
    found = study(seconds=1000)
    with found.database.transaction() as session:
        for number in range(8):
            trials.add(session, found.claim, trial_of(number, seconds=10), 1000.0 - 10 - 5 * 1.4 * 10 + number - 7)

    search = found.search()
    assert search.fraction() == pytest.approx(0.92, abs=0.01)
    search.run()

    assert found.on_record() == list(range(8))


def test_a_cancelled_search_stops_and_keeps_its_trials(study):
    found = study("slow")
    search = found.search(threads=1)
    failures = []

    def run():
        try:
            search.run()
        except Cancelled as error:
            failures.append(error)

    running = threading.Thread(target=run)
    running.start()
    found.wait_for(2)
    found.cancelled.set()
    running.join(20)

    assert len(failures) == 1
    assert found.on_record() == [0, 1]


def test_a_trial_that_ends_its_process_is_tried_again(study):
    found = study("deadly", trials=8)

    found.search(threads=1).run()

    assert found.on_record() == list(range(8))
    assert sorted(number for number, _, _ in found.begun()) == [0, 1, 2, 3, 3, 4, 5, 6, 7]


def test_a_search_makes_do_with_what_it_has_when_a_trial_ends_its_process_again(study):
    found = study("deadly", trials=20)
    (found.folder / "ever").touch()

    found.search(threads=1).run()

    assert found.on_record() == [0, 1, 2, 4, 5, 6, 7]


def test_a_search_of_failures_alone_ends_and_says_why(study):
    found = study("failing", seconds=600)

    with pytest.raises(Internal, match="It did not learn") as caught:
        found.search().run()

    assert caught.value.code == "tuning_failed"
    assert found.on_record() == list(range(8))


def test_what_is_wrong_with_the_table_ends_it_at_once(study):
    found = study("hostile")

    with pytest.raises(InvalidInput, match="nothing to learn"):
        found.search().run()


def test_who_lost_the_task_writes_nothing(study):
    found = study(trials=8)
    with found.database.transaction() as session:
        claims.retry(session, found.claim, Unavailable("away", "Away."), after_seconds=0)
    later = found.take(found.claim.id)

    with pytest.raises(ClaimLost):
        found.search().run()
    assert found.on_record() == []

    found.claim = later
    found.search().run()
    assert found.on_record() == list(range(8))


def test_a_trial_is_kept_once_and_seen_by_its_owner_alone(study, ann, join):
    found = study()
    with found.database.transaction() as session:
        trials.add(session, found.claim, trial_of(0), 1.0)
        trials.add(session, found.claim, trial_of(0, seconds=99), 2.0)
        trials.add(session, found.claim, trial_of(1), 2.0)

    with found.database.reading() as session:
        first, following = trials.list_trials(session, ann, found.claim.id, limit=1)
        rest, end = trials.list_trials(session, ann, found.claim.id, limit=1, after=following)
        with pytest.raises(NotFound):
            trials.list_trials(session, join("bob"), found.claim.id)

    assert ([trial.seconds for trial in first], [trial.number for trial in rest], end) == ([0], [1], None)


def trial_of(number, seconds=None):
    from rowcast.models.tune.views import TrialResult

    took = number if seconds is None else seconds
    return TrialResult(number=number, algorithm="linear", state="done", metric="roc_auc", score=0.5, seconds=took)
