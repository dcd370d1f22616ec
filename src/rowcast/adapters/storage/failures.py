"""What a service that speaks S3 refused, as errors of ours that say what to change."""

from __future__ import annotations

import errno
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager

from obstore.exceptions import BaseError

from rowcast.adapters.storage.keys import missing
from rowcast.errors import RowcastError, Unavailable

_CODE = re.compile(r"<Code>(\w+)</Code>")
_STATUS = re.compile(r"status code: (\d{3})")

_SIGNATURE = (
    "The storage does not accept the secret key. Correct ROWCAST_STORAGE_SECRET_KEY; if it is right, the region may "
    "not be (ROWCAST_STORAGE_REGION)."
)
_REGION = "The bucket is in another region. Correct ROWCAST_STORAGE_REGION."
_ADVICE = {
    "InvalidAccessKeyId": "The storage does not know the access key. Correct ROWCAST_STORAGE_ACCESS_KEY.",
    "SignatureDoesNotMatch": _SIGNATURE,
    "AccessDenied": "The storage does not let this key do that. Give it the right to list, read, write and delete in "
    "the bucket of ROWCAST_STORAGE_URL.",
    "NoSuchBucket": "The bucket is not there. Make it, or correct ROWCAST_STORAGE_URL.",
    "ExpiredToken": "The keys of the storage have run out. Give ROWCAST_STORAGE_ACCESS_KEY and its secret anew.",
    "RequestTimeTooSkewed": "The clocks of this machine and of the storage differ too much. Set them.",
    "AuthorizationHeaderMalformed": _REGION,
    "PermanentRedirect": _REGION,
}
_NO_KEYS = (
    "There are no keys for the storage. Set ROWCAST_STORAGE_ACCESS_KEY and ROWCAST_STORAGE_SECRET_KEY, or the "
    "variables that AWS has for them."
)
_REFUSED = (
    "The storage refuses the keys. Correct ROWCAST_STORAGE_ACCESS_KEY and ROWCAST_STORAGE_SECRET_KEY, or give them "
    "more rights."
)
_UNREACHED = (
    "The storage cannot be reached. See that it runs, and that ROWCAST_STORAGE_ENDPOINT is its address, http or https."
)
_FULL_CODES = frozenset({"QuotaExceeded", "InsufficientStorage", "InsufficientCapacity"})
_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})

log = logging.getLogger(__name__)


@contextmanager
def translated(key: str) -> Iterator[None]:
    """Errors of the library, and of files on this machine, as errors of ours about the object of that key."""
    try:
        yield
    except (BaseError, OSError) as error:
        raise _ours(error, key) from None  # its text has addresses and names of keys


def _ours(error: Exception, key: str) -> RowcastError:
    text = str(error)
    code = next(iter(_CODE.findall(text)), "")
    status = next(iter(_STATUS.findall(text)), "")
    if code in _ADVICE:
        return Unavailable("storage_unavailable", _ADVICE[code])
    if isinstance(error, FileNotFoundError):
        return missing(key)
    if isinstance(error, OSError) and error.errno is not None:
        return _of_this_machine(error)
    if code in _FULL_CODES or status == "507":
        return Unavailable("storage_full", "The storage is full. Free some space or raise its quota, then try again.")
    if status in ("401", "403"):
        return Unavailable("storage_unavailable", _REFUSED)
    if "Missing" in text or "169.254." in text:  # where machines at AWS ask for the keys of their role
        return Unavailable("storage_unavailable", _NO_KEYS)
    if not status:
        return Unavailable("storage_unavailable", _UNREACHED)
    log.error("the storage answered with %s %s", status, code)
    return Unavailable("storage_unavailable", f"The storage does not work ({status} {code}). See its own log.")


def _of_this_machine(error: OSError) -> Unavailable:
    if error.errno in _NO_SPACE:
        return Unavailable("storage_full", "There is no space here for a local copy. Free some, then try again.")
    return Unavailable("storage_unavailable", f"A local copy cannot be used ({error.strerror}).")
