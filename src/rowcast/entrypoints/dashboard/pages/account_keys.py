"""API keys: made, shown once, listed, revoked."""

from __future__ import annotations

from datetime import UTC, datetime, time
from typing import Any

import streamlit as st

from rowcast.accounts.principal import Role, Scope
from rowcast.accounts.views import Key
from rowcast.entrypoints.dashboard.page import Page, plain

SCOPES_OF = {
    Role.USER: (Scope.READ, Scope.PREDICT, Scope.ACCOUNT),
    Role.ANALYST: (Scope.READ, Scope.PREDICT, Scope.TRAIN, Scope.ACCOUNT),
    Role.ADMIN: tuple(Scope),
}
"""What a key of somebody of that role can be for."""

MADE = "account.made"
"""Where the tab keeps a key that was just made, until it is put away."""


def show_keys(page: Page) -> None:
    """Make one, and see those that there are."""
    t = page.t
    st.write(t("account.keys_help"))
    _show_made(page)
    with st.expander(t("account.new_key"), icon=":material/add:"):
        _make(page)
    keys = page.recall("account.keys", page.client.keys.list, seconds=20.0)
    if not keys:
        st.caption(t("account.no_keys"))
    for key in keys:
        told, end = st.columns([4, 1], vertical_alignment="center")
        told.markdown(f"**{plain(key.name)}** · `rc_{plain(key.prefix)}…`")
        told.caption(_about(page, key))
        if end.button(t("account.revoke"), key=f"account.revoke.{key.id}"):
            st.dialog(t("account.revoke_title"))(_confirm)(page, key)


def _make(page: Page) -> None:
    t = page.t
    with st.form("account.key", border=False, clear_on_submit=True):
        name = st.text_input(t("account.key_name"), max_chars=100, help=t("account.key_name_help"))
        scopes = st.multiselect(
            t("account.scopes"), SCOPES_OF[page.user.role], format_func=lambda each: t(f"account.scope.{each}"),
            help=t("account.scopes_help"), placeholder=t("account.all_scopes"),
        )  # fmt: skip
        ends = st.date_input(t("account.expires"), None, min_value="today", format=page.f.calendar)
        left, middle, right = st.columns(3)
        per_second = left.number_input(t("account.per_second"), 0.1, value=None, format="%g")
        rows = middle.number_input(t("account.rows_per_day"), 0, value=None)
        credits = right.number_input(t("account.credits_per_month"), 0, value=None)
        wanted = st.form_submit_button(t("account.make"), type="primary")
    if not wanted:
        return
    fields: dict[str, Any] = {
        "scopes": [str(scope) for scope in scopes] or None,
        "expires_at": datetime.combine(ends, time(23, 59), UTC) if ends else None,
        "requests_per_second": per_second, "rows_per_day": rows, "credits_per_month": credits,
    }  # fmt: skip
    with page.attempt():
        given = {name_: value for name_, value in fields.items() if value is not None}
        st.session_state[MADE] = page.client.keys.make(name, **given).key
        page.forget("account.keys")
        st.rerun()


def _show_made(page: Page) -> None:
    made = st.session_state.get(MADE)
    if made is None:
        return
    with st.container(border=True):
        st.warning(page.t("account.key_made"), icon=":material/key:")
        st.code(made, language=None)
        if st.button(page.t("account.put_away"), key="account.put_away"):
            del st.session_state[MADE]
            st.rerun()


def _about(page: Page, key: Key) -> str:
    t, f = page.t, page.f
    scopes = ", ".join(t(f"account.scope.{each}") for each in key.scopes) if key.scopes else t("account.all_scopes")
    used = f.moment(key.last_used_at) if key.last_used_at else t("account.never")
    ends = f.day(key.expires_at) if key.expires_at else t("account.never")
    return t("account.key_about", scopes=scopes, used=used, ends=ends)


def _confirm(page: Page, key: Key) -> None:
    st.write(page.t("account.revoke_text", name=plain(key.name)))
    if st.button(page.t("account.revoke_yes"), type="primary", key="account.revoke_yes"):
        with page.attempt():
            page.client.keys.revoke(key.id)
            page.forget("account.keys")
            st.rerun()
