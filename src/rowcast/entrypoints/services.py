"""What every door is given: the wired parts of the running product."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from anyio import CapacityLimiter

from rowcast.accounts.access import Access
from rowcast.accounts.identities import Identities
from rowcast.accounts.keyring import Keyring
from rowcast.accounts.mail import Mail
from rowcast.accounts.passwords import Passwords
from rowcast.accounts.providers import Provider
from rowcast.accounts.rates import Rates
from rowcast.accounts.sessions import Sessions
from rowcast.credits.ledger import Ledger
from rowcast.credits.tariff import Tariff
from rowcast.datasets.ports import Storage
from rowcast.entrypoints.exposition import Metrics
from rowcast.entrypoints.measures import Measures
from rowcast.entrypoints.v2.counts import Statistics
from rowcast.entrypoints.vouching import Vouching
from rowcast.models.mirroring import Pages
from rowcast.monitoring.licensing import Installation
from rowcast.monitoring.receipts import Receipts
from rowcast.scoring.catalog import Catalog
from rowcast.scoring.coalescing import Coalescing
from rowcast.settings import Settings
from rowcast.tables import Database
from rowcast.tasks.desk import Desk
from rowcast.tasks.intake import Intake
from rowcast.tasks.lookups import Lookups
from rowcast.tasks.notice import Notices
from rowcast.tasks.ports import Publisher
from rowcast.traces import Traces, Untraced


@dataclass(frozen=True)
class Services:
    """Settings and the adapters they chose, as the features' own ports."""

    settings: Settings
    database: Database
    storage: Storage
    broker: Publisher
    desk: Desk
    intake: Intake
    lookups: Lookups
    notices: Notices
    keyring: Keyring
    sessions: Sessions
    passwords: Passwords
    access: Access
    identities: Identities
    providers: Mapping[str, Provider]
    """What people can sign in with beside a password, by name."""
    mail: Mail | None
    catalog: Catalog
    receipts: Receipts
    measures: Measures
    metrics: Metrics
    incoming: Path
    """A folder in which uploads arrive before they go to the storage."""
    turns: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(len(os.sched_getaffinity(0))))
    """For what keeps a processor busy: as many at a time as there are."""
    rates: Rates = field(default_factory=Rates)
    tariff: Tariff = field(default_factory=Tariff)
    ledger: Ledger = field(default_factory=Ledger)
    installation: Installation = field(default_factory=Installation)
    statistics: Statistics = field(default_factory=Statistics)
    coalescing: Coalescing = field(default_factory=Coalescing)
    traces: Traces = field(default_factory=Untraced)
    vouching: Vouching = field(default_factory=lambda: Vouching(os.urandom(32)))
    tracked: Pages | None = None
    """Where people look at the mirror of versions."""
