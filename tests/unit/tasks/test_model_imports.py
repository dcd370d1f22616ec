"""Who may have a model imported that is pickled, and where: pickles are opened for administrators, if at all."""

from __future__ import annotations

import dataclasses

import pytest
from sqlalchemy import select

from rowcast.accounts.principal import Role, Scope
from rowcast.accounts.tables import AuditRow
from rowcast.errors import Conflict, Forbidden
from rowcast.models.importing.request import ImportRequest
from rowcast.tasks import claims
from rowcast.tasks.model_imports import Source, handler, submit_model_import

PICKLED = ImportRequest(source="churn@champion", pickled=True)


def test_only_an_administrator_with_all_rights_may_and_it_is_written_down(database, join):
    admin = join("root", Role.ADMIN)
    for caller in (join("ann"), dataclasses.replace(admin, scopes=frozenset({Scope.TRAIN}))):
        with database.transaction() as session, pytest.raises(Forbidden):
            submit_model_import(session, caller, PICKLED)
    with database.transaction() as session:
        submit_model_import(session, admin, PICKLED)
        deeds = session.scalars(select(AuditRow)).all()
    assert [(deed.action, deed.subject, deed.details) for deed in deeds] == [
        ("model.pickle_imported", "churn", {"source": "churn@champion"})
    ]


def test_no_pickle_is_opened_where_the_operator_did_not_say_so(database, join):
    admin = join("root", Role.ADMIN)
    with database.transaction() as session:
        task = submit_model_import(session, admin, PICKLED)
        held = claims.claim(session, task.id, worker="w", lease_seconds=30)
    with pytest.raises(Conflict) as caught:
        handler(Source("http://127.0.0.1:9")).work(held, None)
    assert caught.value.code == "pickles_off"
