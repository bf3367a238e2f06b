"""Write labelled catalogs as a training set: one folder of flat Parquet for each split.

The driver's memory does not grow with the catalogs: ids, titles and photos stay on the executors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fashion_udf.errors import InputError
from fashion_udf.model.tokenizer import product_text

from . import catalogs, placement, split
from .components import JOIN
from .dataset import OTHER, TRAINING_SET
from .placement import Kinds, Options

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

ROW_GROUPS = 16  # minimum per split: petastorm needs one for each reader, and several are better
ROWS_PER_FILE = 50_000  # maximum; 1 GB with photos of 20 KB


@dataclass(frozen=True)
class Written:
    """Counts of a training set. Every labelled row of the catalogs is counted once."""

    rows: Mapping[str, int]  # split -> rows written
    rare: Mapping[str, int]  # category with too few products -> rows left out
    left_out: Mapping[str, int]  # reason -> rows left out
    doubled: int  # rows of products that an earlier catalog has
    attributes: tuple[str, ...]
    kinds: Kinds


def write(
    labelled: Sequence[DataFrame], output: Path, options: Options | None = None, attributes: Sequence[str] | None = None
) -> Written:
    """Write one folder for each split. Rows without a category are left out.

    Args:
        labelled: catalogs, as for `training.data.catalogs.united`.
        output: a new directory.
        options: how products are assigned to splits.
        attributes: columns to keep as attributes. None means the existing ones of `catalogs.ATTRIBUTES`.

    Raises:
        InputError: `output` exists.
        CatalogError: a column is missing, an id is repeated, or validation and test would be empty.
    """
    from pyspark.sql import functions as F

    if output.exists():
        raise InputError(f"Expected a new directory for --output. Received: {output}, which exists")
    options = options or Options()
    names = catalogs.attribute_names(labelled, attributes)
    rows = catalogs.united(labelled, names)
    products = catalogs.products(rows, names).localCheckpoint()
    kinds = placement.kinds(products, options)
    placed = placement.place(products, kinds, options).localCheckpoint()
    kept = placed.where(F.col("left_out").isNull())
    rare = _rare(kept, options.min_products)
    placed = placement.capped(placed.where(~F.col("label").isin([*rare])), options.max_validation).localCheckpoint()
    kept = placed.where(F.col("left_out").isNull()).select("product_id", "catalog", "label", "split", "attributes")
    counts = {
        name: _write(rows.drop(*names), kept.where(F.col("split") == F.lit(name)), output / name)
        for name in split.SPLITS
    }
    left_out = _counts(placed.where(F.col("left_out").isNotNull()), "left_out")
    (doubled,) = products.agg(F.sum(F.col("copies") - 1)).collect()
    return Written(counts, rare, left_out, int(doubled[0] or 0), names, kinds)


def _rare(kept: DataFrame, least: int) -> dict[str, int]:
    from pyspark.sql import functions as F

    counts = _counts(kept.where(F.col("label") != F.lit(OTHER)), "label")
    return {label: count for label, count in counts.items() if count < least}


def _counts(rows: DataFrame, column: str) -> dict[str, int]:
    return {row[column]: row["count"] for row in rows.groupBy(column).count().orderBy(column).collect()}


def _write(rows: DataFrame, chosen: DataFrame, folder: Path) -> int:
    """Write the rows of the chosen products, and return their number."""
    count = chosen.count()
    files = max(ROW_GROUPS, -(-count // ROWS_PER_FILE))
    part = as_training_set(rows.drop("category").join(chosen.hint(JOIN), ["product_id", "catalog"]))
    part.repartition(files, "product_id").sortWithinPartitions("product_id").write.parquet(str(folder))
    return count


def as_training_set(rows: DataFrame) -> DataFrame:
    """Select the columns of `TRAINING_SET`. A missing text or photo becomes an empty one."""
    from pyspark.sql import functions as F

    # Spark 4.1 and later take the annotations of a function for those of a pandas UDF.
    text = F.udf(lambda title, description: product_text(title, description), "string")
    return rows.select(
        "product_id",
        text("title", "description").alias("text"),
        F.coalesce("image", F.lit(bytearray())).alias("image"),
        F.col("label").alias("category"),
        "attributes",
    ).select(*TRAINING_SET.names)
