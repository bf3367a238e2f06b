"""List the files of a catalog: which are read, which are left out, and which end the run.

Spark silently ignores files in subfolders and files whose names start with `_` or `.`. So this module lists the files,
and Spark gets their names. A path without a scheme is local.
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from fashion_udf.config import SPARK_PATTERN
from fashion_udf.errors import CatalogError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

NAMED = 10  # maximum of files named in a message
#: The remedy if the files have another format.
SET_FORMAT = "set the format that the files have (input.format, overrides.format)"
#: Endings of data files by format, in lower case and without the ending of a compression.
ENDINGS = {
    "parquet": (".parquet", ".parq", ".pq"),
    "csv": (".csv", ".tsv", ".tab", ".psv", ".txt"),
    "json": (".json", ".jsonl", ".ndjson"),
}
_COMPRESSED = re.compile(r"\.(gz|gzip|bz2|zip|zst|zstd|xz|lzma|lz4|snappy|br|deflate)$")
#: Names that mark the folder of a table whose log decides which of its files count.
_TABLE_LOGS = {
    "_delta_log": "a Delta table",
    ".hoodie": "a Hudi table",
    "_spark_metadata": "the output of a streaming query",
}
_ICEBERG = re.compile(r"(^|/)metadata/[^/]+\.metadata\.json$")


@dataclass(frozen=True)
class Found:
    """The files below a path: local ones as absolute paths, others as URIs."""

    root: str  # the folder that names in messages are relative to
    read: tuple[str, ...]
    left_out: tuple[str, ...]

    @property
    def is_local(self) -> bool:
        """Return whether Python can open the files by their names."""
        return not _has_scheme(self.root)


def find(spark: SparkSession, key: str, path: str, form: str, ignore: Sequence[str] = ()) -> Found:
    """List the files of a catalog.

    Args:
        spark: the session. It lists files that are not local.
        key: key of the configuration that errors name.
        path: a file, a folder, or a pattern.
        form: a key of `ENDINGS`.
        ignore: patterns of names, or of paths below `path`, to leave out.

    Raises:
        CatalogError: there is no file, or Spark would ignore a file or could not open it. The message names the file.
    """
    local = local_path(path)
    try:
        root, names = _local_files(local) if local is not None else _remote_files(spark, path)
    except OSError as error:
        raise unreadable(key, form, path, str(error)) from error
    relative = {name: os.path.relpath(name, root) if local is not None else name[len(root) :] for name in names}
    relative = {name: below.lstrip("/") for name, below in relative.items()}
    _require_no_table(key, root, [*relative.values()])
    kept = [name for name in names if not _matches(relative[name], ignore)]
    hidden = [name for name in kept if _is_hidden(relative[name])]
    if lost := [name for name in hidden if _is_data(name, form)]:
        raise CatalogError(
            f"Expected no data file of {key} with a name that starts with '_' or '.': Spark reads no such file. "
            f"Received: {_listed(lost)}. Rename them, or leave them out with input.ignore"
        )
    read = sorted(set(kept) - set(hidden))
    if local is not None and form != "csv" and (odd := [name for name in read if ":" in os.path.basename(name)]):
        raise CatalogError(
            f"Expected file names without ':' in {key}: Hadoop reads the part before it as a scheme and opens no "
            f"such file. Received: {_listed(odd)}. Rename them"
        )
    if not read:
        raise unreadable(key, form, path, f"{len(names)} files are there, and none is read")
    return Found(root, tuple(read), tuple(sorted(set(names) - set(read))))


def local_path(path: str) -> str | None:
    """Return the absolute path of a local file or folder; None on another file system."""
    if not _has_scheme(path):
        return os.path.abspath(path)
    parts = urlsplit(path)
    return os.path.abspath(unquote(parts.path)) if parts.scheme == "file" else None


def for_spark(path: str) -> str:
    """Return a file's name for Spark: with its scheme, and with escaped pattern characters."""
    escaped = SPARK_PATTERN.sub(r"\\\g<0>", path)
    return escaped if _has_scheme(path) else f"file:{escaped}"


