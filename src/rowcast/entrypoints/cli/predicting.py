"""The rows of one file on their way through a model, and how their answers are shown or written."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from rowcast.entrypoints.cli.decided import money, told
from rowcast.entrypoints.cli.explained import show_reasons
from rowcast.entrypoints.cli.reading import Row, Rows, Unread
from rowcast.entrypoints.cli.session import Session, clean
from rowcast.entrypoints.cli.tables import counted, table
from rowcast.entrypoints.cli.writing import CsvSink, JsonSink, Sink, columns_of, written
from rowcast.errors import SHOWN_PROBLEMS, InvalidInput, Problem, RowcastError
from rowcast.models.decide.policy import Policy
from rowcast.models.views import ModelVersionDetail, PolicyVersion
from rowcast.scoring.views import Prediction, Predictions

SHOWN_ROWS = 20
SHOWN_COLUMNS = 6
MOST_NAMED = 19
"""Rows of a wrong width that are named beside the first."""


@dataclass
class Run:
    """One file on its way through a model. Each row waits in ``pending`` with its number until its answer is there."""

    session: Session
    model: str
    known: list[str]
    about: ModelVersionDetail | None
    rows: Rows
    skip_bad: bool
    reasons: int = 0
    policy: PolicyVersion | None = None
    queue: bool = False
    pending: deque[tuple[int, Row | Unread]] = field(default_factory=deque)
    dropped: dict[str, None] = field(default_factory=dict)
    answer: Predictions | None = None
    problems: list[Problem] = field(default_factory=list)
    done: int = 0
    """Rows that went through, with an answer or passed over."""

    def answers(self) -> Iterator[tuple[Row, Prediction | None, str]]:
        """Each row as it came with its prediction, or with why it has none; reads only as far as needed."""
        on_error: Literal["fail", "skip"] = "skip" if self.skip_bad else "fail"
        sent = self._sent()
        predict = partial(self.session.client.predict_each, on_error=on_error, explain=self.reasons, queue=self.queue)
        first = 1
        for answer in predict(self.model, sent):
            numbers = [number for number, row in self.pending if not isinstance(row, Unread)]
            errors = [_renumbered(problem, numbers, first) for problem in answer.errors]
            reasons = _by_row(errors)
            for prediction, number in zip(answer.predictions, numbers, strict=False):
                yield from self._passed_over()
                yield self._next(), prediction, reasons.get(number, "")
            first += len(answer.predictions)
            self.problems += errors
            self.answer = self.answer or answer
        yield from self._passed_over()
        self.problems.sort(key=lambda problem: problem.row or 0)
        self._remark()

    def _next(self) -> Row:
        row = self.pending.popleft()[1]
        return row.row if isinstance(row, Unread) else row

    def _passed_over(self) -> Iterator[tuple[Row, None, str]]:
        """Rows that were not sent, and stand before the next one that was."""
        while self.pending and isinstance(unread := self.pending[0][1], Unread):
            self.problems.append(unread.problem)
            yield self._next(), None, unread.problem.message

    def shown(self) -> None:
        """As JSON, in sentences for one row or where reasons are asked for, or as a table; of the first rows."""
        found: list[tuple[Row, Prediction | None, str]] = []
        stopped = self._answered(lambda *answer: found.append(answer))
        if self.session.json:
            self.session.emit(self._whole([prediction for _, prediction, _ in found]))
        elif (self.reasons and found) or (len(found) == 1 and found[0][1] is not None):
            self._sentences([(prediction, error) for _, prediction, error in found])
        else:
            self.session.out.print(self._table(found))
        self._say_where_it_stopped(stopped)

    def to(self, output: str) -> None:
        """Beside the rows, into a file or as CSV on stdout."""
        with self._sink(output) as sink:
            stopped = self._answered(sink.add)
            sink.close()
        where = f" to {output}" if output != "-" else ""
        skipped = _bad_rows(self.problems)
        self._say_where_it_stopped(stopped, where)
        if self.session.json:
            version = self.answer.version if self.answer else None
            self.session.emit({"output": output, "rows": self.done, "skipped": skipped, "version": version})
        else:
            self.session.note(f"{counted(self.done - skipped, 'row')} predicted{where}.")

    def _answered(self, take: Callable[[Row, Prediction | None, str], None]) -> RowcastError | None:
        """Hand over each row with its answer; what stopped it half way, for what was answered by then, and paid, is
        not to be lost."""
        try:
            for row, prediction, error in self.answers():
                take(row, prediction, error)
                self.done += 1
        except RowcastError as error:
            if not self.done:
                raise
            return error
        return None

    def _say_where_it_stopped(self, stopped: RowcastError | None, where: str = "") -> None:
        if stopped is not None:
            done = f"The first {counted(self.done, 'row')} went through{where} before this"
            self.session.note(f"{done}. Go on with row {self.done + 1:,}: they need not be sent again.")
            raise stopped

    def _sent(self) -> Iterator[dict[str, Any]]:
        """The rows as the model gets them: without the rest of its table and, of a file, without any unknown column."""
        known, rest = set(self.known), self._rest()
        if self.rows.columns is not None:
            self._compare(self.rows.columns)
        sent = False
        for number, row in enumerate(self.rows.rows, 1):
            if isinstance(row, Unread) and not self.skip_bad:
                raise self._ragged(row)
            self.pending.append((number, row))
            if isinstance(row, Unread):
                continue
            unknown = [name for name in row if name not in known]
            self.dropped.update(dict.fromkeys(name for name in unknown if name not in rest))
            kept = known.union(set(unknown) - rest) if self.rows.typed else known
            yield {name: value for name, value in row.items() if name in kept}
            sent = True
        if not sent and self.pending:
            problems = [row.problem for _, row in islice(self.pending, MOST_NAMED) if isinstance(row, Unread)]
            raise InvalidInput("file_ragged", "No row has as many cells as the header.", problems)

    def _ragged(self, first: Unread) -> InvalidInput:
        """The refusal of a file with such a row, naming some more."""
        others = (row.problem for row in self.rows.rows if isinstance(row, Unread))
        return InvalidInput("rows_invalid", "Some rows cannot be read.", [first.problem, *islice(others, MOST_NAMED)])

    def _rest(self) -> set[str]:
        """What the model's table has beside its features: the target, and what was left out."""
        if self.about is None:
            return set()
        return {self.about.target, *(item.column for item in self.about.left_out)}

    def _compare(self, columns: list[str]) -> None:
        """Refuse a file that has nothing to do with the model; say which of the model's columns it does not have."""
        absent = [name for name in self.known if name not in columns]
        if len(absent) == len(self.known):
            raise InvalidInput("columns_unknown", f"The model knows none of the columns. It needs {listed(absent)}.")
        if absent:
            self.session.note(f"Not in the file, taken as not known: {listed(absent)}.")

    def _remark(self) -> None:
        if self.dropped and not self.rows.typed:
            self.session.note(f"Not used by the model: {listed(list(self.dropped))}.")
        for problem in self.problems[:SHOWN_PROBLEMS]:
            self.session.note(f"skipped {problem.told()}")
        if self.problems:
            self.session.note(f"Without a prediction: {counted(_bad_rows(self.problems), 'row')}.")

    def _whole(self, predictions: list[Prediction | None]) -> Any:
        if self.answer is None:
            raise InvalidInput("no_rows", "There are no rows to predict.")
        return self.answer.model_copy(update={"predictions": predictions, "errors": self.problems})

    def _sentences(self, found: list[tuple[Prediction | None, str]]) -> None:
        """Each of the first rows in words, or why it has no prediction."""
        shown = found[:SHOWN_ROWS]
        for number, (prediction, error) in enumerate(shown, 1):
            if len(found) > 1:
                self.session.say(f"{'' if number == 1 else chr(10)}Row {number}", "bold")
            if prediction is None:
                self.session.say(f"No prediction. {error}")
            else:
                self._told(prediction, last=number == len(shown))
        self._remark_on_length(len(found))
        if self.answer:
            alias = f" ({self.answer.alias})" if self.answer.alias else ""
            self.session.note(f"{self.answer.model} version {self.answer.version}{alias}")

    def _told(self, prediction: Prediction, *, last: bool) -> None:
        decides = self.policy is not None and self.answer is not None and self.answer.policy == self.policy.number
        for line in told(prediction, self.about, self.policy.policy if self.policy and decides else Policy()):
            self.session.say(line)
        if self.reasons:
            show_reasons(self.session.out, prediction, legend=last)

    def _remark_on_length(self, count: int) -> None:
        if count > SHOWN_ROWS:
            self.session.note(f"The first {SHOWN_ROWS} of {count:,} rows; --output FILE writes all.")

    def _table(self, found: list[tuple[Row, Prediction | None, str]]) -> Any:
        shown = found[:SHOWN_ROWS]
        names = [name for name in self.known if any(name in row for row, _, _ in shown)][:SHOWN_COLUMNS]
        answers = [columns_of(prediction, error) for _, prediction, error in shown]
        added = list(dict.fromkeys(name for answer in answers for name in answer))
        rows = [
            (number, *(row.get(name) for name in names), *(_cell(name, answer.get(name)) for name in added))
            for number, ((row, _, _), answer) in enumerate(zip(shown, answers, strict=True), 1)
        ]
        self._remark_on_length(len(found))
        return table(("row", *map(clean, names), *map(clean, added)), rows, right=("row", *map(clean, added)))

    @contextmanager
    def _sink(self, output: str) -> Iterator[Sink]:
        suffix = Path(output).suffix.lower()
        with ExitStack() as stack:
            file = sys.stdout if output == "-" else stack.enter_context(written(Path(output)))
            if suffix in (".json", ".jsonl"):
                yield JsonSink(file, lines=suffix == ".jsonl")
                return
            classes = self.about.classes if self.about else []
            delimiter = "\t" if suffix == ".tsv" else self.rows.delimiter
            yield CsvSink(file, delimiter, classes, self.skip_bad, self.rows.columns, self._added())

    def _added(self) -> list[str]:
        """Columns beside the prediction and its probabilities."""
        numbers = self.about is not None and self.about.problem == "regression"
        policy = self.policy.policy if self.policy else Policy()
        return [
            *(["low", "high"] if numbers else []),
            *(["decision"] if policy.bands else []),
            *(["expected_profit"] if policy.payoff else []),
            *(["reasons", "notes"] if self.reasons else []),
        ]


def listed(names: list[str]) -> str:
    """The names, or the first ten of them."""
    more = f" and {len(names) - 10} more" if len(names) > 10 else ""
    return f"{', '.join(names[:10])}{more}"


def _renumbered(problem: Problem, numbers: list[int], first: int) -> Problem:
    """The problem of a row sent as that of the row in the file; ``numbers`` are those of the rows from ``first`` on."""
    return problem if problem.row is None else problem.model_copy(update={"row": numbers[problem.row - first]})


def _by_row(problems: list[Problem]) -> dict[int, str]:
    reasons: dict[int, str] = {}
    for problem in problems:
        if problem.row is not None:
            text = f"{f'{problem.field}: ' if problem.field else ''}{problem.message}"
            reasons[problem.row] = f"{reasons[problem.row]}; {text}" if problem.row in reasons else text
    return reasons


def _bad_rows(problems: list[Problem]) -> int:
    return len({problem.row for problem in problems})


def _cell(name: str, value: Any) -> Any:
    if not isinstance(value, float):
        return value
    return money(value) if name == "expected_profit" else f"{value:.4f}"
