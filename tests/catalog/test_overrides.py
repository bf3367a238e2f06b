"""People's categories as they are read: one for each product, or the table is refused by name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fashion_udf.catalog.overrides import decisions, matched, read_overrides
from fashion_udf.config import Overrides
from fashion_udf.errors import CatalogError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def _parquet(folder: Path, **columns: list[Any]) -> Overrides:
    pq.write_table(pa.table(columns), folder / "o.parquet")
    return Overrides(path=str(folder / "o.parquet"))


def test_without_a_path_there_are_none(spark: SparkSession) -> None:
    frame = read_overrides(spark, Overrides())
    assert frame.dtypes == [("product_id", "string"), ("category", "string")]
    assert frame.isEmpty()


def test_a_row_without_a_product_or_a_category_gives_nothing(spark: SparkSession, tmp_path: Path) -> None:
    source = _parquet(
        tmp_path,
        product_id=["007", "b", None, "b", "c"],
        category=["Tops", None, "Tops", "Hats", None],
        who=["x", "y", "z", "x", "y"],
    )
    assert sorted(map(tuple, read_overrides(spark, source).collect())) == [("007", "Tops"), ("b", "Hats")]


def test_an_id_that_no_catalog_could_have_is_an_error(spark: SparkSession, tmp_path: Path) -> None:
    given = _parquet(tmp_path, product_id=[1163.0, 10000000.0], category=["Hats", "Socks"])
    with pytest.raises(CatalogError, match=r"Expected product_id of .* to be string or tinyint .*Received: double"):
        read_overrides(spark, given)
    found = read_overrides(spark, _parquet(tmp_path, product_id=[1163, 10000000], category=["Hats", "Socks"]))
    assert sorted(row["product_id"] for row in found.collect()) == ["10000000", "1163"]


def test_the_same_override_twice_is_one(spark: SparkSession, tmp_path: Path) -> None:
    source = _parquet(tmp_path, product_id=[7, 7], category=["Tops", "Tops"])
    assert [tuple(row) for row in read_overrides(spark, source).collect()] == [("7", "Tops")]


def test_an_empty_category_of_csv_gives_nothing(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "o.csv").write_text('product_id,category\n007,Tops\nb,\nc,""\n')
    frame = read_overrides(spark, Overrides(path=str(tmp_path / "o.csv"), format="csv"))
    assert [tuple(row) for row in frame.collect()] == [("007", "Tops")]


def test_a_product_with_two_categories_is_named(spark: SparkSession, tmp_path: Path) -> None:
    names = [f"{number:02d}" for number in range(11)]
    source = _parquet(tmp_path, product_id=[*names, *names, "x"], category=["Tops"] * 11 + ["Hats"] * 12)
    listed = ", ".join(f"'{name}'" for name in names[:10])
    expected = (
        rf"^Expected one category for each product in .*/o.parquet \(overrides.path\). Received: several for {listed}$"
    )
    with pytest.raises(CatalogError, match=expected):
        read_overrides(spark, source)


LABELS = ("Tshirts", "Casual Shoes")


def test_blanks_are_no_category_and_case_and_blanks_around_are_no_other_one(
    spark: SparkSession, tmp_path: Path
) -> None:
    source = _parquet(
        tmp_path,
        product_id=["1", "2", "3 ", "\t4", "5", "5"],
        category=["", " \u00a0", "tshirts", "CASUAL SHOES \n", "Tshirts", " tSHIRTS"],
    )
    expected = [("3", "Tshirts"), ("4", "Casual Shoes"), ("5", "Tshirts")]
    assert sorted(map(tuple, read_overrides(spark, source, LABELS).collect())) == expected


def _matched(spark: SparkSession, source: Overrides, *ids: str) -> Any:
    products = spark.createDataFrame([(name,) for name in ids], "product_id string")
    return matched(read_overrides(spark, source, LABELS), products, LABELS, source)


def test_decisions_get_the_ids_of_the_catalog_and_what_is_unknown_is_counted_and_named(
    spark: SparkSession, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = _parquet(tmp_path, product_id=["1 ", "2", "gone"], category=["Tshirts", "Mittens", "tshirts"])
    found = _matched(spark, source, "1", " 2", "3")
    assert sorted(map(tuple, found.rows.collect())) == [(" 2", "Mittens"), ("1", "Tshirts"), ("gone", "Tshirts")]
    assert found.unknown == {"overrides_without_product": 1, "overrides_of_unknown_category": 1}
    assert "overrides without product: 1 of 3, first 'gone'" in caplog.text
    assert "overrides of unknown category: 1 of 3, first 'Mittens'" in caplog.text


@pytest.mark.parametrize(
    ("ids", "category", "what"),
    [
        ([f"{number:02d}" for number in range(12)], "Tshirts", "without product: 11 of 12, first '01', '02'"),
        (["00"] + [f"x{number}" for number in range(11)], "Mittens", "without product: 11 of 12"),
    ],
)
def test_more_unknown_decisions_than_the_limit_are_refused(
    spark: SparkSession, tmp_path: Path, ids: list[str], category: str, what: str
) -> None:
    source = _parquet(tmp_path, product_id=ids, category=[category] * len(ids))
    expected = rf"at most 50% of the decisions in .*\(overrides.max_unknown\). Received: overrides {what}"
    with pytest.raises(CatalogError, match=expected):
        _matched(spark, source, "00")
    accepted = source.model_copy(update={"max_unknown": 1.0})
    assert _matched(spark, accepted, "00").unknown["overrides_without_product"] == 11


@pytest.mark.parametrize(
    ("columns", "missing"),
    [
        (("product_id", "label"), "no category among label, product_id"),
        (("id", "label"), "no product_id and no category among id, label"),
    ],
)
def test_a_column_that_is_missing_is_named(
    spark: SparkSession, tmp_path: Path, columns: tuple[str, str], missing: str
) -> None:
    source = _parquet(tmp_path, **{name: ["a"] for name in columns})
    expected = (
        rf"^Expected the columns product_id and category in .*/o.parquet \(overrides.path\). Received: {missing}$"
    )
    with pytest.raises(CatalogError, match=expected):
        read_overrides(spark, source)


@pytest.mark.parametrize("content", [None, b"PAR1 not really"])
def test_a_table_that_cannot_be_read_is_named(spark: SparkSession, tmp_path: Path, content: bytes | None) -> None:
    if content:
        (tmp_path / "o.parquet").write_bytes(content)
    expected = r"^Expected .*[pP]arquet .*Received: .*/o.parquet \(.+\)"
    with pytest.raises(CatalogError, match=expected):
        read_overrides(spark, Overrides(path=str(tmp_path / "o.parquet")))


def test_decisions_of_the_review_join_the_table_and_never_win_over_it(spark: SparkSession, tmp_path: Path) -> None:
    source = _parquet(tmp_path, product_id=["A "], category=["hats"])
    products = spark.createDataFrame([("A",), ("b",)], "product_id string")
    reviewed = {"A": "Socks", "b": "Socks", "gone": "Kites"}
    found = decisions(spark, source, products, ("Hats", "Socks"), reviewed)
    assert sorted(map(tuple, found.rows.collect())) == [("A", "Hats"), ("b", "Socks"), ("gone", "Kites")]
    assert found.unknown == {"overrides_without_product": 0, "overrides_of_unknown_category": 0}
    alone = decisions(spark, Overrides(), products, ("Hats", "Socks"), reviewed)
    assert {row["product_id"]: row["category"] for row in alone.rows.collect()} == reviewed


def test_many_decisions_on_products_that_left_refuse_no_night(spark: SparkSession) -> None:
    products = spark.createDataFrame([("a",)], "product_id string")
    reviewed = {f"gone {number}": "Hats" for number in range(100)}
    assert decisions(spark, Overrides(), products, ("Hats",), reviewed).rows.count() == 100
