"""Several jobs score one file, on nodes that share nothing but the storage.

The job of the file (``job.score_file``) works through its parts from the first to the last and joins them. Once it has
cut the file it leaves a plan; who helps scores parts by it from the last on, until all are finished. A part's bytes do
not depend on who scored it, so it does no harm when two do.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from rowcast.datasets.ports import Progress, Report, Storage
from rowcast.datasets.reading.limits import Limits
from rowcast.datasets.reading.ragged import RaggedRow
from rowcast.datasets.reading.sniffing import Dialect
from rowcast.datasets.reading.space import disk_full_is_unavailable
from rowcast.scoring.files.objects import plan_key
from rowcast.scoring.files.parts import Parts
from rowcast.scoring.files.source import Irregular, Part, Rows, Source, TableSource, TextRows, TextSource
from rowcast.scoring.files.stages import SHARED
from rowcast.scoring.files.ways import writer_of
from rowcast.scoring.files.work import open_model, score_part
from rowcast.scoring.files.written import Writer

if TYPE_CHECKING:
    from rowcast.scoring.files.scorer import Scorer

MOST_RAGGED = 100_000
"""Rows of another width that a plan lists. Of a file with more of them all jobs would have a long list in memory."""


class Plan(BaseModel):
    """Where a file's rows lie, how they are read, and in which parts."""

    key: str
    """Of the upload or table, or of the copy that it had to be rewritten to."""
    names: list[str]
    dialect: Dialect | None
    """None for a table."""
    ragged: list[RaggedRow]
    output: str
    prefix: str
    """Of the finished parts."""
    content_hash: str
    parts: list[Part]

    @property
    def row_count(self) -> int:
        return sum(part.row_count for part in self.parts)

    def writer(self, columns: list[str] | None) -> Writer:
        return writer_of(self.names, self.dialect.delimiter if self.dialect else None, self.output, columns)

    @contextmanager
    def rows(self, storage: Storage, limits: Limits) -> Iterator[Rows]:
        """Text is read from the storage a part at a time; of a table there is a copy here for as long as the block
        lasts."""
        if self.dialect is not None:
            yield TextRows(self.dialect, limits, self.ragged, partial(storage.read_range, self.key))
            return
        with storage.local(self.key) as path:
            yield TableSource(path)


@dataclass(frozen=True)
class Sharing:
    """Leaves the plan for the object of that key, of which there is a copy at ``path``."""

    task_id: str
    key: str
    path: Path
    report: Report

    def __call__(self, source: Source, parts: Parts, output: str, cut: Sequence[Part]) -> None:
        text = source if isinstance(source, TextSource) else None
        if text is not None and len(text.ragged) > MOST_RAGGED:
            return
        key = self.key
        if source.path != self.path:
            key = f"{parts.prefix}/source"
            parts.storage.put_file(key, source.path)
        plan = Plan(
            key=key,
            names=source.names,
            dialect=text and text.text.dialect,
            ragged=list(text.ragged) if text else [],
            output=output,
            prefix=parts.prefix,
            content_hash=parts.content_hash,
            parts=list(cut),
        )
        parts.storage.put(plan_key(self.task_id), plan.model_dump_json().encode())
        self.report(Progress(fraction=0.0, stage=SHARED, message="Others may help"))


def score_parts(
    storage: Storage,
    report: Report,
    *,
    task_id: str,
    model: dict[str, Any],
    policy: dict[str, Any] | None,
    columns: list[str] | None,
    limits: dict[str, Any],
    share: int,
    shares: int,
    threads: int,
) -> dict[str, Any]:
    """Help with a file: score each ``shares``-th of its parts, from the last on, and then what others have left. The
    fraction of its progress is the share of all rows that it has scored itself. Returns their number as ``rows``."""
    plan = Plan.model_validate_json(storage.read(plan_key(task_id)))
    parts = plan.parts[::-1]
    with (
        ThreadPoolExecutor(1) as opener,
        disk_full_is_unavailable(),
        plan.rows(storage, Limits.of(limits)) as rows,
    ):
        opened = opener.submit(open_model, storage, model, policy)
        work = _Help(plan, rows, plan.writer(columns), opened, storage, report)
        try:
            for turn in range(share, share + shares):
                work(parts[turn % shares :: shares], threads)
        except Irregular:  # whoever has the file comes to see it, and knows what to do
            pass
    return {"rows": work.scored}


class _Help:
    """Scores parts that nobody has finished."""

    def __init__(
        self, plan: Plan, rows: Rows, writer: Writer, opened: Future[Scorer], storage: Storage, report: Report
    ) -> None:
        self._rows = rows
        self._writer = writer
        self._opened = opened
        self._parts = Parts(storage, plan.prefix, plan.content_hash)
        self._report = report
        self._all = plan.row_count
        self.scored = 0

    def __call__(self, parts: Sequence[Part], threads: int) -> None:
        with ThreadPoolExecutor(threads) as pool:
            for rows in pool.map(self._score, parts):
                self.scored += rows
                message = f"Predicted {self.scored:,} rows"
                self._report(Progress(fraction=self.scored / self._all, stage="predict", message=message))

    def _score(self, part: Part) -> int:
        """How many rows of it were still to be done."""
        if self._parts.of(part) is not None:
            return 0
        score_part(self._rows, part, self._opened, self._writer, self._parts)
        return part.row_count
