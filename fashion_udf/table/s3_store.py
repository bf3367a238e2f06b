"""A store on S3, or on a compatible store, by boto3.

The store alone decides whether a name is free: a PUT with `If-None-Match: *` creates the object or returns 412. Such a
PUT is sent without boto3's own retries. If there is no answer, the same PUT is sent again. A 412 may then mean that the
first PUT succeeded, so the object is read and compared. 409 only means that another PUT of the name is in progress.
"""

from __future__ import annotations

import errno
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, BinaryIO

from fashion_udf import s3
from fashion_udf.s3 import S3Settings
from fashion_udf.table import ranged_file
from fashion_udf.table.store import Store, StoredFile

#: Maximum of attempts to create an object, after which the outcome is unknown, and maximum of seconds between two.
_TRIES, _LONGEST_WAIT = 7, 4.0
#: Maximum of objects that one request deletes.
_PAGE = 1000
#: Bytes of a request for an open object.
_BUFFER = 1 << 20
#: Error code -> `errno`. For an answer without a code, as that of HEAD, the HTTP status is the code.
_ERRORS = {
    "NoSuchKey": errno.ENOENT,
    "404": errno.ENOENT,
    "NoSuchBucket": errno.ENOENT,
    "AccessDenied": errno.EACCES,
    "403": errno.EACCES,
    "InvalidAccessKeyId": errno.EACCES,
    "SignatureDoesNotMatch": errno.EACCES,
    "ExpiredToken": errno.EACCES,
}

_settings = S3Settings()


def use(settings: S3Settings) -> None:
    """Use these settings for all stores that this process opens from now on."""
    global _settings
    _settings = settings


def settings() -> S3Settings:
    """Return the settings in use, to pass them to tasks on other machines."""
    return _settings


def open_s3(output: str) -> Store:
    """Return the store of a bucket, or of a prefix in it."""
    at = _Place(output, _settings)
    return Store(
        list_names=at.list_names,
        list_files=at.list_files,
        open=at.open,
        read=at.read,
        create=at.create,
        replace=at.replace,
        replace_pointer=at.replace_pointer,
        delete=at.delete,
        delete_tree=at.delete_tree,
        sync=lambda prefix, names: None,  # an acknowledged object of S3 is durable
    )


