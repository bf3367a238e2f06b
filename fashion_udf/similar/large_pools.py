"""Pools that are too large for an exact search, in Spark: their lists, their recall, and the part of each product."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from fashion_udf.similar import inverted, products
from fashion_udf.similar.inverted import Cells
from fashion_udf.similar.planning import Pool
from fashion_udf.similar.products import Products
from fashion_udf.similar.search import search
from fashion_udf.similar.selection import Rules

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

#: Number of queries whose exact neighbours decide how many lists are searched.
SAMPLED = 1_000

_MAPS = "parts map<string,int>, probes map<string,array<int>>"


def divide(
    rows: DataFrame, pools: list[Pool], rules: Rules, exact_limit: int, recall: float
) -> tuple[list[Pool], DataFrame]:
    """Divide the pools with lists. Return all pools with their parts and recall, and the rows with `parts`, `probes`.

    Args:
        rows: rows of `comparable.products`, with `query`.
        pools: the result of `planning.plan`.
        rules: the rules of the lists.
        exact_limit: maximum of candidates in a part.
        recall: the wanted recall of the k best.
    """
    from pyspark.sql import functions as F

    cells: dict[str, Cells] = {}
    found = []
    for pool in pools:
        if pool.lists:
            cells[pool.name] = _cells(rows, pool, exact_limit)
            pool = _measured(rows, pool, cells[pool.name], rules, recall)
        found.append(pool)
    if not cells:
        nothing = [F.lit(None).cast(word.split(" ", 1)[1]).alias(word.split(" ")[0]) for word in _MAPS.split(", ")]
        return found, rows.select("*", *nothing)
    counts = {pool.name: pool.probes for pool in found}
    placed = rows.mapInArrow(_placing(cells, counts, rows.columns), _with_maps(rows))
    return found, placed


def _with_maps(rows: DataFrame) -> str:
    fields = ", ".join(f"`{field.name}` {field.dataType.simpleString()}" for field in rows.schema.fields)
    return f"{fields}, {_MAPS}"


def _cells(rows: DataFrame, pool: Pool, exact_limit: int) -> Cells:
    """Train the lists of a pool on the driver, and divide lists that are too large for a task."""
    from pyspark.sql import functions as F

    candidates = rows.where(F.array_contains("held", F.lit(pool.name)))
    wanted = -(-pool.candidates // inverted.LIST)
    sample = (
        candidates.orderBy(F.xxhash64("product_id", F.lit("sample")), "product_id")
        .limit(wanted * inverted.TRAINED_ON)
        .select("embedding")
    )
    cells = inverted.train(products.list_values(arrow(sample)["embedding"], np.float32), wanted)
    sizes = np.zeros(len(cells.centroids), np.int64)
    counted = candidates.select("embedding").mapInArrow(_counting(cells), "cell int, rows long")
    for cell, count in counted.groupBy("cell").sum("rows").collect():
        sizes[cell] = count
    return replace(cells, splits=np.maximum(1, -(-sizes // exact_limit)))


def _measured(rows: DataFrame, pool: Pool, cells: Cells, rules: Rules, recall: float) -> Pool:
    """Return the pool with the number of lists that have the wanted recall, and that recall."""
    from pyspark.sql import functions as F

    queries = rows.where(F.col("query") & (F.col("searched") == F.lit(pool.name)))
    chosen = queries.orderBy(F.xxhash64("product_id", F.lit("recall")), "product_id").limit(SAMPLED)
    sample = products.from_arrow(arrow(chosen.select(*products.COLUMNS)))
    # Without caps, which apply when the parts are merged.
    uncapped = replace(rules, at_most=())
    candidates = rows.where(F.array_contains("held", F.lit(pool.name))).select(*products.COLUMNS)
    near = candidates.mapInArrow(_exact(sample, cells, uncapped), "query int, score double, id string, home int")
    best = near.groupBy("query").agg(
        F.slice(F.array_sort(F.collect_list(F.struct(-F.col("score"), "id", "home"))), 1, rules.k).alias("best")
    )
    homes = np.full((len(sample), rules.k), -1, np.intp)
    for row in best.select("query", "best.home").collect():
        homes[row["query"], : len(row["home"])] = row["home"]
    found = inverted.recalls(cells.order(sample.vectors), homes)
    count = inverted.probes(found, recall)
    blocks = max(1, round(pool.blocks * pool.parts * count / len(found) / cells.parts))
    return replace(pool, parts=cells.parts, blocks=blocks, probes=count, recall=float(found[count - 1]))


def arrow(frame: DataFrame) -> pa.Table:
    """Return a small data frame as an Arrow table. Spark 3.5 has no public function for this."""
    from pyspark.sql.pandas.types import to_arrow_schema

    return pa.Table.from_pandas(frame.toPandas(), schema=to_arrow_schema(frame.schema), preserve_index=False)


Batches = Iterable[pa.RecordBatch]


def _counting(cells: Cells) -> Callable[[Batches], Iterator[pa.RecordBatch]]:
    def run(batches: Batches) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            homes = cells.homes(products.list_values(pa.chunked_array([batch["embedding"]]), np.float32))
            found, counts = np.unique(homes, return_counts=True)
            yield pa.RecordBatch.from_arrays([pa.array(found, pa.int32()), pa.array(counts)], ["cell", "rows"])

    return run


def _exact(sample: Products, cells: Cells, rules: Rules) -> Callable[[Batches], Iterator[pa.RecordBatch]]:
    names = ["query", "score", "id", "home"]

    def run(batches: Batches) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            candidates = products.from_arrow(pa.Table.from_batches([batch]))
            if not len(candidates):
                continue
            found = search(sample, candidates, rules, rules.k)
            query, entry = np.nonzero(found.places >= 0)
            places = found.places[query, entry]
            homes = cells.homes(candidates.vectors)[places]
            ids = candidates.ids.take(pa.array(places)).cast(pa.string())
            scores = pa.array(found.scores[query, entry])
            yield pa.RecordBatch.from_arrays(
                [pa.array(query, pa.int32()), scores, ids, pa.array(homes, pa.int32())], names
            )

    return run


def _placing(
    cells: Mapping[str, Cells], probes: Mapping[str, int], names: list[str]
) -> Callable[[Batches], Iterator[pa.RecordBatch]]:
    def run(batches: Batches) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            vectors = products.list_values(pa.chunked_array([batch["embedding"]]), np.float32)
            draws = batch["fingerprint"].to_numpy().astype(np.uint64)
            parts: list[list[tuple[str, int]]] = [[] for _ in range(len(batch))]
            probed: list[list[tuple[str, list[int]]]] = [[] for _ in range(len(batch))]
            for pool, of_pool in cells.items():
                rows = _held_in(batch["held"], pool)
                for row, part in zip(rows, of_pool.part_of(vectors[rows], draws[rows]).tolist(), strict=True):
                    parts[row].append((pool, part))
                rows = np.flatnonzero(pc.fill_null(pc.equal(batch["searched"], pool), False).to_numpy(False))
                for row, found in zip(rows, of_pool.probed(vectors[rows], probes[pool]), strict=True):
                    probed[row].append((pool, found.tolist()))
            maps = [
                pa.array(parts, pa.map_(pa.string(), pa.int32())),
                pa.array(probed, pa.map_(pa.string(), pa.list_(pa.int32()))),
            ]
            yield pa.RecordBatch.from_arrays([*(batch[name] for name in names), *maps], [*names, "parts", "probes"])

    return run


def _held_in(held: pa.ListArray, pool: str) -> NDArray[np.intp]:
    owner = pc.list_parent_indices(held).to_numpy()
    return np.asarray(owner[pc.equal(held.flatten(), pool).to_numpy(zero_copy_only=False)], np.intp)
