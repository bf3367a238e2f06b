"""Nights whose photos and table are on S3: throttled, killed, with a photo that is replaced, by both schemes."""

from __future__ import annotations

import hashlib
import io
import itertools
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from fashion_udf import config
from fashion_udf.config import JobConfig
from fashion_udf.pipeline import chunks, tagging
from fashion_udf.pipeline.outcome import Outcome
from fashion_udf.table import paths, retention, s3_store, snapshot
from fashion_udf.table.retention import Policy
from fashion_udf.table.stores import open_store
from fashion_udf.table.tags_table import TagsTable
from tests import small_bundle, soak
from tests.servers import jars
from tests.servers.proxy import Request
from tests.servers.s3 import S3Server

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_NUMBERS = itertools.count(1)
BUCKET = "tagged"
#: Kills of one run after the other.
KILLS = 20

# The heartbeat of a run that ended ends in its own thread; an executor's connection is closed late.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")

_LONG = pytest.mark.skipif(not soak.SOAK, reason="minutes, run by `make soak`")


def _photo(level: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (24, 24), (level % 250, level // 250, 10)).save(file, "PNG")
    return file.getvalue()


class Nights:
    """A catalog of local Parquet with photos in S3, and nights on it."""

    def __init__(self, spark: SparkSession, folder: Path, server: S3Server, count: int) -> None:
        self.spark, self.folder, self.server = spark, folder, server
        self.place = f"{server.bucket(BUCKET)}/{next(_NUMBERS)}"
        self.photos = {f"{number:03}": _photo(number) for number in range(count)}
        for name in self.photos:
            self.put(name, self.photos[name])
        (folder / "in").mkdir()
        catalog = {
            "product_id": [*self.photos],
            "title": [f"Red shirt {name}" for name in self.photos],
            "image_uri": [f"s3://{self.place}/p/{name}.png" for name in self.photos],
        }
        pq.write_table(pa.table(catalog), folder / "in" / "part.parquet")

    def put(self, name: str, photo: bytes) -> None:
        """Write a photo past the proxy."""
        bucket, _, prefix = self.place.partition("/")
        self.server.put(f"{prefix}/p/{name}.png", photo, bucket)
        self.photos[name] = photo

    def is_photo(self, request: Request, name: str = "") -> bool:
        """Whether a photo is asked for, or this one."""
        return request.operation == "get" and request.path.startswith(f"/{self.place}/p/{name}")

    def run(self, output: str = "s3://{}/out", **settings: Any) -> Outcome:
        """Run a night; `settings` are of S3."""
        tree = {
            "input": {"path": str(self.folder / "in")},
            "output": {"path": output.format(self.place)},
            "bundle": str(small_bundle.directory()),
            "gates": {"max_one_category": 1, "max_failures": 1, "max_shift": 1, "max_flips": 1},
            "s3": {**self.server.settings.model_dump(), **settings},
        }
        return tagging.tag(self.spark, config.validate(JobConfig, tree, "a night"))

    def require_all(self, output: str = "s3://{}/out") -> None:
        """Fail if the table does not hold each product once, scored from the bytes of its photo."""
        place = output.format(self.place)
        snapshot.verify(place, snapshot.newest(place))
        frame = TagsTable(place).to_pandas(["product_id", "status", "image_sha256"])
        assert frame["product_id"].is_unique
        found = {name: (status, digest) for name, status, digest in frame.itertuples(index=False)}
        soak.require_rows(
            found, {name: ("ok", hashlib.sha256(photo).hexdigest()) for name, photo in self.photos.items()}
        )


@pytest.fixture
def nights(spark: SparkSession, s3_server: S3Server, tmp_path: Path) -> Iterator[Nights]:
    """A catalog of 24 photos."""
    jars.needed("s3a")
    before = s3_store.settings()
    yield Nights(spark, tmp_path, s3_server, 24)
    s3_store.use(before)


def test_a_photo_that_is_replaced_after_the_plan_has_the_fingerprint_of_what_was_scored(nights: Nights) -> None:
    replaced = []

    def is_first(request: Request) -> bool:
        if nights.is_photo(request, "007") and not replaced:
            replaced.append(request)
            nights.put("007", _photo(400))  # after the plan has listed the one before, and before this one is answered
        return False

    with nights.server.proxy.fault("reset", about=is_first), nights.server.proxy.recorded() as requests:
        nights.run()
    assert replaced
    nights.require_all()
    # Compatible stores refuse checksums that are not required, and a multipart upload could leave parts behind.
    assert [each.path for each in requests if {"uploads", "uploadId"} & each.query.keys()] == []
    added = ("x-amz-checksum-", "x-amz-trailer", "x-amz-sdk-checksum-algorithm")
    assert [each.path for each in requests if each.method != "POST" and any(map(str(each.headers).count, added))] == []
    # By the other scheme the same table is found, and no row is scored again.
    unchanged = nights.run("s3a://{}/out")
    assert (unchanged.published, unchanged.counts.scored) == (False, 0)
    nights.require_all("s3a://{}/out")


@pytest.mark.soak
@_LONG
def test_a_night_that_s3_throttles_loses_no_row_and_asks_at_most_three_times_as_often(nights: Nights) -> None:
    proxy = nights.server.proxy
    with proxy.recorded() as least:
        nights.run("s3://{}/a")
    with proxy.recorded() as requests, proxy.fault("error", share=0.3, status=503, code="SlowDown") as fault:
        nights.run("s3://{}/b", attempts=12)
    nights.require_all("s3://{}/b")
    assert fault.injected > 0.2 * len(requests)
    assert len(requests) <= 3 * len(least)


@pytest.mark.soak
@pytest.mark.timeout(0)
@_LONG
def test_what_killed_runs_leave_is_removed_after_the_grace_time_alone(
    nights: Nights, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunks, "MIN_CHUNK_ROWS", 6)
    output, proxy = f"s3://{nights.place}/out", nights.server.proxy
    with proxy.recorded() as requests:
        nights.run()
    whole = _left(output)
    for number in range(KILLS):
        nights.put(f"{number:03}", _photo(500 + number))
        ended, numbers = len(requests) * (2 + number % 7) // 10, itertools.count()
        with suppress(Exception), proxy.fault("reset", about=lambda _, end=ended, at=numbers: next(at) >= end):
            nights.run(attempts=1)
        soak.TOTALS["killed runs"] += 1
    left = _left(output)
    assert 0 < sum(left.values()) <= KILLS * (sum(whole.values()) + _table_bytes(output))
    nights.run()
    nights.require_all()
    published = {file.key for file in open_store(output).list_files("tags")} - left.keys()
    assert retention.expire(output, Policy(older_than=0, keep=2, grace=3600)) == ([], [])
    removed, problems = retention.expire(output, Policy(older_than=0, keep=2, grace=0))
    assert removed and problems == []
    assert _left(output) == {}
    assert published <= {file.key for file in open_store(output).list_files("tags")}
    nights.require_all()


def _left(output: str) -> dict[str, int]:
    """Return the bytes of the files of staging and of data that no commit names."""
    named = {f"tags/data/{commit.snapshot_id}" for commit in snapshot.read_log(output)}
    files = [file for folder in (paths.STAGING, "tags/data") for file in open_store(output).list_files(folder)]
    return {file.key: file.size for file in files if file.key.rpartition("/")[0] not in named}


def _table_bytes(output: str) -> int:
    return snapshot.newest(output).size
