"""Checks at the start of a command: refuse what cannot succeed before the catalog is read or anything is written."""

from __future__ import annotations

import glob
import importlib.util
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from fashion_udf.catalog import files, row_groups
from fashion_udf.catalog.columns import Catalog
from fashion_udf.config import Input, JobConfig
from fashion_udf.errors import ConfigError, EnvironmentUnsupportedError
from fashion_udf.model.bundle import Bundle
from fashion_udf.model.engines import openvino
from fashion_udf.pipeline.photo_places import PhotoPlaces
from fashion_udf.s3 import S3Settings
from fashion_udf.spark import memory
from fashion_udf.table import delta, paths, s3_store
from fashion_udf.table.paths import Location
from fashion_udf.table.store import is_local, local_path, root_uri
from fashion_udf.table.stores import open_store

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def require_output(output: str, store: S3Settings | None = None) -> None:
    """Refuse an output that cannot be written to.

    Args:
        output: root of the output.
        store: the settings of S3, which are used from now on.

    Raises:
        ConfigError: `output` or a part of its path is a file, or this user may not write there.
    """
    s3_store.use(store or S3Settings())
    if not is_local(output):
        _require_reachable(output)
        return
    path = local_path(output)
    nearest = next(each for each in (path, *path.parents) if each.exists())
    if not nearest.is_dir():
        raise ConfigError(f"Expected a directory for output.path. Received: {nearest}, which is a file")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise ConfigError(f"Expected a writable directory for output.path. Received: {nearest}")


def _require_reachable(output: str) -> None:
    root_uri(output)
    try:
        open_store(output).list_names(paths.LOG)
    except OSError as error:
        raise ConfigError(f"Expected an output.path that can be reached. Received: {output} ({error})") from error


def require_one_winner(directory: Location) -> None:
    """Refuse a store that overwrites an existing object in spite of a create-only request. Local files need no check.

    Args:
        directory: the staging directory of a run.

    Raises:
        ConfigError: the store overwrote an existing object.
    """
    output, store = directory.output, directory.store
    if is_local(output) or store.list_names(paths.LOG):
        return
    key = f"{directory.key}/probe"
    won = [store.create(key, text) for text in (b"first", b"second")]
    if won != [True, False] or store.read(key, 100) != b"first":
        raise ConfigError(
            "Expected a store for output.path that supports create-only writes (If-None-Match). "
            f"Received: {output}, which overwrote an object: two runs could publish the same commit. Use another store"
        )


def require_inputs(spark: SparkSession, config: JobConfig) -> None:
    """Refuse inputs that do not fit their configuration.

    Raises:
        ConfigError: a table has no valid name, the output is inside of the catalog, a directory of photos does not
            exist, or a Delta log cannot be written to the output.
        EnvironmentUnsupportedError: `publish.delta` needs a package that is not installed.
    """
    if config.publish.delta:
        delta.require_usable(config.output.path)
    for key, form, path in (
        ("input", config.input.format, config.input.path),
        ("overrides", config.overrides.format, config.overrides.path),
    ):
        if path is not None and form == "table":
            _require_table_name(key, path)
        elif path is not None:
            _require_outside(key, path, config.output.path)
    _require_directories(spark, config.input.image_roots)


def require_photos(model: Bundle, catalog: Catalog, settings: Input, places: PhotoPlaces) -> None:
    """Refuse photos that the model never learned to see, and photos that cannot be read.

    Args:
        model: the bundle of the run.
        catalog: the result of `columns.read`.
        settings: the section `input` of the config.
        places: where the photos are.

    Raises:
        ConfigError: the model was trained without photos; a row names a file, and there are no `image_roots`.
        EnvironmentUnsupportedError: Spark has to read the photos, and its heap is too small for their row groups.
    """
    rows = catalog.rows
    given = "image_uri" if "image_uri" in rows.columns else catalog.photo_column
    if given and not model.manifest.knows_photos:
        raise ConfigError(
            f"Expected a bundle that was trained with photos, as the catalog has {given!r}. Received: the bundle "
            f"{model.version}, whose training set has none. Set input.columns.image to null to tag by the text alone"
        )
    if catalog.photos is None and catalog.photo_column is not None:
        group = row_groups.largest(rows, catalog.photo_column)
        memory.require_heap(rows.sparkSession, group.size, group.held)
    if places.in_files and not settings.image_roots:
        raise ConfigError(
            "Expected input.image_roots to name the directories of the photos, because the catalog has paths. "
            "Received: none"
        )


def require_engine(spark: SparkSession, engine: str, precision: str) -> None:
    """Refuse an engine that cannot run on this machine, if the executors run on it.

    Raises:
        ConfigError: the CPU does not support the precision.
        EnvironmentUnsupportedError: the engine's package is not installed.
    """
    if not _is_local(spark):
        return
    if importlib.util.find_spec(engine) is None:
        raise EnvironmentUnsupportedError(
            f"Expected the {engine} package for engine.name: pip install 'fashion-udf[{engine}]'. Received: none"
        )
    if precision == "bf16" and not openvino.has_bf16():
        raise ConfigError(
            "Expected a CPU with bf16 for engine.precision bf16. Received: one without it; choose another precision"
        )


def _is_local(spark: SparkSession) -> bool:
    return str(spark.sparkContext.master).startswith("local")


def _require_directories(spark: SparkSession, roots: tuple[str, ...]) -> None:
    missing = [root for root in roots if not os.path.isdir(root)]
    if missing and not _is_local(spark):  # executors read the photos, and the driver may not have these directories
        seen = _on_an_executor(spark, missing)
        missing = [root for root in missing if root not in seen]
    if missing:
        raise ConfigError(
            f"Expected directories in input.image_roots. Received: {', '.join(map(repr, missing))}, which do not exist"
        )


def _on_an_executor(spark: SparkSession, directories: list[str]) -> list[str]:
    """Return the directories that exist on an executor."""
    return list(spark.sparkContext.parallelize(directories, 1).filter(os.path.isdir).collect())


def _require_table_name(key: str, name: str) -> None:
    if "/" in name and "`" not in name:
        raise ConfigError(
            f"Expected {key}.path to be the name of a table, as {key}.format is table. Received: the path {name!r}"
        )


def _require_outside(key: str, path: str, output: str) -> None:
    if not is_local(output):
        if f"{root_uri(output)}/".startswith(f"{_as_spark(path)}/"):
            raise _inside(key, output, path)
        return
    if (local := files.local_path(path)) is None:
        return
    for source in [local] if os.path.exists(local) else glob.glob(local):
        if Path(os.path.realpath(local_path(output))).is_relative_to(os.path.realpath(source)):
            raise _inside(key, output, source)


def _as_spark(path: str) -> str:
    return re.sub("^s3://", "s3a://", path).rstrip("/")


def _inside(key: str, output: str, source: str) -> ConfigError:
    return ConfigError(
        f"Expected output.path outside of {key}.path: the next run would read the table as a part of it. "
        f"Received: {output} in {source}"
    )
