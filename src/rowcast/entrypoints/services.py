"""What every door is given: the wired parts of the running product."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rowcast.accounts.keys import Keyring
from rowcast.datasets.ports import Storage
from rowcast.monitoring.receipts import Receipts
from rowcast.scoring.catalog import Catalog
from rowcast.settings import Settings
from rowcast.tables import Database
from rowcast.tasks.desk import Desk
from rowcast.tasks.intake import Intake
from rowcast.tasks.lookups import Lookups
from rowcast.tasks.notice import Notices
from rowcast.tasks.ports import Publisher


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
    catalog: Catalog
    receipts: Receipts
    incoming: Path
    """A folder in which uploads arrive before they go to the storage."""
