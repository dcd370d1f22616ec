"""Work that takes a while, done beside the page: the page goes on answering, and shows how far it is."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Generic, TypeVar, cast

import streamlit as st

from rowcast.datasets.ports import Progress, Report
from rowcast.entrypoints.dashboard.page import Page

T = TypeVar("T")

LOOK_SECONDS = 0.5
"""Between two looks at how far it is."""


class Work(Generic[T]):
    """A call that is under way in a thread of its own; it calls the server with the client of the visitor who began
    it."""

    def __init__(self, act: Callable[[Report], T]) -> None:
        self.progress: Progress | None = None
        self.future: Future[T] = Future()
        self._act = act
        threading.Thread(target=self._run, name="work", daemon=True).start()

    def _run(self) -> None:
        try:
            self.future.set_result(self._act(self._tell))
        except Exception as error:  # noqa: BLE001  (raised again by the page that looks)
            self.future.set_exception(error)

    def _tell(self, progress: Progress) -> None:
        self.progress = progress


def begin(key: str, act: Callable[[Report], Any]) -> None:
    """Begin work, under a widget key of the page that will ask for it."""
    st.session_state[key] = Work(act)


def under_way(key: str) -> bool:
    """Whether there is work of which the outcome was not asked for yet."""
    return key in st.session_state


def finished(page: Page, key: str) -> bool:
    """Whether the work is done; until then this shows how far it is, and has the page run again when it is."""
    work = cast("Work[Any]", st.session_state[key])
    if not work.future.done():
        _watch(page, work)
        return False
    return True


def outcome(key: str) -> Any:
    """What came of work that is finished; it is forgotten with this.

    Raises:
        RowcastError: what the work failed with.
    """
    work = cast("Work[Any]", st.session_state.pop(key))
    return work.future.result()


@st.fragment(run_every=LOOK_SECONDS)
def _watch(page: Page, work: Work[Any]) -> None:
    if work.future.done():
        st.rerun()
    show_progress(page, work.progress)


def show_progress(page: Page, progress: Progress | None) -> None:
    """A bar with what is going on, in the visitor's language."""
    told = told_of(page, progress) if progress else page.t("work.begins")
    st.progress(min(1.0, progress.fraction) if progress else 0.0, told)


def told_of(page: Page, progress: Progress) -> str:
    """What is going on, as far as there are words for it; else as the server says."""
    t, f = page.t, page.f
    if progress.algorithm and progress.stage in ("fit", "export"):
        what = "work.fold" if progress.fold else "work.final"
        told = t(what, algorithm=progress.algorithm, fold=progress.fold, folds=progress.folds)
    else:
        told = t.get(f"work.stage.{progress.stage}") or progress.message
    left = f" · {t('work.left', time=f.duration(progress.eta_seconds))}" if progress.eta_seconds else ""
    return f"{told} · {f.percent(progress.fraction, 0)}{left}"
