"""Finished parts become one file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from threading import Condition
from typing import Any

from rowcast.datasets.ports import Progress, Report
from rowcast.scoring.files.objects import errors_key, predictions_key
from rowcast.scoring.files.parts import Finished, Parts
from rowcast.scoring.files.stages import JOINING
from rowcast.scoring.files.written import ERROR_COLUMNS, AsParquet, Writer, header, join_text


@dataclass
class Done:
    """The finished parts of a file, put together in its order while others are still worked on."""

    writer: Writer
    parts: Parts
    predictions: Path
    finished: dict[int, Finished] = field(default_factory=dict)
    _news: Condition = field(default_factory=Condition)
    _over: bool = False

    @property
    def rows(self) -> int:
        return sum(part.row_count for part in self.finished.values())

    @property
    def _skipped(self) -> int:
        return sum(part.skipped for part in self.finished.values())

    @property
    def _problems(self) -> int:
        return sum(part.problem_count for part in self.finished.values())

    def add(self, part: Finished) -> None:
        with self._news:
            self.finished[part.number] = part
            self._news.notify()

    @contextmanager
    def joining(self, answers: Callable[[], Sequence[str]]) -> Iterator[Future[None]]:
        """A thread that writes the parts added within the block to ``predictions``, and ends after it. ``answers`` are
        the names of the columns added, as soon as there are parts."""
        with ThreadPoolExecutor(1) as pool:
            try:
                yield pool.submit(self._join, answers)
            finally:
                with self._news:
                    self._over = True
                    self._news.notify()

    def outcome(self, policy: int | None) -> dict[str, Any]:
        """What the job of a file gives: see ``job.score_file``."""
        return {
            "row_count": self.rows,
            "skipped": self._skipped,
            "errors": self._problems,
            "format": "parquet" if isinstance(self.writer, AsParquet) else "csv",
            "policy": policy,
        }

    def store(self, task_id: str, folder: Path, report: Report) -> None:
        """Put the predictions and the list of problems into the storage."""
        report(Progress(fraction=JOINING, stage="join", message=f"Storing {self.rows:,} predictions"))
        storage = self.parts.storage
        storage.put_file(predictions_key(task_id), self.predictions, move=True)
        ordered = [self.finished[number] for number in sorted(self.finished)]
        listed, problems = [self.parts.problems_key(part) for part in ordered if part.problem_count], folder / "errors"
        join_text(storage, header(ERROR_COLUMNS), listed, problems)
        storage.put_file(errors_key(task_id), problems, move=True)
        report(Progress(fraction=1.0, stage="join", message=f"Predicted {self.rows:,} rows"))

    def _join(self, answers: Callable[[], Sequence[str]]) -> None:
        self.writer.join(self.parts.storage, self._keys_in_order(), answers(), self.predictions)

    def _keys_in_order(self) -> Iterator[str]:
        for number in count():
            with self._news:
                while number not in self.finished and not self._over:
                    self._news.wait()
                part = self.finished.get(number)
            if part is None:
                return
            yield self.parts.rows_key(part)
