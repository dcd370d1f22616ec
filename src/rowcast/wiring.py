"""Settings to adapters to the running product. The one module that knows both sides.

What only the server needs is imported when it starts: child processes come through here too, and start often.
"""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import unquote, urlsplit

from rowcast.adapters.storage.local import LocalStorage
from rowcast.datasets.ports import Storage
from rowcast.errors import Conflict, InvalidInput, Unavailable
from rowcast.settings import Settings

if TYPE_CHECKING:
    from rowcast.adapters.database.engine import SqlDatabase
    from rowcast.entrypoints.services import Services
    from rowcast.entrypoints.worker.loop import Worker
    from rowcast.monitoring.journal import Journal
    from rowcast.monitoring.keeping import Keeping
    from rowcast.scoring.catalog import Catalog
    from rowcast.tables import Database
    from rowcast.tasks.handlers import Handler
    from rowcast.tasks.notice import Notices
    from rowcast.tasks.ports import Broker, Compute
    from rowcast.tasks.runner import Runner

JOBS = {
    "import": "rowcast.datasets.reading.importing:import_table",
    "profile": "rowcast.datasets.profile.profiling:profile_table",
    "train": "rowcast.models.train.training:train",
}
"""What a child process can do; only the libraries of what it was asked for are loaded."""

INCOMING, SCRATCH = "incoming", "scratch"
"""Folders in the data folder: uploads on their way to the storage, and the temporary files of child processes."""

RECEIPT_KEY = "receipts.key"
"""The file in the data folder with the key of hashes of inputs that are not kept."""

DRAIN_SECONDS = 2.0
REFRESH_SECONDS = 1.0

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Running:
    """A server that answers. ``api_key`` is the administrator's when it is known in clear; ``stop`` asks it to end."""

    url: str
    api_key: str | None = field(repr=False)
    key_is_new: bool
    stop: Callable[[], None]


class Started(Protocol):
    """Called once, when the server answers; ``new`` is whether the administrator's key was made just now."""

    def __call__(self, url: str, api_key: str | None, *, new: bool) -> None: ...


def open_storage(url: str) -> Storage:
    """The storage at an address; ``file:///folder`` is a folder of this machine.

    Raises:
        InvalidInput: no storage has such an address.
        Unavailable: it does not answer.
    """
    address = urlsplit(url)
    match address.scheme:
        case "file":
            return LocalStorage(Path(unquote(address.path)))
        case _:
            raise InvalidInput("storage_url_invalid", "ROWCAST_STORAGE_URL is a folder, as in file:///var/lib/rowcast.")


def open_broker(url: str) -> Broker:
    """The broker at an address; ``local://`` is this process.

    Raises:
        InvalidInput: no broker has such an address.
    """
    from rowcast.adapters.broker.local import LocalBroker

    match urlsplit(url).scheme:
        case "local":
            return LocalBroker()
        case _:
            raise InvalidInput("broker_url_invalid", "ROWCAST_BROKER_URL is local:// for now.")


def open_compute(settings: Settings) -> Compute:
    """The compute that the settings name; ``local://`` is child processes of this one.

    Raises:
        InvalidInput: no compute has such an address.
    """
    from rowcast.adapters.compute.local import LocalCompute

    match urlsplit(settings.compute_url).scheme:
        case "local":
            return LocalCompute(
                settings.resolved_storage_url,
                threads=settings.job_threads,
                scratch=settings.data_dir / SCRATCH,
                memory_bytes=settings.job_memory_bytes,
                command=(sys.executable, "-c", "from rowcast.wiring import job; job()"),
            )
        case _:
            raise InvalidInput("compute_url_invalid", "ROWCAST_COMPUTE_URL is local:// for now.")


def job() -> None:
    """The body of a child process: one job, asked for on standard input."""
    from rowcast.entrypoints.job.process import serve

    serve(JOBS, open_storage)


def up(settings: Settings, *, started: Started) -> int:
    """Run the whole product in this process until it is asked to end. Returns the exit code.

    Raises:
        RowcastError: it cannot start, and why.
    """
    _log_to_stderr(settings.log_level)
    _serve(settings, lambda server: started(server.url, server.api_key, new=server.key_is_new))
    return 0


