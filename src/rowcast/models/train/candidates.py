"""Candidates: every algorithm fitted on every fold, its held-out predictions kept, then fitted for serving."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rowcast.datasets.schema import Feature
from rowcast.errors import Internal, RowcastError
from rowcast.models.algorithms import learner_of
from rowcast.models.algorithms.learner import Examples, Learner, Lesson, Link
from rowcast.models.calibrate.maps import predictions
from rowcast.models.encode.encoder import Encoder, Style, fit_encoder
from rowcast.models.encode.inputs import Floats, Indices, Inputs, take
from rowcast.models.evaluate.importance import drops_in_score
from rowcast.models.evaluate.metrics import score
from rowcast.models.recipe import Problem
from rowcast.models.train.folds import Fold, watched_split
from rowcast.models.train.member import Member
from rowcast.models.train.target import scaled

ONE_CORE_ROWS = 500
"""Below this a second thread costs more than it brings."""

Step = Callable[[str, float, "int | None", "float | None"], None]
"""Told of an algorithm, the fraction of its present fit, the fold it is in (from 1) and the fold's score when done."""


@dataclass(frozen=True)
class Table:
    """The rows that a training uses: inputs, targets (class codes or numbers) and what they are."""

    features: Sequence[Feature]
    inputs: Inputs
    y: NDArray[Any]
    problem: Problem
    classes: list[str]

    def take(self, rows: Indices) -> Table:
        return replace(self, inputs=take(self.inputs, rows), y=self.y[rows])


@dataclass(frozen=True)
class Conditions:
    """What all fits of a training share."""

    seed: int
    threads: int
    balanced: bool
    in_time: bool


@dataclass
class Candidate:
    """One algorithm: what came of its folds so far. ``scored`` [N,outputs] is NaN for rows that no fold has tested."""

    algorithm: str
    hyperparameters: dict[str, Any]
    scored: Floats
    scores: list[float] = field(default_factory=list)
    """The primary metric in every fold."""
    link: Link = Link.NUMBER
    members: list[Member] = field(default_factory=list)
    rounds: list[float] = field(default_factory=list)
    """Trees that stopped early, scaled to all rows of the table."""
    drops: list[NDArray[np.float64]] = field(default_factory=list)
    """Per fold the loss in the primary metric when each feature is shuffled."""
    seconds: float = 0.0
    failure: RowcastError | None = None


@dataclass(frozen=True)
class _Encoded:
    """The rows of one fold as one style of learner sees them."""

    encoder: Encoder
    training: Floats
    testing: Floats


def cross_validate(
    table: Table,
    folds: Sequence[Fold],
    hyperparameters: dict[str, dict[str, Any]],
    conditions: Conditions,
    keep_members: bool,
    step: Step,
) -> list[Candidate]:
    """Every algorithm on every fold. One that fails carries its failure and skips its other folds.

    Folds are the outer loop, so that the algorithms share the encoded rows of each.
    """
    width = len(table.classes) if table.problem is Problem.MULTICLASS else 1
    candidates = [
        Candidate(name, values, np.full((len(table.y), width), np.nan, dtype=np.float32))
        for name, values in hyperparameters.items()
    ]
    for number, fold in enumerate(folds, start=1):
        for candidate, encoded in _encodings(candidates, table, fold, conditions):
            _fit_fold(candidate, table, fold, encoded, conditions, keep_members, number, step, len(folds))
    return candidates


def _encodings(
    candidates: Sequence[Candidate], table: Table, fold: Fold, conditions: Conditions
) -> Iterator[tuple[Candidate, _Encoded]]:
    """Each candidate with its view of the fold, styles together, so that one encoding at a time is in memory."""
    training, testing = table.take(fold.training), table.take(fold.testing)
    for style in Style:
        of_style = [c for c in candidates if c.failure is None and learner_of(c.algorithm).style is style]
        if not of_style:
            continue
        encoder, matrix = fit_encoder(
            table.features, training.inputs, training.y, table.problem, style, conditions.seed
        )
        encoded = _Encoded(encoder, matrix, encoder.transform(testing.inputs))
        for candidate in of_style:
            yield candidate, encoded


