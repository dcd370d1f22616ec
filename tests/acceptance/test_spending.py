"""A short ``python -m chaos.spending``: 64 clients spend one balance at once, with kills, and every credit is accounted
for."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
SIZE = {"--seconds": 4, "--kills": 2, "--clients": 64}


@pytest.mark.parametrize("stage", ["laptop", "services"])
def test_every_credit_is_accounted_for(stage, request):
    if stage == "services":
        request.getfixturevalue("own_services")
    options = (str(part) for option in SIZE.items() for part in option)
    done = subprocess.run(
        [sys.executable, "-m", "chaos.spending", stage, *options],
        env={**os.environ, "PYTHONPATH": str(TESTS)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout
    assert re.search(r"^clients=64 kills=2 .* faults=0$", done.stdout, re.MULTILINE), done.stdout
