"""People's categories: a table of product_id and category that no run overwrites."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fashion_udf.catalog import sources
from fashion_udf.catalog.columns import AS_STRING
from fashion_udf.config import Overrides
from fashion_udf.errors import CatalogError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

COLUMNS = ("product_id", "category")
EXAMPLES = 10  # repeated ids named in an error


def read_overrides(spark: SparkSession, source: Overrides) -> DataFrame:
    """Read the overrides; there are none if no path is configured. A row with a null category counts as no row.

    Returns:
        `product_id`, each once, and `category`, both strings.

    Raises:
        CatalogError: the table cannot be read, lacks a column, or a product has two categories.
    """
    from pyspark.sql import functions as F
    from pyspark.sql.types import StringType, StructField, StructType

    if source.path is None:
        return sources.no_rows(spark, StructType([StructField(name, StringType()) for name in COLUMNS]))
    with sources.readable("overrides.path", source.format, source.path):
        frame = sources.READERS[source.format](spark, source.path)
    _require_columns(frame, source.path)
    overrides = frame.select(*(F.col(name).cast("string") for name in COLUMNS)).where(
        F.col("product_id").isNotNull() & F.col("category").isNotNull()
    )
    overrides = overrides.distinct()
    repeated = overrides.groupBy("product_id").count().where(F.col("count") > F.lit(1)).orderBy("product_id")
    if examples := repeated.limit(EXAMPLES).collect():
        raise CatalogError(
            f"Expected one category for each product in {source.path} (overrides.path). "
            f"Received: several for {', '.join(repr(row['product_id']) for row in examples)}"
        )
    return overrides


def _require_columns(frame: DataFrame, path: str) -> None:
    if missing := [name for name in COLUMNS if name not in frame.columns]:
        raise CatalogError(
            f"Expected the columns product_id and category in {path} (overrides.path). "
            f"Received: no {' and no '.join(missing)} among {', '.join(sorted(frame.columns))}"
        )
    for name in COLUMNS:
        kind, exact = frame.schema[name].dataType.simpleString(), ("string", *AS_STRING.get(name, ()))
        if kind not in exact:
            raise CatalogError(
                f"Expected {name} of {path} (overrides.path) to be {' or '.join(exact)}. Received: {kind}"
            )
