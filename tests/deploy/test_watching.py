"""The alerts and the dashboard of Grafana: figures that there are, and what to do about each alert."""

import json
import re
from pathlib import Path

import pytest
import yaml
from starlette.testclient import TestClient

from rowcast.entrypoints.rest.app import create_app
from rowcast.settings import Settings
from rowcast.wiring import assemble

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs/how-to/watch-and-alert.md"
RULES = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yml").read_text())["groups"][0]["rules"]
PANELS = json.loads((ROOT / "deploy/grafana/rowcast.json").read_text())["panels"]
EXPRESSIONS = [rule["expr"] for rule in RULES] + [target["expr"] for panel in PANELS for target in panel["targets"]]
NAME = re.compile(r"\b(?:rowcast|process)_[a-z_]+|\bup(?=\{)")


@pytest.fixture(scope="module")
def families(tmp_path_factory):
    """The names of all figures that a server shows, with what the broker of several servers adds."""
    from contextlib import ExitStack

    with ExitStack() as stack:
        services, _, _ = assemble(Settings(data_dir=tmp_path_factory.mktemp("shown"), metrics_token="t" * 16), stack)
        text = TestClient(create_app(services)).get("/metrics", headers={"Authorization": "Bearer " + "t" * 16}).text
    return set(re.findall(r"^# TYPE (\S+)", text, re.MULTILINE)) | {"up", "rowcast_lease_seconds"}


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
