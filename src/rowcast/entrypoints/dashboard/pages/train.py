"""Train: choose a table, a target and what to learn from; follow it live; compare what came out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from rowcast.datasets.schema import TRAINABLE, Feature
from rowcast.datasets.views import Dataset, DatasetVersionDetail, TableProfile
from rowcast.entrypoints.dashboard.page import Page, plain
from rowcast.entrypoints.dashboard.pages.data_report import profile_of
from rowcast.entrypoints.dashboard.pages.train_compare import show_comparison
from rowcast.entrypoints.dashboard.pages.train_form import Knobs, ask_hyperparameters, ask_more, ask_work
from rowcast.entrypoints.dashboard.pages.train_run import show_going, show_made
from rowcast.entrypoints.dashboard.tasks import followed, show_followed, show_running, slot_of
from rowcast.entrypoints.dashboard.telling import bare, said

LISTED_SECONDS = 30.0


def show(page: Page) -> None:
    """A new training, or a comparison of what there is; what runs is followed on top."""
    t = page.t
    st.title(t("train.title"))
    if task_id := followed("train"):
        show_followed(page, "train", task_id, show_going, show_made)
        return
    show_running(page, "train")
    ways = {"new": t("train.new"), "compare": t("train.compare")}
    way = st.segmented_control(
        t("train.what"), list(ways), default="new", required=True, format_func=ways.__getitem__, key="train.way",
        label_visibility="collapsed",
    )  # fmt: skip
    if way == "compare":
        show_comparison(page)
    else:
        _new(page)


def _new(page: Page) -> None:
    t = page.t
    tables = page.recall("datasets", page.client.datasets.list, seconds=LISTED_SECONDS)
    if not tables:
        st.info(t("train.no_table"), icon=":material/info:")
        page.link("data", t("train.to_data"), icon=":material/upload_file:")
        return
    chosen = _choose(page, tables)
    number = chosen.latest.number
    detail = page.recall(
        f"datasets.{chosen.name}.{number}", lambda: page.client.datasets.version(chosen.name, number), seconds=600.0
    )
    names = [feature.name for feature in detail.table_schema.features if feature.kind in TRAINABLE]
    target = st.selectbox(
        t("train.target"), names, index=None, placeholder=t("train.choose"), help=t("train.target_help"),
        key=f"train.target.{chosen.name}",
    )  # fmt: skip
    if target is None:
        st.caption(t("train.target_first"))
        return
    profile = profile_of(page, chosen.name, number, target)
    if profile is not None:
        _recipe(page, chosen, detail, profile)


def _choose(page: Page, tables: Sequence[Dataset]) -> Dataset:
    by_name = {table.name: table for table in tables}
    wanted = st.query_params.get("dataset")
    if wanted in by_name and "train.table" not in st.session_state:
        st.session_state["train.table"] = wanted
    return by_name[st.selectbox(page.t("train.table"), list(by_name), key="train.table")]


def feature_rows(page: Page, detail: DatasetVersionDetail, profile: TableProfile) -> list[dict[str, Any]]:
    """The columns to learn from as lines to tick: those that a warning leaves out are not ticked, and say why."""
    warnings: dict[str, list[str]] = {}
    left_out: set[str] = set()
    for warning in profile.warnings:
        if warning.column:
            warnings.setdefault(warning.column, []).append(bare(said(page, warning)))
            left_out |= {warning.column} if warning.exclude else set()
    associations = {column.name: column.association for column in profile.columns}

    def row(feature: Feature) -> dict[str, Any]:
        usable = feature.kind in TRAINABLE
        reasons = warnings.get(feature.name, [] if usable else [page.t("train.not_learned")])
        return {
            "use": usable and feature.name not in left_out,
            "name": feature.name,
            "kind": page.t(f"column_kind.{feature.kind}"),
            "association": _rounded(associations.get(feature.name)),
            "optional": False,
            "why": " ".join(reasons),
        }

    features = [feature for feature in detail.table_schema.features if feature.name != profile.target]
    return [row(feature) for feature in features]


def _rounded(figure: float | None) -> float | None:
    return None if figure is None else round(figure, 3)


def chosen_columns(rows: Sequence[Mapping[str, Any]], edited: Mapping[int, Mapping[str, Any]]) -> dict[str, list[str]]:
    """What was ticked otherwise than proposed, as a training takes it: the version then knows of each other column why
    it was left out. And the columns that a prediction may leave out."""
    after = [{**row, **edited.get(place, {})} for place, row in enumerate(rows)]
    pairs = list(zip(rows, after, strict=True))
    return {
        "include": [row["name"] for before, row in pairs if row["use"] and not before["use"]],
        "exclude": [row["name"] for before, row in pairs if before["use"] and not row["use"]],
        "optional": [row["name"] for row in after if row["use"] and row["optional"]],
    }


def _recipe(page: Page, chosen: Dataset, detail: DatasetVersionDetail, profile: TableProfile) -> None:
    t = page.t
    rows = feature_rows(page, detail, profile)
    st.markdown(f"**{t('train.features')}**")
    if left_out := [row for row in rows if not row["use"]]:
        with st.expander(t.count("train.left_out", len(left_out), page.f.number(len(left_out)))):
            st.markdown("\n".join(f"- **{plain(row['name'])}**: {plain(row['why'])}" for row in left_out))
    key = f"train.features.{chosen.name}.{detail.number}.{profile.target}"
    st.data_editor(
        rows,
        key=key,
        hide_index=True,
        height=min(38 * (len(rows) + 1), 420),
        disabled=["name", "kind", "association", "why"],
        column_config={
            "use": st.column_config.CheckboxColumn(t("train.use"), pinned=True),
            "name": st.column_config.TextColumn(t("data.column"), pinned=True),
            "kind": st.column_config.TextColumn(t("data.kind")),
            "association": st.column_config.NumberColumn(
                t("data.association"), format="%.3f" if t.language == "en" else "localized"
            ),
            "optional": st.column_config.CheckboxColumn(t("train.optional"), help=t("train.optional_help")),
            "why": st.column_config.TextColumn(t("train.why"), width="large"),
        },
    )
    columns = chosen_columns(rows, st.session_state[key].get("edited_rows", {}))
    work = ask_work(page, page.recall("algorithms", page.client.algorithms, seconds=3600.0))
    knobs = ask_hyperparameters(page, work.algorithms)
    _start(page, chosen, detail, profile, columns | work.asked | ask_more(page, detail), knobs)


def _start(
    page: Page,
    chosen: Dataset,
    detail: DatasetVersionDetail,
    profile: TableProfile,
    asked: Mapping[str, Any],
    knobs: Knobs,
) -> None:
    t = page.t
    left, right = st.columns(2, vertical_alignment="bottom")
    model = left.text_input(t("train.model"), chosen.name, help=t("train.model_help"), key=f"train.model.{chosen.name}")
    promote = right.toggle(t("train.promote"), value=True, help=t("train.promote_help"), key="train.promote")
    if not st.button(t("train.start"), type="primary", icon=":material/play_arrow:", key="train.start"):
        return
    with page.attempt():
        task = page.client.train(
            dataset=chosen.name,
            dataset_version=detail.number,
            target=profile.target,
            model=model.strip() or None,
            promote=promote,
            hyperparameters=knobs,
            **asked,
        )
        page.forget("tasks")
        st.session_state[slot_of("train")] = task.id
        st.rerun()
