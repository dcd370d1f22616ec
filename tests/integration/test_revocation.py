"""What is taken away from a caller is taken away everywhere within five seconds: in every process of a server, and in
every server on the same database."""

from __future__ import annotations

import importlib.util
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import people

_SPEC = importlib.util.spec_from_file_location("replicas", Path(__file__).with_name("test_replicas.py"))
replicas = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(replicas)
start = replicas.start

PROMISED_SECONDS = 5
CONNECTIONS = 40
"""Connections of their own, so many that every process of a server gets some of them."""


def told(urls, key):
    """The codes that callers with the key are told by these servers, each on a connection of its own."""

    def ask(number):
        headers = {"Authorization": f"Bearer {key}"}
        answer = http.get(f"{urls[number % len(urls)]}/api/v1/me", headers=headers)
        return answer.json().get("code", answer.json().get("role"))

    apart = httpx2.Limits(max_keepalive_connections=0)
    with httpx2.Client(limits=apart, timeout=60) as http, ThreadPoolExecutor(8) as pool:
        return set(pool.map(ask, range(CONNECTIONS)))


def check_all_is_taken_away(urls, boss):
    """Each deed is asked of the first server. Dora is blocked before her key was ever used, so that her return is
    waited for together with the rest."""
    admin = httpx2.Client(base_url=f"{urls[0]}/api/v1", headers={"Authorization": f"Bearer {boss}"}, timeout=60)
    with admin:
        keys = {name: people.join(urls[0], boss, name, "analyst") for name in ("anna", "ben", "carla", "dora")}
        admin.patch("/users/dora", json={"blocked": True}).raise_for_status()
        for name, key in keys.items():
            assert told(urls, key) == ({"account_blocked"} if name == "dora" else {"analyst"})
        listed = admin.get("/keys", params={"user": "anna"}).raise_for_status().json()["items"]
        admin.delete(f"/keys/{listed[0]['id']}").raise_for_status()
        admin.patch("/users/ben", json={"blocked": True}).raise_for_status()
        admin.patch("/users/carla", json={"role": "user"}).raise_for_status()
        admin.patch("/users/dora", json={"blocked": False}).raise_for_status()
        time.sleep(PROMISED_SECONDS)
        assert told(urls, keys["anna"]) == {"key_revoked"}
        assert told(urls, keys["ben"]) == {"account_blocked"}
        assert told(urls, keys["carla"]) == {"user"}
        assert told(urls, keys["dora"]) == {"analyst"}


def test_in_all_processes_of_a_server(tmp_path, server_class):
    server = server_class(tmp_path / "data", processes="3").start()
    try:
        check_all_is_taken_away([server.url], server.key)
    finally:
        assert server.stop() == 0


def test_in_all_servers_on_a_database(start, postgres_url, rabbit_url):
    shared = {"database_url": postgres_url, "broker_url": rabbit_url}
    servers = [start("api", **shared) for _ in range(2)]
    for server in servers:
        server.says("Rowcast is at")
    check_all_is_taken_away([server.url for server in servers], replicas.KEY)


def test_a_stream_of_a_task_ends_with_the_key_or_the_session_that_follows_it(server, client, example):
    client.datasets.add(example, name="followed")
    task = client.train(dataset="followed", target="MIS_Status", preset="best")
    made = client.keys.make("follows")
    anna = people.join(server.url, server.key, "follower", "admin")
    with httpx2.Client(base_url=f"{server.url}/api/v1", headers=people.BROWSER, timeout=60) as browser:
        browser.post("/session", json={"name": "follower", "password": people.PASSWORD}).raise_for_status()
        ways = [
            ({"headers": {"Authorization": f"Bearer {made.key}"}}, lambda: client.keys.revoke(made.id), "key_revoked"),
            ({}, lambda: browser.delete("/session").raise_for_status(), "session_ended"),
        ]
        for given, take_away, code in ways:
            with browser.stream("GET", f"/tasks/{task.id}/events", **given) as stream:
                lines = stream.iter_lines()
                assert next(lines) == "event: task"
                take_away()
                taken = time.monotonic()
                rest = [line for line in lines if line]
            assert time.monotonic() - taken < PROMISED_SECONDS + 1
            assert rest[-2] == "event: error" and code in rest[-1]
            assert not client.tasks.get(task).state.final
    client.tasks.cancel(task)
    assert told([server.url], anna) == {"admin"}


def test_the_last_use_of_a_key_is_known_after_a_restart(tmp_path, server_class):
    server = server_class(tmp_path / "data").start()
    key = people.join(server.url, server.key, "anna", "user")
    assert told([server.url], key) == {"user"}
    server.stop()
    server.start()
    try:
        headers = {"Authorization": f"Bearer {key}"}
        listed = httpx2.get(f"{server.url}/api/v1/keys", headers=headers, timeout=60).json()["items"]
        assert listed[0]["last_used_at"] is not None
    finally:
        server.stop()
