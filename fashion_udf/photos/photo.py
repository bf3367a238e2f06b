"""The result of reading a photo (bytes, or a reason), and the settings of remote photos."""

from __future__ import annotations

from dataclasses import dataclass

from fashion_udf.s3 import S3Settings
from fashion_udf.schema import Status


@dataclass(frozen=True)
class Photo:
    """The bytes of a photo with status `ok`, or no bytes and the reason."""

    data: bytes | None
    status: Status
    error: str | None
    #: Identifies one version of the photo: size and modification time of a file, or the etag of an object in S3. None
    #: for a URL, whose photo counts as the same while the URL is the same.
    identity: str | None = None
    unchanged: bool = False  # the host says that the photo has the validator still, or was not modified since
    validator: str | None = None  # of a URL: its ETag or, without one, its Last-Modified


@dataclass(frozen=True)
class Remote:
    """Settings of remote photos. They are sent to every worker and have no credentials.

    Attributes:
        hosts: hosts that photos may be fetched from: `cdn.example`, `cdn.example:8443`, `*.example` for all below it.
        private_hosts: whether these may have private, loopback and link-local addresses.
        s3: the settings of S3.
        seconds: limit for one photo, with all attempts and redirects.
        requests_per_second: limit of this process for one host.
        max_refused: share of a process's last photos that S3 may refuse before the run stops.
    """

    hosts: tuple[str, ...] = ()
    private_hosts: bool = False
    s3: S3Settings = S3Settings()
    seconds: float = 60.0
    requests_per_second: float = 500.0
    max_refused: float = 0.5


class TransientError(Exception):
    """A request failed in a way that may be over at the next attempt.

    Attributes:
        photo: the result if no attempt is left.
        throttled: whether the server asked for fewer requests.
        after: seconds to wait, by the server; None if it did not say.
    """

    def __init__(self, status: Status, error: str, throttled: bool = False, after: float | None = None) -> None:
        super().__init__(error)
        self.photo = Photo(None, status, error)
        self.throttled = throttled
        self.after = after