def _fit_fold(
    candidate: Candidate,
    table: Table,
    fold: Fold,
    encoded: _Encoded,
    conditions: Conditions,
    keep_member: bool,
    number: int,
    step: Step,
    fold_count: int,
) -> None:
    started = time.perf_counter()
    try:
        member, rounds = _fit(
            candidate, table, fold.training, encoded.training, encoded.encoder, conditions, number, step
        )
        scored = member.score(encoded.testing)
        reached = score(table.problem, table.y[fold.testing], predictions(member.model.link, scored))
    except Exception as error:  # noqa: BLE001 - one library's failure must not lose the other candidates
        candidate.failure = _failure(candidate.algorithm, error)
        return
    candidate.scored[fold.testing] = scored
    candidate.link = member.model.link
    candidate.scores.append(reached)
    candidate.rounds += [] if rounds is None else [rounds]
    candidate.members += [member] if keep_member else []
    step(candidate.algorithm, 1.0, number, reached)
    candidate.drops.append(
        drops_in_score(
            table.problem, member, encoded.testing, table.y[fold.testing], table.features, conditions.seed, fold_count
        )
    )
    candidate.seconds += time.perf_counter() - started


def _failure(algorithm: str, error: Exception) -> RowcastError:
    if isinstance(error, RowcastError):
        return error
    # The text of a library's exception may hold data; its type does not.
    return Internal("training_failed", f"{algorithm} failed with {type(error).__name__}; try other hyperparameters.")


def _fit(
    candidate: Candidate,
    table: Table,
    rows: Indices,
    matrix: Floats,
    encoder: Encoder,
    conditions: Conditions,
    fold: int | None,
    step: Step,
) -> tuple[Member, float | None]:
    """Fit on these rows, stopping early on a part of them; the model, and its trees scaled to the whole table."""
    learner = learner_of(candidate.algorithm)
    y, center, spread = _targets(table, rows)
    examples = Examples(matrix, y, _weights(table, y, conditions))
    watch = None
    if learner.stops_early:
        kept, watched = watched_split(y, conditions.seed, by_class=bool(table.classes), in_time=conditions.in_time)
        if len(watched):
            examples, watch = _part(examples, kept), _part(examples, watched)
    lesson = _lesson(candidate, learner, table, examples, conditions, fold, step)
    model = learner.fit(replace(lesson, watch=watch))
    rounds = None if watch is None or model.rounds is None else model.rounds * (len(table.y) / len(examples.y)) ** 0.5
    return Member(encoder, model, center, spread), rounds


def fit_for_serving(candidate: Candidate, table: Table, conditions: Conditions, step: Step) -> Member:
    """One model on all rows, with as many trees as the folds' models stopped at, scaled for the more rows."""
    learner = learner_of(candidate.algorithm)
    encoder, matrix = fit_encoder(table.features, table.inputs, table.y, table.problem, learner.style, conditions.seed)
    every = np.arange(len(table.y))
    if learner.stops_early and not candidate.rounds:
        return _fit(candidate, table, every, matrix, encoder, conditions, None, step)[0]
    y, center, spread = _targets(table, every)
    examples = Examples(matrix, y, _weights(table, y, conditions))
    lesson = _lesson(candidate, learner, table, examples, conditions, None, step)
    rounds = max(1, round(float(np.mean(candidate.rounds)))) if candidate.rounds else None
    return Member(encoder, learner.fit(replace(lesson, rounds=rounds)), center, spread)


def _lesson(
    candidate: Candidate,
    learner: Learner,
    table: Table,
    examples: Examples,
    conditions: Conditions,
    fold: int | None,
    step: Step,
) -> Lesson:
    return Lesson(
        problem=table.problem,
        class_count=len(table.classes),
        training=examples,
        hyperparameters=candidate.hyperparameters,
        seed=conditions.seed,
        threads=conditions.threads if len(examples.y) >= ONE_CORE_ROWS else 1,
        tick=lambda fraction: step(candidate.algorithm, fraction, fold, None),
    )


def with_automatic(algorithm: str, hyperparameters: dict[str, Any], rows: int) -> dict[str, Any]:
    """The hyperparameters with the automatic ones set for a table of this size."""
    automatic = learner_of(algorithm).automatic(rows)
    return {name: automatic.get(name) if value is None else value for name, value in hyperparameters.items()}


def _targets(table: Table, rows: Indices) -> tuple[NDArray[Any], float, float]:
    if table.classes:
        return table.y[rows], 0.0, 1.0
    y, center, spread = scaled(table.y[rows])
    return y.astype(np.float32), center, spread


def _weights(table: Table, y: NDArray[Any], conditions: Conditions) -> Floats | None:
    if not (conditions.balanced and table.classes):
        return None
    counts = np.bincount(y, minlength=len(table.classes))
    present = np.count_nonzero(counts)
    by_class = np.divide(len(y), present * counts, out=np.zeros(len(counts)), where=counts > 0)
    weights: Floats = by_class[y].astype(np.float32)
    return weights


def _part(examples: Examples, rows: Indices) -> Examples:
    weights = None if examples.weights is None else examples.weights[rows]
    return Examples(examples.x[rows], examples.y[rows], weights)
