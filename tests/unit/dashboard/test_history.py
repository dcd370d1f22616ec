"""The pages of the history, the account and administration: filters, addresses of exports, changes of users."""

from __future__ import annotations

from datetime import date, datetime
from zoneinfo import ZoneInfo

from rowcast.accounts.principal import Role
from rowcast.accounts.views import User
from rowcast.entrypoints.dashboard.pages.account_keys import SCOPES_OF
from rowcast.entrypoints.dashboard.pages.administration_users import changes_of
from rowcast.entrypoints.dashboard.pages.history import export_address, window

MOSCOW = ZoneInfo("Europe/Moscow")


def test_days_are_those_of_the_visitor_and_the_last_one_counts():
    found = window(date(2026, 11, 1), date(2026, 11, 2), "Europe/Moscow")
    assert found == {"since": datetime(2026, 11, 1, tzinfo=MOSCOW), "until": datetime(2026, 11, 3, tzinfo=MOSCOW)}
    assert window(None, None, "Nowhere/Land") == {}


def test_an_export_has_the_filters_of_the_list():
    chosen = {"model": "a b", "mine": True, "since": datetime(2026, 11, 1, tzinfo=MOSCOW), "until": None}
    address = export_address("predictions/export", "csv", chosen)
    assert address == (
        "/api/v1/predictions/export?format=csv&model=a+b&mine=true&since=2026-11-01T00%3A00%3A00%2B03%3A00"
    )


def test_only_what_was_changed_about_a_user_is_sent():
    user = User.model_construct(
        id="1", name="anna", role=Role.USER, blocked_at=None, requests_per_second=None, rows_per_day=5
    )
    assert changes_of(user, "user", False, None, 5) == {}
    assert changes_of(user, "analyst", True, None, None) == {"role": "analyst", "blocked": True, "rows_per_day": None}


def test_nobody_is_offered_a_scope_that_their_role_lacks():
    assert all(scope.value != "admin" for scope in (*SCOPES_OF[Role.USER], *SCOPES_OF[Role.ANALYST]))
    assert all(scope.value != "train" for scope in SCOPES_OF[Role.USER])
