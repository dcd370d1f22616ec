"""``python -m rowcast.adapters.database.check [URL ...]``: whether the migrations build exactly the tables in the code,
on SQLite and on each empty database that is named."""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from rowcast.adapters.database.engine import open_database
from rowcast.adapters.database.schema import differences, upgrade


def check(url: str) -> list[str]:
    """What an empty database, after the migrations, lacks or has too much, a line each; empty when in step."""
    database = open_database(url)
    try:
        upgrade(database.engine)
        return [str(difference) for difference in differences(database.engine)]
    finally:
        database.dispose()


def main(urls: list[str]) -> int:
    with TemporaryDirectory() as folder:
        found = [line for url in (f"sqlite:///{Path(folder, 'check.db')}", *urls) for line in check(url)]
    if not found:
        return 0
    advice = "The migrations are behind the tables: add one in adapters/database/migrations/versions."
    sys.stderr.write("\n".join([*found, advice, ""]))
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
