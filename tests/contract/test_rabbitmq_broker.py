"""What the broker on RabbitMQ promises besides: it outlives what befalls RabbitMQ, and says what is wrong."""

from __future__ import annotations

import gc
import logging
import queue
import threading
import time
from urllib.parse import quote

import pytest
from services import PrivateRabbit, missing_rabbit

from rowcast.adapters.broker.rabbitmq.broker import RabbitBroker
from rowcast.errors import Unavailable

LANES = {"data": 1, "train": 1, "predict": 50}


SETTLED_SECONDS = 6
"""RabbitMQ 3.10 writes the names of new quorum queues to disk every few seconds: one that is younger when the broker
is killed does not come back."""


@pytest.fixture(scope="module")
def breakable(rabbit_server):
    """A RabbitMQ to kill and start again, whose queues have been there for a while. (The shared one is asked for so
    that the same reasons skip both.)"""
    assert missing_rabbit() is None
    running = PrivateRabbit().start()
    broker = RabbitBroker(running.url, LANES)
    broker.ping()
    broker.close()
    time.sleep(SETTLED_SECONDS)
    yield running
    running.remove()


@pytest.fixture
def open_breakable(breakable):
    """Opens brokers on the RabbitMQ that may be killed, and closes them."""
    opened = []

    def open_breakable():
        opened.append(RabbitBroker(breakable.url, LANES))
        return opened[-1]

    yield open_breakable
    for broker in opened:
        broker.close()


class Vhost:
    """A virtual host by way of the management API, as an operator or a stranger sees it."""

    def __init__(self, server, url):
        self.server = server
        self.name = url.rpartition("/")[2]

    def publish(self, lane, body, **properties):
        message = {"routing_key": f"rowcast.{lane}", "payload": body, "payload_encoding": "string"}
        self.server.request(
            "POST", f"/api/exchanges/{self.name}/amq.default/publish", {**message, "properties": properties}
        )

    def declare(self, lane):
        self.server.request("PUT", f"/api/queues/{self.name}/rowcast.{lane}", {"durable": True})

    def delete(self, lane):
        self.server.request("DELETE", f"/api/queues/{self.name}/rowcast.{lane}")


@pytest.fixture
def vhost(rabbit_server, open_rabbit):
    return Vhost(rabbit_server, open_rabbit.url)


def ids(deliveries):
    return [delivery.task_id for delivery in deliveries]


def insist(call):
    """What the call gives once the broker answers."""
    for _ in range(600):
        try:
            return call()
        except Unavailable:
            time.sleep(0.05)
    return call()


def trouble(call):
    """What the call says once it fails."""
    for _ in range(200):
        try:
            call()
        except Unavailable as error:
            assert error.code == "broker_unavailable"
            return error.message
        time.sleep(0.05)
    raise AssertionError("it did not fail")


def take(broker, lane, count):
    """That many ids, waiting out whatever the broker is in."""
    taken = []
    for _ in range(600):
        try:
            for delivery in broker.consume(lane, timeout=0.1, most=20):
                taken.append(delivery.task_id)
                delivery.done()
        except Unavailable:
            time.sleep(0.05)
        if len(taken) >= count:
            return sorted(taken)
    raise AssertionError(f"only {len(taken)} of {count} came")


def assert_come(broker, lane, expected):
    """They all come, among others that may be left over or come twice."""
    missing = set(expected)
    while missing:
        missing -= set(take(broker, lane, 1))


def said_by(caplog, logger="rowcast.adapters.broker.rabbitmq.link"):
    return [record.getMessage() for record in caplog.records if record.name == logger]


def test_what_was_confirmed_outlives_a_killed_broker(breakable, open_breakable):
    broker = open_breakable()
    expected = [f"{number:03}" for number in range(60)]
    broker.publish("predict", expected[:50])
    (held,) = broker.consume("predict", timeout=30)
    breakable.kill()

    assert "asks wait in the database" in trouble(broker.ping)
    with pytest.raises(Unavailable):
        broker.publish("predict", ["lost"])
    held.done()
    breakable.start()

    insist(lambda: broker.publish("predict", expected[50:]))
    assert_come(broker, "predict", expected)


def test_a_broker_that_is_late_is_waited_for_and_the_log_says_so_once(breakable, open_breakable, caplog):
    breakable.stop()
    caplog.set_level(logging.INFO, "rowcast")
    broker = open_breakable()
    taken = []
    consumer = threading.Thread(target=lambda: taken.extend(take(broker, "data", 1)))
    consumer.start()
    assert "does not answer" in trouble(broker.ping)
    assert "does not answer" in trouble(lambda: broker.consume("train", 0))

    breakable.start()
    insist(lambda: broker.publish("data", ["one"]))
    consumer.join(timeout=60)

    assert taken == ["one"]
    said = said_by(caplog)
    assert [line for line in said if "does not answer" in line] == said[:1]
    assert said[-1] == "broker: connected to RabbitMQ"


