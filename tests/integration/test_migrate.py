"""``rowcast migrate``: the database is up to date when it leaves, and it waits for one that is not there yet."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from sqlalchemy import create_engine

from rowcast.adapters.database.schema import differences


def migrate(folder: Path, **settings: str) -> subprocess.Popen[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ROWCAST_")}
    environment = kept | {"ROWCAST_DATA_DIR": str(folder), **settings}
    command = [sys.executable, "-m", "rowcast", "migrate"]
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)


def test_it_makes_the_tables_and_leaves(tmp_path):
    folder = tmp_path / "data"
    with migrate(folder) as migrating:
        assert migrating.wait(60) == 0
    engine = create_engine(f"sqlite:///{folder / 'rowcast.db'}")
    try:
        assert differences(engine) == []
    finally:
        engine.dispose()


def test_it_waits_for_the_database_until_it_is_asked_to_end(tmp_path):
    with migrate(tmp_path, ROWCAST_DATABASE_URL="postgresql://nobody@127.0.0.1:1/none") as waiting:
        assert waiting.stderr is not None
        assert any("the migration waits" in line for line in waiting.stderr)
        waiting.send_signal(signal.SIGTERM)
        assert waiting.wait(60) == 1
