"""The audit log: who did what to what."""

from __future__ import annotations

from functools import partial
from typing import Any

import streamlit as st

from rowcast.accounts.views import Deed
from rowcast.entrypoints.dashboard.page import Page
from rowcast.entrypoints.dashboard.pages.history import window
from rowcast.entrypoints.dashboard.texts import catalogue

AT_ONCE = 100
ACTION = "deed."

_WORDS = {"role": "account.roles", "scopes": "account.scope", "kind": "kind_of_task", "visibility": "models.visibility"}
"""Where the words are for what a detail can be; for others they are among their own."""


def show_audit(page: Page) -> None:
    """Filters, and the newest deeds that fit them."""
    t = page.t
    user, action, subject, since, until = st.columns(5)
    first = since.date_input(t("history.since"), None, format=page.f.calendar, key="administration.since")
    last = until.date_input(t("history.until"), None, format=page.f.calendar, key="administration.until")
    chosen: dict[str, Any] = {
        "user": user.text_input(t("administration.user"), key="administration.audit_user").strip() or None,
        "action": action.selectbox(
            t("administration.action"), [None, *sorted(actions(), key=partial(_called, page))],
            key="administration.audit_action", format_func=partial(_called, page),
        ),
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
        t("administration.action"): _called(page, deed.action),
        t("administration.subject"): deed.subject,
        t("administration.address"): deed.address,
        t("administration.details"): "; ".join(
            f"{t.get(f'deed_detail.{name}') or name}: {told(page, name, value)}" for name, value in deed.details.items()
        ),
    }


def actions() -> list[str]:
    """The actions that there are words for: all of them, by their stable names."""
    return [key.removeprefix(ACTION) for key in catalogue("en") if key.startswith(ACTION)]


def _called(page: Page, action: str | None) -> str:
    return page.t("history.any") if action is None else page.t.get(f"deed.{action}") or action


def told(page: Page, name: str, value: Any) -> str:
    """A detail in words, as far as there are any: most are names and numbers."""
    t = page.t
    if isinstance(value, bool):
        return t("predict.yes" if value else "predict.no")
    if isinstance(value, int | float):
        return page.f.number(value)
    if isinstance(value, list):
        return ", ".join(told(page, name, each) for each in value) or "—"
    known = t.get(f"{_WORDS[name]}.{value}") if name in _WORDS else t.get(f"deed_value.{value}")
    return known or ("—" if value is None else str(value))
