from __future__ import annotations

import io
from typing import Any

import pytest
from commandline import no_server
from rich.console import Console
from standin import KEY, Serving, Standin

from rowcast.client import Client
from rowcast.entrypoints.cli.app import run
from rowcast.entrypoints.cli.demo import run_demo
from rowcast.entrypoints.cli.server import Servers
from rowcast.errors import NotFound


def test_the_demo_goes_from_a_table_to_a_prediction_in_words(serving: Serving, standin: Standin) -> None:
    written = io.StringIO()
    with Client(serving.url, KEY) as client:
        run_demo(client, Console(file=written, width=160, markup=False), ["export ROWCAST_DATA_DIR=x"])
    text = written.getvalue()
    for part in (
        "5,000 rows, 26 columns",
        "left out: id: It names each row.",
        "0.812 (0.790-0.830)",
        "█",
        "The probability of lost is",
        f"{serving.url}/api/docs",
        "export ROWCAST_DATA_DIR=x",
    ):
        assert part in text
    assert standin.dictionaries["sba_loans"]["GrAppv"] == "Amount approved by the bank"


def test_the_command_works_where_the_others_do_and_shows_itself(
    serving: Serving, capfd: pytest.CaptureFixture[str]
) -> None:
    seen: list[Any] = []

    def demo(options: dict[str, Any], started: Any, leave: bool) -> int:
        seen.append((options, leave))
        started(serving.url, KEY, new=True)
        return 0

    assert run(Servers(no_server, demo, *[no_server] * (len(Servers.__annotations__) - 2)), ["demo", "--exit"]) == 0
    assert seen == [({}, True)]
    out = capfd.readouterr().out
    assert "rowcast up &" in out
    assert "export" not in out
    assert "http" not in out, "the server is gone by the time that anybody could follow an address"


def test_what_the_demo_fails_with_is_an_error_of_the_command(capfd: pytest.CaptureFixture[str]) -> None:
    def demo(*_: object) -> int:
        raise NotFound("model_not_found", "There is no such model.")

    assert run(Servers(no_server, demo, *[no_server] * (len(Servers.__annotations__) - 2)), ["demo"]) == 3
    assert capfd.readouterr().err == "error: There is no such model.\n"
