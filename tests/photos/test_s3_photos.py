"""Photos of S3: whole or not at all, each failure a status of its row or the end of the run."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import urllib3

from fashion_udf import s3
from fashion_udf.errors import ConfigError, CredentialsError, StoreUnavailableError
from fashion_udf.photos import attempts, s3_objects, s3_photos
from fashion_udf.photos.photo import Photo, Remote
from fashion_udf.s3 import S3Settings
from fashion_udf.schema import Status
from tests.servers.s3 import BUCKET, S3Server

PHOTO = bytes(range(256)) * 400


@pytest.fixture(autouse=True)
def _fresh() -> None:
    """What was learnt of the store in another test does not count."""
    s3_photos._stores.clear()
    attempts.counted()


@pytest.fixture
def uri(s3_server: S3Server) -> str:
    s3_server.put("shop/a b+%20ü.jpg", PHOTO)
    return f"s3://{BUCKET}/shop/a b+%20ü.jpg"


def read(server: S3Server, uri: str, seconds: float = 10, max_bytes: int = 1_000_000, **facts: Any) -> Photo:
    return s3_photos.read(uri, Remote(s3=server.settings, seconds=seconds, **facts), max_bytes)


def test_a_photo_comes_with_its_etag(s3_server: S3Server, uri: str) -> None:
    etag = hashlib.md5(PHOTO, usedforsecurity=False).hexdigest()
    assert read(s3_server, uri) == Photo(PHOTO, Status.OK, None, etag)
    assert read(s3_server, uri.replace("s3:", "S3A:")).data == PHOTO
    large = read(s3_server, uri, max_bytes=1000)
    assert (large.data, large.status, large.identity) == (None, Status.IMAGE_TOO_LARGE, etag)
    assert attempts.counted() == {"s3_get": 3}


@pytest.mark.parametrize(
    "uri", ["s3:/a", "s3://", "s3://photos", "s3://photos/", "s3://no bucket!/a", "s3://photos/gone.jpg"]
)
def test_what_is_not_there_is_a_status(s3_server: S3Server, uri: str) -> None:
    assert read(s3_server, uri).status in (Status.IMAGE_MISSING, Status.IMAGE_FORBIDDEN)
    assert read(s3_server, "s3://photos/gone.jpg").error == "404 NoSuchKey"


@pytest.mark.parametrize("kind", ["reset", "lost", "half", "wrong", "error", "stall"])
def test_one_failure_is_repeated_also_in_the_middle_of_a_photo(s3_server: S3Server, uri: str, kind: Any) -> None:
    server = dataclasses.replace(s3_server, settings=s3_server.settings.model_copy(update={"timeout": 0.5}))
    with s3_server.proxy.fault(kind, times=1) as fault:
        assert read(server, uri).data == PHOTO
    assert (fault.injected, attempts.counted()) == (1, {"s3_get": 2})


@pytest.mark.parametrize(
    ("kind", "expected"), [("reset", Status.IMAGE_IO), ("half", Status.IMAGE_IO), ("stall", Status.IMAGE_TIMEOUT)]
)
def test_a_failure_that_stays_is_a_status_that_the_next_night_tries_again(
    s3_server: S3Server, uri: str, kind: Any, expected: Status, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "ATTEMPTS", 2)
    server = dataclasses.replace(s3_server, settings=s3_server.settings.model_copy(update={"timeout": 0.3}))
    with s3_server.proxy.fault(kind):
        photo = read(server, uri, seconds=2)
    assert (photo.data, photo.status) == (None, expected)


def test_a_byte_that_changed_on_its_way_is_found_by_the_etag(
    s3_server: S3Server, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong, get = iter(range(256)), s3_objects.Objects.get

    def damaged(self: s3_objects.Objects, bucket: str, key: str) -> urllib3.BaseHTTPResponse:
        answer = get(self, bucket, key)
        data = bytes([next(wrong)]) + answer.read()[1:]
        return urllib3.HTTPResponse(io.BytesIO(data), answer.headers, answer.status, preload_content=False)

    monkeypatch.setattr(attempts, "ATTEMPTS", 3)
    monkeypatch.setattr(s3_objects.Objects, "get", damaged)
    next(wrong)  # 0 is the right one
    photo = read(s3_server, uri)
    assert (photo.status, photo.error) == (Status.IMAGE_IO, "the bytes that came are not those of the etag")


def test_a_store_whose_etags_are_no_digests_is_believed_at_the_second_time(
    s3_server: S3Server, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with s3_server.proxy.fault("wrong"):  # the same wrong byte each time
        assert [len(read(s3_server, uri).data or b"") for _ in range(3)] == [len(PHOTO)] * 3
    assert attempts.counted() == {"s3_get": 4}


@pytest.mark.parametrize(
    ("status", "code", "expected", "error"),
    [
        (403, "AccessDenied", Status.IMAGE_FORBIDDEN, "403 AccessDenied"),
        (403, "InvalidObjectState", Status.IMAGE_FORBIDDEN, "403 InvalidObjectState: the object is archived .*"),
        (400, "KMS.DisabledException", Status.IMAGE_FORBIDDEN, "400 KMS.DisabledException"),
        (400, "AuthorizationHeaderMalformed", Status.IMAGE_FORBIDDEN, ".*: the bucket is in another region .*"),
        (301, "PermanentRedirect", Status.IMAGE_FORBIDDEN, ".*: the bucket is in another region .*"),
        (404, "NoSuchBucket", Status.IMAGE_MISSING, "404 NoSuchBucket"),
        (500, "InternalError", Status.IMAGE_IO, "500 InternalError"),
    ],
)
def test_each_refusal_has_its_status_and_its_reason(
    s3_server: S3Server,
    uri: str,
    status: int,
    code: str,
    expected: Status,
    error: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(attempts, "ATTEMPTS", 2)
    with s3_server.proxy.fault("error", status=status, code=code, about=lambda request: request.operation == "get"):
        photo = read(s3_server, uri, seconds=0.5)
    assert (photo.data, photo.status) == (None, expected)
    with pytest.raises(AssertionError, match=f"^{error}$"):
        raise AssertionError(photo.error)
    if expected is Status.IMAGE_FORBIDDEN:
        assert photo.identity == hashlib.md5(PHOTO, usedforsecurity=False).hexdigest(), "the plan has it too"


def test_more_refusals_than_a_share_stop_the_run(
    s3_server: S3Server, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3_photos, "WINDOW", 10)
    denied = {"status": 403, "code": "AccessDenied"}
    with s3_server.proxy.fault("error", **denied, about=lambda request: request.operation == "get"):
        assert [read(s3_server, uri).status for _ in range(3)] == [Status.IMAGE_FORBIDDEN] * 3
    assert [read(s3_server, uri).status for _ in range(5)] == [Status.OK] * 5
    with s3_server.proxy.fault("error", **denied, about=lambda request: request.operation == "get"):
        assert [read(s3_server, uri).status for _ in range(2)] == [Status.IMAGE_FORBIDDEN] * 2  # 5 of the last 10
        for _ in range(3):  # the oldest refusals leave, and as many come
            read(s3_server, uri)
        with pytest.raises(ConfigError, match=r"at most 50% .*Received: 6 of 10 refused, .*'photos': 403 AccessDenied"):
            read(s3_server, uri)
    assert read(s3_server, uri).status is Status.OK, "a later run begins anew"


@pytest.mark.parametrize("code", ["ExpiredToken", "InvalidAccessKeyId", "SignatureDoesNotMatch"])
def test_credentials_that_are_not_accepted_end_the_run_and_mark_no_row(
    s3_server: S3Server, uri: str, code: str
) -> None:
    with (
        s3_server.proxy.fault("error", status=400, code=code),
        pytest.raises(
            CredentialsError, match=f"Expected credentials .* Received: {code}. Renew the credentials"
        ) as error,
    ):
        read(s3_server, uri)
    assert "secret-of-fashion-tests" not in str(error.value)


def test_credentials_that_were_renewed_meanwhile_are_used(s3_server: S3Server, uri: str) -> None:
    with s3_server.proxy.fault("error", status=400, code="ExpiredToken", times=1):
        assert read(s3_server, uri).data == PHOTO


def test_without_credentials_the_run_ends(s3_server: S3Server, uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    s3.forget_clients()
    with pytest.raises(CredentialsError, match="Received: NoCredentialsError"):
        read(s3_server, uri)
    s3.forget_clients()


def test_a_store_that_answers_nobody_ends_the_run(
    s3_server: S3Server, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "PATIENCE", 1)
    monkeypatch.setattr(s3_photos, "PATIENCE", 1)
    monkeypatch.setattr(attempts, "LONGEST_PAUSE", 0.2)
    with (
        s3_server.proxy.fault("error", status=503),
        pytest.raises(StoreUnavailableError, match="Expected S3 to answer. Received: no photo for more than 1 seconds"),
    ):
        for _ in range(20):
            read(s3_server, uri, seconds=0.5)
    assert read(s3_server, uri).data == PHOTO, "a later run begins anew"


def test_while_a_store_asks_for_fewer_requests_it_gets_fewer_and_no_photo_is_lost(s3_server: S3Server) -> None:
    photos = [b"%d" % number for number in range(30)]
    for number, photo in enumerate(photos):
        s3_server.put(f"slow/{number}", photo)

    def fetch(number: int) -> bytes | None:
        return read(s3_server, f"s3://{BUCKET}/slow/{number}", seconds=30).data

    with ThreadPoolExecutor(8) as pool:
        with s3_server.proxy.recorded() as requests, s3_server.proxy.fault("error", share=0.3):
            assert [*pool.map(fetch, range(30))] == photos
        assert len(requests) <= 90
        with s3_server.proxy.recorded() as requests, s3_server.proxy.fault("error"):
            waiting = [pool.submit(fetch, number) for number in range(8)]
            time.sleep(1.5)
        assert [future.result() for future in waiting] == photos[:8]
    assert len(requests) < 50, "eight threads without a pause send hundreds"
    times = sorted(request.at for request in requests)
    together = [later - earlier < 0.005 for earlier, later in zip(times[8:], times[9:], strict=False)]
    assert sum(together) < len(times) / 2, "threads that wait the same time come back all at once"


def test_threads_of_one_process_share_a_client_and_no_photo_is_crossed(s3_server: S3Server) -> None:
    bodies = {f"crossed/{number}": b"%d" % number * 2000 for number in range(40)}
    for key, body in bodies.items():
        s3_server.put(key, body)
    with ThreadPoolExecutor(16) as pool:
        found = [*pool.map(lambda key: read(s3_server, f"s3://{BUCKET}/{key}").data, [*bodies] * 5)]
    assert found == [*bodies.values()] * 5


def test_who_reads_pays_where_the_settings_say_so(s3_server: S3Server, uri: str) -> None:
    settings: S3Settings = s3_server.settings.model_copy(update={"requester_pays": True})
    assert read(dataclasses.replace(s3_server, settings=settings), uri).data == PHOTO
    assert s3_server.proxy.requests[-1].headers["x-amz-request-payer"] == "requester"


def test_a_bucket_in_another_region_is_asked_there(s3_server: S3Server, uri: str) -> None:
    moved = {"status": 301, "code": "PermanentRedirect", "headers": {"x-amz-bucket-region": "eu-west-1"}, "times": 1}
    with s3_server.proxy.recorded() as requests, s3_server.proxy.fault("error", **moved):
        assert [read(s3_server, uri).data for _ in range(2)] == [PHOTO] * 2
    regions = [request.headers["authorization"].split("/")[2] for request in requests]
    assert regions == ["us-east-1", "eu-west-1", "eu-west-1"]
