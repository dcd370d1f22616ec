"""Explaining: the reasons for every answer of a call, by contributions where the model has them, else by occlusion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from rowcast.datasets.rows import Inputs
from rowcast.errors import TooLarge
from rowcast.models.recipe import Problem
from rowcast.scoring.answers import Outputs
from rowcast.scoring.banding import band_at
from rowcast.scoring.loaded import LoadedModel
from rowcast.scoring.occlusion import occluded, typical_inputs, typical_row
from rowcast.scoring.reasons import Explanation, Method, Wording, explanation

MAX_EXPLAINED_ROWS = 1000
_MOST_CELLS = 2_000_000
"""Contributions, by row, feature and class, that are in memory at a time."""

Floats = npt.NDArray[np.float64]


def explain(
    model: LoadedModel, rows: Sequence[Mapping[str, Any]], inputs: Inputs, outputs: Outputs, most: int | None
) -> list[Explanation]:
    """For each of the rows, read as ``inputs`` and answered with ``outputs``, its ``most`` strongest reasons.

    Takes milliseconds a row, and a second or two once for the model's library: not for an event loop.

    Raises:
        TooLarge: more than 1,000 rows.
        Unavailable: the model's native form does not open.
    """
    check_row_count(len(rows))
    size = max(1, _MOST_CELLS // (len(inputs) * max(1, len(model.classes))))
    blocks = [slice(start, start + size) for start in range(0, len(rows), size)]
    return [
        reasons
        for block in blocks
        for reasons in _explained(
            model, rows[block], {name: column[block] for name, column in inputs.items()}, outputs[block], most
        )
    ]


def _explained(
    model: LoadedModel, rows: Sequence[Mapping[str, Any]], inputs: Inputs, outputs: Outputs, most: int | None
) -> list[Explanation]:
    chosen = _chosen(model, outputs)
    method, base, amounts = _amounts(model, inputs, outputs, chosen)
    typical = typical_row(model.schema) if method == "occlusion" else {}
    of = [None if model.problem is Problem.REGRESSION else model.classes[number] for number in chosen]
    found = [
        explanation(
            model.schema.features,
            amounts[place].tolist(),
            row,
            Wording(model.manifest.target, of[place], method, typical),
            most,
            None if base is None else float(base[place]),
        )
        for place, row in enumerate(rows)
    ]
    for reasons, score in zip(found, outputs[range(len(rows)), chosen].tolist(), strict=True):
        reasons.band = band_at(model.bands, score)
        reasons.similar = model.outcomes.near(score) if model.outcomes is not None else None
    return found


def check_row_count(count: int) -> None:
    """Raise ``TooLarge`` for more rows than are explained in one call."""
    if count > MAX_EXPLAINED_ROWS:
        message = f"One call explains at most {MAX_EXPLAINED_ROWS:,} rows: send the others in further calls."
        raise TooLarge("too_many_rows_to_explain", message)


def _chosen(model: LoadedModel, outputs: Outputs) -> list[int]:
    """For each row the class whose chance is explained: of two the positive one, of more the most probable."""
    if model.problem is Problem.MULTICLASS:
        chosen: list[int] = outputs.argmax(axis=1).tolist()
        return chosen
    return [1 if model.problem is Problem.BINARY else 0] * len(outputs)


def _amounts(
    model: LoadedModel, inputs: Inputs, outputs: Outputs, chosen: list[int]
) -> tuple[Method, Floats | None, Floats]:
    """What each feature adds to each row's score or answer [N,F], and where contributions start [N]."""
    names = model.schema.names
    rows = np.arange(len(outputs))
    found = model.native.contributions(inputs, names) if model.native is not None else None
    if found is not None:
        place = chosen if found.base.shape[1] > 1 else [0] * len(chosen)
        return "contributions", found.base[rows, place], found.features[rows, :, place]
    typical = typical_inputs(model.schema, model.reader)
    without = occluded(model.runtime, inputs, typical, names)[rows, :, chosen]
    return "occlusion", None, outputs[rows, chosen].astype(np.float64)[:, None] - without
