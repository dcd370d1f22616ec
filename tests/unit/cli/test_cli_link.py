from __future__ import annotations

import json
from typing import Any

import pytest
from commandline import Run, no_server
from standin import KEY, Serving

from rowcast.entrypoints.cli.app import run
from rowcast.entrypoints.cli.server import Servers


def test_link_prints_an_address_and_nothing_else(rowcast: Run, serving: Serving) -> None:
    assert rowcast("link").out == f"{serving.url}/link?token=t0ken\n"
    assert rowcast("link", "--next", "/api/docs").out == f"{serving.url}/link?token=t0ken&next=/api/docs\n"
    assert json.loads(rowcast("link", "--json").out)["url"] == f"{serving.url}/link?token=t0ken"


@pytest.mark.parametrize("new", [True, False])
def test_the_first_start_prints_one_too(serving: Serving, capfd: pytest.CaptureFixture[str], new: bool) -> None:
    def up(options: dict[str, Any], started: Any) -> int:
        started(serving.url, KEY, new=new)
        return 0

    servers = Servers(up, *[no_server] * (len(Servers.__annotations__) - 1))
    assert run(servers, ["up"]) == 0
    out = capfd.readouterr().out
    assert (f"{serving.url}/link?token=t0ken" in out) is new
    assert "rowcast link" in out
    assert run(servers, ["up", "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["sign_in"] == (f"{serving.url}/link?token=t0ken" if new else None)
