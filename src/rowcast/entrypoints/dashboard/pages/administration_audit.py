"""The audit log: who did what to what."""

from __future__ import annotations

from typing import Any

import streamlit as st

from rowcast.accounts.views import Deed
from rowcast.entrypoints.dashboard.page import Page
from rowcast.entrypoints.dashboard.pages.history import window

AT_ONCE = 100


def show_audit(page: Page) -> None:
    """Filters, and the newest deeds that fit them."""
    t = page.t
    user, action, subject, since, until = st.columns(5)
    first = since.date_input(t("history.since"), None, format=page.f.calendar, key="administration.since")
    last = until.date_input(t("history.until"), None, format=page.f.calendar, key="administration.until")
    chosen: dict[str, Any] = {
        "user": user.text_input(t("administration.user"), key="administration.audit_user").strip() or None,
        "action": action.text_input(
            t("administration.action"), key="administration.audit_action", help=t("administration.action_help")
        ).strip() or None,
        "subject": subject.text_input(t("administration.subject"), key="administration.audit_subject").strip() or None,
        **window(first, last, page.f.zone),
    }  # fmt: skip
    name = f"administration.audit.{sorted(chosen.items(), key=str)}"
    deeds = page.recall(name, lambda: page.client.audit.list(AT_ONCE, **chosen), seconds=5.0)
    if not deeds:
        st.info(t("administration.no_deeds"), icon=":material/info:")
        return
    st.dataframe([_row(page, deed) for deed in deeds], hide_index=True)


def _row(page: Page, deed: Deed) -> dict[str, Any]:
    t = page.t
    return {
        t("history.when"): page.f.moment(deed.at),
        t("administration.user"): deed.user or "—",
        t("administration.action"): deed.action,
        t("administration.subject"): deed.subject,
        t("administration.address"): deed.address,
        t("administration.details"): ", ".join(f"{name}: {value}" for name, value in deed.details.items()),
    }
