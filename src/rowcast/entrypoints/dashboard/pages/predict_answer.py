"""The answer for one case: the probability or number, its band, the reasons, the money, what if, the receipt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import altair as alt
import streamlit as st

from rowcast.entrypoints.dashboard.charts import draw, table
from rowcast.entrypoints.dashboard.page import Page, plain
from rowcast.entrypoints.dashboard.pages import predict_bands
from rowcast.entrypoints.dashboard.pages.predict_profit import show_calculator, show_expected, terms_of
from rowcast.entrypoints.dashboard.pages.predict_reasons import show_reasons
from rowcast.models.decide.policy import Policy
from rowcast.scoring.views import Prediction, Similar

MOST_CLASSES = 12


@dataclass(frozen=True)
class Answered:
    """A case and its answer. ``positive`` is the class whose probability is meant, of two; ``unit`` what the
    policy's amounts are counted in; ``receipt`` its record."""

    target: str
    classes: tuple[str, ...]
    positive: str | None
    row: Mapping[str, Any]
    prediction: Prediction
    policy: Policy | None
    unit: str | None
    version: int
    receipt: str | None


def show_answer(page: Page, answered: Answered) -> None:
    """What the model says and how far to trust it."""
    t, prediction = page.t, answered.prediction
    st.subheader(t("predict.answer"))
    said, drawn = st.columns([2, 3], gap="medium")
    with said:
        _headline(page, answered)
    with drawn:
        _picture(page, answered)
    bands = answered.policy.bands if answered.policy else None
    if bands is not None:
        st.write(predict_bands.meaning(page, prediction, bands))
        st.caption(predict_bands.limits(page, bands))
    if prediction.explanation is not None and prediction.explanation.similar is not None:
        st.write(similar_sentence(page, prediction.explanation.similar, prediction.explanation.of, prediction))


def show_why(page: Page, answered: Answered) -> None:
    """The reasons, where they were asked for."""
    if answered.prediction.explanation is not None:
        show_reasons(page, answered.prediction.explanation)


def show_money(page: Page, answered: Answered, key: str) -> None:
    """What the policy expects it to earn, and the calculator for loans."""
    payoff = answered.policy.payoff if answered.policy else None
    credit = payoff.credit if payoff else None
    if not answered.prediction.probabilities:
        return
    st.subheader(page.t("predict.money"))
    if payoff is not None and answered.prediction.decision is not None:
        show_expected(page, answered.prediction.decision, answered.unit)
    bad = credit.bad if credit else answered.positive
    if bad is None:
        return
    with st.expander(page.t("predict.calculator"), icon=":material/calculate:", expanded=credit is not None):
        terms = terms_of(credit, answered.row) if credit else {}
        show_calculator(page, key, terms, bad, answered.prediction.probabilities[bad], answered.unit)


def show_receipt(page: Page, answered: Answered) -> None:
    """The number by which the answer is found again, to be copied."""
    if answered.receipt is None:
        return
    st.caption(page.t("predict.receipt", version=answered.version))
    st.code(answered.receipt, language=None)
    page.link("history", page.t("predict.to_history"), icon=":material/history:", receipt=answered.receipt)


def similar_sentence(page: Page, similar: Similar, of: str, prediction: Prediction) -> str:
    """What became of the cases with a known outcome that were scored closest."""
    t, f = page.t, page.f
    chance = (prediction.probabilities or {}).get(of, prediction.probability or 0.0)
    far = similar.beyond(chance)
    said = t(
        f"predict.similar.{far or 'near'}",
        count=f.number(similar.count), low=f.percent(similar.low), high=f.percent(similar.high),
        hits=f.number(round(similar.observed * similar.count)), of=plain(of), share=f.percent(similar.observed),
    )  # fmt: skip
    fits = similar.observed_low <= chance <= similar.observed_high
    if far or (fits and any(note.code != "category_rare" for note in prediction.notes or ())):
        return said
    likely = (f.percent(similar.observed_low, 0), f.percent(similar.observed_high, 0))
    return f"{said} {t('predict.fits' if fits else 'predict.fits_not', low=likely[0], high=likely[1])}"


def odds(chance: float) -> tuple[int, int] | None:
    """How many of how many such cases: 0.38 is 38 of 100; None where it is next to none or next to all."""
    for whole in (100, 1000):
        part = round(chance * whole)
        if 0 < part < whole:
            return part, whole
    return None


def _headline(page: Page, answered: Answered) -> None:
    t, f, prediction = page.t, page.f, answered.prediction
    if answered.positive is not None and prediction.probability is not None:
        st.metric(t("predict.probability_of", of=plain(answered.positive)), f.percent(prediction.probability))
        if (found := odds(prediction.probability)) is not None:
            st.caption(t("predict.odds", part=f.number(found[0]), whole=f.number(found[1])))
    elif prediction.probabilities is not None:
        st.metric(plain(answered.target), str(prediction.value))
        st.caption(t("predict.likely", share=f.percent(prediction.probabilities[str(prediction.value)])))
    else:
        st.metric(plain(answered.target), f.number(float(prediction.value)))
        if (interval := prediction.interval) is not None:
            level = f.percent(interval.level, 0)
            st.caption(t("predict.interval", level=level, low=f.number(interval.low), high=f.number(interval.high)))
    if prediction.decision is not None and prediction.decision.color is not None:
        predict_bands.badge(page, prediction.decision.color)


def _picture(page: Page, answered: Answered) -> None:
    prediction = answered.prediction
    bands = answered.policy.bands if answered.policy else None
    if prediction.probabilities is None:
        return
    comparable = bands is not None and bands.measure in (None, "probability")
    if prediction.probability is not None or (comparable and bands is not None):
        of = bands.of if comparable and bands is not None and bands.of else answered.positive
        value = prediction.probabilities[of or str(prediction.value)]
        st.caption(page.t("predict.scale", of=plain(of or prediction.value)))
        strip = predict_bands.scale(value, bands if comparable else None)
        draw(strip, page.f, alt_text=page.t("predict.scale", of=of or prediction.value), height=None)
        return
    likeliest = sorted(prediction.probabilities.items(), key=lambda each: -each[1])[:MOST_CLASSES]
    rows = [{"name": name, "share": share, "shown": page.f.percent(share)} for name, share in likeliest]
    base = alt.Chart(table(rows)).encode(
        y=alt.Y("name:N", sort=None, title=None), x=alt.X("share:Q", title=None, axis=alt.Axis(format="%"))
    )
    text = base.mark_text(align="left", dx=6, color="#7F7F7F").encode(text="shown:N")
    draw(alt.layer(base.mark_bar(), text), page.f, alt_text=page.t("predict.classes"), height=None)
