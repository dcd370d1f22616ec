"""What if: one row and variations of it, answered in one batch, each with its difference from the row's own answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from rowcast.errors import InvalidInput
from rowcast.scoring.answers import Answer, Answers


class Variation(msgspec.Struct, omit_defaults=True):
    """``views.Variation``."""

    changed: list[str]
    prediction: Answer
    difference: float | None = None
    differences: dict[str, float] | None = None


class WhatIf(msgspec.Struct):
    """``views.WhatIf``."""

    model: str
    version: int
    alias: str | None
    base: Answer
    variations: list[Variation]
    policy: int | None = None
    receipt: str | None = None


def rows_of(row: Mapping[str, Any], variations: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The row itself, then the row with the fields of each variation in place of its own.

    Raises:
        InvalidInput: there is no variation.
    """
    if not variations:
        raise InvalidInput(
            "variations_empty", "Give at least one variation: the fields that differ, with their values."
        )
    return [dict(row), *({**row, **changes} for changes in variations)]


def compared(answers: Answers, variations: Sequence[Mapping[str, Any]], receipt: str | None = None) -> WhatIf:
    """The answers to ``rows_of``, none skipped, with their differences."""
    base, *others = [answer for answer in answers.predictions if answer is not None]
    listed = [_variation(base, changes, answer) for changes, answer in zip(variations, others, strict=True)]
    return WhatIf(answers.model, answers.version, answers.alias, base, listed, answers.policy, receipt)


def encode(answer: WhatIf) -> bytes:
    """The answer as JSON."""
    return msgspec.json.encode(answer)


def _variation(base: Answer, changes: Mapping[str, Any], answer: Answer) -> Variation:
    found = Variation(list(changes), answer)
    if base.probability is not None and answer.probability is not None:
        found.difference = answer.probability - base.probability
    elif base.probabilities is not None and answer.probabilities is not None:
        found.differences = {name: answer.probabilities[name] - base.probabilities[name] for name in base.probabilities}
    else:
        found.difference = float(answer.value) - float(base.value)
    return found
