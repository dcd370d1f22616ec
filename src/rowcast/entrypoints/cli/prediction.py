"""``rowcast predict``"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from rowcast.entrypoints.cli.command import command
from rowcast.entrypoints.cli.session import Session, clean
from rowcast.models.decide.policy import Policy

if TYPE_CHECKING:
    from rowcast.entrypoints.cli.reading import Row, Rows
    from rowcast.entrypoints.cli.writing import Sink
    from rowcast.errors import Problem
    from rowcast.models.views import ModelVersionDetail, PolicyVersion
    from rowcast.scoring.views import Prediction, Predictions

SHOWN_ROWS = 20
SHOWN_COLUMNS = 6
LARGE_BYTES = 20_000_000


def register(app: typer.Typer) -> None:
    command(app, "predict")(predict)


def predict(
    session: Session,
    model: Annotated[str, typer.Argument(metavar="MODEL[@ALIAS|@VERSION]", help="Model; the champion by default.")],
    source: Annotated[
        str, typer.Argument(metavar="FILE|JSON|-", help="CSV, JSON, JSON lines or Parquet; or a JSON object; or stdin.")
    ],
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", metavar="FILE|-", help="Write .csv, .json or .jsonl; - is CSV on stdout."),
    ] = None,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Answer the good rows instead of refusing all.")] = False,
    explain: Annotated[bool, typer.Option("--explain", help="Say why: the strongest reasons for each answer.")] = False,
    reasons: Annotated[int, typer.Option(min=1, max=1000, help="How many reasons, with --explain.")] = 5,
    queue: Annotated[
        bool, typer.Option("--queue", help="Through the queue: the server keeps tasks and answers.")
    ] = False,
) -> None:
    """Predict for the rows of a file, or for one row written as JSON."""
    from rowcast.entrypoints.cli.reading import reading

    if output and output != "-" and Path(output).suffix.lower() not in (".csv", ".tsv", ".json", ".jsonl"):
        raise typer.BadParameter("The output must end in .csv, .tsv, .json or .jsonl.")
    if session.json and output == "-":
        raise typer.BadParameter("--json and --output - both want stdout.")
    _advise(session, source)
    policy = _policy(session, model)
    known = list(dict.fromkeys([*session.client.models.schema(model).names, *(policy.columns if policy else ())]))
    about = _about(session, model)
    with reading(source) as rows, _in_words_of_the_command():
        run = Run(session, model, known, about, rows, skip_bad, reasons if explain else 0, policy, queue)
        run.to(output) if output else run.shown()


def _advise(session: Session, source: str) -> None:
    """Tell of the command for large files."""
    from rowcast.client.uploads import megabytes

    try:
        size = Path(source).stat().st_size
    except (OSError, ValueError):  # no file: the rows themselves, or standard input
        return
    if size > LARGE_BYTES:
        session.note(f"{megabytes(size)} take a while this way; rowcast predict-file is made for such files.")


@contextmanager
def _in_words_of_the_command() -> Iterator[None]:
    """The refusal of bad rows with the option that helps, instead of the field of a request."""
    from rowcast.errors import InvalidInput

    try:
        yield
    except InvalidInput as error:
        if error.code != "rows_invalid":
            raise
        message = "Some rows cannot be read. Correct them, or predict only the others with --skip-bad."
        raise InvalidInput(error.code, message, error.problems, **error.details) from None


@dataclass
class Run:
    """One file on its way through a model. Each row waits in ``pending`` until its answer is there."""

    session: Session
    model: str
    known: list[str]
    about: ModelVersionDetail | None
    rows: Rows
    skip_bad: bool
    reasons: int = 0
    policy: PolicyVersion | None = None
    queue: bool = False
    pending: deque[Row] = field(default_factory=deque)
    dropped: dict[str, None] = field(default_factory=dict)
    answer: Predictions | None = None
    problems: list[Problem] = field(default_factory=list)

    def answers(self) -> Iterator[tuple[Row, Prediction | None, str]]:
        """Each row as it came with its prediction, or with why it has none; reads only as far as needed."""
        on_error: Literal["fail", "skip"] = "skip" if self.skip_bad else "fail"
        first = 1
        sent = self._sent()
        predict = partial(self.session.client.predict_each, on_error=on_error, explain=self.reasons, queue=self.queue)
        for answer in predict(self.model, sent):
            reasons = _by_row(answer.errors)
            for number, prediction in enumerate(answer.predictions, first):
                yield self.pending.popleft(), prediction, reasons.get(number, "")
            first += len(answer.predictions)
            self.problems += answer.errors
            self.answer = self.answer or answer
        self._remark()

    def shown(self) -> None:
        """As JSON, as a sentence for one row, or as a table of the first rows."""
        found = list(self.answers())
        if self.session.json:
            self.session.emit(self._whole([prediction for _, prediction, _ in found]))
        elif len(found) == 1 and found[0][1] is not None:
            self._sentence(found[0][1])
        else:
            self.session.out.print(self._table(found))

    def to(self, output: str) -> None:
        """Beside the rows, into a file or as CSV on stdout."""
        from rowcast.entrypoints.cli.tables import counted

        count = 0
        with self._sink(output) as sink:
            for row, prediction, error in self.answers():
                sink.add(row, prediction, error)
                count += 1
            sink.close()
        if self.session.json:
            version = self.answer.version if self.answer else None
            self.session.emit(
                {"output": output, "rows": count, "skipped": _bad_rows(self.problems), "version": version}
            )
        else:
            self.session.note(f"{counted(count, 'row')} predicted{f' to {output}' if output != '-' else ''}.")

    def _sent(self) -> Iterator[dict[str, Any]]:
        """The rows as the model gets them: without the rest of its table and, of a file, without any unknown column."""
        known, rest = set(self.known), self._rest()
        if self.rows.columns is not None:
            self._compare(self.rows.columns)
        for row in self.rows.rows:
            self.pending.append(row)
            unknown = [name for name in row if name not in known]
            self.dropped.update(dict.fromkeys(name for name in unknown if name not in rest))
            kept = known.union(set(unknown) - rest) if self.rows.typed else known
            yield {name: value for name, value in row.items() if name in kept}

    def _rest(self) -> set[str]:
        """What the model's table has beside its features: the target, and what was left out."""
        if self.about is None:
            return set()
        return {self.about.target, *(item.column for item in self.about.left_out)}

    def _compare(self, columns: list[str]) -> None:
        """Refuse a file that has nothing to do with the model; say which of the model's columns it does not have."""
        from rowcast.errors import InvalidInput

        absent = [name for name in self.known if name not in columns]
        if len(absent) == len(self.known):
            raise InvalidInput("columns_unknown", f"The model knows none of the columns. It needs {listed(absent)}.")
        if absent:
            self.session.note(f"Not in the file, taken as not known: {listed(absent)}.")

    def _remark(self) -> None:
        from rowcast.entrypoints.cli.failures import SHOWN_PROBLEMS, place
        from rowcast.entrypoints.cli.tables import counted

        if self.dropped and not self.rows.typed:
            self.session.note(f"Not used by the model: {listed(list(self.dropped))}.")
        for problem in self.problems[:SHOWN_PROBLEMS]:
            self.session.note(f"skipped {place(problem)}{problem.message}")
        if self.problems:
            self.session.note(f"Without a prediction: {counted(_bad_rows(self.problems), 'row')}.")

    def _whole(self, predictions: list[Prediction | None]) -> Any:
        from rowcast.errors import InvalidInput

        if self.answer is None:
            raise InvalidInput("no_rows", "There are no rows to predict.")
        return self.answer.model_copy(update={"predictions": predictions, "errors": self.problems})

    def _sentence(self, prediction: Prediction) -> None:
        from rowcast.entrypoints.cli.decided import told
        from rowcast.entrypoints.cli.explained import show_reasons

        decides = self.policy is not None and self.answer is not None and self.answer.policy == self.policy.number
        for line in told(prediction, self.about, self.policy.policy if self.policy and decides else Policy()):
            self.session.say(line)
        if self.reasons:
            show_reasons(self.session.out, prediction)
        if self.answer:
            alias = f" ({self.answer.alias})" if self.answer.alias else ""
            self.session.note(f"{self.answer.model} version {self.answer.version}{alias}")

    def _table(self, found: list[tuple[Row, Prediction | None, str]]) -> Any:
        from rowcast.entrypoints.cli.tables import table
        from rowcast.entrypoints.cli.writing import columns_of

        shown = found[:SHOWN_ROWS]
        names = [name for name in self.known if any(name in row for row, _, _ in shown)][:SHOWN_COLUMNS]
        answers = [columns_of(prediction, error) for _, prediction, error in shown]
        added = list(dict.fromkeys(name for answer in answers for name in answer))
        rows = [
            (number, *(row.get(name) for name in names), *(_cell(name, answer.get(name)) for name in added))
            for number, ((row, _, _), answer) in enumerate(zip(shown, answers, strict=True), 1)
        ]
        if len(found) > len(shown):
            self.session.note(f"The first {len(shown)} of {len(found):,} rows; --output FILE writes all.")
        return table(("row", *map(clean, names), *map(clean, added)), rows, right=("row", *map(clean, added)))

    @contextmanager
    def _sink(self, output: str) -> Iterator[Sink]:
        from rowcast.entrypoints.cli.writing import CsvSink, JsonSink, written

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
            *(["reasons"] if self.reasons else []),
        ]


def listed(names: list[str]) -> str:
    """The names, or the first ten of them."""
    more = f" and {len(names) - 10} more" if len(names) > 10 else ""
    return f"{', '.join(names[:10])}{more}"


def _about(session: Session, model: str) -> ModelVersionDetail | None:
    """The version in full, for words about it; None when the caller may only predict."""
    from rowcast.errors import Forbidden, NotFound

    try:
        return session.client.models.version(model)
    except (Forbidden, NotFound):
        return None


def _policy(session: Session, model: str) -> PolicyVersion | None:
    """The policy in force, for words about it and for the amounts that it needs; None where there is none."""
    from rowcast.errors import NotFound

    try:
        return session.client.policies.get(model.partition("@")[0])
    except NotFound:
        return None


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
    from rowcast.entrypoints.cli.decided import money

    if not isinstance(value, float):
        return value
    return money(value) if name == "expected_profit" else f"{value:.4f}"