def demo(settings: Settings, *, started: Started, leave: bool) -> int:
    """The same with something to show: ``started`` talks to the server as anyone would, then with ``leave`` it ends.

    Takes a free port when the usual one is taken and no other was asked for. Returns the exit code.

    Raises:
        RowcastError: it cannot start, or what was to be shown failed.
    """
    failures: list[BaseException] = []

    def show(server: Running) -> None:
        try:
            started(server.url, server.api_key, new=server.key_is_new)
        except BaseException as error:  # noqa: BLE001  (raised again below, by the thread that serves)
            failures.append(error)
        if leave or failures:
            server.stop()

    _log_to_stderr("warning")
    _serve(
        settings,
        lambda server: threading.Thread(target=show, args=(server,), name="demo", daemon=True).start(),
        or_free_port="port" not in settings.model_fields_set,
    )
    if failures:
        raise failures[0]
    return 0


def _serve(settings: Settings, ready: Callable[[Running], None], *, or_free_port: bool = False) -> None:
    """Serve until asked to end; ``ready`` is called on the server's loop once it answers."""
    from rowcast.client import credentials
    from rowcast.entrypoints.rest.app import create_app
    from rowcast.entrypoints.rest.serving import bind, server

    with ExitStack() as stack:
        stack.enter_context(_alone_in(settings.data_dir))
        listener = stack.enter_context(bind(settings.host, settings.port, or_free=or_free_port))
        url = _address(settings.host, listener.getsockname()[1])
        save = partial(credentials.save, settings.data_dir, url)
        services, worker, new_key = assemble(settings, stack, keep_key=save)
        save(None)
        key = new_key or credentials.load(settings.data_dir).api_key

        def stop() -> None:
            serving.should_exit = True

        running = Running(url, key, new_key is not None, stop)
        serving = server(create_app(services), log_level=settings.log_level, ready=lambda: ready(running))
        worker.start()
        stack.callback(worker.stop, DRAIN_SECONDS)
        # uvicorn raises the signal that ended it once more when it is done; what is left to close must still be closed.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: None)
        serving.run(sockets=[listener])


def assemble(
    settings: Settings, stack: ExitStack, keep_key: Callable[[str], object] = lambda key: None
) -> tuple[Services, Worker, str | None]:
    """The parts, wired, and the administrator's key when it was made just now; the stack closes them."""
    from rowcast.accounts.keys import Keyring, first_administrator
    from rowcast.adapters.database.engine import open_database
    from rowcast.adapters.database.schema import upgrade
    from rowcast.entrypoints.services import Services
    from rowcast.monitoring.receipts import Receipts
    from rowcast.scoring.catalog import Catalog
    from rowcast.tasks.desk import Desk
    from rowcast.tasks.kinds import handlers
    from rowcast.tasks.notice import Notices

    database = open_database(settings.resolved_database_url)
    stack.callback(database.dispose)
    upgrade(database.engine)
    with database.transaction() as session:
        new_key = first_administrator(session, settings.api_key)
        if new_key is not None:
            keep_key(new_key)  # before the commit: a key that is valid and not kept would be lost with this process
    storage = open_storage(settings.resolved_storage_url)
    broker = open_broker(settings.broker_url)
    stack.callback(broker.close)
    notices, kinds = Notices(), handlers()
    runner = _runner(settings, database, storage, notices, kinds)
    _recover(settings, database, storage, runner)
    catalog = Catalog(database, storage, max_loaded=settings.max_loaded_models)
    _keep_fresh(catalog, stack)
    services = Services(
        settings=settings,
        database=database,
        storage=storage,
        broker=broker,
        desk=Desk(database=database, broker=broker, storage=storage, notices=notices, handlers=kinds),
        notices=notices,
        keyring=Keyring(database),
        catalog=catalog,
        receipts=Receipts(open_journal(settings, database, stack), _keeping(settings)),
        incoming=settings.data_dir / INCOMING,
    )
    return services, _worker(settings, database, broker, runner), new_key


