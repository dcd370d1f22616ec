"""The versions of a table, and what changed between two of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from rowcast.datasets import dvc
from rowcast.datasets.views import ColumnProfile, Dataset, DatasetVersionDetail
from rowcast.entrypoints.dashboard.page import Page, plain

VERSION_SECONDS = 3600.0
TELLING = 0.01
"""A change of a share, or of a mean in standard deviations, that is worth a line."""


def show_versions(page: Page, chosen: Dataset) -> None:
    """The list, and the comparison where there are two."""
    t, f = page.t, page.f
    name = chosen.name
    versions = page.recall(f"datasets.{name}.versions", lambda: page.client.datasets.versions(name))
    st.dataframe(
        {
            t("data.version"): [version.number for version in versions],
            t("data.file_name"): [version.filename for version in versions],
            t("data.row_count"): [f.number(version.row_count, 0) for version in versions],
            t("data.column_count"): [f.number(version.column_count, 0) for version in versions],
            t("data.size"): [f.size(version.size_bytes) for version in versions],
            t("data.by"): [version.created_by for version in versions],
            t("data.at"): [f.moment(version.created_at) for version in versions],
        },
        hide_index=True,
    )
    numbers = sorted((version.number for version in versions), reverse=True)
    if page.may_train:
        with st.expander(t("data.dvc"), icon=":material/commit:"):
            _dvc(page, name, numbers)
    if len(numbers) < 2:
        st.caption(t("data.one_version"))
        return
    before, after = st.columns(2)
    old = before.selectbox(t("data.from_version"), numbers, index=1, key=f"data.old.{name}")
    new = after.selectbox(t("data.to_version"), numbers, index=0, key=f"data.new.{name}")
    _differences(page, _version(page, name, old), _version(page, name, new))


def _dvc(page: Page, name: str, numbers: Sequence[int]) -> None:
    """A version's ``.dvc`` file, to be committed beside the code that uses the table."""
    t = page.t
    st.write(t("data.dvc_help"))
    number = st.selectbox(t("data.version"), numbers, key=f"data.dvc.{name}")
    made = f"data.dvc_file.{name}.{number}"
    if st.button(t("data.dvc_make"), icon=":material/publish:", key="data.dvc_make"):
        with page.attempt():
            st.session_state[made] = page.client.datasets.push_to_dvc(name, version=number)
    if (file := st.session_state.get(made)) is None:
        return
    remote = page.recall("datasets.dvc_remote", page.client.datasets.dvc_remote, seconds=600.0)
    st.caption(t("data.dvc_remote", url=plain(remote.url)))
    content, saved_as = dvc.written(file), f"{file.path}{dvc.SUFFIX}"
    st.code(content, language="yaml")
    st.download_button(
        t("data.dvc_download", name=plain(saved_as)), content, saved_as, "application/yaml", on_click="ignore",
        icon=":material/download:", key="data.dvc_download",
    )  # fmt: skip


def _version(page: Page, name: str, number: int) -> DatasetVersionDetail:
    return page.recall(
        f"datasets.{name}.{number}", lambda: page.client.datasets.version(name, number), seconds=VERSION_SECONDS
    )


def differences(old: DatasetVersionDetail, new: DatasetVersionDetail) -> list[dict[str, Any]]:
    """What became different, column by column: ``what`` is added, removed, kind, missing or mean, with the value
    ``before`` and ``after``."""
    kinds = [{each.name: each.kind.value for each in version.table_schema.features} for version in (old, new)]
    profiles = [{each.name: each for each in version.profile.columns} for version in (old, new)]
    found: list[dict[str, Any]] = []
    for name in dict.fromkeys([*kinds[0], *kinds[1]]):
        before, after = kinds[0].get(name), kinds[1].get(name)
        if before is None or after is None:
            found.append({"column": name, "what": "added" if before is None else "removed", "before": "", "after": ""})
            continue
        if before != after:
            found.append({"column": name, "what": "kind", "before": before, "after": after})
        if name in profiles[0] and name in profiles[1]:
            found += _shifts(name, profiles[0][name], profiles[1][name])
    return found


def _shifts(name: str, old: ColumnProfile, new: ColumnProfile) -> list[dict[str, Any]]:
    found = []
    shares = [each.missing / each.count if each.count else 0.0 for each in (old, new)]
    if abs(shares[0] - shares[1]) >= TELLING:
        found.append({"column": name, "what": "missing", "before": shares[0], "after": shares[1]})
    if old.mean is not None and new.mean is not None and abs(old.mean - new.mean) > TELLING * (old.std or 0.0):
        found.append({"column": name, "what": "mean", "before": old.mean, "after": new.mean})
    return found


def _differences(page: Page, old: DatasetVersionDetail, new: DatasetVersionDetail) -> None:
    t, f = page.t, page.f
    more = new.row_count - old.row_count
    st.write(t("data.rows_changed", before=f.number(old.row_count, 0), after=f.number(new.row_count, 0)))
    found = differences(old, new)
    if not found:
        st.success(t("data.no_difference") if not more else t("data.columns_alike"), icon=":material/check_circle:")
        return
    st.dataframe(
        {
            t("data.column"): [each["column"] for each in found],
            t("data.what"): [t(f"change.{each['what']}") for each in found],
            t("data.before"): [_shown(page, each, "before") for each in found],
            t("data.after"): [_shown(page, each, "after") for each in found],
        },
        hide_index=True,
    )


def _shown(page: Page, each: dict[str, Any], side: str) -> str:
    value = each[side]
    match each["what"]:
        case "missing":
            return page.f.percent(value)
        case "mean":
            return page.f.number(value)
        case "kind":
            return page.t(f"column_kind.{value}")
        case _:
            return ""
