"""The fingerprint changes with every part a row's result depends on, and with nothing else."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from fashion_udf.photos.decode import PREPROCESSING_VERSION
from fashion_udf.pipeline import fingerprint as module
from fashion_udf.pipeline.fingerprint import fingerprint

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

Row = tuple[str | None, str | None, str | None]
ROW: Row = ("Red hat", "A hat.", "120-5")


def _frame(spark: SparkSession, rows: list[Row]) -> DataFrame:
    numbered = [(number, *row) for number, row in enumerate(rows)]
    return spark.createDataFrame(numbered, "number int, title string, description string, image string").coalesce(1)


def _column(model: str = "v1", precision: str = "f32") -> Column:
    from pyspark.sql import functions as F

    return fingerprint(F.col("title"), F.col("description"), F.col("image"), model, precision)


def _fingerprints(spark: SparkSession, rows: list[Row]) -> list[str]:
    found = _frame(spark, rows).select("number", _column().alias("digest")).collect()
    return [digest for _, digest in sorted(map(tuple, found))]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _expected(row: Row) -> str:
    title, description, image = (part or "" for part in row)
    parts = [_digest(title) + _digest(description), image, f"v1\nf32\n{PREPROCESSING_VERSION}"]
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


def test_a_null_part_counts_as_an_empty_one(spark: SparkSession) -> None:
    digests = _fingerprints(spark, [(None, None, None), ("", "", ""), (None, "", None)])
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


def test_another_model_precision_or_preprocessing_is_another_fingerprint(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    columns = [_column(*versions) for versions in (("v1", "f32"), ("v2", "f32"), ("v1", "f16"), ("f32", "v1"))]
    monkeypatch.setattr(module, "PREPROCESSING_VERSION", f"{PREPROCESSING_VERSION}.1")
    found = _frame(spark, [ROW]).select(*columns, _column()).collect()[0]
    assert len({*found}) == 5


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
    newer = frame.where(F.col("number") == F.lit(0)).select(*(part(_column("v2")) for part in parts)).collect()
    assert [a == b for a, b in zip(rows[0], newer[0], strict=True)] == [True, True, False]


def _identities(spark: SparkSession, is_uri: bool, rows: list[tuple[str | None, ...]]) -> list[str | None]:
    from pyspark.sql import functions as F

    schema = "product_id string, photo string, version string, observed string"
    columns = (F.col(name) for name in ("product_id", "photo", "version", "observed"))
    product_id, photo, version, observed = columns
    identity = module.image_identity(product_id, photo, is_uri, version, observed)
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
    found = _identities(spark, False, [*rows, ("c", None, None, None)])
    assert found[0] == found[1]
    assert len({*found[1:4]}) == 3 and found[4] is None
