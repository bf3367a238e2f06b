"""The etags of many objects by pages of a listing."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fashion_udf.errors import CredentialsError, StoreUnavailableError
from fashion_udf.photos import attempts, s3_listing
from tests.servers.s3 import S3Server

ODD = ["a b.jpg", "a+b.jpg", "a%20b.jpg", "ü.jpg", "&<>'\".jpg", "日本.jpg", "A.jpg", "~", "a.jpg"]


@pytest.fixture(scope="module")
def bucket(s3_server: S3Server) -> str:
    """Folders with 25 keys, with odd names, with folders in them and with one key."""
    name = s3_server.bucket("listing")
    keys = [f"many/{number:06}.jpg" for number in range(25)]
    keys += [f"odd/{key}" for key in ODD] + ["odd/below/a.jpg", "one.jpg", "many/below/a.jpg"]
    with ThreadPoolExecutor(8) as pool:
        [*pool.map(lambda key: s3_server.put(key, key.encode(), name), keys)]
    return name


@pytest.fixture(autouse=True)
def _small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3_listing, "PAGE", 10)
    attempts.counted()


def etag(key: str) -> str:
    return hashlib.md5(key.encode(), usedforsecurity=False).hexdigest()


def etags(server: S3Server, bucket: str, keys: list[str]) -> dict[str, str | None]:
    found = s3_listing.etags([f"s3://{bucket}/{key}" for key in keys], server.settings)
    return {uri.removeprefix(f"s3://{bucket}/"): value for uri, value in found.items()}


def test_a_page_is_asked_for_each_of_its_keys_once(s3_server: S3Server, bucket: str) -> None:
    keys = [f"many/{number:06}.jpg" for number in range(25)]
    assert etags(s3_server, bucket, keys[::-1]) == {key: etag(key) for key in keys}
    assert attempts.counted() == {"s3_list": 3}


def test_keys_that_nobody_wants_are_skipped(s3_server: S3Server, bucket: str) -> None:
    keys = ["many/000003.jpg", "many/000021.jpg", "many/none.jpg"]
    assert etags(s3_server, bucket, keys) == {keys[0]: etag(keys[0]), keys[1]: etag(keys[1]), keys[2]: None}
    assert attempts.counted() == {"s3_list": 2}


def test_every_name_comes_back_as_it_is(s3_server: S3Server, bucket: str) -> None:
    keys = [*(f"odd/{key}" for key in ODD), "odd/below/a.jpg", "one.jpg"]
    assert etags(s3_server, bucket, keys) == {key: etag(key) for key in keys}


def test_what_cannot_be_listed_is_not_there(s3_server: S3Server, bucket: str) -> None:
    assert etags(s3_server, bucket, ["none/a.jpg", "one.jp", "one.jpgs", "many/"]) == dict.fromkeys(
        ["none/a.jpg", "one.jp", "one.jpgs", "many/"]
    )
    odd = ["s3://none-of-ours/a.jpg", "s3://listing", "file:a", "a.jpg"]
    assert s3_listing.etags(odd, s3_server.settings) == dict.fromkeys(odd)


def test_a_page_that_fails_once_is_asked_for_again(s3_server: S3Server, bucket: str) -> None:
    keys = [f"many/{number:06}.jpg" for number in range(25)]
    with s3_server.proxy.fault("error", times=1), s3_server.proxy.fault("reset", times=1):
        assert etags(s3_server, bucket, keys) == {key: etag(key) for key in keys}


def test_each_object_is_asked_for_where_the_folder_cannot_be_listed(s3_server: S3Server, bucket: str) -> None:
    with s3_server.proxy.fault("error", status=403, code="AccessDenied", about=lambda each: each.operation == "list"):
        assert etags(s3_server, bucket, ["one.jpg", "none.jpg"]) == {"one.jpg": etag("one.jpg"), "none.jpg": None}
    assert attempts.counted() == {"s3_list": 1, "s3_head": 2}


def test_a_store_that_fails_again_and_again_ends_the_run(s3_server: S3Server, bucket: str) -> None:
    twice = s3_server.settings.model_copy(update={"attempts": 2})
    with (
        s3_server.proxy.fault("error", status=500, code="InternalError"),
        pytest.raises(StoreUnavailableError, match="Expected S3 to list .* bucket 'listing'. Received: InternalError"),
    ):
        s3_listing.etags([f"s3://{bucket}/one.jpg"], twice)
    with (
        s3_server.proxy.fault("error", status=400, code="ExpiredToken"),
        pytest.raises(CredentialsError, match="Received: ExpiredToken"),
    ):
        s3_listing.etags([f"s3://{bucket}/one.jpg"], twice)


@settings(max_examples=50)
@given(st.text(st.characters(exclude_categories=["C"]), min_size=1), st.text(max_size=3))
def test_a_page_begins_before_the_key_and_after_those_that_sort_clearly_before_it(key: str, more: str) -> None:
    before = s3_listing._before(key)
    assert before.encode() < key.encode()
    assert not (key + more).encode() <= before.encode()
