"""A process that runs trials which cost nothing: ``trial_jobs.py`` serves one job. What a trial does is in the name of
its table: what the search makes of that is what is tested."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from rowcast.datasets.ports import Progress
from rowcast.entrypoints.job.process import serve
from rowcast.errors import InvalidInput, Problem
from rowcast.models.tune.views import TrialResult


def run_trials(storage, report, *, request, content_hash, dataset_number, schema, finished, numbers, threads, **_):
    """``content_hash`` is a folder where the job notes what it does; ``dataset`` says how trials end."""
    for number in numbers:
        note(content_hash, "begun", f"{number} {len(finished)} {threads}")
        end = {"failing": fail, "deadly": die, "slow": sleep, "late": sleep_late, "hostile": refuse}.get(
            request["dataset"], succeed
        )
        report(Progress(fraction=0, message="", stage="trial", trial=end(number, content_hash).model_dump(mode="json")))
    return {}


def note(folder, name, line):
    with Path(folder, name).open("a") as file:
        file.write(f"{line}\n")


def succeed(number, folder):
    score = number * 7 % 10 / 10
    return TrialResult(number=number, algorithm="linear", state="done", metric="roc_auc", score=score)


def fail(number, folder):
    failure = Problem(code="training_failed", message="It did not learn.")
    return TrialResult(number=number, algorithm="linear", state="failed", failure=failure)


def refuse(number, folder):
    raise InvalidInput("target_constant", "There is nothing to learn.")


def die(number, folder):
    if number == 3 and (not Path(folder, "once").exists() or Path(folder, "ever").exists()):
        Path(folder, "once").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return succeed(number, folder)


def sleep(number, folder):
    """The third trial waits for a gate."""
    return wait(number, folder, 2)


def sleep_late(number, folder):
    """The sixth waits for it."""
    return wait(number, folder, 5)


def wait(number, folder, which):
    while number == which and not Path(folder, "gate").exists():
        time.sleep(0.01)
    return succeed(number, folder)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    serve({"trials": "trial_jobs:run_trials"}, lambda url, options: None)
