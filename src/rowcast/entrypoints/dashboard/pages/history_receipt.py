"""One receipt: what was asked, what was answered, and whether it is answered the same today."""

from __future__ import annotations

from typing import Any

import streamlit as st

from rowcast.entrypoints.dashboard.page import Page, plain
from rowcast.entrypoints.dashboard.pages.models_choice import version_of
from rowcast.entrypoints.dashboard.pages.predict_answer import Answered, show_answer, show_why
from rowcast.entrypoints.dashboard.pages.predict_profit import show_expected, unit_of
from rowcast.entrypoints.dashboard.pages.predict_reasons import shown_value
from rowcast.entrypoints.dashboard.pages.predict_what_if import told
from rowcast.entrypoints.dashboard.telling import bare
from rowcast.errors import NotFound, RowcastError
from rowcast.models.decide.policy import Policy
from rowcast.models.views import ModelVersionDetail
from rowcast.monitoring.views import ReceiptDetail
from rowcast.scoring.views import Prediction

MOST_ROWS = 200


def show_receipt(page: Page, receipt_id: str) -> None:
    """The record with its answers; the reasons where they were asked for."""
    t, f = page.t, page.f
    # What is on record never changes.
    detail = page.recall(
        f"history.receipt.{receipt_id}", lambda: page.client.predictions.get(receipt_id), seconds=600.0
    )
    st.subheader(t("history.receipt_title", when=f.moment(detail.created_at)))
    st.caption(
        t("history.receipt_about", model=plain(detail.model), version=detail.version, caller=plain(detail.caller))
    )
    st.code(detail.id, language=None)
    with st.container(horizontal=True):
        if detail.inputs_kept == "all" and st.button(
            t("history.replay"), icon=":material/replay:", key=f"history.replay.{detail.id}"
        ):
            _replay(page, detail)
        if detail.rows and len(detail.rows) == 1:
            page.link("predict", t("history.again"), icon=":material/edit:", model=detail.model, receipt=detail.id)
    if detail.inputs_kept == "file":
        st.write(t("history.file", rows=f.number(detail.row_count), skipped=f.number(detail.skipped)))
        return
    version, policy = _version(page, detail), _policy(page, detail)
    place = 0 if len(detail.answer.predictions) == 1 else _choose_row(page, detail)
    prediction = detail.answer.predictions[place] if detail.answer.predictions else None
    if prediction is None:
        st.info(t("history.skipped"))
        return
    row = detail.rows[place] if detail.rows else {}
    answered = _answered(detail, version, policy, row if isinstance(row, dict) else {}, prediction)
    show_answer(page, answered)
    if prediction.decision is not None and policy is not None and policy.payoff is not None:
        show_expected(page, prediction.decision, answered.unit)
    show_why(page, answered)
    with st.expander(t("history.sent"), expanded=prediction.explanation is None):
        _show_row(page, row)


def rows_of(page: Page, detail: ReceiptDetail) -> list[dict[str, Any]]:
    """A line for each row: its answer before what was sent."""
    t = page.t
    sent = detail.rows or [{}] * len(detail.answer.predictions)
    rows: list[dict[str, Any]] = []
    for place, (row, prediction) in enumerate(zip(sent, detail.answer.predictions, strict=False), 1):
        color = prediction.decision.color if prediction and prediction.decision else None
        rows.append(
            {
                t("history.row"): place,
                t("history.answer"): "—" if prediction is None else told(page, prediction),
                t("models.color"): t(f"predict.color.{color}") if color else "—",
                **{name: _cell(page, value) for name, value in (row if isinstance(row, dict) else {}).items()},
            }
        )
    return rows


def _cell(page: Page, value: Any) -> str:
    """A value as people write it, for a cell."""
    return "" if value is None else bare(shown_value(page, value))


def _choose_row(page: Page, detail: ReceiptDetail) -> int:
    """Of several rows the one that is looked at, by its place."""
    st.dataframe(rows_of(page, detail)[:MOST_ROWS], hide_index=True)
    count = len(detail.answer.predictions)
    number = st.number_input(page.t("history.row"), 1, max(count, 1), 1, key=f"history.row.{detail.id}")
    return int(number) - 1


def _answered(
    detail: ReceiptDetail,
    version: ModelVersionDetail | None,
    policy: Policy | None,
    row: dict[str, Any],
    prediction: Prediction,
) -> Answered:
    payoff = policy.payoff if policy else None
    return Answered(
        target=version.target if version else detail.model,
        classes=tuple(version.classes) if version else tuple(prediction.probabilities or ()),
        positive=version.positive_class if version else None,
        row=row,
        prediction=prediction,
        policy=policy,
        unit=unit_of(payoff, version.feature_schema) if version and payoff else None,
        version=detail.version,
        receipt=detail.id,
    )


def _replay(page: Page, detail: ReceiptDetail) -> None:
    t = page.t
    with page.attempt():
        replay = page.client.predictions.replay(detail.id)
        if replay.matches:
            st.success(t("history.matches", version=replay.version), icon=":material/verified:")
            return
        st.error(t("history.differs"), icon=":material/error:")
        st.dataframe(
            [
                {t("history.row"): each.row, t("history.then"): str(each.answered), t("history.today"): str(each.now)}
                for each in replay.differences
            ],
            hide_index=True,
        )


def _show_row(page: Page, row: Any) -> None:
    if not isinstance(row, dict) or not row:
        st.caption(page.t("history.not_kept"))
        return
    t, unknown = page.t, page.t("predict.not_known")
    st.table(
        [
            {t("history.field"): plain(name), t("models.value"): unknown if value is None else shown_value(page, value)}
            for name, value in row.items()
        ],
        hide_index=True,
    )


def _version(page: Page, detail: ReceiptDetail) -> ModelVersionDetail | None:
    """The version that answered, unless it is gone."""
    try:
        return version_of(page, f"{detail.model}@{detail.version}")
    except NotFound:
        return None


def _policy(page: Page, detail: ReceiptDetail) -> Policy | None:
    """The policy that decided, unless the model is gone."""
    number = detail.policy_version
    if number is None:
        return None
    try:
        return page.recall(
            f"models/policy/{detail.model}/{number}", lambda: page.client.policies.get(detail.model, number).policy
        )
    except RowcastError:
        return None