@pytest.mark.parametrize(
    ("alarm", "enough"),
    [
        (("set_disk_free_limit", "1000000GB"), ("set_disk_free_limit", "50MB")),
        (("set_vm_memory_high_watermark", "absolute", "1MB"), ("set_vm_memory_high_watermark", "0.4")),
    ],
)
def test_a_broker_short_of_disk_or_memory_says_so_lets_work_go_on_and_recovers(
    breakable, open_breakable, alarm, enough
):
    broker = open_breakable()
    broker.publish("predict", ["before"])
    breakable.control(*alarm)
    try:
        assert "short of disk space or memory" in trouble(lambda: broker.publish("predict", ["during"]))
        assert "short of disk space or memory" in trouble(broker.ping)
        assert_come(broker, "predict", ["before"])
    finally:
        breakable.control(*enough)

    insist(lambda: broker.publish("predict", ["after"]))
    assert_come(broker, "predict", ["after"])
    broker.ping()


def test_a_broker_that_goes_silent_says_so_and_all_is_there_when_it_is_back(breakable, open_breakable):
    broker = open_breakable()
    broker.publish("predict", ["before"])
    breakable.freeze()
    try:
        assert "does not answer" in trouble(broker.ping)
        assert "did not confirm" in trouble(lambda: broker.publish("predict", ["during"]))
        assert "does not answer" in trouble(broker.depths)
    finally:
        breakable.thaw()

    insist(lambda: broker.publish("predict", ["after"]))
    assert_come(broker, "predict", ["before", "after"])


def test_attempts_that_fail_leave_nothing_behind(open_rabbit, recwarn):
    broker = open_rabbit("amqp://app:s3cret@127.0.0.1:1/none")
    assert "does not answer" in trouble(broker.ping)
    broker.close()
    gc.collect()  # on this thread, which has no event loop
    assert [str(warning.message) for warning in recwarn if "never awaited" in str(warning.message)] == []


@pytest.fixture(scope="module")
def encrypted(rabbit_server):
    """A RabbitMQ that speaks TLS too, with a certificate that nobody knows."""
    running = PrivateRabbit(tls=True).start()
    (running.folder / "empty.pem").touch()
    yield running
    running.remove()


def test_an_encrypted_connection_needs_whom_to_trust(encrypted, open_rabbit):
    broker = open_rabbit(f"amqps://app:s3cret@127.0.0.1:{encrypted.tls_port}/%2F?cafile={encrypted.authority}")
    broker.publish("data", ["one"])
    assert take(broker, "data", 1) == ["one"]


@pytest.mark.parametrize(
    ("host", "files", "said"),
    [
        ("127.0.0.1", "", "not trusted"),
        ("localhost", "cafile=authority.pem", "another name"),
        ("127.0.0.1", "cafile=missing.pem", "cannot be read"),
        ("127.0.0.1", "cafile=empty.pem", "none in PEM"),
        ("127.0.0.1", "cafile=authority.pem&certfile=server.pem&keyfile=empty.pem", "none in PEM"),
    ],
)
def test_an_encrypted_connection_that_fails_says_why(encrypted, open_rabbit, host, files, said):
    files = files.replace("=", f"={encrypted.folder}/")
    broker = open_rabbit(f"amqps://app:s3cret@{host}:{encrypted.tls_port}/%2F?{files}")
    assert said in trouble(broker.ping)


def test_an_encrypted_connection_to_the_other_port_says_so(encrypted, open_rabbit):
    broker = open_rabbit(f"amqps://app:s3cret@127.0.0.1:{encrypted.port}/%2F")
    assert "Correct the port" in trouble(broker.ping)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("hello", "message_unreadable"),
        ("[1]", "message_unreadable"),
        ('{"v":2,"tasks":["one"]}', "message_version_unknown"),
        ('{"v":1}', "message_unreadable"),
        ('{"v":1,"tasks":[]}', "message_unreadable"),
        ('{"v":1,"tasks":"one"}', "message_unreadable"),
        ('{"v":1,"tasks":["two",["three"]]}', "message_unreadable"),
        ('{"v":1,"tasks":["' + "x" * 65 + '"]}', "message_unreadable"),
        ('{"v":1,"tasks":["../../etc"]}', "message_unreadable"),
    ],
)
def test_poison_goes_to_the_dead_letters_and_holds_nothing_up(open_rabbit, vhost, caplog, body, reason):
    broker = open_rabbit()
    broker.ping()
    vhost.publish("data", body, message_id="stranger")
    broker.publish("data", ["one"])

    assert take(broker, "data", 1) == ["one"]

    (letter,) = wait_for_letters(broker)
    assert (letter.lane, letter.reason) == ("data", reason)
    assert letter.died_at is not None
    assert not broker.revive(letter.id)
    assert any(record.levelno == logging.ERROR and reason in record.getMessage() for record in caplog.records)


