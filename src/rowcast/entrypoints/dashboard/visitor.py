"""Who looks at the page: the session that their browser brought, their language, and ways to leave the page."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NoReturn

import streamlit as st

from rowcast.accounts.profile import LANGUAGE_COOKIE, SESSION_COOKIE
from rowcast.client import Client
from rowcast.entrypoints.dashboard.formats import Formats
from rowcast.entrypoints.dashboard.streamlit_words import ENGLISH, renaming
from rowcast.entrypoints.dashboard.texts import LANGUAGES, Texts, language_of
from rowcast.entrypoints.vouching import HEADER

TIMEOUT_SECONDS = 60.0

API_URL = "api_url"
"""By this name the script finds where the server is, among what it was started with."""

_HERE = "location.pathname+location.search"
SIGN_IN = f"location.assign('/sign-in?next='+encodeURIComponent({_HERE}))"
_POST = (
    "const form=document.createElement('form');form.method='post';form.action='{action}';"
    "for(const [name,value] of [{fields}]){{const field=document.createElement('input');field.type='hidden';"
    "field.name=name;field.value=value;form.append(field)}}document.body.append(form);form.submit()"
)
SIGN_OUT = _POST.format(action="/sign-out", fields="")


def choosing(language: str) -> str:
    """The script that has the language remembered and shows the same page in it."""
    return _POST.format(action="/language", fields=f"['language','{language}'],['next',{_HERE}]")


def scripts() -> Iterator[str]:
    """Every script that ``run_script`` is ever given: browsers are told to run no other."""
    yield SIGN_IN
    yield SIGN_OUT
    yield from (choosing(language) for language in LANGUAGES)
    yield from (renaming(language) for language in LANGUAGES if language != ENGLISH)


def run_script(script: str) -> None:
    """Have the browser run one of ``scripts``: for what only a browser can do, such as to leave the page."""
    st.html(f"<script>{script}</script>", unsafe_allow_javascript=True)


def leave_to_sign_in(t: Texts) -> None:
    """On to the sign-in page, and from there back here."""
    st.info(t("app.to_sign_in"))
    run_script(SIGN_IN)


def words() -> Texts:
    """The words in the visitor's language."""
    return Texts(language_of(st.context.cookies.get(LANGUAGE_COOKIE), st.context.locale))


def forms(language: str) -> Formats:
    """How that language writes numbers and moments, in the visitor's time zone."""
    return Formats(language, st.context.timezone or "UTC")


def client_of_visitor(t: Texts) -> Client:
    """The client with the session that the browser brought; made once, and anew when it brings another: then nothing of
    the one before may be seen."""
    token = st.context.cookies.get(SESSION_COOKIE, "")
    if not token:
        _nobody(t)
    known = st.session_state.get("visitor")
    if known is not None and known[0] == token:
        client: Client = known[1]
        return client
    st.session_state.clear()
    visitor = st.context.headers.get(HEADER.decode(), "")
    client = Client(st.secrets[API_URL], session=token, visitor=visitor, timeout=TIMEOUT_SECONDS, retries=1)
    st.session_state["visitor"] = (token, client)
    return client


def _nobody(t: Texts) -> NoReturn:
    leave_to_sign_in(t)
    st.stop()
