"""Signed GETs of the objects of S3, with boto3's addresses, credentials, proxies and certificates.

A call of a boto3 client takes three times the processor time of the request inside it: the parameters are checked, the
endpoint's rules are evaluated, and every header of the answer is parsed. Here that is done once for each bucket.
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
from fashion_udf.s3 import S3Settings

_CODE, _REGION = re.compile(rb"<Code>([\w.]+)</Code>"), re.compile(rb"<Region>([\w-]+)</Region>")
_ERROR_BYTES = 1 << 16  # that are read of an answer that is an error; one of S3 has a few hundred
_KEY = "k"  # of the object by whose URL a bucket's address is found


@dataclass(frozen=True)
class _Address:
    """Where the objects of a bucket are: a URL that a key is added to, and what requests are signed for."""

    url: str
    region: str
    service: str
    connections: urllib3.HTTPConnectionPool
    by_proxy: bool  # that is asked with whole URLs


class Objects:
    """The objects of a store, for the threads of this process."""

    def __init__(self, settings: S3Settings, client: Any) -> None:
        """Take the store's client, which knows addresses."""
        import botocore.session

        self.client = client
        self._settings = settings
        self._addresses: dict[str, _Address] = {}
        session = botocore.session.get_session()
        self._credentials = session.get_credentials()
        self._authorities = session.get_config_variable("ca_bundle") or os.environ.get("REQUESTS_CA_BUNDLE")

    def get(self, bucket: str, key: str) -> urllib3.BaseHTTPResponse:
        """Send one GET; return its answer, of which nobody has read the body.

        Raises:
            botocore.exceptions.BotoCoreError: there are no credentials, or the bucket's name is none.
            urllib3.exceptions.HTTPError: no answer came.
        """
        address = self._addresses.get(bucket) or self._addresses.setdefault(bucket, self._address(self.client, bucket))
        url, headers = self._signed(address, bucket, key)
        target = url if address.by_proxy else url[url.index("/", 8) :]  # after https://
        return address.connections.urlopen(
            *("GET", target, None, headers, False), redirect=False, preload_content=False, decode_content=False
        )

    def move(self, bucket: str, region: str) -> bool:
        """Ask for a bucket in another region from now on; False if that is the region that was asked already."""
        if self._addresses[bucket].region == region:
            return False
        client = s3.client(self._settings.model_copy(update={"region": region}), attempts=1)
        self._addresses[bucket] = self._address(client, bucket)
        return True

    def _signed(self, address: _Address, bucket: str, key: str) -> tuple[str, dict[str, str]]:
        """Return URL and headers of a GET."""
        from botocore.auth import S3SigV4Auth
        from botocore.awsrequest import AWSRequest

        if address.service != "s3":  # a directory bucket: it has credentials of its own, which the client gets
            return str(self.client.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": key})), {}
        payer = {"x-amz-request-payer": "requester"} if self._settings.requester_pays else {}
        request = AWSRequest("GET", address.url + quote(key, safe="/~"), headers={"User-Agent": "fashion-udf", **payer})
        credentials = self._credentials.get_frozen_credentials()
        S3SigV4Auth(credentials, address.service, address.region).add_auth(request)
        return request.url, dict(request.headers.items())

    def _address(self, client: Any, bucket: str) -> _Address:
        with _lock:  # of two handlers of a client the first one would answer both threads
            url, authorization = _as_boto3_would_send(client, bucket)
        region, service = authorization.split("/")[2:4]  # of Credential=<key>/<date>/<region>/<service>/aws4_request
        prefix = url.removesuffix(_KEY)
        return _Address(prefix, region, service, *self._connections(prefix))

    def _connections(self, url: str) -> tuple[urllib3.HTTPConnectionPool, bool]:
        """Return connections to a URL's host, and whether they are to a proxy that wants whole URLs."""
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
    """Return the code of an error, which is its status if it has none, and the bucket's region if it is named."""
    body = answer.read(_ERROR_BYTES)
    code, region = _CODE.search(body), _REGION.search(body)
    named = answer.headers.get("x-amz-bucket-region") or (region[1].decode() if region else None)
    return (code[1].decode() if code else str(answer.status)), named


def _as_boto3_would_send(client: Any, bucket: str) -> tuple[str, str]:
    """Return URL and Authorization header of a GET that a client has signed; it is not sent."""
    from botocore.awsrequest import AWSResponse

    sent, thread = list[Any](), threading.get_ident()

    def answer(request: Any, **_: Any) -> Any:
        if threading.get_ident() != thread:
            return None  # somebody else's request: it is sent
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
    """Return the objects of a store; there is one for each client, so a forked process and new credentials have theirs.

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
