"""Each port's adapters, so that one suite runs on all of them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from rowcast.adapters.broker.local import LocalBroker
from rowcast.adapters.compute.local import LocalCompute
from rowcast.adapters.database.engine import open_database
from rowcast.adapters.database.schema import upgrade
from rowcast.adapters.storage.local import LocalStorage

JOB_PROCESS = (sys.executable, str(Path(__file__).with_name("job_process.py")))

DATABASES = {"sqlite": lambda folder: open_database(f"sqlite:///{folder / 'rowcast.db'}")}
STORAGES = {"local": lambda folder: LocalStorage(folder / "storage")}
BROKERS = {"local": lambda folder: LocalBroker()}
COMPUTES = {"local": lambda folder: LocalCompute((folder / "storage").as_uri(), threads=1, command=JOB_PROCESS)}


@pytest.fixture(params=DATABASES)
def database(request, tmp_path):
    database = DATABASES[request.param](tmp_path)
    upgrade(database.engine)
    yield database
    database.dispose()


@pytest.fixture(params=STORAGES)
def storage(request, tmp_path):
    return STORAGES[request.param](tmp_path)


@pytest.fixture(params=BROKERS)
def broker(request, tmp_path):
    broker = BROKERS[request.param](tmp_path)
    yield broker
    broker.close()


@pytest.fixture(params=COMPUTES)
def compute(request, tmp_path):
    return COMPUTES[request.param](tmp_path)
