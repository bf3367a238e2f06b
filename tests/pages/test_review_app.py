"""The review's addresses: only with the token, only by the name of this machine, bounded bodies, one line an error."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fashion_udf.pages import review_app
from tests.pages import queues


class Asked:
    """The server of one review, and what it answers."""

    def __init__(self, address: str) -> None:
        self.host = address.split("/")[2]

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection(self.host, timeout=20)
        data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        connection.request(method, path, data, headers)
        answer = connection.getresponse()
        found = answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        connection.close()
        return found


@pytest.fixture(scope="module")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    output = tmp_path_factory.mktemp("served")
    queues.write(output, [queues.row(number) for number in range(200)])
    with queues.served(output) as address:
        yield Asked(address)


BASE = f"/{queues.TOKEN}"


@pytest.mark.parametrize("path", ["/", "/api/queue", "/wrong/", "/wrong/api/next", "//", f"/{queues.TOKEN[:-1]}/"])
def test_without_the_token_there_is_nothing(ask: Asked, path: str) -> None:
    status, headers, body = ask("GET", path)
    assert status == 404 and b"Expected the address that `fashion-udf review` printed" in body
    assert "default-src 'none'" in headers["content-security-policy"]


def test_another_name_of_the_host_is_refused(ask: Asked) -> None:
    assert ask("GET", f"{BASE}/", Host="evil.example")[0] == 400
    assert ask("GET", f"{BASE}/")[0] == 200


def test_every_answer_keeps_the_page_to_itself(ask: Asked) -> None:
    for path in ("/", "/static/review.js", "/api/queue", "/photo/0?size=160"):
        _, headers, _ = ask("GET", BASE + path)
        policy = headers["content-security-policy"]
        assert "script-src 'self'" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy
        assert headers["referrer-policy"] == "no-referrer" and headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("path", "body", "message"),
    [
        ("/api/decide", [{"product_id": "x", "category": "Hats"}], "Expected a product of the queue. Received: 'x'"),
        ("/api/decide", {"a": 1}, "Expected a list of product_id and category. Received: another body"),
        ("/api/decide", [], "Expected 1 to 60 decisions. Received: 0"),
        ("/api/decide", b"{", "Expected JSON. Received: "),
        ("/api/decide", b"x" * 300_000, "Expected at most 200000 bytes. Received: more"),
        ("/api/skip", {"index": 10**9}, "Expected the index of a row. Received: 1000000000"),
        ("/api/skip", [], "Expected the index of a row. Received: None"),
    ],
)
def test_what_cannot_be_done_is_one_line(ask: Asked, path: str, body: Any, message: str) -> None:
    status, _, answer = ask("POST", BASE + path, body)
    assert status == 400 and json.loads(answer)["error"].startswith(message)


def test_a_page_of_rows_has_what_a_reviewer_needs_and_no_more_than_asked(ask: Asked) -> None:
    rows = json.loads(ask("GET", f"{BASE}/api/next?count=1000")[2])["rows"]
    assert len(rows) == review_app.MOST_ROWS
    assert {"product_id", "title", "description", "top", "suspect", "has_photo"} <= rows[0].keys()
    assert not {"image_uri", "file", "fingerprint"} & rows[0].keys()
    assert ask("GET", f"{BASE}/api/next?count=x")[0] == 400


def test_nothing_else_is_served(ask: Asked, tmp_path: Path) -> None:
    for path in ("/static/../queue.py", "/static/review.html", "/photo/0?size=9999", "/photo/999999?size=160", "/x"):
        assert ask("GET", BASE + path)[0] == 404, path
    assert ask("GET", f"{BASE}/api/decide")[0] == 405
