"""The whole server on RabbitMQ: work goes through it, survives its loss, and strangers' messages are put aside."""

from __future__ import annotations

import json
import time

import pytest

from rowcast.errors import NotFound


@pytest.fixture
def server(server_class, rabbit_server, tmp_path):
    url = rabbit_server.create_vhost()
    running = server_class(tmp_path / "data", broker_url=url).start()
    running.vhost = url.rpartition("/")[2]
    yield running
    running.stop()
    rabbit_server.drop_vhost(url)


def stranger(rabbit_server, vhost, body):
    message = {"routing_key": "rowcast.data", "payload": body, "payload_encoding": "string", "properties": {}}
    rabbit_server.request("POST", f"/api/exchanges/{vhost}/amq.default/publish", message)


def test_a_table_comes_in_and_an_unknown_task_is_put_aside(server, rabbit_server, example):
    unknown = "f" * 32
    with server.client() as client:
        stranger(rabbit_server, server.vhost, json.dumps({"v": 1, "tasks": [unknown]}))
        stranger(rabbit_server, server.vhost, "no message of ours")

        client.datasets.add(example, name="loans")

        for _ in range(200):
            found = client.tasks.figures()
            if len(found.dead) == 2:
                break
            time.sleep(0.05)
        assert {letter.reason for letter in found.dead} == {"task_unknown", "message_unreadable"}
        assert set(found.messages) >= {"data", "train", "predict"}
        client.tasks.requeue(unknown)
        with pytest.raises(NotFound):
            client.tasks.requeue("e" * 32)
    assert "task_unknown" in server.log.read_text()
    assert "s3cret" not in server.log.read_text()
