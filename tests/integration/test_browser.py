"""A real browser: signing in, the documentation with a call from it, signing out; keyboard, phone and dark room."""

from __future__ import annotations

import os
import shutil
import socket

import httpx2
import pytest
from services.provider import CLIENT_ID, CLIENT_SECRET, Person, StrictProvider

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
PASSWORD = "lemon river stone"


@pytest.fixture(scope="module")
def chromium():
    if CHROMIUM is None:
        missing("chromium is not installed")
    from playwright.sync_api import Error, sync_playwright

    with sync_playwright() as playwright:
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        try:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        except Error as error:
            missing(f"{CHROMIUM} does not start: {error.message.splitlines()[0]}")
        yield browser
        browser.close()


def missing(what):
    """Skip, and say so; on CI nothing is skipped."""
    if "CI" in os.environ:
        pytest.fail(f"{what}: run scripts/setup-services.sh")
    pytest.skip(what)


@pytest.fixture(scope="module")
def url(server_class, tmp_path_factory):
    """A server that is reached by an address that browsers do not take for this machine, as in an office."""
    address = _address_of_this_machine()
    running = server_class(tmp_path_factory.mktemp("browser") / "data", sign_up="open", host="0.0.0.0").start()
    yield running.url.replace("127.0.0.1", address)
    running.stop()


def _address_of_this_machine():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        try:
            asking.connect(("192.0.2.1", 9))  # sends nothing: only a route is looked up
            return asking.getsockname()[0]
        except OSError:
            return "127.0.0.1"


@pytest.fixture
def page(chromium):
    """A page in a new browser, which must not complain of anything."""
    context = chromium.new_context(locale="en-US", viewport={"width": 390, "height": 800}, color_scheme="dark")
    context.set_default_timeout(60_000)
    page = context.new_page()
    complaints = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(message.text) if "Content Security" in message.text else None)
    yield page
    context.close()
    assert complaints == []


def sign_up(page, url, name):
    page.goto(f"{url}/sign-up")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Choose a password").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{url}/")
    page.goto(f"{url}/api/docs")


def test_sign_in_call_an_operation_from_the_documentation_and_sign_out(page, url):
    sign_up(page, url, "anna")
    page.get_by_role("button", name="Sign out", exact=True).click()
    page.wait_for_url(f"{url}/sign-in?done=signed_out")
    page.goto(f"{url}/api/docs")
    page.wait_for_url(f"{url}/sign-in?next=%2Fapi%2Fdocs")
    page.keyboard.type("anna")  # the first field has the focus
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{url}/api/docs")
    assert call(page, "get_account")["name"] == "anna"
    assert call(page, "make_sign_in_link")["url"].startswith(f"{url}/link?token=")  # one that changes something
    page.get_by_role("button", name="Sign out", exact=True).click()
    page.wait_for_url(f"{url}/sign-in?done=signed_out")
    assert page.context.cookies() == [] or "rowcast_session" not in {each["name"] for each in page.context.cookies()}


def call(page, operation):
    """What the operation answers when it is tried out on the page."""
    block = page.locator(f"[id$='-{operation}']")
    block.locator(".opblock-summary-control").click()
    with page.expect_response(lambda response: "/api/v1/" in response.url) as answered:
        block.get_by_role("button", name="Execute").click()
    assert answered.value.ok, answered.value.text()
    return answered.value.json()


def test_a_key_that_is_pasted_works_as_before(page, url):
    sign_up(page, url, "bea")
    made = page.request.post(f"{url}/api/v1/keys", data={"name": "mine"}, headers={"X-Rowcast-Client": "test"})
    key = made.json()["key"]
    page.get_by_role("button", name="Authorize").first.click()
    scheme = page.locator(".auth-container").filter(has_text="bearer").first
    scheme.locator("input").first.fill(key)
    scheme.locator("button.authorize").click()
    page.get_by_role("button", name="Close").first.click()
    with page.expect_request(lambda request: "/api/v1/account" in request.url) as sent:
        assert call(page, "get_account")["name"] == "bea"
    assert sent.value.headers["authorization"] == f"Bearer {key}"


def test_pages_fit_a_phone_and_every_field_has_its_label(page, url):
    sign_up(page, url, "carl")
    for path in ("/account", "/sign-in", "/sign-up", "/forgot", "/reset?token=x"):
        if path == "/sign-in":
            page.context.clear_cookies()
        page.goto(url + path)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, path
        shown = page.locator("input:not([type=hidden]):not([hidden])")
        assert shown.evaluate_all("fields => fields.filter(field => !field.labels.length).length") == 0, path
        assert page.evaluate("document.documentElement.lang") == "en"
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(18, 22, 29)"


