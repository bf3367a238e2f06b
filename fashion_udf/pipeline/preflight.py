"""What cannot succeed is refused when a command starts: before the catalog is read, and before anything is written."""

from __future__ import annotations

import glob
import gzip
import importlib.util
import os
from pathlib import Path
from typing import TYPE_CHECKING

from fashion_udf.config import Input, JobConfig
from fashion_udf.errors import ConfigError, EnvironmentUnsupportedError
from fashion_udf.model.engines import openvino
from fashion_udf.table.store import local_path

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_HEAD = 64  # bytes of a file that tell its format


def require_output(output: str) -> None:
    """Refuse an output that cannot be written to.

    Raises:
        ConfigError: `output` or a part of its path is a file, or this user may not write there.
    """
    path = local_path(output)
    nearest = next(each for each in (path, *path.parents) if each.exists())
    if not nearest.is_dir():
        raise ConfigError(f"Expected a directory for output.path. Received: {nearest}, which is a file")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise ConfigError(f"Expected a directory for output.path that may be written to. Received: {nearest}")


def require_inputs(spark: SparkSession, config: JobConfig) -> None:
    """Refuse inputs that do not fit their configuration.

    Raises:
        ConfigError: a format does not fit its files; the catalog holds the output; photos are named and no directory
            for them, or one that does not exist.
    """
    for key, form, path in (
        ("input", config.input.format, config.input.path),
        ("overrides", config.overrides.format, config.overrides.path),
    ):
        if path is not None and form == "table":
            _require_table_name(key, path)
        elif path is not None and (local := _local_files(spark, path)):
            _require_format(key, form, local)
            _require_outside(key, local, config.output.path)
    if config.input.columns.image_uri is not None and not config.input.image_roots:
        raise ConfigError(_no_roots("input.columns.image_uri is given"))
    _require_directories(spark, config.input.image_roots)


def require_image_roots(source: DataFrame, settings: Input) -> None:
    """Refuse a catalog that names photos where no directory for them is configured.

    Args:
        source: as `columns.read` gives it.
        settings: how it was read.

    Raises:
        ConfigError: a row has an `image_uri`, and there are no `image_roots`.
    """
    from pyspark.sql import functions as F

    if "image_uri" in source.columns and not settings.image_roots:
        if not source.select("image_uri").where(F.col("image_uri").isNotNull()).isEmpty():
            raise ConfigError(_no_roots("the catalog has image_uri"))


def require_engine(spark: SparkSession, engine: str, precision: str) -> None:
    """Refuse an engine that cannot run here, where the executors are this machine.

    Raises:
        ConfigError: the CPU does not compute in the precision.
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


def _no_roots(why: str) -> str:
    return (
        f"Expected input.image_roots to name the directories of the photos, as {why}. "
        "Received: none, so that no photo could be read"
    )


def _require_directories(spark: SparkSession, roots: tuple[str, ...]) -> None:
    missing = [root for root in roots if not os.path.isdir(root)]
    if missing and not _is_local(spark):  # photos are read on the executors, and the driver may not see them
        seen = _on_an_executor(spark, missing)
        missing = [root for root in missing if root not in seen]
    if missing:
        raise ConfigError(
            f"Expected directories in input.image_roots. Received: {', '.join(map(repr, missing))}, "
            "of which there is none"
        )


def _on_an_executor(spark: SparkSession, directories: list[str]) -> list[str]:
    """Return those of the directories that an executor sees."""
    return list(spark.sparkContext.parallelize(directories, 1).filter(os.path.isdir).collect())


def _require_table_name(key: str, name: str) -> None:
    if "/" in name and "`" not in name:
        raise ConfigError(
            f"Expected {key}.path to be the name of a table, as {key}.format is table. Received: the path {name!r}"
        )


def _local_files(spark: SparkSession, path: str) -> Path | None:
    """Return where a source is, if this machine sees it; a pattern of paths is its first one."""
    plain = path.removeprefix("file://").removeprefix("file:")
    default = str(spark.sparkContext._jsc.hadoopConfiguration().get("fs.defaultFS"))
    if plain == path and not default.startswith("file:"):
        return None
    found = [plain] if os.path.exists(plain) else sorted(glob.glob(plain))
    return Path(found[0]) if found else None


def _require_format(key: str, form: str, source: Path) -> None:
    file = source if source.is_file() else _first_file(source)
    kind = file and _format_of(file)
    if kind and kind != form:
        raise ConfigError(
            f"Expected {key}.format to fit the files of {key}.path. Received: format {form}, and {file} begins as "
            f"{kind} does; set {key}.format={kind}"
        )


def _require_outside(key: str, source: Path, output: str) -> None:
    if Path(os.path.realpath(local_path(output))).is_relative_to(os.path.realpath(source)):
        raise ConfigError(
            f"Expected output.path outside of {key}.path: the next run would read the table as a part of it. "
            f"Received: {output} in {source}"
        )


def _first_file(directory: Path) -> Path | None:
    """Return the first file with content that Spark would read: names that begin with "_" or "." it leaves out."""
    for folder, folders, names in os.walk(directory):
        folders[:] = sorted(name for name in folders if not name.startswith(("_", ".")))
        for name in sorted(names):
            path = Path(folder) / name
            if not name.startswith(("_", ".")) and path.is_file() and path.stat().st_size:
                return path
    return None


def _format_of(path: Path) -> str | None:
    """Return the format that a file begins as; None if its first bytes do not tell."""
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            head = bytes(file.read(_HEAD))
    except (OSError, EOFError):
        return None  # whoever reads it says why
    if head.startswith(b"PAR1"):
        return "parquet"
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if not text or min(head) < 9 or text.startswith(b"["):  # another format, compressed, or a JSON array
        return None
    return "json" if text.startswith(b"{") else "csv"