def _runner(
    settings: Settings, database: Database, storage: Storage, notices: Notices, kinds: Mapping[str, Handler]
) -> Runner:
    """What carries tasks out in this process."""
    from rowcast.tasks.handlers import Limits
    from rowcast.tasks.runner import Runner

    return Runner(
        database=database,
        storage=storage,
        compute=open_compute(settings),
        notices=notices,
        handlers=kinds,
        limits=Limits(settings.ingest_timeout_seconds, settings.training_timeout_seconds, settings.job_threads),
        worker=f"{os.uname().nodename}:{os.getpid()}",
        lease_seconds=settings.lease_seconds,
        max_attempts=settings.max_attempts,
    )


def _worker(settings: Settings, database: Database, broker: Broker, runner: Runner) -> Worker:
    """The threads that take tasks, not started yet."""
    from rowcast.entrypoints.worker.loop import Worker
    from rowcast.tasks.handlers import DATA, TRAIN

    return Worker(
        database=database,
        broker=broker,
        runner=runner,
        lanes={DATA: settings.workers, TRAIN: settings.workers},
        max_attempts=settings.max_attempts,
    )


def _recover(settings: Settings, database: Database, storage: Storage, runner: Runner) -> None:
    """Queue again what a killed process had in hand and remove what it left lying about: this one is alone here."""
    from rowcast.tasks.leftovers import remove_leftovers
    from rowcast.tasks.recovery import release_all

    with database.transaction() as session:
        lost = release_all(session, max_attempts=settings.max_attempts)
    for task in lost:
        runner.abandon(task)
    remove_leftovers(database, storage)
    if isinstance(storage, LocalStorage):
        storage.remove_leftovers()
    for folder in (INCOMING, SCRATCH):
        _empty(settings.data_dir / folder)


def open_journal(settings: Settings, database: SqlDatabase, stack: ExitStack) -> Journal:
    """The journal of predictions, at work, with the thread that deletes what is too old; the stack ends both."""
    from rowcast.monitoring.journal import Journal
    from rowcast.monitoring.retention import Retention

    retention = Retention(database, days=settings.receipt_days)
    retention.start()
    stack.callback(retention.stop)
    journal = Journal(database, database.writer())
    journal.start()
    stack.callback(journal.close)
    return journal


def _keeping(settings: Settings) -> Keeping:
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


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Hold the data folder, so that two servers never work on the same files. The lock dies with the process."""
    try:
        # Everybody's tables will be in it: a new one is for this account alone.
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = (folder / "lock").open("a")
    except OSError as error:
        message = f"Cannot use the data folder {folder}: {error.strerror}. Choose another: --data-dir FOLDER."
        raise Unavailable("data_dir_unusable", message) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            message = f"Another Rowcast works in {folder}. Stop it, or choose another folder: --data-dir FOLDER."
            raise Conflict("data_dir_in_use", message) from error
        yield


def _keep_fresh(catalog: Catalog, stack: ExitStack) -> None:
    """Load the champions, then look for moved aliases every second: another process may move them too."""
    catalog.refresh()
    stopping = threading.Event()

    def keep() -> None:
        look = catalog.warm
        while not stopping.is_set():
            try:
                look()
                look = catalog.refresh
            except Unavailable as error:
                log.warning("cannot look for moved aliases: %s", error.code)
            stopping.wait(REFRESH_SECONDS)

    thread = threading.Thread(target=keep, name="alias-refresh", daemon=True)
    thread.start()
    stack.callback(thread.join)
    stack.callback(stopping.set)


def _empty(folder: Path) -> None:
    """Make the folder, without what a killed server left in it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(exist_ok=True)


def _address(host: str, port: int) -> str:
    name = "127.0.0.1" if host in ("0.0.0.0", "::", "") else host  # noqa: S104  (compared, not bound)
    return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"


def _log_to_stderr(level: str) -> None:
    logging.basicConfig(
        level=level.upper(), stream=sys.stderr, format="%(asctime)s %(levelname)-7s %(name)s: %(message)s"
    )
    logging.getLogger("alembic").setLevel(logging.WARNING)
    logging.getLogger("python_multipart").setLevel(logging.ERROR)  # it tells of every broken form, with bytes of it
