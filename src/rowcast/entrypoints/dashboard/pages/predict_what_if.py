"""What if: the same case with some fields moved, answered as they move."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any, Literal

import streamlit as st

from rowcast.datasets.schema import Feature, Kind
from rowcast.entrypoints.dashboard.page import Page
from rowcast.entrypoints.dashboard.pages import predict_bands
from rowcast.entrypoints.dashboard.pages.predict_answer import Answered
from rowcast.entrypoints.dashboard.pages.predict_form import entered, label_of, sent
from rowcast.scoring.views import Prediction

MOVED_AT_FIRST = 3
MOST_STOPS = 60
WIDE = 200.0
"""From so many times the smallest value on, a slider goes by factors: steps alike would leave the small ones out."""

_ROUND = (1.0, 1.5, 2.0, 3.0, 5.0, 7.0)


def stops_of(feature: Feature, value: float | None) -> list[float]:
    """The places of a number's slider in order: round numbers over what was seen of it, and the value itself."""
    low, high = entered(feature, feature.minimum), entered(feature, feature.maximum)
    known = [each for each in (low, high, value) if each is not None]
    if not known:
        return []
    low, high = min(known), max(known)
    least = max(low, 1.0)
    stops = _by_factors(least, high) if low >= 0 and high / least >= WIDE else _evenly(low, high)
    inside = {stop for stop in stops if low <= stop <= high}
    return sorted(inside | {low, high} | ({value} if value is not None else set()))


def movable(features: Sequence[Feature]) -> list[Feature]:
    """The features that there is something to move of."""
    return [
        feature
        for feature in features
        if (feature.kind is Kind.NUMBER and len(stops_of(feature, None)) > 1)
        or (feature.kind is Kind.DATE and entered(feature, feature.minimum) is not None)
        or feature.kind is Kind.FLAG
        or (feature.kind is Kind.CATEGORY and len(feature.categories) > 1)
    ]


def changed(row: Mapping[str, Any], moved: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that differ from the row."""
    return {name: value for name, value in moved.items() if value != row.get(name)}


@st.fragment
def show_what_if(
    page: Page, reference: str, answered: Answered, features: Sequence[Feature], price: int, key: str
) -> None:
    """Sliders for the features, those that matter most first; only this part is answered anew. Where an answer costs
    credits it waits for a button."""
    t, row = page.t, answered.row
    by_name = {feature.name: feature for feature in movable(features)}
    names = st.multiselect(
        t("predict.what_if_fields"), list(by_name), default=list(by_name)[:MOVED_AT_FIRST], key=f"{key}.fields"
    )
    moved = {name: _slider(page, by_name[name], row.get(name), f"{key}.{name}") for name in names}
    different = changed(row, moved)
    if price:
        paid = st.button(t("predict.what_if_ask", price=page.f.credits(2 * price)), key=f"{key}.ask")
        different = different if paid else {}
    if not different:
        st.info(t("predict.what_if_hint"), icon=":material/tune:")
        return
    with page.attempt():
        answer = page.client.what_if(reference, row, [different])
        variation = answer.variations[0]
        before, after = st.columns(2)
        with before:
            _side(page, t("predict.as_it_is"), answer.base, answered.unit, None)
        with after:
            _side(page, t("predict.if_so"), variation.prediction, answered.unit, variation.difference)


def _side(page: Page, title: str, prediction: Prediction, unit: str | None, difference: float | None) -> None:
    way: Literal["up", "down"] = "up" if (difference or 0) >= 0 else "down"
    st.metric(title, told(page, prediction), _by(page, prediction, difference), delta_color="off", delta_arrow=way)
    decision = prediction.decision
    if decision is not None and decision.color is not None:
        predict_bands.badge(page, decision.color)
    if decision is not None and decision.expected_profit is not None:
        st.caption(page.t("predict.earns", amount=page.f.money(decision.expected_profit, unit)))


def told(page: Page, prediction: Prediction) -> str:
    """The answer in a few signs: a probability, a number, or a class with its probability."""
    if prediction.probability is not None:
        return page.f.percent(prediction.probability)
    if prediction.probabilities is not None:
        return f"{prediction.value} ({page.f.percent(prediction.probabilities[str(prediction.value)])})"
    return page.f.number(float(prediction.value))


def _by(page: Page, prediction: Prediction, difference: float | None) -> str | None:
    """By how much it is more or less: in points of a probability."""
    if difference is None:
        return None
    if prediction.probability is None:
        return page.f.change(difference)
    return page.t("predict.points", size=page.f.change(difference * 100, 1))


def _slider(page: Page, feature: Feature, value: Any, key: str) -> Any:
    """A field that moves, and where it stands as a prediction takes it."""
    label = label_of(feature)
    match feature.kind:
        case Kind.NUMBER:
            return _number(page, feature, value, key)
        case Kind.DATE:
            return _day(page, feature, value, key)
        case Kind.FLAG:
            options = [value, *(each for each in (True, False, None) if each != value)]
            words = {True: page.t("predict.yes"), False: page.t("predict.no"), None: page.t("predict.unknown")}
            return st.selectbox(label, options, format_func=lambda each: words.get(each, str(each)), key=key)
        case _:
            options = [value, *(each for each in feature.categories if each != value)]
            return st.selectbox(
                label, options, format_func=lambda each: page.t("predict.unknown") if each is None else each, key=key
            )


def _number(page: Page, feature: Feature, value: Any, key: str) -> Any:
    """A value that is not known stays so until the slider is moved: its first place says so."""
    known = entered(feature, value)
    stops: list[float | None] = [*stops_of(feature, known)]
    if known is None:
        stops = [None, *stops]
    chosen = st.select_slider(
        label_of(feature), stops, value=known, key=key,
        format_func=lambda stop: page.t("predict.unknown") if stop is None else page.f.number(stop),
    )  # fmt: skip
    return value if chosen == known else sent(feature, chosen)


def _day(page: Page, feature: Feature, value: Any, key: str) -> Any:
    known: date | None = entered(feature, value)
    low, high = entered(feature, feature.minimum), entered(feature, feature.maximum)
    start = known or high
    chosen = st.slider(
        label_of(feature), min(low, start), max(high, start), start, step=timedelta(days=1), format=page.f.calendar,
        key=key,
    )  # fmt: skip
    return value if chosen == start else sent(feature, chosen)


def _by_factors(least: float, high: float) -> list[float]:
    powers = range(math.floor(math.log10(least)), math.floor(math.log10(high)) + 1)
    return [0.0, *(digit * 10.0**power for power in powers for digit in _ROUND)]


def _evenly(low: float, high: float) -> list[float]:
    """Steps of a round size."""
    if high <= low:
        return [low]
    rough = (high - low) / MOST_STOPS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(size * power for size in (1, 2, 5, 10) if size * power >= rough)
    digits = max(0, -math.floor(math.log10(step)))
    first, last = math.ceil(low / step), math.floor(high / step)
    return [round(place * step, digits) for place in range(first, last + 1)]
