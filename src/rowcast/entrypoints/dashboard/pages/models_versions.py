"""The versions of a model: their figures, a card for each, and what can be done with one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from rowcast.entrypoints.dashboard.page import Page, plain
from rowcast.entrypoints.dashboard.pages.models_card import card_of
from rowcast.entrypoints.dashboard.pages.models_choice import version_of
from rowcast.entrypoints.dashboard.pages.models_compare import Change, MetricChange, change_of
from rowcast.entrypoints.dashboard.pages.train_compare import compare, shown
from rowcast.entrypoints.dashboard.telling import why_left_out
from rowcast.models.views import Model, ModelVersion, ModelVersionDetail

CHAMPION = "champion"
MOST_METRICS = 4


def show_versions(page: Page, model: Model, may_change: bool) -> None:
    """A line for each version; below them the one that is chosen, or several side by side."""
    versions = page.recall(f"models.{model.name}.versions", lambda: page.client.models.versions(model.name))
    st.caption(page.t("models.choose_version"))
    chosen = st.dataframe(
        [_row(page, version) for version in versions],
        hide_index=True,
        on_select="rerun",
        selection_mode="multi-row",
        key=f"models.table.{model.name}",
        selection_default={"selection": {"rows": [_served(versions)]}},
    )
    numbers = [versions[place].number for place in chosen["selection"]["rows"] if place < len(versions)]
    if len(numbers) == 1:
        _show_version(page, model, version_of(page, f"{model.name}@{numbers[0]}"), may_change)
    with page.attempt():
        compare(page, model.name, numbers)


def promoting(page: Page, model: Model, number: int, alias: str = CHAMPION) -> None:
    """Ask, with what will be different, and let the version serve."""
    st.dialog(page.t("models.promote_title", number=number), width="large")(_confirm_promotion)(
        page, model, number, alias
    )


def show_change(page: Page, change: Change) -> None:
    """The figures before and after, and what rows need from then on."""
    t = page.t
    st.table([_compared(page, each) for each in change.metrics], hide_index=True)
    for key, names in (("added", change.added), ("removed", change.removed), ("needed", change.needed)):
        if names:
            st.write(t(f"models.features.{key}", names=", ".join(plain(name) for name in names)))
    if not (change.added or change.removed or change.needed):
        st.caption(t("models.same_features"))


def _served(versions: Sequence[ModelVersion]) -> int:
    """The place of the version that serves, else of the newest."""
    return next((place for place, version in enumerate(versions) if CHAMPION in version.aliases), 0)


def _row(page: Page, version: ModelVersion) -> dict[str, Any]:
    t = page.t
    figures = {_named(page, metric.name): shown(page, metric) for metric in version.metrics[:MOST_METRICS]}
    return {
        t("models.version"): version.number,
        t("models.aliases"): ", ".join(version.aliases) or "—",
        t("models.algorithm"): version.algorithm,
        **figures,
        t("models.table"): f"{version.dataset}@{version.dataset_version}",
        t("models.made"): page.f.moment(version.created_at),
        t("models.by"): version.created_by,
    }


def _show_version(page: Page, model: Model, detail: ModelVersionDetail, may_change: bool) -> None:
    t = page.t
    st.subheader(t("models.version_title", number=detail.number, algorithm=plain(detail.algorithm)))
    with st.container(horizontal=True, vertical_alignment="center"):
        page.link("predict", t("models.try"), icon=":material/play_arrow:", model=f"{model.name}@{detail.number}")
        promotable = may_change and CHAMPION not in detail.aliases
        if promotable and st.button(
            t("models.promote"), icon=":material/publish:", type="primary", key="models.promote"
        ):
            promoting(page, model, detail.number)
        if may_change and st.button(t("models.retrain"), icon=":material/replay:", key="models.retrain"):
            with page.attempt():
                page.client.retrain(model.name, detail.number)
                page.forget("history.", "tasks")
                st.toast(t("models.retraining"), icon=":material/check:")
        st.link_button(
            t("models.export"), f"/api/v1/models/{model.name}/versions/{detail.number}/export",
            icon=":material/download:",
        )  # fmt: skip
        removable = may_change and not detail.aliases
        if removable and st.button(t("models.delete"), icon=":material/delete:", key="models.delete"):
            title = t("models.delete_title", number=detail.number)
            st.dialog(title)(_confirm_deletion)(page, model, detail.number)
    with st.expander(t("models.card"), icon=":material/description:"):
        st.markdown(card_of(page, detail))
    with st.expander(t("models.trained_with"), icon=":material/tune:"):
        names = detail.hyperparameters.items()
        rows = [{t("models.hyperparameter"): plain(name), t("models.value"): plain(value)} for name, value in names]
        st.table(rows, hide_index=True)
        if (run := detail.tracking) is not None:
            told = t("models.mlflow_run", number=page.f.number(run.number), name=plain(run.name), run=plain(run.run_id))
            st.caption(told)
        for each in detail.left_out:
            st.caption(why_left_out(page, each))


def _named(page: Page, metric: str) -> str:
    return page.t.get(f"metric.{metric}") or metric


def _compared(page: Page, each: MetricChange) -> dict[str, str]:
    t = page.t
    if each.difference is None:
        verdict = "—"
    else:
        verdict = t(f"models.verdict.{'same' if each.better is None else 'better' if each.better else 'worse'}")
    difference = each.difference
    return {
        t("models.metric"): plain(_named(page, each.name)),
        t("models.judged"): verdict,  # before the figures, which on a phone reach out of the picture
        t("models.now"): "—" if each.now is None else shown(page, each.now),
        t("models.then"): "—" if each.then is None else shown(page, each.then),
        t("models.difference"): page.f.change(difference, 3),
    }


def _confirm_promotion(page: Page, model: Model, number: int, alias: str) -> None:
    t = page.t
    serving = model.aliases.get(alias)
    if serving is None:
        st.write(t("models.promote_first", number=number))
    else:
        now, then = (version_of(page, f"{model.name}@{each}") for each in (serving, number))
        st.write(t("models.promote_text", now=serving, then=number))
        show_change(page, change_of(now, then))
    if st.button(t("models.promote_yes", number=number), type="primary", key="models.promote_yes"):
        with page.attempt():
            page.client.models.promote(model.name, number, alias)
            page.forget("models")
            st.toast(t("models.promoted", number=number), icon=":material/check:")
            st.rerun()


def _confirm_deletion(page: Page, model: Model, number: int) -> None:
    st.write(page.t("models.delete_text"))
    if st.button(page.t("models.delete_yes", number=number), type="primary", key="models.delete_yes"):
        with page.attempt():
            page.client.models.delete_version(model.name, number)
            page.forget("models")
            st.rerun()
