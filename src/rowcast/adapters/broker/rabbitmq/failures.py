"""What went wrong with the broker, for the people who run it. Never holds the address's password."""

from __future__ import annotations

import asyncio
import ssl

from aiormq.exceptions import (
    AuthenticationError,
    ChannelAccessRefused,
    ChannelLockedResource,
    ConnectionNotAllowed,
    InvalidFrameError,
    ProbableAuthenticationError,
)

from rowcast.errors import Unavailable

BLOCKED = (
    "RabbitMQ takes no messages for now: it is short of disk space or memory (rabbitmqctl status lists the alarms). "
    "Tasks wait in the database and go on once it has room."
)
UNCONFIRMED = (
    "RabbitMQ did not confirm in time; tasks wait in the database. Look at its log; if it goes on, delete Rowcast's "
    "queues (rabbitmqctl delete_queue), which are made anew and filled again."
)
LOST = "The connection to RabbitMQ was lost; Rowcast connects again. Tasks wait in the database."
QUEUE_GONE = "Somebody deleted a queue of Rowcast's in RabbitMQ; Rowcast makes it anew. Tasks wait in the database."
CLOSED = "Rowcast is shutting down; try again when it is up."

_CREDENTIALS = "RabbitMQ refuses the user name or password. Correct those in ROWCAST_BROKER_URL."
_VHOST = (
    "RabbitMQ has no such virtual host, or does not let this user in. Correct the path of ROWCAST_BROKER_URL, or allow "
    "it: rabbitmqctl set_permissions."
)
_PERMISSIONS = (
    "RabbitMQ does not let this user declare or use queues that begin with rowcast. Allow it: rabbitmqctl "
    "set_permissions -p VHOST USER '^rowcast' '^(rowcast.*|amq.default)$' '^rowcast'."
)
_CERTIFICATE = (
    "RabbitMQ's certificate is not trusted, or is of another name than the host in ROWCAST_BROKER_URL. Give the "
    "address the certificate of who signed it, ?cafile=/path/to/ca.pem, or correct the certificate."
)
_CERTIFICATE_FILE = (
    "A certificate or key that ROWCAST_BROKER_URL names (cafile, certfile, keyfile) cannot be read, or is none in PEM "
    "form. Correct the path or the file."
)
_ENCRYPTION = (
    "RabbitMQ and Rowcast do not agree on an encrypted connection. Correct the port: amqps:// needs the one that "
    "speaks TLS, usually 5671, and amqp:// the other, usually 5672. Where RabbitMQ asks clients for a certificate, "
    "give ROWCAST_BROKER_URL a certfile and a keyfile."
)
SILENT = (
    "RabbitMQ does not answer. Start it, or correct the host and port of ROWCAST_BROKER_URL; tasks wait in the "
    "database."
)


def unavailable(message: str) -> Unavailable:
    return Unavailable("broker_unavailable", message)


def explain(error: BaseException) -> Unavailable:
    """The error as an operator can act on it."""
    if isinstance(error.__cause__, ssl.SSLError):  # RabbitMQ's part in it: the library has it as a lost connection
        return unavailable(_CERTIFICATE if isinstance(error.__cause__, ssl.SSLCertVerificationError) else _ENCRYPTION)
    match error:
        case Unavailable():
            return error
        case AuthenticationError() | ProbableAuthenticationError():
            return unavailable(_CREDENTIALS)
        case ConnectionNotAllowed() | InvalidFrameError():  # the library takes the refusal for a wrong answer
            return unavailable(_VHOST)
        case ChannelAccessRefused():
            return unavailable(_PERMISSIONS)
        case ChannelLockedResource() | RuntimeError():  # closed meanwhile
            return unavailable(LOST)
        case asyncio.CancelledError():
            return unavailable(CLOSED)
        case ssl.SSLError() | FileNotFoundError() | IsADirectoryError() | PermissionError():  # ours: before it connects
            return unavailable(_CERTIFICATE_FILE)
        case OSError() | TimeoutError():
            return unavailable(SILENT)
        case _:
            return unavailable(f"RabbitMQ cannot be used: {type(error).__name__}. Look at its log.")
