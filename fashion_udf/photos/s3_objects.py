"""Signed GET requests for objects of S3, with boto3's addresses, credentials, proxies and certificates.

A call of a boto3 client takes three times the processor time of its request: boto3 checks the parameters, evaluates the
rules of the endpoint and parses every header of the answer. This module calls boto3 once for each bucket.
"""

from __future__ import annotations

import io
import os
import re
import threading
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

import urllib3

from fashion_udf import s3
from fashion_udf.photos.s3_signing import Signer
from fashion_udf.s3 import S3Settings

_CODE, _REGION = re.compile(rb"<Code>([\w.]+)</Code>"), re.compile(rb"<Region>([\w-]+)</Region>")
_ERROR_BYTES = 1 << 16  # limit for the body of an error; an error of S3 has a few hundred bytes
_KEY = "k"  # key of the request that boto3 signs to find the address of a bucket


@dataclass(frozen=True)
class _Address:
    """The URL before the keys of a bucket, its region, what signs, and the connections."""

    url: str
    region: str
    signer: Signer | None  # None for a bucket with credentials of its own
    connections: urllib3.HTTPConnectionPool
    by_proxy: bool  # the proxy expects whole URLs


class Objects:
    """The objects of a store, for the threads of this process."""

    def __init__(self, settings: S3Settings, client: Any) -> None:
        """Keep the boto3 client of the store, which finds addresses."""
        import botocore.session

        self.client = client
        self._settings = settings
        self._addresses: dict[str, _Address] = {}
        session = botocore.session.get_session()
        self._credentials = session.get_credentials()
        self._authorities = session.get_config_variable("ca_bundle") or os.environ.get("REQUESTS_CA_BUNDLE")

    def get(self, bucket: str, key: str) -> urllib3.BaseHTTPResponse:
        """Send one GET request and return its answer. The caller reads the body.

        Raises:
            botocore.exceptions.BotoCoreError: there are no credentials, or the name of the bucket is not valid.
            urllib3.exceptions.HTTPError: no answer came.
        """
        address = self._addresses.get(bucket) or self._addresses.setdefault(bucket, self._address(self.client, bucket))
        url, headers = self._signed(address, bucket, key)
        target = url if address.by_proxy else url[url.index("/", 8) :]  # after https://
        return address.connections.urlopen(
            *("GET", target, None, headers, False), redirect=False, preload_content=False, decode_content=False
        )

    def move(self, bucket: str, region: str) -> bool:
        """Use another region for a bucket from now on; return False if this region is in use already."""
        if self._addresses[bucket].region == region:
            return False
        client = s3.client(self._settings.model_copy(update={"region": region}), attempts=1)
        self._addresses[bucket] = self._address(client, bucket)
        return True

    def _signed(self, address: _Address, bucket: str, key: str) -> tuple[str, dict[str, str]]:
        """Return the URL and the headers of a GET request."""
        if address.signer is None:  # the client gets the credentials of a directory bucket
            return str(self.client.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": key})), {}
        quoted = quote(key, safe="/~")
        headers = address.signer.headers(quoted, self._credentials.get_frozen_credentials())
        return address.url + quoted, {"user-agent": "fashion-udf", **headers}

    def _address(self, client: Any, bucket: str) -> _Address:
        with _lock:  # the first of two handlers of a client would answer both threads
            url, authorization = _as_boto3_would_send(client, bucket)
        region, service = authorization.split("/")[2:4]  # of Credential=<key>/<date>/<region>/<service>/aws4_request
        prefix = url.removesuffix(_KEY)
        payer = {"x-amz-request-payer": "requester"} if self._settings.requester_pays else {}
        signer = Signer(prefix, region, service, payer) if service == "s3" else None
        return _Address(prefix, region, signer, *self._connections(prefix))

    def _connections(self, url: str) -> tuple[urllib3.HTTPConnectionPool, bool]:
        """Return connections to the host of a URL, and whether they go to a proxy that expects whole URLs."""
        from botocore.httpsession import get_cert_path
        from botocore.utils import get_environ_proxies

        scheme, seconds = urlsplit(url).scheme, self._settings.timeout
        facts: dict[str, Any] = {"timeout": urllib3.Timeout(connect=seconds / 2, read=seconds)}
        facts["ca_certs"] = get_cert_path(self._authorities or True)
        proxies = get_environ_proxies(url)
        proxy = proxies.get(scheme) or proxies.get("all")
        manager = urllib3.ProxyManager(proxy, **facts) if proxy else urllib3.PoolManager(**facts)
        pool = manager.connection_from_url(url, {"maxsize": self._settings.connections})
        return pool, proxy is not None and scheme == "http"


def error(answer: urllib3.BaseHTTPResponse) -> tuple[str, str | None]:
    """Return the code of an error (or its HTTP status) and the region of the bucket, if the answer names it."""
    body = answer.read(_ERROR_BYTES)
    code, region = _CODE.search(body), _REGION.search(body)
    named = answer.headers.get("x-amz-bucket-region") or (region[1].decode() if region else None)
    return (code[1].decode() if code else str(answer.status)), named


def _as_boto3_would_send(client: Any, bucket: str) -> tuple[str, str]:
    """Return the URL and the Authorization header of a GET request that the client signs, but does not send."""
    from botocore.awsrequest import AWSResponse

    sent, thread = list[Any](), threading.get_ident()

    def answer(request: Any, **_: Any) -> Any:
        if threading.get_ident() != thread:
            return None  # the request of another thread is sent
        sent.append(request)
        return AWSResponse(request.url, 200, {}, io.BytesIO())

    client.meta.events.register("before-send.s3.GetObject", answer)
    try:
        client.get_object(Bucket=bucket, Key=_KEY)
    finally:
        client.meta.events.unregister("before-send.s3.GetObject", answer)
    header = sent[0].headers["Authorization"]
    return str(sent[0].url), header.decode() if isinstance(header, bytes) else str(header)


_stores: dict[S3Settings, Objects] = {}
_lock = threading.Lock()


def objects(settings: S3Settings) -> Objects:
    """Return the `Objects` of a store: one for each client, so also for a forked process and for new credentials.

    Raises:
        botocore.exceptions.BotoCoreError: the providers of credentials failed.
    """
    client = s3.client(settings, attempts=1)
    if (found := _stores.get(settings)) is None or found.client is not client:
        with _lock:
            if (found := _stores.get(settings)) is None or found.client is not client:
                found = _stores[settings] = Objects(settings, client)
    return found


def _after_fork() -> None:
    global _lock
    _lock = threading.Lock()  # a thread of the parent may have held it


os.register_at_fork(after_in_child=_after_fork)
