"""Candidates: every algorithm fitted on every fold, its held-out predictions kept, then fitted for serving."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import Any, NamedTuple

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

_FOLDS_AT_ONCE_ROWS = 100_000
"""Below this as many folds are fitted at once as there are threads, with one thread each: in a fit of few rows threads
mostly wait. Beyond, copies of the rows would fill the memory."""

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
    in_time: bool


@dataclass(frozen=True)
class Preparation:
    """What is done to a table before it is learned from: see the recipe. ``features`` are all where None."""

    features: tuple[str, ...] | None = None
    clip: bool = False
    balanced: bool = False


class View(NamedTuple):
    """What the rows look like to a learner."""

    style: Style
    one_hot: bool
    clip: bool
    features: tuple[str, ...] | None


@dataclass
class Candidate:
    """One way to learn: what came of its folds so far. ``scored`` [N,outputs] is NaN for rows that no fold has tested.

    An ensemble has ``parts``, which are candidates themselves, each with its weight in the mean.
    """

    algorithm: str
    hyperparameters: dict[str, Any]
    scored: Floats
    preparation: Preparation = Preparation()
    weight: float = 1.0
    parts: list[Candidate] = field(default_factory=list)
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

    @property
    def view(self) -> View:
        """Candidates with the same view can share their encoded rows."""
        one_hot = bool(self.hyperparameters.get("one_hot", False))
        return View(learner_of(self.algorithm).style, one_hot, self.preparation.clip, self.preparation.features)

    def add(self, fold: Candidate) -> None:
        """What came of one more fold, whose scores are in ``scored`` already."""
        self.scores += fold.scores
        self.members += fold.members
        self.rounds += fold.rounds
        self.drops += fold.drops
        self.seconds += fold.seconds
        self.link = fold.link


@dataclass(frozen=True)
class Encoded:
    """The rows of one fold in one view."""

    encoder: Encoder
    training: Floats
    testing: Floats


def cross_validate(
    table: Table,
    folds: Sequence[Fold],
    candidates: Sequence[Candidate],
    conditions: Conditions,
    keep_members: bool,
    step: Step,
) -> None:
    """Every candidate on every fold. One that fails carries its failure and skips its other folds.

    Folds are the outer loop, so that the candidates share the encoded rows of each.
    """
    at_once = min(conditions.threads, len(folds)) if len(table.y) < _FOLDS_AT_ONCE_ROWS else 1
    each = conditions if at_once == 1 else replace(conditions, threads=1)
    one_at_a_time = Lock()

    def tell(*told: Any) -> None:
        with one_at_a_time:
            step(*told)

    def attempt(number: int, fold: Fold) -> list[Candidate]:
        attempts = [replace(one, scores=[], members=[], rounds=[], drops=[], seconds=0.0) for one in candidates]
        for candidate, encoded in _encodings(attempts, table, fold, each):
            member = fit_fold(candidate, table, fold, encoded, each, number, tell, serves=keep_members)
            if member is not None:
                candidate.members += [member] if keep_members else []
                _measure_features(candidate, table, fold, encoded, member, each, len(folds))
        for candidate, found in zip(candidates, attempts, strict=True):
            candidate.failure = candidate.failure or found.failure
        return attempts

    with ThreadPoolExecutor(at_once) as pool:
        for attempts in pool.map(attempt, range(1, len(folds) + 1), folds):
            for candidate, found in zip(candidates, attempts, strict=True):
                candidate.add(found)


def _encodings(
    candidates: Sequence[Candidate], table: Table, fold: Fold, conditions: Conditions
) -> Iterator[tuple[Candidate, Encoded]]:
    """Each candidate with its view of the fold, those alike together, so that one encoding at a time is in memory."""
    alike: dict[View, list[Candidate]] = {}
    for candidate in candidates:
        alike.setdefault(candidate.view, []).append(candidate)
    for same in alike.values():
        going = [candidate for candidate in same if candidate.failure is None]
        if going:
            encoded = encode(going[0], table, fold, conditions)
            yield from ((candidate, encoded) for candidate in going)


def encode(candidate: Candidate, table: Table, fold: Fold, conditions: Conditions) -> Encoded:
    """The rows of a fold as the candidate's learner sees them, by an encoder fitted on those it learns from."""
    encoder, matrix = _fit_encoder(candidate, table.take(fold.training), conditions)
    return Encoded(encoder, matrix, encoder.transform(take(table.inputs, fold.testing)))


def _fit_encoder(candidate: Candidate, table: Table, conditions: Conditions) -> tuple[Encoder, Floats]:
    view = candidate.view
    features = [one for one in table.features if view.features is None or one.name in view.features]
    return fit_encoder(
        features,
        table.inputs,
        table.y,
        table.problem,
        view.style,
        conditions.seed,
        clip=view.clip,
        one_hot=view.one_hot,
    )


