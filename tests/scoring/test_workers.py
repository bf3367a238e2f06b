"""Python workers as Spark runs them: what one loads, holds and uses, batch after batch; each row is scored once."""

from __future__ import annotations

import io
import json
import os
import random
import resource
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from pyspark.sql import functions as F
from pyspark.sql.pandas.functions import pandas_udf

import fashion_udf as fu
from fashion_udf.model import bundle as bundles
from fashion_udf.model.bundle import Bundle
from fashion_udf.scoring import udf
from fashion_udf.scoring.tagger import usual_settings
from tests import small_bundle, soak
from tests.servers.s3 import BUCKET, S3Server

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

BATCH = 4  # rows
#: Batches of a task; tasks of a round, which one or two workers take one after the other.
BATCHES, TASKS = 60, 4
#: Megabytes that a worker may grow by in a batch, after its first batches.
GROWTH = 1.0


class CountedFiles(dict[str, bytes]):
    """The files of a bundle; a file in `log` has the process of each engine that is built from them."""

    log = ""

    def __getitem__(self, name: str) -> bytes:
        if name.endswith(".xml"):
            with open(self.log, "a") as file:
                file.write(f"{os.getpid()}\n")
        return super().__getitem__(name)


def _counted(model: Bundle, log: Path) -> Bundle:
    files = CountedFiles(model.files)
    files.log = str(log)
    log.touch()
    return Bundle(model.manifest, files, model.model_version)


def _facts() -> dict[str, Any]:
    """Return what this process holds, and what the daemon that forked it has."""
    daemon = f"/proc/{os.getppid()}"
    status = dict(line.split(":\t") for line in Path(daemon, "status").read_text().splitlines() if ":\t" in line)
    maps = Path(daemon, "maps").read_text()
    return {
        "process": os.getpid(),
        "resident": int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6,  # MB
        "files": len(os.listdir("/proc/self/fd")),
        "threads": len(os.listdir("/proc/self/task")),
        "processor": time.process_time(),
        "scoring": time.thread_time(),
        "daemon": [int(status["Threads"]), *(name for name in ("openvino", "tensorflow", "faiss") if name in maps)],
    }


def _observed(bundle: Any, settings: Any) -> Callable[..., Any]:
    """A UDF that scores as the job's own, and returns the facts of its worker after each batch."""

    def score(batches: Iterator[tuple[pd.Series, ...]]) -> Iterator[pd.Series]:
        for scores in udf._scored(batches, bundle.value, settings, False, 600.0):
            yield pd.Series([json.dumps(_facts())] * len(scores))

    return pandas_udf(score, "string")  # type: ignore[call-overload, no-any-return]


