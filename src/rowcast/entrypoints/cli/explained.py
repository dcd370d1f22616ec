"""A prediction's reasons as a person would give them, with what became of rows that were scored alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rowcast.entrypoints.cli.session import clean, prose
from rowcast.entrypoints.cli.tables import bar

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from rowcast.models.views import ModelVersionDetail
    from rowcast.scoring.views import Band, Explanation, Prediction

BAR_WIDTH = 12
_UNITS = {
    "log_odds": "Bars show how much each moves the log odds; together they add up to the model's score.",
    "number": "Bars show how much each adds or takes away; together they add up to the prediction.",
    "probability": "Each bar stands alone: what changes with a typical value instead. They do not add up.",
}


def show_reasons(console: Console, prediction: Prediction, about: ModelVersionDetail | None) -> None:
    """What rows scored alike came to, then the reasons with a bar for each."""
    if prediction.explanation is None:
        return
    if prediction.explanation.band is not None:
        prose(console, band_sentence(prediction.explanation.band, about))
    if not prediction.explanation.reasons:
        prose(console, "No feature makes a difference to this prediction.")
        return
    console.print("Why, strongest first:")
    console.print(reasons_table(prediction.explanation))
    if rest := rest_sentence(prediction.explanation):
        prose(console, rest, "dim")
    prose(console, _UNITS[prediction.explanation.unit], "dim")


def band_sentence(band: Band, about: ModelVersionDetail | None) -> str:
    """``Of 100 such cases about 21 end as CHGOFF (18 to 24); ...``, or what such cases come to on average."""
    if band.inside is not None:
        mean, low, high = (_number(value) for value in (band.observed, band.observed_low, band.observed_high))
        kept = f"in {_percent(band.inside)} of them the interval held the true number"
        return f"Such cases come to {mean} on average ({low} to {high}); so did {_alike(band)}, and {kept}."
    few, least, most = (round(100 * share) for share in (band.observed, band.observed_low, band.observed_high))
    ends = about.positive_class if about and about.positive_class else "the positive class"
    return f"Of 100 such cases about {few} end as {ends} ({least} to {most}); so it was with {_alike(band)}."


def _alike(band: Band) -> str:
    """``500 held-out rows that were scored 10.2 % to 14.8 %``"""
    rows = f"{band.count:,} held-out rows"
    if band.inside is None:
        return f"{rows} scored {_percent(band.low or 0.0, 1)} to {_percent(1.0 if band.high is None else band.high, 1)}"
    ends = [_number(end) for end in (band.low, band.high) if end is not None]
    if len(ends) == 2:
        return f"{rows} predicted between {ends[0]} and {ends[1]}"
    return f"{rows} predicted {'below' if band.low is None else 'above'} {ends[0]}" if ends else rows


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


def _number(value: float) -> str:
    return f"{value:,.4g}" if abs(value) < 10_000 else f"{value:,.0f}"
