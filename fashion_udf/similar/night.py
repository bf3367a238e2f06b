"""A night on top of the published lists, in Spark: find the changes, and update the lists.

    published fingerprints --anti join--> new and changed products --+   (few: on the driver and in every worker)
                                                                     v
    products of the snapshot ---compared: staging/<run_id>/---> lists of these products, entries for other lists
                                                                     v
    published files of lists ---repaired: one task a file-----> files of lists

Unchanged embeddings are only compared with new and changed ones. The lists are never rows of Spark. If much changed,
all lists are searched again.
"""

from __future__ import annotations

import logging
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from fashion_udf.pipeline import written
from fashion_udf.schema import to_spark
from fashion_udf.similar import large_pools, list_files, lists, products, repair
from fashion_udf.similar.outcome import Differences
from fashion_udf.similar.products import Products
from fashion_udf.similar.repair import Arriving, Night
from fashion_udf.similar.selection import Rules
from fashion_udf.table import data_files, paths
from fashion_udf.table.commit import Commit, DataFile
from fashion_udf.table.paths import Location

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

logger = logging.getLogger(__name__)

Batches = Iterable[pa.RecordBatch]

#: Maximum share and number of changed products: 50 MB of embeddings on the driver.
MOST_SHARE, MOST = 0.1, 50_000
#: Number of changes that is always allowed, for small catalogs.
FEW = 1_000
#: Maximum number of entries that may enter lists: 150 MB on the driver and in each worker.
MOST_ENTRIES = 3_000_000
#: Products compared at a time: 100 MB of embeddings.
PART = 100_000


@dataclass(frozen=True, eq=False)
class Changes:
    """The changes since the published lists.

    Attributes:
        arriving: new and changed products, with `products.COLUMNS`, `searched`, `held` and `fingerprint`.
        new: string[n], ids of the new products.
        gone: string[g], ids of changed and removed products.
        counts: numbers of these products.
    """

    arriving: pa.Table
    new: pa.Array
    gone: pa.Array
    counts: Differences


@dataclass(frozen=True, eq=False)
class Step:
    """The inputs that all steps of a night share.

    Attributes:
        spark: the session.
        present: the result of `comparable.products`.
        output: root of the output.
        last: the commit of the published lists.
        rules: the rules of the lists.
        most: maximum number of entries of a list.
    """

    spark: SparkSession
    present: DataFrame
    output: str
    last: Commit
    rules: Rules
    most: int

    @property
    def place(self) -> Location:
        """The directory of the published lists."""
        return paths.snapshot_dir(self.output, self.last.snapshot_id, paths.SIMILAR)

    @property
    def old(self) -> DataFrame:
        """The published lists."""
        return self.spark.read.schema(to_spark(lists.SIMILAR)).parquet(self.place.uri)

    @property
    def files(self) -> list[str]:
        """The names of the published files. The number of a file is its index in this list."""
        return sorted(file.name for file in self.last.files)


def changes(step: Step, compared: int) -> Changes | None:
    """Return the changes since the published lists, or None if so much changed that all lists are searched.

    Args:
        step: the inputs of the night.
        compared: number of the present products.
    """
    from pyspark.sql import functions as F

    most = int(min(MOST, max(FEW, MOST_SHARE * step.last.rows)))
    # A fingerprint covers the id of the product. The embeddings are read, but not shuffled.
    known = F.broadcast(step.old.select("fingerprint"))
    arriving = step.present.join(known, on="fingerprint", how="left_anti").limit(most + 1)
    found = large_pools.arrow(arriving.select(*products.COLUMNS, "searched", "held", "fingerprint"))
    ids = repair.ids_of(found)
    changed = _ids(step.old.join(_named(step.spark, ids), on="product_id", how="left_semi"))
    removed = step.last.rows - compared + len(ids) - len(changed)
    if len(ids) + removed > most:
        logger.info("%d or more products changed: all lists are searched", len(ids) + removed)
        return None
    gone = changed
    if removed:
        left = step.old.join(step.present.select("product_id"), on="product_id", how="left_anti")
        gone = pa.concat_arrays([changed, _ids(left)])
    new = ids.filter(pc.invert(pc.is_in(ids, value_set=changed)))
    return Changes(found, new, gone, Differences(len(new), len(changed), removed))


def found(step: Step, changed: Changes, target: Location) -> Night | None:
    """Search the lists that need it, and find the entries for other lists. None means that all lists are searched.

    Args:
        step: the inputs of the night.
        changed: the result of `changes`.
        target: a new directory for the results.
    """
    arriving = changed.arriving
    own, entering = _compared(step, arriving, products.by_pool(arriving), target / "arriving")
    if entering is None:
        return None
    anew = list_files.to_search(step.spark, step.place, step.files, changed.gone, entering, step.rules)
    searched = arriving
    if len(anew):
        if len(anew) > MOST:
            return None
        again = step.present.join(_named(step.spark, anew), on="product_id")
        rows = large_pools.arrow(again.select(*arriving.column_names))
        searched = pa.concat_tables([arriving, rows])
        own = pa.concat_tables([own, _compared(step, rows, {}, target / "anew")[0]])
    whole = _with_empty(own, repair.ids_of(searched))
    prints = searched["fingerprint"].take(pc.index_in(whole["product_id"], value_set=repair.ids_of(searched)))
    files = _files(whole["product_id"], changed.new, len(step.files))
    version = step.last.model_version
    return Night(changed.gone, whole, prints.combine_chunks().cast(pa.int64()), files, entering, version)