def test_where_there_is_no_page_a_person_finds_the_way_home_and_a_program_a_problem(page, url):
    answer = page.goto(f"{url}/no/such/page")
    assert answer.status == 404
    assert page.get_by_role("heading", name="There is no such page").is_visible()
    assert page.get_by_role("link", name="To the first page").get_attribute("href") == "/"
    page.get_by_role("button", name="Русский").click()
    assert page.get_by_role("heading", name="Такой страницы нет").is_visible()
    assert page.url == f"{url}/no/such/page"
    rather_json = ("*/*", "application/json", "application/json, text/html;q=0.1", "text/html;q=0", "text/html;q=x")
    for path, accept in [("no/such/page", accept) for accept in rather_json] + [("api/v1/nothing", "text/html")]:
        answer = httpx2.get(f"{url}/{path}", headers={"Accept": accept}, verify=False)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    answer = httpx2.get(f"{url}/no/such/page", headers={"Accept": "TEXT/HTML, */*;q=0.1"}, verify=False)
    assert answer.headers["content-type"].startswith("text/html")
    posted = httpx2.post(f"{url}/no/such/page", headers={"Accept": "text/html"}, verify=False)
    assert posted.json()["code"] == "not_found"


def test_the_language_is_switched_by_a_button(page, url):
    page.goto(f"{url}/sign-in?next=/account")
    page.get_by_role("button", name="Русский").click()
    page.wait_for_selector("html[lang=ru]")
    assert page.get_by_role("heading", level=1).inner_text() == "Войти"
    assert page.locator("input[name=next]").last.input_value() == "/account"


def test_a_page_elsewhere_cannot_sign_anybody_out(page, url, tmp_path):
    sign_up(page, url, "dana")
    trap = tmp_path / "trap.html"
    trap.write_text(f'<form method="post" action="{url}/sign-out"><button>Win a prize</button></form>')
    page.goto(trap.as_uri())
    with page.expect_response(lambda response: response.url.endswith("/sign-out")) as answered:
        page.get_by_role("button").click()
    assert answered.value.status in (303, 403)
    if answered.value.status == 303:  # the cookie was not sent along, so there was nobody to sign out
        raise AssertionError("a form from elsewhere was taken")
    page.goto(f"{url}/account")
    assert page.get_by_text("dana").first.is_visible()


def test_the_server_is_really_reached_that_way(url):
    assert httpx2.get(f"{url}/api/v1/health/live").status_code == 200


@pytest.fixture
def strict_provider(server_class, tmp_path):
    """A server that leads to a provider at another site at once."""
    provider = StrictProvider(person=Person("octavia", 8, "octavia@example.org")).start()
    settings = {
        "sign_up": "open",
        "sign_in": "github",
        "github_client_id": CLIENT_ID,
        "github_client_secret": CLIENT_SECRET,
        "github_authorize_url": f"{provider.url.replace('127.0.0.1', 'localhost')}/login/oauth/authorize",
        "github_token_url": f"{provider.url}/login/oauth/access_token",
        "github_api_url": f"{provider.url}/api",
    }
    running = server_class(tmp_path / "data", **settings).start()
    provider.redirect_uris.add(f"{running.url}/sign-in/github/callback")
    yield running, provider
    running.stop()
    provider.stop()


def test_a_provider_at_another_site_signs_in_and_is_linked(page, strict_provider):
    server, provider = strict_provider
    page.goto(f"{server.url}/account")
    page.wait_for_url("**/account")
    assert page.locator("dd").first.inner_text() == "octavia"
    page.get_by_label("New password").fill(PASSWORD)
    page.get_by_role("button", name="Set the password").click()
    page.wait_for_url("**/account?done=password")
    page.get_by_role("button", name="Unlink: GitHub").click()
    page.wait_for_url("**/account?done=unlinked")
    page.get_by_role("button", name="Link GitHub").click()
    page.wait_for_url("**/account?done=linked")
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/sign-in?done=signed_out")
    provider.person = None
    page.get_by_role("link", name="Sign in with GitHub").click()
    assert "You did not let GitHub" in page.get_by_role("alert").inner_text()
    page.get_by_role("button", name="Русский").click()
    assert page.get_by_role("link", name="Войти через GitHub").is_visible()
