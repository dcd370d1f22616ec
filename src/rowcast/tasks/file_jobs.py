"""The jobs that predict for a file: one, which others help where the compute has room and the file is large."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any

from rowcast.datasets.ports import Progress
from rowcast.errors import Cancelled, NotFound, RowcastError
from rowcast.scoring.files.stages import JOINING, SHARED
from rowcast.tasks.handlers import Bench

HELPED_BYTES = 64 * 2**20
"""By thread: a job with so many is nearly through a smaller file before another has started."""

_log = logging.getLogger(__name__)


class FileJobs:
    """Sees to one file, by the arguments of ``scoring.files.job.score_file``."""

    def __init__(self, bench: Bench, arguments: dict[str, Any]) -> None:
        self._bench = bench
        self._arguments = {**arguments, "threads": bench.limits.threads}
        self._over = threading.Event()
        self._seen: dict[int, float] = {}
        self._lock = threading.Lock()

    def run(self) -> dict[str, Any]:
        """What ``score_file`` returns, and raises. What befalls those who help costs nothing but time."""
        helpers = self._helpers()
        if not helpers:
            return self._job("score_file", self._bench, self._arguments)
        with ThreadPoolExecutor(helpers) as pool:

            def heard(progress: Progress) -> None:
                if progress.stage == SHARED:
                    for number in range(helpers):
                        pool.submit(self._help, number, helpers)
                else:
                    self._tell(progress)

            try:
                return self._job("score_file", replace(self._bench, report=heard), {**self._arguments, "shared": True})
            finally:
                self._over.set()
                pool.shutdown(cancel_futures=True)

    def _helpers(self) -> int:
        """How many jobs beside the first there is room for, and work."""
        threads = self._bench.limits.threads
        room = self._bench.compute.slots // threads - 1
        try:
            large = room > 0 and self._bench.storage.size(self._arguments["source_key"]) >= HELPED_BYTES * threads
        except NotFound:  # which the job says better
            large = False
        return room if large else 0

    def _help(self, number: int, helpers: int) -> None:
        bench = replace(self._bench, report=partial(self._helped, number), cancelled=self._stopped)
        given = ("task_id", "model", "policy", "columns", "limits", "threads")
        arguments = {name: self._arguments[name] for name in given}
        try:
            self._job("score_parts", bench, {**arguments, "share": number, "shares": helpers})
        except Cancelled:
            pass
        except RowcastError as error:
            _log.warning("a job that helped to predict for a file failed: %s", error.code)

    def _stopped(self) -> bool:
        return self._over.is_set() or self._bench.cancelled()

    def _helped(self, number: int, progress: Progress) -> None:
        """Take note of the share of all rows that one of those who help has scored."""
        with self._lock:
            self._seen[number] = max(self._seen.get(number, 0.0), progress.fraction)

    def _tell(self, progress: Progress) -> None:
        """Tell of all jobs together. They meet in the middle: then the first has yet to pass what others have done."""
        with self._lock:
            done = sum(self._seen.values())
        if progress.stage != "predict" or not done:
            self._bench.report(progress)
            return
        fraction = min(JOINING, progress.fraction + JOINING * done)
        message = f"Predicted {fraction / JOINING:.0%} of the rows, with {len(self._seen)} more helping"
        self._bench.report(Progress(fraction=fraction, stage="predict", message=message))

    def _job(self, job: str, bench: Bench, arguments: dict[str, Any]) -> dict[str, Any]:
        return bench.run(job, arguments, timeout=bench.limits.file_timeout_seconds)
