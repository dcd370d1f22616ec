"""Each port's adapters, so that one suite runs on all of them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from rowcast.adapters.broker.local import LocalBroker
from rowcast.adapters.broker.rabbitmq.broker import RabbitBroker
from rowcast.adapters.compute.local import LocalCompute
from rowcast.adapters.compute.ray import RayCompute
from rowcast.adapters.database.engine import open_database
from rowcast.adapters.database.schema import upgrade
from rowcast.wiring import open_storage

JOB_PROCESS = (sys.executable, str(Path(__file__).with_name("job_process.py")))


@pytest.fixture
def database(database_url):
    database = open_database(database_url)
    upgrade(database.engine)
    yield database
    database.dispose()


@pytest.fixture(params=["local", "s3"])
def storage_at(request, tmp_path):
    """The address and the options of an empty storage."""
    if request.param == "local":
        return (tmp_path / "storage").as_uri(), {}
    server = request.getfixturevalue("s3_server")
    return server.new_url(), server.options()


@pytest.fixture
def storage(storage_at):
    return open_storage(*storage_at)


@pytest.fixture
def open_rabbit(rabbit_server):
    """Opens brokers on a virtual host of the test's own, or another, and closes them."""
    own, opened = rabbit_server.create_vhost(), []

    def open_rabbit(url=own):
        opened.append(RabbitBroker(url, {"data": 1, "train": 1, "predict": 50}))
        return opened[-1]

    open_rabbit.url = own
    yield open_rabbit
    for broker in opened:
        broker.close()
    rabbit_server.drop_vhost(own)


@pytest.fixture(params=["local", "rabbitmq"])
def broker(request):
    broker = LocalBroker() if request.param == "local" else request.getfixturevalue("open_rabbit")()
    yield broker
    broker.close()


@pytest.fixture(params=["local", "ray"])
def compute(request, tmp_path):
    if request.param == "local":
        return LocalCompute((tmp_path / "storage").as_uri(), threads=1, command=JOB_PROCESS)
    return request.getfixturevalue("ray_compute")


@pytest.fixture(scope="session")
def ray_compute(ray_nodes, tmp_path_factory):
    """For all tests of a worker: to connect takes seconds."""
    storage = tmp_path_factory.mktemp("ray") / "storage"
    compute = RayCompute(ray_nodes.address, storage.as_uri(), threads=1, command=JOB_PROCESS[1:], entry="")
    compute.storage = storage
    yield compute
    compute.close()