def test_what_comes_back_too_often_is_dead(open_rabbit):
    broker = open_rabbit()
    broker.publish("predict", ["one"])
    deliveries = 0
    while not broker.dead(1):
        for delivery in broker.consume("predict", timeout=0.2):
            deliveries += 1
            delivery.back()
        assert deliveries < 100

    (letter,) = broker.dead(10)
    assert (letter.id, letter.lane, letter.reason) == ("one", "predict", "delivery_limit")
    assert deliveries == 21
    assert broker.revive("one")
    assert take(broker, "predict", 1) == ["one"]
    assert broker.dead(10) == []


def test_tasks_that_are_published_together_share_messages_and_each_is_answered_for(open_rabbit):
    broker = open_rabbit()
    broker.publish("predict", [f"{number:02}" for number in range(40)])
    assert broker.depths()["predict"] == 3

    assert take(broker, "predict", 40) == [f"{number:02}" for number in range(40)]
    broker.ping()
    assert broker.depths()["predict"] == 0


def test_if_one_task_of_a_message_is_given_back_all_come_again(open_rabbit):
    broker = open_rabbit()
    broker.publish("predict", ["one", "two", "three"])
    first, second, third = broker.consume("predict", timeout=30, most=3)
    first.done()
    second.back()
    assert not broker.consume("predict", timeout=0.2, most=3)
    third.done()

    assert take(broker, "predict", 3) == ["one", "three", "two"]


def test_of_a_message_only_the_task_that_is_refused_is_dead(open_rabbit):
    broker = open_rabbit()
    broker.publish("predict", ["one", "two", "three"])
    first, second, third = broker.consume("predict", timeout=30, most=3)
    first.done()
    second.refuse("task_unknown")
    third.done()

    assert [letter.id for letter in wait_for_letters(broker)] == ["two"]
    assert not broker.consume("predict", timeout=0.2, most=3)
    assert broker.revive("two")
    assert take(broker, "predict", 1) == ["two"]


def test_a_message_about_several_tasks_that_comes_back_too_often_is_a_letter_for_each(open_rabbit):
    broker = open_rabbit()
    broker.publish("predict", ["one", "two"])
    while not broker.dead(1):
        for delivery in broker.consume("predict", timeout=0.2, most=2):
            delivery.back()

    assert [letter.id for letter in broker.dead(10)] == ["one", "two"]
    assert broker.revive("two")
    assert take(broker, "predict", 2) == ["one", "two"]
    assert broker.dead(10) == []


def test_dead_letters_stay_however_often_they_are_looked_at(open_rabbit):
    broker = open_rabbit()
    broker.publish("data", ["one", "two"])
    for _ in range(2):
        (delivery,) = broker.consume("data", timeout=30)
        delivery.refuse("task_unknown")
    wait_for_letters(broker, 2)

    for _ in range(30):
        assert [letter.id for letter in broker.dead(10)] == ["one", "two"]


def wait_for_letters(broker, count=1):
    for _ in range(200):
        if len(letters := broker.dead(10)) == count:
            return letters
        time.sleep(0.05)
    raise AssertionError(f"{letters}")


@pytest.mark.parametrize("consuming", [True, False])
def test_a_deleted_queue_is_missed_and_made_anew(open_rabbit, vhost, consuming):
    broker = open_rabbit()
    broker.publish("data", ["before"])
    if consuming:
        assert take(broker, "data", 1) == ["before"]
    vhost.delete("data")

    if not consuming:
        assert "deleted a queue" in trouble(lambda: broker.publish("data", ["during"]))
    insist(lambda: broker.publish("data", ["after"]))
    assert "after" in take(broker, "data", 1)


