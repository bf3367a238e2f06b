"""The split of release 0.1: figures of releases are comparable only where every product is in the same part."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.submit import REPOSITORY
from training.data import split

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

ROWS = json.loads((REPOSITORY / "tests" / "release_0_1" / "values.json").read_text(encoding="utf-8"))["splits"]
COLUMNS = "product_id string, normalised_title string, image_sha256 string, category string"


def test_every_product_is_in_the_part_where_the_old_release_put_it(spark: SparkSession) -> None:
    products = [(name, split.normalised_title(title), photo, category) for name, title, photo, category, _ in ROWS]
    found = split.assign(spark.createDataFrame(products, COLUMNS)).collect()
    expected = {row[0]: row[-1] for row in ROWS}
    assert {*expected.values()} == {*split.SPLITS}
    assert {row["product_id"]: row["split"] for row in found} == expected
