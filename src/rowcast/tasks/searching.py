"""Searching for the best model: generations of trials on the compute, each trial on record as it ends.

What is tried next is a function of the trials of the generations before, so a search that was interrupted goes on as if
it had not been, and comes to the same whichever slot ran what.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from rowcast.datasets.ports import Progress
from rowcast.errors import Cancelled, Internal, RowcastError, Unavailable
from rowcast.models.tune.budget import kept_for_the_end
from rowcast.models.tune.proposing import GENERATION
from rowcast.models.tune.views import TrialResult, TuningRequest
from rowcast.tasks import trials
from rowcast.tasks.claims import Claim
from rowcast.tasks.handlers import Bench

ONE_THREAD_ROWS = 100_000
"""Below, a trial has one thread, and several run at the same time: small tables gain nothing by more threads, and the
same number of threads gives the same result."""

DEFAULT_SECONDS = 600.0

SEARCHED = 0.8
"""How much of the work is done when as many trials are as were asked for."""

_JOINED = 5
"""So many of the best may be joined at the end, which learn anew from all rows."""

SEARCHES = "searches"

_DEADLY = frozenset({"job_killed", "job_out_of_memory"})

_MOST_DEATHS = 2
"""So often a trial may take its process with it before the search makes do with what it has."""

_log = logging.getLogger(__name__)


class Search:
    """The search of one task, from what is on record of it. ``run`` it, then look at ``trials``."""

    def __init__(self, task: Claim, bench: Bench) -> None:
        self._task = task
        self._bench = bench
        self._request = TuningRequest.model_validate(task.payload["request"])
        with bench.database.reading() as session:
            known, spent = trials.finished(session, task.id)
        self._known = {trial.number: trial for trial in known}
        self._began = time.monotonic() - spent
        self._unsaved: list[tuple[TrialResult, float]] = []
        self._deaths: Counter[int] = Counter()
        self._lock = threading.Lock()
        self._failed = threading.Event()
        self._wanted: Sequence[int] = ()

    @property
    def trials(self) -> list[TrialResult]:
        """The finished trials, by number."""
        known = dict(self._known)
        return [known[number] for number in sorted(known)]

    def run(self) -> None:
        """Search until the time is over, all trials are done, or there is nothing left to try.

        Raises:
            Cancelled: the task is to stop.
            Internal: no trial succeeded.
            RowcastError: the table cannot be learned from as asked, or something that is needed does not answer.
        """
        while not self._over() and (numbers := self._generation()):
            before = len(self._known), self._deaths.total()
            self._try(numbers)
            if (len(self._known), self._deaths.total()) == before:
                break  # nothing is left to try
        if not self._succeeded():
            raise self._fruitless()

    def fraction(self) -> float:
        """How much of all the work is done."""
        shares = [SEARCHED * len(self._known) / self._request.trials] if self._request.trials else []
        if (seconds := self._seconds()) is not None:
            shares.append(min(1.0, self._spent() / seconds))
        return max(shares)

    def _seconds(self) -> float | None:
        """The time that there is; None is without end."""
        if self._request.seconds is None and self._request.trials is not None:
            return None
        return self._request.seconds or DEFAULT_SECONDS

    def _kept(self, seconds: float) -> float:
        """How much of the time is kept for the end, by what the best trials took."""
        best = sorted(self._done(), key=_merit, reverse=True)[:_JOINED]
        return kept_for_the_end(seconds, (trial.seconds for trial in best))

    def _done(self) -> list[TrialResult]:
        return [trial for trial in self.trials if trial.state == "done" and trial.score is not None]

    def _spent(self) -> float:
        return time.monotonic() - self._began

    def _over(self) -> bool:
        """Whether the time is; a first success, or a first generation of failures, is waited for."""
        if not self._succeeded():
            return len(self._known) >= GENERATION
        if max(self._deaths.values(), default=0) >= _MOST_DEATHS:
            return True
        seconds = self._seconds()
        return seconds is not None and self._spent() >= seconds - self._kept(seconds)

    def _succeeded(self) -> bool:
        return bool(self._done())

    def _fruitless(self) -> RowcastError:
        failures = [trial.failure for trial in self.trials if trial.failure is not None]
        why = f" The first said: {failures[0].message}" if failures else ""
        return Internal("tuning_failed", f"None of {len(self._known)} trials succeeded.{why}")

    def _generation(self) -> list[int]:
        """The numbers that are missing of the first generation that is not whole."""
        start = 0
        while all(number in self._known for number in range(start, start + GENERATION)):
            start += GENERATION
        most = self._request.trials
        end = start + GENERATION if most is None else min(start + GENERATION, most)
        return self._missing(range(start, end))

    def _try(self, numbers: Sequence[int]) -> None:
        """Run these trials of a generation in as many jobs as there is room for."""
        small = self._task.payload["row_count"] < ONE_THREAD_ROWS
        slots = self._bench.compute.slots if small else 1
        threads = 1 if small else self._bench.limits.threads
        chunks = [numbers[start::slots] for start in range(min(slots, len(numbers)))]
        self._wanted = numbers
        with ThreadPoolExecutor(len(chunks)) as pool:
            running = [pool.submit(self._work, chunk, chunks, threads) for chunk in chunks]
        for each in running:
            each.result()
        self._save()

    def _work(self, chunk: Sequence[int], chunks: Sequence[Sequence[int]], threads: int) -> None:
        """Run a share of a generation; then what others have not begun of theirs, the last first. Whoever is first with
        a trial has done it, for all come to the same."""
        self._run(chunk, threads)
        unbegun = [number for each in chunks for number in self._missing(each)[:0:-1]]
        if unbegun and not self._stopped():
            self._run(unbegun, threads)

    def _missing(self, numbers: Sequence[int]) -> list[int]:
        return [number for number in numbers if number not in self._known]

    def _run(self, numbers: Sequence[int], threads: int) -> None:
        """One job with these trials, which is stopped when the time is over or others have done what is left."""
        bench = replace(self._bench, report=self._heard, cancelled=self._stopped)
        try:
            bench.run("trials", self._arguments(numbers, threads), timeout=bench.limits.training_timeout_seconds)
        except Cancelled:
            if self._bench.cancelled():
                raise
        except RowcastError as error:
            if error.code not in _DEADLY:
                self._failed.set()
                raise
            self._buried(numbers, error)
        except BaseException:
            self._failed.set()
            raise

    def _arguments(self, numbers: Sequence[int], threads: int) -> dict[str, Any]:
        payload = self._task.payload
        return {
            "request": payload["request"],
            "content_hash": payload["content_hash"],
            "dataset_number": payload["dataset_number"],
            "schema": payload["schema"],
            "finished": [trial.model_dump(mode="json") for trial in self.trials],
            "numbers": list(numbers),
            "scores_prefix": scores_prefix(self._task.id),
            "threads": threads,
        }

    def _stopped(self) -> bool:
        whole = not self._missing(self._wanted)
        return whole or self._bench.cancelled() or self._failed.is_set() or self._over()

    def _heard(self, progress: Progress) -> None:
        if progress.trial is not None:
            self._keep(TrialResult.model_validate(progress.trial))
        self._bench.report(self._progress(progress))

    def _keep(self, trial: TrialResult) -> None:
        with self._lock:
            if trial.number in self._known:
                return
            self._known[trial.number] = trial
            self._unsaved.append((trial, self._spent()))
        try:
            self._save()
        except Unavailable as error:  # the end of the generation tries again
            _log.warning("a finished trial waits to be put on record: %s", error.code)

    def _save(self) -> None:
        """Put on record what is not yet.

        Raises:
            ClaimLost: somebody else goes on with the search.
            Unavailable: the database does not answer.
        """
        with self._lock:
            if not self._unsaved:
                return
            with self._bench.database.transaction() as session:
                for trial, spent in self._unsaved:
                    trials.add(session, self._task, trial, spent)
            self._unsaved.clear()

    def _buried(self, numbers: Sequence[int], error: RowcastError) -> None:
        """A trial took its process with it: it is tried once more."""
        number = next(iter(self._missing(numbers)), numbers[-1])
        self._deaths[number] += 1
        if self._deaths[number] >= _MOST_DEATHS and not self._succeeded():
            self._failed.set()
            raise error
        _log.warning("trial %d took its process with it: %s", number, error.code)

    def _progress(self, heard: Progress) -> Progress:
        best = max(self._done(), key=_merit, default=None)
        number, most = len(self._known) + 1, self._request.trials
        at = f"trial {min(number, most)} of {most}" if most else f"trial {number}"
        reached = "" if best is None else f": best {best.metric} {best.score:.4f} ({best.algorithm})"
        seconds = self._seconds()
        return Progress(
            fraction=self.fraction(),
            message=f"{at}{reached}",
            stage="search",
            score=None if best is None else best.score,
            eta_seconds=None if seconds is None else round(max(0.0, seconds - self._spent()), 1),
            trial=heard.trial,
        )


def scores_prefix(task_id: str) -> str:
    """Where trials leave their predictions for the conclusion, whichever attempt they are of."""
    return f"{SEARCHES}/{task_id}"


def _merit(trial: TrialResult) -> float:
    assert trial.score is not None
    return trial.score if trial.greater_is_better else -trial.score
