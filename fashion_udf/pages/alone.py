"""Score photo and text of the first rows of the review queue separately, and decide which one is probably wrong.

With both inputs, the model only becomes unsure if one of them is wrong. Each row needs two predictions, so only rows
that a person will see soon are scored separately. The result is kept until text, photo or model of the row changes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fashion_udf.catalog.columns import Catalog
from fashion_udf.config import JobConfig
from fashion_udf.model import bundle as bundles
from fashion_udf.pipeline import chunks, photo_places
from fashion_udf.pipeline.comparison import PlanCounts
from fashion_udf.schema import Modality
from fashion_udf.scoring import udf
from fashion_udf.scoring.tagger import usual_settings
from fashion_udf.table import paths
from fashion_udf.table.stores import open_store

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

#: Minimum probability of a family to count as evidence against the other input.
LEAST = 0.6
#: Minimum lead of the photo's probability over the text's for the text to be the suspect: shops mix up photos more
#: often than titles.
LEAD = 0.2
#: The columns that this module adds.
FACTS = ("image_alone", "image_confidence", "text_alone", "text_confidence")
_KNOWN = "fingerprint string, image_alone string, image_confidence float, text_alone string, text_confidence float"


def with_facts(spark: SparkSession, config: JobConfig, catalog: Catalog, waiting: DataFrame, run_id: str) -> DataFrame:
    """Add `FACTS` and `suspect` to waiting rows. They are null for rows that were not scored separately.

    Args:
        spark: the session.
        config: the config of the run.
        catalog: the open catalog.
        waiting: rows with `product_id`, `fingerprint` and `modality`, in the order of the queue.
        run_id: id of the run. Results in the newest queue of another run are used again.
    """
    from pyspark.sql import functions as F

    known = _known(spark, config, run_id)
    if known is None:
        known = waiting.limit(0).select("fingerprint", *(_null(name) for name in FACTS))
    readable = "image_uri" in catalog.rows.columns or catalog.photos is not None
    first = waiting.where(F.col("modality") == F.lit(Modality.BOTH.value)).limit(config.pages.scored_alone)
    # The known results are those of waiting rows, so they are small enough for a broadcast.
    todo = first.join(F.broadcast(known.select("fingerprint")), on="fingerprint", how="left_anti")
    ids = (todo if readable else todo.limit(0)).select("product_id", "fingerprint").toPandas()
    found = known
    if len(ids):
        frame = spark.createDataFrame(ids.astype(object), "product_id string, fingerprint string")
        found = known.unionByName(scored_alone(spark, config, catalog, frame, len(ids)).select(*known.columns))
    one_each = F.broadcast(found.dropDuplicates(["fingerprint"]))
    return waiting.join(one_each, on="fingerprint", how="left").withColumn("suspect", suspect())


def suspect() -> Column:
    """Return which of photo and text is probably wrong, from `FACTS`; null if they agree or one is unsure."""
    from pyspark.sql import functions as F

    disagree = F.col("image_alone") != F.col("text_alone")
    told = (F.col("image_confidence") >= F.lit(LEAST)) & (F.col("text_confidence") >= F.lit(LEAST))
    text = F.col("image_confidence") - F.col("text_confidence") > F.lit(LEAD)
    return F.when(disagree & told, F.when(text, "text").otherwise("photo"))


def scored_alone(spark: SparkSession, config: JobConfig, catalog: Catalog, ids: DataFrame, count: int) -> DataFrame:
    """Return the columns of `ids` and `FACTS`: the family and its confidence by each input alone.

    Args:
        spark: the session.
        config: the config of the run.
        catalog: a catalog with photos at URIs, or in files that Python workers read.
        ids: unique `product_id`s, and other columns.
        count: number of ids.
    """
    from pyspark.sql import functions as F

    bundle = bundles.read(config.bundle)
    photo = "uri" if "image_uri" in catalog.rows.columns else "bytes"
    engine = config.engine
    remote = photo_places.remote(config, spark.sparkContext.defaultParallelism)
    settings = usual_settings(bundle, engine.name, engine.precision, 1, photo, config.input.image_roots, remote)  # type: ignore[arg-type]
    rows = catalog.rows if catalog.photos is None else catalog.rows.drop("image")
    rows = chunks.spread(rows.join(F.broadcast(ids), on="product_id", how="inner"), count, PlanCounts(), count)
    model, done = spark.sparkContext.broadcast(bundle), spark.sparkContext.accumulator(0)
    nothing = F.lit(None).cast("string")

    def score(sandboxed: bool) -> DataFrame:
        one = udf.score_udf(model, settings, done, sandboxed, config.limits.batch_timeout, catalog.photos)
        text = udf.score_udf(model, settings, done, sandboxed, config.limits.batch_timeout)
        scored = rows.withColumn("image", one(nothing, nothing, chunks.photo_of(rows), nothing))
        scored = scored.withColumn("text", text("title", "description", nothing, nothing))
        return scored.select(
            *ids.columns,
            F.col("image.parent_category").alias("image_alone"),
            F.col("image.parent_confidence").alias("image_confidence"),
            F.col("text.parent_category").alias("text_alone"),
            F.col("text.parent_confidence").alias("text_confidence"),
        ).localCheckpoint()

    return udf.sandboxed_if_needed(score)


def _known(spark: SparkSession, config: JobConfig, run_id: str) -> DataFrame | None:
    """Return `fingerprint` and `FACTS` of the separately scored rows of the newest earlier queue; None without one."""
    from pyspark.sql import functions as F

    store = open_store(config.output.path)
    for name in reversed([name for name in store.list_names("runs") if name < run_id]):
        if "queue.json" in store.list_names(f"runs/{name}"):
            place = paths.run_dir(config.output.path, name) / "queue.parquet"
            queue = spark.read.schema(_KNOWN).parquet(place.uri)
            return queue.where(F.col("image_alone").isNotNull()).select("fingerprint", *FACTS)
    return None


def _null(name: str) -> Column:
    from pyspark.sql import functions as F

    return F.lit(None).cast("float" if name.endswith("confidence") else "string").alias(name)
