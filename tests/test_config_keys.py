"""Every key of the configuration of a job changes something that can be observed; none is accepted and ignored."""

from __future__ import annotations

import dataclasses
import inspect
import io
import json
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from fashion_udf import config, s3
from fashion_udf.catalog import columns, overrides
from fashion_udf.config import JobConfig, Section
from fashion_udf.errors import CatalogError, InputError
from fashion_udf.model.engines import registry
from fashion_udf.pages import review_queue, run_report
from fashion_udf.photos import fetch
from fashion_udf.pipeline import assembly, chunks, comparison, gates, photo_places, planning, tagging
from fashion_udf.pipeline.audit import Audit
from fashion_udf.pipeline.comparison import Scope
from fashion_udf.scoring import udf
from fashion_udf.scoring.scorer import Scorer
from tests import small_bundle

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

Facts = dict[str, object]


@dataclass(frozen=True)
class Effect:
    """What another value of a key changes.

    Attributes:
        value: other than the default; `{folder}` is the folder of the test.
        observe: function of a session, a configuration and the test's monkeypatch; gives facts by name.
        fact: the one that changes.
        given: other keys, for both.
    """

    value: object
    observe: Callable[[SparkSession, JobConfig, pytest.MonkeyPatch], Facts]
    fact: str
    given: Mapping[str, object] = field(default_factory=dict)


def read(spark: SparkSession, settings: JobConfig, _: pytest.MonkeyPatch) -> Facts:
    """The catalog as it is read."""
    try:
        found = columns.read(spark, settings.input).rows.drop(columns.FILE, columns.FURTHER, columns.ROW)
        rows = found.orderBy("product_id").collect()
    except InputError as error:
        return {"product_id": None, "title": str(error)}
    return {"image_uri": None, **{name: [row[name] for row in rows] for name in rows[0].asDict()}}


def overridden(spark: SparkSession, settings: JobConfig, _: pytest.MonkeyPatch) -> Facts:
    """What people said."""
    try:
        products = columns.read(spark, settings.input).rows
        read_decisions = overrides.decisions(spark, settings.overrides, products, ("Hats", "Shoes"))
        return {"category": [row["category"] for row in read_decisions.rows.collect()]}
    except CatalogError:
        return {"category": None}


def planned(spark: SparkSession, settings: JobConfig, _: pytest.MonkeyPatch) -> Facts:
    """The inputs of a run."""
    try:
        run = planning.start(spark, settings, Scope(), "r1")
    except InputError as error:
        return {"accepted": None, "fingerprint": str(error)}
    first = run.rows.orderBy("product_id").first()
    assert first is not None
    return {
        "accepted": run.rows.count(),
        "model_version": run.bundle.model_version,
        "fingerprint": first["fingerprint"],
    }


def scored(spark: SparkSession, settings: JobConfig, monkeypatch: pytest.MonkeyPatch) -> Facts:
    """Three products with photos by URI, scored in this process as a worker does it."""
    scoring = planning.start(spark, settings, Scope(), "r1").settings(with_photos=True)
    predict, calls, threads = registry.create("openvino", small_bundle.read(), "f32", 1), list[int](), set[bool]()
    fetched = fetch.read

    def counted(*inputs: Any) -> Any:
        calls.append(len(inputs[0]))
        return predict(*inputs)

    def followed(*arguments: Any) -> Any:
        threads.add(threading.current_thread() is threading.main_thread())
        return fetched(*arguments)

    monkeypatch.setattr(fetch, "read", followed)
    scorer = Scorer(small_bundle.read(), scoring, counted, threads=udf.photo_threads(scoring, False, False))
    photo = str(Path(settings.input.path).parent / "photos" / "a.png")
    scores = scorer.score(["Red shirt"] * 3, [None] * 3, [photo] * 3)
    return {
        "status": list(scores["status"]),
        "categories": [len(row) for row in scores["top_categories"]],
        "rows of a call of the engine": calls,
        "fetched in the worker's own thread": threads,
    }