def repaired(step: Step, night: Night, target: Location) -> tuple[DataFile, ...]:
    """Write the updated lists to a new directory, and return the files."""
    return list_files.repaired(step.spark, step.place, step.files, night, step.rules, step.most, target)


def _compared(
    step: Step, searched: pa.Table, candidates: Mapping[str, Products], target: Location
) -> tuple[pa.Table, pa.Table | None]:
    """Return the lists of the searched products, and the entries for other lists (None if there are too many)."""
    from pyspark.sql import functions as F

    ids, floors = repair.ids_of(searched), _floors(step) if candidates else np.zeros(1, np.float32)
    own_pool = searched.set_column(searched.column_names.index("held"), "held", _lists_of_one(searched["searched"]))
    arriving = Arriving(ids, products.by_pool(own_pool), candidates, floors)
    place = F.pmod(F.xxhash64("product_id"), F.lit(len(floors))).alias("place")
    rows = step.present.select(*products.COLUMNS, "held", "searched", place)
    found = rows.mapInArrow(_comparing(arriving, step.rules, step.most), to_spark(repair.COMPARED))
    written.write(found, target)
    own, entering, count = (nothing := lists.FOUND.empty_table()), [nothing], 0
    for name in data_files.listed(target):
        with target.store.open(f"{target.key}/{name}") as file:
            part = pq.read_table(file).cast(repair.COMPARED)
        mine, others = part.filter(part["own"]).drop_columns("own"), part.filter(pc.invert(part["own"]))
        own = lists.united([own, mine], step.rules.at_most, step.most)
        entering.append(others.drop_columns("own"))
        count += pc.sum(pc.list_value_length(others["entries"])).as_py() or 0
        if count > MOST_ENTRIES:
            break
    return own, pa.concat_tables(entering) if count <= MOST_ENTRIES else None


def _floors(step: Step) -> NDArray[np.float32]:
    """Return the table of floors that `repair` describes, of four to eight bytes for each published list."""
    from pyspark.sql import functions as F

    size = 1 << max(0, step.last.rows - 1).bit_length()
    place = F.pmod(F.xxhash64("product_id"), F.lit(size)).cast("int").alias("place")
    found = step.old.select(place, F.coalesce("floor", F.lit(float("-inf"))).cast("float").alias("floor")).toPandas()
    floors = np.full(size, np.inf, np.float32)
    np.minimum.at(floors, found["place"].to_numpy(), found["floor"].to_numpy())
    return floors


def _comparing(arriving: Arriving, rules: Rules, most: int) -> Callable[[Batches], Iterator[pa.RecordBatch]]:
    def run(batches: Batches) -> Iterator[pa.RecordBatch]:
        held, count = list[pa.RecordBatch](), 0
        for batch in batches:
            held.append(batch)
            count += len(batch)
            if count >= PART:
                yield from repair.compared(pa.Table.from_batches(held), arriving, rules, most).to_batches()
                held, count = [], 0
        if held:
            yield from repair.compared(pa.Table.from_batches(held), arriving, rules, most).to_batches()

    return run


def _with_empty(found: pa.Table, ids: pa.Array) -> pa.Table:
    """Add an empty list for each product without a result."""
    missing = ids.filter(pc.invert(pc.is_in(ids, value_set=repair.ids_of(found))))
    empty = pa.array([[]] * len(missing), lists.FOUND.field("entries").type)
    nothing = pa.table([missing, empty, pa.array([True] * len(missing), pa.bool_())], schema=lists.FOUND)
    return pa.concat_tables([found, nothing])


def _files(ids: pa.ChunkedArray, new: pa.Array, count: int) -> pa.Array:
    """Return the number of the file for the list of each new product; -1 for other products."""
    added = set(new.to_pylist())
    numbers = [zlib.crc32(name.encode()) % count if name in added else -1 for name in ids.to_pylist()]
    return pa.array(numbers, pa.int32())


def _named(spark: SparkSession, ids: pa.Array) -> DataFrame:
    from pyspark.sql import functions as F

    return F.broadcast(spark.createDataFrame([(name,) for name in ids.to_pylist()], "product_id string"))


def _ids(frame: DataFrame) -> pa.Array:
    return repair.ids_of(large_pools.arrow(frame.select("product_id")))


def _lists_of_one(column: pa.ChunkedArray) -> pa.Array:
    values = pa.array(column.to_pylist(), pa.string())
    offsets = np.concatenate([[0], np.cumsum(pc.is_valid(values).to_numpy(zero_copy_only=False))]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), values.drop_null())
