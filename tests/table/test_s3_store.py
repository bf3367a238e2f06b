"""S3 with faults: what a create tells is what is in the store, and what boto3 raises says what happened."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from fashion_udf.errors import CommitConflictError, CommitUnknownError, SnapshotError
from fashion_udf.s3 import S3Settings
from fashion_udf.table import log, s3_store
from fashion_udf.table.commit import Commit, DataFile
from fashion_udf.table.store import Store
from fashion_udf.table.stores import open_store
from tests.servers.proxy import Request
from tests.servers.s3 import S3Server, free_ports

_NUMBERS = itertools.count(1)
#: Sets of a fault for each kind.
ROUNDS = 5
#: What happens to the request of a commit: name -> facts of `Proxy.fault`.
FAULTS: dict[str, dict[str, Any]] = {
    "reset before": {"kind": "reset"},
    "answer lost": {"kind": "lost"},
    "slow down": {"kind": "error", "status": 503, "code": "SlowDown"},
    "internal error": {"kind": "error", "status": 500, "code": "InternalError"},
    "conflict": {"kind": "error", "status": 409, "code": "ConditionalRequestConflict"},
    "no answer": {"kind": "stall"},
    "forbidden": {"kind": "error", "status": 403, "code": "AccessDenied"},
    "expired": {"kind": "error", "status": 400, "code": "ExpiredToken"},
}
#: After these the request is not sent again.
DEFINITE = ("forbidden", "expired")


@pytest.fixture
def store(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """A store that waits for a second at most."""
    monkeypatch.setattr(s3_store, "_LONGEST_WAIT", 0.02)
    s3_store.use(s3_server.settings.model_copy(update={"timeout": 1.0, "attempts": 2}))
    yield open_store(f"s3a://{s3_server.bucket('faults')}/{next(_NUMBERS)}")
    s3_store.use(S3Settings())


def _commit(run_id: str) -> Commit:
    files = (DataFile("part-0.parquet", 1, 1, "a" * 64),)
    return Commit(1, run_id, None, "2026-01-01T00:00:00Z", run_id, "v1", files)


def _is_commit(request: Request) -> bool:
    return request.method == "PUT" and "tags/log" in request.path


@pytest.mark.parametrize("name", FAULTS)
def test_what_a_commit_tells_after_a_fault_is_what_is_in_the_log(s3_server: S3Server, store: Store, name: str) -> None:
    for number in range(1 if name == "no answer" else ROUNDS):
        mine = replace(_commit(f"mine-{number}"), number=number + 1, parent=number or None)
        theirs = replace(_commit(f"theirs-{number}"), number=number + 1, parent=number or None)
        lost = bool(number % 2)
        if lost:
            log.append(store, theirs)
        with s3_server.proxy.fault(**FAULTS[name], about=_is_commit, times=1) as fault:
            try:
                log.append(store, mine)
                told = "landed"
            except CommitConflictError:
                told = "lost"
            except CommitUnknownError:
                told = "unknown"
            except SnapshotError:
                told = "failed"
        assert fault.injected == 1
        held = log.find(store, mine.number)
        if name in DEFINITE and not lost:
            assert (told, held) == ("failed", None)
            log.append(store, theirs)
        else:
            assert (told, held) == (("lost", theirs) if lost else ("landed", mine))


@pytest.mark.parametrize("name", ["slow down", "conflict", "answer lost"])
def test_a_commit_that_is_never_answered_is_unknown_or_found(s3_server: S3Server, store: Store, name: str) -> None:
    mine = _commit("mine")
    with s3_server.proxy.fault(**FAULTS[name], about=_is_commit) as fault:
        if name == "answer lost":
            assert log.append(store, mine) == mine, "it landed at the first request, and was read back"
        else:
            with pytest.raises(CommitUnknownError, match="Nothing was deleted"):
                log.append(store, mine)
            assert log.find(store, 1) is None
    assert fault.injected == s3_store._TRIES


def test_a_read_that_breaks_off_is_no_shorter_object(s3_server: S3Server, store: Store) -> None:
    data = random.Random(1).randbytes(300_000)
    store.create("tags/data/x", data)
    with (
        s3_server.proxy.fault("half", about=lambda request: request.method == "GET"),
        pytest.raises(ConnectionError, match="tags/data/x"),
    ):
        store.read("tags/data/x", 1_000_000)
    with s3_server.proxy.fault("half", about=lambda request: request.method == "GET", times=1):
        with store.open("tags/data/x") as file:
            assert file.read() == data


def test_a_listing_has_more_pages_than_one(s3_server: S3Server, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = [f"runs/r/{number:04d}" for number in range(25)]
    for key in keys:
        store.replace(key, b"")
    client = s3_store.s3.client(s3_store.settings())
    listed = client._make_api_call

    def small_pages(operation: str, options: dict[str, Any]) -> Any:
        if operation == "ListObjectsV2":
            options = {**options, "MaxKeys": 10}
        return listed(operation, options)

    monkeypatch.setattr(client, "_make_api_call", small_pages)
    with s3_server.proxy.fault("error", about=lambda request: request.operation == "list", times=1):
        assert [file.key for file in store.list_files("runs")] == keys
    assert store.list_names("runs/r") == [key[len("runs/r/") :] for key in keys]
    monkeypatch.setattr(s3_store, "_PAGE", 10)
    assert store.delete_tree("runs", float("inf")) and store.list_files("runs") == []


def test_a_bucket_that_is_not_there_and_a_key_that_may_not_be_read_say_so(s3_server: S3Server, store: Store) -> None:
    with pytest.raises(FileNotFoundError, match=r"NoSuchBucket"):
        open_store("s3://no-such-bucket/out").list_names("tags/log")
    with (
        s3_server.proxy.fault("error", status=403, code="AccessDenied"),
        pytest.raises(PermissionError, match=r"AccessDenied \(403\)"),
    ):
        store.read("tags/log/00000001.json", 100)


def test_a_server_that_is_not_there_is_no_lack_of_permission(monkeypatch: pytest.MonkeyPatch) -> None:
    (port,) = free_ports(1)
    settings = S3Settings(endpoint_url=f"http://127.0.0.1:{port}", region="us-east-1", path_style=True, attempts=1)
    monkeypatch.setattr(s3_store, "_settings", settings)
    with pytest.raises(ConnectionError, match=rf"current\.sql: Could not connect to the endpoint URL: .*:{port}/"):
        open_store("s3://photos/out").read("tags/current.sql", 100)
