"""Rows of a part to answers and problems: the same as a prediction call gives, as columns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import polars as pl

from rowcast.datasets.schema import Feature
from rowcast.errors import InvalidInput, Problem
from rowcast.models import recipe
from rowcast.models.decide.numbered import NumberedPolicy
from rowcast.models.decide.policy import Policy
from rowcast.models.encode.inputs import Column, Floats
from rowcast.scoring.answers import DECIMALS
from rowcast.scoring.deciding import Decider
from rowcast.scoring.files.bulk import BulkModel
from rowcast.scoring.files.cells import ColumnReader, Fault, Places
from rowcast.scoring.files.lexicon import MOST_CELLS, MOST_CELLS_OF_ALL
from rowcast.scoring.files.written import ERROR_COLUMNS
from rowcast.scoring.loaded import LoadedModel
from rowcast.scoring.predict import NO_ANSWER

MOST_PROBLEMS = 10
"""Problems of one row that are listed: beyond, a bad file of many columns would make a list larger than itself."""

_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Scored:
    """``answers`` has a row for each of the part's, all null where there is none; ``problems`` has ERROR_COLUMNS."""

    answers: pl.DataFrame
    problems: pl.DataFrame
    skipped: int


class Scorer:
    """One version of a model with the policy in force, if one decides. Safe to use from any number of threads."""

    def __init__(
        self, model: LoadedModel, bulk: BulkModel, policy: NumberedPolicy | None = None, decider: Decider | None = None
    ) -> None:
        features = [*model.schema.features, *_foreign(model, policy if decider else None)]
        most = min(MOST_CELLS, MOST_CELLS_OF_ALL // len(features))
        self._readers = [ColumnReader(feature, model.schema.missing_tokens, most) for feature in features]
        self._own = model.schema.names
        self._bulk = bulk
        self._decider = decider
        self.decides = decider is not None
        self._amounts = policy.policy.columns if policy and decider else []
        self._decided = _decided(policy.policy) if policy and decider else []
        self._render = _renderer(model)
        self._outputs = len(model.classes)

    def check(self, names: Sequence[str]) -> None:
        """Pass when a file with these columns has to do with the model, and lacks none that may not be missing.

        Raises:
            InvalidInput: it is otherwise.
        """
        known = set(names)
        absent = [reader for reader in self._readers if reader.name not in known]
        if not known.intersection(self._own):
            message = f"The model knows none of the file's columns. It needs {_listed(self._own)}."
            raise InvalidInput("columns_unknown", message)
        problems = [
            Problem(code="column_missing", message="The file has no such column, which may not be missing.", field=name)
            for name in (reader.name for reader in absent if reader.required)
        ]
        if problems:
            needed = _listed([str(problem.field) for problem in problems])
            raise InvalidInput(
                "columns_missing", f"The file lacks columns that may not be missing: {needed}.", problems
            )

    @property
    def answers(self) -> list[str]:
        """The names of the columns that it adds."""
        rendered = self._render(np.zeros((0, max(2, self._outputs)), dtype=np.float32))
        return [*rendered, *(column for column, _, _ in self._decided)]

    def score(self, frame: pl.DataFrame, first_row: int, unread: Sequence[Fault] = ()) -> Scored:
        """Answers to the rows of which the first has that number in the file, none to those that are ``unread``."""
        inputs: dict[str, Column] = {}
        faults: list[Fault] = []
        notes: list[Fault] = []  # of amounts, which cost a row its profit and nothing else
        for reader in self._readers:
            if reader.name in frame.columns:
                inputs[reader.name], found = reader.read(frame[reader.name])
                (faults if reader.name in self._own else notes).extend(found)
            else:
                inputs[reader.name] = reader.absent(frame.height)
        outputs = self._bulk.run({name: inputs[name] for name in self._own})
        if unread:  # whatever is wrong with single cells of these rows comes from that
            sound = ~_marked(frame.height, unread)
            faults, notes = [*unread, *_within(sound, faults)], _within(sound, notes)
        bad = _marked(frame.height, faults)
        beyond = np.flatnonzero(~np.isfinite(outputs).all(axis=1) & ~bad)
        if len(beyond):
            faults.append(Fault("", "row_out_of_range", NO_ANSWER, beyond))
            bad[beyond] = True
        answers = pl.DataFrame(self._render(outputs) | self._decisions(outputs, inputs))
        if bad.any():
            answers = answers.select(pl.when(pl.lit(pl.Series(~bad))).then(pl.all()))
        return Scored(answers, _table([*faults, *notes], frame.height, first_row), int(np.count_nonzero(bad)))

    def _decisions(self, outputs: Floats, inputs: dict[str, Column]) -> dict[str, pl.Series]:
        if self._decider is None:
            return {}
        amounts = {name: np.asarray(inputs[name]) for name in self._amounts}
        decisions = self._decider.decisions(outputs, amounts)
        return {
            column: pl.Series([getattr(decision, field) for decision in decisions], dtype=dtype)
            for column, field, dtype in self._decided
        }


def _foreign(model: LoadedModel, policy: NumberedPolicy | None) -> Iterable[Feature]:
    """Amounts that are no features of the model."""
    own = set(model.schema.names)
    return () if policy is None else (feature for feature in policy.columns.features if feature.name not in own)


def _decided(policy: Policy) -> list[tuple[str, str, type[pl.DataType]]]:
    """What the policy adds to answers: the name of a column, the field of a ``Decision``, and its type."""
    color = [("decision", "color", pl.String)] if policy.bands else []
    profit = [("expected_profit", "expected_profit", pl.Float64)] if policy.payoff else []
    declines = policy.payoff is not None and bool(policy.payoff.decline)
    return [*color, *profit, *([("expected_if_declined", "expected_if_declined", pl.Float64)] if declines else [])]


def _renderer(model: LoadedModel) -> Callable[[Floats], dict[str, pl.Series]]:
    """What makes columns of a model's outputs; see ``answers.renderer_of``, which makes the same numbers."""
    classes, intervals = model.classes, model.manifest.intervals

    def of_two(outputs: Floats) -> dict[str, pl.Series]:
        chosen = (outputs[:, 1] >= 0.5).astype(np.int64)
        return {"prediction": _named(classes, chosen), f"probability_{classes[1]}": _rounded(outputs[:, 1])}

    def of_many(outputs: Floats) -> dict[str, pl.Series]:
        columns = {"prediction": _named(classes, outputs.argmax(axis=1))}
        return columns | {f"probability_{name}": _rounded(outputs[:, place]) for place, name in enumerate(classes)}

    def numbers(outputs: Floats) -> dict[str, pl.Series]:
        columns = {"prediction": outputs[:, 0]}
        if intervals is not None:
            columns["low"], columns["high"] = intervals.ends(outputs)
        return {name: _shortest(values) for name, values in columns.items()}

    match model.problem:
        case recipe.Problem.BINARY:
            return of_two
        case recipe.Problem.MULTICLASS:
            return of_many
        case recipe.Problem.REGRESSION:
            return numbers


def _named(classes: Sequence[str], chosen: npt.NDArray[np.int64]) -> pl.Series:
    return pl.Series(classes, dtype=pl.String).gather(chosen)


def _rounded(probabilities: Floats) -> pl.Series:
    return pl.Series(probabilities.astype(np.float64).round(DECIMALS))


def _shortest(numbers: Floats) -> pl.Series:
    """Float64 of the shortest decimals that read back as these float32."""
    return pl.Series(numbers).cast(pl.String).cast(pl.Float64)


def _marked(count: int, faults: Iterable[Fault]) -> npt.NDArray[np.bool_]:
    """Which rows have a fault."""
    bad = np.zeros(count, dtype=np.bool_)
    for fault in faults:
        bad[fault.places] = True
    return bad


def _within(rows: npt.NDArray[np.bool_], faults: Iterable[Fault]) -> list[Fault]:
    """The faults, of these rows alone."""
    return [replace(fault, places=fault.places[rows[fault.places]]) for fault in faults]


def _table(faults: Iterable[Fault], count: int, first_row: int) -> pl.DataFrame:
    """The faults row by row, the first few of each."""
    listed = np.zeros(count, dtype=np.int64)
    frames = [_rows_of(fault, first_row, listed) for fault in faults]
    empty = pl.DataFrame(schema=dict(zip(ERROR_COLUMNS, (pl.Int64, pl.String, pl.String, pl.String), strict=True)))
    return pl.concat([empty, *frames]).sort("row", maintain_order=True)


def _rows_of(fault: Fault, first_row: int, listed: Places) -> pl.DataFrame:
    places = fault.places[listed[fault.places] < MOST_PROBLEMS]
    listed[fault.places] += 1
    said = (pl.lit(text).alias(name) for name, text in zip(ERROR_COLUMNS[1:], _texts(fault), strict=True))
    return pl.DataFrame({"row": places + first_row}).select("row", *said)


def _texts(fault: Fault) -> tuple[str, str, str]:
    return fault.field, fault.code, fault.message


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{', '.join(names[:_SHOWN])}{more}"
