"""Bands and payoff of a model: what is in force, the effect of another, drawn at once, and putting it in force."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import streamlit as st

from rowcast.entrypoints.dashboard.page import Page, plain
from rowcast.entrypoints.dashboard.pages import predict_bands
from rowcast.entrypoints.dashboard.pages.models_choice import policy_of, version_of
from rowcast.entrypoints.dashboard.pages.models_draft import (
    AmountDraft,
    bands_fields,
    columns_for_amounts,
    credit_fields,
    default_bands,
    kind_of,
    matrix_fields,
)
from rowcast.entrypoints.dashboard.pages.models_effect import show_effect
from rowcast.entrypoints.dashboard.pages.predict_profit import unit_of
from rowcast.errors import RowcastError
from rowcast.models.decide.policy import Bands, Payoff, Policy
from rowcast.models.views import Model, ModelVersionDetail, PolicyVersion

TERMS = ("amount", "term", "rate", "loss")
_MEASURES_OF_NUMBERS = ("value", "low", "high")
_MEASURES_OF_CLASSES = ("probability", "profit")


def show_policy(page: Page, model: Model, may_change: bool) -> None:
    """The policy in force, the form of the next one with its effect, and those before."""
    t = page.t
    in_force, version = policy_of(page, model.name), version_of(page, model.name)
    st.caption(t("models.policy_help"))
    if in_force is not None and in_force.policy.bands is not None:
        st.write(predict_bands.limits(page, in_force.policy.bands))
    elif in_force is None or not in_force.policy.decides:
        st.info(t("models.no_policy"), icon=":material/info:")
    if may_change:
        _edit(page, model.name, version, in_force)
    elif in_force is not None and in_force.policy.decides:
        with page.attempt():
            show_effect(page, _preview(page, model.name, in_force.policy), _unit(page, version, in_force.policy))
    _show_history(page, model.name, may_change)


@st.fragment
def _edit(page: Page, name: str, version: ModelVersionDetail, in_force: PolicyVersion | None) -> None:
    """The form: whatever is changed is tried at once on the cases that were held out of the training."""
    t = page.t
    policy = in_force.policy if in_force else Policy()
    key = f"models.draft.{name}.{in_force.number if in_force else 0}"
    columns = columns_for_amounts([version.feature_schema, *_table_schema(page, version)], policy)
    asked, drawn = st.columns([2, 3], gap="medium")
    with asked:
        fields: dict[str, Any] = {}
        if version.classes and (payoff := _ask_payoff(page, version, policy.payoff, columns, f"{key}.payoff")):
            fields["payoff"] = payoff
        if bands := _ask_bands(page, version, policy, "payoff" in fields, key):
            fields["bands"] = bands
        comment = st.text_input(t("models.comment"), key=f"{key}.comment", max_chars=1000)
        put = st.button(t("models.put_in_force"), type="primary", icon=":material/gavel:", key=f"{key}.put")
    with drawn, page.attempt():
        preview = _preview(page, name, _checked(fields)) if fields else None
        if preview is None:
            st.info(t("models.decides_nothing"))
        else:
            show_effect(page, preview, _unit(page, version, preview.policy))
            best = preview.profit.best.threshold if preview.profit else None
            if best is not None and "bands" in fields and fields["bands"]["measure"] == "probability":
                st.button(
                    t("models.take_best", threshold=page.f.percent(best)), icon=":material/target:",
                    on_click=_take, args=(f"{key}.thresholds", best), key=f"{key}.best",
                )  # fmt: skip
    if put:
        with page.attempt():
            made = page.client.policies.set(name, _checked(fields), comment=comment.strip() or None)
            page.forget(f"models/policy/{name}", f"models/policies/{name}", f"models/preview/{name}")
            st.toast(t("models.in_force", number=made.number), icon=":material/check:")
            st.rerun()


def _ask_bands(
    page: Page, version: ModelVersionDetail, policy: Policy, with_payoff: bool, key: str
) -> dict[str, Any] | None:
    t = page.t
    known = policy.bands
    if not st.toggle(t("models.use_bands"), known is not None or policy.payoff is None, key=f"{key}.bands"):
        return None
    start = known or default_bands(version.classes, version.positive_class)
    possible = _MEASURES_OF_CLASSES if version.classes else _MEASURES_OF_NUMBERS
    measures = possible if with_payoff or not version.classes else possible[:1]
    first = start.measure if start.measure in measures else measures[0]
    measure = st.selectbox(
        t("models.measure"), measures, index=measures.index(cast(Any, first)), key=f"{key}.measure",
        format_func=lambda each: t(f"models.measures.{each}"),
    )  # fmt: skip
    of = None
    if version.classes:
        of = st.selectbox(
            t("models.of"), version.classes, key=f"{key}.of",
            index=version.classes.index(start.of) if start.of in version.classes else len(version.classes) - 1,
        )  # fmt: skip
    meanings = ("red", "green")
    high = st.selectbox(
        t("models.high"), meanings, index=meanings.index("green" if measure == "profit" else start.high),
        format_func=lambda each: t(f"models.highs.{each}"), key=f"{key}.high.{measure}",
    )  # fmt: skip
    edges = start.edges if start.measure == measure else (0.15, 0.3) if measure == "probability" else (0.0, 0.0)
    return bands_fields(measure, of, _thresholds(page, measure, edges, key), cast(Any, high))


def _thresholds(page: Page, measure: str, edges: tuple[float, float], key: str) -> tuple[float, float]:
    """Both thresholds, the lower first."""
    t = page.t
    if measure == "probability":
        percents = st.slider(
            t("models.thresholds"), 0.0, 100.0, (edges[0] * 100, edges[1] * 100), 0.5, format="%g %%",
            key=f"{key}.thresholds",
        )  # fmt: skip
        return round(percents[0] / 100, 6), round(percents[1] / 100, 6)
    left, right = st.columns(2)
    low = left.number_input(t("models.lower"), value=edges[0], format="%g", key=f"{key}.low.{measure}")
    top = right.number_input(t("models.upper"), value=edges[1], format="%g", key=f"{key}.top.{measure}")
    return min(low, top), max(low, top)


def _take(key: str, best: float) -> None:
    """Have both thresholds be the best one."""
    st.session_state[key] = (round(best * 100, 1), round(best * 100, 1))


def _ask_payoff(
    page: Page, version: ModelVersionDetail, payoff: Payoff | None, columns: Sequence[str], key: str
) -> dict[str, Any] | None:
    t = page.t
    kinds = ("none", "matrix", "credit")
    kind = st.selectbox(
        t("models.payoff"), kinds, index=kinds.index(kind_of(payoff)), key=f"{key}.kind",
        format_func=lambda each: t(f"models.payoffs.{each}"),
    )  # fmt: skip
    if kind == "matrix":
        known = payoff.accept if payoff else {}
        declined = payoff.decline if payoff else {}
        accept = {
            name: _ask_amount(
                page, t("models.accept", of=plain(name)), known.get(name), columns, f"{key}.accept.{name}"
            )
            for name in version.classes
        }
        with st.expander(t("models.declining"), expanded=bool(declined)):
            decline = {
                name: _ask_amount(
                    page, t("models.decline", of=plain(name)), declined.get(name, 0.0), columns, f"{key}.decline.{name}"
                )
                for name in version.classes
            }
        return matrix_fields(accept, decline)
    if kind == "credit":
        return _ask_credit(page, version, payoff, columns, key)
    return None


def _ask_credit(
    page: Page, version: ModelVersionDetail, payoff: Payoff | None, columns: Sequence[str], key: str
) -> dict[str, Any] | None:
    t = page.t
    credit = payoff.credit if payoff else None
    bad_first = credit.bad if credit else version.positive_class or version.classes[-1]
    good_first = credit.good if credit else next(each for each in version.classes if each != bad_first)
    left, right = st.columns(2)
    good = left.selectbox(t("models.good"), version.classes, version.classes.index(good_first), key=f"{key}.good")
    bad = right.selectbox(t("models.bad"), version.classes, version.classes.index(bad_first), key=f"{key}.bad")
    terms = {
        name: _ask_amount(
            page, t(f"models.terms.{name}"), getattr(credit, name) if credit else None, columns, f"{key}.{name}"
        )
        for name in TERMS
    }
    return credit_fields(good, bad, terms, payoff)


def _ask_amount(page: Page, label: str, amount: Any, columns: Sequence[str], key: str) -> AmountDraft:
    """A number, or a column times a factor with something added."""
    t = page.t
    start = AmountDraft.of(amount)
    options = [None, *columns]
    left, right = st.columns([3, 2])
    column = left.selectbox(
        label, options, options.index(start.column) if start.column in options else 0, key=f"{key}.column",
        format_func=lambda each: t("models.fixed") if each is None else each,
    )  # fmt: skip
    number = right.number_input(
        t("models.number") if column is None else t("models.times"), key=f"{key}.number.{column is None}", format="%g",
        value=start.number if start.column == column else None if column is None else 1.0,
    )  # fmt: skip
    if column is None or not start.plus:
        return AmountDraft(column, number)
    plus = right.number_input(t("models.plus"), value=start.plus, format="%g", key=f"{key}.plus")
    return AmountDraft(column, number, plus)


def _checked(fields: dict[str, Any]) -> Policy:
    from rowcast.client.answers import request_of

    return Policy.model_validate(request_of(Policy, None, fields))


def _preview(page: Page, name: str, policy: Policy) -> Any:
    """What the policy would have done. The same one is not tried twice."""
    written = policy.model_dump_json()
    return page.recall(
        f"models/preview/{name}/{written}", lambda: page.client.policies.preview(name, policy), seconds=600.0
    )


def _table_schema(page: Page, version: ModelVersionDetail) -> list[Any]:
    """The columns of the table that it was trained on, where the visitor may see them: amounts may be among those that
    the model was not to learn from."""

    def load() -> list[Any]:
        try:
            return [page.client.datasets.version(version.dataset, version.dataset_version).table_schema]
        except RowcastError:
            return []

    return page.recall(f"models/table/{version.dataset}@{version.dataset_version}", load, seconds=600.0)


def _unit(page: Page, version: ModelVersionDetail, policy: Policy) -> str | None:
    """What the policy's amounts are counted in, as far as the columns say."""
    schemas = [version.feature_schema, *_table_schema(page, version)]
    units = (unit_of(policy.payoff, schema) for schema in schemas) if policy.payoff else ()
    return next((unit for unit in units if unit), None)


