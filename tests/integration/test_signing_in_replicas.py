"""Several servers on one database: they count guesses together, and end sessions together."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import httpx2
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from browsing import Browser
from test_replicas import KEY, Replica

PASSWORD = "lemon river stone"
API = "/api/v1"


@pytest.fixture(scope="module")
def servers(tmp_path_factory, postgres_server, rabbit_url):
    database = postgres_server.create_database()
    settings = {"database_url": database, "broker_url": rabbit_url, "trusted_proxies": "127.0.0.1", "sign_up": "open"}
    folder = tmp_path_factory.mktemp("replicas")
    started = []
    for number in range(2):
        started.append(Replica("api", folder, number, **settings))
        started[-1].says("Rowcast is at")  # it has its ports before the next one chooses
    yield [each.url for each in started]
    for each in started:
        each.stop()
    postgres_server.drop_database(database)


def test_guesses_at_all_servers_count_together(servers):
    Browser(servers[0]).fill_in("/sign-up", name="anna", password=PASSWORD)

    def guess(number):
        return Browser(servers[number % 2]).post("/sign-in", name="anna", password="wrong")

    assert [guess(number).status_code for number in range(5)] == [401] * 5
    number = 5
    while (answer := guess(number)).status_code != 429 or int(answer.headers["retry-after"]) < 4:
        number += answer.status_code == 401
        assert number < 15
    for server in servers:  # the right password, and the server that saw fewer guesses, have to wait too
        assert Browser(server).post("/sign-in", name="anna", password=PASSWORD).status_code == 429
    time.sleep(int(answer.headers["retry-after"]))
    assert Browser(servers[1]).post("/sign-in", name="anna", password=PASSWORD).status_code == 303
    assert Browser(servers[0]).post("/sign-in", name="anna", password="wrong").status_code == 401


def test_a_session_is_one_on_all_servers_and_ends_on_all_within_five_seconds(servers):
    here = Browser(servers[0])
    here.fill_in("/sign-up", name="boris", password=PASSWORD)
    cookie = {"Cookie": f"rowcast_session={here.token}"}

    def there():
        return httpx2.get(f"{servers[1]}{API}/account", headers=cookie).status_code

    assert there() == 200
    ended = time.monotonic()
    here.post("/sign-out")
    while there() == 200:
        assert time.monotonic() - ended < 5
        time.sleep(0.05)


def test_a_link_is_followed_on_one_server_only(servers):
    key = {"Authorization": f"Bearer {KEY}"}
    link = httpx2.post(f"{servers[0]}{API}/account/link", headers=key).json()["url"]
    token = link.partition("token=")[2]
    answers = [httpx2.post(f"{server}{API}/session/link", json={"token": token}).status_code for server in servers]
    assert answers == [201, 422]
