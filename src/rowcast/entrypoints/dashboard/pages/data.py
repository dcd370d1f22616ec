"""Data: upload a table, correct what was found in it, look at it, and see what changed between two versions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import streamlit as st

from rowcast.datasets.schema import Kind
from rowcast.datasets.views import Dataset, DatasetVersionDetail
from rowcast.entrypoints.dashboard.page import Page, plain
from rowcast.entrypoints.dashboard.pages.data_report import show_report
from rowcast.entrypoints.dashboard.pages.data_versions import show_versions
from rowcast.entrypoints.dashboard.tabs import show_open_tab
from rowcast.entrypoints.dashboard.telling import why_kind
from rowcast.entrypoints.dashboard.work import begin, finished, outcome, under_way

UPLOAD, SAVE = "data.upload", "data.save"
CHOSEN = "data.chosen"
TYPES = ("csv", "tsv", "txt", "parquet", "gz", "zst", "zip")
FIRST_ROWS = 50
FIGURE_PIXELS = 140
TYPICAL = 3
"""Examples of a column that are shown."""


def show(page: Page) -> None:
    """Choose a table or send one; then what is known of it."""
    t = page.t
    st.title(t("data.title"))
    if under_way(UPLOAD):
        with page.attempt():
            if finished(page, UPLOAD):
                _arrived(page, outcome(UPLOAD))
            else:
                st.caption(t("data.uploading"))
    tables = page.recall("datasets", page.client.datasets.list)
    if page.may_train:
        with st.expander(t("data.upload"), icon=":material/upload_file:", expanded=not tables):
            _upload(page)
    if not tables:
        if not page.may_train:
            st.info(t("data.nothing_shared"), icon=":material/info:")
        return
    chosen = _choose(page, tables)
    latest = chosen.latest.number
    detail = page.recall(
        f"datasets.{chosen.name}.{latest}", lambda: page.client.datasets.version(chosen.name, latest), seconds=600.0
    )
    _overview(page, chosen, detail)
    parts = {
        t("data.columns"): partial(_columns, page, chosen, detail),
        t("data.report"): partial(show_report, page, chosen, detail),
        t("data.versions"): partial(show_versions, page, chosen),
        t("data.rows"): partial(_rows, page, chosen),
    }
    with page.attempt():
        show_open_tab(parts, "data.tab")


def _choose(page: Page, tables: Sequence[Dataset]) -> Dataset:
    by_name = {table.name: table for table in tables}
    wanted = st.session_state.pop(CHOSEN, None) or st.query_params.get("dataset")
    if wanted in by_name:
        st.session_state["data.table"] = wanted
    name = st.selectbox(page.t("data.table"), list(by_name), key="data.table")
    st.query_params["dataset"] = name
    return by_name[name]


def _upload(page: Page) -> None:
    t = page.t
    with st.form("data.upload_form", border=False):
        file = st.file_uploader(t("data.file"), type=list(TYPES), key="data.file", help=t("data.file_help"))
        name = st.text_input(t("data.name"), key="data.name", help=t("data.name_help"))
        sent = st.form_submit_button(t("data.send"), type="primary", icon=":material/upload:")
    if sent and file is None:
        st.warning(t("data.no_file"))
    elif sent and file is not None:
        client, wanted = page.client, name.strip() or None
        begin(UPLOAD, lambda report: client.datasets.add(file, name=wanted, filename=file.name, progress=report))
        st.rerun()


def _arrived(page: Page, detail: DatasetVersionDetail) -> None:
    page.forget("datasets")
    st.session_state[CHOSEN] = detail.dataset
    st.toast(page.t("data.arrived", name=plain(detail.dataset), version=detail.number), icon=":material/task_alt:")


def _overview(page: Page, table: Dataset, detail: DatasetVersionDetail) -> None:
    t, f = page.t, page.f
    cells = sum(column.count for column in detail.profile.columns)
    missing = sum(column.missing for column in detail.profile.columns)
    figures = {
        "data.row_count": f.number(detail.row_count, 0),
        "data.column_count": f.number(detail.column_count, 0),
        "data.missing": f.percent(missing / cells if cells else 0.0),
        "data.version": f.number(detail.number, 0),
    }
    with st.container(horizontal=True):  # as many abreast as there is room for, on a phone too
        for key, value in figures.items():
            st.metric(t(key), value, width=FIGURE_PIXELS)
    told = f"{plain(table.description)} · " if table.description else ""
    st.caption(told + t("data.added", by=plain(detail.created_by), at=f.moment(detail.created_at)))
    if page.may_train:
        page.link("train", t("data.train"), icon=":material/model_training:", dataset=table.name)


def column_rows(page: Page, detail: DatasetVersionDetail, dictionary: Mapping[str, str]) -> list[dict[str, Any]]:
    """The columns of a table as lines to correct."""
    profiles = {column.name: column for column in detail.profile.columns}
    rows = []
    for feature in detail.table_schema.features:
        profile = profiles.get(feature.name)
        top = [each.value for each in profile.top[:TYPICAL]] if profile else []
        missing = round(100 * profile.missing / profile.count, 1) if profile and profile.count else 0.0
        rows.append(
            {
                "name": feature.name,
                "kind": feature.kind.value,
                "meaning": dictionary.get(feature.name) or feature.description or "",
                "missing": missing,
                "examples": ", ".join(top),
                "reason": why_kind(page, feature),
            }
        )
    return rows


def changes(
    rows: Sequence[Mapping[str, Any]], edited: Mapping[int, Mapping[str, Any]]
) -> tuple[dict[str, str], dict[str, str]]:
    """The kinds that were corrected, and the meanings as they stand after it if any was: what is to be saved."""
    kinds: dict[str, str] = {}
    meanings = {row["name"]: row["meaning"] for row in rows if row["meaning"]}
    before = dict(meanings)
    for place, change in edited.items():
        row = rows[int(place)]
        if change.get("kind", row["kind"]) != row["kind"]:
            kinds[row["name"]] = change["kind"]
        if "meaning" in change:
            meanings[row["name"]] = (change["meaning"] or "").strip()
    meanings = {name: meaning for name, meaning in meanings.items() if meaning}
    return kinds, meanings if meanings != before else {}


def _columns(page: Page, table: Dataset, detail: DatasetVersionDetail) -> None:
    t = page.t
    if under_way(SAVE):
        if not finished(page, SAVE):
            return
        outcome(SAVE)
        page.forget("datasets")
        st.toast(t("data.saved"), icon=":material/task_alt:")
        st.rerun()
    st.write(t("data.columns_help") if page.may_train else t("data.columns_read"))
    rows = column_rows(page, detail, table.dictionary)
    key = f"data.columns.{table.name}.{detail.number}"
    st.data_editor(
        rows,
        key=key,
        hide_index=True,
        disabled=["name", "missing", "examples", "reason"] if page.may_train else True,
        column_config={
            "name": st.column_config.TextColumn(t("data.column"), pinned=True),
            "kind": st.column_config.SelectboxColumn(
                t("data.kind"),
                options=list(Kind),
                required=True,
                format_func=lambda kind: t(f"column_kind.{kind}"),
                width=130,
            ),
            "meaning": st.column_config.TextColumn(t("data.meaning"), width="medium"),
            "missing": st.column_config.NumberColumn(f"{t('data.missing')}, %", format="localized"),
            "examples": st.column_config.TextColumn(t("data.examples")),
            "reason": st.column_config.TextColumn(t("data.reason"), width="large"),
        },
    )
    kinds, meanings = changes(rows, st.session_state[key].get("edited_rows", {}))
    if not kinds and not meanings:
        return
    st.caption(t("data.to_save", kinds=page.f.number(len(kinds))) if kinds else t("data.to_save_meanings"))
    if st.button(t("data.save"), type="primary", icon=":material/save:", key="data.save_button"):
        client, name = page.client, table.name

        def save(report: Any) -> None:
            if meanings:
                client.datasets.set_dictionary(name, meanings)
            if kinds:
                client.datasets.set_kinds(name, kinds, progress=report)

        del st.session_state[key]
        begin(SAVE, save)
        st.rerun()


def _rows(page: Page, table: Dataset) -> None:
    preview = page.recall(
        f"datasets.{table.name}.rows", lambda: page.client.datasets.preview(table.name, limit=FIRST_ROWS), seconds=600.0
    )
    shown = {
        name: [None if row[place] is None else str(row[place]) for row in preview.rows]
        for place, name in enumerate(preview.columns)
    }
    of = page.f.number(preview.row_count, 0)
    st.caption(page.t("data.first_rows", shown=page.f.number(len(preview.rows), 0), of=of))
    st.dataframe(shown, hide_index=True)
