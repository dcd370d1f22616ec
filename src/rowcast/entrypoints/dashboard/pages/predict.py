"""Predict: a case in a form made from the model's own schema, or a whole file."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import streamlit as st

from rowcast.entrypoints.dashboard.page import Page, fault_of, plain
from rowcast.entrypoints.dashboard.pages import predict_form
from rowcast.entrypoints.dashboard.pages.models_choice import choose, models_of, policy_of, version_of
from rowcast.entrypoints.dashboard.pages.predict_answer import (
    Answered,
    show_answer,
    show_money,
    show_receipt,
    show_why,
)
from rowcast.entrypoints.dashboard.pages.predict_file import show_file
from rowcast.entrypoints.dashboard.pages.predict_form import Form, form_of
from rowcast.entrypoints.dashboard.pages.predict_profit import unit_of
from rowcast.entrypoints.dashboard.pages.predict_what_if import show_what_if
from rowcast.errors import InvalidInput, Problem, RowcastError, Unauthenticated
from rowcast.models.decide.policy import Policy
from rowcast.models.views import ModelVersionDetail, PolicyVersion
from rowcast.scoring.views import Prediction

ANSWER = "predict.answer"
"""Where the tab keeps the answer that is shown."""

FAILURE = "predict.failure"
"""Where it keeps why there is none, until it was shown."""


def show(page: Page) -> None:
    """Choose a model, then fill a form or send a file."""
    t = page.t
    st.title(t("predict.title"))
    models = models_of(page)
    if not models:
        _nothing_to_ask(page)
        return
    reference = choose(page, [model.name for model in models], "predict.model")
    version = version_of(page, reference)
    policy = policy_of(page, version.model)
    st.caption(_about(page, version))
    ways = {"case": t("predict.one_case"), "file": t("predict.whole_file")}
    way = st.segmented_control(
        t("predict.what"), list(ways), default="case", required=True, format_func=ways.__getitem__, key="predict.way",
        label_visibility="collapsed",
    )  # fmt: skip
    if way == "file":
        show_file(page, reference, _price(page, version.model, file=True))
    else:
        _show_case(page, reference, version, policy)


def _nothing_to_ask(page: Page) -> None:
    st.info(page.t("predict.no_models"), icon=":material/info:")
    if page.may_train:
        page.link("train", page.t("predict.to_train"), icon=":material/model_training:")


def _about(page: Page, version: ModelVersionDetail) -> str:
    serves = "champion" in version.aliases
    key = "predict.about_champion" if serves else "predict.about"
    return page.t(key, target=plain(version.target), number=version.number, algorithm=plain(version.algorithm))


def _price(page: Page, model: str, *, file: bool = False, reasons: bool = False) -> int:
    """Credits for a row; 0 where nothing costs anything."""
    credits = page.recall("credits", page.client.credits.get, seconds=10.0)
    if credits.mode == "free":
        return 0
    return page.recall(
        f"models/price/{model}.{file}.{reasons}",
        lambda: page.client.credits.quote(model, 1, reasons=reasons, file=file).price,
    )


def _show_case(page: Page, reference: str, version: ModelVersionDetail, policy: PolicyVersion | None) -> None:
    key = f"predict.{version.model}@{version.number}"
    form = form_of(key, version.feature_schema, _ranking(version.evaluation), policy.columns if policy else [])
    known: tuple[str, Answered] | None = st.session_state.get(ANSWER)
    answered = known[1] if known is not None and known[0] == key else None
    price = _price(page, version.model, reasons=True)
    submit = page.t("predict.submit_for", price=page.f.credits(price)) if price else page.t("predict.submit")
    # Folded away once there is an answer, which so comes into view.
    with st.expander(page.t("predict.case"), expanded=answered is None, icon=":material/edit_note:"):
        _from_history(page, form)
        _buttons(page, form)
        predict_form.ask(page, form, submit, partial(_answer, page, reference, form, version))
    if (failure := st.session_state.pop(FAILURE, None)) is not None:
        _show_failure(page, failure)
    if answered is not None:
        _show_answered(page, version, answered, key)


def _show_answered(page: Page, version: ModelVersionDetail, answered: Answered, key: str) -> None:
    """The answer with all that is told about it."""
    show_answer(page, answered)
    _unusual(page, answered.prediction)
    show_why(page, answered)
    show_money(page, answered, f"{key}.money.{answered.receipt}")
    st.subheader(page.t("predict.what_if"))
    explained = answered.prediction.explanation
    strength = {each.feature: -place for place, each in enumerate(reversed(explained.reasons))} if explained else {}
    features = sorted(version.feature_schema.features, key=lambda feature: strength.get(feature.name, 1))
    reference, price = f"{version.model}@{version.number}", _price(page, version.model)
    show_what_if(page, reference, answered, features, price, f"{key}.if.{answered.receipt}")
    show_receipt(page, answered)


def _from_history(page: Page, form: Form) -> None:
    """Fill in the case of a receipt, where the address names one: once, so that it can be changed."""
    receipt, filled = st.query_params.get("receipt"), f"{form.key}.receipt"
    if receipt and st.session_state.get(filled) != receipt:
        rows = page.client.predictions.get(receipt).rows
        if rows and isinstance(rows[0], dict):
            form.fill(rows[0])
        st.session_state[filled] = receipt


def _buttons(page: Page, form: Form) -> None:
    example, empty, _ = st.columns([1, 1, 2])
    example.button(
        page.t("predict.fill_example"), icon=":material/auto_fix_high:", on_click=form.fill, key=f"{form.key}.example",
        args=(predict_form.example_of(form),), width="stretch",
    )  # fmt: skip
    empty.button(
        page.t("predict.empty"), icon=":material/ink_eraser:", on_click=form.fill, args=({},), key=f"{form.key}.empty",
        width="stretch",
    )  # fmt: skip


def _answer(page: Page, reference: str, form: Form, version: ModelVersionDetail) -> None:
    """Ask, and keep the answer, or why there is none, for what is drawn next."""
    values = form.values()
    st.session_state.pop(ANSWER, None)
    if absent := predict_form.missing(form, values):
        problems = [Problem(code="field_required", message="", field=feature.name) for feature in absent]
        st.session_state[FAILURE] = InvalidInput("rows_invalid", "", problems)
        return
    row = predict_form.row_of(form, values)
    try:
        answer = page.client.predict(reference, row, explain=True)
        policy = _policy_that_decided(page, version.model, answer.policy)
    except RowcastError as error:
        st.session_state[FAILURE] = error
        return
    prediction = answer.predictions[0]
    assert prediction is not None, "a call for one row is refused or answered"
    page.forget("history.", "tasks", "credits")
    unit = unit_of(policy.payoff, version.feature_schema) if policy and policy.payoff else None
    answered = Answered(
        target=version.target,
        classes=tuple(version.classes),
        positive=version.positive_class,
        row=row,
        prediction=prediction,
        policy=policy,
        unit=unit,
        version=answer.version,
        receipt=answer.receipt,
    )
    st.session_state[ANSWER] = (form.key, answered)


def _show_failure(page: Page, failure: RowcastError) -> None:
    """What is wrong with the fields, by name, or what else stood against an answer."""
    if isinstance(failure, Unauthenticated):
        raise failure
    if failure.code != "rows_invalid":
        page.tell(failure)
        return
    lines = [
        f"- {plain(problem.field or '')}: {page.t.get(f'predict.problem.{problem.code}') or fault_of(problem, page.t)}"
        for problem in failure.problems
    ]
    st.error("\n".join([page.t("predict.put_right"), "", *lines]), icon=":material/edit:")


def _policy_that_decided(page: Page, model: str, number: int | None) -> Policy | None:
    if number is None:
        return None
    return page.recall(f"models/policy/{model}/{number}", lambda: page.client.policies.get(model, number).policy)


def _unusual(page: Page, prediction: Prediction) -> None:
    """A warning of values unlike any that the model learned from."""
    if names := sorted({plain(note.field) for note in prediction.notes or () if note.field}):
        st.warning(page.t("predict.unusual", fields=", ".join(names)), icon=":material/explore:")


def _ranking(evaluation: Mapping[str, Any]) -> list[str]:
    """The features, those that matter most first, as the evaluation measured it."""
    return [str(each["feature"]) for each in evaluation.get("importance") or []]
