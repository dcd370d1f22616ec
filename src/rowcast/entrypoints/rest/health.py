"""Whether the server is there, whether it can work, and who is asking."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel

from rowcast import __version__
from rowcast.entrypoints.rest.problems import documented
from rowcast.entrypoints.rest.security import Anyone, Wired
from rowcast.errors import RowcastError

public = APIRouter(prefix="/health", tags=["health"])
router = APIRouter(tags=["health"])


class Alive(BaseModel):
    status: Literal["ok"] = "ok"
    version: str = __version__


class Readiness(BaseModel):
    """``parts`` says of each part 'ok' or what is wrong with it."""

    status: Literal["ok", "degraded"]
    version: str = __version__
    parts: dict[str, str]


class Me(BaseModel):
    id: str
    name: str
    role: str


@public.get("/live")
async def live() -> Alive:
    """The process answers."""
    return Alive()


@public.get("/ready", responses={503: {"model": Readiness, "description": "A part does not answer."}})
def ready(services: Wired, response: Response) -> Readiness:
    """Every part that is needed answers; 503 says which does not."""
    checks: dict[str, Callable[[], None]] = {
        "database": services.database.ping,
        "storage": services.storage.ping,
        "broker": services.broker.ping,
    }
    parts = {name: _state(check) for name, check in checks.items()}
    healthy = set(parts.values()) == {"ok"}
    response.status_code = 200 if healthy else 503
    return Readiness(status="ok" if healthy else "degraded", parts=parts)


def _state(check: Callable[[], None]) -> str:
    try:
        check()
    except RowcastError as error:
        return error.message
    return "ok"


@router.get("/me", responses=documented(401))
def me(principal: Anyone) -> Me:
    """Who the key belongs to."""
    return Me(id=principal.id, name=principal.name, role=principal.role)
