"""A worker in a process of its own, to be killed: ``task_worker_process.py FOLDER DATABASE_URL``. Its task is a job
that notes each beginning in a file and then waits for a gate."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from rowcast.adapters.broker.local import LocalBroker
from rowcast.adapters.compute.local import LocalCompute
from rowcast.adapters.database.engine import open_database
from rowcast.entrypoints.job.process import serve
from rowcast.entrypoints.worker.loop import Worker
from rowcast.tasks.handlers import Handler, Limits
from rowcast.tasks.runner import Runner
from rowcast.wiring import open_storage

LEASE_SECONDS = 1.5


def wait(storage, report, *, folder):
    """The job: it may begin many times, but what it makes must count once."""
    with Path(folder, "begun").open("a") as file:
        file.write("begun\n")
    while not Path(folder, "gate").exists():
        time.sleep(0.02)
    return {"made": "bread"}


def settle(session, task, outcome):
    return outcome


def main(folder: str, database_url: str) -> None:
    database = open_database(database_url)
    broker = LocalBroker()
    url = Path(folder, "storage").as_uri()
    work = lambda task, bench: bench.run("wait", {"folder": folder}, timeout=60)  # noqa: E731
    runner = Runner(
        database=database,
        storage=open_storage(url),
        compute=LocalCompute(url, command=(sys.executable, __file__, "job"), threads=1),
        broker=broker,
        handlers={"test": Handler(work, settle, lambda *_: None, lambda *_: None)},
        limits=Limits(),
        worker="process",
        lease_seconds=LEASE_SECONDS,
    )
    worker = Worker(database=database, broker=broker, runner=runner, lanes={"data": 1}, sweep_seconds=0.1)
    worker.start()
    sys.stdin.read()
    worker.stop()
    database.dispose()


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    if sys.argv[1] == "job":
        serve({"wait": "task_worker_process:wait"}, open_storage)
    else:
        main(*sys.argv[1:])
