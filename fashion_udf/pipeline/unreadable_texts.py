"""Texts in a script that the model's tokenizer was not trained on: they are counted and reported.

Such a text is no error. Its row is scored by its photo, and with [UNK] for each word. A run counts these rows when it
tokenizes their texts (`text_unreadable` of `SCORE`). A plan tokenizes only the texts of a sample.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from fashion_udf.model import tokenizer
from fashion_udf.schema import Action

if TYPE_CHECKING:
    from fashion_udf.pipeline.planning import Planned, Run

logger = logging.getLogger(__name__)

#: Number of rows whose texts a plan tokenizes, on the driver. If 1 % of a catalog is unreadable, this sample shows 0.6
#: to 1.4 %.
SAMPLE_ROWS = 2_000


def of_sample(run: Run, planned: Planned) -> tuple[int, int]:
    """Count the texts of the first `SAMPLE_ROWS` rows to score, in the order of a hash of the id, and warn.

    Returns:
        The number of texts, and of those that the tokenizer cannot read.
    """
    from pyspark.sql import functions as F

    if not planned.counts.to_score:
        return 0, 0  # without rows to score, the catalog need not be read again
    to_score = planned.rows.where(F.col("action") == F.lit(Action.SCORE.value)).select("product_id")
    sample = to_score.orderBy(F.xxhash64("product_id"), "product_id").limit(SAMPLE_ROWS)
    columns = (F.substring(name, 1, tokenizer.MAX_CHARACTERS).alias(name) for name in ("title", "description"))
    rows = run.source.join(F.broadcast(sample), on="product_id", how="left_semi").select(*columns).collect()
    reader = tokenizer.tokenizer_from_bytes(run.bundle.files["tokenizer.json"])
    token_ids = tokenizer.encode(reader, [tokenizer.product_text(*row) for row in rows])
    texts = int((token_ids != tokenizer.PADDING_ID).any(axis=1).sum())
    unreadable = int(tokenizer.is_unreadable(token_ids, tokenizer.tokens_with_letters(reader)).sum())
    warn(unreadable, f"a sample of {texts} texts to score")
    return texts, unreadable


def warn(unreadable: int, of: str) -> None:
    """Log what to do about unreadable texts; `of` names the rows that were checked."""
    if unreadable:
        logger.warning(
            "the model's tokenizer cannot read %d of %s: more than half of their tokens are [UNK], as in a script that "
            "it was not trained on. The model ignores these words. Train a model on your own catalog: "
            "`python -m training.train` trains a tokenizer on the titles and descriptions of its training set, unless "
            "the recipe has an initial_bundle",
            unreadable,
            of,
        )
