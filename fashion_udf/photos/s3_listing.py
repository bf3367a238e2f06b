"""Read the etags of many objects by pages of a listing, with 1,000 keys in a request instead of one.

The keys are processed in order. A page starts right before the next wanted key, so that unwanted keys are skipped. Even
for a prefix with very many other objects, there is at most one request for each wanted key.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from fashion_udf import s3
from fashion_udf.errors import StoreUnavailableError
from fashion_udf.photos.attempts import count
from fashion_udf.s3 import S3Settings

_REFUSED = ("AccessDenied", "AllAccessDisabled", "MethodNotAllowed", "NotImplemented")
PAGE = 1000  # keys, the maximum of S3 in one answer
_HEADS = 8  # concurrent requests, if a prefix cannot be listed


def etags(uris: Iterable[str], settings: S3Settings) -> dict[str, str | None]:
    """Return the etag of each object, by URI; None if the object does not exist or is not accessible.

    Args:
        uris: `s3:` or `s3a:` URIs; other URIs have no etag. Sorted URIs need the fewest requests.
        settings: the settings of S3.

    Raises:
        CredentialsError: credentials are missing, expired or refused.
        StoreUnavailableError: the store failed repeatedly.
    """
    found: dict[str, str | None] = dict.fromkeys(uris)
    folders: dict[tuple[str, str], dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for uri in found:
        try:
            bucket, key = s3.location(uri)
        except ValueError:
            continue
        if key:
            folders[bucket, key[: key.rfind("/") + 1]][key].append(uri)
    for (bucket, folder), wanted in folders.items():
        for key, etag in _of_folder(bucket, folder, sorted(wanted), settings).items():
            found.update(dict.fromkeys(wanted[key], etag))
    return found


def _of_folder(bucket: str, folder: str, keys: Sequence[str], settings: S3Settings) -> dict[str, str | None]:
    from botocore.exceptions import BotoCoreError, ClientError

    client = s3.client(settings)
    try:
        return _listed(client, bucket, folder, keys, settings)
    except (ClientError, BotoCoreError) as error:
        code = s3.error_code(error)
        if code == "NoSuchBucket":
            return {}
        if code in _REFUSED:
            return _asked_one_by_one(client, bucket, keys, settings)
        raise s3.credentials_error(code) or StoreUnavailableError(
            f"Expected S3 to list the catalog's photos in bucket {bucket!r}. Received: {code}, also when it was "
            "repeated. Run again when it answers"
        ) from error


def _listed(client: Any, bucket: str, folder: str, keys: Sequence[str], settings: S3Settings) -> dict[str, str | None]:
    """Return the etags of the existing keys. The keys belong to one folder and are sorted."""
    found: dict[str, str | None] = {}
    named = set(keys)
    at, after = 0, _before(keys[0])
    while at < len(keys):
        count("s3_list")
        asked = {"Bucket": bucket, "Prefix": folder, "Delimiter": "/", "StartAfter": after, "MaxKeys": PAGE}
        page = client.list_objects_v2(**asked, **settings.request)
        listed = {each["Key"]: each["ETag"].strip('"') for each in page.get("Contents", [])}
        names = [*listed, *(each["Prefix"] for each in page.get("CommonPrefixes", []))]
        found.update((key, etag) for key, etag in listed.items() if key in named)
        if not page.get("IsTruncated") or not names:
            break
        last = max(names)
        while at < len(keys) and keys[at] <= last:
            at += 1
        if at < len(keys):
            after = max(last, _before(keys[at]))
    return found


def _before(key: str) -> str:
    """Return a text that sorts right before a key."""
    last = ord(key[-1]) - 1
    if last < 0x20 or 0xD800 <= last <= 0xDFFF:
        return key[:-1]
    return f"{key[:-1]}{chr(last)}\uffee"


def _asked_one_by_one(client: Any, bucket: str, keys: Sequence[str], settings: S3Settings) -> dict[str, str | None]:
    from botocore.exceptions import ClientError

    def ask(key: str) -> str | None:
        count("s3_head")
        try:
            return str(client.head_object(Bucket=bucket, Key=key, **settings.request)["ETag"]).strip('"')
        except ClientError as error:
            if int(error.response["ResponseMetadata"]["HTTPStatusCode"]) in (403, 404):
                return None
            raise

    with ThreadPoolExecutor(_HEADS, thread_name_prefix="etags") as pool:
        return dict(zip(keys, pool.map(ask, keys), strict=True))
