"""How long people wait for a page of the dashboard: a real browser on the built-in example, with one visitor. The wait
is from the click to the page being drawn; beside it is what the server and the dashboard used of a processor."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from playwright.sync_api import Page, sync_playwright

from benchmarks.servers import Server, family, processor_seconds, rowcast
from rowcast.client import Client
from rowcast.entrypoints.dashboard.example import NAME, load_and_train

ROUNDS = 9
PATIENCE_MS = 120_000
PAGES = ("Home", "Data", "Train", "Models", "Predict", "History", "Account", "Administration")
GOAL_MS, WHAT_IF_GOAL_MS = 1000, 300
"""What the product promises of every page, and of an answer to what if."""

DRAWN = "[data-testid=stApp][data-test-script-state=notRunning]"
IF_SO = "() => [...document.querySelectorAll('[data-testid=stMetricValue]')].map(each => each.innerText).join('|')"


@dataclass(frozen=True)
class Wait:
    """One answer to a click: seconds of waiting, and of the processors that the server and the dashboard used."""

    wall: float
    server: float
    dashboard: float


def run() -> tuple[list[str], str]:
    """The lines of a Markdown table, and one line with the slowest medians."""
    cores = ",".join(map(str, sorted(os.sched_getaffinity(0))))
    with tempfile.TemporaryDirectory() as name, rowcast(Path(name), cores) as server:
        load_and_train(server.client, lambda progress: None)
        server.client.predict(NAME, _case(server.client))
        with _browser(server.client.account.link().url) as page:
            waits = _look_around(page, server)
            waits["What if"] = _what_if(page, server)
    lines = ["| | median ms | slowest ms | server CPU ms | dashboard CPU ms |", "| --- | ---: | ---: | ---: | ---: |"]
    for shown, found in waits.items():
        wall = [one.wall for one in found]
        used = sum(one.server for one in found) / len(found), sum(one.dashboard for one in found) / len(found)
        figures = (f"{1000 * seconds:,.0f}" for seconds in (median(wall), max(wall), *used))
        lines.append(f"| {shown} | {' | '.join(figures)} |")
    slowest = max(1000 * median(one.wall for one in found) for shown, found in waits.items() if shown != "What if")
    what_if = 1000 * median(one.wall for one in waits["What if"])
    return lines, f"slowest_page_ms={slowest:.0f} (goal {GOAL_MS}) what_if_ms={what_if:.0f} (goal {WHAT_IF_GOAL_MS})"


def _case(client: Client) -> dict[str, object]:
    """A case that the model can answer."""
    return {feature.name: feature.example for feature in client.models.schema(NAME).features}


@contextmanager
def _browser(link: str) -> Iterator[Page]:
    """A browser whose visitor has just signed in."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        raise SystemExit("chromium is not installed: run scripts/setup-services.sh")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox"] if os.geteuid() == 0 else []
        )
        page = browser.new_page(locale="en-US", viewport={"width": 1280, "height": 900})
        page.set_default_timeout(PATIENCE_MS)
        page.goto(link)
        page.locator("main form[action='/link'] button").click()
        page.get_by_test_id("stMain").get_by_role("heading", level=1).wait_for()
        page.wait_for_selector(DRAWN)
        yield page
        browser.close()


def _look_around(page: Page, server: Server) -> dict[str, list[Wait]]:
    """Every page in turn, as often as there are rounds; the first round, which loads what they need, does not count."""
    waits: dict[str, list[Wait]] = {name: [] for name in PAGES}
    for number in range(ROUNDS + 1):
        for name in PAGES[1:] + PAGES[:1]:
            wait = _measured(server, lambda name=name: _go(page, name))  # type: ignore[misc]
            waits[name] += [wait] if number else []
    return waits


def _go(page: Page, name: str) -> None:
    page.get_by_test_id("stSidebar").get_by_role("link", name=name, exact=True).click()
    page.get_by_test_id("stMain").get_by_role("heading", level=1, name=name).wait_for()
    page.wait_for_selector(DRAWN)


def _what_if(page: Page, server: Server) -> list[Wait]:
    """A slider moved by a step, until the other answer is there."""
    page.get_by_test_id("stSidebar").get_by_role("link", name="Predict", exact=True).click()
    page.get_by_role("button", name="Fill in an example").click()
    page.wait_for_timeout(2000)
    page.get_by_test_id("stMain").get_by_role("button", name="Predict", exact=True).click()
    slider = page.get_by_test_id("stMain").get_by_role("slider").first
    slider.press("ArrowRight")
    page.get_by_text("If it were so").wait_for()
    page.wait_for_timeout(2000)
    waits = []
    for number in range(2 * ROUNDS):
        before, key = page.evaluate(IF_SO), "ArrowLeft" if number % 2 else "ArrowRight"

        def move(before: str = before, key: str = key) -> None:
            slider.press(key)
            page.wait_for_function(f"before => ({IF_SO})() !== before", arg=before)

        waits.append(_measured(server, move))
        page.wait_for_selector(DRAWN)
        page.wait_for_timeout(200)
    return waits


def _measured(server: Server, act: Callable[[], None]) -> Wait:
    pages = [pid for pid in family(server.pid) if pid != server.pid]
    before = processor_seconds(server.pid), sum(map(processor_seconds, pages))
    begin = time.perf_counter()
    act()
    wall = time.perf_counter() - begin
    after = processor_seconds(server.pid), sum(map(processor_seconds, pages))
    return Wait(wall, after[0] - before[0], after[1] - before[1])
