"""Predict: rows in, answers out, with the model that the caller's reference stood for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from rowcast.datasets.row_faults import MAX_PROBLEMS
from rowcast.datasets.rows import Rows
from rowcast.errors import InvalidInput, Problem
from rowcast.scoring import unfamiliar
from rowcast.scoring.answers import NO_OUTPUTS, Answer, Answers, Outputs
from rowcast.scoring.explaining import check_row_count
from rowcast.scoring.explaining import explain as explanations
from rowcast.scoring.loaded import LoadedModel, Served
from rowcast.scoring.requests import RowsToScore

NO_ANSWER = "The model has no answer to numbers as large as in this row: check their units."


class Run(NamedTuple):
    """Rows that were read, and what the model gave for them."""

    read: Rows
    outputs: Outputs


def answered(served: Served, asked: RowsToScore[Any], run: Run | None = None) -> tuple[Answers, Outputs]:
    """Answers to the rows in their order; with ``on_error="skip"`` None for those that cannot be read, else an error.

    Touches neither database nor storage, but for the first call with ``explain``: the number
    of reasons that go with every answer, True for all; such a call takes long enough to keep it off an event loop.
    A decider adds its decisions, and lets rows bring along the amounts that it needs. Beside the answers come the
    outputs that they were made of, for the rows that were answered. What was ``run`` already is not run again.

    Raises:
        InvalidInput: a row cannot be answered and bad ones are not to be skipped; ``problems`` names rows and fields.
        TooLarge: more rows than are explained in one call.
        Unavailable: the model cannot be opened to explain it.
    """
    model, decider, rows = served.model, served.decider, asked.rows
    if asked.explain:
        check_row_count(len(rows))
    reader = served.text_reader if asked.explain else served.reader
    read = run.read if run is not None else reader.read(rows, skip_bad=asked.skip_bad)
    if not read.count:
        return _answers(served, len(rows), read, []), NO_OUTPUTS
    amounts = {} if decider is None else decider.take(read.inputs)
    outputs = run.outputs if run is not None else model.runtime.run(read.inputs)
    if not np.isfinite(outputs).all():
        finite = np.isfinite(outputs).all(axis=1)
        read, outputs = _without_answer(read, outputs, len(rows), skip_bad=asked.skip_bad)
        amounts = {name: column[finite] for name, column in amounts.items()}
    answers = model.render(outputs)
    if decider is not None:
        for answer, decision in zip(answers, decider.decisions(outputs, amounts, _notes(read)), strict=True):
            answer.decision = decision
    if asked.explain:
        _add_reasons(model, rows, read, outputs, answers, None if asked.explain is True else int(asked.explain))
    return _answers(served, len(rows), read, answers), outputs


def _add_reasons(
    model: LoadedModel, rows: Sequence[Any], read: Rows, outputs: Outputs, answers: list[Answer], most: int | None
) -> None:
    if not answers:
        return
    sent = rows if read.kept is None else [rows[position] for position in read.kept]
    for answer, reasons in zip(answers, explanations(model, sent, read.inputs, outputs, most), strict=True):
        answer.explanation = reasons
    beyond = unfamiliar.notes(model.schema, model.runtime.codes, sent, read.inputs)
    for answer, notes in zip(answers, beyond, strict=True):
        answer.notes = notes or None


def _notes(read: Rows) -> dict[int, list[Problem]]:
    """By place among the rows that are answered, what of them could not be read and need not."""
    if not read.notes:
        return {}
    positions = range(read.count) if read.kept is None else read.kept
    places = {position + 1: place for place, position in enumerate(positions)}
    found: dict[int, list[Problem]] = {}
    for note in read.notes:
        if note.row in places:
            found.setdefault(places[note.row], []).append(note)
    return found


def _answers(served: Served, row_count: int, read: Rows, answers: list[Answer]) -> Answers:
    predictions: list[Answer | None] = [*answers]
    if read.kept is not None:
        predictions = [None] * row_count
        for position, answer in zip(read.kept, answers, strict=True):
            predictions[position] = answer
    errors = [problem.model_dump(exclude_none=True) for problem in read.problems]
    key, policy = served.model.key, served.decider.number if served.decider is not None else None
    return Answers(key.model, key.number, served.alias, predictions, errors, policy)


def _without_answer(read: Rows, outputs: Outputs, row_count: int, *, skip_bad: bool) -> tuple[Rows, Outputs]:
    """The rows without those to which the model answers no finite number: their values are beyond its arithmetic.

    Raises:
        InvalidInput: bad rows are not to be skipped.
    """
    positions = read.kept if read.kept is not None else list(range(row_count))
    finite = np.isfinite(outputs).all(axis=1)
    bad = [positions[place] for place in np.flatnonzero(~finite).tolist()]
    problems = [Problem(code="row_out_of_range", message=NO_ANSWER, row=position + 1) for position in bad]
    if not skip_bad:
        message = f"{len(bad)} of {row_count} rows have no answer; see the problems."
        raise InvalidInput("rows_invalid", message, problems[:MAX_PROBLEMS])
    kept = [positions[place] for place in np.flatnonzero(finite).tolist()]
    both = sorted([*read.problems, *problems], key=lambda problem: problem.row or 0)
    inputs = {name: column[finite] for name, column in read.inputs.items()}
    return Rows(inputs, len(kept), both, kept, read.notes), outputs[finite]
