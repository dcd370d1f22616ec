"""Connections to PostgreSQL: by psycopg, with an end to every wait."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.pool import ConnectionPoolEntry

from rowcast.adapters.database.silence import Watch


@dataclass(frozen=True, slots=True)
class Patience:
    """How long is waited, in seconds: for a lock that another holds and for a free connection of the pool, for one
    statement and for the next in a transaction that is open, and for a server that is called or has gone silent."""

    lock: float
    statement: float
    connect: float


def postgresql_engine(address: URL, patience: Patience, pool_size: int) -> Engine:
    """An engine of at most ``pool_size`` connections, each tried before it is used: a server that was restarted in
    between is not noticed. What the address says itself of a connection holds before all this."""
    engine = create_engine(
        address.set(drivername="postgresql+psycopg"),
        pool_pre_ping=True,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=patience.lock,
        connect_args={name: value for name, value in _options(patience).items() if name not in address.query},
    )
    limits = (
        ("statement_timeout", patience.statement),
        ("idle_in_transaction_session_timeout", patience.statement),
        ("lock_timeout", patience.lock),
    )

    def limit(connection: Any, record: ConnectionPoolEntry) -> None:
        # Not as options of the connection: poolers such as PgBouncer refuse those.
        with connection.cursor() as cursor:
            for name, seconds in limits:
                cursor.execute("SELECT set_config(%s, %s, false)", (name, f"{seconds * 1000:.0f}ms"))
        connection.commit()

    # A statement that has outlived the server's own limit by so much never comes back, even if the server lives.
    watch = Watch(patience.connect, patience.statement + 2 * patience.connect)
    event.listen(engine, "do_connect", watch.connect)
    event.listen(engine, "connect", limit)
    return engine


def _options(patience: Patience) -> dict[str, Any]:
    return {
        "application_name": "rowcast",
        "connect_timeout": max(2, round(patience.connect)),  # libpq takes whole seconds, and no fewer
        # A server whose machine is gone says nothing: the system gives such a connection up after half a minute.
        "keepalives_idle": 15,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 30_000,
    }
