"""The public API: a model bundle, tags for a data frame or a single product, the nightly job, and its table.

Names are imported from the package itself: `import fashion_udf as fu`, then `fu.load_bundle("builtin")`.
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
        reference: `builtin`, a directory, or `DIRECTORY@<model_version>`, which accepts that version only; a URI, such
            as `s3://bucket/bundle@<model_version>`, must be pinned so.

    Returns:
        The bundle: `labels`, `version` (what pins it) and `card` (Markdown) are for people.

    Raises:
        BundleError: a file is missing, extra, altered, too large, or may be written by anybody.
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
        overrides: value by dotted key, in place of the file's.

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
    """Return a function of the columns title, description and photo; it gives a struct with the fields of `Tagger.tag`.

    Photos in the rows want `spark.sql.execution.arrow.maxRecordsPerBatch` at 64: Spark's 10,000 may not fit.

    Examples:
        >>> import fashion_udf as fu
        >>> tag = fu.tag_udf(spark, fu.load_bundle("builtin"))
        >>> frame = spark.createDataFrame([("7", "Blue jeans")], "sku string, title string")
        >>> [(row.sku, row.tag.status) for row in frame.withColumn("tag", tag("title")).collect()]
        [('7', 'image_none')]

    Args:
        spark, bundle: a classic session, whose settings stay as they are; of `load_bundle`.
        photo: the photo column holds `bytes`, a `uri` (of a file, of S3 or of a host), or nothing; it may be left out.
        engine, precision, top_k: as of `Tagger`; `auto` looks at the driver's CPU.
        image_roots, image_hosts, s3: directories of local photos; hosts for https; a job's section `s3`.
        sandbox: decode each photo in a child process: one that kills the decoder costs its row alone. Slower.
        batch_timeout: seconds after which a batch is taken for hung, and its worker ends.

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
        spark: a classic session; its settings are the job's while it runs, and afterwards as they were.
        config: of `load_config`.
        force: score every product again.
        retry_failed: score what failed again, also where nothing changed.

    Returns:
        The number and directory of the current snapshot, whether this run published it, and `counts` of rows.

    Raises:
        InputError: the configuration, catalog or bundle cannot be used; nothing was published.
        GateRefusedError: the audit refused the table; yesterday's stays published.
        CommitConflictError: other runs published first, again and again.
    """
    session.require_usable(spark)
    return run_report.tag(spark, config, Scope(forced=force, retry_failed=retry_failed))
