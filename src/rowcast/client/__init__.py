"""The Python SDK: ``Client``, and ``AsyncClient`` for asyncio.

from rowcast.client import Client

with Client() as client:
    client.datasets.add("loans.csv")
    result = client.train_and_wait(dataset="loans", target="status", promote=True)
    print(client.predict("loans", {"amount": 12_000, "term": 36}))
"""

from __future__ import annotations

from rowcast.client.asynchronous.client import AsyncClient
from rowcast.client.credentials import Credentials
from rowcast.client.retries import Retries
from rowcast.client.synchronous.client import Client

__all__ = ["AsyncClient", "Client", "Credentials", "Retries"]
