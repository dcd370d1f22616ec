"""What every share of a training has to know, and the rows that it learns from by that."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

import numpy as np
import polars as pl
from pydantic import BaseModel

from rowcast.datasets.row_groups import Block, RowGroups
from rowcast.datasets.schema import Feature, FeatureSchema
from rowcast.models.algorithms.learner import Examples
from rowcast.models.encode.encoder import Encoder
from rowcast.models.encode.inputs import Floats, Indices, take
from rowcast.models.recipe import Problem
from rowcast.models.train.reading import read_inputs, read_target
from rowcast.models.train.target import more_of


class Terms(BaseModel):
    """What every share has to know: how rows are read, and what the sample has taught."""

    step: int
    """Of so many rows in a row one is of the sample: see ``sample_rows``."""
    features: FeatureSchema
    target: Feature
    problem: Problem
    classes: list[str]
    yes: int | None
    """Of a flag the class that means yes."""
    encoder: dict[str, Any]
    center: float
    spread: float
    class_weights: list[float] | None
    hyperparameters: dict[str, dict[str, Any]]
    seed: int


def sample_rows(stretches: Indices, step: int, seed: int) -> Indices:
    """The one row of each stretch of ``step`` rows, counted from 0, that is of the sample: by chance, for tables often
    repeat a pattern, and the same wherever it is asked (SplitMix64 of Steele et al. 2014)."""
    mixed = (stretches.astype(np.uint64) + np.uint64(seed % 2**32)) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    chosen = (mixed ^ (mixed >> np.uint64(31))) % np.uint64(step)
    rows: Indices = stretches * step + chosen.astype(np.int64)
    return rows


def of_sample(block: Block, step: int, seed: int) -> pl.Series:
    """Which rows of a block are of the sample."""
    numbers = np.arange(block.start, block.start + block.frame.height, dtype=np.int64)
    return pl.Series(sample_rows(numbers // step, step, seed) == numbers)


def examples_of(
    groups: RowGroups, terms: Terms, stretches: Sequence[tuple[int, int]], tell: Callable[[float], None]
) -> Examples:
    """The rows from one number to another of each stretch, encoded, without those of the sample and those whose target
    is of no use.

    All that is in memory at once are the encoded rows, and a batch as it was written.
    """
    encoder = Encoder.from_json(terms.encoder)
    total = sum(end - start for start, end in stretches)
    x = np.empty((total, len(encoder.sources())), dtype=np.float32)
    y, filled, seen = np.empty(total), 0, 0
    columns = [*terms.features.names, terms.target.name]
    for block in chain.from_iterable(groups.blocks(columns, start, end) for start, end in stretches):
        matrix, targets = _read(block, terms, encoder)
        x[filled : filled + len(matrix)], y[filled : filled + len(matrix)] = matrix, targets
        filled += len(matrix)
        seen += block.frame.height
        tell(seen / total)
    return encoded(terms, x[:filled], y[:filled])


def _read(block: Block, terms: Terms, encoder: Encoder) -> tuple[Floats, Any]:
    missing = terms.features.missing_tokens
    frame = block.frame.filter(~of_sample(block, terms.step, terms.seed))
    target = FeatureSchema(features=(terms.target,), missing_tokens=missing)
    y, rows = more_of(read_target(frame, target, terms.target.name), terms.problem, terms.classes, terms.yes)
    return encoder.transform(take(read_inputs(frame, terms.features), rows)), y


def encoded(terms: Terms, x: Floats, y: Any) -> Examples:
    """The examples of rows as they are learned from: classes as they are, numbers scaled."""
    if not terms.classes:
        return Examples(x, ((y - terms.center) / terms.spread).astype(np.float32))
    codes = y.astype(np.int64)
    weights = None if terms.class_weights is None else np.array(terms.class_weights, dtype=np.float32)[codes]
    return Examples(x, codes, weights)


def packed(examples: Examples) -> bytes:
    """The examples as ``unpacked`` reads them."""
    file = io.BytesIO()
    arrays = {"x": examples.x, "y": examples.y} | ({} if examples.weights is None else {"weights": examples.weights})
    np.savez(file, allow_pickle=False, **arrays)
    return file.getvalue()


def unpacked(data: bytes) -> Examples:
    """The examples that ``packed`` wrote."""
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        return Examples(arrays["x"], arrays["y"], arrays.get("weights"))