def test_a_queue_with_other_arguments_is_named_and_used_once_it_is_gone(open_rabbit, vhost):
    vhost.declare("data")
    broker = open_rabbit()

    message = trouble(lambda: broker.publish("data", ["one"]))
    assert "rowcast.data" in message
    assert "rabbitmqctl delete_queue" in message

    vhost.delete("data")
    insist(lambda: broker.publish("data", ["one"]))
    assert take(broker, "data", 1) == ["one"]


def test_a_wrong_password_is_named_never_shown_and_may_be_corrected(rabbit_server, open_rabbit, vhost, caplog):
    caplog.set_level(logging.DEBUG)
    user, right = f"user_{vhost.name}", "right-S3cret"
    put_user(rabbit_server, user, "other")
    allow(rabbit_server, vhost, user)
    host = open_rabbit.url.partition("@")[2]
    broker = open_rabbit(f"amqp://{user}:{right}@{host}")

    message = trouble(broker.ping)
    assert "user name or password" in message
    assert right not in message + repr(broker) + caplog.text

    put_user(rabbit_server, user, right)
    insist(broker.ping)
    broker.publish("data", ["one"])
    rabbit_server.request("DELETE", f"/api/users/{user}")
    assert right not in caplog.text


def put_user(server, user, password):
    server.request("PUT", f"/api/users/{user}", {"password": password, "tags": ""})


def allow(server, vhost, user, configure=".*"):
    rights = {"configure": configure, "write": ".*", "read": ".*"}
    server.request("PUT", f"/api/permissions/{vhost.name}/{quote(user)}", rights)


def test_a_user_who_may_not_is_told_what_to_allow(rabbit_server, open_rabbit, vhost):
    user = f"user_{vhost.name}"
    put_user(rabbit_server, user, "pw")
    host = open_rabbit.url.partition("@")[2]

    broker = open_rabbit(f"amqp://{user}:pw@{host}")
    assert "set_permissions" in trouble(broker.ping)

    allow(rabbit_server, vhost, user, configure="^$")
    for _ in range(200):
        if "queues that begin with rowcast" in trouble(broker.ping):
            break
        time.sleep(0.05)
    assert "queues that begin with rowcast" in trouble(broker.ping)

    allow(rabbit_server, vhost, user, configure="^rowcast")
    insist(broker.ping)
    rabbit_server.request("DELETE", f"/api/users/{user}")


def test_an_unknown_virtual_host_is_named(open_rabbit):
    broker = open_rabbit(open_rabbit.url + "-unknown")

    assert "virtual host" in trouble(broker.ping)


def test_who_submitted_hears_from_another_process(open_rabbit):
    ours, theirs = open_rabbit(), open_rabbit()
    heard = queue.Queue()
    ours.listen(lambda ids: [heard.put(one) for one in ids])
    ours.ping()
    ours.publish("data", ["one"])
    (delivery,) = theirs.consume("data", timeout=30)
    delivery.done()

    assert heard_in_the_end(heard, lambda: theirs.announce([(delivery.reply_to, "one")])) == "one"


def test_who_submitted_hears_of_it_after_a_restart(breakable, open_breakable):
    ours, theirs = open_breakable(), open_breakable()
    heard = queue.Queue()
    ours.listen(lambda ids: [heard.put(one) for one in ids])
    ours.publish("data", ["one"])
    (delivery,) = theirs.consume("data", timeout=30)
    breakable.kill()
    breakable.start()

    assert heard_in_the_end(heard, lambda: theirs.announce([(delivery.reply_to, "one")])) == "one"


def heard_in_the_end(heard, announce):
    """A word may get lost: whoever announces a change does so again at the next."""
    for _ in range(200):
        announce()
        try:
            return heard.get(timeout=0.2)
        except queue.Empty:
            continue
    raise AssertionError("nothing was heard")


def test_a_process_that_is_busy_holds_nothing_that_another_could_do(open_rabbit):
    busy, free = open_rabbit(), open_rabbit()
    busy.publish("train", ["one", "two", "three"])
    (held,) = busy.consume("train", timeout=30)
    held.done()

    assert take(free, "train", 2) == ["three", "two"]


def test_a_process_that_stops_asking_gives_back_what_it_was_sent(open_rabbit):
    slow, free = open_rabbit(), open_rabbit()
    for number in range(30):
        slow.publish("predict", [f"{number:02}"])
    (held,) = slow.consume("predict", timeout=30, most=1)

    assert len(take(free, "predict", 29)) == 29
    held.done()


def test_a_lane_of_another_version_is_refused_without_harm(open_rabbit):
    broker = open_rabbit()

    with pytest.raises(Unavailable, match="no lane"):
        broker.publish("unknown", ["one"])
    broker.publish("data", ["one"])
