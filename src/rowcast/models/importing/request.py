"""What is asked for when a model is to be imported."""

from __future__ import annotations

import re

from pydantic import BaseModel, ConfigDict, Field

from rowcast.datasets.names import NAME


class ImportRequest(BaseModel):
    """A model that is registered in MLflow, and what it is to be called here."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str = Field(
        pattern=r"^[^/:@]{1,255}(@[A-Za-z0-9_-]{1,255}|/[1-9][0-9]{0,8})?$",
        description="The model in MLflow: its name for the newest version, NAME@alias, or NAME/3.",
    )
    model: str | None = Field(
        default=None, pattern=NAME, description="Name of the model that it becomes a version of; by default the same."
    )
    promote: bool = Field(default=False, description="Point 'champion' at the new version when done.")

    pickled: bool = Field(
        default=False,
        description="For administrators: take it even if it is pickled, where the operator lets pickles be opened in a "
        "process that can reach nothing (ROWCAST_CONVERT_PICKLES).",
    )

    @property
    def name(self) -> str:
        """What it is called here."""
        return self.model or re.split("[@/]", self.source)[0]
