"""Queues and workers: what waits, what runs, what nobody could do anything with, and whether all parts are well."""

from __future__ import annotations

import streamlit as st

from rowcast.entrypoints.dashboard.page import Page, plain
from rowcast.tasks.views import DeadMessage, Task

SECONDS = 3.0
MOST_RUNNING = 20


def show_queue(page: Page) -> None:
    """Figures that renew themselves."""
    st.fragment(_show, run_every=SECONDS)(page)


def _show(page: Page) -> None:
    t, f = page.t, page.f
    with page.attempt():
        health = page.client.health()
        figures = page.client.tasks.figures()
        well = health.get("status") == "ok"
        told = t("administration.well") if well else t("administration.not_well")
        (st.success if well else st.error)(told, icon=":material/monitor_heart:")
        for name, part in sorted(dict(health.get("parts", {})).items()):
            if part not in ("ok", None, True):
                st.write(f"**{plain(name)}**: {plain(part)}")
        if figures.lanes:
            st.dataframe(
                [
                    {
                        t("administration.lane"): lane.lane,
                        t("administration.queued"): lane.queued,
                        t("administration.delayed"): lane.delayed,
                        t("administration.running"): lane.running,
                        t("administration.retried"): lane.retried,
                        t("administration.oldest"): f.duration(lane.oldest_seconds),
                        t("administration.lease"): f.duration(lane.lease_seconds),
                    }
                    for lane in figures.lanes
                ],
                hide_index=True,
            )
        else:
            st.info(t("administration.idle"), icon=":material/bedtime:")
        if running := page.client.tasks.list(state="running", limit=MOST_RUNNING):
            st.markdown(f"**{t('administration.at_work')}**")
            st.dataframe([_at_work(page, task) for task in running], hide_index=True)
        if figures.dead is None:
            st.warning(t("administration.no_broker"))
        for letter in figures.dead or ():
            _show_dead(page, letter)


def _at_work(page: Page, task: Task) -> dict[str, str]:
    """What a worker has in hand, whose it is, and how far it is."""
    t, f = page.t, page.f
    return {
        t("history.kind"): t.get(f"history.kinds.{task.kind}") or task.kind,
        t("history.subject"): task.subject,
        t("history.caller"): task.owner,
        t("administration.since"): f.moment(task.started_at),
        t("administration.progress"): f.percent(task.progress.fraction if task.progress else 0.0, 0),
    }


def _show_dead(page: Page, letter: DeadMessage) -> None:
    t = page.t
    told, again = st.columns([4, 1], vertical_alignment="center")
    told.write(t("administration.dead", id=plain(letter.id), lane=plain(letter.lane), reason=plain(letter.reason)))
    if again.button(t("administration.requeue"), key=f"administration.requeue.{letter.id}"):
        with page.attempt():
            page.client.tasks.requeue(letter.id)
