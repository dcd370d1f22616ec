"""The dashboard as those see it who decide: a real browser, from the first page to what came of a training."""

import re
import subprocess
import sys

import httpx2
import pytest

MODEL = "loans_of_anna"


@pytest.fixture(scope="module")
def analyst(dashboard_server):
    """The link that signs an analyst in for the first time; her tables and models are hers alone."""
    with dashboard_server.client() as client:
        made = client.users.add("ada", role="analyst")
    return made.link.url


def signed_in(visitor, link):
    """Whoever gets such a link chooses a password, and is in."""
    page = visitor.page
    page.goto(link)
    page.locator("input[type=password]").first.fill("lemon river stone")
    page.keyboard.press("Enter")
    page.wait_for_url(f"{visitor.url}/")
    return visitor.settle()


def test_from_a_file_to_a_model_that_serves(visit, analyst, example, dashboard_server):
    ada = signed_in(visit(), analyst)
    ada.open("/data")
    ada.page.locator("input[type=file]").set_input_files(example)
    ada.page.get_by_role("textbox", name="Name").fill("loans")
    ada.press("Add the table")
    ada.sees("5,000")
    ada.page.get_by_role("tab", name="Report").click()
    ada.choose("Column to be predicted", "MIS_Status").sees("What tells MIS_Status").sees("ChgOffPrinGr alone predicts")
    with ada.page.expect_download() as report:
        ada.press("Download the report (HTML)")
    assert "What goes with <bdi>MIS_Status</bdi>" in report.value.path().read_text()
    ada.page.get_by_role("tab", name="Versions").click()
    ada.unfold("Use it with DVC").press("Make the .dvc file")
    ada.sees("md5").sees("Download sba_loans.csv.dvc")
    ada.main.get_by_role("link", name="Train on it").click()
    ada.settle().choose("Column to predict", "MIS_Status").sees("5 columns are not ticked")
    ada.page.get_by_role("textbox", name="Model").fill(MODEL)
    ada.page.keyboard.press("Tab")
    ada.press("Train", exact=True)
    ada.sees("Version 1 serves from now on").sees("Side by side")
    with dashboard_server.client() as client:
        version = client.models.version(MODEL, 1)
    metric = version.metrics[0]
    assert {each.column for each in version.left_out} >= {"ChgOffPrinGr", "ChgOffDate", "Term"}
    ada.page.reload()  # the training is in the address
    figure = ada.settle().page.locator("[role=gridcell]", has_text=f"{metric.value:.3f}")
    figure.first.wait_for(state="attached")  # tables are drawn; what they hold is beside them, for screen readers
    ada.page.get_by_role("tab", name="Dependence").click()
    ada.sees("What the model answers on average")
    ada.settle().main.get_by_role("link", name="Predict with it").click()
    ada.page.wait_for_url(f"**/predict?model={MODEL}")
    ada.page.get_by_role("button", name="Sign out").click()
    ada.page.wait_for_url("**/sign-in?done=signed_out")


def test_a_stranger_sees_what_is_shared_and_nothing_of_others(visit):
    bob = visit().sign_up("bob")
    bob.sees("sba_loans")
    assert MODEL not in bob.told
    assert bob.page.get_by_role("link", name="Train").count() == 0
    bob.open("/data").sees("No table is shared with you yet")
    bob.open("/data?dataset=loans").sees("No table is shared with you yet")


def test_in_russian_on_a_phone_in_the_dark(visit):
    vera = visit(locale="ru-RU", viewport={"width": 390, "height": 844}, color_scheme="dark").sign_up("vera")
    vera.sees("Что работает")
    assert re.search(r"ROC AUC 0,\d{3}", vera.told)
    for path in ("/", "/data", "/predict", "/history", "/profile"):
        vera.open(path)
        assert vera.page.evaluate("document.documentElement.scrollWidth") <= 390, path
        told = re.sub("0 (is )?unknown", "", vera.told)  # the table's dictionary says that, in its own language
        assert not re.search(r"\b(Home|Data|Predict|History|unknown|rows|yyyy)\b", told), path
    assert vera.page.evaluate("getComputedStyle(document.querySelector('.stApp')).backgroundColor") == "rgb(18, 22, 29)"
    vera.page.get_by_test_id("stExpandSidebarButton").click()
    vera.page.get_by_text("English").click()
    vera.page.get_by_role("heading", name="Account").wait_for()
    assert vera.open("/").sees("What is served")


def test_a_session_that_is_over_leads_to_the_sign_in_page_and_back(visit, dashboard_server):
    carl = visit().sign_up("carl")
    carl.open("/history")
    token = next(each["value"] for each in carl.page.context.cookies() if each["name"] == "rowcast_session")
    mine = {"Cookie": f"rowcast_session={token}", "X-Rowcast-Client": "test"}
    (session,) = httpx2.get(f"{carl.url}/api/v1/account/sessions", headers=mine).json()
    assert httpx2.delete(f"{carl.url}/api/v1/account/sessions/{session['id']}", headers=mine).status_code == 204
    carl.page.get_by_role("link", name="Home").click()
    carl.page.wait_for_url(re.compile(r"/sign-in\?next="))
    carl.page.locator("input[name=name]").fill("carl")
    carl.page.locator("input[name=password]").fill("lemon river stone")
    carl.page.keyboard.press("Enter")
    carl.page.wait_for_url(f"{carl.url}/")
    carl.settle().sees("sba_loans")


@pytest.fixture
def apart(server_class, tmp_path):
    """A server, and its dashboard in a process of its own."""
    server = server_class(tmp_path / "data", sign_up="open", grpc_port="0").start()
    command = [sys.executable, "-m", "rowcast", "dashboard", "--api", server.url, "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        yield server, re.search(r"http://\S+?(?=\. )", process.stdout.readline())[0]
        process.terminate()
        assert process.wait(30) == 0
    server.stop()


def test_a_dashboard_apart_from_an_empty_start_to_a_model_and_to_a_server_that_is_gone(visit, apart):
    server, url = apart
    with server.client() as client:
        link = client.account.link().url
    dora = visit(url).follow(link.replace(server.url, url))
    dora.press("Load the example and train on it")
    dora.sees("Predicts MIS_Status with version 1")
    server.stop()
    dora.page.get_by_role("link", name="Data").click()
    dora.sees("The server does not answer")
    assert "Traceback" not in dora.told
