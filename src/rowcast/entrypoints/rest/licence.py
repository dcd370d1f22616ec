"""The licence of an installation on REST, and statements of what was used."""

from __future__ import annotations

from fastapi import APIRouter

from rowcast.entrypoints.rest.bodies import JsonRoute
from rowcast.entrypoints.rest.problems import documented
from rowcast.entrypoints.rest.security import Administrator, Wired
from rowcast.licences.views import Faults, LicenceStatus, SignedStatement, ToCheck
from rowcast.monitoring import licensing

router = APIRouter(prefix="/licence", tags=["licence"], route_class=JsonRoute)


@router.get("", responses=documented(401, 403))
def get_licence(services: Wired, _: Administrator) -> LicenceStatus:
    """What this installation may do now, and until when."""
    return licensing.status(services.database, services.installation)


@router.post("/statements", status_code=201, responses=documented(401, 403, 409))
def make_usage_statement(services: Wired, _: Administrator) -> SignedStatement:
    """Sign a statement of all that was used so far. The whole history is verified first, which takes a while."""
    return SignedStatement(statement=licensing.make_statement(services.database, services.installation))


@router.post("/check", responses=documented(401, 403, 409, 422))
def check_usage(services: Wired, _: Administrator, asked: ToCheck) -> Faults:
    """Hold the history of predictions against its seals, and against an earlier statement."""
    return Faults(faults=licensing.check(services.database, services.installation, asked.statement))
