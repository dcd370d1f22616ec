"""Takes the pictures of the dashboard's pages in docs/screenshots: a server, the example, a real browser."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from rowcast.accounts.profile import LANGUAGE_COOKIE
from rowcast.client import Client
from rowcast.entrypoints.dashboard.example import NAME, TARGET, load_and_train

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "screenshots"
COLORS = 64
SIZE = {"width": 1200, "height": 900}
PHONE = {"width": 390, "height": 844}
PATIENCE = 120_000
PAGES = {
    "home": "/",
    "data": "/data",
    "tune": "/tune",
    "models": f"/models?model={NAME}",
    "account": "/profile",
    "administration": "/administration",
}


def settle(page: Page) -> None:
    """Wait until the page is drawn."""
    page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]")
    page.wait_for_selector("[data-testid=stMain] h1")
    page.wait_for_timeout(1_500)  # plots are drawn after the script has ended


def keep(page: Page, name: str) -> None:
    """Save what is on the screen, in few colours: pictures are looked at, not edited."""
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    picture.quantize(COLORS, dither=Image.Dither.NONE).save(FOLDER / f"{name}.png", optimize=True)


def tour(page: Page, url: str) -> None:
    """All pages, one after another."""
    for name, address in PAGES.items():
        page.goto(url + address)
        settle(page)
        keep(page, name)
    page.goto(f"{url}/train?dataset={NAME}")
    settle(page)
    page.get_by_role("combobox", name="Column to predict").fill(TARGET)
    page.get_by_role("option", name=TARGET, exact=True).click()
    page.get_by_text("Learn from these columns").wait_for()
    settle(page)
    keep(page, "train")
    page.goto(f"{url}/predict?model={NAME}")
    settle(page)
    page.get_by_role("button", name="Fill in an example").click()
    settle(page)
    page.get_by_test_id("stMain").get_by_role("button", name="Predict", exact=True).click()
    reasons = page.get_by_role("heading", name="Why", exact=True)
    reasons.wait_for()
    settle(page)
    reasons.scroll_into_view_if_needed()
    page.wait_for_timeout(500)
    keep(page, "predict")
    page.goto(f"{url}/history")
    settle(page)
    keep(page, "history")


def in_russian(page: Page, url: str) -> None:
    """The report on the example in the other language, in the dark."""
    page.context.add_cookies([{"name": LANGUAGE_COOKIE, "value": "ru", "url": url}])
    page.emulate_media(color_scheme="dark")
    page.set_viewport_size(SIZE)
    page.goto(f"{url}/data")
    settle(page)
    page.get_by_role("tab", name="Отчёт").click()
    page.get_by_role("combobox", name="Столбец, который нужно прогнозировать").fill(TARGET)
    page.get_by_role("option", name=TARGET, exact=True).click()
    page.get_by_role("heading", name=TARGET).wait_for()
    settle(page)
    keep(page, "russian")


def main() -> None:
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        sys.exit("chromium is not installed: run scripts/setup-services.sh")
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"ROWCAST_DATA_DIR": folder, "ROWCAST_GRPC_PORT": "0"}
        server = subprocess.Popen(
            [sys.executable, "-m", "rowcast", "up", "--port", "0"], env=environment, stdout=subprocess.DEVNULL
        )
        try:
            with client_of(Path(folder)) as client, sync_playwright() as playwright:
                load_and_train(client, lambda progress: None)
                arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
                browser = playwright.chromium.launch(executable_path=chromium, args=arguments)
                context = browser.new_context(locale="en-US", timezone_id="UTC", viewport=SIZE)
                context.set_default_timeout(PATIENCE)
                page = context.new_page()
                page.goto(client.account.link().url)
                page.locator("main form[action='/link'] button").click()
                settle(page)
                tour(page, client.url)
                page.set_viewport_size(PHONE)
                page.goto(client.url)
                settle(page)
                keep(page, "phone")
                in_russian(page, client.url)
        finally:
            server.terminate()
            server.wait(30)


def client_of(folder: Path) -> Client:
    """The administrator's client, once the server answers."""
    file = folder / "credentials.json"
    while not file.exists():
        time.sleep(0.2)
    os.environ["ROWCAST_DATA_DIR"] = str(folder)
    return Client()


if __name__ == "__main__":
    main()
