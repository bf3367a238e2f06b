"""Photos by https and http: from allowed hosts alone, within limits, each failure a status of its row."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from fashion_udf.photos import attempts, web_photos
from fashion_udf.photos.photo import Remote
from fashion_udf.schema import Status
from tests.servers import web
from tests.servers.proxy import Proxy
from tests.servers.web import Answer, WebServer

PHOTO = b"a photo of fashion" * 100
HOST = "cdn.example"


@pytest.fixture(scope="module")
def server() -> Iterator[WebServer]:
    with web.serving({"/a.jpg": Answer(PHOTO), "/b%20c.jpg?x=%2F&y=1": Answer(PHOTO)}) as found:
        yield found


@pytest.fixture(autouse=True)
def _names(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every name that ends in .example is this machine; returns the names that are looked up."""
    known, looked_up = socket.getaddrinfo, list[str]()

    def resolved(host: str, *arguments: Any, **named: Any) -> Any:
        looked_up.append(host)
        return known("127.0.0.1" if host.endswith(".example") else host, *arguments, **named)

    monkeypatch.setattr(socket, "getaddrinfo", resolved)
    return looked_up


def remote(port: int, *hosts: str, seconds: float = 10, private: bool = True, rate: float = 1000) -> Remote:
    return Remote((f"{HOST}:{port}", *hosts), private, seconds=seconds, requests_per_second=rate)


@contextmanager
def faulty(server: WebServer, kind: Any, **facts: Any) -> Iterator[tuple[Proxy, str]]:
    with Proxy(server.port) as proxy, proxy.fault(kind, **facts):
        yield proxy, f"http://{HOST}:{proxy.port}/a.jpg"


def test_a_photo_is_fetched_from_an_allowed_host_at_the_address_that_was_checked(
    server: WebServer, _names: list[str]
) -> None:
    for path in ("/a.jpg", "/b%20c.jpg?x=%2F&y=1"):
        photo = web_photos.read(f"http://{HOST.upper()}:{server.port}{path}", remote(server.port), 10_000)
        assert (photo.data, photo.status, photo.error, photo.identity) == (PHOTO, Status.OK, None, None)
        assert server.requests[-1][:2] == (path, f"{HOST}:{server.port}")
    assert _names.count(HOST) == 1, "a second look at the name could give another address"


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("http://other.example/a.jpg", "host 'other.example' is not in input.image_hosts"),
        ("http://cdn.example/a.jpg", "host 'cdn.example' is not in input.image_hosts"),  # another port
        ("http://xcdn.example/a.jpg", "host 'xcdn.example' is not in input.image_hosts"),
        ("http://below.example/a.jpg", "host 'below.example' is not in input.image_hosts"),
        ("http://user:secret@cdn.example/a.jpg", "URL with a user or password"),
        ("http:///a.jpg", "not a URL of https or http"),
        ("http://[::1/a.jpg", "not a URL"),
        ("http://127.0.0.1:1/a.jpg", "host '127.0.0.1' is not in input.image_hosts"),
        ("http://private.example/a.jpg", "the host has a private address alone (input.private_image_hosts)"),
        ("http://a.below.example/a.jpg", "the host has a private address alone (input.private_image_hosts)"),
    ],
)
def test_nothing_is_asked_of_any_other_place(server: WebServer, url: str, error: str) -> None:
    asked = len(server.requests)
    allowed = remote(server.port, "private.example", "*.below.example", private=False)
    photo = web_photos.read(url, allowed, 10_000)
    assert (photo.data, photo.status, photo.error) == (None, Status.IMAGE_FORBIDDEN, error)
    assert len(server.requests) == asked


