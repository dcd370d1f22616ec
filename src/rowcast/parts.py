"""The parts of the product, each made of the settings and of what it stands on. The stack that a part is given closes
it."""

from __future__ import annotations

import logging
import os
import threading
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rowcast.adapters.storage.local import LocalStorage
from rowcast.datasets.ports import Storage
from rowcast.entrypoints.measures import Measures
from rowcast.errors import InvalidInput, Unavailable
from rowcast.folders import INCOMING, content_of, secret_in
from rowcast.sign_in import mail_of, passwords_of, providers_of
from rowcast.traces import Traces, Untraced

if TYPE_CHECKING:
    from rowcast.adapters.database.engine import SqlDatabase
    from rowcast.credits.ledger import Ledger
    from rowcast.credits.tariff import Tariff
    from rowcast.entrypoints.exposition import Exposition, Metrics
    from rowcast.entrypoints.services import Services
    from rowcast.entrypoints.worker.loop import Worker
    from rowcast.entrypoints.worker.mirror import MirrorThread
    from rowcast.models.mirroring import Pages
    from rowcast.monitoring.journal import Journal
    from rowcast.monitoring.keeping import Keeping
    from rowcast.monitoring.licensing import Installation
    from rowcast.scoring.catalog import Catalog
    from rowcast.scoring.together import Swaps
    from rowcast.settings import Settings
    from rowcast.tasks.notice import Notices
    from rowcast.tasks.ports import Broker, Compute, Publisher
    from rowcast.tasks.predicting import Predicting
    from rowcast.tasks.runner import Runner

RECEIPT_KEY = "receipts.key"
"""The file in the data folder with the key of hashes of inputs that are not kept."""

VISITORS_KEY = "visitors.key"
"""The file in the data folder with the key of what is told to the dashboard of its visitors."""

USAGE_KEY = "usage.key"
"""The file in the data folder with the key that seals the history of a licensed installation and signs its
statements."""

log = logging.getLogger(__name__)

REFRESH_SECONDS = 1.0

ENTRIES_DAYS = 30.0
"""For how long a link that ran out is still told from one that never was."""


LEFTOVER_DAYS = 0.25
"""How long an upload that no task names is left alone: its task comes within a minute or never."""


@dataclass(frozen=True)
class Base:
    """What every part stands on. ``place`` is a folder for files that are this process's alone."""

    settings: Settings
    database: SqlDatabase
    storage: Storage
    place: Path
    installation: Installation
    measures: Measures = field(default_factory=Measures)
    traces: Traces = field(default_factory=Untraced)


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


def traces(settings: Settings, database: SqlDatabase, program: str, stack: ExitStack) -> Traces:
    """Where traces go; nowhere by default."""
    if not settings.traces_url:
        return Untraced()
    from rowcast.adapters.traces.otlp import OtlpTraces

    opened = OtlpTraces(settings.traces_url, program=program, ratio=settings.traces_ratio)
    stack.callback(opened.close)
    opened.follow(database.engine)
    return opened


def services(
    base: Base, stack: ExitStack, broker: Publisher, notices: Notices, catalog: Catalog, metrics: Metrics
) -> Services:
    """What doors are given."""
    from rowcast.accounts.access import Access
    from rowcast.accounts.identities import Identities
    from rowcast.accounts.keyring import Keyring
    from rowcast.accounts.registration import SignUp
    from rowcast.accounts.sessions import Sessions
    from rowcast.credits.ledger import Ledger
    from rowcast.entrypoints.services import Services
    from rowcast.entrypoints.vouching import Vouching
    from rowcast.monitoring.receipts import Receipts
    from rowcast.tasks.desk import Desk
    from rowcast.tasks.intake import Intake
    from rowcast.tasks.kinds import handlers
    from rowcast.tasks.lookups import Lookups
    from rowcast.tasks.submission import Dispatch

    settings, database = base.settings, base.database
    tariff, ledger = _tariff(settings), Ledger(sign_up=settings.sign_up_credits)
    intake = Intake(database, database.writer(), broker, most_queued=settings.max_queued_tasks, ledger=ledger)
    lookups = Lookups(database.reader())
    dispatch = Dispatch(database, broker)
    keyring = Keyring(database)
    for threaded in (intake, lookups, dispatch, keyring):
        threaded.start()
        stack.callback(threaded.close)
    passwords, mail = passwords_of(settings, stack), mail_of(settings, stack)
    recorded = journal(base, stack, ledger)
    base.measures.follow(
        lambda: {"receipts": recorded.written, "journal_commits": recorded.commits},
        lambda: {"journal_waiting": recorded.waiting},
    )
    return Services(
        settings=settings,
        database=database,
        storage=base.storage,
        broker=broker,
        desk=Desk(
            database=database,
            broker=broker,
            storage=base.storage,
            handlers=handlers(base.installation.usage_key),
            dispatch=dispatch.leave,
            most_queued=settings.max_queued_tasks,
            ledger=ledger,
            standing=base.installation.standing,
        ),
        intake=intake,
        lookups=lookups,
        notices=notices,
        keyring=keyring,
        sessions=Sessions(database, idle_minutes=settings.session_minutes),
        passwords=passwords,
        access=Access(
            database,
            passwords,
            sign_up=SignUp(settings.sign_up),
            mails=mail is not None,
            standing=base.installation.standing,
        ),
        identities=Identities(database, sign_up=SignUp(settings.sign_up), standing=base.installation.standing),
        providers={provider.name: provider for provider in providers_of(settings)},
        mail=mail,
        catalog=catalog,
        receipts=Receipts(recorded, keeping(settings), tariff, base.traces),
        vouching=Vouching(secret_in(settings.data_dir / VISITORS_KEY, partial(os.urandom, 32))),
        tariff=tariff,
        ledger=ledger,
        measures=base.measures,
        metrics=metrics,
        incoming=base.place / INCOMING,
        installation=base.installation,
        traces=base.traces,
        tracked=_tracked(settings),
    )