@pytest.fixture(autouse=True)
def own_workers(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Spark start workers for this file: each of the many that other tests have left would take one task."""
    monkeypatch.setitem(spark.sparkContext.environment, "WORKERS_OF", __name__)


def _run(spark: SparkSession, model: Bundle, rows: DataFrame, photo: Any, tasks: int) -> dict[int, list[Any]]:
    """Score the rows in tasks one after the other; return the facts after each batch, by worker, in order."""
    found: dict[int, list[Any]] = defaultdict(list)
    settings = usual_settings(model, "openvino", "f32", 3, photo, image_roots=("/",))
    shared = spark.sparkContext.broadcast(model)
    score = _observed(shared, settings)
    spark.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", BATCH)
    for _ in range(tasks):
        scored = rows.coalesce(1).select(score("title", "title", "photo", F.lit(None).cast("string")).alias("facts"))
        for number, row in enumerate(scored.collect()):
            if number % BATCH == 0:
                facts = json.loads(row.facts)
                found[facts["process"]].append(facts)
    shared.destroy()
    return found


def _photos() -> list[bytes]:
    """Photos of several formats and sizes; one is cut, one is none."""
    draws, found = random.Random(3), list[bytes]()
    for number in range(24):
        kind, file = ("JPEG", "PNG", "WEBP")[number % 3], io.BytesIO()
        size = draws.randrange(200, 400), draws.randrange(200, 400)
        Image.effect_noise(size, 60).convert("RGB").save(file, kind)
        found.append(file.getvalue())
    return [*found, found[0][: len(found[0]) // 2], b"<html>"]


@pytest.mark.soak
@pytest.mark.timeout(0 if soak.SOAK else 600)
def test_a_worker_that_is_used_again_keeps_its_memory_files_and_threads(spark: SparkSession, tmp_path: Path) -> None:
    for number, photo in enumerate(_photos()):
        (tmp_path / f"{number}.photo").write_bytes(photo)
    places = [str(path) for path in sorted(tmp_path.iterdir())] + [str(tmp_path / "none"), None]
    draws = random.Random(soak.SEED)
    rows = [
        (f"Red shirt {number} {'x' * draws.randrange(400)}", draws.choice(places)) for number in range(BATCH * BATCHES)
    ]
    frame = spark.createDataFrame(rows, "title string, photo string")
    model = fu.load_bundle() if soak.SOAK else small_bundle.read()
    found: dict[int, list[Any]] = defaultdict(list)
    for _ in soak.rounds("rounds of 240 batches", 1):
        for process, facts in _run(spark, model, frame, "uri", TASKS).items():
            found[process] += facts
    batches = max(map(len, found.values()))
    assert batches >= BATCHES * TASKS / 2, "two workers at most"
    for facts in found.values():
        used = facts[len(facts) // 4 :]
        if len(used) < 80:
            continue
        slope, _ = np.polyfit(range(len(used)), [each["resident"] for each in used], 1)
        assert slope <= GROWTH, f"{slope:.2f} MB for each of {len(used)} batches"
        # Photos of the next batch are read meanwhile, and a thread that ended may still be listed for a moment.
        for what in ("files", "threads"):
            counts, half = [each[what] for each in used], len(used) // 2
            assert statistics.median(counts[:half]) == statistics.median(counts[half:]), counts
        soak.TOTALS["batches of a worker"] = max(soak.TOTALS["batches of a worker"], len(facts))
        soak.TOTALS["KB a batch"] = max(soak.TOTALS["KB a batch"], round(1000 * slope))


def test_a_worker_builds_one_engine_the_driver_none_and_the_daemon_loads_no_framework(
    spark: SparkSession, tmp_path: Path
) -> None:
    log = tmp_path / "engines"
    rows = spark.createDataFrame([("Red shirt", None)] * 4 * BATCH, "title string, photo binary")
    workers = _run(spark, _counted(small_bundle.read(), log), rows, "bytes", tasks=6)
    built = [int(line) for line in log.read_text().split()]
    assert sorted(built) == sorted(workers), "one engine in each worker, for all of its tasks"
    assert os.getpid() not in built
    daemons = [facts["daemon"] for each in workers.values() for facts in each]
    assert daemons == [[1]] * len(daemons), "threads of the daemon, and frameworks that it has loaded"


def test_one_thread_of_a_worker_works_where_a_task_has_one_core(spark: SparkSession) -> None:
    photos = [photo for photo in _photos() if len(photo) > 100]
    rows = [(f"Red shirt number {number} of cotton", photos[number % len(photos)]) for number in range(16 * BATCH)]
    frame = spark.createDataFrame(rows, "title string, photo binary")
    for facts in _run(spark, bundles.read("builtin"), frame, "bytes", tasks=2).values():
        first, last = facts[0], facts[-1]  # the first batch builds the engine
        everything, scoring = (last[name] - first[name] for name in ("processor", "scoring"))
        assert everything <= 1.25 * scoring, "the engine, the tokenizer or numpy has threads that work"


@pytest.mark.soak
@pytest.mark.skipif(not soak.SOAK, reason="says something only where nothing else runs: run by `make soak`")
def test_a_row_takes_hardly_more_processor_time_where_every_core_has_a_task(spark: SparkSession) -> None:
    photos = [photo for photo in _photos() if len(photo) > 100]
    rows = [(f"Red shirt number {number} of cotton", photos[number % len(photos)]) for number in range(16 * BATCH)]
    frame, model = spark.createDataFrame(rows, "title string, photo binary"), bundles.read("builtin")
    alone, together = list[float](), list[float]()
    for _ in soak.rounds("tasks alone, and beside others", 3):
        for cores, found in ((1, alone), (spark.sparkContext.defaultParallelism, together)):
            with ThreadPoolExecutor(cores) as pool:
                runs = [pool.submit(_run, spark, model, frame, "bytes", 1) for _ in range(cores)]
            for facts in (facts for run in runs for facts in run.result().values()):
                found.append((facts[-1]["processor"] - facts[0]["processor"]) / (len(facts) - 1))
    times = statistics.median(together) / statistics.median(alone)
    soak.TOTALS["% of the processor time of a task alone"] = round(100 * times)
    assert times <= 1.25


def test_photos_that_do_not_fit_into_the_memory_of_a_worker_cost_a_row_each(spark: SparkSession) -> None:
    small, large = io.BytesIO(), io.BytesIO()
    Image.new("RGB", (40, 40), (200, 10, 10)).save(small, "PNG")
    Image.new("RGB", (9000, 9000), (200, 10, 10)).save(large, "PNG", compress_level=1)  # 243 MB when it is decoded
    model = small_bundle.read()
    shared, settings = spark.sparkContext.broadcast(model), usual_settings(model, "openvino", "f32", 3)

    def limited(batches: Iterator[tuple[pd.Series, ...]]) -> Iterator[tuple[pd.Series, ...]]:
        for number, batch in enumerate(batches):
            if number == 1:  # the first batch has built the engine
                used = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
                resource.setrlimit(resource.RLIMIT_AS, (used + 150_000_000, resource.RLIM_INFINITY))
            yield batch

    def score(batches: Iterator[tuple[pd.Series, ...]]) -> Iterator[pd.DataFrame]:
        try:
            for scores in udf._scored(limited(batches), shared.value, settings, False, 600.0):
                yield scores[["status", "error"]]
        finally:
            resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

    scored = pandas_udf(score, "status string, error string")  # type: ignore[call-overload]
    spark.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", BATCH)
    photos = [small.getvalue()] * BATCH + [small.getvalue(), large.getvalue(), small.getvalue(), small.getvalue()]
    rows = spark.createDataFrame([("Red shirt", photo) for photo in photos], "title string, photo binary").coalesce(1)
    found = (
        rows.select(scored("title", "title", "photo", F.lit(None).cast("string")).alias("s")).select("s.*").collect()
    )
    assert [row.status for row in found] == ["ok"] * 5 + ["image_too_large"] + ["ok"] * 2
    assert found[5].error == "PNG: larger than the decoder allows (MemoryError)"


def test_a_plan_that_selects_filters_and_writes_scores_each_row_once(
    spark: SparkSession, s3_server: S3Server, tmp_path: Path
) -> None:
    file = io.BytesIO()
    Image.new("RGB", (40, 40), (200, 10, 10)).save(file, "PNG")
    for number in range(12):
        s3_server.put(f"once/{number}.png", file.getvalue())
    tag = fu.tag_udf(spark, small_bundle.read(), photo="uri", s3=s3_server.settings.model_dump())
    rows = [(f"{number}", f"Red shirt {number}", f"s3://{BUCKET}/once/{number}.png") for number in range(12)]
    frame = spark.createDataFrame(rows, "sku string, title string, image_uri string")
    tagged = frame.withColumn("tag", tag("title", photo="image_uri")).select("sku", "tag.*")
    chosen = tagged.where("confidence > 0 AND status = 'ok'").select("sku", "category", "confidence", "top_categories")
    with s3_server.proxy.recorded() as requests:
        chosen.write.parquet(str(tmp_path / "tagged"))
    assert spark.read.parquet(str(tmp_path / "tagged")).count() == 12
    asked = [request.path for request in requests if request.operation == "get"]
    assert sorted(asked) == sorted(set(asked)), "each photo is asked for once, so each row was scored once"
    assert len(asked) == 12
    assert chosen._jdf.queryExecution().executedPlan().toString().count("ArrowEvalPython") == 1
