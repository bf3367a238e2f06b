"""Photos in S3. Any number of threads may fetch them; each photo is checked against its length and etag."""

from __future__ import annotations

import hashlib
import re
import threading
from collections import deque
from contextlib import closing

import urllib3
from urllib3.exceptions import HTTPError, NewConnectionError
from urllib3.exceptions import TimeoutError as NoAnswerError

from fashion_udf import s3
from fashion_udf.errors import ConfigError, StoreUnavailableError
from fashion_udf.photos import s3_listing, s3_objects
from fashion_udf.photos.attempts import PATIENCE, Endpoint
from fashion_udf.photos.photo import Photo, Remote, TransientError
from fashion_udf.s3 import S3Settings
from fashion_udf.schema import Status

#: Number of a process's last photos for the share of refused ones.
WINDOW = 100

_MISSING = ("NoSuchKey", "NoSuchBucket", "404", "NoSuchVersion")
_OTHER_REGION = ("PermanentRedirect", "301", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException")
_TRANSIENT = ("SlowDown", "Throttling", "RequestTimeout", "InternalError", "ServiceUnavailable", "503", "500")
_MD5 = re.compile(r"[0-9a-f]{32}")


class _Store:
    """The state of a store in this process."""

    def __init__(self) -> None:
        self.endpoint = Endpoint()
        self.refused: deque[bool] = deque(maxlen=WINDOW)
        self.lock = threading.Lock()
        self.etags_are_digests = True


_stores: dict[S3Settings, _Store] = {}


def read(uri: str, remote: Remote, max_bytes: int) -> Photo:
    """Read a photo by its `s3:` or `s3a:` URI.

    Args:
        uri: bucket and key. The key is not decoded.
        remote: settings of remote photos.
        max_bytes: larger objects are refused without reading them.

    Raises:
        CredentialsError: credentials are missing, expired or refused. The run stops and can be continued.
        ConfigError: the store refuses more than `remote.max_refused` of the last photos.
        StoreUnavailableError: the store has not answered any request for minutes.
    """
    try:
        bucket, key = s3.location(uri)
    except ValueError as error:
        return Photo(None, Status.IMAGE_FORBIDDEN, str(error))
    if not key:
        return Photo(None, Status.IMAGE_MISSING, "no key")
    store = _stores.setdefault(remote.s3, _Store())
    asked, endpoint = _Request(remote.s3, bucket, key, max_bytes, store), store.endpoint
    photo = endpoint.photo(asked.send, "s3_get", remote.seconds)
    if photo.data is None and endpoint.is_down():
        store.endpoint = Endpoint()  # a later run of this process starts again
        raise StoreUnavailableError(
            f"Expected S3 to answer. Received: no photo for more than {PATIENCE:.0f} seconds, at last: {photo.error}. "
            "What is scored is kept: run again when it answers"
        )
    _require_allowed(store, photo, bucket, remote.max_refused)
    return photo


def _require_allowed(store: _Store, photo: Photo, bucket: str, max_refused: float) -> None:
    with store.lock:
        store.refused.append(photo.status is Status.IMAGE_FORBIDDEN or photo.error == _NO_BUCKET)
        refused = sum(store.refused)
        if len(store.refused) < WINDOW or refused <= max_refused * WINDOW:
            return
        store.refused.clear()  # a later run of this process starts again
    raise ConfigError(
        f"Expected S3 to refuse at most {max_refused:.0%} of the photos (gates.max_refused). Received: {refused} of "
        f"{WINDOW} refused, at last in bucket {bucket!r}: {photo.error}. Correct the permissions or the catalog; what "
        "is scored is kept"
    )


class _Request:
    """The requests for one photo."""

    def __init__(self, settings: S3Settings, bucket: str, key: str, max_bytes: int, store: _Store) -> None:
        self._settings, self._bucket, self._key, self._max_bytes = settings, bucket, key, max_bytes
        self._store = store
        self._digest: str | None = None  # digest of a body that differed from its etag
        self._with_new_credentials = False

    def send(self) -> Photo:
        """Send one request.

        Raises:
            TransientError: another attempt may succeed.
            CredentialsError: see `read`.
        """
        from botocore.exceptions import BotoCoreError

        try:
            objects = s3_objects.objects(self._settings)
            with closing(objects.get(self._bucket, self._key)) as answer:
                if answer.status == 200:
                    return self._photo(answer)
                code, region = s3_objects.error(answer)
        except (BotoCoreError, HTTPError, OSError) as error:
            return _failed(error)
        if self._is_mended(code, region, objects):
            return self.send()
        return self._refused(answer.status, code)

    def _photo(self, answer: urllib3.BaseHTTPResponse) -> Photo:
        headers = answer.headers
        etag, size = headers.get("ETag", "").strip('"'), int(headers["Content-Length"])
        if size > self._max_bytes:
            error = f"{size} bytes, at most {self._max_bytes} are accepted"
            return Photo(None, Status.IMAGE_TOO_LARGE, error, etag or None)
        data = answer.read()
        answer.release_conn()  # before the answer is closed, so that the next photo uses the connection
        if len(data) != size:
            raise TransientError(Status.IMAGE_IO, f"{len(data)} of {size} bytes came")
        encrypted = "kms" in headers.get("x-amz-server-side-encryption", "")
        encrypted = encrypted or "x-amz-server-side-encryption-customer-algorithm" in headers
        if _MD5.fullmatch(etag) and not encrypted and self._store.etags_are_digests:
            self._require_digest(hashlib.md5(data, usedforsecurity=False).hexdigest(), etag)
        return Photo(data, Status.OK, None, etag or None)

    def _require_digest(self, digest: str, etag: str) -> None:
        if digest == etag:
            return
        if digest != self._digest:
            self._digest = digest
            raise TransientError(Status.IMAGE_IO, "the bytes that came are not those of the etag")
        # The same bytes came twice: the etags of some compatible stores look like digests, but are none.
        self._store.etags_are_digests = False

    def _is_mended(self, code: str, region: str | None, objects: s3_objects.Objects) -> bool:
        """Return whether to repeat the request at once: with other credentials, or in another region."""
        if code in s3.EXPIRED and not self._with_new_credentials:
            # The provider may have new credentials, for example in a profile that somebody renewed.
            self._with_new_credentials = True
            s3.forget_clients()
            return True
        return code in _OTHER_REGION and region is not None and objects.move(self._bucket, region)

    def _refused(self, status: int, code: str) -> Photo:
        """Return the result for an answer that is an error."""
        if stop := s3.credentials_error(code):
            raise stop
        if code in _MISSING:
            return Photo(None, Status.IMAGE_MISSING, _NO_BUCKET if code == "NoSuchBucket" else f"{status} {code}")
        if code in _TRANSIENT or status == 429 or status >= 500:
            throttled = code in ("SlowDown", "Throttling", "503") or status in (429, 503)
            raise TransientError(Status.IMAGE_IO, f"{status} {code}", throttled)
        why = f"{status} {code}"
        if code in _OTHER_REGION:
            why += ": the bucket is in another region than s3.region says"
        elif code == "InvalidObjectState":
            why += ": the object is archived and must be restored first"
        return Photo(None, Status.IMAGE_FORBIDDEN, why, self._identity())

    def _identity(self) -> str | None:
        """Return the etag of an object that cannot be read, as the plan has it, so that it counts as unchanged."""
        uri = f"s3://{self._bucket}/{self._key}"
        return s3_listing.etags([uri], self._settings)[uri]


_NO_BUCKET = "404 NoSuchBucket"


def _failed(error: Exception) -> Photo:
    """Return the result for a request without a complete answer."""
    from botocore.exceptions import ParamValidationError

    if isinstance(error, ParamValidationError):
        return Photo(None, Status.IMAGE_FORBIDDEN, "no name of a bucket, or no key")
    if stop := s3.credentials_error(s3.error_code(error)):
        raise stop from error
    # urllib3 counts a refused connection as a timeout.
    if isinstance(error, NoAnswerError) and not isinstance(error, NewConnectionError):
        raise TransientError(Status.IMAGE_TIMEOUT, f"timeout: {type(error).__name__}") from error
    raise TransientError(Status.IMAGE_IO, f"connection failed: {type(error).__name__}") from error
