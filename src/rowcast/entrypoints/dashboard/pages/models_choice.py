"""Which model a page is about: as its address says, else as the visitor chooses; and what is asked of it often."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import streamlit as st

from rowcast.entrypoints.dashboard.page import Page
from rowcast.errors import NotFound
from rowcast.models.views import Model, ModelVersionDetail, PolicyVersion

VERSION_SECONDS = 60.0
"""What a version is never changes, but what points at it does, and whether MLflow has it."""


def models_of(page: Page) -> list[Model]:
    """The models that the visitor may see."""
    return page.recall("models", page.client.models.list)


def version_of(page: Page, reference: str) -> ModelVersionDetail:
    """A version in full, by ``name@number``, or what a bare name or alias means at present. One that is known by its
    number never changes."""
    name, _, number = reference.partition("@")
    if number.isdecimal():
        load = partial(page.client.models.version, name, int(number))
        return page.recall(f"models.{name}.{number}", load, seconds=VERSION_SECONDS)
    return page.recall(f"models/version/{reference}", partial(page.client.models.version, reference))


def policy_of(page: Page, name: str) -> PolicyVersion | None:
    """The policy in force; None where the model never had one."""

    def load() -> PolicyVersion | None:
        try:
            return page.client.policies.get(name)
        except NotFound:
            return None

    return page.recall(f"models/policy/{name}", load)


def choose(page: Page, names: Sequence[str], key: str) -> str:
    """One of the names, which are some; kept in the address, so that it can be passed on. One that is asked for by the
    address may be another, such as ``name@2``."""
    asked = st.query_params.get("model")
    options = [*names] if asked is None or asked in names else [asked, *names]
    if key not in st.session_state or (asked and st.session_state.get(f"{key}.asked") != asked):
        st.session_state[key] = asked or options[0]
    chosen = st.selectbox(page.t("models.model"), options, key=key, persist_state="session")
    st.session_state[f"{key}.asked"] = st.query_params["model"] = chosen
    return str(chosen)
