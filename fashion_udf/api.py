"""The public API: load a model bundle, tag a data frame or one product, run the nightly job, read its table.

Import the names from the package: `import fashion_udf as fu`, then `fu.load_bundle("builtin")`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from fashion_udf import config as configuration
from fashion_udf.config import JobConfig
from fashion_udf.model import bundle as bundles
from fashion_udf.model.bundle import Bundle
from fashion_udf.pages import run_report
from fashion_udf.pipeline.comparison import Scope
from fashion_udf.pipeline.outcome import Outcome
from fashion_udf.scoring import udf
from fashion_udf.scoring.tagger import Tagger, remote_of, usual_settings
from fashion_udf.spark import session
from fashion_udf.table.stores import open_store
from fashion_udf.table.tags_table import TagsTable

if TYPE_CHECKING:
    from pyspark.sql import Column, SparkSession

__all__ = ["Tagger", "TagsTable", "load_bundle", "load_config", "tag_catalog", "tag_udf"]


def load_bundle(reference: str = "builtin") -> Bundle:
    """Read and verify a model bundle.

    Examples:
        >>> import fashion_udf as fu
        >>> bundle = fu.load_bundle("builtin")
        >>> len(bundle.labels)
        75
        >>> bundle.card.splitlines()[0].startswith("# ")
        True

    Args:
        reference: `builtin`, a directory, or `DIRECTORY@<model_version>`, which accepts that version only. A URI needs
            the version: `s3://bucket/bundle@<model_version>`.

    Returns:
        The bundle. `labels` are its categories, `version` pins it, `card` describes it in Markdown.

    Raises:
        BundleError: a file is missing, unexpected, altered, too large, or writable by everybody.
    """
    return bundles.read(reference, open_store)


def load_config(path: str | Path, overrides: Mapping[str, Any] = MappingProxyType({})) -> JobConfig:
    """Read the configuration of a job.

    Examples:
        >>> import fashion_udf as fu
        >>> config = fu.load_config("conf/nightly.yaml", {"input.path": "catalog", "output.path": "out"})
        >>> config.input.path
        'catalog'

    Args:
        path: a YAML file, such as conf/nightly.yaml.
        overrides: values by dotted key. They replace the values of the file.

    Raises:
        ConfigError: the file cannot be read, or a key or value is not accepted.
    """
    return configuration.load(JobConfig, path, overrides)


def tag_udf(
    spark: SparkSession,
    bundle: Bundle,
    *,
    photo: Literal["bytes", "uri", "none"] = "bytes",
    engine: str = "openvino",
    precision: str = "f32",
    top_k: int = 5,
    image_roots: Sequence[str] = (),
    image_hosts: Sequence[str] = (),
    s3: Mapping[str, Any] = MappingProxyType({}),
    sandbox: bool = False,
    batch_timeout: float = 600.0,
) -> Callable[..., Column]:
    """Return a function of the columns title, description and photo. Its result is a struct like that of `Tagger.tag`.

    With photos in the rows, set `spark.sql.execution.arrow.maxRecordsPerBatch` to 64: Spark's 10,000 may not fit.

    Examples:
        >>> import fashion_udf as fu
        >>> tag = fu.tag_udf(spark, fu.load_bundle("builtin"))
        >>> frame = spark.createDataFrame([("7", "Blue jeans")], "sku string, title string")
        >>> [(row.sku, row.tag.status) for row in frame.withColumn("tag", tag("title")).collect()]
        [('7', 'image_none')]

    Args:
        spark, bundle: a classic session, whose settings are not changed; the result of `load_bundle`.
        photo: what the photo column holds: `bytes`, `uri` (a path, `s3:` or `https:`) or `none`.
        engine, precision, top_k: as for `Tagger`. `auto` chooses by the driver's CPU.
        image_roots, image_hosts: directories of local photos, and hosts for https.
        s3: the settings of S3, as in the section `s3` of a job.
        sandbox: decode each photo in a child process, so that a photo that kills the decoder fails one row. Slower.
        batch_timeout: seconds after which a batch counts as hung and its worker ends.

    Raises:
        InputError: an argument or the session cannot be used; the message says why.
    """
    session.require_usable(spark)
    settings = usual_settings(bundle, engine, precision, top_k, photo, image_roots, remote_of(image_hosts, s3))
    return udf.tag_udf(spark.sparkContext.broadcast(bundle), settings, sandbox, batch_timeout)


def tag_catalog(spark: SparkSession, config: JobConfig, *, force: bool = False, retry_failed: bool = False) -> Outcome:
    """Do what `fashion-udf tag` does: score what is new or changed, audit the next table and publish it.

    Examples:
        >>> import fashion_udf as fu
        >>> config = fu.load_config("conf/nightly.yaml", {"input.path": catalog, "output.path": output})
        >>> outcome = fu.tag_catalog(spark, config)
        >>> outcome.published, outcome.counts.scored
        (True, 2)

    Args:
        spark: a classic session. The job changes its settings and restores them at the end.
        config: the result of `load_config`.
        force: score every product again.
        retry_failed: score failed products again, even if nothing changed.

    Returns:
        The number and directory of the current snapshot, whether this run published it, and `counts` of rows.

    Raises:
        InputError: the configuration, catalog or bundle cannot be used; nothing was published.
        GateRefusedError: the audit refused the table; the previous table stays published.
        CommitConflictError: other runs published first at every attempt.
    """
    session.require_usable(spark)
    return run_report.tag(spark, config, Scope(forced=force, retry_failed=retry_failed))
