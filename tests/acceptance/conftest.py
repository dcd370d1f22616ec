"""Browsers on a dashboard: one server with a trained model for all tests of it."""

import os
import shutil

import pytest
from playwright.sync_api import sync_playwright

from rowcast.entrypoints.dashboard.example import load_and_train

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
PASSWORD = "lemon river stone"
PATIENCE = 120_000
"""Milliseconds that are waited for anything on a page, on a machine that has much else to do."""

STILL = """() => !document.querySelector('[data-testid=stMain] [data-testid=stSkeleton]') &&
  !document.getAnimations().some(each => each.effect?.target?.closest('[data-testid=stExpander]'))"""
"""Whether the parts of a page are loaded and nothing is being unfolded."""


@pytest.fixture(scope="module")
def chromium():
    """For one module at a time: while it is open nothing else on this thread can have an event loop."""
    if CHROMIUM is None:
        if "CI" in os.environ:
            pytest.fail("chromium is not installed: run scripts/setup-services.sh")
        pytest.skip("chromium is not installed")
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def dashboard_server(server_class, tmp_path_factory):
    """A server with the example's model, which everyone may ask; whoever likes may open an account."""
    running = server_class(tmp_path_factory.mktemp("dashboard") / "data", sign_up="open", grpc_port="0").start()
    with running.client() as client:
        load_and_train(client, lambda progress: None)
        client.models.share("sba_loans", "everyone")
        yield running
    running.stop()


class Visitor:
    """Somebody with a browser of their own, on pages of Streamlit."""

    def __init__(self, page, url):
        self.page = page
        self.url = url

    def sign_up(self, name):
        self.page.goto(f"{self.url}/sign-up?next=/")
        self.page.locator("input[name=name]").fill(name)
        self.page.locator("input[name=password]").fill(PASSWORD)
        self.page.keyboard.press("Enter")
        self.page.wait_for_url(f"{self.url}/")
        return self.settle()

    def follow(self, link):
        """Sign in by a link, as an administrator hands it out."""
        self.page.goto(link)
        self.page.locator("main form[action='/link'] button").click()
        self.page.wait_for_url(f"{self.url}/")
        return self.settle()

    def open(self, path):
        self.page.goto(self.url + path)
        return self.settle()

    def settle(self):
        """Wait until the script has run to its end, its outcome is drawn, and nothing moves any more."""
        self.page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]")
        self.page.wait_for_selector("[data-testid=stMain] h1")
        self.page.wait_for_function(STILL)
        return self

    def choose(self, label, value):
        """Choose from a list, by the keyboard."""
        box = self.page.get_by_role("combobox", name=label)
        box.fill(value)
        self.page.get_by_role("option", name=value, exact=True).click()
        return self.settle()

    def press(self, name, **options):
        self.main.get_by_role("button", name=name, **options).click()

    def unfold(self, name):
        """Open what is folded away. What is in it slides for half a second, and a click that something slides away from
        under is none: people wait for that, too."""
        self.settle().main.get_by_text(name, exact=True).click()
        self.page.wait_for_function(STILL)
        return self

    def sees(self, text, **options):
        """Wait until it is there to be read."""
        self.main.get_by_text(text, **options).first.wait_for()
        return self

    @property
    def main(self):
        return self.page.get_by_test_id("stMain")

    @property
    def told(self):
        return self.main.inner_text()


@pytest.fixture
def visit(chromium, dashboard_server):
    """Opens browsers that must not complain of anything, nor ask any other server for anything."""
    contexts, complaints = [], []

    def opened(url=None, **options):
        url = url or dashboard_server.url
        context = chromium.new_context(**{"locale": "en-US", "viewport": {"width": 1280, "height": 900}} | options)
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda said: complaints.append(said.text) if "Content Security" in said.text else None)
        page.on("request", lambda asked: None if _own(asked.url, url) else complaints.append(asked.url))
        return Visitor(page, url)

    yield opened
    for context in contexts:
        context.close()
    assert complaints == []


def _own(address, url):
    return address.startswith((f"{url}/", url.replace("http", "ws"), "data:", "blob:"))
