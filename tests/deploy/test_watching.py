"""The alerts and the dashboard of Grafana: figures that there are, a Prometheus that reads them, and what to do about
each alert."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import yaml
from services import PrivatePrometheus
from starlette.testclient import TestClient

from rowcast.entrypoints.rest.app import create_app
from rowcast.errors import NotFound
from rowcast.settings import Settings
from rowcast.wiring import assemble

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs/how-to/watch-and-alert.md"
ALERTS = ROOT / "deploy/prometheus/alerts.yml"
RULES = yaml.safe_load(ALERTS.read_text())["groups"][0]["rules"]
PANELS = json.loads((ROOT / "deploy/grafana/rowcast.json").read_text())["panels"]
DRAWN = [target["expr"] for panel in PANELS for target in panel["targets"]]
EXPRESSIONS = [rule["expr"] for rule in RULES] + DRAWN
NAME = re.compile(r"\b(?:rowcast|process)_[a-z_]+|\bup(?=\{)")

BEFORE, AFTER = 8, 240
"""Quarters of a minute that all is well, and that it then is not: an hour, the longest that a rule waits."""

FIRING: dict[str, tuple[dict[str, tuple[str, str]], dict[str, str], str]] = {
    "RowcastPartDown": ({'rowcast_up{part="database"}': ("1", "0")}, {"part": "database"}, "database does not answer"),
    "RowcastDown": (
        {'up{job="rowcast"}': ("1", "1"), 'rowcast_requests_total{job="rowcast"}': ("1", "stale")},
        {"job": "rowcast"},
        "a server does not answer, or none is left",
    ),
    "RowcastQueueWaits": (
        {
            'rowcast_oldest_queued_seconds{lane="predict"}': ("59", "61"),
            'rowcast_oldest_queued_seconds{lane="train"}': ("59", "61"),
        },
        {"lane": "predict"},
        "tasks of lane predict wait too long",
    ),
    "RowcastWorkersSilent": (
        {'rowcast_lease_seconds{lane="train"}': ("30", "-1")},
        {"lane": "train"},
        "workers of lane train are silent",
    ),
    "RowcastTasksFail": (
        {'rowcast_task_attempts_total{kind="train",outcome="failed"}': ("0", "0+1")},
        {},
        "235 tasks failed within an hour",
    ),
    "RowcastTasksRetried": (
        {'rowcast_tasks_retried{lane="data"}': ("0", "2")},
        {"lane": "data"},
        "tasks of lane data fail again and again",
    ),
    "RowcastDeadLetters": ({"rowcast_dead_letters": ("0", "3")}, {}, "3 messages that nobody can use"),
    "RowcastErrors": (
        {
            'rowcast_requests_total{operation="V2",status="404"}': ("0", "0+900"),
            'rowcast_requests_total{operation="V2",status="503"}': ("0", "0+15"),
            'rowcast_requests_total{operation="rowcast.v1.Rowcast/Predict",status="INTERNAL"}': ("0", "0+15"),
        },
        {},
        "2 calls a second fail",
    ),
    "RowcastJournalWaits": (
        {"rowcast_journal_waiting": ("1000", "1001")},
        {},
        "the database does not keep up with predictions",
    ),
    "RowcastConnectionsUsed": (
        {"rowcast_database_connections_used": ("9", "10"), "rowcast_database_connections_open": ("10", "10")},
        {},
        "calls wait for a connection to the database",
    ),
    "RowcastFilesOpen": (
        {'process_open_fds{job="rowcast"}': ("800", "900"), 'process_max_fds{job="rowcast"}': ("1000", "1000")},
        {"job": "rowcast"},
        "too many files and connections are open",
    ),
}
"""By the name of an alert: the figures that it is about, while all is well and when it is not, the labels that it then
has beside its severity, and what it says."""


@pytest.fixture(scope="module")
def families(tmp_path_factory):
    """The names of all figures that a server shows, with what the broker of several servers adds."""
    with ExitStack() as stack:
        services, _, _ = assemble(Settings(data_dir=tmp_path_factory.mktemp("shown"), metrics_token="t" * 16), stack)
        text = TestClient(create_app(services)).get("/metrics", headers={"Authorization": "Bearer " + "t" * 16}).text
    return set(re.findall(r"^# TYPE (\S+)", text, re.MULTILINE)) | {"up", "rowcast_lease_seconds"}


@pytest.fixture(scope="module")
def prometheus(own_prometheus, server) -> Iterator[PrivatePrometheus]:
    """One that asks a server in the way that the guide shows, and oftener."""
    [shown] = re.findall(r"^```\n(scrape_configs:\n.*?)^```$", GUIDE.read_text(), re.MULTILINE | re.DOTALL)
    shown = shown.replace("the token", server.key).replace("rowcast.example:8000", server.url.removeprefix("http://"))
    often = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    running = PrivatePrometheus({"global": often, "rule_files": [str(ALERTS)], **yaml.safe_load(shown)})
    try:
        yield running.start()
    finally:
        running.remove()


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_every_figure_exists(families, expression):
    names = set(NAME.findall(expression))
    assert names
    assert {re.sub("_bucket$|_total$", "", name) for name in names} <= {
        name.removesuffix("_total") for name in families
    }


def test_every_alert_says_what_to_do():
    headings = re.findall(r"^### (\S+)$", GUIDE.read_text(), re.MULTILINE)
    assert headings == [rule["alert"] for rule in RULES]
    for rule in RULES:
        assert rule["annotations"]["runbook"] == f"docs/how-to/watch-and-alert.md#{rule['alert'].lower()}"
        assert rule["annotations"]["summary"] and rule["labels"]["severity"] in ("warning", "critical")


def test_every_alert_fires_when_it_is_to_and_not_before(own_prometheus, tmp_path):
    assert list(FIRING) == [rule["alert"] for rule in RULES]
    tests = tmp_path / "tests.yml"
    tests.write_text(json.dumps({"rule_files": [str(ALERTS)], "tests": [_fires(rule) for rule in RULES]}))
    done = subprocess.run(["promtool", "test", "rules", str(tests)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def _fires(rule: dict[str, Any]) -> dict[str, Any]:
    series, labels, summary = FIRING[rule["alert"]]
    values = {name: f"{_for(well, BEFORE)} {_for(ill, AFTER)}" for name, (well, ill) in series.items()}
    fired = {
        "exp_labels": {"severity": rule["labels"]["severity"], **labels},
        "exp_annotations": {"summary": summary, "runbook": rule["annotations"]["runbook"]},
    }
    times = {"2m": [], "61m": [fired]}
    return {
        "interval": "15s",
        "input_series": [{"series": name, "values": each} for name, each in values.items()],
        "alert_rule_test": [
            {"eval_time": at, "alertname": rule["alert"], "exp_alerts": alerts} for at, alerts in times.items()
        ],
    }


def _for(value: str, quarters: int) -> str:
    if value == "stale":  # no longer there
        return value
    return f"{value}x{quarters}" if "+" in value else f"{value}+0x{quarters}"


def test_a_prometheus_evaluates_the_alerts_and_draws_every_panel(prometheus, client):
    client.datasets.add(BytesIO(b"a,b\n1,2\n"), name="drawn", filename="drawn.csv")
    with suppress(NotFound):
        client.predict("nothing", {})
    deadline = time.monotonic() + 60
    while (empty := [each for each in DRAWN if not prometheus.values(_now(each))]) and time.monotonic() < deadline:
        time.sleep(0.5)
    assert empty == []
    assert prometheus.targets() == ["up"]
    assert prometheus.rules() == {rule["alert"]: "ok" for rule in RULES}


def _now(expression: str) -> str:
    """As Grafana sends it."""
    return expression.replace("$__rate_interval", "1m")


def test_the_configuration_of_the_profile_is_one(own_prometheus):
    config = ROOT / "deploy/prometheus/prometheus.yml"
    done = subprocess.run(["promtool", "check", "config", "--syntax-only", str(config)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
