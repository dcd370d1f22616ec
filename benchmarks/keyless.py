"""``rowcast up`` that asks nobody who they are, to measure what asking costs: prediction calls are taken for the
administrator's. Run as ``python -m benchmarks.keyless up``.
"""

from __future__ import annotations

import os

from starlette.types import Scope

from rowcast.__main__ import main
from rowcast.accounts.principal import Principal
from rowcast.entrypoints.rest import hot_path
from rowcast.entrypoints.services import Services


async def everyone(services: Services, scope: Scope) -> Principal:
    """The administrator, whoever calls."""
    key = os.environ["ROWCAST_API_KEY"]
    return services.keyring.remembered(key) or services.keyring.authenticate(key)


if __name__ == "__main__":
    hot_path.caller = everyone
    main()
