"""Write the lists of a run as the next table, count them, and show the progress of the search."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from fashion_udf.pipeline import written
from fashion_udf.progress import progress
from fashion_udf.repeated import repeated
from fashion_udf.schema import to_spark
from fashion_udf.similar import lists
from fashion_udf.similar.planning import Pool
from fashion_udf.table.commit import DataFile
from fashion_udf.table.paths import Location

if TYPE_CHECKING:
    from pyspark import Accumulator
    from pyspark.sql import DataFrame, SparkSession

#: Bytes of a file, about, and of an entry in it. A night reads each file whole.
_FILE_BYTES, _ENTRY_BYTES = 32_000_000, 16
_SECONDS = 1.0  # between two looks at what is done


def write(
    products: DataFrame, found: DataFrame, model_version: str, k: int, spare: int, rows: int, target: Location
) -> tuple[DataFile, ...]:
    """Write one row for each product, with the columns of `lists.SIMILAR`, and return the files.

    Args:
        products: the result of `comparable.products`.
        found: the columns of `lists.FOUND`. A product without a row has an empty list.
        model_version: model version of the tags.
        k: number of published entries in a list.
        spare: number of spare entries after them.
        rows: number of products.
        target: a new directory.
    """
    from pyspark.sql import functions as F

    names = [field.name for field in lists.SIMILAR.field("similar").type.value_type]
    plain = F.transform("entries", lambda each: F.struct(*(each[name].alias(name) for name in names)))
    nothing = F.array().cast(to_spark(lists.SIMILAR)["similar"].dataType)
    entries = F.coalesce(plain, nothing)
    table = products.select("product_id", "fingerprint").join(found, on="product_id", how="left")
    table = table.select(
        "product_id",
        F.slice(entries, 1, k).alias("similar"),
        F.lit(model_version).alias("model_version"),
        F.slice(entries, k + 1, spare).alias("spare"),
        F.coalesce("exhausted", F.lit(True)).alias("exhausted"),
        "fingerprint",
        F.when(~F.coalesce("exhausted", F.lit(True)), F.get(entries, F.size(entries) - F.lit(1))["score"]).alias(
            "floor"
        ),
    )
    files = max(1, round(rows * (k + spare) * _ENTRY_BYTES / _FILE_BYTES))
    # A shuffle, even for one file: `coalesce` would also reduce the tasks of the search.
    return written.write_described(table.repartition(files, "product_id").sortWithinPartitions("product_id"), target)


@contextlib.contextmanager
def followed(spark: SparkSession, pools: list[Pool]) -> Iterator[Accumulator[int]]:
    """Show the progress of the searches while the block runs. Yield the counter for the tasks."""
    done = spark.sparkContext.accumulator(0)
    total = sum(pool.queries * pool.probes for pool in pools)
    with progress(total, label="searched") as shown:
        try:
            with repeated(lambda: shown.update(done.value), _SECONDS, "progress"):
                yield done
        finally:
            shown.update(done.value)
