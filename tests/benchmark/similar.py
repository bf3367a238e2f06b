"""Ten neighbours of each product of one group, by our job and others: `python -m tests.benchmark.similar --rows 20000`.

ours, exact        the job, all steps: tags read, lists published
ours, lists        the job with a group too large for a task, at the recall of `similar.yaml`
faiss, exact       `faiss.knn` on all rows in one process: no Spark, no files
faiss, IVF         `IndexIVFFlat` in one process, nprobe raised until it has that recall
Spark LSH          `BucketedRandomProjectionLSH.approxSimilarityJoin`, on a sample: it compares what shares a bucket
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.dataset as ds
from numpy.typing import NDArray

from fashion_udf import config, console
from fashion_udf.similar import recommending
from fashion_udf.similar.settings import RecommendConfig
from fashion_udf.spark import session
from fashion_udf.table import paths, snapshot
from fashion_udf.table.tags_table import TagsTable
from tests.benchmark import embeddings

K = 10
RECALL = 0.98


@dataclass(frozen=True)
class Measured:
    """One row: seconds, products, and the share of the exact neighbours that were found."""

    name: str
    products: int
    seconds: float
    recall: float


def main() -> None:
    """Generate, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=20_000, help="products of the group (20000)")
    parser.add_argument("--lsh-rows", type=int, default=2_000, help="products that LSH compares; 0 for none (2000)")
    parser.add_argument(
        "--work", type=Path, default=Path("build/bench/similar"), help="the table (build/bench/similar)"
    )
    options = parser.parse_args()
    shutil.rmtree(options.work, ignore_errors=True)
    embeddings.publish(options.work, options.rows, one_group=True)
    frame = TagsTable(options.work).to_pandas(["product_id", "embedding"]).sort_values("product_id")
    vectors = np.stack(frame["embedding"].to_list())
    exact, seconds = _timed(lambda: _faiss(vectors))
    found = [Measured("faiss, exact", len(vectors), seconds, 1.0), _ivf(vectors, exact)]
    spark = session.start("benchmark")
    found += [_ours(spark, options.work, exact, name, limit) for name, limit in _LIMITS.items()]
    if options.lsh_rows:
        found.append(_lsh(spark, vectors[: options.lsh_rows]))
    rows = [(each.name, each.products, each.seconds, each.products / each.seconds, each.recall) for each in found]
    sys.stdout.write(console.table(("search", "products", "seconds", "products/s", "recall"), rows))
    options.work.with_suffix(".json").write_text(json.dumps([vars(each) for each in found], indent=2) + "\n")


#: Candidates of a task, of our rows.
_LIMITS = {"ours, exact": 300_000, "ours, lists": 1_000}


def _timed(work: Callable[[], Any]) -> tuple[Any, float]:
    started = time.monotonic()
    return work(), time.monotonic() - started


def _faiss(vectors: NDArray[np.float32], index: Any = None) -> NDArray[np.int64]:
    import faiss

    faiss.omp_set_num_threads(os.cpu_count() or 1)
    _, places = (
        index.search(vectors, K + 1) if index else faiss.knn(vectors, vectors, K + 1, faiss.METRIC_INNER_PRODUCT)
    )
    return np.asarray(places)


def _recall(found: NDArray[np.int64], exact: NDArray[np.int64]) -> float:
    return float(np.mean([len(set(a) & set(b)) / len(b) for a, b in zip(found.tolist(), exact.tolist(), strict=True)]))


def _ivf(vectors: NDArray[np.float32], exact: NDArray[np.int64]) -> Measured:
    import faiss

    started = time.monotonic()
    lists = max(1, int(np.sqrt(len(vectors))))
    index = faiss.IndexIVFFlat(faiss.IndexFlatIP(vectors.shape[1]), vectors.shape[1], lists, faiss.METRIC_INNER_PRODUCT)
    index.train(vectors)
    index.add(vectors)
    built = time.monotonic() - started
    index.nprobe = 1
    while True:
        found, seconds = _timed(lambda: _faiss(vectors, index))
        if (recall := _recall(found, exact)) >= RECALL or index.nprobe >= lists:
            return Measured(f"faiss, IVF ({index.nprobe} of {lists} lists)", len(vectors), built + seconds, recall)
        index.nprobe *= 2


def _ours(spark: Any, work: Path, exact: NDArray[np.int64], name: str, limit: int) -> Measured:
    tree = {"output": {"path": str(work)}, "k": K, "exact_limit": limit, "recall": RECALL}
    settings = config.validate(RecommendConfig, tree, "the benchmark")
    _, seconds = _timed(lambda: recommending.recommend(spark, settings))
    commit = snapshot.newest(str(work), paths.SIMILAR)
    table = ds.dataset(paths.data_dir(str(work), commit, paths.SIMILAR), format="parquet").to_table()
    lists = table.sort_by("product_id")["similar"].to_pylist()
    # An exact list of faiss begins with the product itself.
    found = [[place, *(int(each["similar_id"][1:]) for each in row)] for place, row in enumerate(lists)]
    return Measured(name, len(found), seconds, _recall(np.array(found), exact))


def _lsh(spark: Any, vectors: NDArray[np.float32]) -> Measured:
    from pyspark.ml.feature import BucketedRandomProjectionLSH
    from pyspark.ml.linalg import Vectors
    from pyspark.sql import functions as F

    exact = _faiss(vectors)
    rows = [(place, Vectors.dense(vector.tolist())) for place, vector in enumerate(vectors)]
    frame = spark.createDataFrame(rows, ["id", "vector"])
    started, length = time.monotonic(), 0.25
    # Distances of unit vectors: that of the farthest tenth neighbour bounds the join.
    farthest = float(np.sqrt(2 - 2 * (vectors * vectors[exact[:, -1]]).sum(1).min()))
    while True:
        lsh = BucketedRandomProjectionLSH(
            inputCol="vector", outputCol="hashes", bucketLength=length, numHashTables=4, seed=1
        )
        model = lsh.fit(frame)
        pairs = model.approxSimilarityJoin(frame, frame, farthest + 1e-6, "distance")
        best = pairs.groupBy(F.col("datasetA.id").alias("id")).agg(
            F.slice(F.array_sort(F.collect_list(F.struct("distance", F.col("datasetB.id").alias("other")))), 1, K + 1)
        )
        found = np.full(exact.shape, -1)
        for place, entries in best.collect():
            found[place, : len(entries)] = [entry["other"] for entry in entries]
        if (recall := _recall(found, exact)) >= RECALL or length > 4:
            return Measured(f"Spark LSH (bucket {length})", len(vectors), time.monotonic() - started, recall)
        started, length = time.monotonic(), length * 2


if __name__ == "__main__":
    main()
