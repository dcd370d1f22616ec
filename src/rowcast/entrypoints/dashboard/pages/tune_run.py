"""A search: its trials as they come in, and in the end what was chosen and how good it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt
import streamlit as st

from rowcast.entrypoints.dashboard.charts import draw, table
from rowcast.entrypoints.dashboard.page import Page, plain
from rowcast.entrypoints.dashboard.pages.train_compare import show_ways_on, shown
from rowcast.entrypoints.dashboard.retelling import remark
from rowcast.entrypoints.dashboard.telling import bare
from rowcast.entrypoints.dashboard.theme import BLUE, GREY, ORANGE
from rowcast.models.tune.views import TrialResult, TuningResult, most_folds
from rowcast.tasks.views import Task

SCORE_DIGITS = 4


def show_going(page: Page, task: Task) -> None:
    """The trials that there were so far."""
    trials = page.client.tasks.trials(task.id)
    _standing(page, trials)
    _trials(page, trials)


def show_every_trial(page: Page, task_id: str) -> None:
    """The trials of a search that has ended, however it did."""
    _trials(page, page.recall(f"trials.{task_id}", lambda: page.client.tasks.trials(task_id), seconds=3600.0))


def _standing(page: Page, trials: Sequence[TrialResult]) -> None:
    """How many trials there were, and the best of them."""
    t, f = page.t, page.f
    first, second, third = st.columns(3)
    first.metric(t("tune.trials"), f.number(len(trials), 0))
    best = best_of(trials)
    if best is not None:
        second.metric(t.get(f"metric.{best.metric}") or str(best.metric), f.number(best.score, SCORE_DIGITS))
        third.metric(t("tune.best_by"), best.algorithm)


def best_of(trials: Sequence[TrialResult]) -> TrialResult | None:
    """The trial with the best score of those that were done."""
    done = [trial for trial in trials if trial.state == "done" and trial.score is not None]
    return max(done, key=lambda trial: _merit(trial, trial.score or 0.0), default=None)


def score_rows(trials: Sequence[TrialResult]) -> list[dict[str, Any]]:
    """A point for each trial that has a score, with the best that was reached by then."""
    rows: list[dict[str, Any]] = []
    best: float | None = None
    for trial in trials:
        if trial.score is None:
            continue
        if trial.state == "done" and (best is None or _merit(trial, trial.score) > _merit(trial, best)):
            best = trial.score
        row = {"trial": trial.number, "score": trial.score, "algorithm": trial.algorithm, "state": trial.state}
        rows.append({**row, "best": best})
    return rows


def _merit(trial: TrialResult, score: float) -> float:
    return score if trial.greater_is_better else -score


def _trials(page: Page, trials: Sequence[TrialResult]) -> None:
    if not trials:
        return
    _plot(page, trials)
    with st.expander(page.t("tune.every"), expanded=False):
        folds = most_folds(trials)
        st.dataframe([_line(page, trial, folds) for trial in reversed(trials)], hide_index=True)


def _plot(page: Page, trials: Sequence[TrialResult]) -> None:
    t = page.t
    rows = score_rows(trials)
    if not rows:
        return
    metric = next(str(trial.metric) for trial in trials if trial.metric)
    states = {state: t(f"tune.state.{state}") for state in ("done", "pruned")}
    data = table([{**row, "ended": states[row["state"]]} for row in rows])
    across = alt.X("trial:Q", title=t("tune.trial"), axis=alt.Axis(tickMinStep=1))
    up = alt.Y("score:Q", title=t.get(f"metric.{metric}") or metric, scale=alt.Scale(zero=False))
    colors = alt.Scale(domain=list(states.values()), range=[BLUE, GREY])
    points = (
        alt.Chart(data)
        .mark_point(filled=True, size=60, opacity=0.8)
        .encode(
            x=across,
            y=up,
            color=alt.Color("ended:N", title=None, scale=colors, legend=alt.Legend(orient="top")),
            shape=alt.Shape("ended:N", legend=None),
            tooltip=[
                alt.Tooltip("trial:Q", title=t("tune.trial")),
                alt.Tooltip("algorithm:N", title=t("train.algorithm")),
                alt.Tooltip("score:Q", title=t("tune.score"), format=".4f"),
            ],
        )
    )
    line = alt.Chart(data).mark_line(interpolate="step-after", color=ORANGE, strokeWidth=2).encode(x=across, y="best:Q")
    draw(alt.layer(points, line), page.f, alt_text=t("tune.plot"))
    st.caption(t("tune.plot"))


def _line(page: Page, trial: TrialResult, folds: int) -> dict[str, str]:
    t, f = page.t, page.f
    return {
        t("tune.trial"): f.number(trial.number, 0),
        t("train.algorithm"): trial.algorithm,
        t("tune.ended"): ended(page, trial, folds),
        t.get(f"metric.{trial.metric}") or t("tune.score"): f.number(trial.score, SCORE_DIGITS),
        t("tune.prepared"): _prepared(page, trial),
        t("tune.set"): ", ".join(f"{name} {value}" for name, value in trial.hyperparameters.items()),
        t("train.seconds"): f.duration(trial.seconds),
    }


def ended(page: Page, trial: TrialResult, folds: int) -> str:
    """Of a trial that was given up also on how few folds, for its score is of those alone; of one that failed, why."""
    state, done = page.t(f"tune.state.{trial.state}"), len(trial.fold_scores)
    if trial.failure is not None:
        return f"{state}: {bare(remark(page, trial.failure.message))}"
    return page.t("tune.folds", state=state, done=done, all=folds) if trial.state == "pruned" and done else state


def _prepared(page: Page, trial: TrialResult) -> str:
    """How a trial prepared the table, where that is not as usual."""
    t, f = page.t, page.f
    told = [t("tune.clipped")] if trial.outliers == "clip" else []
    told += [t("tune.balanced")] if trial.imbalance == "balanced" else []
    if trial.selection is not None:
        method = t(f"tune.method.{trial.selection.method}")
        told.append(t("tune.selected", share=f.percent(trial.selection.keep, 0), method=method))
    return ", ".join(told)


def show_made(page: Page, task: Task) -> None:
    """What was chosen, and how good it is."""
    result = TuningResult.model_validate(task.result)
    t, f, study = page.t, page.f, result.study
    st.success(
        t("tune.found", model=plain(result.model), version=result.best_version, trials=f.number(study.trials, 0)),
        icon=":material/task_alt:",
    )
    show_ways_on(page, result)
    shares = [t("tune.share", trial=f.number(each.trial, 0), share=f.percent(each.weight, 0)) for each in study.chosen]
    st.markdown(f"**{t('tune.chosen')}** {', '.join(shares)}")
    st.subheader(t("tune.estimate"))
    st.caption(t("tune.honest", held_out=f.number(study.held_out_rows, 0), searched=f.number(study.searched_rows, 0)))
    st.dataframe(estimate_rows(page, result), hide_index=True, height="content")
    if said := beaten(page, result):
        st.info(said, icon=":material/info:")
    for warning in result.warnings:
        st.warning(remark(page, warning))


def beaten(page: Page, result: TuningResult) -> str:
    """That the search was not worth it, where it was not."""
    found = result.beaten()
    if found is None:
        return ""
    this, usual = found
    key = "tune.better" if this.clearly_worse_than(usual.value) else "tune.as_well"
    return page.t(key, usual=page.f.number(usual.value, SCORE_DIGITS), this=page.f.number(this.value, SCORE_DIGITS))


def estimate_rows(page: Page, result: TuningResult) -> list[dict[str, str]]:
    """A line for each figure: of what was chosen, and of a training with default settings."""
    usual = {metric.name: metric for metric in result.study.default_estimate}
    return [
        {
            page.t("train.figure"): page.t.get(f"metric.{metric.name}") or metric.name,
            page.t("tune.this"): shown(page, metric),
            page.t("tune.usual"): shown(page, usual[metric.name]) if metric.name in usual else "—",
        }
        for metric in result.study.estimate
    ]
