"""The column names, types and closed word lists that cross borders, each declared once.

Schemas are Arrow schemas; `to_spark` renders them for Spark, so that Parquet files, data frames and UDF results cannot
drift apart. Nothing here imports pyspark at module level: executors and unit tests read this file too.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

import pyarrow as pa

if TYPE_CHECKING:
    from pyspark.sql.types import StructType

EMBEDDING_SIZE = 256


class Status(StrEnum):
    """What happened to a row. The photo's reason wins over the text's."""

    OK = "ok"
    IMAGE_NONE = "image_none"  # the row names no photo: not a failure
    IMAGE_MISSING = "image_missing"
    IMAGE_TRUNCATED = "image_truncated"  # where the decoder can tell; a cut WebP or TIFF is mostly image_corrupt
    IMAGE_UNSUPPORTED = "image_unsupported"
    IMAGE_CORRUPT = "image_corrupt"
    IMAGE_TOO_LARGE = "image_too_large"
    IMAGE_FORBIDDEN = "image_forbidden"
    IMAGE_TIMEOUT = "image_timeout"
    IMAGE_CRASHED = "image_crashed"
    IMAGE_IO = "image_io"
    TEXT_MISSING = "text_missing"
    NOT_SCORED = "not_scored"  # the engine refused the row


#: Failures that may be over by the next night: such a row is scored again, and never replaces an earlier good result.
RETRY_EVERY_RUN = (Status.IMAGE_IO, Status.IMAGE_TIMEOUT)
#: Statuses of a row that has no failure.
NOT_A_FAILURE = (Status.OK, Status.IMAGE_NONE, Status.TEXT_MISSING)


class Modality(StrEnum):
    """Which inputs the score used."""

    BOTH = "both"
    IMAGE = "image"
    TEXT = "text"
    NONE = "none"


class Decision(StrEnum):
    """What to do with a category, from thresholds fitted to a target precision."""

    AUTO = "auto"
    REVIEW = "review"
    ABSTAIN = "abstain"


class Action(StrEnum):
    """What a run does with a product."""

    CARRY = "carry"  # the published row stays as it is
    STAGED = "staged"  # a result is there already, of this run or of an interrupted one
    SCORE = "score"
    REST = "rest"  # its photo could not be had on too many nights: the published row stays until something changes


class Reason(StrEnum):
    """Why a row was scored in the run that scored it."""

    NEW = "new"
    IMAGE = "image"
    TEXT = "text"
    MODEL = "model"
    RETRY = "retry"
    FORCED = "forced"


class CategorySource(StrEnum):
    """Who chose the published category."""

    MODEL = "model"
    OVERRIDE = "override"
    KEPT = "kept"


#: The catalog as every source is mapped into it. Exactly one of `image` (bytes) and `image_uri` is present in a run.
CATALOG = pa.schema(
    [
        pa.field("product_id", pa.string(), nullable=False),
        pa.field("title", pa.string()),
        pa.field("description", pa.string()),
        pa.field("image", pa.binary()),
        pa.field("image_uri", pa.string()),
        pa.field("image_version", pa.string()),
    ]
)

# Terms of a plan and its results:
#
# image identity       what tells a photo from every other one and from its own replacement: the version in the catalog
#                      or, without a version, what is observed: size and time of the file, or the sha256 of the bytes
#                      (`fingerprint.image_identity`)
# fingerprint          digests of all that a result depends on: texts, image identity and versions
# planned fingerprint  the fingerprint of a row in the plan. A photo may be replaced before it is scored: `fingerprint`
#                      of a result is of the text and the photo that were really scored
# for_fingerprint      of a result that a run may use: the planned fingerprint of the rows that take it
#                      (`comparison.usable_results`)
# known_sha256         of the published photo of a row: if the photo still has these bytes, the row is carried
# staged_sha256        of the photo of a staged result

#: What a run plans, a row for each accepted product. Without photos it is small, and it is kept on disk so that every
#: later step sees the same plan.
PLAN = pa.schema(
    [
        pa.field("product_id", pa.string()),
        pa.field("fingerprint", pa.string()),
        pa.field("file", pa.string()),  # the file of the catalog that holds the row; null if its source has no files
        pa.field("row", pa.int64()),  # the row's place in its file; null if Spark reads the photo, or there is none
        pa.field("has_photo", pa.bool_()),
        pa.field("has_text", pa.bool_()),
        pa.field("damaged_text", pa.bool_()),  # a byte that was not UTF-8 became U+FFFD
        pa.field("further_photos", pa.int32()),  # that the cell names beside the first one
        pa.field("photo_bytes", pa.int64()),  # null if the plan did not look at photos
        pa.field("by_url", pa.bool_()),  # the photo comes from a host, by https or http
        pa.field("failed_nights", pa.int32()),  # on which this photo could not be had, before this one; null for none
        pa.field("action", pa.string()),  # of `Action`
        pa.field("reason", pa.string()),  # of `Reason`; null if the published row is carried
        pa.field("known_sha256", pa.string()),  # null if the row is scored whatever the photo's bytes
        # When the published photo was fetched; null if its host is not asked whether it was modified since.
        pa.field("known_since", pa.timestamp("us", tz="UTC")),
        pa.field("staged_by", pa.string()),  # id of the run whose result the row takes; null where none is staged
    ]
)

#: Products whose photo the last runs could not have.
RETRIES = pa.schema(
    [
        pa.field("product_id", pa.string()),
        pa.field("fingerprint", pa.string()),  # as planned: another one begins anew
        pa.field("nights", pa.int32()),  # on which it was tried
        pa.field("last_night", pa.date32()),  # in UTC; null once it rests
    ]
)

_TOP_CATEGORIES = pa.list_(pa.struct([pa.field("category", pa.string()), pa.field("confidence", pa.float32())]))

_ATTRIBUTES = pa.list_(
    pa.struct(
        [
            pa.field("name", pa.string()),
            pa.field("value", pa.string()),
            pa.field("confidence", pa.float32()),
            pa.field("decision", pa.string()),  # of `Decision`
        ]
    )
)

#: What the model says beside the category. Rows that release 0.1 scored have null in each.
_SINCE_FORMAT_2 = (
    pa.field("parent_category", pa.string()),  # the family of `category`
    pa.field("parent_confidence", pa.float32()),
    pa.field("parent_decision", pa.string()),  # of `Decision`
    pa.field("novelty", pa.float32()),  # probability that the product is of no kind that the model knows
    pa.field("attributes", _ATTRIBUTES),
)

#: What scoring one row yields: the struct returned by the pandas UDF. Photos are never sent back.
#: All fields are nullable, as pandas makes them: Spark 4.3 refuses a result whose declared schema says otherwise.
SCORE = pa.schema(
    [
        pa.field("model_category", pa.string()),
        pa.field("confidence", pa.float32()),
        pa.field("decision", pa.string()),
        pa.field("top_categories", _TOP_CATEGORIES),
        *_SINCE_FORMAT_2,
        pa.field("embedding", pa.list_(pa.float32())),
        pa.field("modality", pa.string()),
        pa.field("status", pa.string()),
        pa.field("error", pa.string()),
        # More than half of the text's tokens are unknown to the tokenizer.
        pa.field("text_unreadable", pa.bool_()),
        # What was observed of the photo that was scored: its sha256, or its file's size and time.
        pa.field("image_identity", pa.string()),
        pa.field("image_sha256", pa.string()),
        # The photo has the bytes of `known_sha256`: nothing was scored, and the row is carried.
        pa.field("unchanged", pa.bool_()),
    ]
)

#: What a run needs of a score, and nobody else.
_OF_A_RUN = ("model_category", "text_unreadable", "image_identity", "unchanged")

#: The public API's result for a row: the columns of `TAGS` that follow from the row and the model alone. Nullable, as
#: the fields of `SCORE` are.
TAG = pa.schema(
    [
        pa.field("category", pa.string()),  # the model's
        *(field for field in SCORE if field.name not in _OF_A_RUN),
        pa.field("model_version", pa.string()),
    ]
)

#: A score as a run keeps it until it publishes: the result of every row with this planned fingerprint.
RESULT = pa.schema(
    [
        pa.field("planned_fingerprint", pa.string()),
        pa.field("fingerprint", pa.string()),  # as really scored
        *(field for field in SCORE if field.name != "image_identity"),
        pa.field("model_version", pa.string()),
        pa.field("run_id", pa.string()),
        pa.field("tagged_at", pa.timestamp("us", tz="UTC")),
    ]
)

#: The published table: one row per accepted catalog row (see docs/table.md).
TAGS = pa.schema(
    [
        pa.field("product_id", pa.string(), nullable=False),
        pa.field("category", pa.string()),
        pa.field("category_source", pa.string(), nullable=False),
        pa.field("model_category", pa.string()),
        pa.field("confidence", pa.float32()),
        pa.field("decision", pa.string(), nullable=False),
        pa.field("top_categories", _TOP_CATEGORIES),
        *_SINCE_FORMAT_2,
        pa.field("embedding", pa.list_(pa.float32())),
        pa.field("modality", pa.string(), nullable=False),
        pa.field("status", pa.string(), nullable=False),
        pa.field("error", pa.string()),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("previous_category", pa.string()),
        pa.field("fingerprint", pa.string(), nullable=False),
        pa.field("image_sha256", pa.string()),
        pa.field("model_version", pa.string(), nullable=False),
        pa.field("run_id", pa.string(), nullable=False),
        pa.field("tagged_at", pa.timestamp("us", tz="UTC"), nullable=False),
    ]
)


def to_spark(schema: pa.Schema) -> StructType:
    """Render an Arrow schema as a Spark schema with the same names, types and nullability."""
    from pyspark.sql.pandas.types import from_arrow_schema

    return from_arrow_schema(schema, prefer_timestamp_ntz=False)
