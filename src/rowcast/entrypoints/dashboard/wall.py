"""What is shown when something went wrong: never a trace."""

from __future__ import annotations

import logging

import streamlit as st

from rowcast.entrypoints.dashboard.page import RECALLED, message_of
from rowcast.entrypoints.dashboard.visitor import leave_to_sign_in, words
from rowcast.errors import RowcastError, Unauthenticated

log = logging.getLogger(__name__)


def show_failure(error: Exception) -> bool:
    """Say what went wrong and what to do, in place of the rest of the page. Of an error that nobody expected only its
    type and place are logged: its text may hold data."""
    t = words()
    if isinstance(error, Unauthenticated):
        leave_to_sign_in(t)
        return True
    if isinstance(error, RowcastError):
        st.error(message_of(error, t), icon=":material/error:")
    else:
        log.error("unexpected %s at %s", type(error).__name__, _place(error))
        st.error(t("error.unexpected"), icon=":material/error:")
    # What is recalled may be of before, such as a model that is gone by now.
    st.button(t("app.try_again"), icon=":material/refresh:", key="wall.try_again", on_click=_forget)
    return True


def _forget() -> None:
    st.session_state.pop(RECALLED, None)


def _place(error: BaseException) -> str:
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    return f"{place.tb_frame.f_code.co_filename}:{place.tb_lineno}" if place else "?"
