"""Credits of others: topping up, limits, and the proof that the ledger holds together."""

from __future__ import annotations

from uuid import uuid4

import streamlit as st

from rowcast.entrypoints.dashboard.page import Page, plain
from rowcast.entrypoints.dashboard.pages.account_credits import show_balance, show_statement

AT_ONCE = 50
ONCE = "administration.once"
"""By this the server knows a top-up that is sent twice, as after a click too many."""


def show_credits(page: Page) -> None:
    """What a user has, more for them, and their statement."""
    t = page.t
    users = page.recall("administration.users", page.client.users.list, seconds=20.0)
    name = st.selectbox(t("administration.user"), [user.name for user in users], key="administration.user")
    if name is None:
        return
    credits = page.recall(f"credits.of.{name}", lambda: page.client.credits.get(name), seconds=10.0)
    show_balance(page, credits)
    top_up, limit = st.columns(2)
    with top_up:
        _top_up(page, name)
    with limit:
        _limit(page, name, credits.limit)
    lines = page.recall(
        f"credits.statement.of.{name}", lambda: page.client.credits.statement(user=name, limit=AT_ONCE), seconds=5.0
    )
    show_statement(page, lines)
    if st.button(t("administration.check"), icon=":material/fact_check:", key="administration.check"):
        with page.attempt():
            found = page.client.credits.check()
            if found.faults:
                st.error("\n".join([t("administration.faults"), "", *(f"- {plain(fault)}" for fault in found.faults)]))
            else:
                st.success(
                    t("administration.sound", transfers=page.f.number(found.transfers)), icon=":material/verified:"
                )


def _top_up(page: Page, name: str) -> None:
    t = page.t
    once = st.session_state.setdefault(ONCE, uuid4().hex)
    with st.form("administration.top_up", border=True, height="stretch"):
        amount = st.number_input(t("administration.amount"), value=0, step=100, help=t("administration.amount_help"))
        comment = st.text_input(t("account.comment"), max_chars=500)
        wanted = st.form_submit_button(t("administration.top_up"), type="primary")
    if wanted and amount:
        with page.attempt():
            page.client.credits.top_up(name, amount, comment=comment.strip() or None, idempotency_key=once)
            del st.session_state[ONCE]
            page.forget("credits")
            st.toast(t("administration.topped_up", amount=page.f.credits(amount), name=plain(name)))
            st.rerun()


def _limit(page: Page, name: str, known: int | None) -> None:
    t = page.t
    with st.form(f"administration.limit.{name}", border=True, height="stretch"):
        monthly = st.number_input(t("administration.monthly"), 0, value=known, placeholder=t("account.no_limit"))
        wanted = st.form_submit_button(t("administration.save"))
    if wanted:
        with page.attempt():
            page.client.credits.set_limit(name, monthly)
            page.forget("credits")
            st.rerun()
