import logging

from rowcast.logs import NoRepeats


def record(words):
    return logging.LogRecord("here", logging.ERROR, __file__, 1, "%s", (words,), None)


def test_the_same_words_are_said_once():
    repeats = NoRepeats()
    assert [repeats.filter(record(words)) for words in ("away", "away", "full", "away")] == [True, False, True, False]


def test_they_are_said_again_later():
    repeats = NoRepeats(seconds=0)
    assert [repeats.filter(record("away")) for _ in range(3)] == [True, True, True]
