"""Figures of a run's tables for its page, counted by Spark. Only examples are collected on the driver."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from fashion_udf.pages.figures import BARS, Failure, Pair, Suspects, Unsure

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

#: Maximum of pairs of categories on a page, of examples of each, of failures, of least certain rows of a category, and
#: of groups of products whose photo or text is probably wrong.
PAIRS, EXAMPLES, FAILURES, LEAST_SURE, SUSPECTS = 20, 3, 40, 10, 10


def histogram(table: DataFrame) -> list[int]:
    """Return the number of rows by confidence, in `BARS` bars of equal width from 0 to 1."""
    from pyspark.sql import functions as F

    bar = F.least(F.floor(F.col("confidence") * F.lit(BARS)), F.lit(BARS - 1)).cast("int")
    known = F.col("confidence").between(0.0, 1.0)
    counts = {row["bar"]: row["count"] for row in table.where(known).groupBy(bar.alias("bar")).count().collect()}
    return [counts.get(index, 0) for index in range(BARS)]


def least_sure(table: DataFrame) -> dict[str, list[Unsure]]:
    """Return the least certain rows of each category, in ascending order, without people's categories."""
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    rows = table.where(F.col("confidence").isNotNull() & F.col("category").isNotNull() & ~_by_people())
    # Spark reduces each category to ten rows in every task before the shuffle (WindowGroupLimit).
    window = Window.partitionBy("category").orderBy("confidence", "product_id")
    ranked = rows.select("category", "product_id", "confidence", "decision", F.row_number().over(window).alias("rank"))
    found = defaultdict[str, list[Unsure]](list)
    chosen = ranked.where(F.col("rank") <= F.lit(LEAST_SURE)).collect()
    for row in sorted(chosen, key=lambda row: (row["category"], row["rank"])):
        found[row["category"]].append(Unsure(row["product_id"], row["confidence"], row["decision"]))
    return dict(found)


def changed_pairs(changes: DataFrame) -> tuple[int, list[Pair]]:
    """Return the number of products whose category changed, and the largest pairs of categories.

    Args:
        changes: `changes.parquet` of a run.
    """
    from pyspark.sql import functions as F

    counted = changes.groupBy("from", "to", "cause").agg(
        F.count("*").alias("rows"), F.slice(F.array_sort(_some_ids()), 1, EXAMPLES).alias("ids")
    )
    rows, causes = defaultdict[tuple[str, str], int](int), defaultdict[tuple[str, str], dict[str, int]](dict)
    ids: dict[tuple[str, str], tuple[str, ...]] = {}
    # Groups by pair of categories and cause: at most the square of the labels, and mostly few.
    for row in counted.collect():
        pair = row["from"], row["to"]
        rows[pair] += row["rows"]
        causes[pair][row["cause"]] = row["rows"]
        ids[pair] = (*ids.get(pair, ()), *row["ids"])[:EXAMPLES]
    largest = sorted(rows, key=lambda pair: (-rows[pair], str(pair)))[:PAIRS]
    ordered = {pair: dict(sorted(causes[pair].items(), key=lambda item: -item[1])) for pair in largest}
    pairs = [Pair(pair[0], pair[1], rows[pair], ordered[pair], ids[pair]) for pair in largest]
    return sum(rows.values()), pairs


def suspects(queue: DataFrame) -> tuple[dict[str, int], list[Suspects]]:
    """Return the number of waiting products whose photo or text is probably wrong, and their largest groups.

    Args:
        queue: `queue.parquet` of a run. Few of its rows were scored separately and have a suspect.
    """
    from pyspark.sql import functions as F

    columns = ("suspect", "image_alone", "text_alone", "product_id")
    rows = queue.where(F.col("suspect").isNotNull()).select(*columns).collect()
    groups = defaultdict[tuple[str, str, str], list[str]](list)
    for row in rows:
        groups[row["suspect"], row["image_alone"], row["text_alone"]].append(row["product_id"])
    largest = sorted(groups.items(), key=lambda item: (-len(item[1]), item[0]))[:SUSPECTS]
    found = [Suspects(*group, len(ids), ids[:EXAMPLES]) for group, ids in largest]
    return dict(Counter(row["suspect"] for row in rows)), found


def failures(failed: DataFrame) -> list[Failure]:
    """Return failed rows by status and error, the largest number first, with the exact errors.

    Args:
        failed: `failures.parquet` of a run.
    """
    from pyspark.sql import functions as F

    # A row with neither text nor photo has no error, and its status is no failure.
    counted = failed.groupBy("status", "error").agg(F.count("*").alias("rows"), _some_ids().alias("ids"))
    most = counted.orderBy(F.col("rows").desc(), "status", "error").limit(FAILURES).collect()
    return [Failure(row["status"], row["error"], row["rows"], sorted(row["ids"])[:EXAMPLES]) for row in most]


def _some_ids() -> Column:
    """Return an array of a few ids of a group. A list of all ids could have millions."""
    from pyspark.sql import functions as F

    return F.array_distinct(F.array(F.min("product_id"), F.max("product_id"), F.first("product_id")))


def _by_people() -> Column:
    from pyspark.sql import functions as F

    return F.col("category_source") == F.lit("override")
