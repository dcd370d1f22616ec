"""``python -m rowcast.adapters.database.check``: whether the migrations build exactly the tables in the code."""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from rowcast.adapters.database.engine import open_database
from rowcast.adapters.database.schema import differences, upgrade


def check() -> list[str]:
    """What a database made by the migrations lacks or has too much, a line each; empty when in step."""
    with TemporaryDirectory() as folder:
        database = open_database(f"sqlite:///{Path(folder, 'check.db')}")
        try:
            upgrade(database.engine)
            return [str(difference) for difference in differences(database.engine)]
        finally:
            database.dispose()


def main() -> int:
    found = check()
    if not found:
        return 0
    advice = "The migrations are behind the tables: add one in adapters/database/migrations/versions."
    sys.stderr.write("\n".join([*found, advice, ""]))
    return 1


if __name__ == "__main__":
    sys.exit(main())