def refused(_: SparkSession, settings: JobConfig, __: pytest.MonkeyPatch) -> Facts:
    """The gates that refuse a table in which everything went wrong."""
    audit = Audit(
        rows=200,
        ids=200,
        bad_embeddings=0,
        statuses={"image_io": 200},
        decisions={},
        modalities={},
        categories={"Hats": 200},
        previous_rows=400,
        previous_categories={"Hats": 100, "Shoes": 150, "Dresses": 150},
        flips={("Shoes", "Hats"): 200},
        common=200,
        overrides=[],
        without_category=100,
        decided_before=10,
        withdrawn=9,
    )
    return {"gates": {each.gate for each in gates.broken(audit, 200, settings.gates)}}


def night(spark: SparkSession, settings: JobConfig, monkeypatch: pytest.MonkeyPatch) -> Facts:
    """A whole night."""
    facts: Facts = {}
    score_udf, score_chunk, stability = udf.score_udf, chunks._score_chunk, assembly.Stability
    with_actions = comparison.with_actions

    def timed(*arguments: Any) -> Any:
        facts["seconds of a batch"] = inspect.signature(score_udf).bind(*arguments).arguments["batch_timeout"]
        return score_udf(*arguments)

    def bounded(*arguments: Any) -> None:
        facts["bytes of a batch"] = spark.conf.get("spark.sql.execution.arrow.maxBytesPerBatch")
        score_chunk(*arguments)

    def steady(margin: Any, taxonomy: Any) -> Any:
        facts["margin of a category"] = margin
        return stability(margin, taxonomy)

    def tried(*arguments: Any) -> Any:
        facts["nights of a photo that fails"] = arguments[-1]
        return with_actions(*arguments)

    monkeypatch.setattr(comparison, "with_actions", tried)
    monkeypatch.setattr(udf, "score_udf", timed)
    monkeypatch.setattr(chunks, "_score_chunk", bounded)
    monkeypatch.setattr(assembly, "Stability", steady)
    directory = tagging.tag(spark, settings).data_dir
    return {
        **facts,
        "directory of the table": directory.parents[2],
        "table of Spark": spark.catalog.tableExists("config_keys"),
        "Delta log": (directory.parent / "_delta_log").is_dir(),
    }


def fetched(_: SparkSession, settings: JobConfig, __: pytest.MonkeyPatch) -> Facts:
    """How photos are fetched that are no local files."""
    return dataclasses.asdict(photo_places.remote(settings, 2))


def asked(_: SparkSession, settings: JobConfig, __: pytest.MonkeyPatch) -> Facts:
    """How S3 is asked."""
    facts = s3.client(settings.s3).meta
    return {
        "url": facts.endpoint_url,
        "region": facts.region_name,
        "style": facts.config.s3["addressing_style"],
        "timeout": facts.config.read_timeout,
        "attempts": facts.config.retries["total_max_attempts"],
        "connections": facts.config.max_pool_connections,
        "read": settings.s3.request,
        "write": settings.s3.encryption,
    }


def paged(spark: SparkSession, settings: JobConfig, _: pytest.MonkeyPatch) -> Facts:
    """A night with its page."""
    outcome = run_report.tag(spark, settings)
    figures = json.loads((Path(settings.output.path) / "runs" / outcome.run_id / "figures.json").read_text())
    queue = review_queue.read(settings.output.path)
    alone = [queue.row(row)["image_alone"] for row in range(len(queue))]
    return {"cost": figures["cost"]["per_million_rows"], "scored alone": sum(family is not None for family in alone)}


