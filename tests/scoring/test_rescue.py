"""The second attempt at rows whose worker died: it outlasts any number of photos that hang, each the cost of a row."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import pandas as pd
from pyspark.sql import functions as F
from pyspark.sql.pandas.functions import pandas_udf

from fashion_udf.scoring import udf
from fashion_udf.scoring.tagger import usual_settings
from tests import small_bundle

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

HANGING = 64
BATCH_TIMEOUT = 3.0  # seconds
PHOTO_TIMEOUT = 0.1


def _with_hanging_photos(bundle: Any, settings: Any) -> Callable[..., Any]:
    """A UDF that scores like the job's own in the sandbox, whose decoder sleeps at the photo `sleep`."""

    def score(batches: Iterator[tuple[pd.Series, ...]]) -> Iterator[pd.DataFrame]:
        whole, kept = udf.SandboxedDecoder, udf._scorers
        udf._scorers = {}
        udf.SandboxedDecoder = lambda _: partial(whole, PHOTO_TIMEOUT, decoder="tests.photos.test_sandbox:hostile")()
        try:
            for scores in udf._scored(batches, bundle.value, settings, True, BATCH_TIMEOUT):
                yield scores[["status", "modality"]]
        finally:
            udf.SandboxedDecoder, udf._scorers = whole, kept

    return pandas_udf(score, "status string, modality string")  # type: ignore[call-overload, no-any-return]


def test_photos_that_all_hang_end_as_rows_with_a_status_however_many_they_are(spark: SparkSession) -> None:
    assert HANGING * PHOTO_TIMEOUT > 2 * BATCH_TIMEOUT, "longer than a worker may stand still"
    model = small_bundle.read()
    score = _with_hanging_photos(spark.sparkContext.broadcast(model), usual_settings(model, "openvino", "f32", 3))
    rows = spark.range(HANGING).coalesce(1)  # one batch of one task
    text, photo = F.lit("Red shirt"), F.lit(b"sleep")
    found = rows.withColumn("score", score(text, text, photo, F.lit(None).cast("string"))).select("id", "score.*")
    assert [tuple(row) for row in found.sort("id").collect()] == [
        (number, "image_timeout", "text") for number in range(HANGING)
    ]
