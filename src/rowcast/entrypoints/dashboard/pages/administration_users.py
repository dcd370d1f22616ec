"""Users: who there is, what they may do, and links by which people come in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from rowcast.accounts.principal import Role
from rowcast.accounts.views import Link, LinkWanted, User
from rowcast.entrypoints.dashboard.page import Page, plain

LINK = "administration.link"
"""Where the tab keeps a link that was just made, until it is put away."""


def show_users(page: Page) -> None:
    """Everyone, the one who is chosen, and how to add somebody."""
    t = page.t
    _show_link(page)
    users = page.recall("administration.users", page.client.users.list, seconds=20.0)
    selected = st.dataframe(
        [_row(page, user) for user in users], hide_index=True, on_select="rerun", selection_mode="single-row",
        key="administration.table",
    )  # fmt: skip
    places = selected["selection"]["rows"]
    if places and places[0] < len(users):
        _change(page, users[places[0]])
    else:
        st.caption(t("administration.choose_user"))
    add, invite = st.columns(2)
    with add, st.expander(t("administration.add"), icon=":material/person_add:"):
        _add(page)
    with invite, st.expander(t("administration.invite"), icon=":material/mail:"):
        _invite(page)


def changes_of(user: User, role: str, blocked: bool, per_second: float | None, rows: int | None) -> dict[str, Any]:
    """What is to be different about a user: only what was changed."""
    wanted = {
        "role": (user.role.value, role),
        "blocked": (user.blocked_at is not None, blocked),
        "requests_per_second": (user.requests_per_second, per_second),
        "rows_per_day": (user.rows_per_day, rows),
    }
    return {name: now for name, (before, now) in wanted.items() if before != now}


def _change(page: Page, user: User) -> None:
    t = page.t
    roles = [role.value for role in Role]
    with st.form(f"administration.user.{user.id}", border=True):
        st.markdown(f"**{plain(user.name)}**")
        left, middle, right = st.columns(3)
        role = left.selectbox(
            t("account.role"), roles, roles.index(user.role.value), format_func=lambda each: t(f"account.roles.{each}")
        )
        per_second = middle.number_input(t("account.per_second"), 0.1, value=user.requests_per_second, format="%g")
        rows = right.number_input(t("account.rows_per_day"), 0, value=user.rows_per_day)
        blocked = st.toggle(t("administration.blocked"), user.blocked_at is not None)
        wanted = st.form_submit_button(t("administration.save"), type="primary")
    if wanted and (changes := changes_of(user, role, blocked, per_second, rows)):
        with page.attempt():
            page.client.users.change(user.name, **changes)
            page.forget("administration.")
            st.toast(t("administration.saved"), icon=":material/check:")
            st.rerun()
    if st.button(t("administration.reset_link"), icon=":material/key:", key=f"administration.reset.{user.id}"):
        with page.attempt():
            _keep(page, page.client.users.link(user.name, LinkWanted.RESET))


def _add(page: Page) -> None:
    t = page.t
    with st.form("administration.add", border=False, clear_on_submit=True):
        name = st.text_input(t("account.name"), max_chars=200)
        email = st.text_input(t("account.email"), max_chars=254)
        role = _role(page)
        wanted = st.form_submit_button(t("administration.add_yes"))
    if wanted:
        with page.attempt():
            made = page.client.users.add(name.strip(), email=email.strip() or None, role=role)
            page.forget("administration.")
            _keep(page, made.link)


def _invite(page: Page) -> None:
    t = page.t
    with st.form("administration.invite", border=False, clear_on_submit=True):
        st.caption(t("administration.invite_help"))
        email = st.text_input(t("account.email"), max_chars=254)
        role = _role(page)
        wanted = st.form_submit_button(t("administration.invite_yes"))
    if wanted:
        with page.attempt():
            _keep(page, page.client.users.invite(email=email.strip() or None, role=role))


def _role(page: Page) -> str:
    roles: Sequence[str] = [Role.USER.value, Role.ANALYST.value, Role.ADMIN.value]
    label = page.t("account.role")
    return str(st.selectbox(label, roles, format_func=lambda each: page.t(f"account.roles.{each}")))


def _keep(page: Page, link: Link) -> None:
    st.session_state[LINK] = link
    st.rerun()


def _show_link(page: Page) -> None:
    link: Link | None = st.session_state.get(LINK)
    if link is None:
        return
    with st.container(border=True):
        st.warning(page.t("administration.link", until=page.f.moment(link.expires_at)), icon=":material/link:")
        st.code(link.url, language=None)
        if st.button(page.t("account.put_away"), key="administration.put_away"):
            del st.session_state[LINK]
            st.rerun()


def _row(page: Page, user: User) -> dict[str, Any]:
    t = page.t
    return {
        t("account.name"): user.name,
        t("account.email"): user.email or "—",
        t("account.role"): t(f"account.roles.{user.role.value}"),
        t("account.since"): page.f.day(user.created_at),
        t("administration.blocked"): page.f.day(user.blocked_at),
        t("account.per_second"): page.f.number(user.requests_per_second),
        t("account.rows_per_day"): page.f.number(user.rows_per_day),
    }
