"""Administration: users and roles, credits, queues and workers, the audit log. For administrators."""

from __future__ import annotations

import streamlit as st

from rowcast.entrypoints.dashboard.page import Page
from rowcast.entrypoints.dashboard.pages.administration_audit import show_audit
from rowcast.entrypoints.dashboard.pages.administration_credits import show_credits
from rowcast.entrypoints.dashboard.pages.administration_queue import show_queue
from rowcast.entrypoints.dashboard.pages.administration_users import show_users

PARTS = {"users": show_users, "credits": show_credits, "queue": show_queue, "audit": show_audit}


def show(page: Page) -> None:
    """One side of it."""
    t = page.t
    st.title(t("administration.title"))
    part = st.segmented_control(
        t("administration.part"), list(PARTS), default="users", required=True, key="administration.part",
        format_func=lambda each: t(f"administration.parts.{each}"), label_visibility="collapsed",
    )  # fmt: skip
    PARTS[part or "users"](page)