def unreadable(key: str, form: str, path: str, cause: str) -> CatalogError:
    """Return the error of a source that cannot be read."""
    return CatalogError(f"Expected {key} to be a readable {form} source. Received: {path} ({cause})")


def _has_scheme(path: str) -> bool:
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]*:/", path) is not None


def _local_files(path: str) -> tuple[str, list[str]]:
    found = [path] if os.path.lexists(path) else sorted(glob.glob(path, recursive=True, include_hidden=True))
    if not found:
        raise FileNotFoundError("no such file or folder")
    names = [name for each in found for name in ([each] if not os.path.isdir(each) else _walked(each))]
    return path if os.path.isdir(path) else os.path.commonpath([os.path.dirname(name) for name in found]), names


def _walked(folder: str) -> Iterator[str]:
    seen = set()

    def refuse(error: OSError) -> None:
        raise error  # os.walk would treat a folder that cannot be listed as empty

    for place, folders, names in os.walk(folder, followlinks=True, onerror=refuse):
        real = os.path.realpath(place)
        if real in seen:  # a link to a parent folder
            folders.clear()
            continue
        seen.add(real)
        yield from (os.path.join(place, name) for name in names)
        # A log has many files, and only its existence matters.
        yield from (os.path.join(place, name) for name in folders if name in _TABLE_LOGS)
        folders[:] = [name for name in folders if name not in _TABLE_LOGS]


def _remote_files(spark: SparkSession, path: str) -> tuple[str, list[str]]:
    jvm: Any = spark._jvm
    place = jvm.org.apache.hadoop.fs.Path(path)
    system = place.getFileSystem(hadoop_configuration(spark))
    names, roots = list[str](), [*(system.globStatus(place) or [])]
    if not roots:
        raise FileNotFoundError("no such file or folder")
    for root in roots:
        listed = system.listFiles(root.getPath(), True)
        while listed.hasNext():
            names.append(str(listed.next().getPath().toString()))
    folder = roots[0].getPath() if len(roots) == 1 and roots[0].isDirectory() else roots[0].getPath().getParent()
    return str(folder.toString()), names


def hadoop_configuration(spark: SparkSession) -> Any:
    """Return the Hadoop configuration of a session: its own settings and those of the context."""
    java: Any = spark._jsparkSession
    return java.sessionState().newHadoopConf()


def _require_no_table(key: str, root: str, relative: Sequence[str]) -> None:
    logs = {part: kind for part, kind in _TABLE_LOGS.items() for below in relative if part in below.split("/")}
    above = root
    while not logs and not _has_scheme(root) and above != os.path.dirname(above):
        logs = {part: kind for part, kind in _TABLE_LOGS.items() if os.path.isdir(os.path.join(above, part))}
        above = os.path.dirname(above)
    if any(_ICEBERG.search(below) for below in relative):
        logs["metadata"] = "an Iceberg table"
    for part, kind in logs.items():
        raise CatalogError(
            f"Expected {key} to be plain files. Received: {root}, {kind} ({part}): its folder also holds removed rows. "
            f"{'Set format: delta, read it' if part == '_delta_log' else 'Read it'} as a table of Spark "
            "(input.format: table), or export it"
        )


def _matches(relative: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch(relative, pattern) or fnmatch(os.path.basename(relative), pattern) for pattern in patterns)


def _is_hidden(relative: str) -> bool:
    # The same rule as in Spark: a folder `_a=1` holds a partition.
    return any(
        part.startswith(".") or (part.startswith("_") and "=" not in part) or part.endswith("._COPYING_")
        for part in relative.split("/")
    )


def _is_data(path: str, form: str) -> bool:
    name = _COMPRESSED.sub("", os.path.basename(path).lower())
    return name.endswith(ENDINGS[form]) or (form == "parquet" and not name.endswith("_metadata") and _is_parquet(path))


def _is_parquet(path: str) -> bool:
    if _has_scheme(path):
        return False
    try:
        with open(path, "rb") as file:
            return file.read(4) == b"PAR1"
    except OSError:
        return False


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
