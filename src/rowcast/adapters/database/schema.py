"""The schema in the database: brought up to date at start, and compared with the tables in the code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, MetaData, text

import rowcast.accounts.tables
import rowcast.credits.tables
import rowcast.datasets.tables
import rowcast.models.tables
import rowcast.monitoring.tables
import rowcast.tasks.tables  # noqa: F401  (imported so that every table is known to Base)
from rowcast.adapters.database.failures import translated
from rowcast.adapters.database.silence import unhurried
from rowcast.errors import Conflict, Internal, InvalidInput
from rowcast.tables import Base

_MIGRATIONS = Path(__file__).parent / "migrations"
_LOCK = 7_240_151_902  # any number: the name of PostgreSQL's lock for "Rowcast is upgrading its schema"


def metadata() -> MetaData:
    """Every table of the product."""
    return Base.metadata


def upgrade(engine: Engine) -> None:
    """Bring the schema to what this code needs, all of it or nothing. Any number of processes may call it at once.

    Raises:
        Conflict: ``database_newer``, the database was used by a newer Rowcast.
        InvalidInput: ``database_encoding``, it cannot keep every text.
        Unavailable: the database is locked, full, read-only, damaged or away.
    """
    with translated(), engine.execution_options(sqlite_begin="BEGIN IMMEDIATE").connect() as connection:
        _foreign_keys(connection, on=False)
        try:
            with unhurried(connection), connection.begin():
                _upgrade_alone(connection)
        finally:
            _foreign_keys(connection, on=True)


def differences(engine: Engine) -> list[Any]:
    """What Alembic would still change for the database to match the tables in the code; empty when in step."""
    with translated(), engine.connect() as connection:
        return list(compare_metadata(MigrationContext.configure(connection), metadata()))


def _upgrade_alone(connection: Connection) -> None:
    # SQLite's immediate transaction already keeps others out, and holds the schema too.
    if connection.dialect.name == "postgresql":
        _take_turn(connection)
    config = _config(connection)
    _refuse_newer(connection, ScriptDirectory.from_config(config))
    command.upgrade(config, "head")
    if connection.dialect.name == "sqlite" and connection.exec_driver_sql("PRAGMA foreign_key_check").first():
        raise Internal("migration_failed", "The upgrade would have broken references between tables; nothing changed.")


def _take_turn(connection: Connection) -> None:
    """Wait until no other process upgrades this database of PostgreSQL, for as long as that takes.

    A change of a table then waits for those who use it only for as long as everything else does: whoever comes after
    it in the queue waits too, and with them the whole product.
    """
    if connection.scalar(text("SHOW server_encoding")) != "UTF8":
        message = "The database does not keep texts as UTF-8. Make one that does: CREATE DATABASE ... ENCODING 'UTF8'."
        raise InvalidInput("database_encoding", message)
    usual = connection.scalar(text("SHOW lock_timeout"))
    connection.execute(text("SET LOCAL statement_timeout = 0"))
    connection.execute(text("SET LOCAL lock_timeout = 0"))
    connection.execute(text("SELECT pg_advisory_xact_lock(:name)"), {"name": _LOCK})
    connection.execute(text("SELECT set_config('lock_timeout', :usual, true)"), {"usual": usual})


def _config(connection: Connection) -> Config:
    config = Config()
    # Config expands % in its values, and a folder's name may hold one.
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    config.attributes["metadata"] = metadata()
    return config


def _refuse_newer(connection: Connection, script: ScriptDirectory) -> None:
    known = {revision.revision for revision in script.walk_revisions()}
    present = MigrationContext.configure(connection).get_current_heads()
    if set(present) <= known:
        return
    message = "This database was used by a newer Rowcast. Install that version, or restore a backup made before it."
    raise Conflict("database_newer", message)


def _foreign_keys(connection: Connection, *, on: bool) -> None:
    """Switch SQLite's enforcement, outside of any transaction. A migration that rebuilds a table drops the old one,
    which would otherwise delete every row that refers to it."""
    if connection.dialect.name != "sqlite":
        return
    driver = connection.connection.driver_connection
    if driver is not None:
        driver.execute(f"PRAGMA foreign_keys = {'ON' if on else 'OFF'}")
