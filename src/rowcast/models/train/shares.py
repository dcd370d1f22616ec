"""Training on a table that one process does not hold: three jobs, of which several processes share the second.

``prepare_shares`` reads one of so many rows, and learns from a half of them all but the trees: which columns are left
out, the classes, the encoder. ``fit_share`` has a share of the other rows in memory, encoded, and grows trees together
with those who have the rest; all watch a quarter of the sample to stop early. ``finish_shares`` judges and calibrates
the model on the last quarter and packs it as any other. So no row that a figure comes from has been learned from, and a
target's mean by category is never that of a row which is learned from.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import polars as pl

from rowcast.datasets.objects import table_key
from rowcast.datasets.ports import Progress, Report, Storage
from rowcast.datasets.row_groups import RowGroups
from rowcast.datasets.schema import FeatureSchema
from rowcast.errors import RowcastError
from rowcast.models.algorithms import learner_of
from rowcast.models.algorithms.learner import Examples, FittedModel, Lesson, Together
from rowcast.models.bundle.contents import DatasetReference
from rowcast.models.calibrate.maps import predictions
from rowcast.models.encode.encoder import Encoder, Style, fit_encoder
from rowcast.models.encode.inputs import Indices, take
from rowcast.models.evaluate.importance import drops_in_score
from rowcast.models.evaluate.metrics import score
from rowcast.models.recipe import Recipe, TrainingRequest
from rowcast.models.train.candidates import (
    Candidate,
    Conditions,
    Preparation,
    class_weights,
    failure_of,
    untried,
    with_automatic,
)
from rowcast.models.train.fold_plan import TestedRows
from rowcast.models.train.folds import Fold, random_folds
from rowcast.models.train.judging import Judged, judge
from rowcast.models.train.kinds import with_kinds
from rowcast.models.train.member import Member
from rowcast.models.train.preparing import Prepared, Tell, prepare
from rowcast.models.train.progress import TrainingProgress
from rowcast.models.train.reading import read_target
from rowcast.models.train.target import scaled
from rowcast.models.train.terms import Terms, encoded, examples_of, of_sample, packed, sample_rows, unpacked
from rowcast.models.train.training import best_first, outcome, serve, wait_without_spinning

SAMPLE_ROWS = 400_000
"""What one process prepares at ease, and enough to know a ROC AUC to 0.003."""

_LEAST_STEP = 5
"""Of a smaller table one of five rows is sampled: more would be missed in learning."""

_STRETCHES = 16
"""So many parts of the table make a share: one alone might hold no row of use, as the newest have no outcome yet."""

_READING = 0.3
"""Share of a fit's progress before the first tree."""


@dataclass(frozen=True)
class Sample:
    """The rows of the sample, and which of them the encoder learns from, all shares watch, and figures come from."""

    prepared: Prepared
    encoded: Indices
    watched: Indices
    judged: Indices


