"""The form of a training: how much work, which algorithms, and their hyperparameters as they describe themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from rowcast.datasets.schema import Kind
from rowcast.datasets.views import DatasetVersionDetail
from rowcast.entrypoints.dashboard.page import Page, plain
from rowcast.entrypoints.dashboard.retelling import about_algorithm
from rowcast.models.recipe import Preset
from rowcast.models.views import Algorithm, Hyperparameter

ABREAST = 3

Knobs = dict[str, dict[str, Any]]
"""Hyperparameters by algorithm and name, those alone that differ from their defaults."""


@dataclass(frozen=True)
class Work:
    """How much is tried: ``asked`` is it as a training takes it, ``algorithms`` those that were named."""

    asked: dict[str, Any]
    algorithms: Sequence[Algorithm]


def ask_work(page: Page, algorithms: Sequence[Algorithm]) -> Work:
    """The preset, and algorithms in place of its own."""
    t = page.t
    presets = {preset.value: t(f"preset.{preset.value}") for preset in Preset}
    preset = st.segmented_control(
        t("train.preset"), list(presets), default=Preset.FAST.value, required=True, format_func=presets.__getitem__,
        key="train.preset", help=t("train.preset_help"),
    )  # fmt: skip
    st.caption(t(f"preset_text.{preset}"))
    by_name = {algorithm.name: algorithm for algorithm in algorithms}
    named = st.multiselect(
        t("train.algorithms"), list(by_name), format_func=lambda name: by_name[name].title, key="train.algorithms",
        placeholder=t("train.preset_decides"), help=t("train.algorithms_help"),
    )  # fmt: skip
    asked: dict[str, Any] = {"preset": preset} | ({"algorithms": named} if named else {})
    return Work(asked, [by_name[name] for name in named])


def ask_hyperparameters(page: Page, algorithms: Sequence[Algorithm]) -> Knobs:
    """A form for each algorithm that was named, made from what it says of itself."""
    changed: Knobs = {}
    for algorithm in algorithms:
        if not algorithm.hyperparameters:
            continue
        with st.expander(page.t("train.hyperparameters", algorithm=plain(algorithm.title))):
            st.caption(about_algorithm(page, algorithm.description))
            values = _fields(page, algorithm)
        different = {knob.name: values[knob.name] for knob in algorithm.hyperparameters if differs(knob, values)}
        if different:
            changed[algorithm.name] = different
    return changed


def differs(knob: Hyperparameter, values: dict[str, Any]) -> bool:
    """Whether a value was chosen that is not the default anyway. Nothing chosen is the default."""
    value = values.get(knob.name)
    return value is not None and value != knob.default


def _fields(page: Page, algorithm: Algorithm) -> dict[str, Any]:
    values: dict[str, Any] = {}
    knobs = algorithm.hyperparameters
    for start in range(0, len(knobs), ABREAST):
        for column, knob in zip(st.columns(ABREAST), knobs[start : start + ABREAST], strict=False):
            with column:
                values[knob.name] = _field(page, f"train.{algorithm.name}.{knob.name}", knob)
    return values


def _field(page: Page, key: str, knob: Hyperparameter) -> Any:
    told = about_algorithm(page, knob.description)
    match knob.type:
        case "boolean":
            return st.toggle(knob.name, value=bool(knob.default), help=told, key=key)
        case "choice":
            at = knob.choices.index(str(knob.default)) if knob.default in knob.choices else None
            return st.selectbox(knob.name, knob.choices, index=at, help=told, key=key)
        case "integer":
            given = _bounds(knob, int) | {"value": _default(knob, int), "step": 1}
            return st.number_input(knob.name, help=told, key=key, placeholder=page.t("train.automatic"), **given)
        case _:
            given = _bounds(knob, float) | {"value": _default(knob, float), "step": 0.01, "format": "%g"}
            return st.number_input(knob.name, help=told, key=key, placeholder=page.t("train.automatic"), **given)


def _bounds(knob: Hyperparameter, as_type: type[int] | type[float]) -> dict[str, Any]:
    low = None if knob.minimum is None else as_type(knob.minimum)
    high = None if knob.maximum is None else as_type(knob.maximum)
    return {"min_value": low, "max_value": high}


def _default(knob: Hyperparameter, as_type: type[int] | type[float]) -> int | float | None:
    return None if knob.default is None else as_type(knob.default)


def ask_more(page: Page, detail: DatasetVersionDetail) -> dict[str, Any]:
    """What few need: folds, a split by time, and the weight of rare classes."""
    t = page.t
    with st.expander(t("train.more")):
        first, second, third = st.columns(3, vertical_alignment="bottom")
        folds = first.number_input(
            t("train.folds"), min_value=2, max_value=50, value=None, step=1, key="train.folds",
            placeholder=t("train.preset_decides"), help=t("train.folds_help"),
        )  # fmt: skip
        dates = [each.name for each in detail.table_schema.features if each.kind is Kind.DATE]
        time_column = second.selectbox(
            t("train.time"), dates, index=None, placeholder=t("train.no_time"), help=t("train.time_help"),
            key=f"train.time.{detail.dataset}",
        )  # fmt: skip
        balanced = third.toggle(t("train.balanced"), help=t("train.balanced_help"), key="train.balanced")
    asked: dict[str, Any] = {"folds": folds, "time_column": time_column}
    asked["imbalance"] = "balanced" if balanced else None
    return {name: value for name, value in asked.items() if value is not None}
