"""Nights on photos of S3 and of a web server: what is fetched, what is looked up, and what a fault costs."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from PIL import Image
from pyspark import cloudpickle

from fashion_udf import config
from fashion_udf.config import JobConfig
from fashion_udf.errors import ConfigError, CredentialsError
from fashion_udf.pipeline import photo_places, tagging
from fashion_udf.pipeline.comparison import Scope
from fashion_udf.pipeline.outcome import Outcome
from fashion_udf.table import paths, snapshot
from tests import small_bundle
from tests.servers import web
from tests.servers.s3 import S3Server
from tests.servers.web import Answer, WebServer

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

BUCKET = "nights"


def photo(level: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (24, 24), (level % 250, 10, 10)).save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="module")
def server(s3_server: S3Server) -> S3Server:
    """150 photos in S3."""
    s3_server.bucket(BUCKET)
    with ThreadPoolExecutor(8) as pool:
        [*pool.map(lambda number: s3_server.put(f"p/{number:03}.png", photo(number), BUCKET), range(150))]
    return s3_server


@pytest.fixture(scope="module")
def host() -> Iterator[WebServer]:
    with web.serving({"/1.png": Answer(photo(1)), "/2.png": Answer(photo(2))}) as found:
        yield found


class Shop:
    """A catalog of URIs, and its nights."""

    def __init__(self, spark: SparkSession, folder: Path, server: S3Server, host: WebServer) -> None:
        self.spark, self.folder, self.output = spark, folder, str(folder / "out")
        self.tree: dict[str, Any] = {
            "input": {
                "path": str(folder / "in"),
                "image_hosts": [f"127.0.0.1:{host.port}"],
                "private_image_hosts": True,
            },
            "output": {"path": self.output},
            "bundle": str(small_bundle.directory()),
            "gates": {"max_failures": 1, "max_one_category": 1, "max_shift": 1, "max_flips": 1},
            "s3": server.settings.model_dump(),
        }

    def night(self, uris: dict[str, str | None], scope: Scope | None = None) -> Outcome:
        (self.folder / "in").mkdir(exist_ok=True)
        columns = {
            "product_id": [*uris],
            "title": [f"Red shirt {name}" for name in uris],
            "image_uri": [*uris.values()],
        }
        pq.write_table(pa.table(columns), self.folder / "in" / "part.parquet")
        return tagging.tag(self.spark, config.validate(JobConfig, self.tree, "a night"), scope)

    def statuses(self) -> dict[str, str]:
        return self._column("status")

    def digests(self) -> dict[str, str]:
        return self._column("image_sha256")

    def _column(self, name: str) -> dict[str, str]:
        commit = snapshot.current(self.output)
        assert commit is not None
        rows = ds.dataset(paths.data_dir(self.output, commit), format="parquet").to_table().to_pylist()
        return {row["product_id"]: row[name] for row in rows}

    def requests(self, outcome: Outcome) -> dict[str, int]:
        metrics = json.loads((Path(self.output) / "runs" / outcome.run_id / "metrics.json").read_text())
        return dict(metrics.get("requests", {}))


@pytest.fixture
def shop(spark: SparkSession, tmp_path: Path, server: S3Server, host: WebServer) -> Shop:
    return Shop(spark, tmp_path, server, host)


def test_photos_of_s3_and_of_hosts_are_tagged_and_an_unchanged_night_fetches_none(
    shop: Shop, server: S3Server, host: WebServer, caplog: pytest.LogCaptureFixture
) -> None:
    here = f"http://127.0.0.1:{host.port}"
    uris: dict[str, str | None] = {
        "s3": f"s3://{BUCKET}/p/001.png",
        "s3a": f"s3a://{BUCKET}/p/002.png",
        "gone": f"s3://{BUCKET}/p/gone.png",
        "web": f"{here}/1.png",
        "web 404": f"{here}/404.png",
        "other host": "https://user:secret@cdn.example/a.jpg",
        "other scheme": "ftp://cdn.example/a.jpg",
        "none": None,
    }
    first = shop.night(uris)
    assert shop.statuses() == {
        "s3": "ok",
        "s3a": "ok",
        "gone": "image_missing",
        "web": "ok",
        "web 404": "image_missing",
        "other host": "image_forbidden",
        "other scheme": "image_forbidden",
        "none": "image_none",
    }
    assert shop.requests(first) == {"s3_list": 1, "s3_get": 3, "http_get": 2}
    warned = [message for message in caplog.messages if "become image_forbidden" in message]
    assert warned == [
        "1 photos become image_forbidden, because input.image_hosts lacks their host: cdn.example (1)",
        "1 photos become image_forbidden, because their scheme is not read: ftp (1)",
    ]
    assert "secret" not in caplog.text
    with server.proxy.recorded() as requests:
        assert not shop.night(uris).published
    assert {request.operation for request in requests} == {"list"}
    asked = len(host.requests)
    server.put("p/001.png", photo(101), BUCKET)
    with server.proxy.recorded() as requests:
        changed = shop.night(uris)
    assert changed.counts.reasons == {"image": 1}
    assert [request.path for request in requests if request.operation == "get"] == [f"/{BUCKET}/p/001.png"]
    assert len(host.requests) == asked, "a URL's photo is the same while the URL is"


def test_hosts_are_asked_again_only_when_told_to_and_a_replaced_photo_is_scored(shop: Shop, host: WebServer) -> None:
    uris: dict[str, str | None] = {name: f"http://127.0.0.1:{host.port}/{name}.png" for name in ("1", "2")}
    shop.night(uris)
    asked = len(host.requests)
    unchanged = shop.night(uris, Scope(recheck_photos=True))
    assert not unchanged.published
    assert unchanged.counts.unchanged == {"same_photo": 2}
    assert [since is not None for _, _, since in host.requests[asked:]] == [True, True]
    host.answers["/1.png"] = Answer(photo(101))
    changed = shop.night(uris, Scope(recheck_photos=True))
    assert (changed.published, changed.counts.reasons) == (True, {"image": 2})
    assert not shop.night(uris).published


def test_a_host_is_asked_by_etag_and_a_photo_that_is_put_back_in_time_is_found(shop: Shop, host: WebServer) -> None:
    date, earlier = "Fri, 27 Nov 2026 00:00:00 GMT", "Thu, 01 Jan 2026 00:00:00 GMT"
    host.answers["/e.png"] = Answer(photo(103), 200, {"ETag": '"1"', "Last-Modified": date})
    host.answers["/d.png"] = Answer(photo(104), 200, {"Last-Modified": date})
    host.answers["/late.png"] = Answer(photo(105))
    uris: dict[str, str | None] = {name: f"http://127.0.0.1:{host.port}/{name}.png" for name in ("e", "d", "late")}
    shop.night(uris)
    asked = len(host.requests)
    unchanged = shop.night(uris, Scope(recheck_photos=True))
    assert (unchanged.published, unchanged.counts.unchanged) == (False, {"same_photo": 3})
    tried = {path: condition for path, _, condition in host.requests[asked:]}
    assert (tried["/e.png"], tried["/d.png"]) == ('"1"', date)
    host.answers["/late.png"] = Answer(photo(105), 200, {"ETag": '"2"'})  # the host learns to name versions
    assert shop.night(uris, Scope(recheck_photos=True)).published, "for the validator, which costs no score"
    asked = len(host.requests)
    assert not shop.night(uris, Scope(recheck_photos=True)).published
    assert sorted(str(condition) for _, _, condition in host.requests[asked:]) == ['"1"', '"2"', date]
    # What was restored from a copy is older than what it replaces.
    host.answers["/e.png"] = Answer(photo(101), 200, {"ETag": '"0"', "Last-Modified": earlier})
    host.answers["/d.png"] = Answer(photo(102), 200, {"Last-Modified": earlier})
    before = shop.digests()
    replaced = shop.night(uris, Scope(recheck_photos=True))
    assert (replaced.published, replaced.counts.unchanged) == (True, {"same_photo": 1})
    assert {name for name, digest in shop.digests().items() if digest != before[name]} == {"e", "d"}


def test_a_fault_never_replaces_a_good_row_and_the_next_night_tries_again(shop: Shop, server: S3Server) -> None:
    shop.tree["limits"] = {"image_timeout": 1.0}
    uris: dict[str, str | None] = {name: f"s3://{BUCKET}/p/{name}.png" for name in ("010", "011")}
    shop.night(uris)
    server.put("p/010.png", photo(110), BUCKET)
    with server.proxy.fault("half", about=lambda request: request.operation == "get"):
        faulty = shop.night(uris)
    assert (faulty.published, faulty.counts.unchanged) == (False, {"image_io": 1})
    assert shop.statuses() == {"010": "ok", "011": "ok"}
    assert shop.night(uris).counts.reasons == {"image": 1}
    assert shop.statuses() == {"010": "ok", "011": "ok"}


def test_a_token_that_expires_stops_the_run_and_the_next_one_goes_on(shop: Shop, server: S3Server) -> None:
    uris: dict[str, str | None] = {f"{number:03}": f"s3://{BUCKET}/p/{number:03}.png" for number in range(8)}
    expired = {"status": 400, "code": "ExpiredToken"}
    with (
        server.proxy.fault("error", **expired, about=lambda request: request.operation == "get"),
        pytest.raises(
            CredentialsError, match="ExpiredToken. Renew the credentials and run again; finished work is kept$"
        ),
    ):
        shop.night(uris)
    assert snapshot.current(shop.output) is None
    assert shop.night(uris).counts.scored == 8
    assert {*shop.statuses().values()} == {"ok"}


def test_a_night_on_which_s3_refuses_most_photos_stops_early(shop: Shop, server: S3Server) -> None:
    uris: dict[str, str | None] = {f"{number:03}": f"s3://{BUCKET}/p/{number:03}.png" for number in range(250)}
    with (
        server.proxy.fault("error", status=403, code="AccessDenied"),
        pytest.raises(ConfigError, match=r"Expected S3 to refuse at most 50% .* of 100 refused, .*: 403 AccessDenied"),
    ):
        shop.night(uris)
    assert snapshot.current(shop.output) is None


def test_nothing_that_is_sent_to_a_worker_written_or_logged_holds_a_credential(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", "fashion_udf")
    shop.night({"a": f"s3://{BUCKET}/p/001.png"})
    secrets = [os.environ["AWS_ACCESS_KEY_ID"].encode(), os.environ["AWS_SECRET_ACCESS_KEY"].encode()]
    settings = config.validate(JobConfig, shop.tree, "a night")
    sent = [cloudpickle.dumps(photo_places.remote(settings, 2)), cloudpickle.dumps(settings)]
    written = [path.read_bytes() for path in shop.folder.rglob("*") if path.is_file()]
    spark_settings = repr(shop.spark.sparkContext.getConf().getAll()).encode()
    said = [*sent, *written, spark_settings, caplog.text.encode()]
    assert not [True for each in said for secret in secrets if secret in each]
