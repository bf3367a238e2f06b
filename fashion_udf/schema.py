"""Column names, types and enumerations that several packages share, each declared once.

The schemas are Arrow schemas. `to_spark` converts them for Spark, so that Parquet files, data frames and UDF results
have the same columns. This module must not import pyspark when it loads: executors and unit tests import it.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

import pyarrow as pa

if TYPE_CHECKING:
    from pyspark.sql.types import StructType

EMBEDDING_SIZE = 256


class Status(StrEnum):
    """What happened to a row. A problem of the photo takes precedence over a problem of the text."""

    OK = "ok"
    IMAGE_NONE = "image_none"  # the row names no photo: not a failure
    IMAGE_MISSING = "image_missing"
    IMAGE_TRUNCATED = "image_truncated"  # if the decoder can tell; a truncated WebP or TIFF is mostly image_corrupt
    IMAGE_UNSUPPORTED = "image_unsupported"
    IMAGE_CORRUPT = "image_corrupt"
    IMAGE_TOO_LARGE = "image_too_large"
    IMAGE_FORBIDDEN = "image_forbidden"
    IMAGE_TIMEOUT = "image_timeout"
    IMAGE_CRASHED = "image_crashed"
    IMAGE_IO = "image_io"
    TEXT_MISSING = "text_missing"
    NOT_SCORED = "not_scored"  # the engine refused the row


#: Failures that may be over by the next night. Such a row is scored again, and never replaces an earlier good result.
RETRY_EVERY_RUN = (Status.IMAGE_IO, Status.IMAGE_TIMEOUT)
#: Statuses that are no failures.
NOT_A_FAILURE = (Status.OK, Status.IMAGE_NONE, Status.TEXT_MISSING)


class Modality(StrEnum):
    """Which inputs the model used."""

    BOTH = "both"
    IMAGE = "image"
    TEXT = "text"
    NONE = "none"


class Decision(StrEnum):
    """How to use a category, by thresholds that were fitted to a target precision."""

    AUTO = "auto"
    REVIEW = "review"
    ABSTAIN = "abstain"


class Action(StrEnum):
    """What a run does with a product."""

    CARRY = "carry"  # the published row stays as it is
    STAGED = "staged"  # this run, or an interrupted one, has a result already
    SCORE = "score"
    REST = "rest"  # the photo was unreachable on too many nights: the published row stays until something changes


class Reason(StrEnum):
    """Why a run scored a row."""

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


#: The catalog, to which every source is mapped. A run has exactly one of the columns `image` (bytes) and `image_uri`.
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
# image identity       identifies one version of a photo: the version in the catalog or, without one, size and time of
#                      the file, or the sha256 of the bytes (`fingerprint.image_identity`)
# fingerprint          hash of everything that a result depends on: texts, image identity and versions
# planned fingerprint  the fingerprint of a row in the plan. A photo may be replaced before it is scored, so the
#                      `fingerprint` of a result is that of the text and the photo that were really scored
# for_fingerprint      the planned fingerprint of the rows that use a result (`comparison.usable_results`)
# known_sha256         sha256 of a row's published photo: if the photo still has these bytes, the row is carried
# staged_sha256        sha256 of the photo of a staged result

#: The plan of a run: one row for each accepted product, without photos. It is written to disk, so that every later step
#: reads the same plan.
PLAN = pa.schema(
    [
        pa.field("product_id", pa.string()),
        pa.field("fingerprint", pa.string()),
        pa.field("file", pa.string()),  # the file of the catalog with this row; null if the source has no files
        pa.field("row", pa.int64()),  # position in its file; null if Spark reads the photo, or there is none
        pa.field("has_photo", pa.bool_()),
        pa.field("has_text", pa.bool_()),
        pa.field("damaged_text", pa.bool_()),  # a byte that was not UTF-8 became U+FFFD
        pa.field("further_photos", pa.int32()),  # number of photos in the cell after the first one
        pa.field("photo_bytes", pa.int64()),  # null if the plan did not look at photos
        pa.field("by_url", pa.bool_()),  # the photo comes from a host, by https or http
        pa.field("failed_nights", pa.int32()),  # earlier nights on which this photo was unreachable; null for none
        pa.field("action", pa.string()),  # one of `Action`
        pa.field("reason", pa.string()),  # one of `Reason`; null if the published row is carried
        pa.field("known_sha256", pa.string()),  # null if the row is scored whatever the photo's bytes are
        # Validator of the published photo, or an HTTP date before it was fetched. Null: the host is not asked whether
        # the photo is still the same.
        pa.field("known_validator", pa.string()),
        pa.field("staged_by", pa.string()),  # id of the run whose result the row uses; null if none is staged
    ]
)

#: Products whose photo was unreachable in the last runs.
RETRIES = pa.schema(
    [
        pa.field("product_id", pa.string()),
        pa.field("fingerprint", pa.string()),  # as planned; with another fingerprint the count starts again
        pa.field("nights", pa.int32()),  # number of nights on which the photo was tried
        pa.field("last_night", pa.date32()),  # in UTC; null once the row rests
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

#: Results of the model beside the category. They are null in rows that release 0.1 scored.
_SINCE_FORMAT_2 = (
    pa.field("parent_category", pa.string()),  # the family of `category`
    pa.field("parent_confidence", pa.float32()),
    pa.field("parent_decision", pa.string()),  # of `Decision`
    pa.field("novelty", pa.float32()),  # probability that the product has none of the model's categories
    pa.field("attributes", _ATTRIBUTES),
)

#: The result of scoring one row: the struct that the pandas UDF returns. It holds no photo.
#: All fields are nullable, as in pandas: Spark 4.3 refuses a result whose declared schema says otherwise.
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
        # The tokenizer knows less than half of the text's tokens.
        pa.field("text_unreadable", pa.bool_()),
        # Identity of the scored photo: its sha256, or size and time of its file.
        pa.field("image_identity", pa.string()),
        pa.field("image_sha256", pa.string()),
        # What the host of a URL says of the photo's version: its ETag or, without one, its Last-Modified.
        pa.field("image_validator", pa.string()),
        # The photo still has the bytes of `known_sha256`: it was not scored, and the row is carried.
        pa.field("unchanged", pa.bool_()),
    ]
)

#: Fields of a score that only a run needs.
_OF_A_RUN = ("model_category", "text_unreadable", "image_identity", "image_validator", "unchanged")

#: The public API's result for a row: the columns of `TAGS` that depend on the row and the model alone. All are
#: nullable, as in `SCORE`.
TAG = pa.schema(
    [
        pa.field("category", pa.string()),  # the model's
        *(field for field in SCORE if field.name not in _OF_A_RUN),
        pa.field("model_version", pa.string()),
    ]
)

#: A staged score: the result for every row with this planned fingerprint, until the run publishes.
RESULT = pa.schema(
    [
        pa.field("planned_fingerprint", pa.string()),
        pa.field("fingerprint", pa.string()),  # of the text and the photo that were really scored
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
        pa.field("image_validator", pa.string()),  # null in rows of release 0.1, and for photos without a URL
        pa.field("model_version", pa.string(), nullable=False),
        pa.field("run_id", pa.string(), nullable=False),
        pa.field("tagged_at", pa.timestamp("us", tz="UTC"), nullable=False),
    ]
)


def to_spark(schema: pa.Schema) -> StructType:
    """Return an Arrow schema as a Spark schema with the same names, types and nullability."""
    from pyspark.sql.pandas.types import from_arrow_schema

    return from_arrow_schema(schema, prefer_timestamp_ntz=False)