class _Place:
    """A prefix of a bucket, and the functions of its store."""

    def __init__(self, output: str, settings: S3Settings) -> None:
        self._bucket, prefix = s3.location(output)
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self._settings = settings

    def list_names(self, prefix: str) -> list[str]:
        # No delimiter: some stores still list a prefix for a while after its last object was deleted.
        below = (file.key[len(prefix) + 1 :] for file in self.list_files(prefix) if not file.key.endswith("/"))
        return sorted({name.split("/")[0] for name in below})

    def list_files(self, prefix: str) -> list[StoredFile]:
        return [
            StoredFile(each["Key"][len(self._prefix) :], each["Size"], each["LastModified"].timestamp())
            for page in self._pages(f"{self._prefix}{prefix}/")
            for each in page.get("Contents", ())
        ]

    def open(self, key: str) -> BinaryIO:
        with _as_os_error(key):
            head = self._client().head_object(**self._at(key), **self._settings.request)
        return ranged_file.opened(partial(self._range, key, head["ETag"]), head["ContentLength"], _BUFFER)

    def read(self, key: str, limit: int) -> bytes:
        with _as_os_error(key):
            answer = self._client().get_object(**self._at(key), **self._settings.request)
            with answer["Body"] as body:
                data: bytes = body.read(limit)
        if len(data) != min(limit, answer["ContentLength"]):
            raise ConnectionError(f"{key}: received {len(data)} of {answer['ContentLength']} bytes")
        return data

    def create(self, key: str, data: bytes) -> bool:
        write = partial(s3.client(self._settings, 1).put_object, Body=data, IfNoneMatch="*")
        in_doubt = ""
        for attempt in range(_TRIES):
            if attempt:
                time.sleep(min(_LONGEST_WAIT, 0.1 * 2**attempt) * random.uniform(0.5, 1.0))
            try:
                with _as_os_error(key):
                    write(**self._at(key), **self._settings.encryption)
                return True
            except FileExistsError:
                # Without a lost answer before, another writer was first. After one, this call may have been first.
                return bool(in_doubt) and self.read(key, len(data) + 1) == data
            except (ConnectionError, TimeoutError) as error:
                in_doubt = str(error)
        raise ConnectionError(f"{key}: no answer to {_TRIES} requests, the last: {in_doubt}")

    def replace(self, key: str, data: bytes) -> None:
        with _as_os_error(key):
            self._client().put_object(**self._at(key), Body=data, **self._settings.encryption)

    def replace_pointer(self, prefix: str, target: str, sql: bytes) -> None:
        self.replace(f"{prefix}/current", f"{target}\n".encode())
        self.replace(f"{prefix}/current.sql", sql)

    def delete(self, key: str) -> None:
        with _as_os_error(key):
            self._client().delete_object(**self._at(key))

    def delete_tree(self, prefix: str, since: float) -> bool:
        listed = self.list_files(prefix)
        if any(file.time > since for file in listed):
            return False
        # Manifests are deleted first, so that no reader finds a manifest without its files.
        keys = sorted((file.key for file in listed), key=lambda key: not key.endswith(".json"))
        for start in range(0, len(keys), _PAGE):
            named = [{"Key": self._prefix + key} for key in keys[start : start + _PAGE]]
            with _as_os_error(prefix):
                answer = self._client().delete_objects(Bucket=self._bucket, Delete={"Objects": named, "Quiet": True})
            if failed := answer.get("Errors"):
                raise OSError(errno.EIO, f"{failed[0].get('Code')} for {len(failed)} objects", prefix)
        return True

    def _pages(self, prefix: str) -> Iterator[dict[str, Any]]:
        paginator = self._client().get_paginator("list_objects_v2")
        with _as_os_error(prefix):
            yield from paginator.paginate(Bucket=self._bucket, Prefix=prefix, **self._settings.request)

    def _range(self, key: str, etag: str, start: int, count: int) -> bytes:
        for tries_left in (2, 1, 0):
            try:
                data = self._part(key, etag, start, count)
                break
            except (ConnectionError, TimeoutError):  # boto3 does not retry a failure while the body is read
                if not tries_left:
                    raise
        if len(data) != count:
            raise ConnectionError(f"received {len(data)} of {count} bytes")
        return data

    def _part(self, key: str, etag: str, start: int, count: int) -> bytes:
        with _as_os_error(key):
            answer = self._client().get_object(
                **self._at(key), Range=f"bytes={start}-{start + count - 1}", IfMatch=etag, **self._settings.request
            )
            with answer["Body"] as body:
                data: bytes = body.read()
        return data

    def _client(self) -> Any:
        return s3.client(self._settings)

    def _at(self, key: str) -> dict[str, str]:
        return {"Bucket": self._bucket, "Key": self._prefix + key}


@contextmanager
def _as_os_error(key: str) -> Iterator[None]:
    """Replace an exception of boto3 by the equivalent `OSError`. No message holds a signature or a secret."""
    from botocore import exceptions as boto
    from urllib3.exceptions import HTTPError

    try:
        yield
    except boto.ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", ""))
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        said = f"{code} ({status})"
        if status == 412:
            raise FileExistsError(errno.EEXIST, said, key) from error
        if status in (408, 409, 429) or status >= 500:
            raise ConnectionError(f"{key}: {said}") from error
        raise OSError(_ERRORS.get(code, _ERRORS.get(str(status), errno.EIO)), said, key) from error
    except (boto.ReadTimeoutError, boto.ConnectTimeoutError) as error:
        raise TimeoutError(f"{key}: {type(error).__name__}") from error
    except boto.EndpointConnectionError as error:
        raise ConnectionError(f"{key}: {error}") from error
    except (boto.HTTPClientError, boto.ResponseStreamingError, HTTPError) as error:
        raise ConnectionError(f"{key}: {type(error).__name__}") from error
    except boto.BotoCoreError as error:
        raise OSError(errno.EACCES, f"{type(error).__name__}: {error}", key) from error
