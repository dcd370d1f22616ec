"""The parts of the product, each made of the settings and of what it stands on. The stack that a part is given closes
it."""

from __future__ import annotations

import fcntl
import os
import shutil
import threading
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING

from rowcast.adapters.storage.local import LocalStorage
from rowcast.datasets.ports import Storage
from rowcast.errors import Unavailable
from rowcast.settings import Settings

if TYPE_CHECKING:
    from rowcast.adapters.database.engine import SqlDatabase
    from rowcast.entrypoints.services import Services
    from rowcast.entrypoints.worker.loop import Worker
    from rowcast.monitoring.journal import Journal
    from rowcast.monitoring.keeping import Keeping
    from rowcast.scoring.catalog import Catalog
    from rowcast.scoring.together import Swaps
    from rowcast.tasks.notice import Notices
    from rowcast.tasks.ports import Broker, Compute, Publisher
    from rowcast.tasks.predicting import Predicting
    from rowcast.tasks.runner import Runner

INCOMING, SCRATCH, PLACES = "incoming", "scratch", "places"
"""Folders: uploads on their way to the storage, temporary files of child processes, and the places of processes that
share a data folder with others."""

RECEIPT_KEY = "receipts.key"
"""The file in the data folder with the key of hashes of inputs that are not kept."""

REFRESH_SECONDS = 1.0


@dataclass(frozen=True)
class Base:
    """What every part stands on. ``place`` is a folder for files that are this process's alone."""

    settings: Settings
    database: SqlDatabase
    storage: Storage
    place: Path


def database(settings: Settings, stack: ExitStack) -> SqlDatabase:
    from rowcast.adapters.database.engine import open_database

    opened = open_database(
        settings.resolved_database_url,
        busy_seconds=settings.database_lock_seconds,
        statement_seconds=settings.database_timeout_seconds,
        connect_seconds=settings.database_connect_seconds,
        pool_size=settings.database_pool_size,
        alone=settings.processes == 1,
    )
    stack.callback(opened.dispose)
    return opened


def services(base: Base, stack: ExitStack, broker: Publisher, notices: Notices, catalog: Catalog) -> Services:
    """What doors are given."""
    from rowcast.accounts.keys import Keyring
    from rowcast.entrypoints.services import Services
    from rowcast.monitoring.receipts import Receipts
    from rowcast.tasks.desk import Desk
    from rowcast.tasks.intake import Intake
    from rowcast.tasks.kinds import handlers
    from rowcast.tasks.lookups import Lookups

    settings, database = base.settings, base.database
    intake, lookups = Intake(database, broker, most_queued=settings.max_queued_tasks), Lookups(database)
    for grouped in (intake, lookups):
        grouped.start()
        stack.callback(grouped.close)
    return Services(
        settings=settings,
        database=database,
        storage=base.storage,
        broker=broker,
        desk=Desk(
            database=database,
            broker=broker,
            storage=base.storage,
            handlers=handlers(),
            most_queued=settings.max_queued_tasks,
        ),
        intake=intake,
        lookups=lookups,
        notices=notices,
        keyring=Keyring(database),
        catalog=catalog,
        receipts=Receipts(journal(database, stack), keeping(settings)),
        incoming=base.place / INCOMING,
    )


def catalog(base: Base, swaps: Swaps | None = None) -> Catalog:
    """The models that are served: with ``swaps``, the same in several processes at any time."""
    from rowcast.scoring.catalog import Catalog
    from rowcast.scoring.together import SharedCatalog

    most = base.settings.max_loaded_models
    if swaps is None:
        return Catalog(base.database, base.storage, max_loaded=most)
    return SharedCatalog(base.database, base.storage, swaps, max_loaded=most)


def runner(base: Base, broker: Broker, compute: Compute) -> Runner:
    """What carries tasks out in this process."""
    from rowcast.tasks.handlers import Limits
    from rowcast.tasks.kinds import handlers
    from rowcast.tasks.runner import Runner

    settings = base.settings
    return Runner(
        database=base.database,
        storage=base.storage,
        compute=compute,
        broker=broker,
        handlers=handlers(),
        limits=Limits(
            settings.ingest_timeout_seconds,
            settings.training_timeout_seconds,
            settings.job_threads,
            settings.file_timeout_seconds,
        ),
        worker=_worker_name(),
        lease_seconds=settings.lease_seconds,
        max_attempts=settings.max_attempts,
    )


def worker(base: Base, broker: Broker, runner: Runner, catalog: Catalog) -> Worker:
    """The threads that take tasks, not started yet."""
    from rowcast.entrypoints.worker.loop import Worker
    from rowcast.tasks.handlers import BATCH, DATA, TRAIN

    settings = base.settings
    return Worker(
        database=base.database,
        broker=broker,
        runner=runner,
        lanes={DATA: settings.workers, TRAIN: settings.workers, BATCH: settings.workers},
        predicting=[_predicting(base, broker, catalog)],
        max_attempts=settings.max_attempts,
    )


