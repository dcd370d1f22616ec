"""Job: a file becomes a file with predictions beside its rows, and a list of what is wrong with it."""

from __future__ import annotations

import tempfile
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from rowcast.datasets.ports import Progress, Report, Storage
from rowcast.datasets.reading.limits import Limits
from rowcast.datasets.reading.sniffing import no_rows
from rowcast.datasets.reading.space import disk_full_is_unavailable
from rowcast.scoring.files.joining import Done
from rowcast.scoring.files.parts import Parts
from rowcast.scoring.files.shares import Sharing
from rowcast.scoring.files.source import Part, Source
from rowcast.scoring.files.stages import JOINING
from rowcast.scoring.files.ways import Ways, writer_of
from rowcast.scoring.files.work import Crew, open_model, policy_number, score_part

if TYPE_CHECKING:
    from rowcast.scoring.files.scorer import Scorer


def score_file(
    storage: Storage,
    report: Report,
    *,
    task_id: str,
    source_key: str,
    content_hash: str,
    is_table: bool,
    model: dict[str, Any],
    policy: dict[str, Any] | None,
    output: str | None,
    columns: list[str] | None,
    limits: dict[str, Any],
    threads: int,
    shared: bool = False,
) -> dict[str, Any]:
    """Score the rows of an uploaded file, or of a stored table, with a version of a model (``VersionKey``) and its
    policy (``number``, ``content`` and ``columns``).

    ``content_hash`` is the SHA-256 of the upload. ``output`` is csv or parquet, by default the format of the file;
    ``columns`` are those that stand beside the answers, all by default. Returns ``row_count``, ``skipped``, ``errors``
    (how many are listed), ``format`` and ``policy``, whose number is None where it does not fit the model. Parts of
    this upload that an earlier attempt finished stay. With ``shared`` other jobs may help: see ``shares.py``.
    """
    report(Progress(fraction=0.0, stage="open", message="Opening the model and the file"))
    with (
        tempfile.TemporaryDirectory(prefix="rowcast-score-") as folder,
        disk_full_is_unavailable(),
        ThreadPoolExecutor(1) as opener,
    ):
        opened = opener.submit(open_model, storage, model, policy)
        ways = Ways(storage, task_id, content_hash, Limits.of(limits), output, Path(folder), report)
        with storage.local(source_key) as path:
            share = Sharing(task_id, source_key, path, report) if shared else None
            run = _Run(report, opened, columns, Path(folder), threads, share)
            done = ways.read(path, run, is_table=is_table)
        done.store(task_id, Path(folder), report)
    return done.outcome(policy_number(policy, opened.result()))


class _Run:
    """One attempt at one file, with temporary files in a folder of its own."""

    def __init__(
        self,
        report: Report,
        opened: Future[Scorer],
        columns: list[str] | None,
        folder: Path,
        threads: int,
        share: Sharing | None,
    ) -> None:
        self._report = report
        self._opened = opened
        self._columns = columns
        self._folder = folder
        self._threads = threads
        self._share = share

    def __call__(self, source: Source, parts: Parts, output: str) -> Done:
        """Score all parts of a source that are not finished yet."""
        writer = writer_of(source.names, source.delimiter, output, self._columns)
        done = Done(writer, parts, self._folder / "predictions")
        with done.joining(lambda: self._opened.result().answers) as joined, Crew(self._threads) as crew:
            work, cut = _Work(source, self._opened, done, self._report), list[Part]()

            def begin(part: Part) -> None:
                cut.append(part)
                crew.do(work, part)

            source.cut(begin)
            if self._share is not None:
                self._share(source, parts, output, cut)
        if not done.rows:
            raise no_rows()
        joined.result()
        return done


class _Work:
    """What is done with every part that nobody has finished, in whichever thread."""

    def __init__(self, source: Source, opened: Future[Scorer], done: Done, report: Report) -> None:
        self._source = source
        self._opened = opened
        self._done = done
        self._report = report
        self._lock = Lock()
        self._read = 0

    def __call__(self, part: Part) -> None:
        done = self._done
        finished = done.parts.of(part) or score_part(self._source, part, self._opened, done.writer, done.parts)
        with self._lock:
            done.add(finished)
            self._read += part.end - part.start
            share = self._read / max(1, self._source.size)
            self._report(Progress(fraction=JOINING * share, stage="predict", message=f"Predicted {done.rows:,} rows"))