def _tariff(settings: Settings) -> Tariff:
    from rowcast.credits.tariff import Tariff

    return Tariff(
        paid=settings.credits == "paid",
        per_row=settings.price_per_row,
        reasons=settings.price_reasons,
        file=settings.price_file,
    )


def exposition(base: Base, broker: Publisher, catalog: Catalog) -> Exposition:
    """The figures of this process, and of what it stands on."""
    from rowcast.entrypoints.exposition import Exposition

    def present() -> dict[str, float]:
        used, opened = base.database.connections()
        loaded = len(catalog.loaded)
        return {"models_loaded": loaded, "database_connections_used": used, "database_connections_open": opened}

    base.measures.follow(dict, present)
    return Exposition(base.measures, base.database, broker, base.storage)


def serve_figures(settings: Settings, exposition: Exposition, stack: ExitStack) -> None:
    """Show the figures at a port of their own, where the settings name one."""
    from rowcast.entrypoints.exposition import served

    if settings.metrics_port:
        stack.enter_context(served(exposition.registry, settings.host, settings.metrics_port))


def catalog(base: Base, swaps: Swaps | None = None) -> Catalog:
    """The models that are served: with ``swaps``, the same in several processes at any time."""
    from rowcast.scoring.catalog import Catalog
    from rowcast.scoring.together import SharedCatalog

    most, standing = base.settings.max_loaded_models, base.installation.standing
    if swaps is None:
        return Catalog(base.database, base.storage, max_loaded=most, standing=standing)
    return SharedCatalog(base.database, base.storage, swaps, max_loaded=most, standing=standing)


def runner(base: Base, broker: Broker, compute: Compute) -> Runner:
    """What carries tasks out in this process."""
    from rowcast.tasks.handlers import Limits
    from rowcast.tasks.kinds import handlers
    from rowcast.tasks.model_imports import Source
    from rowcast.tasks.runner import Runner

    settings = base.settings
    return Runner(
        database=base.database,
        storage=base.storage,
        compute=compute,
        broker=broker,
        handlers=handlers(
            base.installation.usage_key, Source(settings.resolved_tracking_url, settings.convert_pickles)
        ),
        limits=Limits(
            settings.ingest_timeout_seconds,
            settings.training_timeout_seconds,
            settings.job_threads,
            settings.file_timeout_seconds,
            settings.spread_rows if settings.compute_url.startswith("ray:") else None,
        ),
        worker=_worker_name(),
        lease_seconds=settings.lease_seconds,
        max_attempts=settings.max_attempts,
        tally=base.measures,
        traces=base.traces,
    )


def worker(base: Base, broker: Broker, runner: Runner, catalog: Catalog, compute: Compute) -> Worker:
    """The threads that take tasks, and the one that keeps MLflow up to date, not started yet."""
    from rowcast.entrypoints.worker.loop import Worker
    from rowcast.tasks.handlers import BATCH, DATA, TRAIN

    settings = base.settings
    return Worker(
        database=base.database,
        broker=broker,
        runner=runner,
        lanes={DATA: settings.workers, TRAIN: settings.workers, BATCH: settings.workers},
        predicting=[_predicting(base, broker, catalog)],
        companions=_mirrors(base, compute),
        max_attempts=settings.max_attempts,
        lease_seconds=settings.lease_seconds,
    )


