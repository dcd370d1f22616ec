"""PostgreSQL and RabbitMQ of the tests' own: private folders and ports, to be killed and started again at will.

Nothing that runs on the machine already is used. ``missing_postgres`` and ``missing_rabbit`` say what is not installed.
"""

from services.postgres import PrivatePostgres, missing_postgres
from services.rabbit import PrivateRabbit, missing_rabbit, shared_rabbit

__all__ = ["PrivatePostgres", "PrivateRabbit", "missing_postgres", "missing_rabbit", "shared_rabbit"]
