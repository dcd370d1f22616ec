"""What is around every page: who is there, the way to the other pages, the language, and the way out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType

import streamlit as st

from rowcast.accounts.principal import Role
from rowcast.entrypoints.dashboard import paths
from rowcast.entrypoints.dashboard.page import Page, plain
from rowcast.entrypoints.dashboard.pages import (
    account,
    administration,
    data,
    history,
    home,
    models,
    predict,
    train,
    tune,
)
from rowcast.entrypoints.dashboard.streamlit_words import ENGLISH, renaming
from rowcast.entrypoints.dashboard.texts import LANGUAGES
from rowcast.entrypoints.dashboard.visitor import SIGN_OUT, choosing, client_of_visitor, forms, run_script, words

ICON = Path(str(files("rowcast.entrypoints.rest.pages"))) / "assets" / "icon.svg"
"""The same as of the pages where people sign in."""

FOCUS = (
    "<style>a:focus-visible,summary:focus-visible{outline:2px solid currentColor!important;outline-offset:2px}</style>"
)
"""Where the keyboard is: Streamlit gives links no more than another ground."""

_TRAINERS = frozenset({Role.ANALYST, Role.ADMIN})

PAGES: Mapping[str, tuple[Callable[[Page], None], str, frozenset[Role]]] = MappingProxyType(
    {
        "home": (home.show, ":material/home:", frozenset(Role)),
        "data": (data.show, ":material/table:", frozenset(Role)),
        "train": (train.show, ":material/model_training:", _TRAINERS),
        "tune": (tune.show, ":material/manage_search:", _TRAINERS),
        "models": (models.show, ":material/deployed_code:", frozenset(Role)),
        "predict": (predict.show, ":material/online_prediction:", frozenset(Role)),
        "history": (history.show, ":material/history:", frozenset(Role)),
        "account": (account.show, ":material/account_circle:", frozenset(Role)),
        "administration": (administration.show, ":material/admin_panel_settings:", frozenset({Role.ADMIN})),
    }
)
"""Every page in order: what shows it, its sign, and who may open it."""


def run() -> None:
    """Show the page that the address names. Called at every run of the script."""
    t = words()
    st.set_page_config(page_title="Rowcast", page_icon=str(ICON), layout="wide", menu_items={})
    page = Page(client_of_visitor(t), t, forms(t.language), places := {})
    for name, (show, sign, roles) in PAGES.items():
        if page.user.role in roles:
            address = paths.PAGES[name]
            places[name] = st.Page(
                partial(show, page), title=t(f"page.{name}"), icon=sign, url_path=address or None, default=not address
            )
    st.html(FOCUS)
    chosen = st.navigation([*places.values()])
    st.logo(ICON.read_text(), size="large")
    with st.sidebar:
        _margin(page)
        if t.language != ENGLISH:
            run_script(renaming(t.language))
    chosen.run()


def _margin(page: Page) -> None:
    """Who is there, their language, and the way out."""
    t = page.t
    st.caption(t("app.signed_in", name=plain(page.user.name)))
    language = st.segmented_control(
        t("app.language"),
        list(LANGUAGES),
        default=t.language,
        required=True,
        format_func=LANGUAGES.__getitem__,
        key=f"app.language.{t.language}",
    )
    if language and language != t.language:
        run_script(choosing(language))
    if st.button(t("app.sign_out"), icon=":material/logout:", key="app.sign_out"):
        run_script(SIGN_OUT)
    st.markdown(f"[{t('app.documentation')}](/api/docs)")
