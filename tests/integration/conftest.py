"""The parts wired as in production, in this process, without a worker."""

from contextlib import ExitStack

import pytest

from rowcast.settings import Settings
from rowcast.wiring import assemble


@pytest.fixture(scope="module")
def assembled(tmp_path_factory):
    """Services on a database and a storage of their own."""
    with ExitStack() as stack:
        services, _worker, _key = assemble(Settings(data_dir=tmp_path_factory.mktemp("assembled")), stack)
        yield services
