from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from commandline import Run, no_server
from standin import KEY, Serving, Standin

from rowcast.entrypoints.cli import failures
from rowcast.entrypoints.cli.app import run
from rowcast.entrypoints.cli.server import Servers
from rowcast.errors import KINDS, Conflict, InvalidInput, Problem


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["datasets", "show", "none"], 3),
        (["datasets", "add", "nowhere.csv"], 4),
        (["train", "none", "--target", "t"], 3),
        (["tasks", "show", "t99"], 3),
        (["models", "show", "none"], 3),
        (["predict", "none", "{}"], 3),
        (["datasets", "list", "--api-key", "rc_wrong"], 5),
        (["datasets", "list", "--url", "nonsense"], 4),
        (["no-such-command"], 2),
        (["train", "loans"], 2),
        (["train", "loans", "--target", "t", "--param", "x=1"], 2),
        (["train", "loans", "--target", "t", "--preset", "magic"], 2),
        (["train", "loans", "--target", "t", "--kind", "a=magic"], 2),
        (["train", "loans@two", "--target", "t"], 2),
        (["datasets", "set-kind", "loans", "amount"], 2),
        (["models", "promote", "loans", "0"], 2),
        (["models", "alias", "loans", "challenger"], 2),
        (["predict", "loans", "{}", "--output", "x.xlsx"], 2),
    ],
)
def test_each_failure_has_its_exit_code_and_one_line(rowcast: Run, arguments: list[str], code: int) -> None:
    ran = rowcast(*arguments)
    assert ran.code == code
    assert "Traceback" not in ran.err
    assert ran.out == ""
    assert ran.err.startswith("error: ")


def test_nothing_there_is_unavailable(rowcast: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rowcast.client.retries.Retries._delay", lambda self, tries: None)
    ran = rowcast("datasets", "list", "--url", "http://127.0.0.1:9")
    assert ran.code == 6
    assert "start it with `rowcast up`" in ran.err


def test_an_error_is_data_for_machines_and_a_line_for_people(rowcast: Run) -> None:
    ran = rowcast("datasets", "show", "none", "--json")
    assert ran.code == 3
    assert ran.json["error"]["code"] == "dataset_not_found"
    assert ran.err == "error: There is no such dataset.\n"


def test_each_place_at_fault_has_a_line(rowcast: Run, tmp_path: Path) -> None:
    empty = tmp_path / "empty.csv"
    empty.write_text("\n")
    ran = rowcast("datasets", "add", empty)
    assert ran.code == 4
    assert "error: The file is empty.\n  row 1, amount: no header was found\n" in ran.err


def test_many_places_are_cut_short() -> None:
    problems = [Problem(code="c", message="wrong", row=row) for row in range(1, 31)]
    lines = list(failures.lines(InvalidInput("c", "All wrong.", problems)))
    assert lines[1] == "  row 1: wrong"
    assert lines[-1] == "  and 10 more"


def test_every_kind_of_error_has_an_exit_code() -> None:
    assert set(failures.CODES) == set(KINDS.values())


def test_a_fault_of_ours_is_a_line_too(capfd: pytest.CaptureFixture[str]) -> None:
    def broken(*_: object) -> int:
        raise ZeroDivisionError("secret")

    assert run(Servers(*[broken] * len(Servers.__annotations__)), ["up"]) == 1
    err = capfd.readouterr().err
    assert err.startswith("error: unexpected ZeroDivisionError") and "secret" not in err


def test_the_wrong_key_is_not_repeated(rowcast: Run) -> None:
    ran = rowcast("datasets", "list", "--api-key", "rc_very_secret")
    assert "rc_very_secret" not in ran.out + ran.err
    assert "ROWCAST_API_KEY" in ran.err


def test_up_hands_on_only_what_was_given_and_says_where_it_is(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ROWCAST_DATA_DIR", raising=False)
    seen: list[Any] = []

    def up(options: dict[str, Any], started: Any) -> int:
        seen.append(options)
        started("http://127.0.0.1:8123", "rc_new", new=True)
        return 0

    servers = Servers(up, *[no_server] * (len(Servers.__annotations__) - 1))
    assert run(servers, ["up", "--port", "8123", "--data-dir", str(tmp_path / "data")]) == 0
    assert seen == [{"port": 8123, "data_dir": tmp_path / "data"}]
    assert "http://127.0.0.1:8123/api/docs" in (out := capfd.readouterr().out) and "rc_new" in out
    assert f"export ROWCAST_DATA_DIR={tmp_path / 'data'}" in out


def test_an_error_of_up_is_one(capfd: pytest.CaptureFixture[str]) -> None:
    def up(options: dict[str, Any], started: Any) -> int:
        raise Conflict("port_taken", "Cannot listen on 127.0.0.1:8000.")

    assert run(Servers(up, *[no_server] * (len(Servers.__annotations__) - 1)), ["up"]) == 1
    assert capfd.readouterr().err == "error: Cannot listen on 127.0.0.1:8000.\n"


def test_ctrl_c_says_that_the_training_goes_on(serving: Serving, standin: Standin, rowcast: Run, loans: Path) -> None:
    rowcast("datasets", "add", loans)
    standin.never_done = True
    command = [sys.executable, "-m", "rowcast", "train", "loans", "--target", "status"]
    environment = {**os.environ, "ROWCAST_URL": serving.url, "ROWCAST_API_KEY": KEY}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    while not any("/tasks/t1" in path for _, path, _ in standin.requests):
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "rowcast tasks wait t1" in err and "rowcast tasks cancel t1" in err
    assert "Traceback" not in err
    assert standin.tasks["t1"].state.value == "running"


def test_help_needs_nothing_heavy() -> None:
    code = (
        "import sys\nfrom rowcast.entrypoints.cli.app import run\nfrom rowcast.entrypoints.cli.server import Servers\n"
        "run(Servers(*[None] * len(Servers.__annotations__)), ['train', '--help'])\n"
        "heavy = {'rowcast.errors', 'httpx2', 'numpy', 'polars', 'sqlalchemy', 'fastapi'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
