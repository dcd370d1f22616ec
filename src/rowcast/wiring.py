"""Settings to adapters to the running product. The one module that knows both sides.

What only the server needs is imported when it starts: child processes come through here too, and start often.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar
from urllib.parse import unquote, urlsplit

from rowcast import parts
from rowcast.adapters.storage.local import LocalStorage
from rowcast.datasets.ports import Report, Storage
from rowcast.errors import InvalidInput
from rowcast.folders import SCRATCH, emptied
from rowcast.parts import Base

if TYPE_CHECKING:
    from rowcast.adapters.processes.crew import Crew
    from rowcast.adapters.processes.member import Member
    from rowcast.entrypoints.exposition import Metrics
    from rowcast.entrypoints.services import Services
    from rowcast.entrypoints.worker.loop import Worker
    from rowcast.scoring.catalog import Catalog
    from rowcast.settings import Settings
    from rowcast.tasks.notice import Notices
    from rowcast.tasks.ports import Broker, Compute

JOBS = {
    "import": "rowcast.datasets.reading.importing:import_table",
    "profile": "rowcast.datasets.profile.profiling:profile_table",
    "train": "rowcast.models.train.training:train",
    "prepare_shares": "rowcast.models.train.shares:prepare_shares",
    "fit_share": "rowcast.models.train.shares:fit_share",
    "spread": "rowcast.adapters.compute.ray_train:spread",
    "finish_shares": "rowcast.models.train.shares:finish_shares",
    "trials": "rowcast.models.tune.trials:run_trials",
    "conclude": "rowcast.models.tune.concluding:conclude",
    "score_file": "rowcast.scoring.files.job:score_file",
    "score_parts": "rowcast.scoring.files.shares:score_parts",
    "mirror": "rowcast.adapters.tracking.jobs:mirror",
    "import_model": "rowcast.adapters.tracking.jobs:import_model",
}
"""What a child process can do; only the libraries of what it was asked for are loaded."""

_JOB = ("-c", "from rowcast.wiring import job; job()")
_SHARE = "rowcast.wiring:share"

T = TypeVar("T")
KeepKey = Callable[[str], object]
"""Keeps the administrator's key where the operator finds it."""


class Patiently(Protocol):
    """Does something that needs a service, again and again until the service is there."""

    def __call__(self, attempt: Callable[[], T]) -> T: ...


def open_storage(url: str, options: Mapping[str, str] | None = None, *, scratch: Path | None = None) -> Storage:
    """The storage at an address; ``file:///folder`` is a folder of this machine, ``s3://bucket/prefix`` a place in a
    bucket, which need not answer yet. ``options`` say how it is reached, ``scratch`` is for copies of objects here.

    Raises:
        InvalidInput: no storage has such an address.
        Unavailable: the folder cannot be used.
    """
    address = urlsplit(url)
    match address.scheme, address.netloc:
        case "file", _:
            return LocalStorage(Path(unquote(address.path)))
        case "s3", bucket if bucket:
            from rowcast.adapters.storage.s3 import Access, S3Storage

            return S3Storage(bucket, address.path.strip("/"), Access(**(options or {})), scratch=scratch)
        case _:
            message = "ROWCAST_STORAGE_URL is a folder, as in file:///var/lib/rowcast, or s3://bucket/prefix."
            raise InvalidInput("storage_url_invalid", message)


