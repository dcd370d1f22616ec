"""What the job of a file tells of how far it is."""

from __future__ import annotations

SHARED = "shared"
"""The stage at which others may help."""

JOINING = 0.95
"""The share of the work that is done when all parts are."""
