"""Models: versions and what they are worth, what serves and served when, how it is decided, and who may use it."""

from __future__ import annotations

import streamlit as st

from rowcast.accounts.views import Visibility
from rowcast.entrypoints.dashboard.page import Page, plain
from rowcast.entrypoints.dashboard.pages.models_choice import choose, models_of
from rowcast.entrypoints.dashboard.pages.models_policy import show_policy
from rowcast.entrypoints.dashboard.pages.models_serving import show_serving
from rowcast.entrypoints.dashboard.pages.models_versions import show_versions
from rowcast.models.views import Model

PARTS = ("versions", "serving", "policy", "sharing")


def show(page: Page) -> None:
    """Choose a model, then look at one side of it."""
    t = page.t
    st.title(t("models.title"))
    models = {model.name: model for model in models_of(page)}
    if not models:
        st.info(t("models.none"), icon=":material/info:")
        if page.may_train:
            page.link("train", t("predict.to_train"), icon=":material/model_training:")
        return
    name = choose(page, list(models), "models.model").partition("@")[0]
    model = models.get(name) or page.client.models.get(name)
    _about(page, model)
    parts = PARTS if _may_change(page, model) else PARTS[:-1]
    part = st.segmented_control(
        t("models.part"), parts, default="versions", required=True, format_func=lambda each: t(f"models.parts.{each}"),
        key="models.part", label_visibility="collapsed",
    )  # fmt: skip
    match part:
        case "serving":
            show_serving(page, model, _may_change(page, model))
        case "policy":
            show_policy(page, model, _may_change(page, model))
        case "sharing":
            _show_sharing(page, model)
        case _:
            show_versions(page, model, _may_change(page, model))


def _may_change(page: Page, model: Model) -> bool:
    return page.administers or (page.may_train and model.owner == page.user.name)


def _about(page: Page, model: Model) -> None:
    t = page.t
    if model.description:
        st.write(plain(model.description))
    serving = model.champion
    served = t("models.serves", number=serving.number, algorithm=plain(serving.algorithm)) if serving else ""
    shared = t(f"models.visible.{model.visibility.value}")
    st.caption(" · ".join(filter(None, [served, t("models.owner", name=plain(model.owner)), shared])))
    page.link("predict", t("models.to_predict"), icon=":material/play_arrow:", model=model.name)


def _show_sharing(page: Page, model: Model) -> None:
    """Who may see the model and predict with it."""
    t = page.t
    sharing = page.recall(f"models/sharing/{model.name}", lambda: page.client.models.sharing(model.name))
    kinds = [kind.value for kind in Visibility]
    with st.form("models.sharing", border=True):
        visibility = st.radio(
            t("models.sharing"), kinds, index=kinds.index(sharing.visibility.value),
            format_func=lambda kind: t(f"models.visibility.{kind}"), key=f"models.visibility.{model.name}",
        )  # fmt: skip
        users = st.text_input(
            t("models.users"), ", ".join(sharing.users), help=t("models.users_help"), key=f"models.users.{model.name}"
        )
        wanted = st.form_submit_button(t("models.share"), type="primary")
    if wanted:
        names = [name.strip() for name in users.split(",") if name.strip()]
        with page.attempt():
            page.client.models.share(model.name, visibility, names if visibility == Visibility.NAMED else ())
            page.forget("models")
            st.toast(t("models.shared"), icon=":material/check:")
