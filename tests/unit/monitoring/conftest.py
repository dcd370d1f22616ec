"""A database with real small models, as in the tests of scoring, and a journal at work on it."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from rowcast.accounts.principal import Principal, Role
from rowcast.monitoring.journal import Journal
from rowcast.monitoring.keeping import Keeping
from rowcast.monitoring.receipts import Receipts
from rowcast.scoring.catalog import Catalog
from rowcast.scoring.requests import decode

_SPEC = importlib.util.spec_from_file_location(
    "scoring_fixtures", Path(__file__).parents[1] / "scoring" / "conftest.py"
)
scoring = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(scoring)
database, storage, train, principal = scoring.database, scoring.storage, scoring.train, scoring.principal

BEN = Principal("b" * 32, "ben", Role.USER)
ADMIN = Principal("c" * 32, "carla", Role.ADMIN)
ROWS = [
    {"State": "CA", "Amount": 1.5, "Urban": True},
    {"State": "Ünknown", "Amount": None, "Urban": None},
    {"State": None, "Amount": -0.1, "Urban": False},
]


@pytest.fixture
def others():
    return BEN, ADMIN


@pytest.fixture
def sample():
    return [dict(row) for row in ROWS]


@pytest.fixture
def journal(database):
    journal = Journal(database.writer())
    journal.start()
    yield journal
    journal.close()


@pytest.fixture
def catalog(database, storage):
    return Catalog(database, storage)


@pytest.fixture
def predict(journal, catalog, principal):
    """Predicts as a door does and gives the reply once its receipt is kept."""

    def predict(rows, *, model="loans", keeping=None, by=principal, **options):
        receipts = Receipts(journal, keeping or Keeping())
        catalog.refresh()
        body, served = json.dumps({"rows": rows, **options}).encode(), catalog.get(principal, model)
        scored = receipts.score(by, served, body, decode(body, max_rows=1_000_000, reader=served.reader))
        journal.record_now(scored.entry)
        return json.loads(scored.reply)

    return predict
