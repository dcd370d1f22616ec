"""A prediction's reasons as a person would give them, with what became of cases that were scored alike."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rowcast.entrypoints.cli.session import clean, prose
from rowcast.entrypoints.cli.tables import bar

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from rowcast.errors import Problem
    from rowcast.scoring.views import Band, Explanation, Prediction, Similar

BAR_WIDTH = 12
_LEGENDS = {
    "log_odds": "The longer the bar, the more it matters: + raises, - lowers. (The figures are log odds.)",
    "number": "The longer the bar, the more it adds (+) or takes away (-). All together, and {base} with which the "
    "model begins whatever the case, they make the prediction.",
    "alone": "Each bar stands alone: what changes with a typical value instead. They do not add up.",
}


def show_reasons(console: Console, prediction: Prediction, *, legend: bool = True) -> None:
    """What of the row the model has never met, what cases scored alike came to, then the reasons with a bar for each;
    with a ``legend`` what the bars mean."""
    explained = prediction.explanation
    if explained is None:
        return
    for line in note_lines(prediction.notes or ()):
        prose(console, line)
    if explained.similar is not None:
        new = is_new(prediction.notes or ())
        prose(console, similar_sentence(explained.similar, explained.of, prediction.probability or 0.0, new=new))
    elif explained.band is not None and explained.band.inside is not None:
        prose(console, band_sentence(explained.band, explained.band.inside))
    if not explained.reasons:
        prose(console, "No feature makes a difference to this prediction.")
        return
    what = explained.of if explained.unit == "number" else f"the probability of {explained.of}"
    prose(console, f"What moves {what}, strongest first:")
    console.print(reasons_table(explained))
    if rest := rest_sentence(explained):
        prose(console, rest, "dim")
    if legend:
        said = _LEGENDS["alone" if explained.base is None else explained.unit]
        prose(console, said.format(base=_number(explained.base or 0.0)), "dim")


def note_lines(notes: Sequence[Problem]) -> list[str]:
    """What is new to the model, which calls for care, and what is merely rare, which is usual where there are many
    categories."""
    new = " ".join(note.message for note in notes if note.code != "category_rare")
    rare = [str(note.field) for note in notes if note.code == "category_rare"]
    lines = [f"Take this answer with care, it is about something new to the model: {new}"] if new else []
    if rare:
        lines.append(f"The model made nothing of {', '.join(rare)}: such values are too rare to learn from, or new.")
    return lines


def is_new(notes: Iterable[Problem]) -> bool:
    """Whether the answer is about something that the model never met, so that other cases say little about it."""
    return any(note.code != "category_rare" for note in notes)


def similar_sentence(similar: Similar, of: str, probability: float, *, new: bool = False) -> str:
    """``Checked on cases ...: of the 250 with the most similar probability (38.1 % to 47.6 %) 104 turned out ...``"""
    hits, shares = round(similar.observed * similar.count), (similar.low, similar.high, similar.observed)
    low, high, observed = (_percent(share, 1) for share in shares)
    likely = f"{_percent(similar.observed_low)} to {_percent(similar.observed_high)}"
    far = similar.beyond(probability)
    said = (
        "Checked on cases with a known outcome that the model had not learned from: "
        f"{f'none was scored so {far}; ' if far else ''}of the {similar.count:,} with the most similar probability "
        f"({low} to {high}) {hits:,} turned out {of}, {observed}."
    )
    if far:
        return said
    if similar.observed_low <= probability <= similar.observed_high:
        return said if new else f"{said} That fits: of all such cases it may be anything from {likely}."
    return f"{said} That does not fit well: the true share is likely {likely}, so take the probability with care."


def band_sentence(band: Band, inside: float) -> str:
    """What cases with such a predicted number came to on average; ``inside`` is how often the interval held it."""
    mean, low, high = (_number(value) for value in (band.observed, band.observed_low, band.observed_high))
    return (
        f"Checked on cases with a known outcome that the model had not learned from: the {band.count:,}{_alike(band)} "
        f"came to {mean} on average (of all such cases it may be anything from {low} to {high}), and in "
        f"{_percent(inside)} of them the true number lay where it was said to lie."
    )


def _alike(band: Band) -> str:
    """``predicted between 10 and 20.5``, with a space before it; nothing for all there are."""
    ends = [_number(end) for end in (band.low, band.high) if end is not None]
    if len(ends) == 2:
        return f" predicted between {ends[0]} and {ends[1]}"
    return f" predicted {'below' if band.low is None else 'above'} {ends[0]}" if ends else ""


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
    if unit == "probability":
        return f"{100 * contribution:+.1f} points"
    return f"{contribution:+,.0f}" if abs(contribution) >= 1000 else f"{contribution:+,.3g}"


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
