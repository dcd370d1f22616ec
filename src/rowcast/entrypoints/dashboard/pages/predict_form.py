"""The form of a case, made from the model's own schema: what is asked, in which order, and what of it is sent."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import streamlit as st

from rowcast.datasets.schema import Feature, FeatureSchema, Kind
from rowcast.entrypoints.dashboard.page import Page, plain

MOST_SHOWN = 24
"""Fields of a form that is still taken in at a glance; more are folded away, those that matter least."""

ABREAST = 3
SHORT = 48
"""Signs of a meaning that fits beside a field's name."""

EARLIEST, LATEST = date(1900, 1, 1), date(2100, 12, 31)


@dataclass(frozen=True)
class Form:
    """The fields of a model's form; ``key`` sets their widgets apart from those of other models.

    ``folded`` are those that matter least, ``amounts`` the columns that only the profit is reckoned from.
    """

    key: str
    shown: Sequence[Feature]
    folded: Sequence[Feature]
    amounts: Sequence[Feature]

    @property
    def features(self) -> list[Feature]:
        return [*self.shown, *self.folded, *self.amounts]

    def key_of(self, feature: Feature) -> str:
        return f"{self.key}.{feature.name}"

    def values(self) -> dict[str, Any]:
        """What stands in the form, as widgets have it."""
        return {feature.name: st.session_state.get(self.key_of(feature)) for feature in self.features}

    def fill(self, row: Mapping[str, Any]) -> None:
        """Have the form hold this row; fields that it does not have are emptied. Only before the form is drawn."""
        for feature in self.features:
            st.session_state[self.key_of(feature)] = entered(feature, row.get(feature.name))


def form_of(key: str, schema: FeatureSchema, ranking: Sequence[str], amounts: Sequence[str]) -> Form:
    """The form of a model: what matters most comes first. What may not be missing is never folded away."""
    place = {name: position for position, name in enumerate(ranking)}
    ordered = sorted(schema.features, key=lambda feature: place.get(feature.name, len(place)))
    needed = sum(not feature.may_be_missing for feature in ordered)
    room = max(MOST_SHOWN - needed, 0)
    optional = [feature.name for feature in ordered if feature.may_be_missing]
    hidden = frozenset(optional[room:])
    return Form(
        key,
        [feature for feature in ordered if feature.name not in hidden],
        [feature for feature in ordered if feature.name in hidden],
        [Feature(name=name, kind=Kind.NUMBER) for name in amounts if schema.feature(name) is None],
    )


def sent(feature: Feature, value: Any) -> Any:
    """What a widget holds, as a prediction takes it; None is not known."""
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return int(value)
    return value


def row_of(form: Form, values: Mapping[str, Any]) -> dict[str, Any]:
    """The row of what stands in the form. Amounts that are not known are left out: they are no features."""
    row = {feature.name: sent(feature, values.get(feature.name)) for feature in (*form.shown, *form.folded)}
    known = {each.name: sent(each, values[each.name]) for each in form.amounts if values.get(each.name) is not None}
    return row | known


def entered(feature: Feature, value: Any) -> Any:
    """A value of a row as the feature's widget holds it; None where it has none that the widget can hold."""
    if value is None or value == "":
        return None
    match feature.kind:
        case Kind.NUMBER:
            return _number(value)
        case Kind.DATE:
            return day_of(value)
        case Kind.FLAG:
            return value if isinstance(value, bool) else _flag(feature, str(value))
        case _:
            return str(value)


def example_of(form: Form) -> dict[str, Any]:
    """A row that validates: typical values of every feature."""
    return {feature.name: feature.example for feature in form.features}


def day_of(value: Any) -> date | None:
    """The day of a date in ISO 8601 within what a calendar shows, or None."""
    try:
        day = date.fromisoformat(str(value)[:10]) if len(str(value)) >= 10 else None
    except ValueError:
        return None
    return day if day and EARLIEST <= day <= LATEST else None


def missing(form: Form, values: Mapping[str, Any]) -> list[Feature]:
    """The fields that may not be missing, and are."""
    return [feature for feature in form.features if not feature.may_be_missing and values.get(feature.name) is None]


def ask(page: Page, form: Form, submit: str, on_submit: Callable[[], None]) -> None:
    """Draw the form; ``on_submit`` is called when it is sent off, before anything else is drawn."""
    with st.form(form.key, border=False):
        _fields(page, form, form.shown)
        if form.folded:
            with st.expander(page.t("predict.more_fields", count=page.f.number(len(form.folded)))):
                _fields(page, form, form.folded)
        if form.amounts:
            st.caption(page.t("predict.amounts"))
            _fields(page, form, form.amounts)
        st.form_submit_button(submit, type="primary", icon=":material/play_arrow:", width="stretch", on_click=on_submit)


def _fields(page: Page, form: Form, features: Sequence[Feature]) -> None:
    """Row by row, so that on a phone, where columns stand below one another, their order stays."""
    for start in range(0, len(features), ABREAST):
        for column, feature in zip(
            st.columns(ABREAST, vertical_alignment="bottom"), features[start : start + ABREAST], strict=False
        ):
            with column:
                _field(page, form, feature)


def _field(page: Page, form: Form, feature: Feature) -> None:
    unknown = page.t("predict.unknown" if feature.may_be_missing else "predict.required")
    label, key, told = label_of(feature), form.key_of(feature), help_of(page, feature)
    match feature.kind:
        case Kind.NUMBER:
            st.number_input(
                label, value=None, step=1.0, format="%g", key=key, help=told, placeholder=unknown,
                persist_state="session",
            )  # fmt: skip
        case Kind.DATE:
            st.date_input(
                f"{label} · {unknown}", value=None, min_value=EARLIEST, max_value=LATEST, key=key, help=told,
                format=page.f.calendar, persist_state="session",
            )  # fmt: skip
        case Kind.FLAG:
            st.selectbox(
                label, [True, False], index=None, key=key, help=told, placeholder=unknown, persist_state="session",
                format_func=lambda value: page.t("predict.yes" if value else "predict.no"),
            )  # fmt: skip
        case _:
            st.selectbox(
                label, feature.categories, index=None, key=key, help=told, placeholder=unknown,
                accept_new_options=True, persist_state="session",
            )  # fmt: skip


def label_of(feature: Feature) -> str:
    """The field's name with its unit, and what it means where that is short."""
    name = f"{plain(feature.name)}, {plain(feature.unit)}" if feature.unit else plain(feature.name)
    meaning = feature.description or ""
    return f"{name} · {plain(meaning)}" if 0 < len(meaning) <= SHORT else name


def help_of(page: Page, feature: Feature) -> str | None:
    """What the dictionary says, and what the model has seen."""
    parts = [plain(feature.description)] if feature.description else []
    low, high = entered(feature, feature.minimum), entered(feature, feature.maximum)
    if feature.kind is Kind.NUMBER and low is not None and high is not None:
        parts.append(page.t("predict.seen", low=page.f.number(low), high=page.f.number(high)))
    elif feature.kind is Kind.DATE and low is not None and high is not None:
        parts.append(page.t("predict.seen", low=page.f.day(low), high=page.f.day(high)))
    elif feature.kind is Kind.CATEGORY and feature.categories:
        parts.append(page.t("predict.usual", examples=", ".join(plain(each) for each in feature.categories[:3])))
    return "  \n".join(parts) or None


def _number(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _flag(feature: Feature, value: str) -> bool | None:
    spelled = value.casefold()
    if spelled in (each.casefold() for each in (*feature.true_values, "true", "1")):
        return True
    return False if spelled in (each.casefold() for each in (*feature.false_values, "false", "0")) else None
