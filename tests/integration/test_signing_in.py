"""Signing in and out, up, sessions and passwords, over HTTP as browsers and programs do it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from browsing import Browser, said

PASSWORD = "lemon river stone"
OTHER = "copper window april"
API = "/api/v1"


@pytest.fixture(scope="module")
def open_server(server_class, tmp_path_factory):
    """Anyone may open an account, and a proxy on this machine is believed."""
    settings = {"sign_up": "open", "trusted_proxies": "127.0.0.1"}
    running = server_class(tmp_path_factory.mktemp("open") / "data", **settings).start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def url(open_server):
    return open_server.url


@pytest.fixture(scope="module")
def admin(open_server):
    headers = {"Authorization": f"Bearer {open_server.key}"}
    with httpx2.Client(base_url=open_server.url + API, headers=headers, timeout=60) as http:
        yield http


names = (f"user{number}" for number in range(10_000))


@pytest.fixture
def name(url):
    """The name of somebody who has an account."""
    chosen = next(names)
    assert Browser(url).fill_in("/sign-up", name=chosen, password=PASSWORD).status_code == 303
    return chosen


# Signing up


def test_anyone_signs_up_where_it_is_open_and_is_signed_in(url):
    browser = Browser(url)
    answer = browser.fill_in("/sign-up", name="Анна", password=PASSWORD)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert browser.who == "Анна"
    assert browser.get(f"{API}/account").json()["role"] == "user"


def test_somebody_signs_up_by_invitation(url, admin):
    link = admin.post("/invitations", json={"role": "analyst", "email": "clara@example.org"}).json()["url"]
    path = link.removeprefix(url)
    assert "clara@example.org" in Browser(url).get(path).text
    browser = Browser(url)
    assert browser.fill_in(path, name="clara", password=PASSWORD).status_code == 303
    account = browser.get(f"{API}/account").json()
    assert (account["name"], account["role"], account["email"]) == ("clara", "analyst", "clara@example.org")
    again = Browser(url).get(path)
    assert (again.status_code, said(again)) == (422, "This link was used before. Ask for a new one.")


def test_an_administrator_opens_an_account_whose_owner_chooses_the_password(url, admin):
    link = admin.post("/users", json={"name": "dora"}).json()["link"]["url"]
    browser = Browser(url)
    assert browser.fill_in(link.removeprefix(url), password=PASSWORD).status_code == 303
    assert browser.who == "dora"
    assert Browser(url).sign_in("dora", PASSWORD).status_code == 303


@pytest.mark.parametrize(
    ("form", "status", "words"),
    [
        ({"name": "eve", "password": "short"}, 422, "at least 10 characters"),
        ({"name": "eve", "password": "password1234"}, 422, "easily guessed"),
        ({"name": "evelyn-brown", "password": "evelyn-brown1"}, 422, "easily guessed"),
        ({"name": "a@b", "password": PASSWORD}, 422, "no @"),
        ({"name": "ADMIN", "password": PASSWORD}, 409, "taken"),
        ({"name": "eve", "password": PASSWORD, "token": "nonsense"}, 422, "not known"),
    ],
)
def test_what_is_wrong_is_said_on_the_page_and_the_name_stays(url, form, status, words):
    answer = Browser(url).post("/sign-up", **form)
    assert answer.status_code == status
    assert words in said(answer)
    assert f'value="{form["name"]}"' in answer.text
    assert form["password"] not in answer.text.replace(form["name"], "")


def test_too_many_accounts_from_one_address_have_to_wait(url):
    browser = Browser(url, address="203.0.113.9")
    refused = until_it_has_to_wait(lambda: browser.post("/sign-up", name=next(names), password="short"), free=10)
    assert {answer.status_code for answer in refused} == {422}


@pytest.mark.parametrize("policy", ["invitation", "closed"])
def test_it_is_not_open_where_it_is_not_set_so(server_class, tmp_path, policy):
    running = server_class(tmp_path / "data", sign_up=policy).start()
    try:
        browser = Browser(running.url)
        page = browser.get("/sign-up")
        assert (page.status_code, "administrator" in said(page)) == (403, True)
        assert browser.post("/sign-up", name="eve", password=PASSWORD).status_code == 403
        code = httpx2.post(f"{running.url}{API}/sign-up", json={"name": "eve", "password": PASSWORD}).json()["code"]
        assert code == {"invitation": "invitation_needed", "closed": "sign_up_closed"}[policy]
        headers = {"Authorization": f"Bearer {running.key}"}
        link = httpx2.post(f"{running.url}{API}/invitations", json={}, headers=headers).json()["url"]
        assert browser.get(link.removeprefix(running.url)).status_code == {"invitation": 200, "closed": 403}[policy]
    finally:
        running.stop()


# Signing in and out


def test_the_cookie_is_for_this_server_alone(url, name):
    answer = Browser(url).sign_in(name, PASSWORD)
    [cookie] = [each for each in answer.headers.get_list("set-cookie") if each.startswith("rowcast_session=")]
    assert {"HttpOnly", "Path=/", "SameSite=lax"} <= set(cookie.split("; "))
    assert not re.search("Domain|Secure|Max-Age|Expires", cookie)


def test_the_cookie_is_secure_where_people_come_by_https(server_class, tmp_path):
    running = server_class(tmp_path / "data", public_url="https://rowcast.example.org").start()
    try:
        headers = {"Authorization": f"Bearer {running.key}"}
        link = httpx2.post(f"{running.url}{API}/account/link", headers=headers).json()["url"]
        assert link.startswith("https://rowcast.example.org/link?token=")
        browser = Browser(running.url, origin="https://rowcast.example.org")
        answer = browser.post("/link", token=link.partition("token=")[2])
        assert "; Secure" in answer.headers["set-cookie"]
    finally:
        running.stop()


def test_a_new_token_is_given_each_time_and_the_old_session_of_the_browser_ends(url, name):
    browser = Browser(url)
    browser.sign_in(name, PASSWORD)
    first = browser.token
    assert browser.get("/sign-in?next=/account").headers["location"] == "/account"
    browser.post("/sign-in", name=name, password=PASSWORD)
    assert browser.token != first
    assert httpx2.get(f"{url}{API}/account", headers={"Cookie": f"rowcast_session={first}"}).status_code == 401


def test_a_token_that_somebody_planted_is_not_taken_over(url, name):
    browser = Browser(url)
    browser.http.cookies.set("rowcast_session", "x" * 43)
    browser.sign_in(name, PASSWORD)
    assert "x" * 43 not in [cookie.value for cookie in browser.http.cookies.jar if cookie.domain]


def test_signing_out_ends_the_session_and_not_only_the_cookie(url, name):
    browser = Browser(url)
    browser.sign_in(name, PASSWORD)
    token = browser.token
    answer = browser.post("/sign-out")
    assert answer.headers["location"] == "/sign-in?done=signed_out"
    assert browser.token is None
    assert said(browser.get("/sign-in?done=signed_out")) == "You are signed out."
    assert httpx2.get(f"{url}{API}/account", headers={"Cookie": f"rowcast_session={token}"}).status_code == 401


def test_a_page_asks_to_sign_in_and_then_goes_on(url, name):
    browser = Browser(url)
    away = browser.get("/account")
    assert (away.status_code, away.headers["location"]) == (303, "/sign-in?next=%2Faccount")
    assert browser.sign_in(name, PASSWORD, next="/account").headers["location"] == "/account"
    assert name in browser.get("/account").text


def test_by_a_link_that_a_look_does_not_use_up(url, open_server):
    headers = {"Authorization": f"Bearer {open_server.key}"}
    path = httpx2.post(f"{url}{API}/account/link", headers=headers).json()["url"].removeprefix(url)
    for _ in range(3):
        assert "Sign in as admin" in Browser(url).get(path).text
    assert httpx2.head(url + path).status_code in (200, 405)
    browser = Browser(url)
    assert browser.fill_in(path + "&next=/api/docs").headers["location"] == "/api/docs"
    assert browser.who == "admin"
    used = Browser(url).get(path)
    assert (used.status_code, said(used)) == (422, "This link was used before. Ask for a new one.")


def test_a_key_that_may_not_do_everything_cannot_become_a_session(url, admin):
    key = admin.post("/keys", json={"name": "narrow", "scopes": ["account"]}).json()["key"]
    answer = httpx2.post(f"{url}{API}/account/link", headers={"Authorization": f"Bearer {key}"})
    assert (answer.status_code, answer.json()["code"]) == (403, "key_bounded")


# Where one may be sent to


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example",
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "/%0d%0aSet-Cookie:x=1\r\nLocation: https://evil.example",
        "javascript:alert(1)",
        "evil.example",
        "/x" * 2000,
        "",
        "/\u2028/evil",
    ],
)
def test_next_leads_nowhere_else(url, name, target):
    browser = Browser(url)
    page = browser.get("/sign-in", params={"next": target})
    assert 'name="next" value="/"' in page.text.partition("<main")[2]
    answer = browser.post("/sign-in", name=name, password=PASSWORD, next=target)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert "x" not in browser.http.cookies
    assert browser.post("/language", language="ru", next=target).headers["location"] == "/"


def test_next_keeps_a_query(url, name):
    path = "/api/docs?a=1&b=%2F%2F"
    assert Browser(url).post("/sign-in", name=name, password=PASSWORD, next=path).headers["location"] == path


# Requests that pages elsewhere make a browser send


def change(browser, **headers):
    return browser.http.post(f"{API}/account/link", headers=headers)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "same-origin"}, 201),
        ({"Sec-Fetch-Site": "none"}, 201),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "https://evil.example"}, 201),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "{own}"}, 403),
        ({"Origin": "{own}"}, 201),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "{own}.evil.example"}, 403),
        ({"Origin": "http://127.0.0.1:1"}, 403),
        ({}, 403),
        ({"X-Rowcast-Client": "python"}, 201),
        ({"Referer": "{own}/account"}, 403),
    ],
)
def test_a_change_by_cookie_has_to_come_from_a_page_of_ours(url, name, headers, status):
    browser = Browser(url)
    browser.sign_in(name, PASSWORD)
    del browser.http.headers["Origin"]
    answer = change(browser, **{header: value.format(own=url) for header, value in headers.items()})
    assert answer.status_code == status, answer.text
    assert status == 201 or answer.json()["code"] == "cross_site"


def test_looking_by_cookie_needs_no_proof_and_a_key_needs_none_at_all(url, name, open_server):
    browser = Browser(url, origin="https://evil.example")
    browser.http.cookies.set("rowcast_session", "nonsense")
    key = {"Authorization": f"Bearer {open_server.key}"}
    assert browser.http.post(f"{API}/account/link", headers=key).status_code == 201
    own = Browser(url)
    own.sign_in(name, PASSWORD)
    del own.http.headers["Origin"]
    assert own.get(f"{API}/account").status_code == 200


@pytest.mark.parametrize(
    "path", ["/sign-in", "/sign-up", "/sign-out", "/forgot", "/reset", "/link", "/language", "/confirm"]
)
@pytest.mark.parametrize(
    "headers", [{"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}]
)
def test_no_form_is_taken_from_elsewhere(url, path, headers):
    browser = Browser(url)
    del browser.http.headers["Origin"]
    answer = browser.post(path, headers=headers, name="anna", password=PASSWORD)
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers
    assert answer.headers["content-type"].startswith("text/html")


def test_nobody_is_signed_in_as_another_by_a_page_elsewhere(url, name):
    body = {"name": name, "password": PASSWORD}
    answer = httpx2.post(f"{url}{API}/session", json=body, headers={"Origin": "https://evil.example"})
    assert (answer.status_code, answer.json()["code"]) == (403, "cross_site")


def test_the_hot_path_and_uploads_keep_to_the_rule(url, name):
    browser = Browser(url)
    browser.sign_in(name, PASSWORD)
    own, foreign = {"Origin": url}, {"Origin": "https://evil.example"}
    predict, tasks, datasets = f"{API}/models/nothing/predict", f"{API}/tasks", f"{API}/datasets?name=x"
    assert browser.http.post(predict, json={"rows": [{}]}, headers=foreign).json()["code"] == "cross_site"
    assert browser.http.post(predict, json={"rows": [{}]}, headers=own).json()["code"] == "model_not_found"
    assert browser.http.post(tasks, json={}, headers=foreign).json()["code"] == "cross_site"
    assert browser.http.post(tasks, json={}, headers=own).status_code == 422
    assert browser.http.post(datasets, content=b"a\n1\n", headers=foreign).json()["code"] == "cross_site"
    assert browser.http.post(datasets, content=b"a\n1\n", headers=own).json()["code"] == "role_required"


# Sessions


def test_a_session_ends_by_itself(server_class, tmp_path):
    running = server_class(tmp_path / "data", sign_up="open", session_minutes="0.03").start()
    try:
        browser = Browser(running.url)
        browser.fill_in("/sign-up", name="anna", password=PASSWORD)
        for _ in range(8):
            time.sleep(0.4)
            assert browser.who == "anna"
        time.sleep(2.2)
        answer = browser.get(f"{API}/account")
        assert (answer.status_code, answer.json()["code"]) == (401, "session_ended")
        assert browser.get("/account").status_code == 303
        assert browser.get("/api/docs").headers["location"] == "/sign-in?next=%2Fapi%2Fdocs"
    finally:
        running.stop()


def test_sessions_are_listed_to_their_owner_and_ended_by_them(url, name):
    here, there, stranger = Browser(url), Browser(url), Browser(url)
    here.sign_in(name, PASSWORD)
    there.sign_in(name, PASSWORD)
    stranger.fill_in("/sign-up", name=f"{name}-stranger", password=PASSWORD)
    listed = here.get(f"{API}/account/sessions").json()
    assert [each["current"] for each in listed].count(True) == 1
    assert {each["how"] for each in listed} == {"password", "sign_up"}
    [other] = [each for each in listed if each["address"] == there.http.headers["X-Forwarded-For"]]
    page = here.get("/account").text
    assert "Firefox · Linux" in page and f"/account/sessions/{other['id']}/end" in page
    ended = stranger.http.delete(f"{API}/account/sessions/{other['id']}")
    assert (ended.status_code, ended.json()["code"]) == (404, "session_not_found")
    assert there.who == name
    assert here.post(f"/account/sessions/{other['id']}/end").headers["location"] == "/account?done=session"
    assert there.who is None
    assert here.who == name


def test_another_password_ends_all_other_sessions(url, name):
    here, there = Browser(url), Browser(url)
    here.sign_in(name, PASSWORD)
    there.sign_in(name, PASSWORD)
    wrong = here.post("/account/password", current="wrong", new=OTHER)
    assert (wrong.status_code, said(wrong)) == (403, "The current password is wrong.")
    weak = here.post("/account/password", current=PASSWORD, new="password1234")
    assert weak.status_code == 422
    done = here.post("/account/password", current=PASSWORD, new=OTHER)
    assert done.headers["location"] == "/account?done=password"
    assert (here.who, there.who) == (name, None)
    assert Browser(url).sign_in(name, PASSWORD).status_code == 401
    assert Browser(url).sign_in(name, OTHER).status_code == 303


def test_the_current_password_cannot_be_guessed_by_who_found_a_browser_signed_in(url, name):
    browser = Browser(url)
    browser.sign_in(name, PASSWORD)
    answers = [browser.post("/account/password", current="wrong", new=OTHER).status_code for _ in range(6)]
    assert answers == [403] * 5 + [429]
    assert browser.post("/account/password", current=PASSWORD, new=OTHER).status_code == 429


def test_an_administrator_s_link_sets_a_new_password_and_ends_everything_before(url, name, admin):
    before = Browser(url)
    before.sign_in(name, PASSWORD)
    first, second = (admin.post(f"/users/{name}/link", json={"purpose": "reset"}).json()["url"] for _ in range(2))
    browser = Browser(url)
    weak = browser.fill_in(second.removeprefix(url), password="password1234")
    assert weak.status_code == 422
    assert browser.fill_in(second.removeprefix(url), password=OTHER).status_code == 303
    assert (browser.who, before.who) == (name, None)
    assert Browser(url).sign_in(name, PASSWORD).status_code == 401
    for link in (first, second):
        assert Browser(url).get(link.removeprefix(url)).status_code == 422


def test_a_blocked_account_is_out_and_stays_out(url, name, admin):
    browser = Browser(url)
    browser.sign_in(name, PASSWORD)
    assert admin.patch(f"/users/{name}", json={"blocked": True}).status_code == 200
    deadline = time.monotonic() + 5
    while browser.who is not None:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    right, wrong = (Browser(url).sign_in(name, password) for password in (PASSWORD, OTHER))
    assert (right.status_code, said(right)) == (401, "This account is blocked. Ask an administrator.")
    assert said(wrong) == "The name or the password is wrong."


# Guessing


def test_guessing_is_slowed_down_and_the_right_password_has_to_wait_too(url, name):
    refused = until_it_has_to_wait(lambda: Browser(url).post("/sign-in", name=name, password="wrong"), free=5)
    assert {answer.status_code for answer in refused} == {401}
    page = Browser(url).post("/sign-in", name=name, password=PASSWORD)
    while page.status_code == 429:
        wait = int(page.headers["retry-after"])
        assert said(page) == f"Too many attempts. Wait {wait} seconds, then try again."
        time.sleep(wait)
        page = Browser(url).post("/sign-in", name=name, password=PASSWORD)
    assert page.status_code == 303
    assert [Browser(url).post("/sign-in", name=name, password="wrong").status_code for n in range(5)] == [401] * 5


def test_guessing_at_many_accounts_from_one_address_is_slowed_down(url, name):
    guesser = Browser(url, address="203.0.113.7")
    refused = until_it_has_to_wait(lambda: guesser.post("/sign-in", name=next(names), password="wrong"), free=20)
    assert {answer.status_code for answer in refused} == {401}
    assert guesser.post("/sign-in", name=name, password=PASSWORD).status_code == 429
    assert Browser(url).post("/sign-in", name=name, password=PASSWORD).status_code == 303


def until_it_has_to_wait(attempt, *, free):
    """The answers until one is 429 for some seconds to come: so many are free, and as waits double, it cannot take many
    more. How many, the speed of this machine decides."""
    answers = [attempt() for _ in range(free)]
    assert 429 not in {answer.status_code for answer in answers}
    while (answer := attempt()).status_code != 429 or int(answer.headers["retry-after"]) < 4:
        if answer.status_code != 429:
            answers.append(answer)
        assert len(answers) < free + 8
    return answers


def test_nobody_learns_whether_there_is_an_account(url, name):
    def look(who):
        body = {"name": who, "password": "wrong password"}
        page = Browser(url).post("/sign-in", **body)
        answer = Browser(url).http.post(f"{API}/session", json=body)
        until_it_has_to_wait(lambda: Browser(url).post("/sign-in", **body), free=3)
        last = Browser(url).post("/sign-in", **body)
        return page.status_code, page.text.replace(who, "WHO"), answer.status_code, answer.text, last.status_code

    assert look(name) == look("nobody-at-all")


def test_only_proxies_that_are_trusted_are_believed(server_class, tmp_path):
    running = server_class(tmp_path / "data", sign_up="open").start()
    try:
        until_it_has_to_wait(lambda: Browser(running.url).post("/sign-in", name=next(names), password="wrong"), free=20)
    finally:
        running.stop()


# By programs


def test_a_program_signs_in_changes_something_and_signs_out(url, name):
    with httpx2.Client(base_url=url + API, headers={"X-Forwarded-For": "198.51.100.77"}) as http:
        answer = http.post("/session", json={"name": name, "password": PASSWORD})
        assert (answer.status_code, answer.json()["name"]) == (201, name)
        assert http.get("/me").json()["name"] == name
        assert http.put("/account/password", json={"current": PASSWORD, "new": OTHER}).json()["code"] == "cross_site"
        http.headers["X-Rowcast-Client"] = "test"
        assert http.put("/account/password", json={"current": PASSWORD, "new": OTHER}).status_code == 204
        assert http.delete("/session").status_code == 204
        assert http.get("/me").status_code == 401


def test_a_program_signs_up_and_sets_a_password_by_a_link(url, admin):
    new = next(names)
    with httpx2.Client(base_url=url + API, headers={"X-Forwarded-For": "198.51.100.78"}) as http:
        assert http.post("/sign-up", json={"name": new, "password": PASSWORD}).status_code == 201
        assert http.post("/sign-up", json={"name": new, "password": PASSWORD}).json()["code"] == "user_name_taken"
    token = admin.post(f"/users/{new}/link", json={"purpose": "reset"}).json()["url"].partition("token=")[2]
    body = {"token": token, "password": OTHER}
    assert httpx2.put(f"{url}{API}/password-reset", json=body).json()["name"] == new
    assert httpx2.put(f"{url}{API}/password-reset", json=body).json()["code"] == "link_used"
    token = admin.post(f"/users/{new}/link", json={"purpose": "sign_in"}).json()["url"].partition("token=")[2]
    assert httpx2.post(f"{url}{API}/session/link", json={"token": token}).status_code == 201


def test_a_key_is_no_session(admin):
    assert admin.delete("/session").json()["code"] == "session_missing"


def test_without_mail_a_forgotten_password_is_the_administrator_s_matter(url):
    assert "Ask an administrator" in Browser(url).get("/forgot").text
    answer = httpx2.post(f"{url}{API}/password-reset", json={"name": "anna"})
    assert (answer.status_code, answer.json()["code"]) == (409, "mail_missing")


# Pages


@pytest.mark.parametrize(
    "path", ["/sign-in", "/sign-up", "/forgot", "/reset?token=x", "/link?token=x", "/invitation?token=x"]
)
def test_pages_let_a_browser_do_nothing_else_with_them(url, path):
    page = Browser(url).get(path)
    assert "script" not in page.text.lower()
    assert "style=" not in page.text
    headers = page.headers
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["x-frame-options"] == "DENY"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", ["/sign-in", "/sign-up", "/forgot"])
def test_pages_are_russian_for_who_reads_russian(url, path):
    page = Browser(url, language="de,ru-RU;q=0.9,en;q=0.8").get(path).text
    assert '<html lang="ru">' in page
    assert not re.findall(r">[^<]*[A-Za-z]{4,}[^<]*<", page.partition("<h1")[2])


def test_the_language_is_changed_and_remembered(url, name):
    browser = Browser(url)
    assert '<html lang="en">' in browser.get("/sign-in").text
    assert browser.post("/language", language="ru", next="/sign-in").headers["location"] == "/sign-in"
    assert "Войти" in browser.get("/sign-in").text
    assert said(browser.sign_in(name, "wrong")) == "Имя или пароль неверны."
    browser.sign_in(name, PASSWORD)
    browser.post("/language", language="ru", next="/account")
    assert browser.get(f"{API}/account").json()["language"] == "ru"
    assert browser.post("/language", language="xx", next="/account").status_code == 303
    elsewhere = Browser(url)
    elsewhere.sign_in(name, PASSWORD)
    assert '<html lang="ru">' in elsewhere.get("/account").text


def test_what_is_typed_is_shown_as_text(url):
    nasty = '"><script>alert(1)</script>'
    page = Browser(url).post("/sign-in", name=nasty, password="x")
    assert "<script" not in page.text
    assert "&lt;script&gt;" in page.text
    assert "<script" not in Browser(url).get("/sign-in", params={"next": "/" + nasty, "done": nasty}).text
    assert "<script" not in Browser(url).get("/reset", params={"token": nasty}).text


@pytest.mark.parametrize("content", [b"\xff\xfe", b"name=%ff&password=%ff", b"&".join([b"a=b"] * 100)])
def test_what_is_no_form_is_said_to_be_none(url, content):
    answer = Browser(url).http.post("/sign-in", content=content)
    assert (answer.status_code, said(answer)) == (422, "The form cannot be read. Open the page again.")


def test_a_form_has_an_end(url):
    assert Browser(url).http.post("/sign-in", content=b"name=" + b"a" * 100_000).status_code == 413


# The documentation


def test_the_front_door_leads_to_the_documentation_by_way_of_signing_in(url, name):
    browser = Browser(url)
    assert browser.get("/").headers["location"] == "/sign-in?next=%2F"
    assert browser.get("/api/docs").headers["location"] == "/sign-in?next=%2Fapi%2Fdocs"
    browser.sign_in(name, PASSWORD)
    page = browser.get("/api/docs")
    assert page.status_code == 200
    assert name in page.text
    assert "script-src 'self'" in page.headers["content-security-policy"]
    for address in re.findall(r'(?:src|href)="(/[^"]+\.(?:js|css|svg))"', page.text):
        assert browser.get(address).status_code == 200, address


def test_the_document_is_for_keys_and_sessions(url, name, admin):
    browser = Browser(url)
    assert browser.get(f"{API}/openapi.json").status_code == 401
    browser.sign_in(name, PASSWORD)
    assert browser.get(f"{API}/openapi.json").json() == admin.get("/openapi.json").json()


def test_what_happened_is_in_the_audit_log_without_secrets(url, admin, open_server):
    new = next(names)
    browser = Browser(url)
    browser.fill_in("/sign-up", name=new, password=PASSWORD)
    browser.post("/account/password", current=PASSWORD, new=OTHER)
    browser.post("/sign-out")
    Browser(url).sign_in(new, "wrong")
    deeds = admin.get("/audit", params={"limit": 50}).json()["items"]
    mine = {deed["action"] for deed in deeds if deed["user"] == new}
    assert {"user.registered", "session.opened", "password.changed", "session.ended", "session.refused"} <= mine
    address = browser.http.headers["X-Forwarded-For"]
    assert address in {deed["address"] for deed in deeds}
    written = str(deeds) + open_server.log.read_text()
    assert PASSWORD not in written and OTHER not in written and (browser.token or "no token") not in written


def test_the_command_prints_a_link_that_signs_in(open_server, url):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ROWCAST_")}
    environment["ROWCAST_DATA_DIR"] = str(open_server.data_dir)
    command = [sys.executable, "-m", "rowcast", "link", "--next", "/account"]
    printed = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.strip()
    browser = Browser(url)
    assert browser.fill_in(printed.removeprefix(url)).headers["location"] == "/account"
    assert browser.who == "admin"


def test_the_first_start_prints_a_link_that_signs_in(fresh_server):
    deadline = time.monotonic() + 30
    while not (found := re.search(r"http://\S+/link\?token=\S+", fresh_server.log.read_text())):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    browser = Browser(fresh_server.url)
    assert urlsplit(found[0]).path == "/link"
    assert browser.fill_in(found[0].removeprefix(fresh_server.url)).status_code == 303
    assert browser.who == "admin"