def _show_history(page: Page, name: str, may_change: bool) -> None:
    t = page.t
    history = page.recall(f"models/policies/{name}", lambda: page.client.policies.history(name))
    if not history:
        return
    st.subheader(t("models.policies"))
    rows = [
        {
            t("models.policy_number"): each.number,
            t("models.bands"): _in_short(page, each.policy.bands),
            t("models.payoff"): t(f"models.payoffs.{kind_of(each.policy.payoff)}"),
            t("models.comment"): each.comment or "",
            t("models.made"): page.f.moment(each.created_at),
            t("models.by"): each.created_by,
        }
        for each in history
    ]
    st.dataframe(rows, hide_index=True)
    earlier = [each.number for each in history[1:]]
    if may_change and earlier:
        with st.container(horizontal=True, vertical_alignment="bottom"):
            number = st.selectbox(t("models.again"), earlier, key=f"models.again.{name}", width=200)
            if st.button(t("models.again_yes"), icon=":material/undo:", key=f"models.again_yes.{name}"):
                chosen = next(each.policy for each in history if each.number == number)
                with page.attempt():
                    page.client.policies.set(name, chosen, comment=t("models.again_comment", number=number))
                    page.forget(f"models/policy/{name}", f"models/policies/{name}")
                    st.rerun()


def _in_short(page: Page, bands: Bands | None) -> str:
    if bands is None:
        return "—"
    yellow, red = (predict_bands.edge_written(page, edge, bands) for edge in (bands.yellow, bands.red))
    return page.t("models.in_short", yellow=yellow, red=red)
