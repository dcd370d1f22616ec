"""Job: a file becomes a file with predictions beside its rows, and a list of what is wrong with it."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from threading import Condition, Lock
from typing import TYPE_CHECKING, Any

from rowcast.datasets.names import nearest
from rowcast.datasets.ports import Progress, Report, Storage
from rowcast.datasets.reading import sniffing
from rowcast.datasets.reading.columnar import write_table_from_parquet
from rowcast.datasets.reading.delimited import rewrite_all
from rowcast.datasets.reading.limits import Limits
from rowcast.datasets.reading.space import disk_full_is_unavailable
from rowcast.datasets.reading.survey import Survey, survey
from rowcast.datasets.reading.textfile import TextFile, as_utf8, head_of, open_text
from rowcast.errors import Conflict, InvalidInput, Problem
from rowcast.scoring.files.objects import errors_key, parts_key, predictions_key
from rowcast.scoring.files.parts import Finished, Parts
from rowcast.scoring.files.source import Irregular, Part, Source, TableSource, TextSource
from rowcast.scoring.files.written import ERROR_COLUMNS, AsCsv, AsParquet, AsWritten, Writer, header, join_text

if TYPE_CHECKING:
    from rowcast.scoring.files.scorer import Scorer

JOINING = 0.95
"""The share of the work that is done when all parts are."""


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
) -> dict[str, Any]:
    """Score the rows of an uploaded file, or of a stored table, with a version of a model (``VersionKey``) and its
    policy (``number``, ``content`` and ``columns``).

    ``content_hash`` is the SHA-256 of the upload. ``output`` is csv or parquet, by default the format of the file;
    ``columns`` are those that stand beside the answers, all by default. Returns ``row_count``, ``skipped``, ``errors``
    (how many are listed), ``format`` and ``policy``, whose number is None where it does not fit the model. Parts of
    this upload that an earlier attempt finished stay.
    """
    report(Progress(fraction=0.0, stage="open", message="Opening the model and the file"))
    asked = Asked(output, columns, Limits.of(limits))
    with (
        tempfile.TemporaryDirectory(prefix="rowcast-score-") as folder,
        disk_full_is_unavailable(),
        ThreadPoolExecutor(1) as opener,
    ):
        opened = opener.submit(_open, storage, model, policy)
        with storage.local(source_key) as path:
            run = _Run(storage, report, task_id, content_hash, opened, asked, Path(folder), threads)
            done = run.table(path) if is_table else run.upload(path)
        report(Progress(fraction=JOINING, stage="join", message=f"Storing {done.rows:,} predictions"))
        done.store(task_id, Path(folder))
    report(Progress(fraction=1.0, stage="join", message=f"Predicted {done.rows:,} rows"))
    return {
        "row_count": done.rows,
        "skipped": done.skipped,
        "errors": done.problems,
        "format": "parquet" if isinstance(done.writer, AsParquet) else "csv",
        "policy": policy["number"] if policy and opened.result().decides else None,
    }


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked beside the file, and what it may hold."""

    output: str | None
    columns: list[str] | None
    limits: Limits


def _open(storage: Storage, model: dict[str, Any], policy: dict[str, Any] | None) -> Scorer:
    # Half of all that is imported, while the file is being read.
    from rowcast.scoring.files.opening import open_scorer

    return open_scorer(storage, model, policy)


@dataclass
class _Done:
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
    def skipped(self) -> int:
        return sum(part.skipped for part in self.finished.values())

    @property
    def problems(self) -> int:
        return sum(part.problem_count for part in self.finished.values())

    def add(self, part: Finished) -> None:
        with self._news:
            self.finished[part.number] = part
            self._news.notify()

    @contextmanager
    def joining(self, opened: Future[Scorer]) -> Iterator[Future[None]]:
        """A thread that writes the parts added within the block to ``predictions``, and ends after it."""
        with ThreadPoolExecutor(1) as pool:
            try:
                yield pool.submit(self._join, opened)
            finally:
                with self._news:
                    self._over = True
                    self._news.notify()

    def store(self, task_id: str, folder: Path) -> None:
        """Put the predictions and the list of problems into the storage."""
        storage = self.parts.storage
        storage.put_file(predictions_key(task_id), self.predictions, move=True)
        ordered = [self.finished[number] for number in sorted(self.finished)]
        listed, problems = [self.parts.problems_key(part) for part in ordered if part.problem_count], folder / "errors"
        join_text(storage, header(ERROR_COLUMNS), listed, problems)
        storage.put_file(errors_key(task_id), problems, move=True)

    def _join(self, opened: Future[Scorer]) -> None:
        self.writer.join(self.parts.storage, self._keys_in_order(), opened.result().answers, self.predictions)

    def _keys_in_order(self) -> Iterator[str]:
        for number in count():
            with self._news:
                while number not in self.finished and not self._over:
                    self._news.wait()
                part = self.finished.get(number)
            if part is None:
                return
            yield self.parts.rows_key(part)


