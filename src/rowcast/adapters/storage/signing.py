"""Links to objects on S3 that name the file to be saved, which obstore has none of: AWS Signature Version 4."""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime
from functools import reduce
from urllib.parse import quote, urlsplit


def signed_link(
    address: str, filename: str, *, region: str, access_key: str, secret_key: str, seconds: int, moment: datetime
) -> str:
    """The address of an object, good for so many seconds from ``moment``, that is answered as a file of that name."""
    day, time = moment.astimezone(UTC).strftime("%Y%m%d"), moment.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    scope = f"{day}/{region}/s3/aws4_request"
    asked = {
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
        "X-Amz-Credential": f"{access_key}/{scope}",
        "X-Amz-Date": time,
        "X-Amz-Expires": str(seconds),
        "X-Amz-SignedHeaders": "host",
        "response-content-disposition": f'attachment; filename="{filename}"',
    }
    query = "&".join(f"{name}={quote(value, safe='')}" for name, value in sorted(asked.items()))
    parts = urlsplit(address)
    request = f"GET\n{parts.path}\n{query}\nhost:{parts.netloc}\n\nhost\nUNSIGNED-PAYLOAD"
    text = f"AWS4-HMAC-SHA256\n{time}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
    key = reduce(_hmac, scope.split("/"), f"AWS4{secret_key}".encode())
    return f"{address}?{query}&X-Amz-Signature={_hmac(key, text).hex()}"


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")
