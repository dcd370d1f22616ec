"""Searching for the best model: generations of trials on the compute, each trial on record as it ends.

What is tried next is a function of trials that were before, so a search that was interrupted goes on as if it had not
been, and comes to the same whichever slot ran what.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from typing import Any

from rowcast.datasets.ports import Progress
from rowcast.errors import Cancelled, Internal, RowcastError, Unavailable
from rowcast.models.tune.budget import kept_for_the_end
from rowcast.models.tune.proposing import GENERATION, known_before
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

_LOOK_SECONDS = 0.1

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
        self._slots = 1
        self._shared_out = 0
        """So many trials, from the first, are in shares of a job each or known."""
        self._shares: list[list[int]] = []
        """What no job has taken yet."""

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
        with ThreadPoolExecutor(2 * GENERATION) as pool:
            running: dict[Future[None], list[int]] = {}
            while self._begin(pool, running):
                pause = None if len(running) == self._slots else _LOOK_SECONDS
                for ended in wait(running, timeout=pause, return_when=FIRST_COMPLETED).done:
                    del running[ended]
                    ended.result()
        self._save()
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
        return kept_for_the_end(seconds, (trial.seconds for trial in best), self._bench.limits.threads)

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

    def _begin(self, pool: ThreadPoolExecutor, running: dict[Future[None], list[int]]) -> bool:
        """Start jobs where there is room for them and something to do; whether any run."""
        while not self._stopped() and (not running or len(running) < self._slots):
            self._share_out()
            numbers = self._shares.pop(0) if self._shares else self._unbegun(running.values())
            if not numbers:
                break
            running[pool.submit(self._run, numbers)] = numbers
        return bool(running)

    def _share_out(self) -> None:
        """Make shares of the next generation, if those of the last are taken and enough is known."""
        most = self._request.trials or math.inf
        while not self._shares and self._shared_out < most and not self._missing(range(known_before(self._shared_out))):
            self._slots = min(self._bench.compute.slots, GENERATION) if self._small else 1
            end = self._shared_out + GENERATION
            missing = self._missing(range(self._shared_out, int(min(end, most))))
            self._shares = [share for start in range(self._slots) if (share := missing[start :: self._slots])]
            self._shared_out = end

    def _unbegun(self, taken: Iterable[Sequence[int]]) -> list[int]:
        """The last trial that others have taken and not begun, if there is one. They may come to it all the same:
        whoever is first with a trial has done it, for all come to the same."""
        missing = [self._missing(each) for each in taken]
        left = {number for each in missing for number in each} - {number for each in missing for number in each[:1]}
        return [max(left)] if left else []

    @property
    def _small(self) -> bool:
        return bool(self._task.payload["row_count"] < ONE_THREAD_ROWS)

    def _missing(self, numbers: Iterable[int]) -> list[int]:
        return [number for number in numbers if number not in self._known]

    def _run(self, numbers: list[int]) -> None:
        """One job with these trials, which is stopped when the time is over or others have done what is left."""
        threads = 1 if self._small else self._bench.limits.threads
        bench = replace(self._bench, report=self._heard, cancelled=lambda: self._stopped(numbers))
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

    def _stopped(self, numbers: Sequence[int] = ()) -> bool:
        """Whether all is to stop, or these trials, of which others have done the last."""
        done = bool(numbers) and not self._missing(numbers)
        return done or self._bench.cancelled() or self._failed.is_set() or self._over()

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
        except Unavailable as error:  # the next one, or the end, tries again
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
        """A trial took its process with it: it is tried once more, after what was to follow it."""
        left = self._missing(numbers)
        number = left[0] if left else numbers[-1]
        self._deaths[number] += 1
        if left:
            self._shares.append([*left[1:], number])
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
