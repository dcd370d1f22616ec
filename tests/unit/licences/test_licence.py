"""Licences: who signed them, what they allow, and until when."""

from datetime import UTC, datetime, timedelta

import jwt
import pytest

from rowcast.errors import Forbidden, InvalidInput
from rowcast.licences.licence import issue, new_private_key, private_key_of, public_half, read
from rowcast.licences.standing import Standing
from rowcast.licences.views import State

KEY, OTHER = new_private_key(), new_private_key()
END = datetime(2030, 6, 1, tzinfo=UTC)


def licence(**changes):
    text = issue(KEY, "Harbour Bank", **{"seats": 3, "expires_at": END} | changes)
    return read(text, public_half(KEY))


def test_what_was_issued_is_read():
    found = licence(models=["loans", "cars"], grace_days=5)
    assert (found.customer, found.seats, found.expires_at) == ("Harbour Bank", 3, END)
    assert (found.models, found.ends_at) == (("loans", "cars"), END + timedelta(days=5))


def test_an_expired_one_can_still_be_read():
    assert licence(expires_at=datetime(2020, 1, 1, tzinfo=UTC)).expires_at.year == 2020


def changed(text):
    """The same with more seats, under the old signature."""
    head, _, signature = text.split(".")
    more = jwt.encode(
        jwt.decode(text, options={"verify_signature": False}) | {"seats": 999}, private_key_of(OTHER), "EdDSA"
    )
    return ".".join([head, more.split(".")[1], signature])


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (issue(OTHER, "Harbour Bank", seats=3, expires_at=END), "signature_wrong"),
        (changed(issue(KEY, "Harbour Bank", seats=3, expires_at=END)), "signature_wrong"),
        ("", "token_invalid"),
        ("no.such.token", "token_invalid"),
        (jwt.encode({"sub": "x"}, private_key_of(KEY), "EdDSA"), "token_invalid"),
        (jwt.encode({"sub": "x"}, public_half(KEY).hex(), "HS256"), "token_invalid"),
        (jwt.encode({"sub": "x"}, None, "none"), "token_invalid"),
    ],
    ids=["by another", "changed", "empty", "no token", "no licence", "by the public key", "unsigned"],
)
def test_what_the_supplier_did_not_sign_is_refused(text, code):
    with pytest.raises(InvalidInput) as refused:
        read(text, public_half(KEY))
    assert refused.value.code == code


@pytest.mark.parametrize("wrong", [{"seats": 0}, {"models": []}, {"grace_days": -1}])
def test_a_licence_that_nobody_could_use_is_not_issued(wrong):
    with pytest.raises(InvalidInput):
        licence(**wrong)


@pytest.mark.parametrize("pem", [b"", b"-----BEGIN PUBLIC KEY-----", public_half(KEY)])
def test_a_wrong_key_is_named(pem):
    with pytest.raises(InvalidInput) as refused:
        issue(pem, "x", seats=1, expires_at=END)
    assert refused.value.code == "key_invalid"


def standing(moment, **changes):
    return Standing(licence(**changes), clock=lambda: moment)


@pytest.mark.parametrize(
    ("moment", "state"),
    [
        (END - timedelta(days=60), State.VALID),
        (END, State.GRACE),
        (END + timedelta(days=13), State.GRACE),
        (END + timedelta(days=14), State.ENDED),
    ],
)
def test_an_expired_licence_has_days_of_grace(moment, state):
    assert standing(moment).state is state


def test_after_the_grace_nothing_is_predicted():
    standing(END + timedelta(days=13)).require_model("loans")
    with pytest.raises(Forbidden) as refused:
        standing(END + timedelta(days=14)).require_model("loans")
    assert refused.value.code == "licence_ended"


def test_models_may_be_named():
    now = standing(END - timedelta(days=1), models=["loans"])
    now.require_model("loans")
    with pytest.raises(Forbidden) as refused:
        now.require_model("cars")
    assert refused.value.code == "licence_model"


def test_seats_are_counted():
    now = standing(END - timedelta(days=1))
    now.require_seat(2)
    with pytest.raises(Forbidden) as refused:
        now.require_seat(3)
    assert refused.value.code == "licence_seats"


def test_more_accounts_than_seats_are_announced():
    now = standing(END - timedelta(days=60))
    assert now.warning(3) == ""
    assert now.warning(5) == "The licence has 3 seats, and 5 accounts are not blocked: block 2, or get more."
    assert "ends on 2030-06-01. The licence has 3 seats" in standing(END - timedelta(days=1)).warning(4)


def test_the_end_is_announced():
    assert standing(END - timedelta(days=31)).warning() == ""
    assert "2030-06-01" in standing(END - timedelta(days=29)).warning()
    assert "2030-06-15" in standing(END).warning()
    assert "ended" in standing(END + timedelta(days=20)).warning()


def test_without_a_licence_all_is_allowed():
    free = Standing()
    free.require_model("any")
    free.require_seat(10**6)
    assert (free.state, free.warning()) == (State.FREE, "")
