"""Limits of requests a second."""

from __future__ import annotations

import pytest

from rowcast.accounts.principal import Limits, Principal, Role
from rowcast.accounts.rates import Rates
from rowcast.errors import TooMany


class Clock:
    def __init__(self):
        self.seconds = 100.0

    def __call__(self):
        return self.seconds


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def rates(clock):
    return Rates(clock=clock, capacity=10)


def caller(name="ann", key="k", *, user=None, by_key=None):
    limits = Limits(user_requests_per_second=user, key_requests_per_second=by_key)
    return Principal(name, name, Role.USER, key_id=key, limits=limits)


def passed(rates, principal, tries=100):
    count = 0
    for _ in range(tries):
        try:
            rates.take(principal)
            count += 1
        except TooMany:
            pass
    return count


def test_a_seconds_worth_at_once_and_then_at_that_rate(rates, clock):
    ann = caller(user=5)
    assert passed(rates, ann) == 5
    clock.seconds += 0.2
    assert passed(rates, ann) == 1
    clock.seconds += 1000
    assert passed(rates, ann) == 5


def test_less_than_one_a_second(rates, clock):
    ann = caller(user=0.1)
    assert passed(rates, ann) == 1
    with pytest.raises(TooMany) as caught:
        rates.take(ann)
    assert caught.value.code == "rate_limit"
    assert caught.value.details["retry_after"] == 10
    assert "0.1 requests a second" in caught.value.message
    clock.seconds += 10
    assert passed(rates, ann) == 1


def test_a_key_and_its_user_have_limits_of_their_own(rates):
    assert passed(rates, caller(key="one", user=10, by_key=2)) == 2
    assert passed(rates, caller(key="two", user=10)) <= 8
    assert passed(rates, caller("ben", key="three", by_key=3)) == 3


def test_who_has_no_limit_is_not_counted(rates):
    assert passed(rates, Principal("a", "ann", Role.USER), 1000) == 1000
    assert passed(rates, caller(user=None, by_key=None), 1000) == 1000


def test_only_so_many_are_remembered(rates):
    for number in range(50):
        rates.take(caller(str(number), user=1))
    assert len(rates._buckets) == 10
