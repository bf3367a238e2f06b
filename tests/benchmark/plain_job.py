"""The plain job, as a careful user would write it: Keras in a pandas UDF, weights broadcast, one model per worker.

    .venv/bin/spark-submit tests/benchmark/plain_job.py --udf pandas_udf --catalog DIR --output DIR

`--udf predict_batch_udf` uses Spark's own helper for models in place of a pandas UDF, with the same model.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pandas as pd

from fashion_udf.model import bundle
from tests.benchmark import plain_model
from tests.benchmark.plain_model import Parts, Scorer

if TYPE_CHECKING:
    from pyspark import Broadcast
    from pyspark.sql import Column

SCORE = "category string, confidence float, embedding array<float>"
ARROW_ROWS = 256  # 35 MB of photos; Spark's own 10,000 would be 1.3 GB


def main() -> None:
    """Score a catalog of photos as bytes, and write one row for each product."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--udf", choices=sorted(UDFS), required=True)
    parser.add_argument("--catalog", required=True)
    parser.add_argument("--bundle", default="builtin")
    parser.add_argument("--output", required=True)
    arguments = parser.parse_args()
    from pyspark.sql import SparkSession

    spark = SparkSession.builder.appName("plain_job").getOrCreate()
    spark.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", ARROW_ROWS)
    spark.conf.set("spark.sql.parquet.columnarReaderBatchSize", ARROW_ROWS)
    parts = spark.sparkContext.broadcast(plain_model.parts(bundle.read(arguments.bundle)))
    score = UDFS[arguments.udf](parts)
    products = spark.read.parquet(arguments.catalog)
    scored = products.select("product_id", score("title", "description", "image").alias("score"))
    scored.select("product_id", "score.*").write.parquet(arguments.output)


def with_pandas_udf(parts: Broadcast[Parts]) -> Callable[..., Column]:
    """Return a scalar-iterator pandas UDF of (title, description, image)."""
    from pyspark.sql.pandas.functions import pandas_udf

    def score(batches: Iterator[tuple[pd.Series, pd.Series, pd.Series]]) -> Iterator[pd.DataFrame]:
        from tests.benchmark import plain_job

        scorer = plain_job.scorer(parts.value)
        for titles, descriptions, photos in batches:
            for at in range(0, len(titles), plain_model.BATCH_ROWS):
                rows = slice(at, at + plain_model.BATCH_ROWS)
                columns = scorer.score(titles[rows].tolist(), descriptions[rows].tolist(), photos[rows].tolist())
                yield plain_model.frame(columns)

    return pandas_udf(score, SCORE)  # type: ignore[call-overload, no-any-return]


def with_predict_batch_udf(parts: Broadcast[Parts]) -> Callable[..., Column]:
    """Return Spark's own `predict_batch_udf` of (title, description, image); Spark keeps its model per worker."""
    from pyspark.ml.functions import predict_batch_udf
    from pyspark.sql.types import StructType

    def make_predict_fn() -> Callable[..., dict[str, Any]]:
        scorer = Scorer(parts.value)

        def predict(title: Any, description: Any, image: Any) -> dict[str, Any]:
            return scorer.score(title.tolist(), description.tolist(), image.tolist())

        return predict

    return predict_batch_udf(make_predict_fn, return_type=StructType.fromDDL(SCORE), batch_size=plain_model.BATCH_ROWS)


UDFS: dict[str, Callable[[Broadcast[Parts]], Callable[..., Column]]] = {
    "pandas_udf": with_pandas_udf,
    "predict_batch_udf": with_predict_batch_udf,
}

_kept: list[Scorer] = []


def scorer(parts: Parts) -> Scorer:
    """Return this process's model, loaded at the first call."""
    if not _kept:
        _kept.append(Scorer(parts))
    return _kept[0]


if __name__ == "__main__":
    main()