#: A file whose title has a quote in it, which is escaped, a letter that is not ASCII, and commas.
CSV: dict[str, object] = {"input.format": "csv", "input.path": "{folder}/lines.csv", "input.columns.image": None}
#: Key -> what it changes. A new key needs an entry, and an effect.
EFFECTS = {
    "input.path": Effect("{folder}/other", read, "product_id"),
    "input.format": Effect("json", read, "product_id", {"input.path": "{folder}/lines.json"}),
    "input.columns.product_id": Effect("sku", read, "product_id"),
    "input.columns.title": Effect("name", read, "title"),
    "input.columns.description": Effect("text", read, "description"),
    "input.columns.image": Effect("photo", read, "image"),
    "input.columns.image_uri": Effect("file", read, "image_uri"),
    "input.columns.image_version": Effect("etag", read, "image_version"),
    "input.csv.delimiter": Effect("|", read, "title", CSV),
    "input.csv.quote": Effect(None, read, "title", CSV),
    "input.csv.escape": Effect("\\", read, "title", CSV),
    "input.csv.encoding": Effect("cp1252", read, "title", CSV),
    "input.ignore": Effect(["part.*"], read, "product_id", {"input.path": "{folder}/two"}),
    "input.image_roots": Effect(["{folder}/other"], scored, "status"),
    "input.image_hosts": Effect(["cdn.example"], fetched, "hosts"),
    "input.private_image_hosts": Effect(True, fetched, "private_hosts"),
    "input.max_rejected": Effect(2, planned, "accepted", {"input.path": "{folder}/doubled"}),
    "output.path": Effect("{folder}/elsewhere", night, "directory of the table"),
    "bundle": Effect(str(small_bundle.directory("int8")), planned, "model_version"),
    "engine.name": Effect("tensorflow", planned, "fingerprint"),
    "engine.precision": Effect(
        "int8", planned, "fingerprint", {"bundle": str(small_bundle.directory("int8")), "engine.precision": "f32"}
    ),
    "engine.batch_size": Effect(2, scored, "rows of a call of the engine"),
    "limits.max_image_bytes": Effect(10, scored, "status"),
    "limits.max_image_pixels": Effect(10, scored, "status"),
    "limits.batch_bytes": Effect(1_000_000, night, "bytes of a batch"),
    "limits.batch_timeout": Effect(77.0, night, "seconds of a batch"),
    "limits.retry_nights": Effect(2, night, "nights of a photo that fails"),
    "limits.fetch_threads": Effect(0, scored, "fetched in the worker's own thread"),
    "limits.image_timeout": Effect(7.0, fetched, "seconds"),
    "limits.requests_per_second": Effect(8.0, fetched, "requests_per_second"),
    "gates.max_refused": Effect(1, fetched, "max_refused"),
    "gates.max_failures": Effect(1, refused, "gates"),
    "gates.max_without_category": Effect(1, refused, "gates"),
    "gates.max_withdrawn": Effect(1, refused, "gates"),
    "gates.max_row_drop": Effect(1, refused, "gates"),
    "gates.max_one_category": Effect(1, refused, "gates"),
    "gates.max_shift": Effect(1, refused, "gates"),
    "gates.max_flips": Effect(1, refused, "gates"),
    "overrides.path": Effect("{folder}/overrides", overridden, "category"),
    "overrides.format": Effect("json", overridden, "category", {"overrides.path": "{folder}/lines.json"}),
    "overrides.max_unknown": Effect(1.0, overridden, "category", {"overrides.path": "{folder}/unknown"}),
    "pages.core_hour_price": Effect(0.1, paged, "cost", {"input.path": "{folder}/unsure"}),
    "pages.scored_alone": Effect(0, paged, "scored alone", {"input.path": "{folder}/unsure"}),
    "publish.delta": Effect(True, night, "Delta log"),
    "publish.table": Effect("config_keys", night, "table of Spark"),
    "s3.endpoint_url": Effect("http://store.example:9000", asked, "url"),
    "s3.region": Effect("eu-south-2", asked, "region", {"s3.region": "eu-west-1"}),
    "s3.path_style": Effect(True, asked, "style"),
    "s3.sse_kms_key": Effect("key", asked, "write"),
    "s3.requester_pays": Effect(True, asked, "read"),
    "s3.timeout": Effect(7, asked, "timeout"),
    "s3.attempts": Effect(2, asked, "attempts"),
    "s3.connections": Effect(5, asked, "connections"),
    "stability_margin": Effect(0.3, night, "margin of a category"),
    "top_k": Effect(1, scored, "categories"),
}

#: Keys of every observation; those of `scored` are for photos by URI.
GIVEN: dict[str, object] = {
    "input.path": "{folder}/in",
    "output.path": "{folder}/out",
    "bundle": str(small_bundle.directory()),
}
BY_URI = {"input.image_roots": ["{folder}/photos"], "input.columns.image_uri": "file"}