def prepare_shares(
    storage: Storage,
    report: Report,
    *,
    request: dict[str, Any],
    content_hash: str,
    schema: dict[str, Any],
    work_prefix: str,
) -> dict[str, Any]:
    """Leave the sample, the terms and the rows to watch under ``work_prefix``. Raises as ``preparing.prepare``."""
    wait_without_spinning()
    storage.delete(work_prefix)  # what an interrupted run of the same job left
    progress = TrainingProgress(report)
    asked, columns = TrainingRequest.model_validate(request).recipe(), FeatureSchema.model_validate(schema)
    groups = RowGroups(storage, table_key(content_hash))
    step = max(_LEAST_STEP, -(-groups.row_count // SAMPLE_ROWS))
    with TemporaryDirectory(prefix="rowcast-sample-") as folder:
        path = Path(folder) / "sample.parquet"
        _sampled(groups, columns, step, asked.seed, progress.prepare).write_parquet(path)
        columns = with_kinds(path, columns, asked.kinds)
        sample = _open(path, step, asked, columns, progress.prepare)
        storage.put_file(_sample_key(work_prefix), path)
        terms, watched = _terms(path, sample, columns, step, groups.row_count)
    storage.put(_terms_key(work_prefix), terms.model_dump_json().encode())
    storage.put(_watched_key(work_prefix), packed(watched))
    return {}


def fit_share(
    storage: Storage,
    report: Report,
    *,
    content_hash: str,
    work_prefix: str,
    algorithm: str,
    share: int,
    shares: int,
    network: dict[str, Any],
    threads: int,
) -> dict[str, Any]:
    """Grow a model together with the other shares; the first of them leaves it under ``work_prefix``, and as it was
    every few trees: there they all go on when they are started again. Returns how many ``shares`` there were.

    Raises ``ConnectionError`` when growing failed, which may be because another share was lost.
    """
    wait_without_spinning()
    place = f"{work_prefix}/{algorithm}"
    told: Report = report if share == 0 else _nothing
    terms = Terms.model_validate_json(storage.read(_terms_key(work_prefix)))
    groups = RowGroups(storage, table_key(content_hash))
    training = examples_of(groups, terms, _stretches(groups.row_count, share, shares), _reading(told, algorithm))
    storage.put(f"{place}/rows/{share}", str(len(training.y)).encode())
    lesson = Lesson(
        problem=terms.problem,
        class_count=len(terms.classes),
        training=training,
        hyperparameters=terms.hyperparameters[algorithm],
        seed=terms.seed,
        threads=threads,
        watch=unpacked(storage.read(_watched_key(work_prefix))),
        tick=_growing(told, algorithm),
        together=_together(storage, f"{place}/kept", network, first=share == 0),
    )
    model = _grown(algorithm, lesson, shares)
    if share == 0:
        _keep(model, storage, f"{place}/model")
    return {"shares": shares}


def finish_shares(
    storage: Storage,
    report: Report,
    *,
    request: dict[str, Any],
    content_hash: str,
    dataset_number: int,
    schema: dict[str, Any],
    work_prefix: str,
    bundle_prefix: str,
    shares: int,
    warnings: list[str],
    threads: int,
) -> dict[str, Any]:
    """What ``training.train`` gives, of the models that ``fit_share`` has left; with further warnings."""
    wait_without_spinning()
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    asked, progress = TrainingRequest.model_validate(request), TrainingProgress(report)
    source = DatasetReference(name=asked.dataset, version=dataset_number, content_hash=content_hash)
    terms = Terms.model_validate_json(storage.read(_terms_key(work_prefix)))
    conditions = Conditions(seed=asked.seed, threads=threads, in_time=False)
    with threadpool_limits(threads):
        with storage.local(_sample_key(work_prefix)) as path:
            columns = with_kinds(path, FeatureSchema.model_validate(schema), asked.kinds)
            sample = _open(path, terms.step, asked.recipe(), columns, progress.prepare)
            sampled = pl.scan_parquet(path).select(pl.len()).collect().item()
        rows = _learned_rows(storage, work_prefix, list(terms.hyperparameters)[-1], shares)  # shares of the last one
        left = RowGroups(storage, table_key(content_hash)).row_count - sampled - rows
        told = [*sample.prepared.warnings, *_counted(sampled, left, asked.target), *warnings]
        prepared = replace(sample.prepared, learned_rows=rows, warnings=told)
        progress.begin(len(terms.hyperparameters), 0, prepared.table.problem)
        candidates = [_candidate(storage, work_prefix, name, sample, terms, threads) for name in terms.hyperparameters]
        found = {"shares": _told(sample, rows, shares)}
        lines = [
            serve(one, prepared, conditions, source, storage, bundle_prefix, progress, found)
            for one in _judged(candidates, sample, conditions)
        ]
    progress.finish()
    return outcome(prepared, lines)


def _stretches(row_count: int, share: int, shares: int) -> list[tuple[int, int]]:
    """The first row of each stretch of a share, and the one after its last."""
    cuts = [row_count * number // (shares * _STRETCHES) for number in range(shares * _STRETCHES + 1)]
    return [(cuts[number], cuts[number + 1]) for number in range(share, shares * _STRETCHES, shares)]


def _sampled(groups: RowGroups, columns: FeatureSchema, step: int, seed: int, tell: Tell) -> pl.DataFrame:
    """The rows of the sample as they were written."""
    frames = []
    for block in groups.blocks(columns.names, 0, groups.row_count):
        frames.append(block.frame.filter(of_sample(block, step, seed)))
        tell("taking a sample of the rows", 0.0)
    return pl.concat(frames)


def _open(path: Path, step: int, recipe: Recipe, columns: FeatureSchema, tell: Tell) -> Sample:
    """The sample at ``path``. Its rows are numbered as they are in the table."""
    found = prepare(path, recipe, columns, tell)
    prepared = replace(found, target=replace(found.target, rows=sample_rows(found.target.rows, step, recipe.seed)))
    first, second, third, last = (
        fold.testing for fold in random_folds(prepared.target.y, 4, recipe.seed, by_class=prepared.target.of_classes)
    )
    return Sample(prepared, np.sort(np.concatenate([first, second])), third, last)


def _terms(path: Path, sample: Sample, columns: FeatureSchema, step: int, row_count: int) -> tuple[Terms, Examples]:
    """What shares have to know, and the rows that they watch."""
    prepared, table = sample.prepared, sample.prepared.table
    recipe, of_classes = prepared.recipe, prepared.target.of_classes
    learned = table.take(sample.encoded)
    encoder, _ = fit_encoder(
        table.features,
        learned.inputs,
        learned.y,
        table.problem,
        Style.BOOSTER,
        recipe.seed,
        clip=recipe.outliers == "clip",
        one_hot=any(given.get("one_hot") for given in prepared.plan.hyperparameters.values()),
    )
    target = columns.feature(recipe.target)
    assert target is not None
    yes = read_target(path, columns, recipe.target).yes
    _, center, spread = (learned.y, 0.0, 1.0) if of_classes else scaled(learned.y)
    weighed = of_classes and recipe.imbalance == "balanced"
    terms = Terms(
        step=step,
        features=prepared.schema,
        target=target,
        problem=table.problem,
        classes=table.classes,
        yes=next((code for code, name in enumerate(table.classes) if name in yes), None),
        encoder=encoder.to_json(),
        center=center,
        spread=spread,
        class_weights=class_weights(learned.y, len(table.classes)).tolist() if weighed else None,
        hyperparameters={
            name: with_automatic(name, given, row_count) for name, given in prepared.plan.hyperparameters.items()
        },
        seed=recipe.seed,
    )
    watched = table.take(sample.watched)
    return terms, encoded(terms, encoder.transform(watched.inputs), watched.y)


def _together(storage: Storage, kept: str, network: dict[str, Any], *, first: bool) -> Together:
    """Where the first share keeps the model as it grows, and what was kept before."""
    return Together(
        network=network,
        begun=storage.read(kept) if storage.exists(kept) else None,
        keep=(lambda model: storage.put(kept, model)) if first else _nothing,
    )


def _grown(algorithm: str, lesson: Lesson, shares: int) -> FittedModel:
    try:
        return learner_of(algorithm).fit(lesson)
    except RowcastError:
        raise
    except Exception as error:
        if shares > 1:
            raise ConnectionError from error
        raise failure_of(algorithm, error) from error


def _keep(model: FittedModel, storage: Storage, key: str) -> None:
    with TemporaryDirectory(prefix="rowcast-model-") as folder:
        model.save(Path(folder))
        for path in Path(folder).iterdir():
            storage.put_file(f"{key}/{path.name}", path)


def _candidate(storage: Storage, prefix: str, algorithm: str, sample: Sample, terms: Terms, threads: int) -> Candidate:
    """What the shares have grown, with its scores of the rows to judge it by."""
    table, judged = sample.prepared.table, sample.judged
    encoder = Encoder.from_json(terms.encoder)
    with storage.local_folder(f"{prefix}/{algorithm}/model") as folder:
        model = learner_of(algorithm).load(folder, threads)
    member = Member(encoder, model, algorithm, terms.center, terms.spread)
    matrix, truth = encoder.transform(take(table.inputs, judged)), table.y[judged]
    recipe = sample.prepared.recipe
    how = Preparation(None, recipe.outliers == "clip", recipe.imbalance == "balanced")
    candidate = untried(table, algorithm, terms.hyperparameters[algorithm], how)
    scored = member.score(matrix)
    candidate.scored[judged] = scored
    candidate.link = model.link
    candidate.members = [member]
    candidate.scores = [score(table.problem, truth, predictions(model.link, scored))]
    candidate.drops = [drops_in_score(table.problem, member, matrix, truth, table.features, terms.seed, 1)]
    return candidate


def _judged(candidates: Sequence[Candidate], sample: Sample, conditions: Conditions) -> list[Judged]:
    """The candidates by what they make of the last quarter, best first."""
    table, positive = sample.prepared.table, sample.prepared.target.positive_class
    fold_of_row = np.full(len(table.y), -1, dtype=np.int64)
    fold_of_row[sample.judged] = 0
    tested = TestedRows([Fold(sample.encoded, sample.judged)], fold_of_row, [])
    return best_first([judge(one, table, positive, tested, conditions) for one in candidates], table.problem)


def _told(sample: Sample, rows: int, shares: int) -> dict[str, int]:
    """What the evaluation says of it."""
    return {
        "processes": shares,
        "rows": rows,
        "encoder_rows": len(sample.encoded),
        "watched_rows": len(sample.watched),
        "held_out_rows": len(sample.judged),
    }


def _counted(sampled: int, left: int, target: str) -> list[str]:
    """What to know of the counts in other remarks, and of rows that no model learned from."""
    told = [f"What other remarks count was counted in a sample of {sampled} rows."]
    if left:
        told.append(
            f"{left} rows beside the sample were left out: '{target}' has no value there, or one that the sample lacks."
        )
    return told


def _learned_rows(storage: Storage, prefix: str, algorithm: str, shares: int) -> int:
    return sum(int(storage.read(f"{prefix}/{algorithm}/rows/{share}")) for share in range(shares))


def _reading(report: Report, algorithm: str) -> Callable[[float], None]:
    def tell(fraction: float) -> None:
        message = f"{algorithm}: reading the rows"
        report(Progress(fraction=_READING * fraction, message=message, stage="prepare", algorithm=algorithm))

    return tell


def _growing(report: Report, algorithm: str) -> Callable[[float], None]:
    def tick(fraction: float) -> None:
        done = _READING + (1 - _READING) * fraction
        message = f"{algorithm}: growing trees on all rows"
        report(Progress(fraction=done, message=message, stage="fit", algorithm=algorithm))

    return tick


def _nothing(progress: Any) -> None:
    """For those who have nothing to tell: one of all shares does."""


def _sample_key(prefix: str) -> str:
    return f"{prefix}/sample.parquet"


def _terms_key(prefix: str) -> str:
    return f"{prefix}/terms.json"


def _watched_key(prefix: str) -> str:
    return f"{prefix}/watched.npz"