class _Run:
    """One attempt at one file, with temporary files in a folder of its own."""

    def __init__(
        self,
        storage: Storage,
        report: Report,
        task_id: str,
        content_hash: str,
        opened: Future[Scorer],
        asked: Asked,
        folder: Path,
        threads: int,
    ) -> None:
        self._storage = storage
        self._report = report
        self._task_id = task_id
        self._content_hash = content_hash
        self._opened = opened
        self._asked = asked
        self._folder = folder
        self._threads = threads

    def upload(self, path: Path) -> _Done:
        """The file as it was uploaded: the fast way, unless rows, quotes or characters turn out to be out of order."""
        self._check(path)
        limits = self._asked.limits
        if sniffing.file_format(head_of(path)) == "parquet":
            table = self._folder / "table.parquet"
            write_table_from_parquet(path, table, limits)
            return self._through(TableSource(table, limits), "table", self._asked.output or "parquet")
        way, source = "written", TextSource(open_text(path, self._folder, limits.max_columns, self._say), limits)
        while True:
            try:
                return self._through(source, way, self._asked.output or "csv")
            except Irregular as irregular:
                self._parts(way).clear()
                way, source = self._with_more_care(way, source.text, irregular.survey)

    def table(self, path: Path) -> _Done:
        """A stored table."""
        return self._through(TableSource(path, self._asked.limits), "table", self._asked.output or "csv")

    def _with_more_care(self, way: str, text: TextFile, found: Survey | None) -> tuple[str, TextSource]:
        """The same text in UTF-8 where it was not, else written again in plain CSV."""
        limits = self._asked.limits
        found = found or survey(text.path, text.dialect.delimiter, limits.max_line_bytes)
        if found.not_utf8_at is not None:
            text = as_utf8(text, found.not_utf8_at, self._folder, limits.max_columns, self._say)
            return "utf-8", TextSource(text, limits)
        if way == "plain":
            raise InvalidInput(
                "dataset_unreadable", "The rows cannot be read. Save the table as plain CSV (UTF-8) and upload that."
            )
        self._say("Reading row by row: some rows or quotes are irregular")
        names, plain = TextSource(text, limits).names, self._folder / "plain.csv"
        ragged = rewrite_all(text.path, plain, names, text.dialect.delimiter, limits.max_cell_bytes)
        return "plain", TextSource(TextFile(plain, sniffing.Dialect(",", tuple(names))), limits, ragged)

    def _through(self, source: Source, way: str, output: str) -> _Done:
        writer = _writer(source, output, self._asked.columns)
        done = _Done(writer, self._parts(way), self._folder / "predictions")
        with done.joining(self._opened) as joined, _Crew(self._threads) as crew:
            work = _Work(source, self._opened, done, self._report, done.parts.finished())
            source.cut(lambda part: crew.do(work, part))
        if not done.rows:
            raise sniffing.no_rows()
        joined.result()
        return done

    def _parts(self, way: str) -> Parts:
        return Parts(self._storage, f"{parts_key(self._task_id)}/{way}", self._content_hash)

    def _check(self, upload: Path) -> None:
        """Pass when the file is the one that was sent, which is looked at when an earlier attempt left parts of it."""
        if next(iter(self._storage.list(parts_key(self._task_id))), None) is None:
            return
        with upload.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != self._content_hash:
            raise Conflict(
                "upload_damaged", "The file at the server is no longer the one that was sent: send it again."
            )

    def _say(self, message: str) -> None:
        self._report(Progress(fraction=0.01, stage="read", message=message))


class _Work:
    """What is done with every part, in whichever thread."""

    def __init__(
        self, source: Source, opened: Future[Scorer], done: _Done, report: Report, finished: dict[int, Finished]
    ) -> None:
        self._source = source
        self._opened = opened
        self._done = done
        self._report = report
        self._finished = finished
        self._lock = Lock()
        self._read = 0

    def __call__(self, part: Part) -> None:
        known = self._finished.get(part.number)
        finished = known if known is not None and known.is_of(part) else self._score(part)
        with self._lock:
            self._done.add(finished)
            self._read += part.end - part.start
            share, rows = self._read / max(1, self._source.size), self._done.rows
            self._report(Progress(fraction=JOINING * share, stage="predict", message=f"Predicted {rows:,} rows"))

    def _score(self, part: Part) -> Finished:
        chunk = self._source.read(part)
        scorer = self._opened.result()
        scorer.check(self._source.names)
        scored = scorer.score(chunk.frame, part.first_row, chunk.faults)
        rows = self._done.writer.part(chunk, scored.answers)
        count = scored.problems.height
        problems = scored.problems.write_csv(include_header=False).encode() if count else b""
        parts = self._done.parts
        finished = Finished(
            **part.model_dump(), skipped=scored.skipped, problem_count=count, content_hash=parts.content_hash
        )
        parts.put(finished, rows, problems)
        return finished


class _Crew:
    """Threads that work on parts side by side."""

    def __init__(self, threads: int) -> None:
        self._pool = ThreadPoolExecutor(threads)
        self._futures: list[Future[None]] = []

    def do(self, work: Callable[[Part], None], part: Part) -> None:
        """Have it done when its turn comes.

        Raises:
            whatever an earlier part failed with.
        """
        self._raise_failure()
        self._futures.append(self._pool.submit(work, part))

    def __enter__(self) -> _Crew:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._pool.shutdown(cancel_futures=kind is not None)
        if kind is None:
            self._raise_failure()

    def _raise_failure(self) -> None:
        for future in self._futures:
            if future.done() and (error := future.exception()) is not None:
                raise error
        self._futures = [future for future in self._futures if not future.done()]


def _writer(source: Source, output: str, columns: list[str] | None) -> Writer:
    """How the answers are to stand beside the rows.

    Raises:
        InvalidInput: the file lacks a column that was asked for.
    """
    if output == "csv" and columns is None and isinstance(source, TextSource):
        return AsWritten(source.names, source.delimiter)
    chosen = source.names if columns is None else columns
    known = set(source.names)
    problems = [
        Problem(code="column_unknown", message=_unknown(name, source.names), field=name)
        for name in chosen
        if name not in known
    ]
    if problems:
        raise InvalidInput("column_unknown", problems[0].message, problems)
    return AsParquet(chosen) if output == "parquet" else AsCsv(chosen)


def _unknown(name: str, names: Sequence[str]) -> str:
    meant = nearest(name, names)
    hint = f"did you mean '{meant}'?" if meant else "see its header for those it has."
    return f"The file has no such column; {hint}"
