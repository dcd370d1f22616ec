"""A small ``make chaos``: what runs is killed under load, and nothing is lost, doubled or answered wrong."""

import os
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
SIZE = {"--tasks": 500, "--trainings": 2, "--kills": 6, "--clients": 16}


def test_nothing_is_lost_or_doubled_when_everything_is_killed(own_services):
    command = [sys.executable, "-m", "chaos", *(str(part) for option in SIZE.items() for part in option)]
    done = subprocess.run(
        command,
        env={**os.environ, "PYTHONPATH": str(TESTS)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout
    last = done.stdout.splitlines()[-1]
    assert last == "accepted=502 finished=502 lost=0 twice=0 kills=6 5xx=0", done.stdout
