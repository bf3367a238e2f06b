"""Signatures (SigV4) of GET requests for the objects of one bucket.

botocore signs any request of any service: with each it sorts and joins headers, and derives the key of the day by four
hashes. Here all but the path and the time is known, so a signature takes a tenth of that time.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from typing import Any
from urllib.parse import urlsplit

_EMPTY = hashlib.sha256(b"").hexdigest()  # of the body that a GET does not have


class Signer:
    """Signs GET requests below one URL. Threads may share it."""

    def __init__(self, url: str, region: str, service: str, headers: dict[str, str]) -> None:
        """Prepare signatures.

        Args:
            url: what all URLs begin with.
            region, service: of the signature.
            headers: sent and signed with each request; names are in lower case.
        """
        parts = urlsplit(url)
        self._path, self._headers = parts.path, headers
        usual_port = {"http": ":80", "https": ":443"}[parts.scheme]  # is not sent
        self._host = parts.netloc.lower().removesuffix(usual_port)
        self._scope = f"{region}/{service}/aws4_request"
        self._of_day: tuple[str, str, bytes] | None = None  # secret, day, key: replaced as a whole

    def headers(self, quoted_key: str, credentials: Any, now: float | None = None) -> dict[str, str]:
        """Return the headers of a request.

        Args:
            quoted_key: the rest of the URL, with percent escapes.
            credentials: botocore's `ReadOnlyCredentials`.
            now: seconds since 1970; None means the time of the call.
        """
        moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
        sent = {"x-amz-content-sha256": _EMPTY, "x-amz-date": moment, **self._headers}
        if credentials.token:
            sent["x-amz-security-token"] = credentials.token
        signed = {"host": self._host, **sent}
        names = sorted(signed)
        lines = "".join(f"{name}:{signed[name]}\n" for name in names)
        request = f"GET\n{self._path}{quoted_key}\n\n{lines}\n{';'.join(names)}\n{_EMPTY}"
        scope = f"{moment[:8]}/{self._scope}"
        text = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
        signature = _keyed(self._key(credentials.secret_key, moment[:8]), text).hex()
        sent["Authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={credentials.access_key}/{scope}, "
            f"SignedHeaders={';'.join(names)}, Signature={signature}"
        )
        return sent

    def _key(self, secret: str, day: str) -> bytes:
        """Return the key of a day, which is derived once."""
        if (known := self._of_day) is not None and known[:2] == (secret, day):
            return known[2]
        key = f"AWS4{secret}".encode()
        for part in (day, *self._scope.split("/")):
            key = _keyed(key, part)
        self._of_day = secret, day, key
        return key


def _keyed(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")
