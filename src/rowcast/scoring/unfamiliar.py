"""What of a row is unlike anything that its model learned from: said beside the answer, which is a guess there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from rowcast.datasets.cell_readers import Code
from rowcast.datasets.rows import Inputs
from rowcast.datasets.schema import MAX_CATEGORIES, Feature, FeatureSchema, Kind
from rowcast.datasets.values import read_date

Note = dict[str, str]
"""A ``Problem`` without a row: code, message, field."""

_NEVER_A_CATEGORY = "\0"
"""No table holds it, so its code is the one of whatever a model does not know."""
_LONGEST_SHOWN = 60


def notes(
    schema: FeatureSchema, codes: Mapping[str, Code], rows: Sequence[Mapping[str, Any]], inputs: Inputs
) -> list[list[Note]]:
    """For each of the rows, read as ``inputs`` with the texts of categories, what is beyond the model's experience.

    A category counts when the schema lists all and not this one, or when it has the code (see ``Runtime``) that unknown
    ones and those too rare to be learned from share; a number or date when it is outside the range that was seen.
    """
    found: list[list[Note]] = [[] for _ in rows]
    for feature in schema.features:
        column = inputs[feature.name].ravel()
        for place in np.flatnonzero(_unfamiliar(feature, column, codes.get(feature.name))).tolist():
            found[place].append(_note(feature, rows[place].get(feature.name)))
    return found


def _unfamiliar(feature: Feature, column: npt.NDArray[Any], code: Code | None) -> npt.NDArray[np.bool_]:
    if feature.kind is Kind.CATEGORY:
        return np.fromiter((bool(text) and _unknown(feature, text, code) for text in column), np.bool_, len(column))
    low, high = (_as_input(feature, end) for end in (feature.minimum, feature.maximum))
    if low is None or high is None:
        return np.zeros(len(column), dtype=np.bool_)
    beyond: npt.NDArray[np.bool_] = (column < low) | (column > high)  # NaN, which is "not known", is neither
    return beyond


def _unknown(feature: Feature, text: str, code: Code | None) -> bool:
    if _all_are_listed(feature):
        return text not in feature.categories
    return code is not None and text not in feature.categories and code(text) == code(_NEVER_A_CATEGORY)


def _all_are_listed(feature: Feature) -> bool:
    return 0 < len(feature.categories) < MAX_CATEGORIES


def _as_input(feature: Feature, end: float | str | None) -> np.float32 | None:
    """An end of the range as the model's inputs have it."""
    number = read_date(end, feature) if isinstance(end, str) else end
    return None if number is None else np.float32(number)


def _note(feature: Feature, value: Any) -> Note:
    subject = f"{feature.name} is {_shown(value)}"
    if feature.kind is not Kind.CATEGORY:
        seen = f"{_end(feature.minimum)} to {_end(feature.maximum)}"
        message = f"{subject}, beyond anything that the model has learned from ({seen})."
        return {"code": "value_beyond_range", "message": message, "field": feature.name}
    if _all_are_listed(feature):
        message = f"{subject}, which the model has never seen; it was treated like the rarest ones."
        return {"code": "category_unseen", "message": message, "field": feature.name}
    message = f"{subject}, which the model has not seen, or too seldom to learn from; it was treated like all such."
    return {"code": "category_rare", "message": message, "field": feature.name}


def _shown(value: Any) -> str:
    text = str(value).strip()
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"


def _end(end: float | str | None) -> str:
    """A number without an exponent where it is of a usual size, and a year as years are written; a date as it is."""
    if not isinstance(end, float):
        return str(end)
    return f"{end:,.0f}" if 10_000 <= abs(end) < 1e15 else f"{end:.6g}"
