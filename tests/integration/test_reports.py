"""The exploratory report over REST, and the example that writes reports from a run of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest

ROOT = Path(__file__).parents[2]
PATH = "/api/v1/datasets/reported/versions/latest/report"


@pytest.fixture(scope="module")
def page(server, client):
    """The address of the report on a small table, and the headers to ask with."""
    rows = "".join(f"{age},{'red' if age % 3 else 'blue'},{'yes' if age > 40 else 'no'}\n" for age in range(20, 80))
    path = server.data_dir.parent / "reported.csv"
    path.write_text(f"age,<b>colour,paid\n{rows}")
    client.datasets.add(path, description="People & colours")
    return f"{server.url}{PATH}", {"Authorization": f"Bearer {server.key}"}


def test_a_report_is_a_page_that_may_do_nothing(page, client):
    url, headers = page
    answer = httpx2.get(url, headers=headers, timeout=60)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'") and policy.endswith("sandbox")
    assert "People &amp; colours" in answer.text and "&lt;b&gt;colour" in answer.text
    assert "No target was named" in client.datasets.report("reported")


def test_with_a_target_under_one_key_it_is_worked_out_once(page, client):
    url, headers = page
    asked = {"url": url, "params": {"target": "paid", "wait": 0}, "headers": {**headers, "Idempotency-Key": "one"}}
    first = httpx2.get(**asked, timeout=60)
    assert first.status_code == 202
    client.wait(first.json()["id"])
    again = httpx2.get(**asked, timeout=60)
    assert (again.status_code, again.headers["idempotency-replayed"]) == (200, "true")
    assert "What goes with <bdi>paid</bdi>" in again.text
    assert "What goes with <bdi>age</bdi>" in client.datasets.report("reported", target="age", progress=print)


def test_what_is_not_there_is_told_as_everywhere(page):
    url, headers = page
    for asked, code in {url.replace("reported", "nothing"): 404, f"{url}?target=nothing": 422}.items():
        answer = httpx2.get(asked, headers=headers, timeout=60)
        assert (answer.status_code, answer.headers["content-type"]) == (code, "application/problem+json")


def test_the_example_writes_both_reports(server, example, tmp_path):
    lines = example.read_text().splitlines(keepends=True)
    table = tmp_path / "some.csv"
    table.write_text("".join([lines[0], *lines[1::8]]))
    program = [sys.executable, str(ROOT / "examples" / "credit-default" / "run.py"), "--brief", "--url", server.url]
    done = subprocess.run(
        [*program, "--table", str(table), "--output", str(tmp_path / "reports")],
        env={**os.environ, "ROWCAST_API_KEY": server.key}, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    written = sorted(path.name for path in (tmp_path / "reports").iterdir())
    assert written == ["EDA.md", "TUNING.md", "association.svg", "loans.html", "rates.svg", "steps.svg"]
    explored, tuned = ((tmp_path / "reports" / name).read_text() for name in ("EDA.md", "TUNING.md"))
    assert "**ChgOffPrinGr**" in explored and "were charged off, of the later" in explored
    assert "| lightgbm, no calendar |" in tuned and "What happened to this loan" in tuned
    assert "nan" not in explored + tuned
