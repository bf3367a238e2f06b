"""Photos by https and http.

A catalog is untrusted input: a URL may lead into a private network. So photos only come from configured hosts, also
after a redirect. A connection uses exactly the address that was checked, because the name may get another address.
"""

from __future__ import annotations

import email.utils
import functools
import re
import ssl
import time
from collections.abc import Mapping
from urllib.parse import urljoin

import urllib3
from urllib3.exceptions import HTTPError, LocationParseError, NewConnectionError, SSLError
from urllib3.exceptions import TimeoutError as NoAnswerError
from urllib3.util import Timeout, Url, parse_url

from fashion_udf.photos import hosts, time_limits
from fashion_udf.photos.hosts import PORTS, ForbiddenError, Host, UnknownHostError
from fashion_udf.photos.photo import Photo, Remote, TransientError
from fashion_udf.schema import Status

REDIRECTS = 5
_HEADERS = {"User-Agent": "fashion-udf", "Accept": "image/*,*/*;q=0.1", "Accept-Encoding": "identity"}
_MOVED = (301, 302, 303, 307, 308)
_ETAG = re.compile(r'(W/)?"[\x21\x23-\x7e]{1,200}"')
_DATE = re.compile(r"[\w,: +-]{1,40}", re.ASCII)


def read(url: str, remote: Remote, max_bytes: int, validator: str | None = None) -> Photo:
    """Fetch a photo. This function never raises, for any URL.

    Args:
        url: `https:` or `http:`, without a user or a password.
        remote: the allowed hosts, and the limits.
        max_bytes: a larger answer is refused.
        validator: an ETag, or an HTTP date. The photo is `unchanged` if the host answers that it still has that ETag,
            or was not modified since.
    """
    deadline = time.monotonic() + remote.seconds
    scheme = ""
    for _ in range(REDIRECTS + 1):
        try:
            target, host = _place(url, remote)
            if scheme == "https" != host.scheme:
                raise ForbiddenError("redirect from https to http")
        except ForbiddenError as error:
            return Photo(None, Status.IMAGE_FORBIDDEN, str(error))
        scheme = host.scheme
        ask = functools.partial(_ask, host, target, max_bytes, deadline, remote.seconds, validator)
        answer = host.endpoint.photo(ask, "http_get", max(0.0, deadline - time.monotonic()))
        if isinstance(answer, Photo):
            return answer
        url = urljoin(url, answer)
    return Photo(None, Status.IMAGE_FORBIDDEN, f"more than {REDIRECTS} redirects")


def _place(url: str, remote: Remote) -> tuple[str, Host]:
    """Return the path to request, and the host.

    Raises:
        ForbiddenError: the URL is invalid, has a user, or its host is not allowed.
    """
    try:
        parts: Url = parse_url(url.strip())
    except LocationParseError:
        raise ForbiddenError("not a URL") from None
    if parts.scheme not in PORTS or not parts.host:
        raise ForbiddenError("not a URL of https or http")
    if parts.auth is not None:
        raise ForbiddenError("URL with a user or password")
    name, port = parts.host.strip("[]").rstrip(".").lower(), parts.port or PORTS[parts.scheme]
    if not hosts.is_allowed(name, None if port == PORTS[parts.scheme] else port, remote.hosts):
        raise ForbiddenError(f"host {name[:100]!r} is not in input.image_hosts")
    return parts.request_uri, hosts.host(parts.scheme, name, port, remote)


def _ask(
    host: Host, target: str, max_bytes: int, deadline: float, seconds: float, validator: str | None
) -> Photo | str:
    """Send one request, and return the result of `_read`.

    Raises:
        TransientError: another attempt may succeed.
    """
    headers = {**_HEADERS, "Host": host.header()}
    if validator:
        headers["If-None-Match" if validator.endswith('"') else "If-Modified-Since"] = validator
    left = max(0.1, deadline - time.monotonic())
    wait = min(seconds / 3, left)
    hosts.this_thread.call = call = hosts.Call()
    # A slow server may send single bytes for ever. Only closing the connection ends that.
    time_limits.watch(call.hang_up, time.monotonic() + left)
    try:
        answer = host.pool().urlopen(
            *("GET", target, None, headers, False),
            redirect=False,
            preload_content=False,
            decode_content=False,
            timeout=Timeout(connect=wait / 2, read=wait),
        )
        return _read(answer, max_bytes, call)
    except ForbiddenError as error:
        return Photo(None, Status.IMAGE_FORBIDDEN, str(error))
    except UnknownHostError as error:
        raise TransientError(Status.IMAGE_IO, str(error)) from error
    except (HTTPError, OSError, ValueError) as error:
        # For urllib3, a refused connection counts as a timeout.
        if call.hung_up or (isinstance(error, NoAnswerError) and not isinstance(error, NewConnectionError)):
            raise TransientError(Status.IMAGE_TIMEOUT, f"timeout: {type(error).__name__}") from error
        if (tls := _tls(error)) is not None:  # another attempt would have the same certificate
            return Photo(None, Status.IMAGE_IO, tls)
        raise TransientError(Status.IMAGE_IO, f"connection failed: {type(error).__name__}") from error
    finally:
        time_limits.forget(call.hang_up)


