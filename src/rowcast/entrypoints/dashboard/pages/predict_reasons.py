"""Why an answer is what it is: a waterfall of what the features contribute, and the same in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import altair as alt
import streamlit as st

from rowcast.entrypoints.dashboard.charts import NAMES, draw, table
from rowcast.entrypoints.dashboard.formats import Formats
from rowcast.entrypoints.dashboard.page import Page, plain
from rowcast.entrypoints.dashboard.pages.predict_form import day_of
from rowcast.scoring.views import Explanation, Reason

MOST_BARS = 8
MOST_SENTENCES = 5
STRONG, SLIGHT = 0.25, 0.05
"""Shares of all that the features add and take away together: as the API's own sentences have it."""

RAISES, LOWERS, TOTAL = "#D55E00", "#0072B2", "#7F7F7F"
"""Orange and blue, which no colour blindness takes for one another (Okabe and Ito 2008)."""

STEP_PIXELS = 30
LONGEST_VALUE = 16

Part = Literal["base", "raises", "lowers", "score"]


@dataclass(frozen=True)
class Step:
    """A bar of the waterfall, from where the one before ended."""

    label: str
    start: float
    end: float
    part: Part

    @property
    def amount(self) -> float:
        return self.end - self.start


def steps(explanation: Explanation, words: tuple[str, str, str], f: Formats, most: int = MOST_BARS) -> list[Step]:
    """The bars, strongest first, with one for all other features together. ``words`` name where contributions start,
    the other features, and where they lead. By occlusion each bar starts at 0, for they do not add up."""
    begin, others, end = words
    shown, left = explanation.reasons[:most], explanation.reasons[most:]
    if explanation.base is None or explanation.score is None:
        return [_step(_label(f, reason), 0.0, reason.contribution) for reason in shown]
    made = [Step(begin, explanation.base, explanation.base, "base")]
    for reason in shown:
        made.append(_step(_label(f, reason), made[-1].end, reason.contribution))
    rest = (explanation.rest or 0.0) + sum(reason.contribution for reason in left)
    if abs(rest) > 1e-9:
        made.append(_step(others, made[-1].end, rest))
    return [*made, Step(end, explanation.score, explanation.score, "score")]


def waterfall(made: Sequence[Step], f: Formats) -> alt.LayerChart | alt.FacetChart:
    """The bars with their amounts, which are those of the answer."""
    rows: list[dict[str, Any]] = [
        {
            "label": step.label,
            "low": min(step.start, step.end),
            "high": max(step.start, step.end),
            "part": step.part,
            "shown": signed(step, f),
        }
        for step in made
    ]
    names = alt.Y("label:N", sort=[step.label for step in made], title=None, axis=NAMES)
    along = alt.X("low:Q", title=None, axis=None, scale=alt.Scale(zero=False, padding=36))
    color = alt.Color("part:N", legend=None, scale=alt.Scale(domain=["raises", "lowers"], range=[RAISES, LOWERS]))
    bars = alt.Chart(table([row for row in rows if row["part"] in ("raises", "lowers")]))
    amounts = (
        alt.Chart(table(rows)).mark_text(align="left", dx=6, color=TOTAL).encode(y=names, x="high:Q", text="shown:N")
    )
    layers = [
        bars.mark_bar(cornerRadius=2, height=16).encode(y=names, x=along, x2="high:Q", color=color),
        amounts,
    ]
    if ends := [row for row in rows if row["part"] in ("base", "score")]:
        tick = alt.Chart(table(ends)).mark_tick(color=TOTAL, thickness=3, size=20)
        layers.append(tick.encode(y=names, x="low:Q"))
    return alt.layer(*layers).properties(height=STEP_PIXELS * len(made))


def signed(step: Step, f: Formats) -> str:
    """What the bar adds, with its sign; where it stands, of both ends."""
    if step.part in ("base", "score"):
        return f.number(step.end, 2)
    return f.change(step.amount, 2)


def sentence(page: Page, explanation: Explanation, reason: Reason) -> str:
    """The reason as Markdown in the visitor's language; its size is told in words where contributions add up."""
    known = reason.value is not None and str(reason.value).strip() != ""
    value = shown_value(page, reason.value) if known else page.t("predict.not_known")
    name = f"**{plain(reason.feature)}**"
    meaning = f" ({plain(reason.description)})" if reason.description and len(reason.description) <= 60 else ""
    subject = page.t("predict.reason_subject", feature=f"{name}{meaning}", value=value)
    sign = "▲" if reason.contribution > 0 else "▼"
    return f"{sign} {subject} {_effect(page, explanation, reason)}"


def show_reasons(page: Page, explanation: Explanation) -> None:
    """The waterfall beside the strongest reasons in words."""
    st.subheader(page.t("predict.reasons"))
    if not explanation.reasons:
        st.write(page.t("predict.no_reasons"))
        return
    drawn, told = st.columns([3, 2], gap="medium")
    what = plain(explanation.of) if explanation.unit == "number" else page.t("predict.chance", of=plain(explanation.of))
    with drawn:
        words = (page.t("predict.base"), page.t("predict.others"), page.t("predict.score"))
        picture = waterfall(steps(explanation, words, page.f), page.f)
        draw(picture, page.f, alt_text=page.t("predict.waterfall", what=explanation.of), height=None)
        st.caption(f"{page.t('predict.legend', what=what)} {page.t(f'predict.unit.{explanation.unit}')}")
    with told:
        st.write(page.t("predict.strongest", what=what))
        st.markdown(
            "\n".join(f"- {sentence(page, explanation, each)}" for each in explanation.reasons[:MOST_SENTENCES])
        )


def shown_value(page: Page, value: Any) -> str:
    """A value as people write it, as Markdown. What may be a year has no commas in it."""
    if isinstance(value, bool):
        return page.t("predict.yes" if value else "predict.no")
    return plain(written(page.f, value))


def written(f: Formats, value: Any) -> str:
    """A number, a day or a text as people write it."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        day = day_of(value)
        return str(value) if day is None else f.day(day)
    return str(int(value)) if 0 <= value < 10_000 and value == int(value) else f.number(float(value))


def _effect(page: Page, explanation: Explanation, reason: Reason) -> str:
    raises = reason.contribution > 0
    amount, of = abs(reason.contribution), plain(explanation.of)
    if explanation.method == "occlusion":
        way = "lower" if raises else "higher"
        unit = "number" if explanation.unit == "number" else "points"
        size = page.f.number(amount if unit == "number" else amount * 100, None if unit == "number" else 1)
        return page.t(f"predict.typical.{unit}_{way}", of=of, size=size)
    if explanation.unit == "number":
        return page.t(f"predict.effect.{'adds' if raises else 'takes'}", size=page.f.number(amount), of=of)
    total = sum(abs(each.contribution) for each in explanation.reasons) + abs(explanation.rest or 0.0)
    share = amount / total if total else 0.0
    strength = "strongly" if share >= STRONG else "slightly" if share < SLIGHT else "plainly"
    return page.t(f"predict.effect.{'raises' if raises else 'lowers'}_{strength}", of=of)


def _label(f: Formats, reason: Reason) -> str:
    value = "?" if reason.value is None or str(reason.value).strip() == "" else written(f, reason.value)
    short = value if len(value) <= LONGEST_VALUE else f"{value[: LONGEST_VALUE - 1]}…"
    return f"{reason.feature} = {short}"


def _step(label: str, start: float, amount: float) -> Step:
    return Step(label, start, start + amount, "raises" if amount > 0 else "lowers")
