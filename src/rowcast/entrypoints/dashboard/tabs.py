"""Tabs of which only the one that is looked at is made: what is behind the others would keep the page waiting."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import streamlit as st


def show_open_tab(shows: Mapping[str, Callable[[], None]], key: str) -> None:
    """Tabs with these titles; ``shows`` says what makes each."""
    tabs = st.tabs(list(shows), key=key, on_change="rerun")
    for tab, show in zip(tabs, shows.values(), strict=True):
        if tab.open:
            with tab:
                show()