def _tls(error: BaseException) -> str | None:
    """Return the problem of TLS; None if the cause is another one."""
    if not isinstance(error, (SSLError, ssl.SSLError)):
        return None
    if any(isinstance(each, ValueError) and not isinstance(each, ssl.SSLError) for each in error.args):
        return "TLS: the certificate is of another host"  # urllib3's CertificateError
    reason = next((each for each in error.args if isinstance(each, ssl.SSLError)), error)
    why = getattr(reason, "verify_message", "") or getattr(reason, "reason", "") or type(error).__name__
    return f"TLS: {why}"


def _read(answer: urllib3.BaseHTTPResponse, max_bytes: int, call: hosts.Call) -> Photo | str:
    """Return the result of an answer: a photo, a reason, or another URL."""
    status, headers = answer.status, answer.headers
    try:
        if status in _MOVED and headers.get("Location"):
            answer.drain_conn()
            return headers["Location"]
        if status == 200:
            return _body(answer, max_bytes, call)
        if status == 304:
            return Photo(None, Status.OK, None, unchanged=True, validator=_validator(headers))
        answer.close()  # the body of an error is not needed
        return _without_photo(status, headers)
    finally:
        answer.release_conn()


def _body(answer: urllib3.BaseHTTPResponse, max_bytes: int, call: hosts.Call) -> Photo:
    length = answer.headers.get("Content-Length", "")
    size = int(length) if length.isdigit() else None
    data = b"" if size is not None and size > max_bytes else answer.read(max_bytes + 1)
    if call.hung_up:  # without a length, a broken answer may look complete
        raise TransientError(Status.IMAGE_TIMEOUT, "timeout: the answer did not end")
    if max(size or 0, len(data)) > max_bytes:
        answer.close()
        error = f"{'more' if size is None else size} bytes, at most {max_bytes} are accepted"
        return Photo(None, Status.IMAGE_TOO_LARGE, error)
    if size is not None and len(data) < size:
        raise TransientError(Status.IMAGE_IO, f"{len(data)} of {size} bytes came")
    return Photo(data, Status.OK, None, validator=_validator(answer.headers))


def _validator(headers: Mapping[str, str]) -> str | None:
    """Return what tells this version of a photo from others: the ETag or, without one, the date. None without both.

    Both are sent back to the host as they are: what no header may hold is no validator.
    """
    etag, date = headers.get("ETag", "").strip(), headers.get("Last-Modified", "").strip()
    if _ETAG.fullmatch(etag):
        return etag
    return date if email.utils.parsedate_tz(date) is not None and _DATE.fullmatch(date) else None


def _without_photo(status: int, headers: Mapping[str, str]) -> Photo:
    if status in (204, 205, 404, 410):
        return Photo(None, Status.IMAGE_MISSING, f"answer {status}")
    if status in (408, 425, 429) or status >= 500:
        throttled = status in (429, 503)
        after = _seconds(headers.get("Retry-After", "")) if throttled else None
        raise TransientError(Status.IMAGE_IO, f"answer {status}", throttled, after)
    return Photo(None, Status.IMAGE_FORBIDDEN, f"answer {status}")


def _seconds(retry_after: str) -> float | None:
    """Return the seconds of a Retry-After header: a number, or a date."""
    if retry_after.strip().isdigit():
        return float(retry_after)
    if (date := email.utils.parsedate_tz(retry_after)) is not None:
        return max(0.0, email.utils.mktime_tz(date) - time.time())
    return None
