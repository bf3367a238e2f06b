"""Planted wrong labels, duplicates and odd ones out are found, and shown on a page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fashion_udf import config
from fashion_udf.config import JobConfig
from fashion_udf.errors import InputError
from fashion_udf.similar import audit_page, catalog_audit, duplicates
from fashion_udf.similar.settings import Table
from tests.similar import catalogs
from tests.similar.test_same_photo import photo, shirt


def catalog(directory: Path) -> JobConfig:
    """A catalog with the photos of three products that have one embedding."""
    photos = {"p0005": photo(shirt(1)), "twin": photo(shirt(1), 60), "other print": photo(shirt(2))}
    table = {"product_id": [*photos], "title": ["Shirt"] * 3, "image": [*photos.values()]}
    pq.write_table(pa.table(table), directory / "catalog.parquet")
    tree = {"input": {"path": str(directory / "catalog.parquet")}, "output": {"path": str(directory / "out")}}
    return config.validate(JobConfig, tree, "a test")


def test_what_was_planted_is_found_first(spark: Any, tmp_path: Path) -> None:
    rows = catalogs.products(120)
    odd = {**rows[9], "product_id": "odd", "embedding": [-value for value in rows[9]["embedding"]]}
    twin = {**rows[5], "product_id": "twin", "image_sha256": "e" * 64}
    other = {**rows[5], "product_id": "other print", "image_sha256": "d" * 64}
    catalogs.publish(tmp_path / "out", [*rows, odd, twin, other])
    labels = {row["product_id"]: row["category"] for row in (*rows, odd, twin, other)}
    wrong = {name: "Jeans" if labels[name] != "Jeans" else "Watches" for name in ("p0001", "p0002", "p0003")}
    table = pa.table({"product_id": [*labels], "category": [*(labels | wrong).values()]})
    pq.write_table(table, tmp_path / "labels.parquet")
    settings, job = catalogs.settings(tmp_path / "out"), catalog(tmp_path)
    found = catalog_audit.audit(
        spark, settings, job, tmp_path / "found", Table(path=str(tmp_path / "labels.parquet")), 0.999
    )
    first = audit_page.read(found.directory, 3)
    assert {row["product_id"]: row["suggested"] for row in first["mislabelled"]} == {
        name: labels[name] for name in wrong
    }
    # The other print has the same embedding, and is no duplicate.
    assert [(row["product_id"], row["other_id"]) for row in first["duplicates"]] == [("p0005", "twin")]
    assert first["duplicates"][0]["detail"] > duplicates.DETAIL and not first["duplicates"][0]["same_photo"]
    assert first["outliers"][0]["product_id"] == "odd"
    known = {"odd": audit_page.Shown("<b>Odd</b>", photo(shirt(3)))}
    audit_page.write(tmp_path / "index.html", first, known, found.rows)
    page = (tmp_path / "index.html").read_text()
    assert page.count("<img") == sum(map(len, first.values())) and 'src="data:image/jpeg;base64,' in page
    assert "http" not in page and "<b>" not in page
    with pytest.raises(InputError, match="Expected a new directory for the findings"):
        catalog_audit.audit(spark, settings, job, tmp_path / "found")
