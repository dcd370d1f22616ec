"""Plots: the same colours, fonts and forms of numbers everywhere. What is drawn is data that the API gave."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import streamlit as st

from rowcast.entrypoints.dashboard.formats import NARROW_SPACE, Formats

HEIGHT = 280
"""Of a plot, in pixels."""

Records = Sequence[Mapping[str, Any]]

_RUSSIAN_NUMBERS = {"decimal": ",", "thousands": NARROW_SPACE, "grouping": [3], "currency": ["", " $"]}
_RUSSIAN_TIMES = {
    "dateTime": "%A, %e %B %Y г. %X",
    "date": "%d.%m.%Y",
    "time": "%H:%M:%S",
    "periods": ["", ""],
    "days": ["воскресенье", "понедельник", "вторник", "среда", "четверг", "пятница", "суббота"],
    "shortDays": ["вс", "пн", "вт", "ср", "чт", "пт", "сб"],
    "months": [
        "январь", "февраль", "март", "апрель", "май", "июнь", "июль", "август", "сентябрь", "октябрь", "ноябрь",
        "декабрь",
    ],
    "shortMonths": ["янв", "фев", "мар", "апр", "май", "июн", "июл", "авг", "сен", "окт", "ноя", "дек"],
}  # fmt: skip


CLOCK = {"milliseconds": ".%L", "seconds": "%H:%M:%S", "minutes": "%H:%M", "hours": "%H:%M"}
"""Of an axis along time, as moments are written elsewhere: plots would write 06:10 of the evening, too."""

NAMES = alt.Axis(labelLimit=200, labelOverlap=False, ticks=False)
"""An axis of names: all of them, for a bar without its name tells nothing."""

Plot = alt.Chart | alt.LayerChart | alt.FacetChart


def table(records: Records) -> alt.Data:
    """Records as a plot takes them, without a detour through a frame."""
    return alt.Data(values=[dict(record) for record in records])  # type: ignore[no-untyped-call]


def draw(chart: Plot, f: Formats, *, alt_text: str, height: int | None = HEIGHT) -> None:
    """Show a plot. ``alt_text`` says in words what it shows, for those who cannot see it."""
    if height is not None:
        chart = chart.properties(height=height)
    if f.language == "ru":
        # Vega describes every axis and mark in English; what is shown is told by ``alt_text``.
        chart = chart.configure(aria=False, locale={"number": _RUSSIAN_NUMBERS, "time": _RUSSIAN_TIMES})
    # Not by altair_chart, which holds it against its schema each time.
    st.vega_lite_chart(chart.to_dict(validate=False), width="stretch", alt=alt_text)
