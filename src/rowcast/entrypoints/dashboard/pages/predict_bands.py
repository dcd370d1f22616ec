"""Green, yellow and red for people: a word and a sign beside the colour, and where each begins."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from types import MappingProxyType
from typing import Any

import altair as alt
import streamlit as st

from rowcast.entrypoints.dashboard.charts import table
from rowcast.entrypoints.dashboard.page import Page, plain
from rowcast.models.decide.policy import Bands, Color
from rowcast.scoring.views import Prediction

SHADES: Mapping[Color, str] = MappingProxyType({"green": "#009E73", "yellow": "#E69F00", "red": "#C0392B"})
"""As dark as they have to be for white and black ground, and apart in brightness."""

SIGNS: Mapping[Color, str] = MappingProxyType(
    {"green": ":material/check_circle:", "yellow": ":material/warning:", "red": ":material/cancel:"}
)
_BADGES: Mapping[Color, str] = MappingProxyType({"green": "green", "yellow": "orange", "red": "red"})

_MOST_DIGITS = 6


def badge(page: Page, color: Color) -> None:
    """The colour as a word with a sign on its ground."""
    st.markdown(f"### :{_BADGES[color]}-badge[{SIGNS[color]} {page.t(f'predict.color.{color}')}]")


def measured(prediction: Prediction, bands: Bands) -> float | None:
    """What the bands compare with their thresholds; None where it is not known."""
    decision, interval = prediction.decision, prediction.interval
    match bands.measure:
        case "profit":
            if decision is None or decision.expected_profit is None:
                return None
            return decision.expected_profit - (decision.expected_if_declined or 0.0)
        case "low":
            return None if interval is None else interval.low
        case "high":
            return None if interval is None else interval.high
        case "value":
            return float(prediction.value)
        case _:
            return (prediction.probabilities or {}).get(bands.of or "")


def subject(page: Page, bands: Bands) -> str:
    """What is compared, in words: ``the probability of CHGOFF``."""
    if bands.measure in (None, "probability"):
        return page.t("predict.chance", of=plain(bands.of))
    return page.t(f"predict.measure.{bands.measure}")


def written(page: Page, value: float, bands: Bands) -> str:
    """A threshold, or what is compared with it, with as many digits as keep it on its side of every threshold."""
    share = bands.measure in (None, "probability")
    least = 1 if share else 0 if bands.measure == "profit" else 2
    for digits in range(least, _MOST_DIGITS):
        text = page.f.percent(value, digits) if share else page.f.number(value, digits)
        shown = round(value, digits + 2 if share else digits)
        if all((shown >= edge) == (value >= edge) for edge in bands.edges if edge != value):
            break
    return text


def edge_written(page: Page, value: float, bands: Bands) -> str:
    """A threshold with the digits that it has."""
    if bands.measure in (None, "probability"):
        digits = next(digits for digits in range(_MOST_DIGITS) if abs(value * 100 - round(value * 100, digits)) < 1e-4)
        return page.f.percent(value, digits)
    return page.f.number(value)


def limits(page: Page, bands: Bands) -> str:
    """Where each colour begins, as a sentence in Markdown."""
    low, high = (edge_written(page, edge, bands) for edge in bands.edges)
    first = page.t(f"predict.color.{bands.colors[0]}")
    second, third = (page.t(f"predict.begins.{color}") for color in bands.colors[1:])
    what = subject(page, bands)
    if bands.yellow == bands.red:
        return page.t("predict.two_bands", first=first, third=third, what=what, edge=low)
    return page.t("predict.three_bands", first=first, second=second, third=third, what=what, low=low, high=high)


def meaning(page: Page, prediction: Prediction, bands: Bands) -> str:
    """What the colour of a prediction says, and what it does not say."""
    color = prediction.decision.color if prediction.decision else None
    value = measured(prediction, bands)
    if color is None or value is None:
        return page.t("predict.no_color")
    low, high = (edge_written(page, edge, bands) for edge in bands.edges)
    first, second, third = bands.colors
    following = page.t(f"predict.begins.{third if bands.yellow == bands.red else second}")
    beyond = page.t(f"predict.begins.{third}")
    name = page.t(f"predict.color.{color}")
    told = page.t("predict.it_is", color=name, what=subject(page, bands), value=written(page, value, bands))
    where = {
        first: page.t("predict.below", edge=low, following=following),
        second: page.t("predict.between", low=low, high=high, following=beyond),
        third: page.t("predict.beyond", edge=high, color=beyond),
    }[color]
    return f"{told} {where} {_not_meant(page, prediction, bands)}".strip()


def _not_meant(page: Page, prediction: Prediction, bands: Bands) -> str:
    """Where the colour could be taken for the likelier of two outcomes, that it is not that."""
    color = prediction.decision.color if prediction.decision else None
    if bands.measure != "probability" or len(prediction.probabilities or {}) != 2:
        return ""
    hoped = bands.high == "green"
    if color == "red" and (prediction.value == bands.of) is hoped:
        return page.t("predict.not_certain", outcome=plain(prediction.value))
    if color == "green" and (prediction.value == bands.of) is not hoped:
        return page.t("predict.not_safe", outcome=plain(prediction.value))
    return ""


def scale(value: float, bands: Bands | None) -> alt.LayerChart | alt.FacetChart:
    """A probability on a strip from 0 to 1, with the grounds of the bands."""
    edges = [0.0, *(bands.edges if bands else ()), 1.0]
    colors = bands.colors if bands else ("grey",)
    zones: list[dict[str, Any]] = [
        {"low": low, "high": high, "color": color}
        for (low, high), color in zip(pairwise(edges), colors, strict=True)
        if high > low
    ]
    axis = alt.Axis(format="%", title=None, grid=False, values=[0, 0.25, 0.5, 0.75, 1])
    along = alt.X("low:Q", scale=alt.Scale(domain=[0, 1]), axis=axis)
    shades = alt.Scale(domain=[*SHADES, "grey"], range=[*SHADES.values(), "#7F7F7F"])
    ground = alt.Chart(table(zones)).mark_bar(height=18, opacity=0.55)
    here = alt.Chart(table([{"at": value}]))
    needle = here.mark_point(shape="diamond", filled=True, size=260, color="#16202B", stroke="white", opacity=1)
    return alt.layer(
        ground.encode(x=along, x2="high:Q", color=alt.Color("color:N", scale=shades, legend=None)),
        needle.encode(x="at:Q"),
    ).properties(height=64)
