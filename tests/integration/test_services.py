"""The private services of the tests themselves: they keep what they were given, and end when asked to."""

from __future__ import annotations

import psycopg


def test_postgres_keeps_what_it_committed_through_a_kill(private_postgres):
    url = private_postgres.create_database()
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept (number INTEGER)")
        connection.execute("INSERT INTO kept VALUES (1)")

    private_postgres.kill()
    private_postgres.start()

    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT number FROM kept").fetchall() == [(1,)]


def test_each_test_has_a_database_of_its_own(postgres_url, postgres_server):
    with psycopg.connect(postgres_url) as connection:
        tables = connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone()
        assert tables == (0,)
    assert postgres_server.create_database() != postgres_url


def test_rabbit_keeps_its_virtual_hosts_through_a_kill(private_rabbit):
    url = private_rabbit.create_vhost()

    private_rabbit.kill()
    private_rabbit.start()

    names = [vhost["name"] for vhost in private_rabbit.request("GET", "/api/vhosts")]
    assert url.rpartition("/")[2] in names


def test_each_module_has_a_virtual_host_of_its_own(rabbit_url, rabbit_server):
    found = rabbit_server.request("GET", f"/api/queues/{rabbit_url.rpartition('/')[2]}")
    assert found == []
