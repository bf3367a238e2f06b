"""Select the products of a backfill: by id, by published category, status or time, or all new ones."""

from __future__ import annotations

import difflib
import logging
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from fashion_udf.catalog import columns
from fashion_udf.config import JobConfig
from fashion_udf.errors import ConfigError, InputError
from fashion_udf.schema import TAGS, Status, to_spark
from fashion_udf.table import paths, snapshot

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

logger = logging.getLogger(__name__)

_EXAMPLES = 10  # maximum of unknown ids named in an error


@dataclass(frozen=True)
class Selection:
    """Criteria of products, combined with OR. Without a criterion, the products that are not published yet."""

    ids: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ()
    since: str | None = None  # ISO 8601


def ids(named: str, file: str | None) -> tuple[str, ...]:
    """Return the unique ids of a comma-separated list and of a file with one id on each line.

    Raises:
        ConfigError: the file cannot be read or is empty. An empty selection would mean all new products.
    """
    product_ids = [name for name in named.split(",") if name]
    if file:
        try:
            # Only the line's end is removed: " x" and "x" are different ids. Spreadsheets write a byte order mark.
            lines = [line.rstrip("\r") for line in Path(file).read_bytes().decode("utf-8-sig").split("\n")]
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"Expected a readable text file for --ids-file. Received: {file} ({error})") from error
        if not any(lines):
            raise ConfigError(f"Expected one product id on each line of --ids-file. Received: none in {file}")
        product_ids += [line for line in lines if line]
    return tuple(dict.fromkeys(product_ids))


def select(spark: SparkSession, config: JobConfig, chosen: Selection, ignore_missing: bool = False) -> DataFrame:
    """Return the unique `product_id`s of a selection.

    Args:
        spark: the session.
        config: the config of the job that publishes the table.
        chosen: the criteria.
        ignore_missing: only log ids that the catalog lacks, and categories without a published product.

    Raises:
        InputError: there is no published table, a status is unknown, the time is not ISO 8601, the catalog lacks an id,
            or a category has no published product.
    """
    from pyspark.sql import functions as F

    commit = snapshot.current(config.output.path)
    if commit is None:
        raise InputError(
            f"Expected a published table. Received: none in {config.output.path}. Run tag_catalog.py first"
        )
    published = spark.read.schema(to_spark(TAGS)).parquet(
        paths.snapshot_dir(config.output.path, commit.snapshot_id).uri
    )
    if chosen == Selection():
        everything = columns.read(spark, config.input).rows.select("product_id").where(F.col("product_id").isNotNull())
        return everything.join(published, on="product_id", how="left_anti").distinct()
    # Arrow transfers a pandas frame to the JVM. A list of tuples would become an RDD, which starts Python workers.
    rows = spark.createDataFrame(pd.DataFrame({"product_id": list(chosen.ids)}, dtype=object), "product_id string")
    _require_known(_missing_ids(spark, config, rows) if chosen.ids else "", ignore_missing)
    _require_known(_missing_categories(published, chosen.categories) if chosen.categories else "", ignore_missing)
    criteria = F.col("category").isin(*chosen.categories) | F.col("status").isin(*_statuses(chosen.statuses))
    if chosen.since:
        criteria |= F.col("tagged_at") >= F.lit(_time(chosen.since))
    return rows.unionByName(published.where(criteria).select("product_id")).distinct()


def _require_known(missing: str, ignore_missing: bool) -> None:
    if missing and ignore_missing:
        logger.warning("%s; ignored", missing)
    elif missing:
        raise InputError(f"{missing}. Correct this, or add --ignore-missing")


def _missing_ids(spark: SparkSession, config: JobConfig, ids: DataFrame) -> str:
    """Return a message about ids that the catalog lacks; an empty string if it has all."""
    missing = ids.join(columns.read(spark, config.input).rows, on="product_id", how="left_anti")
    if not (count := missing.count()):
        return ""
    first = ", ".join(repr(row["product_id"]) for row in missing.orderBy("product_id").limit(_EXAMPLES).collect())
    return (
        f"Expected ids of products in the catalog (--ids, --ids-file). Received: {count} that it lacks, first {first}"
    )


def _missing_categories(published: DataFrame, names: tuple[str, ...]) -> str:
    """Return a message about categories without a published product, with similar names; an empty string for none."""
    known = {row["category"] for row in published.select("category").distinct().collect()} - {None}
    if not (missing := [name for name in names if name not in known]):
        return ""
    folded = {name.casefold(): name for name in known}
    near = [folded[key] for name in missing for key in difflib.get_close_matches(name.casefold(), folded, n=1)]
    hint = f" (did you mean {', '.join(map(repr, near))}?)" if near else ""
    return f"Expected categories of published products (--category). Received: {', '.join(map(repr, missing))}{hint}"


def _statuses(names: tuple[str, ...]) -> tuple[str, ...]:
    known = [status.value for status in Status]
    if unknown := [name for name in names if name not in known]:
        raise InputError(f"Expected --status to be one of {', '.join(known)}. Received: {unknown[0]!r}")
    return names


def _time(text: str) -> datetime:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        time = None
    if time is None or time.tzinfo is None:
        raise InputError(f"Expected --since like 2026-11-25T20:00:00Z, with a time zone. Received: {text!r}")
    return time
