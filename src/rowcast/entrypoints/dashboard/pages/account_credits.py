"""Credits: what one has, and what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from rowcast.credits.views import Credits, Transfer, TransferKind
from rowcast.entrypoints.dashboard.page import Page

AT_ONCE = 100
FIGURE_PIXELS = 160
COMMENT_PIXELS = 140
AT_SIGN_UP = "sign-up"
"""What the ledger calls the credits that a user has to begin with."""


def show_credits(page: Page) -> None:
    """What can be spent, and the statement."""
    t = page.t
    credits = page.recall("credits", page.client.credits.get, seconds=10.0)
    show_balance(page, credits)
    kinds = [None, *TransferKind]
    kind = st.selectbox(
        t("account.transfer_kind"), kinds, key="account.kind",
        format_func=lambda each: t("history.any") if each is None else t(f"account.transfers.{each}"),
    )  # fmt: skip
    lines = page.recall(
        f"credits.statement.{kind}", lambda: page.client.credits.statement(kind=kind, mine=True, limit=AT_ONCE),
        seconds=5.0,
    )  # fmt: skip
    show_statement(page, lines)
    st.link_button(
        t("history.export_csv"), "/api/v1/credits/statement/export?format=csv&mine=true", icon=":material/download:"
    )


def show_balance(page: Page, credits: Credits) -> None:
    """The figures; in free mode that nothing costs anything."""
    t, f = page.t, page.f
    if credits.mode == "free":
        st.info(t("account.free"), icon=":material/info:")
    limit = t("account.no_limit") if credits.limit is None else f.credits(credits.limit)
    with st.container(horizontal=True):
        st.metric(t("account.balance"), f.credits(credits.balance), width=FIGURE_PIXELS)
        st.metric(t("account.held"), f.credits(credits.held), help=t("account.held_help"), width=FIGURE_PIXELS)
        st.metric(t("account.spent"), f.credits(credits.spent), width=FIGURE_PIXELS)
        st.metric(t("account.limit"), limit, width=FIGURE_PIXELS)


def show_statement(page: Page, lines: Sequence[Transfer], *, whose: bool = False) -> None:
    """A line for each transfer, newest first."""
    if not lines:
        st.caption(page.t("account.no_transfers"))
        return
    figures = ("account.moved", "account.held", "account.balance_after", "account.count")
    columns = {page.t(key): st.column_config.TextColumn(alignment="right") for key in figures}
    columns[page.t("account.comment")] = st.column_config.TextColumn(width=COMMENT_PIXELS)
    st.dataframe([_row(page, line, whose) for line in lines], hide_index=True, column_config=columns)


def _row(page: Page, line: Transfer, whose: bool) -> dict[str, Any]:
    t, f = page.t, page.f
    row: dict[str, Any] = {t("history.when"): f.moment(line.at), t("history.kind"): t(f"account.transfers.{line.kind}")}
    if whose:
        row[t("history.caller")] = line.user or "—"
    return row | {
        t("account.moved"): f.credits(line.available),
        t("account.held"): f.credits(line.held),
        t("account.balance_after"): f.credits(line.balance),
        t("account.count"): f.number(line.count, 0),
        t("account.by"): line.made_by or "—",
        t("account.comment"): t("account.at_sign_up") if line.comment == AT_SIGN_UP else line.comment or "",
        t("account.reference"): line.reference or "—",
    }
