"""Signed GETs of S3: addresses as boto3 has them, connections through proxies, one set for each process and client."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import urllib3

from fashion_udf import s3
from fashion_udf.photos import s3_objects
from fashion_udf.s3 import S3Settings

COMPATIBLE = S3Settings(endpoint_url="http://127.0.0.1:9", path_style=True)


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    """Clients are made anew, with the environment of the test."""
    s3.forget_clients()
    yield
    s3.forget_clients()


def signed(settings: S3Settings, bucket: str, key: str) -> tuple[str, dict[str, str]]:
    objects = s3_objects.Objects(settings, s3.client(settings, attempts=1))
    return objects._signed(objects._address(objects.client, bucket), bucket, key)


@pytest.mark.parametrize(
    ("settings", "bucket", "url", "region"),
    [
        (COMPATIBLE, "shop", "http://127.0.0.1:9/shop/a%20b/%2B%25~.jpg", "us-east-1"),
        (S3Settings(region="us-east-1"), "shop", "https://shop.s3.amazonaws.com/a%20b/%2B%25~.jpg", "us-east-1"),
        (S3Settings(region="eu-west-1"), "shop", "https://shop.s3.eu-west-1.amazonaws.com/", "eu-west-1"),
        (S3Settings(region="eu-west-1"), "my.shop", "https://s3.eu-west-1.amazonaws.com/my.shop/", "eu-west-1"),
        (S3Settings(region="cn-north-1"), "shop", "https://shop.s3.cn-north-1.amazonaws.com.cn/", "cn-north-1"),
    ],
)
def test_a_photo_is_asked_for_where_boto3_would_ask(settings: S3Settings, bucket: str, url: str, region: str) -> None:
    found, headers = signed(settings, bucket, "a b/+%~.jpg")
    assert found.startswith(url) and found.endswith("/a%20b/%2B%25~.jpg")
    assert f"/{region}/s3/aws4_request, SignedHeaders=" in headers["Authorization"]
    assert "x-amz-request-payer" not in headers


def test_a_token_and_who_pays_are_part_of_what_is_signed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token-of-tests")
    _, headers = signed(COMPATIBLE.model_copy(update={"requester_pays": True}), "shop", "a")
    assert headers["x-amz-security-token"] == "token-of-tests"
    assert "x-amz-request-payer;x-amz-security-token" in headers["Authorization"]


def test_a_bucket_with_credentials_of_its_own_is_asked_with_a_url_of_boto3(monkeypatch: pytest.MonkeyPatch) -> None:
    sent = "http://127.0.0.1:9/shop/k", "Credential=A/20261127/us-east-1/s3express/aws4_request"
    monkeypatch.setattr(s3_objects, "_as_boto3_would_send", lambda client, bucket: sent)
    url, headers = signed(COMPATIBLE, "shop", "a.jpg")
    assert url.startswith("http://127.0.0.1:9/shop/a.jpg?") and "Signature=" in url and headers == {}


@pytest.mark.parametrize(("endpoint", "by_proxy"), [("http://store.example", True), ("https://store.example", False)])
def test_a_proxy_of_the_environment_is_used(endpoint: str, by_proxy: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.example:3128")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    settings = COMPATIBLE.model_copy(update={"endpoint_url": endpoint})
    objects = s3_objects.Objects(settings, s3.client(settings, attempts=1))
    address = objects._address(objects.client, "shop")
    assert address.by_proxy is by_proxy
    proxy = address.connections.proxy
    assert isinstance(proxy, urllib3.util.Url) and (proxy.host, proxy.port) == ("proxy.example", 3128)
    monkeypatch.setenv("NO_PROXY", "store.example")
    assert objects._address(objects.client, "shop").connections.proxy is None


def test_threads_share_what_a_forked_process_and_new_credentials_make_anew() -> None:
    mine = s3_objects.objects(COMPATIBLE)
    assert s3_objects.objects(COMPATIBLE) is mine
    child = os.fork()
    if child == 0:
        os._exit(int(s3_objects.objects(COMPATIBLE) is mine))
    assert os.waitpid(child, 0)[1] == 0
    s3.forget_clients()
    assert s3_objects.objects(COMPATIBLE) is not mine