def keys(model: type[Section], prefix: str = "") -> Iterator[str]:
    """Every key of a section and of the sections in it, dotted."""
    for name, info in model.model_fields.items():
        kind = info.annotation
        if isinstance(kind, type) and issubclass(kind, Section):
            yield from keys(kind, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def test_every_key_has_an_effect() -> None:
    assert {*keys(JobConfig)} == {*EFFECTS}


def _photo(colour: str) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (40, 40), colour).save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Catalogs, photos and overrides."""
    folder = tmp_path_factory.mktemp("keys")
    for name in ("in", "other", "doubled", "photos", "overrides"):
        (folder / name).mkdir()
    (folder / "photos" / "a.png").write_bytes(_photo("red"))
    usual = {"product_id": "a", "title": "Red shirt", "description": "Of wool", "image": _photo("red")}
    others = {"sku": "b", "name": "Blue hat", "text": "Of silk", "photo": _photo("blue"), "file": "f", "etag": "1"}
    pq.write_table(pa.Table.from_pylist([usual | others]), folder / "in" / "part.parquet")
    pq.write_table(pa.Table.from_pylist([{**usual, "product_id": "c"}]), folder / "other" / "part.parquet")
    doubled = [{**usual, "product_id": name} for name in ("a", "b", "b")]
    pq.write_table(pa.Table.from_pylist(doubled), folder / "doubled" / "part.parquet")
    said = {"product_id": "a", "category": "Hats", "title": "x"}
    pq.write_table(pa.Table.from_pylist([said]), folder / "overrides" / "part.parquet")
    (folder / "lines.json").write_text(json.dumps(said | {"image": None}))
    (folder / "lines.csv").write_text('product_id,title\na,"Été ""rouge"" \\"""\n', encoding="utf-8")
    for name in ("two", "unknown", "unsure"):
        (folder / name).mkdir()
    # The small model is not sure of it.
    unsure = {"product_id": "a", "title": "Puma Puma", "image": _photo("red")}
    pq.write_table(pa.Table.from_pylist([unsure]), folder / "unsure" / "part.parquet")
    pq.write_table(pa.Table.from_pylist([usual]), folder / "two" / "part.parquet")
    pq.write_table(pa.Table.from_pylist([{**usual, "product_id": "b"}]), folder / "two" / "more.parquet")
    decisions = [{"product_id": f"p{number}", "category": "Hats"} for number in range(4)]
    decisions += [{"product_id": name, "category": "Hats"} for name in "abcdefghi"]
    pq.write_table(pa.Table.from_pylist(decisions), folder / "unknown" / "part.parquet")
    return folder


@pytest.fixture(scope="module")
def unchanged() -> dict[object, Facts]:
    """What was observed without the change, by observation and the keys that were given."""
    return {}


def _observe(
    spark: SparkSession, folder: Path, effect: Effect, change: Mapping[str, object], patch: pytest.MonkeyPatch
) -> Facts:
    shutil.rmtree(folder / "out", ignore_errors=True)
    tree: dict[str, object] = {**GIVEN, **(BY_URI if effect.observe is scored else {}), **effect.given, **change}
    (folder / "job.yaml").write_text("{}")
    settings = config.load(
        JobConfig,
        folder / "job.yaml",
        {key: json.loads(json.dumps(value).replace("{folder}", str(folder))) for key, value in tree.items()},
    )
    with patch.context() as here:
        facts = effect.observe(spark, settings, here)
    spark.sql("DROP TABLE IF EXISTS config_keys")
    return facts


@pytest.mark.parametrize("key", sorted(EFFECTS))
def test_another_value_of_a_key_changes_what_its_entry_says(
    spark: SparkSession, folder: Path, unchanged: dict[object, Facts], monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    effect = EFFECTS[key]
    asked = (effect.observe, json.dumps({**effect.given}))
    if asked not in unchanged:
        unchanged[asked] = _observe(spark, folder, effect, {}, monkeypatch)
    changed = _observe(spark, folder, effect, {key: effect.value}, monkeypatch)
    assert changed[effect.fact] != unchanged[asked][effect.fact], f"{key} is accepted and ignored"
