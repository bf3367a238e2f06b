"""What a backfill is about: named products, published ones by category, status or time, or those not published."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fashion_udf import config
from fashion_udf.config import JobConfig
from fashion_udf.errors import ConfigError, InputError
from fashion_udf.pipeline import selection
from fashion_udf.pipeline.selection import Selection
from tests.tables import publish_staged
from tests.tag_rows import TIME, tags

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def test_ids_come_from_the_list_and_then_from_the_file_each_once(tmp_path: Path) -> None:
    (tmp_path / "ids").write_bytes("c\r\n x\r\na\n\nйцук\n".encode())
    assert selection.ids("b,a,,b", str(tmp_path / "ids")) == ("b", "a", "c", " x", "йцук")
    assert selection.ids("007,1e5", None) == ("007", "1e5")
    assert selection.ids("", None) == ()


def test_the_mark_that_spreadsheets_write_is_not_part_of_the_first_id(tmp_path: Path) -> None:
    (tmp_path / "ids").write_bytes("\ufeffa\r\nb".encode())
    assert selection.ids("", str(tmp_path / "ids")) == ("a", "b")


@given(st.lists(st.text(st.characters(exclude_characters="\r\n,\ufeff", codec="utf-8"), min_size=1), min_size=1))
def test_an_id_is_kept_as_it_is_written(tmp_path_factory: pytest.TempPathFactory, names: list[str]) -> None:
    path = tmp_path_factory.mktemp("ids") / "ids"
    path.write_bytes("\r\n".join(names).encode())
    assert selection.ids("", str(path)) == selection.ids(",".join(names), None) == tuple(dict.fromkeys(names))


@pytest.mark.parametrize("content", ["", "\n\r\n"])
def test_a_file_of_no_ids_is_refused_for_it_does_not_mean_all_new_products(tmp_path: Path, content: str) -> None:
    (tmp_path / "ids").write_text(content)
    with pytest.raises(
        ConfigError, match="^Expected one product id on each line of --ids-file. Received: none in .*/ids$"
    ):
        selection.ids("a", str(tmp_path / "ids"))


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes | None) -> None:
    if content:
        (tmp_path / "ids").write_bytes(content)
    with pytest.raises(ConfigError, match=r"^Expected a readable text file for --ids-file. Received: .*/ids \(.+\)$"):
        selection.ids("", str(tmp_path / "ids"))


def _config(folder: Path) -> JobConfig:
    tree = {"input": {"path": str(folder / "catalog.parquet")}, "output": {"path": str(folder / "out")}}
    return config.validate(JobConfig, tree, "test")


@pytest.fixture(scope="module")
def published(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> JobConfig:
    """A table of four products, and a catalog with two more."""
    folder = tmp_path_factory.mktemp("selection")
    table = tags(
        spark,
        {"product_id": "top"},
        {"product_id": "shoe", "category": "Shoes", "tagged_at": TIME + timedelta(hours=1)},
        {"product_id": "failed", "status": "image_io", "tagged_at": TIME - timedelta(seconds=1)},
        {"product_id": "nothing", "category": None, "status": "image_none", "tagged_at": TIME - timedelta(hours=1)},
    )
    staged = folder / "out" / "staging" / "r1"
    table.write.parquet(str(staged))
    publish_staged(folder / "out", staged, "r1", "v1", expected_rows=4, parent=None)
    names = ["top", "failed", "new", "newer", "newer", None]
    pq.write_table(
        pa.table({"product_id": names, "title": ["t"] * 6, "image": pa.nulls(6)}), folder / "catalog.parquet"
    )
    return _config(folder)


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        (Selection(), {"new", "newer"}),
        (Selection(ids=("top", "newer", "top")), {"top", "newer"}),
        (Selection(categories=("Tops",)), {"top", "failed"}),
        (Selection(statuses=("image_io", "image_none")), {"failed", "nothing"}),
        (Selection(since=TIME.isoformat()), {"top", "shoe"}),
        (Selection(since="2026-01-02T05:04:05.678901+01:00"), {"shoe"}),
        (Selection(ids=("new",), categories=("Shoes",), statuses=("image_io",)), {"new", "shoe", "failed"}),
    ],
)
def test_a_selection_is_what_any_of_its_parts_chooses_each_product_once(
    spark: SparkSession, published: JobConfig, chosen: Selection, expected: set[str]
) -> None:
    found = [row["product_id"] for row in selection.select(spark, published, chosen).collect()]
    assert sorted(found) == sorted(expected)


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        (
            Selection(ids=("top", " new", "unknown", "shoe")),
            "Expected ids of products in the catalog (--ids, --ids-file). "
            "Received: 3 that it lacks, first ' new', 'shoe', 'unknown'",
        ),
        (
            Selection(categories=("shos", "Tops", "Kites")),
            "Expected categories of published products (--category). Received: 'shos', 'Kites' (did you mean 'Shoes'?)",
        ),
    ],
)
def test_what_does_not_exist_is_named_and_refused_or_ignored(
    spark: SparkSession, published: JobConfig, chosen: Selection, message: str, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(InputError) as refused:
        selection.select(spark, published, chosen)
    assert str(refused.value) == f"{message}. Correct this, or add --ignore-missing"
    found = selection.select(spark, published, chosen, ignore_missing=True)
    assert caplog.messages == [f"{message}; ignored"]
    assert "top" in {row["product_id"] for row in found.collect()}


@pytest.mark.parametrize("since", ["2026-01-02T03:04:05", "2026-01-02", "yesterday", "1700000000"])
def test_a_time_without_a_zone_is_refused(spark: SparkSession, published: JobConfig, since: str) -> None:
    expected = f"^Expected --since like 2026-11-25T20:00:00Z, with a time zone. Received: '{since}'$"
    with pytest.raises(InputError, match=expected):
        selection.select(spark, published, Selection(since=since))


def test_an_unknown_status_is_refused_with_the_known_ones(spark: SparkSession, published: JobConfig) -> None:
    with pytest.raises(InputError, match="^Expected --status to be one of ok, image_none, .*. Received: 'broken'$"):
        selection.select(spark, published, Selection(statuses=("ok", "broken")))


def test_a_backfill_needs_a_published_table(spark: SparkSession, tmp_path: Path) -> None:
    expected = "^Expected a published table. Received: none in .*/out. Run tag_catalog.py first$"
    with pytest.raises(InputError, match=expected):
        selection.select(spark, _config(tmp_path), Selection())