def _predicting(base: Base, broker: Broker, catalog: Catalog) -> Predicting:
    """What carries out predictions that went through the queue."""
    from rowcast.tasks.batches import Batches
    from rowcast.tasks.owners import Owners
    from rowcast.tasks.predicting import Predicting

    settings, database = base.settings, base.database
    writer, lease = database.writer(), settings.lease_seconds
    return Predicting(
        batches=Batches(
            database, writer, worker=_worker_name(), lease_seconds=lease, usage_key=base.installation.usage_key
        ),
        broker=broker,
        catalog=catalog,
        owners=Owners(database),
        keeping=keeping(settings),
        max_rows=settings.max_rows_per_call,
        lease_seconds=lease,
        max_attempts=settings.max_attempts,
        tally=base.measures,
        traces=base.traces,
    )


def _tracked(settings: Settings) -> Pages | None:
    from rowcast.adapters.tracking.address import pages_of

    url = settings.resolved_tracking_url
    return pages_of(url, settings.tracking_public_url) if url else None


def _mirrors(base: Base, compute: Compute) -> list[MirrorThread]:
    from rowcast.adapters.tracking.address import tracking_at
    from rowcast.entrypoints.worker.mirror import MirrorThread
    from rowcast.tasks.mirroring import Mirror

    settings = base.settings
    if not settings.resolved_tracking_url:
        return []
    tracking, public_url = tracking_at(settings.resolved_tracking_url), settings.public_url
    holder = "alone" if settings.alone else _worker_name()  # who is alone need not wait for the turn of who was killed
    return [MirrorThread(Mirror(base.database, compute, tracking, holder=holder, public_url=public_url))]


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


def journal(base: Base, stack: ExitStack, ledger: Ledger) -> Journal:
    """The journal of predictions, at work; the stack ends it."""
    from rowcast.monitoring.journal import Journal

    usage_key = base.installation.usage_key
    opened = Journal(base.database.writer(), ledger=ledger, usage_key=usage_key)
    opened.start()
    stack.callback(opened.close)
    return opened


def keep_short(base: Base, stack: ExitStack) -> None:
    """Delete receipts, keys of calls, tasks, files with predictions, ended sessions and deeds that are too old, now and
    then."""
    from rowcast.accounts.retention import delete_old_deeds, delete_old_entries
    from rowcast.monitoring.retention import KEY_DAYS, Retention, delete_old_keys
    from rowcast.tasks.file_retention import delete_old_files
    from rowcast.tasks.leftovers import Leftovers
    from rowcast.tasks.retention import delete_old_tasks

    settings, database, storage = base.settings, base.database, base.storage
    receipts = Retention(database, days=settings.receipt_days)
    keys = Retention(database, days=KEY_DAYS, delete=delete_old_keys, what="keys of calls")
    tasks = Retention(database, days=settings.task_days, delete=delete_old_tasks, what="tasks")
    files = Retention(database, days=settings.file_days, delete=partial(delete_old_files, storage), what="files")
    entries_days = max(ENTRIES_DAYS, settings.session_minutes / 1440)
    entries = Retention(database, days=entries_days, delete=delete_old_entries, what="sessions and links")
    deeds = Retention(database, days=settings.audit_days, delete=delete_old_deeds, what="deeds of the audit log")
    left = Retention(database, days=LEFTOVER_DAYS, delete=Leftovers(storage).remove, what="left-over objects")
    for retention in (left, keys, receipts, tasks, files, entries, deeds):
        retention.start()
        stack.callback(retention.stop)


def keeping(settings: Settings) -> Keeping:
    """What receipts keep of inputs; the key of what they hide is made at the first start and stays in the data
    folder, out of the database."""
    from rowcast.monitoring.keeping import Keeping

    redacted = [name.strip() for name in settings.receipt_redact.split(",") if name.strip()]
    return Keeping.of(
        settings.receipt_inputs, redacted, secret_in(settings.data_dir / RECEIPT_KEY, partial(os.urandom, 32))
    )


def installation(settings: Settings) -> Installation:
    """What the licence allows, and the key of the installation's own statements; a free one where none is set.

    Raises:
        InvalidInput: the licence was not signed by the supplier, or a file cannot be read.
    """
    from rowcast.monitoring.licensing import Installation

    if settings.licence is None:
        return Installation()
    from rowcast.licences.licence import new_private_key, read
    from rowcast.licences.standing import Standing

    if settings.licence_key is None:
        message = "ROWCAST_LICENCE needs ROWCAST_LICENCE_KEY: the file with the supplier's public key."
        raise InvalidInput("licence_key_missing", message)
    text, public_key = content_of(settings.licence), content_of(settings.licence_key)
    licence = read(text.decode(errors="replace"), public_key)
    private_key = secret_in(settings.data_dir / USAGE_KEY, new_private_key)
    standing = Standing(licence)
    if warning := standing.warning():
        log.warning("%s", warning)
    return Installation(standing, private_key, settings.receipt_days)


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
