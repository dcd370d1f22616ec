"""API keys on REST: everyone makes, sees and revokes their own."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Path, Query

from rowcast.accounts import keys
from rowcast.accounts.views import Key, MadeKey, NewKey
from rowcast.entrypoints.rest.bodies import JsonRoute
from rowcast.entrypoints.rest.paging import After, Limit, Page
from rowcast.entrypoints.rest.problems import documented
from rowcast.entrypoints.rest.references import WRITABLE
from rowcast.entrypoints.rest.security import Account, Wired

router = APIRouter(prefix="/keys", tags=["accounts"], route_class=JsonRoute)

KeyId = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$", description="`id` of the key, which is not the key itself.")]


@router.post("", status_code=201, responses=documented(401, 403, 422))
def make_key(
    services: Wired,
    principal: Account,
    wanted: Annotated[NewKey, Body(examples=[{"name": "my laptop", "scopes": ["predict"]}])],
) -> MadeKey:
    """Make an API key for yourself. The answer is the only place where it is ever shown.

    Made with another key, it has no scope that that one lacks, ends no later, and has limits that are no higher.
    """
    with services.database.transaction() as session:
        return keys.make_key(session, principal, wanted, most_days=services.settings.key_days)


@router.get("", responses=documented(401, 403, 404, 422))
def list_keys(
    services: Wired,
    principal: Account,
    user: Annotated[
        str | None, Query(max_length=200, pattern=WRITABLE, description="Whose: for administrators. Yours by default.")
    ] = None,
    revoked: Annotated[bool, Query(description="Also those that were revoked.")] = False,
    limit: Limit = 50,
    after: After = None,
) -> Page[Key]:
    """Your API keys, newest first."""
    with services.database.reading() as session:
        items, following = keys.list_keys(session, principal, user=user, revoked=revoked, limit=limit, after=after)
    return Page(items=items, next=following)


@router.delete("/{key_id}", status_code=204, responses=documented(401, 404))
def revoke_key(services: Wired, principal: Account, key_id: KeyId) -> None:
    """End an API key of yours, or as an administrator anyone's. It ends everywhere within five seconds."""
    with services.database.transaction() as session:
        keys.revoke_key(session, principal, key_id)
    services.keyring.forget()
