"""Account: who one is, password, sessions, API keys, and the statement of credits."""

from __future__ import annotations

import streamlit as st

from rowcast.accounts.profile import BrowserSession
from rowcast.entrypoints.agents import browser_of
from rowcast.entrypoints.dashboard.page import Page, plain
from rowcast.entrypoints.dashboard.pages.account_credits import show_credits
from rowcast.entrypoints.dashboard.pages.account_keys import show_keys

OWN_PAGE = "/account"
"""Where the server lets one change the e-mail address and link other ways to sign in."""


def show(page: Page) -> None:
    """One side of the account."""
    t = page.t
    st.title(t("account.title"))
    parts = ("profile", "keys", "credits")
    part = st.segmented_control(
        t("account.part"), parts, default="profile", required=True, key="account.part", label_visibility="collapsed",
        format_func=lambda each: t(f"account.parts.{each}"),
    )  # fmt: skip
    match part:
        case "keys":
            show_keys(page)
        case "credits":
            show_credits(page)
        case _:
            _show_profile(page)


def _show_profile(page: Page) -> None:
    t, f = page.t, page.f
    account = page.recall("account.profile", page.client.account.get)
    with st.container(horizontal=True):
        st.metric(t("account.name"), account.name, width="content")
        st.metric(
            t("account.role"), t(f"account.roles.{account.role.value}"), help=t("account.role_help"), width="content"
        )
        st.metric(t("account.email"), account.email or t("account.no_email"), width="content")
        st.metric(t("account.since"), f.day(account.created_at), width="content")
    st.markdown(f"[{t('account.own_page')}]({OWN_PAGE})")
    st.subheader(t("account.password"))
    _change_password(page, account.has_password)
    st.subheader(t("account.sessions"))
    _show_sessions(page)


def _change_password(page: Page, has_password: bool) -> None:
    t = page.t
    with st.form("account.password", border=True, clear_on_submit=True):
        current = ""
        if has_password:
            current = st.text_input(t("account.current"), type="password", autocomplete="current-password")
        new = st.text_input(
            t("account.new"), type="password", autocomplete="new-password", help=t("account.password_help")
        )
        again = st.text_input(t("account.again"), type="password", autocomplete="new-password")
        wanted = st.form_submit_button(t("account.change"))
    if not wanted:
        return
    if new != again:
        st.error(t("account.not_alike"))
        return
    with page.attempt():
        page.client.account.change_password(new, current)
        page.forget("account.")
        st.success(t("account.changed"), icon=":material/check:")


def _show_sessions(page: Page) -> None:
    t = page.t
    for session in page.recall("account.sessions", page.client.account.sessions, seconds=10.0):
        told, end = st.columns([4, 1], vertical_alignment="center")
        told.write(_session(page, session))
        if session.current:
            told.caption(t("account.this_browser"))
        elif end.button(t("account.end"), key=f"account.end.{session.id}"):
            with page.attempt():
                page.client.account.end_session(session.id)
                page.forget("account.sessions")
                st.rerun()


def _session(page: Page, session: BrowserSession) -> str:
    return page.t(
        "account.session",
        agent=plain(browser_of(session.agent) or page.t("account.unknown_browser")),
        address=plain(session.address),
        seen=page.f.moment(session.seen_at),
        since=page.f.moment(session.created_at),
    )
