"""A prediction's reasons as a person would give them, with what became of rows that were scored alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rowcast.entrypoints.cli.session import clean, prose
from rowcast.entrypoints.cli.tables import bar

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from rowcast.models.views import ModelVersionDetail
    from rowcast.scoring.views import Explanation, Prediction

BAR_WIDTH = 12
_UNITS = {
    "log_odds": "Bars show how much each moves the log odds; together they add up to the model's score.",
    "number": "Bars show how much each adds or takes away; together they add up to the prediction.",
    "probability": "Each bar stands alone: what changes with a typical value instead. They do not add up.",
}


def show_reasons(console: Console, prediction: Prediction, about: ModelVersionDetail | None) -> None:
    """What rows scored alike came to, then the reasons with a bar for each."""
    if about is not None and (experience := band_sentence(prediction, about)):
        prose(console, experience)
    if prediction.explanation is None:
        return
    if not prediction.explanation.reasons:
        prose(console, "No feature makes a difference to this prediction.")
        return
    console.print("Why, strongest first:")
    console.print(reasons_table(prediction.explanation))
    if rest := rest_sentence(prediction.explanation):
        prose(console, rest, "dim")
    prose(console, _UNITS[prediction.explanation.unit], "dim")


def band_sentence(prediction: Prediction, about: ModelVersionDetail) -> str:
    """``Of 1,500 rows scored like this one (between 10.2 % and 14.8 %), 12 % were CHGOFF; ...``, or nothing."""
    found = band_of(prediction, about.evaluation.get("bands") or [])
    if found is None:
        return ""
    alike = (
        f"{found['count']:,} rows scored like this one ({_percent(found['low'], 1)} to {_percent(found['high'], 1)})"
    )
    return (
        f"Of {alike} "
        f"{_percent(found['observed'])} were {about.positive_class}; "
        f"of new ones expect {_percent(found['new_low'])} to {_percent(found['new_high'])}."
    )


def band_of(prediction: Prediction, bands: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The band that the probability of the positive class falls into."""
    chance = prediction.probability
    if chance is None or not bands:
        return None
    return next((band for band in bands if chance < band["high"]), bands[-1])


def reasons_table(explanation: Explanation) -> Table:
    """A line for each reason: its bar, its size, and what it says."""
    from rich.table import Table

    largest = max(abs(reason.contribution) for reason in explanation.reasons)
    made = Table(box=None, show_header=False, pad_edge=False)
    made.add_column(no_wrap=True)
    made.add_column(no_wrap=True, justify="right", style="dim")
    made.add_column(overflow="fold")
    for reason in explanation.reasons:
        raises = reason.direction == "raises"
        drawn = f"{'+' if raises else '-'} {bar(abs(reason.contribution), largest, BAR_WIDTH)}"
        made.add_row(drawn, size(reason.contribution, explanation.unit), clean(reason.sentence))
    return made


def size(contribution: float, unit: str) -> str:
    """The contribution with its sign, in points for a probability."""
    return f"{100 * contribution:+.1f} points" if unit == "probability" else f"{contribution:+,.3g}"


def rest_sentence(explanation: Explanation) -> str:
    """What the features that are not listed do together, where that can be said."""
    if not explanation.rest or abs(explanation.rest) < 1e-6:
        return ""
    way = "raise" if explanation.rest > 0 else "lower"
    return f"All other features together {way} it ({size(explanation.rest, explanation.unit)})."


def _percent(share: float, digits: int = 0) -> str:
    return f"{100 * share:.{digits}f} %"