def fit_fold(
    candidate: Candidate,
    table: Table,
    fold: Fold,
    encoded: Encoded,
    conditions: Conditions,
    number: int,
    step: Step,
    *,
    serves: bool = False,
) -> Member | None:
    """Fit the candidate on a fold and keep its scores of the rows tested; None, with its failure kept, if it fails.

    A model that ``serves`` is fitted once more on all rows of the fold that are learned from, those that it was stopped
    by too, with trees scaled for the more rows.
    """
    started = time.perf_counter()
    rows, matrix, encoder = fold.training, encoded.training, encoded.encoder
    try:
        member, rounds = _fit(candidate, table, rows, matrix, encoder, conditions, number, step)
        if serves and rounds is not None:
            trees = rounds * (len(rows) / len(table.y)) ** 0.5
            member = _fit_whole(candidate, table, rows, matrix, encoder, conditions, number, trees, step)
        scored = member.score(encoded.testing)
        reached = score(table.problem, table.y[fold.testing], predictions(member.model.link, scored))
    except Exception as error:  # noqa: BLE001 - one library's failure must not lose the other candidates
        candidate.failure = failure_of(candidate.algorithm, error)
        return None
    candidate.scored[fold.testing] = scored
    candidate.link = member.model.link
    candidate.scores.append(reached)
    candidate.rounds += [] if rounds is None else [rounds]
    candidate.seconds += time.perf_counter() - started
    step(candidate.algorithm, 1.0, number, reached)
    return member


def _measure_features(
    candidate: Candidate,
    table: Table,
    fold: Fold,
    encoded: Encoded,
    member: Member,
    conditions: Conditions,
    fold_count: int,
) -> None:
    started = time.perf_counter()
    truth = table.y[fold.testing]
    drops = drops_in_score(table.problem, member, encoded.testing, truth, table.features, conditions.seed, fold_count)
    candidate.drops.append(drops)
    candidate.seconds += time.perf_counter() - started


def failure_of(algorithm: str, error: Exception) -> RowcastError:
    """The error as one of ours."""
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
    examples = Examples(matrix, y, _weights(candidate, table, y))
    watch = None
    if learner.stops_early:
        kept, watched = watched_split(y, conditions.seed, by_class=bool(table.classes), in_time=conditions.in_time)
        if len(watched):
            examples, watch = _part(examples, kept), _part(examples, watched)
    lesson = _lesson(candidate, learner, table, examples, conditions, fold, step)
    model = learner.fit(replace(lesson, watch=watch))
    rounds = None if watch is None or model.rounds is None else model.rounds * (len(table.y) / len(examples.y)) ** 0.5
    return Member(encoder, model, candidate.algorithm, center, spread), rounds


def untried(
    table: Table, algorithm: str, hyperparameters: dict[str, Any], preparation: Preparation, weight: float = 1.0
) -> Candidate:
    """A candidate that no fold has been fitted of yet."""
    width = len(table.classes) if table.problem is Problem.MULTICLASS else 1
    scored = np.full((len(table.y), width), np.nan, dtype=np.float32)
    return Candidate(algorithm, hyperparameters, scored, preparation, weight)


def fit_for_serving(candidate: Candidate, table: Table, conditions: Conditions, step: Step) -> Member:
    """One model on all rows, with as many trees as the folds' models stopped at, scaled for the more rows."""
    encoder, matrix = _fit_encoder(candidate, table, conditions)
    every = np.arange(len(table.y))
    if learner_of(candidate.algorithm).stops_early and not candidate.rounds:
        return _fit(candidate, table, every, matrix, encoder, conditions, None, step)[0]
    trees = float(np.mean(candidate.rounds)) if candidate.rounds else None
    return _fit_whole(candidate, table, every, matrix, encoder, conditions, None, trees, step)


def _fit_whole(
    candidate: Candidate,
    table: Table,
    rows: Indices,
    matrix: Floats,
    encoder: Encoder,
    conditions: Conditions,
    fold: int | None,
    trees: float | None,
    step: Step,
) -> Member:
    """Fit on all of these rows, with so many trees."""
    learner = learner_of(candidate.algorithm)
    y, center, spread = _targets(table, rows)
    examples = Examples(matrix, y, _weights(candidate, table, y))
    lesson = _lesson(candidate, learner, table, examples, conditions, fold, step)
    model = learner.fit(replace(lesson, rounds=None if trees is None else max(1, round(trees))))
    return Member(encoder, model, candidate.algorithm, center, spread)


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


def _weights(candidate: Candidate, table: Table, y: NDArray[Any]) -> Floats | None:
    if not (candidate.preparation.balanced and table.classes):
        return None
    weights: Floats = class_weights(y, len(table.classes))[y]
    return weights


def class_weights(y: NDArray[Any], classes: int) -> Floats:
    """By class code the weight with which all classes count alike; 0 for a class that is not among the rows."""
    counts = np.bincount(y, minlength=classes)
    by_class = np.divide(len(y), np.count_nonzero(counts) * counts, out=np.zeros(classes), where=counts > 0)
    weights: Floats = by_class.astype(np.float32)
    return weights


def _part(examples: Examples, rows: Indices) -> Examples:
    weights = None if examples.weights is None else examples.weights[rows]
    return Examples(examples.x[rows], examples.y[rows], weights)