def test_a_redirect_leads_to_allowed_hosts_alone(server: WebServer) -> None:
    here = f"http://{HOST}:{server.port}"
    targets = {
        "relative": "/a.jpg",
        "metadata": "http://169.254.169.254/latest",
        "file": "file:///etc/passwd",
        "endless": "/endless",
        "private": f"http://10.0.0.1:{server.port}/a.jpg",
    }
    for name, target in targets.items():
        server.answers[f"/{name}"] = Answer(b"moved", 302, {"Location": target})
    found = {name: web_photos.read(f"{here}/{name}", remote(server.port), 10_000) for name in targets}
    assert found["relative"].data == PHOTO
    assert {name: (photo.status, photo.error) for name, photo in found.items() if name != "relative"} == {
        "metadata": (Status.IMAGE_FORBIDDEN, "host '169.254.169.254' is not in input.image_hosts"),
        "file": (Status.IMAGE_FORBIDDEN, "not a URL of https or http"),
        "endless": (Status.IMAGE_FORBIDDEN, "more than 5 redirects"),
        "private": (Status.IMAGE_FORBIDDEN, "host '10.0.0.1' is not in input.image_hosts"),
    }


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (404, Status.IMAGE_MISSING),
        (410, Status.IMAGE_MISSING),
        (204, Status.IMAGE_MISSING),
        (401, Status.IMAGE_FORBIDDEN),
        (403, Status.IMAGE_FORBIDDEN),
        (451, Status.IMAGE_FORBIDDEN),
        (500, Status.IMAGE_IO),
        (503, Status.IMAGE_IO),
        (429, Status.IMAGE_IO),
    ],
)
def test_an_answer_without_a_photo_is_a_status(
    server: WebServer, status: int, expected: Status, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "ATTEMPTS", 2)
    monkeypatch.setattr(attempts, "PATIENCE", 0.2)
    with faulty(server, "error", status=status) as (proxy, url):
        photo = web_photos.read(url, remote(proxy.port, seconds=0.5), 10_000)
    assert (photo.data, photo.status, photo.error) == (None, expected, f"answer {status}")
    assert (len(proxy.requests) > 1) is (expected is Status.IMAGE_IO)


@pytest.mark.parametrize("kind", ["reset", "lost", "half", "error", "stall"])
def test_one_failure_is_repeated(server: WebServer, kind: str) -> None:
    attempts.counted()
    with faulty(server, kind, times=1) as (proxy, url):
        assert web_photos.read(url, remote(proxy.port, seconds=1.5), 10_000).data == PHOTO
    assert attempts.counted() == {"http_get": 2}


@pytest.mark.parametrize(
    ("kind", "expected"), [("reset", Status.IMAGE_IO), ("half", Status.IMAGE_IO), ("stall", Status.IMAGE_TIMEOUT)]
)
def test_a_failure_that_stays_is_a_status_that_the_next_night_tries_again(
    server: WebServer, kind: str, expected: Status, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "ATTEMPTS", 3)
    with faulty(server, kind) as (proxy, url):
        photo = web_photos.read(url, remote(proxy.port, seconds=0.6), 10_000)
    assert (photo.data, photo.status) == (None, expected)


def test_retry_after_is_waited_for(server: WebServer) -> None:
    started = time.monotonic()
    with faulty(server, "error", status=429, headers={"Retry-After": "1"}, times=1) as (proxy, url):
        assert web_photos.read(url, remote(proxy.port), 10_000).data == PHOTO
    assert time.monotonic() - started >= 1
    with faulty(server, "error", status=429, headers={"Retry-After": "3600"}) as (proxy, url):
        photo = web_photos.read(url, remote(proxy.port), 10_000)
    assert (photo.status, photo.error, len(proxy.requests)) == (Status.IMAGE_IO, "answer 429", 1)


def test_the_limit_of_seconds_holds_for_a_server_that_sends_a_byte_now_and_then(server: WebServer) -> None:
    started = time.monotonic()
    with faulty(server, "slow") as (proxy, url):
        photo = web_photos.read(url, remote(proxy.port, seconds=1), 10_000)
    assert photo.status is Status.IMAGE_TIMEOUT
    assert time.monotonic() - started < 5


def test_the_limit_of_seconds_holds_for_a_head_that_never_ends() -> None:
    started = time.monotonic()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port, done = listening.getsockname()[1], threading.Event()

        def dribble() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
                while not done.wait(0.1):
                    try:
                        connection.sendall(b"x")
                    except OSError:
                        return

        thread = threading.Thread(target=dribble)
        thread.start()
        photo = web_photos.read(f"http://{HOST}:{port}/a.jpg", remote(port, seconds=1), 10_000)
        done.set()
        thread.join()
    assert photo.status is Status.IMAGE_TIMEOUT
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("headers", [{}, {"Transfer-Encoding": "chunked"}])
def test_an_answer_above_the_limit_of_bytes_is_refused(server: WebServer, headers: dict[str, str]) -> None:
    body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(PHOTO), PHOTO) if headers else PHOTO
    server.answers["/large"] = Answer(body, 200, headers)
    photo = web_photos.read(f"http://{HOST}:{server.port}/large", remote(server.port), 1000)
    assert (photo.data, photo.status) == (None, Status.IMAGE_TOO_LARGE)


def test_a_photo_that_was_not_modified_is_unchanged(server: WebServer) -> None:
    server.answers["/same"] = Answer(b"", 304)
    date = "Fri, 27 Nov 2026 00:00:00 GMT"
    photo = web_photos.read(f"http://{HOST}:{server.port}/same", remote(server.port), 1000, date)
    assert (photo.status, photo.unchanged, server.requests[-1][2]) == (Status.OK, True, date)


_DATE = "Fri, 27 Nov 2026 00:00:00 GMT"


