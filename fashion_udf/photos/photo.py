"""What is asked of a place where photos are, and what comes back: bytes, or a reason."""

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
    #: What tells a replaced photo from the old one, as it was read: size and modification time of a file, the etag of
    #: an object of S3. None for a URL, whose photo is the same while the URL is.
    identity: str | None = None
    unchanged: bool = False  # the host says that the photo was not modified since


@dataclass(frozen=True)
class Remote:
    """How photos are fetched that are no local files. It is sent to every worker: it holds no credentials.

    Attributes:
        hosts: hosts that photos may be fetched from: `cdn.example`, `cdn.example:8443`, `*.example` for all below it.
        private_hosts: whether these may have private, loopback and link-local addresses.
        s3: where S3 is.
        seconds: for one photo, attempts and redirects included.
        requests_per_second: of this process to one host.
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
        photo: what the row gets if no attempt is left.
        throttled: the other side asked for fewer requests.
        after: seconds that it asked to wait; None if it did not say.
    """

    def __init__(self, status: Status, error: str, throttled: bool = False, after: float | None = None) -> None:
        super().__init__(error)
        self.photo = Photo(None, status, error)
        self.throttled = throttled
        self.after = after
