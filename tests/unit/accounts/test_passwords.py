"""Passwords: which are taken, how they are kept, and that comparing tells nothing but the answer."""

import asyncio
import threading

import pytest
from argon2 import extract_parameters
from argon2.low_level import Type
from argon2.profiles import CHEAPEST, RFC_9106_LOW_MEMORY

from rowcast.accounts.passwords import Passwords
from rowcast.errors import InvalidInput, Unavailable

GOOD = "lemon river stone"


@pytest.fixture
def passwords():
    made = Passwords(parameters=CHEAPEST)
    yield made
    made.close()


def test_a_password_is_kept_as_argon2id_as_the_standard_recommends():
    made = Passwords()
    kept = made.accept(GOOD)
    made.close()

    parameters = extract_parameters(kept)
    assert parameters == RFC_9106_LOW_MEMORY
    assert (parameters.type, parameters.memory_cost) == (Type.ID, 64 * 1024)
    assert GOOD not in kept


def test_only_the_password_itself_matches(passwords):
    kept = passwords.accept(GOOD)

    assert passwords.matches(kept, GOOD)
    assert not passwords.matches(kept, GOOD + " ")
    assert not passwords.matches(kept, "")
    assert not passwords.matches(kept, GOOD + "x" * 1000)
    assert not passwords.matches("not a hash", GOOD)
    assert not passwords.matches(kept, "\udcff")


def test_the_same_password_is_never_kept_the_same(passwords):
    assert passwords.accept(GOOD) != passwords.accept(GOOD)


def test_it_matches_however_a_keyboard_writes_it(passwords):
    kept = passwords.accept("cafe\u0301 am Fluss sehr")

    assert passwords.matches(kept, "caf\u00e9 am Fluss sehr")


@pytest.mark.parametrize(
    ("password", "code"),
    [
        ("", "password_short"),
        ("x7#Kq2!vB", "password_short"),
        ("x" * 201, "password_long"),
        ("password1234", "password_guessable"),
        ("qwertyuiop[]", "password_guessable"),
        ("aaaaaaaaaaaaaaaaaaaa", "password_guessable"),
        ("парольпароль", "password_guessable"),
        ("йцукенгшщз", "password_guessable"),
        ("привет12345", "password_guessable"),
        ("rowcast2026", "password_guessable"),
        ("anna.ivanova1", "password_guessable"),
        ("ivanova-anna", "password_guessable"),
        ("example.org1", "password_guessable"),
    ],
)
def test_what_is_short_or_guessed_is_refused(passwords, password, code):
    with pytest.raises(InvalidInput) as caught:
        passwords.accept(password, ("Anna.Ivanova", "anna@example.org", None))
    assert caught.value.code == code
    assert not password or password not in caught.value.message


@pytest.mark.parametrize("password", [GOOD, "k3Jf92ndLm", "лимон река камень", "🦊 лиса у реки 🦊"])
def test_what_is_hard_to_guess_is_taken(passwords, password):
    assert passwords.matches(passwords.accept(password), password)


def test_a_password_made_to_be_slow_to_judge_is_judged_all_the_same(passwords):
    passwords.accept("4@8({[<369&#!1|0$5+7%2" * 9)


def test_published_passwords_are_refused():
    class Published:
        def contains(self, password):
            return password == GOOD

    made = Passwords(Published(), parameters=CHEAPEST)
    with pytest.raises(InvalidInput) as caught:
        made.accept(GOOD)
    assert caught.value.code == "password_breached"
    made.accept("another river stone")
    made.close()


def test_a_hash_of_other_costs_is_renewed_when_its_password_is_known(passwords):
    strong = Passwords()
    weak = passwords.accept(GOOD)

    assert passwords.renewed(weak, GOOD) == weak
    renewed = strong.renewed(weak, GOOD)
    assert renewed != weak
    assert strong.matches(renewed, GOOD)
    strong.close()


def test_an_unknown_account_takes_the_same_work(passwords):
    compared = []
    verify = passwords._hasher.verify

    class Noting:
        def __getattr__(self, name):
            return getattr(passwords._hasher.__class__, name)

        def verify(self, kept, given):
            compared.append(extract_parameters(kept))
            return verify(kept, given)

    kept = passwords.accept(GOOD)
    passwords._hasher = Noting()
    assert not passwords.matches(kept, "wrong")
    assert not passwords.matches(None, "wrong")
    assert compared == [CHEAPEST, CHEAPEST]


def test_few_are_hashed_at_once_and_not_too_many_wait():
    made = Passwords(parameters=CHEAPEST, at_once=2, most_waiting=5)
    running, most, lock, go = 0, 0, threading.Lock(), threading.Event()

    def work():
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        go.wait(30)
        with lock:
            running -= 1
        return "done"

    async def crowd():
        waiting = [asyncio.ensure_future(made.run(work)) for _ in range(5)]
        await asyncio.sleep(0)
        with pytest.raises(Unavailable) as caught:
            await made.run(work)
        go.set()
        assert await asyncio.gather(*waiting) == ["done"] * 5
        assert await made.run(lambda: "again") == "again"
        return caught.value.code

    assert asyncio.run(crowd()) == "sign_in_busy"
    assert most <= 2
    made.close()