def _predicting(base: Base, broker: Broker, catalog: Catalog) -> Predicting:
    """What carries out predictions that went through the queue."""
    from rowcast.tasks.batches import Batches
    from rowcast.tasks.owners import Owners
    from rowcast.tasks.predicting import Predicting

    settings, database = base.settings, base.database
    writer, lease = database.writer(), settings.lease_seconds
    return Predicting(
        batches=Batches(database, writer, worker=_worker_name(), lease_seconds=lease),
        broker=broker,
        catalog=catalog,
        owners=Owners(database),
        keeping=keeping(settings),
        max_rows=settings.max_rows_per_call,
        lease_seconds=lease,
        max_attempts=settings.max_attempts,
    )


def _worker_name() -> str:
    return f"{os.uname().nodename}:{os.getpid()}"


def recover(base: Base, runner: Runner) -> None:
    """Queue again what a killed process had in hand, and remove what it left lying about. For a process that is the
    only one on its database and storage: else the tasks and files of others would seem lost."""
    from rowcast.tasks.leftovers import remove_leftovers
    from rowcast.tasks.recovery import release_all

    with base.database.transaction() as session:
        lost = release_all(session, max_attempts=base.settings.max_attempts)
    for task in lost:
        runner.abandon(task)
    remove_leftovers(base.database, base.storage)
    if isinstance(base.storage, LocalStorage):
        base.storage.remove_leftovers()


def journal(database: SqlDatabase, stack: ExitStack) -> Journal:
    """The journal of predictions, at work; the stack ends it."""
    from rowcast.monitoring.journal import Journal

    opened = Journal(database, database.writer())
    opened.start()
    stack.callback(opened.close)
    return opened


def keep_short(base: Base, stack: ExitStack) -> None:
    """Delete receipts, tasks and files with predictions that are too old, now and then."""
    from rowcast.monitoring.retention import Retention
    from rowcast.tasks.file_retention import delete_old_files
    from rowcast.tasks.retention import delete_old_tasks

    settings, database, storage = base.settings, base.database, base.storage
    receipts = Retention(database, days=settings.receipt_days)
    tasks = Retention(database, days=settings.task_days, delete=delete_old_tasks, what="tasks")
    files = Retention(database, days=settings.file_days, delete=partial(delete_old_files, storage), what="files")
    for retention in (receipts, tasks, files):
        retention.start()
        stack.callback(retention.stop)


def keeping(settings: Settings) -> Keeping:
    """What receipts keep of inputs; the key of what they hide is made at the first start and stays in the data
    folder, out of the database."""
    from rowcast.monitoring.keeping import Keeping

    redacted = [name.strip() for name in settings.receipt_redact.split(",") if name.strip()]
    return Keeping.of(settings.receipt_inputs, redacted, _secret(settings.data_dir / RECEIPT_KEY))


def _secret(path: Path) -> bytes:
    """The 32 random bytes in that file, which is made when there is none; of several who make it the first wins."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    if not path.exists():
        with suppress(FileExistsError):
            draft.touch(0o600)
            draft.write_bytes(os.urandom(32))
            os.link(draft, path)
        draft.unlink(missing_ok=True)
    return path.read_bytes()


def keep_fresh(catalog: Catalog, stack: ExitStack) -> None:
    """Load the champions, then look for moved aliases every second: another process may move them too. What was known
    when this is called, at the latest, is what is served first."""
    from rowcast.entrypoints.worker.loop import Outage

    stopping, outage = threading.Event(), Outage("following the models")

    def keep() -> None:
        look = catalog.warm
        while not stopping.is_set():
            try:
                look()
                outage.over()
                look = catalog.refresh
            except Unavailable as error:
                outage.goes_on(error)
            stopping.wait(REFRESH_SECONDS)

    thread = threading.Thread(target=keep, name="alias-refresh", daemon=True)
    thread.start()
    stack.callback(thread.join)
    stack.callback(stopping.set)


def emptied(place: Path) -> Path:
    """The folder, for a process that is the only one to use it: without what a killed one left in it."""
    for name in (INCOMING, SCRATCH):
        shutil.rmtree(place / name, ignore_errors=True)
        (place / name).mkdir(parents=True, exist_ok=True)
    return place


def place_of_its_own(folder: Path, stack: ExitStack) -> Path:
    """A new folder in the data folder that others use too. It goes when this process ends; those of processes that
    were killed go now, for nobody holds their lock."""
    places = folder / PLACES
    places.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (places / "lock").open("a") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        for other in places.iterdir():
            _remove_if_left(other)
        place = Path(mkdtemp(prefix=f"{os.getpid()}-", dir=places))
        held = stack.enter_context((place / "lock").open("a"))
        fcntl.flock(held, fcntl.LOCK_EX)
    stack.callback(shutil.rmtree, place, ignore_errors=True)
    return emptied(place)


def _remove_if_left(place: Path) -> None:
    if not place.is_dir():
        return
    with suppress(BlockingIOError), (place / "lock").open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(place, ignore_errors=True)
