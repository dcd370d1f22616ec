"""Policies on REST: what a model's owner makes of its predictions. Reading and trying is for everyone."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body, Path, Query

from rowcast.entrypoints.rest.bodies import JsonRoute
from rowcast.entrypoints.rest.paging import After, Limit, Page
from rowcast.entrypoints.rest.problems import documented
from rowcast.entrypoints.rest.references import Name
from rowcast.entrypoints.rest.security import Analyst, Anyone, Wired
from rowcast.models import policies
from rowcast.models.decide.policy import Policy, PolicyChange
from rowcast.models.previews import preview_policy
from rowcast.models.views import PolicyPreview, PolicyVersion

router = APIRouter(prefix="/models", tags=["policies"], route_class=JsonRoute)

PolicyNumber = Annotated[int, Path(ge=1, le=2**31 - 1, description="Number of the policy.", examples=[1])]
JudgedVersion = Annotated[
    int | None,
    Query(ge=1, le=2**31 - 1, description="The version to try it on; the champion by default, else the newest."),
]

EXAMPLE: dict[str, Any] = {
    "bands": {"of": "CHGOFF", "yellow": 0.15, "red": 0.3},
    "payoff": {
        "credit": {
            "good": "P I F",
            "bad": "CHGOFF",
            "amount": {"column": "GrAppv"},
            "term": 60,
            "rate": 0.1,
            "loss": 0.6,
        }
    },
}


@router.get("/{name}/policy", responses=documented(401, 404))
def get_policy_in_force(services: Wired, principal: Anyone, name: Name) -> PolicyVersion:
    """The policy that decides on the model's predictions now."""
    with services.database.reading() as session:
        return policies.current(session, principal, name)


@router.put("/{name}/policy", responses=documented(401, 403, 404, 422))
def set_policy(
    services: Wired,
    principal: Analyst,
    name: Name,
    change: Annotated[PolicyChange, Body(examples=[{**EXAMPLE, "comment": "as the credit committee decided"}])],
) -> PolicyVersion:
    """Put a policy in force, as the next number; the model stays as it is. An empty one switches decisions off.

    To go back, set an earlier one again. It must fit the champion, or the newest version where there is none.
    """
    with services.database.transaction() as session:
        version = policies.set_policy(session, principal, name, change.policy(), change.comment)
    services.catalog.refresh()
    return version


@router.get("/{name}/policies", responses=documented(401, 404, 422))
def list_policies(
    services: Wired, principal: Anyone, name: Name, limit: Limit = 50, after: After = None
) -> Page[PolicyVersion]:
    """What decided when: every policy that the model had, newest first."""
    with services.database.reading() as session:
        items, following = policies.history(session, principal, name, limit=limit, after=after)
    return Page(items=items, next=following)


@router.get("/{name}/policies/{number}", responses=documented(401, 404))
def get_policy(services: Wired, principal: Anyone, name: Name, number: PolicyNumber) -> PolicyVersion:
    """One policy of the model, as it was set."""
    with services.database.reading() as session:
        return policies.get_policy(session, principal, name, number)


@router.post("/{name}/policy/preview", responses=documented(401, 403, 404, 409, 422, 503))
def preview_a_policy(
    services: Wired,
    principal: Anyone,
    name: Name,
    policy: Annotated[Policy | None, Body(examples=[EXAMPLE])] = None,
    version: JudgedVersion = None,
) -> PolicyPreview:
    """What a policy would have done with the rows held out of the training; without a body, the one in force.

    It shows how many cases are green, yellow and red and what became of them, and with a payoff the profit at every
    threshold and where that is highest. Nothing is saved.
    """
    return preview_policy(services.database, services.storage, principal, name, policy, version)
