"""What is done with a part of a file, and the threads that do it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from rowcast.datasets.ports import Storage
from rowcast.scoring.files.parts import Finished, Parts
from rowcast.scoring.files.source import Part, Rows
from rowcast.scoring.files.written import Writer

if TYPE_CHECKING:
    from rowcast.scoring.files.scorer import Scorer


def open_model(storage: Storage, model: dict[str, Any], policy: dict[str, Any] | None) -> Scorer:
    """See ``opening.open_scorer``; to be called in a thread beside what reads the file."""
    # Half of all that is imported.
    from rowcast.scoring.files.opening import open_scorer

    return open_scorer(storage, model, policy)


def policy_number(policy: dict[str, Any] | None, scorer: Scorer) -> int | None:
    """The number of the policy that was in force, None where it does not fit the model."""
    return int(policy["number"]) if policy is not None and scorer.decides else None


def score_part(rows: Rows, part: Part, opened: Future[Scorer], writer: Writer, parts: Parts) -> Finished:
    """Read a part, answer it and put it into the storage.

    Raises:
        Irregular, InvalidInput: see ``Rows.read`` and ``Scorer.check``.
    """
    chunk = rows.read(part)
    scorer = opened.result()
    scorer.check(rows.names)
    scored = scorer.score(chunk.frame, part.first_row, chunk.faults)
    written = writer.part(chunk, scored.answers)
    count = scored.problems.height
    problems = scored.problems.write_csv(include_header=False).encode() if count else b""
    finished = Finished(
        **part.model_dump(), skipped=scored.skipped, problem_count=count, content_hash=parts.content_hash
    )
    parts.put(finished, written, problems)
    return finished


class Crew:
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

    def __enter__(self) -> Crew:
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
