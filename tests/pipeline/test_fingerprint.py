"""The fingerprint changes with every part a row's result depends on, and with nothing else."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from fashion_udf.photos.decode import PREPROCESSING_VERSION
from fashion_udf.pipeline import fingerprint as module
from fashion_udf.pipeline.fingerprint import Versions, fingerprint
from fashion_udf.schema import PLAN

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

Row = tuple[str | None, str | None, str | None]
ROW: Row = ("Red hat", "A hat.", "120-5")
VERSIONS = Versions("v1", "openvino", "f32", 5, 1000, 2000)


def _frame(spark: SparkSession, rows: list[Row]) -> DataFrame:
    numbered = [(number, *row) for number, row in enumerate(rows)]
    return spark.createDataFrame(numbered, "number int, title string, description string, image string").coalesce(1)


def _column(**changes: Any) -> Column:
    from pyspark.sql import functions as F

    return fingerprint(F.col("title"), F.col("description"), F.col("image"), replace(VERSIONS, **changes))


def _fingerprints(spark: SparkSession, rows: list[Row]) -> list[str]:
    found = _frame(spark, rows).select("number", _column().alias("digest")).collect()
    return [digest for _, digest in sorted(map(tuple, found))]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _expected(row: Row) -> str:
    title, description, image = (part or "" for part in row)
    facts = f"v1\nopenvino\nf32\n{PREPROCESSING_VERSION}\n5" + ("" if row[2] is None else "\n1000\n2000")
    parts = [_digest(title) + _digest(description), image, facts]
    return "-".join(_digest(part)[:32] for part in parts)


def test_it_is_the_digests_of_text_photo_and_versions_wherever_the_row_stands(spark: SparkSession) -> None:
    rows: list[Row] = [
        ROW,
        ("йцук 👗 \0", "line\nbreak", "s3-etag"),
        (" ", "\t", ""),
        ("x" * 1_000_000, None, None),
        ROW,
    ]
    assert _fingerprints(spark, rows) == [_expected(row) for row in rows]


def test_a_null_text_counts_as_an_empty_one(spark: SparkSession) -> None:
    digests = _fingerprints(spark, [(None, None, None), ("", "", None), (None, "", None)])
    assert len({*digests}) == 1 and len(digests[0]) == 98


def test_any_changed_part_is_another_fingerprint(spark: SparkSession) -> None:
    changed: list[Row] = [
        ROW,
        ("Red hat ", "A hat.", "120-5"),
        ("red hat", "A hat.", "120-5"),
        ("Red hat", "A hat", "120-5"),
        ("Red hat", "A hat.", "120-6"),
        ("Red hatA", " hat.", "120-5"),
        ("Red hat", "A hat.1", "20-5"),
        ("A hat.", "Red hat", "120-5"),
        ("Red hat", "120-5", "A hat."),
        (None, "A hat.", "120-5"),
        ("Red hat", None, "120-5"),
        ("Red hat", "A hat.", None),
        (None, None, None),
    ]
    assert len({*_fingerprints(spark, changed)}) == len(changed)


def test_whatever_a_result_depends_on_beside_its_row_is_another_fingerprint(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes: list[dict[str, Any]] = [
        {},
        {"model_version": "v2"},
        {"engine": "tensorflow"},
        {"precision": "int8"},
        {"model_version": "f32", "precision": "v1"},
        {"top_k": 3},
        {"max_image_bytes": 2000},
        {"max_image_pixels": 1000},
    ]
    columns = [_column(**change) for change in changes]
    monkeypatch.setattr(module, "PREPROCESSING_VERSION", f"{PREPROCESSING_VERSION}.1")
    columns.append(_column())
    with_photo, without = _frame(spark, [ROW, (*ROW[:2], None)]).orderBy("number").select(*columns).collect()
    assert len({*with_photo}) == len(columns)
    assert len({*without}) == len(columns) - 2, "limits of photos change nothing where there is none"


def test_the_part_that_differs_says_what_changed(spark: SparkSession) -> None:
    from pyspark.sql import functions as F

    parts = (module.text_part, module.image_part, module.versions_part)
    frame = _frame(spark, [ROW, ("Red cap", *ROW[1:]), (*ROW[:2], "120-6")])
    columns = [part(_column()).alias(part.__name__) for part in parts]
    rows = [tuple(row) for row in frame.orderBy("number").select(*columns).collect()]
    assert [[a == b for a, b in zip(rows[0], other, strict=True)] for other in rows[1:]] == [
        [False, True, True],
        [True, False, True],
    ]
    newer = (
        frame.where(F.col("number") == F.lit(0))
        .select(*(part(_column(model_version="v2")) for part in parts))
        .collect()
    )
    assert [a == b for a, b in zip(rows[0], newer[0], strict=True)] == [True, True, False]


def _identities(spark: SparkSession, is_uri: bool, rows: list[tuple[str | None, ...]]) -> list[str | None]:
    from pyspark.sql import functions as F

    schema = "product_id string, photo string, version string, observed string"
    columns = (F.col(name) for name in ("product_id", "photo", "version", "observed"))
    product_id, photo, version, observed = columns
    uri = photo if is_uri else None
    identity = module.image_identity(product_id, uri, photo.isNotNull(), version, observed)
    return [row[0] for row in spark.createDataFrame(rows, schema).coalesce(1).select(identity).collect()]


def test_a_photo_by_uri_is_known_by_its_place_and_its_version_or_its_file(spark: SparkSession) -> None:
    rows = [
        ("a", "/p/1.jpg", None, "120-5"),
        ("b", "/p/1.jpg", None, "120-5"),
        ("c", "/p/2.jpg", None, "120-5"),
        ("d", "/p/1.jpg", "7", "120-5"),
        ("e", "/p/1.jpg", None, None),
        ("f", None, "7", None),
    ]
    found = _identities(spark, True, rows)
    assert found[0] == found[1]
    assert len({*found[1:5]}) == 4 and found[5] is None


def test_photo_bytes_are_known_by_their_digest_or_by_product_and_version(spark: SparkSession) -> None:
    rows = [("a", "x", None, "ab12"), ("b", "x", None, "ab12"), ("a", "x", "7", "ab12"), ("b", "x", "7", "ab12")]
    found = _identities(spark, False, [*rows, ("c", None, None, None), ("c", None, "7", None)])
    assert found[0] == found[1]
    assert len({*found[1:4]}) == 3 and found[4] is None
    assert found[5] is None, "a version is not a photo"


# --- the fingerprints of a catalog ------------------------------------------------------------------------------------


def _source(spark: SparkSession, rows: list[Any], photo: str) -> DataFrame:
    from pyspark.sql import functions as F

    names = f"product_id string, title string, description string, {photo}, image_version string, file string"
    return spark.createDataFrame(rows, names).withColumn("further_photos", F.lit(0))


def test_a_fingerprint_has_three_parts_and_a_null_counts_as_empty(spark: SparkSession) -> None:
    rows = [
        ("null", None, None, None, None, "f"),
        ("blank", "", "", None, None, "f"),
        ("text", "Red shirt", None, None, None, "f"),
        ("photo", None, None, bytearray(b"jpeg"), None, "f"),
        ("same photo", None, None, bytearray(b"jpeg"), None, None),
    ]
    source = _source(spark, rows, "image binary")
    planned = module.with_fingerprints(source, VERSIONS, module.LookedUp(), versioned=False)
    assert planned.columns == PLAN.names[:10] and planned.columns[-1] == "by_url"
    other = module.with_fingerprints(
        source, replace(VERSIONS, precision="int8"), module.LookedUp(), versioned=False
    ).withColumnRenamed("fingerprint", "int8")
    found = {row["product_id"]: row for row in planned.join(other.select("product_id", "int8"), "product_id").collect()}
    parts = {name: row["fingerprint"].split("-") for name, row in found.items()}
    assert {len(part) for value in parts.values() for part in value} == {32}
    assert parts["null"] == parts["blank"]
    assert parts["photo"] == parts["same photo"]
    assert [a == b for a, b in zip(parts["null"], parts["text"], strict=True)] == [False, True, True]
    assert [a == b for a, b in zip(parts["null"], parts["photo"], strict=True)] == [True, False, False], "with limits"
    for row in found.values():
        assert [a == b for a, b in zip(row["fingerprint"].split("-"), row["int8"].split("-"), strict=True)] == [
            True, True, False,
        ]  # fmt: skip
    facts = {name: (row["file"], row["has_photo"], row["photo_bytes"]) for name, row in found.items()}
    assert facts["null"] == ("f", False, None)
    assert facts["photo"] == ("f", True, 4)
    assert facts["same photo"] == (None, True, 4)


@pytest.mark.parametrize("photo", ["image binary", "image_uri string"])
def test_a_photo_without_a_version_is_looked_at_and_no_other_is(
    spark: SparkSession, tmp_path: Path, photo: str
) -> None:
    values: list[Any] = [bytearray(b"old"), bytearray(b"new")]
    if "uri" in photo:
        for name, content in zip("on", values, strict=True):
            (tmp_path / name).write_bytes(content * (1 + (name == "n")))
        values = [str(tmp_path / "o"), str(tmp_path / "n")]
    rows = [(f"{version} {at}", "t", None, values[at], version, "f") for version in ("1", None) for at in (0, 1)]
    source = _source(spark, rows, photo)
    planned = module.with_fingerprints(source, VERSIONS, module.LookedUp((str(tmp_path),)), versioned=False).collect()
    assert len({row["fingerprint"] for row in planned}) == 4
    rows = [(name, title, text, values[0], version, file) for name, title, text, _, version, file in rows]
    if "uri" in photo:
        os.utime(tmp_path / "o", ns=(1, 1))
    source = _source(spark, rows, photo)
    again = module.with_fingerprints(source, VERSIONS, module.LookedUp((str(tmp_path),)), versioned=False).collect()
    same = [old["fingerprint"] == new["fingerprint"] for old, new in zip(planned, again, strict=True)]
    assert same == ([True, False, False, False] if "uri" in photo else [True, True, True, False])


@pytest.mark.parametrize("photo", ["image binary", "image_uri string"])
def test_where_the_catalog_gives_versions_no_photo_is_looked_at(spark: SparkSession, photo: str) -> None:
    value = bytearray(b"jpeg") if "binary" in photo else "/nowhere/a.jpg"
    rows = [
        ("a", "t", None, value, "1", "f"),
        ("a", "t", None, value, "2", "f"),
        ("none", "t", None, None, None, "f"),
    ]
    planned = module.with_fingerprints(_source(spark, rows, photo), VERSIONS, module.LookedUp(), versioned=True)
    first, second, none = planned.collect()
    assert (first["has_photo"], none["has_photo"]) == (True, False)
    assert first["photo_bytes"] is None
    assert first["fingerprint"] != second["fingerprint"]
    text = planned._jdf.queryExecution().executedPlan().toString()
    assert "sha2(image" not in text and "octet_length" not in text and "Python" not in text


@pytest.mark.parametrize("photo", ["image binary", "image_uri string"])
def test_a_photo_that_comes_late_under_a_known_version_changes_the_fingerprint(spark: SparkSession, photo: str) -> None:
    value = bytearray(b"jpeg") if "binary" in photo else "/nowhere/a.jpg"
    nights = [
        _source(spark, [("a", "t", None, late, "1", "f"), ("b", "t", None, value, "1", "f")], photo)
        for late in (None, value)
    ]
    for versioned in (True, False):
        before, after = (
            {
                row["product_id"]: row
                for row in module.with_fingerprints(night, VERSIONS, module.LookedUp(), versioned).collect()
            }
            for night in nights
        )
        assert [row["a"]["has_photo"] for row in (before, after)] == [False, True]
        assert before["a"]["fingerprint"] != after["a"]["fingerprint"]
        assert before["b"]["fingerprint"] == after["b"]["fingerprint"]


def test_of_photos_with_versions_only_the_row_groups_that_lack_one_are_read(
    spark: SparkSession, tmp_path: Path
) -> None:
    rows = [("a", "t", None, bytearray(b"jpeg"), "1", "f"), ("b", "t", None, None, "1", "f")]
    _source(spark, rows, "image binary").write.parquet(str(tmp_path / "catalog"))
    source = spark.read.parquet(str(tmp_path / "catalog"))
    planned = module.with_fingerprints(source, VERSIONS, module.LookedUp(), versioned=True)
    assert {row["product_id"]: row["has_photo"] for row in planned.collect()} == {"a": True, "b": False}
    text = planned._jdf.queryExecution().executedPlan().toString()
    scans = [line for line in text.splitlines() if "ReadSchema" in line and "image:" in line]
    assert len(scans) == text.count("PushedFilters: [IsNull(image)") > 0, text