@pytest.mark.parametrize(
    ("headers", "validator"),
    [
        ({"ETag": '"a-1"', "Last-Modified": _DATE}, '"a-1"'),
        ({"ETag": 'W/"a"'}, 'W/"a"'),
        ({"Last-Modified": _DATE}, _DATE),
        ({}, None),
        ({"ETag": "a"}, None),  # no ETag without quotes
        ({"ETag": f'"{"a" * 1000}"', "Last-Modified": "yesterday"}, None),
        ({"ETag": '"\xe9"', "Last-Modified": _DATE}, _DATE),
    ],
)
def test_what_a_host_says_of_a_photo_s_version_is_asked_by_at_the_next_time(
    server: WebServer, headers: dict[str, str], validator: str | None
) -> None:
    server.answers["/v"] = Answer(PHOTO, 200, headers)
    url, allowed = f"http://{HOST}:{server.port}/v", remote(server.port)
    first = web_photos.read(url, allowed, len(PHOTO))
    assert (first.data, first.validator, first.identity) == (PHOTO, validator, None)
    again = web_photos.read(url, allowed, len(PHOTO), first.validator)
    assert (again.unchanged, again.data) == ((True, None) if validator else (False, PHOTO))
    assert (again.validator, server.requests[-1][2]) == (validator, validator)


def test_a_host_is_asked_no_faster_than_its_rate(server: WebServer) -> None:
    allowed = remote(server.port, rate=50)
    started = time.monotonic()
    for _ in range(26):
        web_photos.read(f"http://{HOST}:{server.port}/a.jpg", allowed, 10_000)
    assert time.monotonic() - started >= 0.5


class _Clock:
    """A clock that a sleep moves on, and nothing else."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        """Return the seconds since some time."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let seconds go by at once."""
        self.now += seconds


def test_a_host_that_is_down_is_not_waited_for_by_each_photo(
    server: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = _Clock()
    monkeypatch.setattr(attempts, "time", clock)
    monkeypatch.setattr(attempts.random, "uniform", lambda least, most: most)
    monkeypatch.setattr(attempts, "PATIENCE", 2.5)
    monkeypatch.setattr(attempts, "PROBE", 1)
    monkeypatch.setattr(attempts, "ATTEMPTS", 4)
    with faulty(server, "reset") as (proxy, url):
        found = [web_photos.read(url, remote(proxy.port, seconds=60), 10_000) for _ in range(20)]
        asked = len(proxy.requests)
        clock.sleep(attempts.PROBE)
        web_photos.read(url, remote(proxy.port, seconds=60), 10_000)
    # Pauses of 0.2, 0.4 and 0.8 s: the second photo ends after 2.8 s, and the third one's only request is a probe.
    assert [photo.error for photo in found[:2]] == ["connection failed: ProtocolError"] * 2
    assert {photo.error for photo in found[2:]} == {"no answer for more than 2 seconds"}
    assert (asked, len(proxy.requests) - asked) == (9, 1), "four for each photo are 80"


def test_tls_is_checked_against_the_name_of_the_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = web.certificate(tmp_path, HOST)
    with web.serving({"/a.jpg": Answer(PHOTO)}, files) as server:
        ports = (f"{HOST}:{server.port}", f"wrong.example:{server.port}")

        def read(name: str, seconds: float) -> Any:  # other seconds: another host object, which reads certificates anew
            return web_photos.read(f"https://{name}:{server.port}/a.jpg", Remote(ports, True, seconds=seconds), 10_000)

        unknown = read(HOST, 5)
        monkeypatch.setenv("SSL_CERT_FILE", str(files[0]))
        assert read(HOST, 6).data == PHOTO
        wrong = read("wrong.example", 6)
    assert (unknown.status, unknown.error) == (Status.IMAGE_IO, "TLS: self-signed certificate")
    assert (wrong.status, wrong.error) == (Status.IMAGE_IO, "TLS: the certificate is of another host")


def test_threads_share_the_connections_of_a_host_and_no_answer_is_crossed(server: WebServer) -> None:
    for number in range(50):
        server.answers[f"/{number}"] = Answer(b"%d" % number * 1000)
    wrong: list[int] = []

    def fetch() -> None:
        for number in range(50):
            photo = web_photos.read(f"http://{HOST}:{server.port}/{number}", remote(server.port), 10_000)
            if photo.data != b"%d" % number * 1000:
                wrong.append(number)

    threads: list[threading.Thread] = [threading.Thread(target=fetch) for _ in range(8)]
    start: Callable[[threading.Thread], None] = threading.Thread.start
    for thread in threads:
        start(thread)
    for thread in threads:
        thread.join()
    assert wrong == []
