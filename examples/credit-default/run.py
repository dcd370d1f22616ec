"""The loans of the U.S. Small Business Administration, from a raw table to a decision that is served.

python examples/credit-default/run.py                   # on a server of its own, in a temporary folder
ROWCAST_API_KEY=rc_... python examples/credit-default/run.py --url http://127.0.0.1:8000

Writes EDA.md and TUNING.md with their plots into ``reports`` beside this file, or into ``--output``.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.resources import as_file, files
from pathlib import Path
from tempfile import TemporaryDirectory

import exploring
import numpy as np
import reporting
from loans import AMOUNT, BAD, CODES, GOOD, TARGET, Loans, read
from reporting import Served
from steps import NAME, Learned, Workshop, chosen, tune

import rowcast
from rowcast.client import Client
from rowcast.errors import RowcastError

EARNED, LOST = 0.1, 0.5
"""Assumed of a loan that is paid back and of one that is charged off: shares of the amount approved."""

REASONS = 5
START_SECONDS = 60


@contextmanager
def own_server() -> Iterator[Client]:
    """A client of a server that lives as long as this does, in a folder that goes with it."""
    with TemporaryDirectory(prefix="credit-default-") as folder:
        data = Path(folder) / "data"
        environment = {name: value for name, value in os.environ.items() if not name.startswith("ROWCAST_")}
        environment |= {"ROWCAST_TRACKING_URL": "none", "ROWCAST_GRPC_PORT": "0"}
        command = [sys.executable, "-m", "rowcast", "up", "--port", "0", "--data-dir", str(data)]
        with (Path(folder) / "log").open("wb") as log:
            server = subprocess.Popen(command, env=environment, stdout=log, stderr=log)  # noqa: S603
        try:
            with _connected(server, data / "credentials.json") as client:
                yield client
        finally:
            server.terminate()
            server.wait()


def _connected(server: subprocess.Popen[bytes], credentials: Path) -> Client:
    deadline = time.monotonic() + START_SECONDS
    while server.poll() is None and time.monotonic() < deadline:
        try:
            found = json.loads(credentials.read_text())
            client = Client(found["url"], found["api_key"])
            if client.health()["status"] == "ok":
                return client
        except (OSError, ValueError, RowcastError):
            time.sleep(0.2)
    sys.exit("The server does not start: run `rowcast up` and give its --url.")


def cycle(client: Client, table: Path, output: Path, *, brief: bool = False) -> None:
    """Everything from the table to both reports."""
    output.mkdir(parents=True, exist_ok=True)
    loans = read(table)
    _upload(client, loans, output)
    earlier = client.datasets.profile(NAME, target=TARGET)
    later = client.datasets.profile(f"{NAME}_later", target=TARGET)
    (output / "loans.html").write_text(client.datasets.report(NAME, target=TARGET), encoding="utf-8")
    work = Workshop(client, loans, say, folds=3 if brief else 5)
    learned = tune(work, client, loans.earlier, earlier, brief=brief)
    served = serve(client, loans, work, learned)
    made = _made(table)
    exploring.write(output, loans, earlier, later, learned, made)
    reporting.write(output, loans, learned, served, made)
    say(f"wrote {output / 'EDA.md'} and {output / 'TUNING.md'}")


def _upload(client: Client, loans: Loans, output: Path) -> None:
    for name, part in {NAME: loans.earlier, f"{NAME}_later": loans.later}.items():
        path = output / f"{name}.csv"
        part.write_csv(path)
        client.datasets.add(path, name=name, kinds=dict.fromkeys(CODES, "category"))
        path.unlink()


def serve(client: Client, loans: Loans, work: Workshop, learned: Learned) -> Served:
    """Let the step that the folds choose serve, with a policy, and hold it against what became of the later loans."""
    step = chosen(learned.steps)
    client.models.promote(NAME, step.version)
    payoff = {"accept": {GOOD: {"column": AMOUNT, "times": EARNED}, BAD: {"column": AMOUNT, "times": -LOST}}}
    client.policies.set(NAME, bands={"measure": "profit"}, payoff=payoff)
    rows = loans.applications({*step.features, AMOUNT})
    answers = client.predict(NAME, rows).predictions
    accepted = np.array([bool(one and one.decision and one.decision.color == "green") for one in answers])
    amounts = loans.later[AMOUNT].str.replace_all(r"[$, ]", "").cast(float).to_numpy()
    earned = amounts * np.where(work.bad > 0, -LOST, EARNED)
    case = client.predict(NAME, rows[0], explain=REASONS).predictions[0]
    assert case is not None
    return Served(
        step=step,
        preview=client.policies.preview(NAME),
        earned=work.resampled.mean(earned * accepted),
        earned_by_all=work.resampled.mean(earned),
        gained=work.resampled.mean(earned * accepted - earned),
        accepted=float(accepted.mean()),
        predicted=work.resampled.mean(step.scores),
        observed=work.resampled.mean(work.bad),
        case=case,
        became=str(loans.later[TARGET][0]),
        payoff=f"Assumed, not measured: a loan that is paid back earns {EARNED:.0%} of the amount approved, one that "
        f"is charged off loses {LOST:.0%}.",
    )


def _made(table: Path) -> str:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    machine = f"{cores} cores, {platform.system()} on {platform.machine()}, Python {platform.python_version()}"
    return (
        f"Made by `make example-credit` from `{table.name}` on {datetime.now(UTC):%Y-%m-%d}, by Rowcast "
        f"{rowcast.__version__} ({machine}). Every figure and sentence comes from that run."
    )


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", help="a running server, with ROWCAST_API_KEY set; by default one of its own")
    parser.add_argument("--table", type=Path, help="a table of such loans; by default the sample in the package")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "reports", help="where the reports go")
    parser.add_argument("--brief", action="store_true", help="fewer steps and folds")
    asked = parser.parse_args()
    packaged = as_file(files("rowcast.examples") / "sba_loans.csv")
    try:
        with Client(asked.url) if asked.url else own_server() as client, packaged as sample:
            cycle(client, asked.table or sample, asked.output, brief=asked.brief)
    except RowcastError as error:
        sys.exit(f"error: {error.message}")


if __name__ == "__main__":
    main()