def open_broker(url: str) -> Broker:
    """The broker at an address; ``local://`` is this process, ``amqp://`` and ``amqps://`` are RabbitMQ, which need
    not answer yet.

    Raises:
        InvalidInput: no broker has such an address.
    """
    from rowcast.adapters.broker.local import LocalBroker
    from rowcast.tasks.handlers import BATCH, DATA, PREDICT, TRAIN
    from rowcast.tasks.predicting import MOST

    match urlsplit(url).scheme:
        case "local":
            return LocalBroker()
        case "amqp" | "amqps":
            from rowcast.adapters.broker.rabbitmq.broker import RabbitBroker

            return RabbitBroker(url, {PREDICT: MOST // 4, DATA: 1, TRAIN: 1, BATCH: 1})
        case _:
            message = "ROWCAST_BROKER_URL is local:// or an address of RabbitMQ, as in amqp://user:password@host/."
            raise InvalidInput("broker_url_invalid", message)


def open_compute(settings: Settings, scratch: Path) -> Compute:
    """The compute that the settings name: ``local://`` is child processes of this one, with their files in ``scratch``,
    ``ray://auto`` the Ray cluster that this machine is a node of, ``ray://host:port`` one elsewhere.

    Raises:
        InvalidInput: no compute has such an address.
    """
    address = urlsplit(settings.compute_url)
    match address.scheme, address.netloc:
        case "local", _:
            return local_compute(settings, scratch)
        case "ray", netloc if netloc:
            from rowcast.adapters.compute.ray import RayCompute

            return RayCompute(
                netloc if netloc == "auto" else settings.compute_url,
                settings.resolved_storage_url,
                storage_options=settings.storage_options,
                threads=settings.job_threads,
                memory_bytes=settings.job_memory_bytes,
                command=_JOB,
                entry=_SHARE,
            )
        case _:
            message = (
                "ROWCAST_COMPUTE_URL is local://, ray://auto or the address of a Ray cluster, as in ray://host:10001."
            )
            raise InvalidInput("compute_url_invalid", message)


def local_compute(settings: Settings, scratch: Path) -> Compute:
    """Child processes of this one, also where the settings name another compute."""
    from rowcast.adapters.compute.local import LocalCompute

    return LocalCompute(
        settings.resolved_storage_url,
        storage_options=settings.storage_options,
        threads=settings.job_threads,
        scratch=scratch,
        memory_bytes=settings.job_memory_bytes,
        command=(sys.executable, *_JOB),
    )


def job() -> None:
    """The body of a child process: one job, asked for on standard input."""
    from rowcast.entrypoints.job.process import serve

    serve(JOBS, open_storage)


def share(request: dict[str, Any], report: Report) -> dict[str, Any]:
    """A share of a job, in a process that a cluster has started: see ``job.process.share``."""
    from rowcast.entrypoints.job import process

    return process.share(JOBS, open_storage, request, report)


def assemble(
    settings: Settings, stack: ExitStack, keep_key: KeepKey = lambda key: None, crew: Crew | None = None
) -> tuple[Services, Worker, str | None]:
    """The whole product, and the administrator's key when it was made just now. ``crew`` are the further processes that
    are to serve the same."""
    base = _base(settings, stack, emptied(settings.data_dir))
    new_key = _prepare(base, keep_key)
    broker, notices = _listening(settings, stack, crew)
    compute = open_compute(settings, base.place / SCRATCH)
    runner = parts.runner(base, broker, compute)
    if settings.alone:
        parts.recover(base, runner)
    catalog = parts.catalog(base, crew.swaps if crew else None)
    catalog.refresh()
    parts.keep_fresh(catalog, stack)
    parts.keep_short(base, stack)
    services = parts.services(base, stack, broker, notices, catalog, _metrics(base, broker, catalog, crew, stack))
    return services, parts.worker(base, broker, runner, catalog, local_compute(settings, base.place / SCRATCH)), new_key


def assemble_api(
    settings: Settings, stack: ExitStack, place: Path, *, keep_key: KeepKey, crew: Crew | None, patiently: Patiently
) -> tuple[Services, str | None]:
    """What answers calls, for a process beside others like it and workers; waits for what is not there yet."""
    base = _base(settings, stack, place)
    new_key = patiently(lambda: _prepare(base, keep_key))
    broker, notices = _listening(settings, stack, crew)
    catalog = parts.catalog(base, crew.swaps if crew else None)
    patiently(catalog.refresh)
    parts.keep_fresh(catalog, stack)
    metrics = _metrics(base, broker, catalog, crew, stack)
    return parts.services(base, stack, broker, notices, catalog, metrics), new_key


def assemble_worker(settings: Settings, stack: ExitStack, place: Path, *, patiently: Patiently) -> Worker:
    """What carries tasks out, for a process beside others like it; waits for what is not there yet."""
    from rowcast.adapters.database.schema import upgrade

    base = _base(settings, stack, place, "rowcast-worker")
    patiently(base.storage.ping)
    patiently(lambda: upgrade(base.database.engine))
    broker = open_broker(settings.broker_url)
    stack.callback(broker.close)
    compute = open_compute(settings, place / SCRATCH)
    runner = parts.runner(base, broker, compute)
    catalog = parts.catalog(base)
    patiently(catalog.refresh)
    parts.keep_fresh(catalog, stack)
    parts.keep_short(base, stack)
    parts.serve_figures(settings, parts.exposition(base, broker, catalog), stack)
    return parts.worker(base, broker, runner, catalog, local_compute(settings, place / SCRATCH))


def upgrade(settings: Settings, stack: ExitStack, *, patiently: Patiently) -> None:
    """Bring the database up to date; waits for it when it is not there yet."""
    from rowcast.adapters.database import schema

    opened = parts.database(settings, stack)
    patiently(lambda: schema.upgrade(opened.engine))


def assemble_further(settings: Settings, stack: ExitStack, place: Path, member: Member) -> Services:
    """The parts of a further process of a server, which only serves: the first one has done the rest, or does it."""
    from rowcast.adapters.broker.relayed import RelayedBroker
    from rowcast.adapters.processes.figures import RelayedMetrics
    from rowcast.scoring.together import SharedCatalog
    from rowcast.tasks.notice import Notices

    base = _base(settings, stack, place)
    broker, notices = RelayedBroker(member.peer), Notices()
    broker.listen(notices.announce)
    catalog = SharedCatalog(base.database, base.storage, member, max_loaded=settings.max_loaded_models)
    catalog.preload()
    metrics = RelayedMetrics(member.peer, base.measures.own)
    metrics.start()
    stack.callback(metrics.close)
    return parts.services(base, stack, broker, notices, catalog, metrics)


def _metrics(base: Base, broker: Broker, catalog: Catalog, crew: Crew | None, stack: ExitStack) -> Metrics:
    """The figures of this process and of further ones, which are also shown where the settings say."""
    exposition = parts.exposition(base, broker, catalog)
    parts.serve_figures(base.settings, exposition, stack)
    if crew is not None:
        crew.on("measured", base.measures.hear)
        crew.on("metrics", exposition.text)
    return exposition


def _base(settings: Settings, stack: ExitStack, place: Path, program: str = "rowcast") -> Base:
    storage = open_storage(settings.resolved_storage_url, settings.storage_options, scratch=place / SCRATCH)
    database = parts.database(settings, stack)
    traces = parts.traces(settings, database, program, stack)
    return Base(settings, database, storage, place, parts.installation(settings), traces=traces)


def _prepare(base: Base, keep_key: KeepKey) -> str | None:
    """Bring the database up to date, with an administrator in it; the administrator's key when it was made just now."""
    from rowcast.accounts.keys import first_administrator
    from rowcast.adapters.database.schema import upgrade

    base.storage.ping()
    upgrade(base.database.engine)
    with base.database.transaction() as session:
        new_key = first_administrator(session, base.settings.api_key)
        if new_key is not None:
            keep_key(new_key)  # before the commit: a key that is valid and not kept would be lost with this process
    return new_key


def _listening(settings: Settings, stack: ExitStack, crew: Crew | None) -> tuple[Broker, Notices]:
    """The broker, and those who are woken when a task changes: in this process, and in further ones."""
    from rowcast.adapters.broker.relayed import relay
    from rowcast.tasks.notice import Notices

    broker, notices = open_broker(settings.broker_url), Notices()
    stack.callback(broker.close)
    if crew is None:
        broker.listen(notices.announce)
        return broker, notices
    for name, answer in relay(broker).items():
        crew.on(name, answer)

    def heard(task_ids: Sequence[str]) -> None:
        notices.announce(task_ids)
        for task_id in task_ids:
            crew.tell(task_id)

    broker.listen(heard)
    return broker, notices
