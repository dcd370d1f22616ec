"""Whether the server is there, whether it can work, and who is asking."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from rowcast import __version__
from rowcast.entrypoints.rest.problems import RETRY_AFTER_SECONDS, documented
from rowcast.entrypoints.rest.security import Signed, Wired
from rowcast.errors import RowcastError

public = APIRouter(prefix="/health", tags=["health"])
router = APIRouter(tags=["health"])


class Alive(BaseModel):
    """The process answers."""

    status: Literal["ok"] = Field(default="ok", description="Always ok: else there is no answer.")
    version: str = Field(default=__version__, description="Version of Rowcast.")


class Readiness(BaseModel):
    """Whether every part that is needed answers."""

    status: Literal["ok", "degraded"] = Field(description="ok when every part is.")
    version: str = Field(default=__version__, description="Version of Rowcast.")
    parts: dict[str, str] = Field(description="Of each part 'ok', or what is wrong with it.")


class Me(BaseModel):
    """Who the key belongs to."""

    id: str = Field(description="Stable identifier.")
    name: str = Field(description="Name for people.")
    role: str = Field(description="admin may do everything, analyst may train, user may read and predict.")
    scopes: list[str] | None = Field(
        default=None, description="What the key may be used for; null is all that the role admits."
    )
    key_id: str = Field(default="", description="The API key that was used; empty in a browser's session.")


@public.get("/live")
async def check_live() -> Alive:
    """The process answers."""
    return Alive()


@public.get("/ready", responses={503: {"model": Readiness, "description": "A part does not answer."}})
def check_ready(services: Wired, response: Response) -> Readiness:
    """Every part that is needed answers; 503 says which does not."""
    checks: dict[str, Callable[[], None]] = {
        "database": services.database.ping,
        "storage": services.storage.ping,
        "broker": services.broker.ping,
    }
    parts = {name: _state(check) for name, check in checks.items()}
    healthy = set(parts.values()) == {"ok"}
    if not healthy:
        response.status_code = 503
        response.headers["Retry-After"] = RETRY_AFTER_SECONDS
    return Readiness(status="ok" if healthy else "degraded", parts=parts)


def _state(check: Callable[[], None]) -> str:
    try:
        check()
    except RowcastError as error:
        return error.message
    return "ok"


@router.get("/me", responses=documented(401))
def get_caller(principal: Signed) -> Me:
    """Who the key belongs to."""
    scopes = None if principal.scopes is None else sorted(principal.scopes)
    return Me(id=principal.id, name=principal.name, role=principal.role, scopes=scopes, key_id=principal.key_id)
